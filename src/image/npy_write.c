// NPY out, as npy.c reads it.
#include "image/image.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[6] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { MAX_RANK = GB_COUNT(((gb_npy *)0)->dim) };

static const char *order_of(size_t size)
{
    return size > 1 ? "<" : "|"; // as numpy writes it
}

int gb_npy_write(const char *path, const float *data, int rank, const int64_t *dim)
{
    return gb_npy_write_as(path, "f4", data, rank, dim);
}

int gb_npy_write_as(const char *path, const char *code, const void *data, int rank,
                    const int64_t *dim)
{
    // Version 1.0; the header is padded with spaces to a multiple of 64 bytes and ends in '\n'.
    char dict[64 + 24 * MAX_RANK];
    size_t bytes = (size_t)(code[1] - '0');
    size_t n = (size_t)snprintf(dict, sizeof dict,
                                "{'descr': '%s%s', 'fortran_order': False, 'shape': (",
                                order_of(bytes), code);
    if (rank < 0 || rank > MAX_RANK)
        return gb_fail(GB_ERR_ARG, "%s: cannot write %d dimensions", path, rank);
    for (int i = 0; i < rank; i++) {
        n += (size_t)snprintf(dict + n, sizeof dict - n, "%lld,%s", (long long)dim[i],
                              i + 1 < rank ? " " : "");
        if (dim[i] < 0 || !gb_mul_size(&bytes, bytes, (size_t)dim[i]))
            return gb_fail(GB_ERR_ARG, "%s: cannot write such a shape", path);
    }
    n += (size_t)snprintf(dict + n, sizeof dict - n, "), }");
    const size_t head = gb_align(10 + n + 1, 64);
    uint8_t *file = bytes <= SIZE_MAX - head ? malloc(head + bytes) : NULL;
    if (!file)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    memset(file, ' ', head);
    memcpy(file, magic, sizeof magic);
    file[6] = 1;
    file[7] = 0;
    file[8] = (uint8_t)((head - 10) & 255);
    file[9] = (uint8_t)((head - 10) >> 8);
    memcpy(file + 10, dict, n);
    file[head - 1] = '\n';
    if (bytes)
        memcpy(file + head, data, bytes);
    int err = gb_file_write(path, file, head + bytes);
    free(file);
    return err;
}
