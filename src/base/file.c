// Whole-file reads, from pipes too, and atomic writes.
#include "base/file.h"

#include "base/mem.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int fail_errno(const char *path)
{
    return gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
}

static const char *kind_of(mode_t mode)
{
    return S_ISDIR(mode) ? "folder" : S_ISFIFO(mode) ? "pipe" : S_ISSOCK(mode) ? "socket"
                                                                               : "device";
}

static int fail_kind(const char *path, mode_t mode)
{
    return gb_fail(GB_ERR_IO, "%s: not a regular file but a %s", path, kind_of(mode));
}

// --- reading ---

// O_NONBLOCK: opening a pipe must not wait for a writer. Sockets and absent devices give ENXIO.
static int open_any(int *fd, struct stat *st, const char *path, int flags)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (*fd >= 0 && fstat(*fd, st) == 0)
        return 0;
    int err = errno == ENXIO && stat(path, st) == 0 ? fail_kind(path, st->st_mode)
                                                    : fail_errno(path);
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return err;
}

static int open_regular(int *fd, struct stat *st, const char *path, int flags)
{
    int err = open_any(fd, st, path, flags);
    if (err < 0 || S_ISREG(st->st_mode))
        return err;
    close(*fd);
    *fd = -1;
    return fail_kind(path, st->st_mode);
}

int gb_file_open(int *fd, uint64_t *size, const char *path, int flags)
{
    struct stat st;
    int err = open_regular(fd, &st, path, flags);
    *size = err < 0 ? 0 : (uint64_t)st.st_size;
    return err;
}

static int read_regular(void **data, size_t *size, int fd, const struct stat *st, const char *path)
{
    size_t want = (size_t)st->st_size, got = 0;
    unsigned char *bytes = malloc(want + 1);
    int err = 0;
    if (!bytes)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory for its %zu bytes", path, want);
    while (got < want) {
        ssize_t n = read(fd, bytes + got, want - got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = gb_fail(GB_ERR_IO, "%s: %s", path, n ? strerror(errno) : "became shorter");
            goto fail;
        }
        got += (size_t)n;
    }
    bytes[want] = 0;
    *data = bytes;
    *size = want;
    return 0;
fail:
    free(bytes);
    return err;
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// A pipe without a writer and one whose writer is silent look alike, so both have to bring
// something in time.
static int read_pipe(void **data, size_t *size, int fd, const char *path)
{
    enum { SILENT_S = 5, WHOLE_S = 60, PIECE = 1 << 16, MOST = 1 << 30 };
    const int64_t end = now_ms() + WHOLE_S * 1000;
    unsigned char *bytes = NULL;
    size_t got = 0, capacity = 0;
    int64_t silent = now_ms() + SILENT_S * 1000;
    int err = 0;
    for (;;) {
        struct pollfd one = {.fd = fd, .events = POLLIN};
        int64_t left = (silent < end ? silent : end) - now_ms();
        int ready = left > 0 ? poll(&one, 1, (int)left) : 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready == 0) {
            err = end < silent
                      ? gb_fail(GB_ERR_IO, "%s: this pipe did not end within %d s; write a file "
                                           "first", path, WHOLE_S)
                      : gb_fail(GB_ERR_IO, "%s: nothing came through this pipe for %d s; write a "
                                           "file first", path, SILENT_S);
            goto fail;
        }
        GB_TRY(gb_grow(&bytes, &capacity, got + PIECE + 1, 1));
        ssize_t n = read(fd, bytes + got, PIECE);
        if (n == 0)
            break;
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0) {
            err = fail_errno(path);
            goto fail;
        }
        got += (size_t)n;
        silent = now_ms() + SILENT_S * 1000;
        if (got > MOST) {
            err = gb_fail(GB_ERR_IO, "%s: more than 1 GiB came through this pipe; write a file "
                                     "first", path);
            goto fail;
        }
    }
    if (got == 0) {
        err = gb_fail(GB_ERR_IO, "%s: this pipe is empty; it can be read only once", path);
        goto fail;
    }
    bytes[got] = 0;
    *data = bytes;
    *size = got;
    return 0;
fail:
    free(bytes);
    return err;
}

int gb_file_read(void **data, size_t *size, const char *path)
{
    struct stat st;
    int fd, err = open_regular(&fd, &st, path, 0);
    if (err < 0)
        return err;
    err = read_regular(data, size, fd, &st, path);
    close(fd);
    return err;
}

const char *gb_file_input_path(const char *argument)
{
    return strcmp(argument, "-") ? argument : "/dev/stdin";
}

int gb_file_read_input(void **data, size_t *size, const char *argument)
{
    const char *path = gb_file_input_path(argument);
    struct stat st;
    int fd, err = open_any(&fd, &st, path, 0);
    if (err < 0)
        return err;
    if (S_ISREG(st.st_mode))
        err = read_regular(data, size, fd, &st, path);
    else if (S_ISFIFO(st.st_mode))
        err = read_pipe(data, size, fd, path);
    else
        err = fail_kind(path, st.st_mode);
    close(fd);
    return err;
}

int gb_file_read_private(void **data, size_t *size, const char *path)
{
    struct stat st;
    int fd, err = open_regular(&fd, &st, path, O_NOFOLLOW);
    if (err < 0)
        return err;
    if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
        err = gb_fail(GB_ERR_IO, "%s: another user can have written it, so it is not read", path);
    else
        err = read_regular(data, size, fd, &st, path);
    close(fd);
    return err;
}

// --- writing ---

typedef struct content {
    const void *bytes;
    size_t size;
    mode_t mode;
    bool sync; // flushed to the disk
} content;

// Renaming would put a file in the place of a device, or of /dev/stdout.
static int check_target(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return 0; // absent, or else opening says what is wrong
    if (S_ISLNK(st.st_mode) && strncmp(path, "/dev/", 5) && stat(path, &st) < 0)
        return 0; // leads nowhere
    if (S_ISREG(st.st_mode))
        return 0;
    return gb_fail(GB_ERR_IO, "%s: is a %s; give the path of a regular file, new or not", path,
                   kind_of(st.st_mode));
}

// A name in the folder of `path` that nobody can guess.
static int temp_name(char *temp, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/');
    uint64_t number;
    if (getentropy(&number, sizeof number) < 0)
        return -1;
    int length = snprintf(temp, size, "%.*s.gibbon-%016" PRIx64,
                          slash ? (int)(slash - path) + 1 : 0, path, number);
    if (length >= 0 && (size_t)length < size)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

// O_EXCL: a link planted there would be found, not followed.
static int open_named(char *temp, size_t size, const char *path, mode_t mode)
{
    return temp_name(temp, size, path) < 0
               ? -1
               : open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

// A file without a name, of which nothing stays however the process ends; not all file systems have
// them.
static int open_unnamed(const char *path, mode_t mode)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int length = snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) + 1 : 1,
                          slash ? path : ".");
    return length < 0 || (size_t)length >= sizeof folder
               ? -1
               : open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, mode);
}

static int give_name(int fd, char *temp, size_t size, const char *path)
{
    char open_file[64];
    snprintf(open_file, sizeof open_file, "/proc/self/fd/%d", fd);
    return temp_name(temp, size, path) < 0
               ? -1
               : linkat(AT_FDCWD, open_file, AT_FDCWD, temp, AT_SYMLINK_FOLLOW);
}

// Signals that end a process of one thread wait until the file is whole or gone. One of them, for a
// file beyond the user's limit, is taken away: write() says it, too.
static void hold_signals(sigset_t *before)
{
    static const int number[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXFSZ};
    sigset_t held;
    sigemptyset(&held);
    for (size_t i = 0; i < GB_COUNT(number); i++)
        sigaddset(&held, number[i]);
    pthread_sigmask(SIG_BLOCK, &held, before);
}

static void release_signals(const sigset_t *before)
{
    sigset_t limit;
    sigemptyset(&limit);
    sigaddset(&limit, SIGXFSZ);
    if (!sigismember(before, SIGXFSZ))
        while (sigtimedwait(&limit, NULL, &(struct timespec){0}) > 0)
            ;
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

static int write_all(int fd, const unsigned char *bytes, size_t size)
{
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        size -= (size_t)n;
    }
    return 0;
}

// Puts the open file's data into the place of `path`. Returns 1 where it cannot be named.
static int fill(int fd, char *temp, size_t size, bool named, const char *path,
                const content *d)
{
    bool written = write_all(fd, d->bytes, d->size) == 0 &&
                   (!d->sync || fsync(fd) == 0 || errno == EINVAL || errno == EROFS);
    int err = written ? 0 : fail_errno(path);
    if (err == 0 && !named && give_name(fd, temp, size, path) < 0)
        err = 1;
    if (close(fd) < 0 && err == 0)
        err = fail_errno(path);
    if (err == 0 && rename(temp, path) < 0)
        err = fail_errno(path);
    if (err < 0 && *temp)
        unlink(temp);
    return err;
}

static int replace(const char *path, const content *d)
{
    char temp[4096] = "";
    int fd = open_unnamed(path, d->mode), err = 1;
    if (fd >= 0)
        err = fill(fd, temp, sizeof temp, false, path, d);
    if (err <= 0)
        return err;
    fd = open_named(temp, sizeof temp, path, d->mode);
    return fd < 0 ? fail_errno(path) : fill(fd, temp, sizeof temp, true, path, d);
}

static int write_file(const char *path, const content *d)
{
    sigset_t before;
    int err = check_target(path);
    if (err < 0)
        return err;
    hold_signals(&before);
    err = replace(path, d);
    release_signals(&before);
    return err;
}

int gb_file_write(const char *path, const void *data, size_t size)
{
    return write_file(path, &(content){data, size, 0666, true}); // less the umask, as any file
}

int gb_file_write_private(const char *path, const void *data, size_t size)
{
    return write_file(path, &(content){data, size, 0600, false});
}

int gb_file_create(FILE **out, const char *path)
{
    *out = NULL;
    int err = check_target(path);
    if (err < 0)
        return err;
    if (unlink(path) < 0 && errno != ENOENT)
        return fail_errno(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    *out = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (*out)
        return 0;
    err = fail_errno(path);
    if (fd >= 0)
        close(fd);
    return err;
}
