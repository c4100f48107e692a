// Tensor data in files beside the model. A model comes from anywhere, so it may name files in its
// own folder and below, and no others.
#include "onnx/proto.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *entry(const Onnx__TensorProto *proto, const char *key)
{
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *e = proto->external_data[i];
        if (e->key && strcmp(e->key, key) == 0)
            return e->value ? e->value : "";
    }
    return NULL;
}

// A decimal number of the tensor's entries; absent: or_else.
static int entry_number(uint64_t *out, const Onnx__TensorProto *proto, const char *key,
                        uint64_t or_else)
{
    const char *text = entry(proto, key);
    char *end = NULL;
    *out = or_else;
    if (!text)
        return 0;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return gb_fail(GB_ERR_FORMAT, "external %s '%.40s' is not a number", key, text);
    *out = v;
    return 0;
}

static bool has_parent_step(const char *path)
{
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == 0))
            return true;
    }
    return false;
}

// The real path of the data file, checked to lie in the folder even through symbolic links.
static int resolve(char resolved[PATH_MAX], const char *folder, const char *location)
{
    char root[PATH_MAX], path[PATH_MAX];
    if (!*location || *location == '/' || has_parent_step(location))
        return gb_fail(GB_ERR_FORMAT, "external file '%.200s' is outside the model's folder",
                       location);
    int n = snprintf(path, sizeof path, "%s/%s", folder, location);
    if (n < 0 || (size_t)n >= sizeof path)
        return gb_fail(GB_ERR_IO, "the path of an external file is too long");
    if (!realpath(folder, root))
        return gb_fail(GB_ERR_IO, "%.200s: %s", folder, strerror(errno));
    if (!realpath(path, resolved))
        return gb_fail(GB_ERR_IO, "external file '%.200s': %s", path, strerror(errno));
    size_t length = strlen(root);
    while (length && root[length - 1] == '/')
        length--;
    if (strncmp(resolved, root, length) != 0 || resolved[length] != '/')
        return gb_fail(GB_ERR_FORMAT, "external file '%.200s' is outside the model's folder",
                       location);
    return 0;
}

int gb_onnx_external(unsigned char **bytes, size_t need, const Onnx__TensorProto *proto,
                     const char *folder)
{
    char path[PATH_MAX];
    uint64_t offset, length, got = 0;
    unsigned char *data = NULL;
    uint64_t size;
    int fd = -1, err = 0;
    const char *location = entry(proto, "location");
    if (!folder)
        return gb_fail(GB_ERR_UNSUPPORTED, "its data lies in another file, which needs a folder");
    if (!location)
        return gb_fail(GB_ERR_FORMAT, "external data without a location");
    GB_TRY(entry_number(&offset, proto, "offset", 0));
    GB_TRY(entry_number(&length, proto, "length", need));
    if (length != need) {
        err = gb_fail(GB_ERR_FORMAT, "its shape needs %zu bytes, the external data has %llu", need,
                      (unsigned long long)length);
        goto fail;
    }
    GB_TRY(resolve(path, folder, location));
    err = gb_file_open(&fd, &size, path, O_NOFOLLOW);
    if (err < 0) {
        gb_fail_in(err, "external file");
        goto fail;
    }
    if (offset > size || length > size - offset) {
        err = gb_fail(GB_ERR_FORMAT,
                      "external file '%.200s' has %llu bytes, too short for %llu at %llu", location,
                      (unsigned long long)size, (unsigned long long)length,
                      (unsigned long long)offset);
        goto fail;
    }
    data = malloc(need + 1);
    if (!data) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for %zu bytes", need);
        goto fail;
    }
    while (got < need) {
        ssize_t n = pread(fd, data + got, need - got, (off_t)(offset + got));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            err = gb_fail(GB_ERR_IO, "external file '%.200s': %s", path,
                          n ? strerror(errno) : "became shorter");
            goto fail;
        }
        got += (uint64_t)n;
    }
    close(fd);
    *bytes = data;
    return 0;
fail:
    free(data);
    if (fd >= 0)
        close(fd);
    return err;
}
