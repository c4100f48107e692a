// Folders of data. The input is a byte of choices, then files: the length of a name, the name, the
// length of the content in two bytes, the content. A name that ends in '@' is a link to the latter.
#include "base/file.h"
#include "data/data.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

// Nothing outside of the folder.
static bool is_tame(const char *name)
{
    return *name && *name != '/' && !strstr(name, "..") && strlen(name) < 60;
}

static void put(const char *root, const char *name, const char *bytes, size_t size)
{
    char path[300], target[64] = "";
    const size_t length = strlen(name);
    if (!is_tame(name))
        return;
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        gb_make_dirs(path);
        *slash = '/';
    }
    memcpy(target, bytes, size < sizeof target - 1 ? size : sizeof target - 1);
    FILE *file = NULL;
    if (length > 1 && name[length - 1] == '@' && is_tame(target)) {
        path[strlen(path) - 1] = 0;
        if (symlink(target, path) < 0)
            return;
    } else if ((file = fopen(path, "wbx"))) { // not through a link
        fwrite(bytes, 1, size, file);
        fclose(file);
    }
}

static void open_it(const char *spec, int choices)
{
    const gb_dataset_options options = {.split = choices & 1 ? GB_SPLIT_TRAIN : GB_SPLIT_TEST,
                                        .classes = choices & 2 ? 10 : 0,
                                        .from = (gb_label_from)((choices >> 2 & 3) % 3)};
    gb_dataset *ds;
    char name[4200];
    int label;
    if (gb_dataset_open(&ds, spec, &options) < 0)
        return;
    float *image = ds->pixels < 1 << 20 ? malloc(ds->pixels * sizeof *image) : NULL;
    for (size_t i = 0; image && i < ds->count && i < 4; i++) {
        gb_dataset_read(ds, i, image, &label);
        gb_dataset_item_text(name, sizeof name, ds, i);
        gb_dataset_stamp(ds, i);
    }
    gb_dataset_hash(ds);
    free(image);
    gb_dataset_free(ds);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *temp = getenv("TMPDIR");
    char root[200], name[64], spec[420];
    snprintf(root, sizeof root, "%s/gibbon-fuzz-XXXXXX", temp ? temp : "/tmp");
    if (size < 1 || size > 1 << 14 || !mkdtemp(root))
        return 0;
    const uint8_t *at = data + 1, *end = data + size;
    for (int files = 0; at < end && files < 32; files++) {
        const size_t length = *at++ % sizeof name;
        if ((size_t)(end - at) < length + 2)
            break;
        memcpy(name, at, length);
        name[length] = 0;
        at += length;
        size_t bytes = at[0] | (size_t)at[1] << 8;
        at += 2;
        bytes = bytes < (size_t)(end - at) ? bytes : (size_t)(end - at);
        put(root, name, (const char *)at, bytes);
        at += bytes;
    }
    snprintf(spec, sizeof spec, data[0] & 16 ? "%s,%s/list.txt" : "%s", root, root);
    open_it(spec, data[0]);
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}
