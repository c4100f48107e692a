// Whole-file reads, atomic writes, directories.
#include "base/file.h"

#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int gb_file_read(void **data, size_t *size, const char *path)
{
    struct stat st;
    unsigned char *bytes = NULL;
    int err = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        err = gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
        goto fail;
    }
    if (!S_ISREG(st.st_mode)) {
        err = gb_fail(GB_ERR_IO, "%s: not a regular file", path);
        goto fail;
    }
    size_t want = (size_t)st.st_size, got = 0;
    bytes = malloc(want + 1);
    if (!bytes) {
        err = gb_fail(GB_ERR_NOMEM, "%s: out of memory for its %zu bytes", path, want);
        goto fail;
    }
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
    close(fd);
    *data = bytes;
    *size = want;
    return 0;
fail:
    free(bytes);
    if (fd >= 0)
        close(fd);
    return err;
}

int gb_file_write(const char *path, const void *data, size_t size)
{
    char temp[4096];
    int fd = -1, err = 0;
    const unsigned char *bytes = data;
    int length = snprintf(temp, sizeof temp, "%s.tmp%ld", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temp)
        return gb_fail(GB_ERR_IO, "%s: path too long", path);
    fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
    while (size) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            goto fail;
        bytes += n;
        size -= (size_t)n;
    }
    if (fsync(fd) < 0 && errno != EINVAL && errno != EROFS)
        goto fail;
    err = close(fd);
    fd = -1;
    if (err < 0 || rename(temp, path) < 0)
        goto fail;
    return 0;
fail:
    err = gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    unlink(temp);
    return err;
}

int gb_make_dirs(const char *path)
{
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return gb_fail(GB_ERR_IO, "%s: not a usable directory name", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            return gb_fail(GB_ERR_IO, "%s: %s", part, strerror(errno));
    }
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return gb_fail(GB_ERR_IO, "%s: not a directory", path);
    return 0;
}
