// Files: what is read and what is refused, and writing that leaves a whole file or none.
#include "support/check.h"

#include "base/file.h"
#include "support/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// Entries of a folder of the test's.
static int entries(const char *name)
{
    DIR *dir = opendir(in_folder(name));
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir));)
        count += strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
    closedir(dir);
    return count;
}

static void holds(const char *path, const char *text)
{
    void *data;
    size_t size;
    assert_ok(gb_file_read(&data, &size, path));
    assert_int_equal(size, strlen(text));
    assert_string_equal(data, text); // the 0 behind it, too
    free(data);
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

// --- reading ---

typedef int reader(void **data, size_t *size, const char *path);

static void refuse(reader *read_it, const char *path, const char *says)
{
    void *data;
    size_t size;
    assert_err(GB_ERR_IO, read_it(&data, &size, path));
    if (!strstr(gb_last_error(), says))
        fail_msg("'%s' does not say '%s'", gb_last_error(), says);
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    reader *const all[] = {gb_file_read, gb_file_read_input, gb_file_read_private};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    double start = seconds();
    int fd, s = socket(AF_UNIX, SOCK_STREAM, 0);
    uint64_t size;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", in_folder("socket"));
    assert_int_equal(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(mkfifo(in_folder("fifo"), 0600), 0);
    for (size_t i = 0; i < 3; i++) {
        refuse(all[i], "/dev/zero", "/dev/zero: not a regular file but a device");
        refuse(all[i], "/dev/null", "not a regular file but a device");
        refuse(all[i], in_folder(""), "not a regular file but a folder");
        refuse(all[i], in_folder("socket"), "socket: not a regular file but a socket");
        refuse(all[i], in_folder("absent"), "absent: No such file or directory");
    }
    refuse(gb_file_read, in_folder("fifo"), "fifo: not a regular file but a pipe");
    refuse(gb_file_read_private, in_folder("fifo"), "fifo: not a regular file but a pipe");
    assert_err(GB_ERR_IO, gb_file_open(&fd, &size, in_folder("fifo"), 0));
    assert_int_equal(fd, -1);
    assert_true(seconds() - start < 2);
    close(s);
}

static void test_pipes(void **state)
{
    (void)state;
    char path[64];
    void *data;
    size_t size;
    int ends[2];
    // As <(command) gives it, its writer gone.
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "hello", 5), 5);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    refuse(gb_file_read, path, "not a regular file but a pipe");
    assert_ok(gb_file_read_input(&data, &size, path));
    assert_int_equal(size, 5);
    assert_string_equal(data, "hello");
    free(data);
    refuse(gb_file_read_input, path, "this pipe is empty; it can be read only once");
    close(ends[0]);
    // By name, with a writer that comes late and writes more than a pipe holds.
    pid_t child = fork();
    if (child == 0) {
        static char zeros[1 << 20];
        usleep(100000);
        int fd = open(in_folder("fifo"), O_WRONLY);
        for (size_t sent = 0; fd >= 0 && sent < sizeof zeros;) {
            ssize_t n = write(fd, zeros, sizeof zeros - sent);
            sent += n > 0 ? (size_t)n : sizeof zeros;
        }
        _exit(0);
    }
    assert_ok(gb_file_read_input(&data, &size, in_folder("fifo")));
    assert_int_equal(size, 1 << 20);
    free(data);
    waitpid(child, NULL, 0);
    // Nobody writes; then somebody who is silent.
    double start = seconds();
    refuse(gb_file_read_input, in_folder("fifo"), "nothing came through this pipe for 5 s");
    assert_true(seconds() - start < 7);
    assert_string_equal(gb_file_input_path("-"), "/dev/stdin");
    assert_string_equal(gb_file_input_path("./-"), "./-");
}

static void test_private_reading(void **state)
{
    (void)state;
    put_file("cache/mine", "x", 1);
    refuse(gb_file_read_private, in_folder("cache/link"), "No such file");
    assert_int_equal(symlink("mine", in_folder("cache/link")), 0);
    refuse(gb_file_read_private, in_folder("cache/link"), "link: ");
    for (mode_t mode = 0600; mode <= 0666; mode++) {
        void *data;
        size_t size;
        assert_int_equal(chmod(in_folder("cache/mine"), mode), 0);
        if (mode & 022) {
            refuse(gb_file_read_private, in_folder("cache/mine"), "another user can have written");
        } else if (mode & 0400) {
            assert_ok(gb_file_read_private(&data, &size, in_folder("cache/mine")));
            free(data);
        }
    }
    assert_int_equal(chmod(in_folder("cache/mine"), 0600), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(in_folder("cache/mine"), 12345, 0), 0);
        refuse(gb_file_read_private, in_folder("cache/mine"), "another user can have written");
    }
}

// --- writing ---

static void test_modes(void **state)
{
    (void)state;
    mode_t before = umask(027);
    put_file("modes/result", "1", 1);
    assert_ok(gb_file_write_private(in_folder("modes/cache"), "1", 1));
    assert_ok(gb_make_dirs(in_folder("modes/a/b")));
    assert_ok(gb_make_private_dirs(in_folder("modes/c/d")));
    assert_int_equal(mode_of(in_folder("modes/result")), 0640);
    assert_int_equal(mode_of(in_folder("modes/cache")), 0600);
    assert_int_equal(mode_of(in_folder("modes/a/b")), 0750);
    assert_int_equal(mode_of(in_folder("modes/c/d")), 0700);
    umask(before);
    // A folder from before, open to others, is closed.
    assert_int_equal(chmod(in_folder("modes/c/d"), 0777), 0);
    assert_ok(gb_make_private_dirs(in_folder("modes/c/d")));
    assert_int_equal(mode_of(in_folder("modes/c/d")), 0700);
    if (geteuid() == 0) {
        assert_int_equal(chown(in_folder("modes/c/d"), 12345, 0), 0);
        assert_err(GB_ERR_IO, gb_make_private_dirs(in_folder("modes/c/d")));
        assert_int_equal(symlink("a", in_folder("modes/theirs")), 0);
        assert_int_equal(lchown(in_folder("modes/theirs"), 12345, 0), 0);
        assert_err(GB_ERR_IO, gb_make_private_dirs(in_folder("modes/theirs")));
        assert_int_equal(mode_of(in_folder("modes/a")), 0750);
    }
    assert_err(GB_ERR_IO, gb_make_private_dirs(in_folder("modes/cache")));
}

static void test_planted_links(void **state)
{
    (void)state;
    char temp[256];
    FILE *file;
    put_file("links/victim", "precious", 8);
    assert_int_equal(symlink("victim", in_folder("links/out")), 0);
    // Where a name can be guessed, by the number of this process.
    snprintf(temp, sizeof temp, "%s.tmp%ld", in_folder("links/out"), (long)getpid());
    assert_int_equal(symlink("victim", temp), 0);
    assert_ok(gb_file_write(in_folder("links/out"), "new", 3));
    holds(in_folder("links/victim"), "precious");
    holds(in_folder("links/out"), "new");
    assert_int_equal(symlink("victim", in_folder("links/part")), 0);
    assert_ok(gb_file_create(&file, in_folder("links/part")));
    fputs("rows", file);
    fclose(file);
    holds(in_folder("links/victim"), "precious");
    holds(in_folder("links/part"), "rows");
    assert_int_equal(entries("links"), 4);
}

static void test_targets_that_are_no_files(void **state)
{
    (void)state;
    FILE *file;
    assert_ok(gb_make_dirs(in_folder("targets/folder")));
    assert_int_equal(mkfifo(in_folder("targets/fifo"), 0600), 0);
    assert_int_equal(symlink("/dev/null", in_folder("targets/null")), 0);
    const char *bad[] = {in_folder("targets/folder"), in_folder("targets/fifo"),
                         in_folder("targets/null"), "/dev/null", "/dev/stdout"};
    for (size_t i = 0; i < 5; i++) {
        assert_err(GB_ERR_IO, gb_file_write(bad[i], "x", 1));
        assert_non_null(strstr(gb_last_error(), "give the path of a regular file"));
        assert_err(GB_ERR_IO, gb_file_create(&file, bad[i]));
        assert_null(file);
    }
    struct stat st;
    assert_int_equal(lstat("/dev/null", &st), 0);
    assert_true(S_ISCHR(st.st_mode));
    assert_int_equal(entries("targets"), 3);
    assert_err(GB_ERR_IO, gb_file_write(in_folder("targets/absent/x"), "x", 1));
    assert_int_equal(symlink("nowhere", in_folder("targets/dangling")), 0);
    assert_ok(gb_file_write(in_folder("targets/dangling"), "x", 1));
    holds(in_folder("targets/dangling"), "x");
}

static void test_a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    struct rlimit before, limit;
    static char much[1 << 16];
    put_file("full/out", "old", 3);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 1 << 12;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int err = gb_file_write(in_folder("full/out"), much, sizeof much); // SIGXFSZ does not kill
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, GB_ERR_IO);
    assert_non_null(strstr(gb_last_error(), "full/out: File too large"));
    holds(in_folder("full/out"), "old");
    assert_int_equal(entries("full"), 1);
}

static void *rest(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static void test_an_interrupt_leaves_no_temporary(void **state)
{
    (void)state;
    enum { SIZE = 1 << 22 };
    // File systems without such files need the signals to be held.
    int unnamed = open(in_folder(""), O_TMPFILE | O_WRONLY, 0600);
    if (unnamed >= 0)
        close(unnamed);
    unnamed = unnamed >= 0;
    char *much = calloc(SIZE, 1);
    assert_non_null(much);
    put_file("kill/out", "old", 3);
    for (int round = 0; round < 10; round++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t thread; // as a driver's, which takes signals that ours holds
            if (unnamed)
                pthread_create(&thread, NULL, rest, NULL);
            for (;;)
                if (gb_file_write(in_folder("kill/out"), much, SIZE) < 0)
                    _exit(1);
        }
        int status;
        usleep(20000 + 3000 * (useconds_t)round);
        kill(child, round % 3 == 0 && unnamed ? SIGKILL : round & 1 ? SIGINT : SIGTERM);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
    }
    assert_int_equal(entries("kill"), 1);
    free(much);
}

static int make(void **state)
{
    (void)state;
    return test_folder_make();
}

static int clear(void **state)
{
    (void)state;
    return test_folder_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_pipes),
        cmocka_unit_test(test_private_reading),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_planted_links),
        cmocka_unit_test(test_targets_that_are_no_files),
        cmocka_unit_test(test_a_full_disk_leaves_the_old_file),
        cmocka_unit_test(test_an_interrupt_leaves_no_temporary),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
