// A folder of a test's own, made before its tests and removed after them.
#ifndef GB_TEST_FOLDER_H
#define GB_TEST_FOLDER_H

#include "base/file.h"
#include "support/check.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char test_folder_[] = "/tmp/gibbon-test-XXXXXX";

static inline int test_folder_make(void)
{
    return mkdtemp(test_folder_) ? 0 : -1;
}

static inline int test_folder_remove_one_(const char *path, const struct stat *st, int type,
                                          struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int test_folder_remove(void)
{
    return nftw(test_folder_, test_folder_remove_one_, 8, FTW_DEPTH | FTW_PHYS);
}

// The path of a file in it; "" is the folder with a '/'. The last eight results are valid.
static inline const char *in_folder(const char *name)
{
    static char path[8][256];
    static int next;
    char *p = path[next++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", test_folder_, name);
    return p;
}

// Writes a file there, with the folders it lies in.
static inline void put_file(const char *name, const void *bytes, size_t size)
{
    char folder[256];
    snprintf(folder, sizeof folder, "%s", in_folder(name));
    *strrchr(folder, '/') = 0;
    assert_ok(gb_make_dirs(folder));
    assert_ok(gb_file_write(in_folder(name), bytes, size));
}

#endif
