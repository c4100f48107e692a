// An array of pictures in a file: its shape, its rows one by one, and its rows as a list.
#include "image/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A file in memory under a name that ends in .npy.
static char folder[] = "/tmp/gibbon-fuzz-XXXXXX", path[64];
static int file = -1;

static void clear(void)
{
    unlink(path);
    rmdir(folder);
}

static void prepare(void)
{
    char target[64];
    file = memfd_create("rows", 0);
    if (file < 0 || !mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/x.npy", folder);
    snprintf(target, sizeof target, "/proc/self/fd/%d", file);
    if (symlink(target, path) < 0)
        abort();
    atexit(clear);
}

static void read_row(const gb_npy *shape, int64_t row)
{
    gb_npy npy;
    if (gb_npy_read_rows(&npy, path, row, 1) < 0)
        return;
    if (npy.rank != shape->rank || (npy.rank && npy.dim[0] != 1))
        abort();
    gb_npy_finish(&npy);
}

static void load(const gb_npy *shape, const gb_item *item)
{
    const int64_t *dim = shape->dim + shape->rank - 3;
    gb_preproc p;
    if (dim[0] * dim[1] * dim[2] > 1 << 16 || gb_preproc_find(&p, "unit") < 0 ||
        gb_preproc_fit_model(&p, (int)dim[0], (int)dim[1], (int)dim[2]) < 0)
        return;
    float *chw = calloc((size_t)(dim[0] * dim[1] * dim[2]), sizeof *chw);
    if (chw)
        gb_item_load(chw, item, &p);
    free(chw);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gb_list list = {0};
    gb_npy shape;
    if (file < 0)
        prepare();
    if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size)
        abort();
    if (gb_npy_shape(&shape, path) == 0) {
        const int64_t rows = shape.rank ? shape.dim[0] : 1;
        const int64_t some[] = {-1, 0, rows / 2, rows - 1, rows};
        for (size_t i = 0; i < GB_COUNT(some); i++)
            read_row(&shape, some[i]);
        if (gb_list_add(&list, path) == 0) {
            // A row has a pixel, and a pixel a byte.
            if (list.count > size || (list.count != 1 && list.count != (size_t)shape.dim[0]))
                abort();
            load(&shape, &list.item[0]);
            load(&shape, &list.item[list.count - 1]);
        }
    }
    gb_list_finish(&list);
    return 0;
}
