// Pictures out of an open data set, at the size a model wants.
#include "data/internal.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void gb_dataset_free(gb_dataset *ds)
{
    if (!ds)
        return;
    free(ds->bytes);
    free(ds->label);
    gb_list_finish(&ds->list);
    gb_arena_finish(&ds->arena);
    free(ds);
}

int gb_dataset_fit(gb_dataset *ds, const gb_preproc *p)
{
    const bool same = p->channels == ds->native_channels && p->crop_h == ds->native_height &&
                      p->crop_w == ds->native_width;
    if (!ds->bytes && ds->list.item[0].npy && !same)
        return gb_fail(GB_ERR_ARG, "%s: pictures of %dx%dx%d, but the model takes %dx%dx%d "
                                   "(channels, height, width)", ds->spec, ds->native_channels,
                       ds->native_height, ds->native_width, p->channels, p->crop_h, p->crop_w);
    ds->preproc = *p;
    ds->channels = p->channels;
    ds->height = p->crop_h;
    ds->width = p->crop_w;
    ds->pixels = (size_t)p->channels * (size_t)p->crop_h * (size_t)p->crop_w;
    return 0;
}

int gb_dataset_read(const gb_dataset *ds, size_t i, float *image, int *label)
{
    int err = 0;
    if (i >= ds->count)
        return gb_fail(GB_ERR_ARG, "%s: has %zu pictures, no number %zu", ds->spec, ds->count, i);
    *label = ds->label[i];
    if (!ds->bytes)
        return gb_item_load(image, &ds->list.item[i], &ds->preproc);
    gb_image fitted = {0}, picture = {ds->native_width, ds->native_height, ds->native_channels,
                                      ds->bytes + i * (size_t)ds->native_channels *
                                                      (size_t)ds->native_height *
                                                      (size_t)ds->native_width};
    if (ds->channels == picture.channels && ds->height == picture.height &&
        ds->width == picture.width) {
        gb_image_to_chw(image, &picture);
        return 0;
    }
    err = gb_preproc_image(&fitted, &picture, &ds->preproc);
    if (err == 0)
        gb_image_to_chw(image, &fitted);
    gb_image_finish(&fitted);
    return err;
}

char *gb_dataset_item_text(char *buf, size_t size, const gb_dataset *ds, size_t i)
{
    if (!ds->bytes && i < ds->list.count)
        return gb_item_text(buf, size, &ds->list.item[i]);
    snprintf(buf, size, "%s[%zu]", ds->spec, i);
    return buf;
}

char *gb_dataset_class_text(char *buf, size_t size, const gb_dataset *ds, int index)
{
    if (ds->class_name && index >= 0 && index < ds->classes && ds->class_name[index])
        snprintf(buf, size, "%s", ds->class_name[index]);
    else
        snprintf(buf, size, "class %d", index);
    return buf;
}

// The bytes themselves would take as long to read as an evaluation.
int32_t gb_dataset_stamp(const gb_dataset *ds, size_t i)
{
    struct stat st;
    if (ds->bytes || stat(ds->list.item[i].path, &st) < 0)
        return 0;
    const int64_t file[] = {st.st_size, st.st_mtim.tv_sec, st.st_mtim.tv_nsec};
    const uint64_t hash = gb_hash(GB_HASH_INIT, file, sizeof file);
    return (int32_t)((hash ^ hash >> 32) & 0x7fffffff);
}

bool gb_dataset_same_file(const gb_dataset *ds, size_t i, size_t k)
{
    return !ds->bytes && ds->list.item[i].path == ds->list.item[k].path;
}

uint64_t gb_dataset_hash(const gb_dataset *ds)
{
    char name[4200];
    const int native[] = {ds->native_channels, ds->native_height, ds->native_width};
    uint64_t hash = gb_hash(GB_HASH_INIT, ds->label, ds->count * sizeof *ds->label);
    if (ds->bytes)
        hash = gb_hash(hash, native, sizeof native);
    if (ds->bytes)
        return gb_hash(hash, ds->bytes, ds->count * (size_t)ds->native_channels *
                                            (size_t)ds->native_height * (size_t)ds->native_width);
    for (size_t i = 0; i < ds->count; i++) {
        gb_dataset_item_text(name, sizeof name, ds, i);
        hash = gb_hash(hash, name, strlen(name) + 1);
    }
    return hash;
}
