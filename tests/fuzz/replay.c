// Feeds files, and the files of folders, to a fuzz target's LLVMFuzzerTestOneInput, so that the
// seeds and every input that once failed run with the ordinary tests and an ordinary compiler.
#include "base/file.h"
#include "base/mem.h"
#include "base/status.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay_file(const char *path)
{
    void *bytes = NULL;
    size_t size;
    int err = gb_file_read(&bytes, &size, path);
    if (err < 0)
        return err;
    // A block of exactly `size` bytes lets a sanitizer see a read past the end.
    uint8_t *exact = malloc(size ? size : 1);
    if (exact) {
        memcpy(exact, bytes, size);
        LLVMFuzzerTestOneInput(exact, size);
    }
    free(exact);
    free(bytes);
    return exact ? 0 : gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
}

static int replay(const char *path, size_t *count)
{
    struct stat st;
    struct dirent **entry = NULL;
    int err = 0;
    if (stat(path, &st) < 0)
        return gb_fail(GB_ERR_IO, "%s: cannot be found", path);
    if (!S_ISDIR(st.st_mode)) {
        ++*count;
        return replay_file(path);
    }
    int n = scandir(path, &entry, NULL, alphasort);
    if (n < 0)
        return gb_fail(GB_ERR_IO, "%s: cannot be listed", path);
    for (int i = 0; i < n; i++) {
        char inner[4096];
        int length = snprintf(inner, sizeof inner, "%s/%s", path, entry[i]->d_name);
        if (err == 0 && entry[i]->d_name[0] != '.')
            err = (size_t)length < sizeof inner ? replay(inner, count)
                                                : gb_fail(GB_ERR_IO, "%s: path too long", path);
        free(entry[i]);
    }
    free(entry);
    return err;
}

int main(int argc, char **argv)
{
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        if (replay(argv[i], &count) < 0) {
            fprintf(stderr, "%s\n", gb_last_error());
            return 1;
        }
    }
    if (count == 0) {
        fprintf(stderr, "usage: %s FILE|FOLDER...   (no input found)\n", argv[0]);
        return 1;
    }
    printf("%zu inputs\n", count);
    return 0;
}
