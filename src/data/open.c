// From a spec to an open data set: which reader it is for, and whether its labels are sound.
#include "data/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 1 << 20 };

typedef struct place {
    const char *path, *labels; // labels: NULL unless the spec names them
    gb_split split;            // the part to take
    bool asked;                // the spec itself asks for that part
} place;

// A bare name is a set that a package installed: datasets/NAME in the folders for data of the XDG
// Base Directory Specification, where Debian's dataset-* packages put theirs.
static int find_installed(place *w, gb_arena *arena)
{
    const char *dirs = getenv("XDG_DATA_DIRS"), *spec = w->path;
    if (strchr(spec, '/') || !*spec)
        return gb_fail(GB_ERR_IO, "%s: %s", spec, strerror(ENOENT));
    for (dirs = dirs && *dirs ? dirs : "/usr/local/share:/usr/share"; *dirs;) {
        const int length = (int)strcspn(dirs, ":");
        const char *path = gb_arena_printf(arena, "%.*s/datasets/%s", length, dirs, spec);
        if (!path)
            return GB_ERR_NOMEM;
        if (length && gb_path_is_folder(path)) {
            w->path = path;
            return 0;
        }
        dirs += length + (dirs[length] == ':');
    }
    return gb_fail(GB_ERR_IO, "%s: neither a file or folder nor an installed data set%s", spec,
                   strcmp(spec, "fashion-mnist") == 0 ? " (install the package "
                                                        "dataset-fashion-mnist)" : "");
}

static int parse(place *w, gb_arena *arena, const char *spec, gb_split usual)
{
    static const char *const suffix[] = {[GB_SPLIT_TRAIN] = ":train", [GB_SPLIT_TEST] = ":test"};
    char *path = gb_arena_strdup(arena, spec), *comma;
    if (!path)
        return GB_ERR_NOMEM;
    *w = (place){.path = path, .split = usual == GB_SPLIT_ANY ? GB_SPLIT_TEST : usual};
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = 0;
    if (gb_path_exists(path))
        return 0;
    for (int s = GB_SPLIT_TRAIN; s <= GB_SPLIT_TEST; s++) {
        if (gb_path_ends_in(path, suffix[s])) {
            path[strlen(path) - strlen(suffix[s])] = 0;
            w->split = (gb_split)s;
            w->asked = true;
        }
    }
    if (gb_path_exists(path))
        return 0;
    comma = strchr(path, ',');
    if (!comma)
        return find_installed(w, arena);
    *comma = 0;
    w->labels = comma + 1;
    return 0;
}

// "train-images-idx3-ubyte.gz" has its labels in "train-labels-idx1-ubyte.gz": the last "images"
// of the name becomes "labels", and "idx3" "idx1". *out is NULL where no such file exists.
static int find_labels(const char **out, gb_arena *arena, const char *images)
{
    char *name = gb_arena_printf(arena, "%s.gz", images), *at = NULL, *idx, *next;
    *out = NULL;
    if (!name)
        return GB_ERR_NOMEM;
    next = strrchr(name, '/') ? strrchr(name, '/') : name;
    while ((next = strstr(next, "images")))
        at = next++;
    if (!at)
        return 0;
    memcpy(at, "labels", 6);
    if ((idx = strstr(at, "idx3")))
        idx[3] = '1';
    // As it is, without a last ".gz", and with one more.
    for (int cut = gb_path_ends_in(images, ".gz") ? 6 : 3; cut >= 0; cut -= 3) {
        char *path = gb_arena_strdup(arena, name);
        if (!path)
            return GB_ERR_NOMEM;
        path[strlen(path) - (size_t)cut] = 0;
        if (gb_path_exists(path))
            *out = path;
    }
    return 0;
}

static int open_pair(gb_dataset *ds, const place *w, const char *images)
{
    const char *labels = w->labels;
    const bool npy = gb_path_ends_in(images, ".npy");
    int err = 0;
    if (!labels)
        GB_TRY(find_labels(&labels, &ds->arena, images));
    if (!labels)
        return gb_fail(GB_ERR_ARG, "%s: no labels found for it; give IMAGES,LABELS", images);
    err = npy ? gb_dataset_open_npy(ds, images, labels) : gb_dataset_open_idx(ds, images, labels);
fail:
    return err;
}

// DIR/train and DIR/test (or val), where the folder has its classes in parts. *out: the part to
// take, or the folder itself.
static int find_part(const char **out, gb_dataset *ds, const place *w)
{
    static const char *const names[][3] = {[GB_SPLIT_TRAIN] = {"train"},
                                           [GB_SPLIT_TEST] = {"test", "val", "valid"}};
    const char *part[3] = {NULL, NULL, NULL};
    for (int s = GB_SPLIT_TRAIN; s <= GB_SPLIT_TEST; s++) {
        for (int i = 0; i < 3 && names[s][i] && !part[s]; i++) {
            const char *path = gb_arena_printf(&ds->arena, "%s/%s", w->path, names[s][i]);
            if (!path)
                return GB_ERR_NOMEM;
            part[s] = gb_path_is_folder(path) ? path : NULL;
        }
    }
    *out = w->path;
    if (w->asked && !part[w->split])
        return gb_fail(GB_ERR_ARG, "%s: has no %s part", w->path, names[w->split][0]);
    if (w->asked || (part[GB_SPLIT_TRAIN] && part[GB_SPLIT_TEST])) {
        *out = part[w->split];
        ds->split = w->split;
    }
    return 0;
}

static int open_folder(gb_dataset *ds, const place *w, const gb_dataset_options *o)
{
    static const char *const picture[] = {".jpg", ".jpeg", ".png"};
    const char *train = NULL, *test = NULL, *path = w->path, **found;
    size_t n = 0;
    int err = 0;
    GB_TRY(gb_path_first(&train, &ds->arena, path, "train-images"));
    GB_TRY(gb_path_first(&test, &ds->arena, path, "t10k-images"));
    if (!test)
        GB_TRY(gb_path_first(&test, &ds->arena, path, "test-images"));
    if (train || test) {
        const char *images = w->split == GB_SPLIT_TRAIN ? train : test;
        ds->split = w->split;
        return images ? open_pair(ds, w, images)
                      : gb_fail(GB_ERR_ARG, "%s: no %s pictures in this folder", path,
                                w->split == GB_SPLIT_TRAIN ? "train-images*" : "t10k-images*");
    }
    GB_TRY(gb_dataset_open_cifar_folder(ds, path, w->split));
    if (ds->count)
        return 0;
    GB_TRY(find_part(&path, ds, w));
    for (size_t i = 0; i < GB_COUNT(picture) && n == 0; i++)
        GB_TRY(gb_path_scan(&found, &n, &ds->arena, path, "", picture[i], false));
    return n ? gb_dataset_open_list(ds, path, o) : gb_dataset_open_classes(ds, path, o);
fail:
    return err;
}

static int open_file(gb_dataset *ds, const place *w, const gb_dataset_options *o)
{
    const char *labels = NULL, *name = gb_path_name(w->path);
    int err = 0;
    if (w->asked)
        return gb_fail(GB_ERR_ARG, "%s: is a file, which has no train and test part", w->path);
    if (w->labels && gb_path_is_folder(w->path))
        return gb_dataset_open_listed(ds, w->path, w->labels, o);
    if (gb_path_ends_in(name, ".bin"))
        return gb_dataset_open_cifar(ds, w->path);
    GB_TRY(find_labels(&labels, &ds->arena, w->path));
    if (w->labels || labels || strstr(name, "idx") || gb_path_ends_in(name, ".gz"))
        return open_pair(ds, w, w->path);
    return gb_dataset_open_list(ds, w->path, o);
fail:
    return err;
}

// --- classes ---

static int check_labels(gb_dataset *ds, int64_t limit, const char *whose)
{
    char name[4200];
    for (size_t i = 0; i < ds->count; i++)
        if (ds->label[i] < 0 || ds->label[i] >= limit)
            return gb_fail(GB_ERR_ARG, "%s: has label %d; %s has classes 0 to %lld",
                           gb_dataset_item_text(name, sizeof name, ds, i), ds->label[i], whose,
                           (long long)limit - 1);
    return 0;
}

// How many classes there are, and their names: the model's where it has some, else the data's.
static int settle_classes(gb_dataset *ds, const gb_dataset_options *o)
{
    const bool model = o->labels && o->labels->count;
    const char **own = ds->class_name;
    const int n_own = own ? ds->classes : 0;
    char text[256];
    int err = 0;
    GB_TRY(check_labels(ds, ds->classes ? ds->classes : MAX_CLASSES, "the data"));
    if (o->classes > 0) {
        GB_TRY(check_labels(ds, o->classes, "the model"));
        ds->classes = (int)o->classes;
    } else if (ds->classes == 0) {
        if (model)
            ds->classes = o->labels->item[o->labels->count - 1].index + 1;
        for (size_t i = 0; i < ds->count; i++)
            ds->classes = ds->label[i] < ds->classes ? ds->classes : ds->label[i] + 1;
    }
    if (!model && !own)
        return 0;
    ds->class_name = gb_arena_array(&ds->arena, (size_t)ds->classes, sizeof *ds->class_name);
    if (!ds->class_name)
        return GB_ERR_NOMEM;
    for (int c = 0; c < ds->classes; c++) {
        const char *name = !model && c < n_own ? own[c] : NULL;
        if (model && gb_labels_at(o->labels, c))
            name = gb_labels_text(text, sizeof text, o->labels, c);
        if (name && !(ds->class_name[c] = gb_arena_strdup(&ds->arena, name)))
            return GB_ERR_NOMEM;
    }
fail:
    return err;
}

// A test set's class without a picture makes per-class figures meaningless: people are told.
static int tell_empty(gb_dataset *ds, const gb_log *log)
{
    enum { NAMED = 5 };
    char list[400] = "", name[64];
    int empty = 0;
    size_t *count = calloc((size_t)ds->classes, sizeof *count);
    if (!count)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory for %d classes", ds->spec, ds->classes);
    for (size_t i = 0; i < ds->count; i++)
        count[ds->label[i]]++;
    for (int c = 0; c < ds->classes; c++) {
        const size_t n = strlen(list);
        if (count[c] == 0 && empty++ < NAMED)
            snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
                     gb_dataset_class_text(name, sizeof name, ds, c));
    }
    if (empty)
        gb_log_line(log, GB_LOG_WARN, "%s: no picture of %d of %d classes: %s%s", ds->spec, empty,
                    ds->classes, list, empty > NAMED ? ", ..." : "");
    free(count);
    return 0;
}

static int name_fashion(gb_dataset *ds)
{
    static const char *const names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
    ds->classes = GB_COUNT(names);
    ds->class_name = gb_arena_array(&ds->arena, GB_COUNT(names), sizeof *names);
    if (!ds->class_name)
        return GB_ERR_NOMEM;
    memcpy(ds->class_name, names, sizeof names);
    return 0;
}

int gb_dataset_open(gb_dataset **out, const char *spec, const gb_dataset_options *options)
{
    static const gb_dataset_options none = {0};
    const gb_dataset_options *o = options ? options : &none;
    place w = {0};
    gb_preproc unit;
    char skipped[4200];
    int err = 0;
    gb_dataset *ds = calloc(1, sizeof *ds);
    *out = NULL;
    if (!ds || !(ds->spec = gb_arena_strdup(&ds->arena, spec))) {
        err = gb_fail(GB_ERR_NOMEM, "%s: out of memory", spec);
        goto fail;
    }
    GB_TRY(parse(&w, &ds->arena, spec, o->split));
    if (w.labels || !gb_path_is_folder(w.path))
        GB_TRY(open_file(ds, &w, o));
    else
        GB_TRY(open_folder(ds, &w, o));
    if (ds->bytes && gb_path_ends_in(w.path, "fashion-mnist"))
        GB_TRY(name_fashion(ds));
    if (*gb_list_skipped_text(skipped, sizeof skipped, &ds->list))
        gb_log_line(o->log, GB_LOG_WARN, "%s: %s", spec, skipped);
    GB_TRY(settle_classes(ds, o));
    GB_TRY(tell_empty(ds, o->log));
    GB_TRY(gb_preproc_find(&unit, "unit"));
    GB_TRY(gb_preproc_fit_model(&unit, ds->native_channels, ds->native_height, ds->native_width));
    GB_TRY(gb_dataset_fit(ds, &unit));
    *out = ds;
    return 0;
fail:
    gb_dataset_free(ds);
    return err;
}
