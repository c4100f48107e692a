// Reads CIFAR-10's binary files.
#include "data/internal.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE, CLASSES = 10 };

int gb_cifar_append(gb_dataset *ds, const void *bytes, size_t size, const char *name)
{
    const uint8_t *in = bytes;
    const size_t n = size / RECORD;
    if (size == 0 || size % RECORD)
        return gb_fail(GB_ERR_FORMAT, "%s: its %zu bytes are no multiple of CIFAR-10's records of "
                                      "%d (truncated?)", name, size, RECORD);
    int *label = realloc(ds->label, (ds->count + n) * sizeof *label);
    if (label)
        ds->label = label;
    uint8_t *out = realloc(ds->bytes, (ds->count + n) * 3 * PLANE);
    if (out)
        ds->bytes = out;
    if (!label || !out)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory for its %zu pictures", name, n);
    out += ds->count * 3 * PLANE;
    label += ds->count;
    for (size_t i = 0; i < n; i++, in += RECORD, out += 3 * PLANE) {
        if (in[0] >= CLASSES)
            return gb_fail(GB_ERR_FORMAT, "%s: picture %zu has label %d; CIFAR-10 has classes 0 to "
                                          "%d", name, i, in[0], CLASSES - 1);
        label[i] = in[0];
        for (int c = 0; c < 3; c++)
            for (int p = 0; p < PLANE; p++)
                out[3 * p + c] = in[1 + c * PLANE + p];
    }
    ds->count += n;
    ds->classes = CLASSES;
    ds->native_channels = 3;
    ds->native_height = ds->native_width = SIDE;
    ds->label_source = "data set";
    ds->label_text = "the records of the data set";
    return 0;
}

static int append_file(gb_dataset *ds, const char *path)
{
    void *bytes;
    size_t size;
    int err = gb_file_read(&bytes, &size, path);
    if (err < 0)
        return err;
    err = gb_cifar_append(ds, bytes, size, path);
    free(bytes);
    return err;
}

int gb_cifar_names(gb_dataset *ds, const char *folder)
{
    gb_labels labels = {0};
    int err = 0;
    const char *path = gb_arena_printf(&ds->arena, "%s/batches.meta.txt", folder);
    if (!path)
        return GB_ERR_NOMEM;
    if (!gb_path_exists(path))
        return 0;
    GB_TRY(gb_labels_read(&labels, path));
    if (labels.count != CLASSES) {
        err = gb_fail(GB_ERR_FORMAT, "%s: names %zu classes; CIFAR-10 has %d", path, labels.count,
                      CLASSES);
        goto fail;
    }
    ds->class_name = gb_arena_array(&ds->arena, CLASSES, sizeof *ds->class_name);
    if (!ds->class_name)
        err = GB_ERR_NOMEM;
    for (int c = 0; c < CLASSES && err == 0; c++)
        if (gb_labels_at(&labels, c) &&
            !(ds->class_name[c] = gb_arena_strdup(&ds->arena, gb_labels_at(&labels, c)->name)))
            err = GB_ERR_NOMEM;
fail:
    gb_labels_finish(&labels);
    return err;
}

int gb_dataset_open_cifar(gb_dataset *ds, const char *path)
{
    const char *name = gb_path_name(path);
    const char *folder = name == path ? "."
                                      : gb_arena_printf(&ds->arena, "%.*s",
                                                        (int)(name - path), path);
    int err = folder ? append_file(ds, path) : GB_ERR_NOMEM;
    return err < 0 ? err : gb_cifar_names(ds, folder);
}

int gb_dataset_open_cifar_folder(gb_dataset *ds, const char *folder, gb_split split)
{
    const char **train, **test;
    size_t n_train, n_test;
    int err = 0;
    GB_TRY(gb_path_scan(&train, &n_train, &ds->arena, folder, "data_batch_", ".bin", false));
    GB_TRY(gb_path_scan(&test, &n_test, &ds->arena, folder, "test_batch", ".bin", false));
    if (n_train + n_test == 0)
        return 0;
    const char **path = split == GB_SPLIT_TRAIN ? train : test;
    const size_t n = split == GB_SPLIT_TRAIN ? n_train : n_test;
    if (n == 0)
        return gb_fail(GB_ERR_ARG, "%s: no %s in this folder", folder,
                       split == GB_SPLIT_TRAIN ? "data_batch_*.bin" : "test_batch.bin");
    ds->split = split;
    for (size_t i = 0; i < n; i++)
        GB_TRY(append_file(ds, path[i]));
    err = gb_cifar_names(ds, folder);
fail:
    return err;
}
