// Where caches are kept: the user's folder, and what stands in for it where that cannot be written.
#include "support/folder.h"

#include "base/file.h"
#include "device/device.h"

#include <sys/stat.h>
#include <unistd.h>

static int set_up(void **state)
{
    (void)state;
    return test_folder_make();
}

static int tear_down(void **state)
{
    (void)state;
    return test_folder_remove();
}

static const char *found(void)
{
    static char path[4096];
    assert_ok(gb_cache_folder(path, sizeof path));
    return path;
}

static bool is_there(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

// In the folder of temporary files `temp` of ours, where it is to be found, else anywhere else.
static const char *private_in(const char *temp)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/gibbon-%ld", in_folder(temp), (long)geteuid());
    return path;
}

static bool is_in(const char *path, const char *folder)
{
    return !strncmp(path, folder, strlen(folder));
}

static void test_usual(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", in_folder("cache"), 1);
    setenv("HOME", in_folder("home"), 1);
    assert_string_equal(in_folder("cache/gibbon"), found());
    setenv("XDG_CACHE_HOME", "relative", 1);
    assert_string_equal(in_folder("home/.cache/gibbon"), found());
    unsetenv("XDG_CACHE_HOME");
    assert_string_equal(in_folder("home/.cache/gibbon"), found());
    assert_false(is_there(in_folder("cache")) || is_there(in_folder("home")));
    struct stat st;
    setenv("XDG_CACHE_HOME", in_folder("made/cache"), 1);
    for (int again = 0; again < 2; again++) {
        assert_ok(gb_make_private_dirs(found()));
        assert_int_equal(0, stat(in_folder("made/cache/gibbon"), &st));
        assert_int_equal(S_IFDIR | 0700, st.st_mode);
    }
    unsetenv("XDG_CACHE_HOME");
    // Neither another user's folder nor one that everybody writes is ours.
    assert_ok(gb_make_dirs(in_folder("home/.cache/gibbon")));
    assert_string_equal(in_folder("home/.cache/gibbon"), found());
    assert_int_equal(0, chmod(in_folder("home/.cache/gibbon"), 0777));
    assert_false(is_in(found(), in_folder("home")));
    assert_int_equal(0, chmod(in_folder("home/.cache/gibbon"), 0700));
    if (geteuid() == 0) {
        assert_int_equal(0, chown(in_folder("home/.cache/gibbon"), 12345, 12345));
        assert_false(is_in(found(), in_folder("home")));
    }
}

// No home, or none that can be written: a private folder.
static void test_private(void **state)
{
    const char *const homes[] = {NULL, "", "/proc/1", "/dev/null", "/nonexistent/\n/x"};
    struct stat st;
    (void)state;
    assert_ok(gb_make_dirs(in_folder("temp")));
    put_file("file", "x", 1);
    setenv("TMPDIR", in_folder("temp"), 1);
    unsetenv("XDG_CACHE_HOME");
    for (size_t i = 0; i < GB_COUNT(homes) - (geteuid() == 0); i++) { // root makes any folder
        if (homes[i])
            setenv("HOME", homes[i], 1);
        else
            unsetenv("HOME");
        assert_true(is_in(found(), private_in("temp")));
    }
    setenv("HOME", in_folder("home"), 1);
    setenv("XDG_CACHE_HOME", in_folder("file"), 1);
    assert_true(is_in(found(), private_in("temp")));
    assert_int_equal(0, lstat(private_in("temp"), &st));
    assert_int_equal(S_IFDIR | 0700, st.st_mode);
    assert_int_equal(geteuid(), st.st_uid);
}

// What others may have put there is not taken.
static void test_planted(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", in_folder("file"), 1);
    setenv("TMPDIR", in_folder("planted"), 1);
    assert_ok(gb_make_dirs(in_folder("planted")));
    assert_ok(gb_make_dirs(in_folder("target")));
    assert_int_equal(0, chmod(in_folder("target"), 0700));
    assert_int_equal(0, symlink(in_folder("target"), private_in("planted")));
    assert_false(is_in(found(), in_folder("planted")));
    assert_int_equal(0, unlink(private_in("planted")));
    assert_int_equal(0, mkdir(private_in("planted"), 0700));
    assert_true(is_in(found(), in_folder("planted")));
    assert_int_equal(0, chmod(private_in("planted"), 0750));
    assert_false(is_in(found(), in_folder("planted")));
    if (geteuid() == 0) {
        assert_int_equal(0, chmod(private_in("planted"), 0700));
        assert_int_equal(0, chown(private_in("planted"), 12345, 12345));
        assert_false(is_in(found(), in_folder("planted")));
    }
    assert_int_equal(0, rmdir(private_in("planted")));
    // Where others could put something in its place it is not even made.
    assert_int_equal(0, chmod(in_folder("planted"), 0777));
    assert_false(is_in(found(), in_folder("planted")));
    assert_false(is_there(private_in("planted")));
    assert_int_equal(0, chmod(in_folder("planted"), 01777));
    assert_true(is_in(found(), in_folder("planted")));
    assert_false(is_there(in_folder("target/gibbon")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),
        cmocka_unit_test(test_private),
        cmocka_unit_test(test_planted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
