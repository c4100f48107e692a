// Names files of arrays and writes their elements.
#include "array_file.h"

#include "base/name.h"
#include "base/utf8.h"
#include "image/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 200 }; // bytes: file systems allow 255, endings and temporary names included

// --- names ---

// The file that a name asks for; false where that is not the name itself.
static bool plain_name(char *out, const char *name)
{
    size_t used = 0;
    bool same = true;
    while (*name) {
        const size_t n = gb_utf8_length(name);
        const unsigned char c = (unsigned char)*name;
        const bool kept = n > 1 || (n == 1 && c >= 32 && c != 127 && c != '/' && c != ':');
        if (used + (n ? n : 1) > LONGEST)
            break;
        memcpy(out + used, kept ? name : "_", kept ? n : 1);
        used += kept ? n : 1;
        same = same && kept;
        name += n ? n : 1;
    }
    out[used] = 0;
    return same && !*name;
}

static bool is_taken(char *const *file, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (file[i] && gb_same_word(file[i], name))
            return true;
    return false;
}

int array_file_names(char **file, gb_arena *arena, const char *const *name, size_t n)
{
    char plain[LONGEST + 1], numbered[LONGEST + 24];
    for (size_t i = 0; i < n; i++)
        file[i] = NULL;
    for (size_t i = 0; i < n; i++)
        if (plain_name(plain, name[i]) && !is_taken(file, n, plain) &&
            !(file[i] = gb_arena_strdup(arena, plain)))
            return GB_ERR_NOMEM;
    for (size_t i = 0; i < n; i++) {
        if (file[i])
            continue;
        plain_name(plain, name[i]);
        snprintf(numbered, sizeof numbered, "%s", plain);
        for (size_t k = 2; is_taken(file, n, numbered); k++)
            snprintf(numbered, sizeof numbered, "%s~%zu", plain, k);
        if (!(file[i] = gb_arena_strdup(arena, numbered)))
            return GB_ERR_NOMEM;
    }
    return 0;
}

// --- elements ---

static const char *numpy_code(gb_dtype type, gb_int ints)
{
    static const char *const code[] = {
        [GB_INT64] = "i8", [GB_INT32] = "i4", [GB_INT16] = "i2", [GB_INT8] = "i1",
        [GB_UINT64] = "u8", [GB_UINT32] = "u4", [GB_UINT16] = "u2", [GB_UINT8] = "u1"};
    return type == GB_I64 ? code[ints] : type == GB_BOOL ? "b1" : "f4";
}

// Writes integers in as many bytes as they have, the lowest first.
static int write_ints(const char *path, gb_dtype type, gb_int ints, const gb_shape *shape,
                      const int64_t *data)
{
    const char *code = numpy_code(type, ints);
    const size_t bytes = (size_t)(code[1] - '0'), count = (size_t)gb_shape_count(shape);
    unsigned char *packed = malloc(count * bytes + 1);
    if (!packed)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    for (size_t i = 0; i < count; i++)
        for (size_t b = 0; b < bytes; b++)
            packed[i * bytes + b] = (unsigned char)((uint64_t)data[i] >> 8 * b);
    int err = gb_npy_write_as(path, code, packed, shape->rank, shape->dim);
    free(packed);
    return err;
}

int array_file_write(const char *path, gb_dtype type, gb_int ints, const gb_shape *shape,
                     const float *data)
{
    if (type != GB_I64 && type != GB_BOOL)
        return gb_npy_write(path, data, shape->rank, shape->dim);
    const int64_t count = gb_shape_count(shape);
    int64_t *whole = malloc((size_t)count * sizeof *whole + 1);
    int err = whole ? 0 : gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    for (int64_t i = 0; i < count && err == 0; i++) {
        if (!(data[i] >= -0x1p24f && data[i] <= 0x1p24f))
            err = gb_fail(GB_ERR_NUMERIC, "%s: %g is no integer that float32 holds exactly", path,
                          (double)data[i]);
        else
            whole[i] = (int64_t)data[i];
    }
    if (err == 0)
        err = write_ints(path, type, ints, shape, whole);
    free(whole);
    return err;
}

int array_file_write_tensor(const char *path, const gb_tensor *t)
{
    if (t->type == GB_I64 || t->type == GB_BOOL)
        return write_ints(path, t->type, t->ints, &t->shape, t->data);
    return gb_npy_write(path, t->data, t->shape.rank, t->shape.dim);
}
