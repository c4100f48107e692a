// Pictures that stay in their files until they are asked for: class folders, lists, .npy arrays.
#include "data/internal.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// The size of the first picture that can be read, and room for the labels.
static int measure(gb_dataset *ds)
{
    const gb_item *first = &ds->list.item[0];
    gb_npy npy = {0};
    int err = first->npy ? gb_npy_shape(&npy, first->path)
                         : gb_image_measure(&ds->native_width, &ds->native_height,
                                            &ds->native_channels, first->path);
    for (size_t i = 1; err < 0 && err != GB_ERR_NOMEM && !first->npy && i < ds->list.count; i++)
        if (gb_image_measure(&ds->native_width, &ds->native_height, &ds->native_channels,
                             ds->list.item[i].path) == 0)
            err = 0;
    if (err < 0) // of the first again, and none of the others either
        return first->npy ? err
                          : gb_image_measure(&ds->native_width, &ds->native_height,
                                             &ds->native_channels, first->path);
    ds->count = ds->list.count;
    if (first->npy) {
        const int64_t *dim = npy.dim + npy.rank - 3;
        for (int i = 0; i < 3; i++)
            if (dim[i] < 1 || dim[i] > 1 << 16)
                return gb_fail(GB_ERR_FORMAT, "%s: pictures of %lldx%lldx%lld", first->path,
                               (long long)dim[0], (long long)dim[1], (long long)dim[2]);
        ds->native_channels = (int)dim[0];
        ds->native_height = (int)dim[1];
        ds->native_width = (int)dim[2];
    }
    if (!ds->label)
        ds->label = malloc(ds->count * sizeof *ds->label);
    return ds->label ? 0 : gb_fail(GB_ERR_NOMEM, "%s: out of memory for %zu labels", ds->spec,
                                   ds->count);
}

int gb_dataset_open_npy(gb_dataset *ds, const char *images, const char *labels)
{
    gb_npy y = {0};
    int err = 0;
    GB_TRY(gb_list_add(&ds->list, images));
    GB_TRY(measure(ds));
    GB_TRY(gb_npy_read(&y, labels));
    if (y.rank != 1 || ds->list.item[0].row < 0) {
        err = gb_fail(GB_ERR_FORMAT, "%s: pictures are N,C,H,W and labels N; this has %d "
                                     "dimension%s", y.rank != 1 ? labels : images,
                      y.rank != 1 ? y.rank : 3, y.rank == 1 || y.rank == 3 ? "" : "s");
        goto fail;
    }
    if ((size_t)y.dim[0] != ds->count) {
        err = gb_fail(GB_ERR_FORMAT, "%s has %zu pictures, but %s has %lld labels", images,
                      ds->count, labels, (long long)y.dim[0]);
        goto fail;
    }
    for (size_t i = 0; i < ds->count; i++) {
        const float v = y.data[i];
        if (!(v >= -1e9f && v <= 1e9f) || (float)(int)v != v) {
            err = gb_fail(GB_ERR_FORMAT, "%s: label %zu is %g, no class", labels, i, (double)v);
            goto fail;
        }
        ds->label[i] = (int)v;
    }
    ds->label_source = "labels file";
    ds->label_text = labels;
fail:
    gb_npy_finish(&y);
    return err;
}

int gb_dataset_open_list(gb_dataset *ds, const char *argument, const gb_dataset_options *o)
{
    int err = 0;
    GB_TRY(gb_list_add(&ds->list, argument));
    GB_TRY(measure(ds));
    GB_TRY(gb_list_labels(ds->label, &ds->label_text, &ds->list, o->from, o->labels, o->classes));
    ds->label_source = o->from == GB_LABEL_FOLDER ? "folder" : "file name";
fail:
    return err;
}

// --- a folder and a list of labels ---

// Cuts a line "NAME LABEL ..." in place; false: it has no label.
static bool cut_line(char *line, char **name, char **label)
{
    const char *separators = strchr(line, '\t') ? "\t" : strchr(line, ',') ? "," : " ";
    char *rest;
    *name = strtok_r(line, separators, &rest);
    *label = *name ? strtok_r(NULL, separators, &rest) : NULL;
    if (*label)
        *label += strspn(*label, " ");
    return *label && **label;
}

static int add_listed(gb_dataset *ds, size_t *capacity, const char *folder, char *line,
                      const gb_dataset_options *o)
{
    char *name, *label;
    int err = 0;
    if (!cut_line(line, &name, &label))
        return gb_fail(GB_ERR_FORMAT, "no NAME and LABEL");
    const char *path = gb_arena_printf(&ds->arena, "%s/%s", folder, name);
    if (!path)
        return GB_ERR_NOMEM;
    if (!gb_path_exists(path) || gb_path_is_folder(path) || gb_path_ends_in(path, ".npy"))
        return gb_fail(GB_ERR_ARG, "%s is no picture", path);
    GB_TRY(gb_grow(&ds->label, capacity, ds->list.count + 1, sizeof *ds->label));
    GB_TRY(gb_labels_find(&ds->label[ds->list.count], o->labels, label, o->classes));
    GB_TRY(gb_list_add(&ds->list, path));
fail:
    return err;
}

int gb_dataset_open_listed(gb_dataset *ds, const char *folder, const char *list,
                           const gb_dataset_options *o)
{
    gb_list all = {0};
    void *text = NULL;
    size_t size, capacity = 0, number = 1;
    int err = 0;
    GB_TRY(gb_file_read(&text, &size, list));
    if (memchr(text, 0, size)) {
        err = gb_fail(GB_ERR_FORMAT, "%s: not a text file", list);
        goto fail;
    }
    for (char *line = text, *end; line && *line; line = end, number++) {
        end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (!line[strspn(line, " \t")])
            continue;
        err = add_listed(ds, &capacity, folder, line, o);
        if (err < 0) {
            gb_fail_in(err, "%s: line %zu", list, number);
            goto fail;
        }
    }
    if (!ds->list.count) {
        err = gb_fail(GB_ERR_FORMAT, "%s: lists no pictures", list);
        goto fail;
    }
    GB_TRY(measure(ds));
    ds->label_source = "labels file";
    ds->label_text = list;
    GB_TRY(gb_list_add(&all, folder));
    if (all.count > ds->count)
        gb_log_line(o->log, GB_LOG_WARN, "%s: lists %zu of the %zu pictures of %s", list,
                    ds->count, all.count, folder);
fail:
    gb_list_finish(&all);
    free(text);
    return err;
}

// --- class folders ---

// The class of each folder by the model's names, if it has some and they cover all folders.
static int match_names(int *label, const char **folder, size_t n, const gb_dataset_options *o)
{
    for (size_t i = 0; i < n; i++) {
        int err = gb_labels_find(&label[i], o->labels, gb_path_name(folder[i]), o->classes);
        if (err < 0)
            return gb_fail_in(err, "%s", folder[i]);
        for (size_t k = 0; k < i; k++)
            if (label[k] == label[i])
                return gb_fail(GB_ERR_ARG, "%s and %s are both class %d", folder[k], folder[i],
                               label[i]);
    }
    return 0;
}

static bool all_numbers(const char **folder, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *name = gb_path_name(folder[i]);
        if (name[strspn(name, "0123456789")])
            return false;
    }
    return true;
}

// Without names to match, classes are the folders in byte order, as torchvision's ImageFolder has
// them; folders called 0, 1, ... 10 are what they say, which that order would not give.
static int number_folders(gb_dataset *ds, int *label, const char **folder, size_t n,
                          const gb_dataset_options *o)
{
    if (all_numbers(folder, n))
        return match_names(label, folder, n, o);
    if (o->classes > 0 && (int64_t)n != o->classes)
        return gb_fail(GB_ERR_ARG, "%s: has %zu class folders, the model %lld classes; a labels "
                                   "file with their names would tell which is which", ds->spec, n,
                       (long long)o->classes);
    bool told = false;
    ds->label_text = "the class folders, counted in the order of their names";
    ds->class_name = gb_arena_array(&ds->arena, n, sizeof *ds->class_name);
    if (!ds->class_name)
        return GB_ERR_NOMEM;
    ds->classes = (int)n;
    for (size_t i = 0; i < n; i++) {
        ds->class_name[i] = gb_path_name(folder[i]);
        label[i] = (int)i;
        const bool odd = i && strverscmp(folder[i - 1], folder[i]) > 0; // class_10, class_2
        if (odd && !told)
            gb_log_line(o->log, GB_LOG_WARN, "%s is class %zu and %s class %zu: folders are in the "
                                             "order of their letters, not of their numbers",
                        folder[i - 1], i - 1, folder[i], i);
        told = told || odd;
    }
    return 0;
}

// A link to the folder itself is no class, and pictures of one folder have one class.
static int check_links(const char **folder, size_t *n, const char *path)
{
    struct stat own, *st = malloc((*n + 1) * sizeof *st);
    size_t kept = 0;
    int err = st && stat(path, &own) == 0 ? 0 : gb_fail(GB_ERR_IO, "%s: cannot be read", path);
    for (size_t i = 0; i < *n && err == 0; i++) {
        if (stat(folder[i], &st[kept]) < 0 ||
            (st[kept].st_dev == own.st_dev && st[kept].st_ino == own.st_ino))
            continue;
        for (size_t k = 0; k < kept; k++)
            if (st[k].st_ino == st[kept].st_ino && st[k].st_dev == st[kept].st_dev)
                err = gb_fail(GB_ERR_ARG, "%s and %s are the same folder", folder[k], folder[i]);
        folder[kept++] = folder[i];
    }
    *n = kept;
    free(st);
    return err;
}

int gb_dataset_open_classes(gb_dataset *ds, const char *path, const gb_dataset_options *o)
{
    const char **folder;
    size_t n, *end = NULL;
    int *label = NULL, err = 0;
    GB_TRY(gb_path_scan(&folder, &n, &ds->arena, path, "", "", true));
    GB_TRY(check_links(folder, &n, path));
    if (n == 0)
        return gb_fail(GB_ERR_ARG, "%s: no pictures, class folders, or idx or CIFAR-10 files in "
                                   "this folder", path);
    label = gb_arena_array(&ds->arena, n, sizeof *label);
    end = gb_arena_array(&ds->arena, n, sizeof *end);
    if (!label || !end)
        return GB_ERR_NOMEM;
    ds->label_source = "folder";
    ds->label_text = "the class folders, by their names";
    if (o->labels && o->labels->count)
        GB_TRY(match_names(label, folder, n, o));
    else
        GB_TRY(number_folders(ds, label, folder, n, o));
    for (size_t i = 0; i < n; i++) {
        GB_TRY(gb_list_add(&ds->list, folder[i])); // a folder without pictures is an error
        end[i] = ds->list.count;
    }
    GB_TRY(measure(ds));
    for (size_t i = 0, item = 0; i < n; i++)
        for (; item < end[i]; item++)
            ds->label[item] = label[i];
fail:
    return err;
}
