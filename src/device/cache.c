// Compiled programs on disk, for drivers that do not keep them: one file a program, verified when
// read, written whole or not at all.
//
// File: "gibbon-kernel 1\n" KEY "\n" HASH-OF-DATA(16 hex digits) "\n" data.
#include "base/file.h"
#include "base/hash.h"
#include "device/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "gibbon-kernel 1";

static bool cache_path(char *out, size_t size, const char *folder, const char *key)
{
    uint64_t hash = gb_hash(GB_HASH_INIT, key, strlen(key));
    int length = snprintf(out, size, "%s/%016" PRIx64 ".bin", folder, hash);
    return length > 0 && (size_t)length < size;
}

static char *cache_header(const char *key, const void *data, size_t size)
{
    char *text = NULL;
    uint64_t hash = gb_hash(GB_HASH_INIT, data, size);
    return asprintf(&text, "%s\n%s\n%016" PRIx64 "\n", magic, key, hash) < 0 ? NULL : text;
}

void gb_cache_load(void **data, size_t *size, const char *folder, const char *key)
{
    char path[4096], *header = NULL;
    void *file = NULL;
    size_t total = 0;
    *data = NULL;
    *size = 0;
    if (!cache_path(path, sizeof path, folder, key) || gb_file_read(&file, &total, path) < 0)
        return;
    // The header has the same length whatever the hash in it.
    size_t length = sizeof magic + strlen(key) + 1 + 16 + 1;
    if (total > length)
        header = cache_header(key, (char *)file + length, total - length);
    if (header && !memcmp(file, header, length)) {
        *size = total - length;
        *data = malloc(*size);
        if (*data)
            memcpy(*data, (char *)file + length, *size);
    }
    free(header);
    free(file);
}

void gb_cache_store(const char *folder, const char *key, const void *data, size_t size)
{
    char path[4096];
    if (!cache_path(path, sizeof path, folder, key) || gb_make_cache_folder(folder) < 0)
        return;
    char *header = cache_header(key, data, size);
    size_t length = header ? strlen(header) : 0;
    char *file = header ? malloc(length + size) : NULL;
    if (file) {
        memcpy(file, header, length);
        memcpy(file + length, data, size);
        gb_file_write(path, file, length + size);
    }
    free(file);
    free(header);
}
