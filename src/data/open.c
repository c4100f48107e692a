// From a spec to an open data set: which reader it is for, and whether its labels are sound.
#include "data/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const fashion_names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"};
enum { MAX_CLASSES = 1 << 20 };

typedef struct place {
    const char *path, *labels; // labels: NULL unless the spec names them
    gb_split split;            // the part to take
    bool asked;                // the spec itself asks for that part
} place;

static bool exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static bool is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

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
        if (length && is_folder(path)) {
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
    if (exists(path))
        return 0;
    for (int s = GB_SPLIT_TRAIN; s <= GB_SPLIT_TEST; s++) {
        if (gb_path_ends_in(path, suffix[s])) {
            path[strlen(path) - strlen(suffix[s])] = 0;
            w->split = (gb_split)s;
            w->asked = true;
        }
    }
    if (exists(path))
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
        if (exists(path))
            *out = path;
    }
    return 0;
}

static int open_idx(gb_dataset *ds, const place *w, const char *images)
{
    const char *labels = w->labels;
    int err = 0;
    if (!labels)
        GB_TRY(find_labels(&labels, &ds->arena, images));
    if (!labels)
        return gb_fail(GB_ERR_ARG, "%s: no labels found for it; give IMAGES,LABELS", images);
    err = gb_dataset_open_idx(ds, images, labels);
fail:
    return err;
}

static int open_folder(gb_dataset *ds, const place *w)
{
    const char *train = NULL, *test = NULL, *path = w->path;
    int err = 0;
    GB_TRY(gb_path_find(&train, &ds->arena, path, "train-images", ""));
    GB_TRY(gb_path_find(&test, &ds->arena, path, "t10k-images", ""));
    if (!test)
        GB_TRY(gb_path_find(&test, &ds->arena, path, "test-images", ""));
    if (train || test) {
        const char *images = w->split == GB_SPLIT_TRAIN ? train : test;
        ds->split = w->split;
        if (!images)
            return gb_fail(GB_ERR_ARG, "%s: no %s pictures in this folder", path,
                           w->split == GB_SPLIT_TRAIN ? "train-images*" : "t10k-images*");
        return open_idx(ds, w, images);
    }
    err = gb_fail(GB_ERR_ARG, "%s: no data set that gibbon reads in this folder", path);
fail:
    return err;
}

static int open_any(gb_dataset *ds, const place *w, const gb_dataset_options *o)
{
    (void)o;
    if (is_folder(w->path))
        return open_folder(ds, w);
    if (w->asked)
        return gb_fail(GB_ERR_ARG, "%s: a file has no train and test part", w->path);
    return open_idx(ds, w, w->path);
}

// --- labels ---

static int check_labels(gb_dataset *ds, const gb_dataset_options *o)
{
    int64_t limit = o->classes > 0 ? o->classes : ds->classes > 0 ? ds->classes : MAX_CLASSES;
    int largest = 0;
    for (size_t i = 0; i < ds->count; i++) {
        if (ds->label[i] < 0 || ds->label[i] >= limit)
            return gb_fail(GB_ERR_ARG, "%s: picture %zu has label %d; %s has classes 0 to %lld",
                           ds->spec, i, ds->label[i], o->classes > 0 ? "the model" : "the data",
                           (long long)limit - 1);
        largest = ds->label[i] > largest ? ds->label[i] : largest;
    }
    ds->classes = limit < MAX_CLASSES ? (int)limit : largest + 1;
    return 0;
}

// The model's names where it has some, else the data's own.
static int settle_names(gb_dataset *ds, const gb_dataset_options *o, const char *const *own,
                        int n_own)
{
    const bool model = o->labels && o->labels->count;
    char text[256];
    if (!model && n_own == 0)
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
    return 0;
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

int gb_dataset_open(gb_dataset **out, const char *spec, const gb_dataset_options *options)
{
    static const gb_dataset_options none = {0};
    const gb_dataset_options *o = options ? options : &none;
    place w = {0};
    gb_preproc unit;
    int err = 0;
    gb_dataset *ds = calloc(1, sizeof *ds);
    *out = NULL;
    if (!ds || !(ds->spec = gb_arena_strdup(&ds->arena, spec))) {
        err = gb_fail(GB_ERR_NOMEM, "%s: out of memory", spec);
        goto fail;
    }
    GB_TRY(parse(&w, &ds->arena, spec, o->split));
    GB_TRY(open_any(ds, &w, o));
    bool fashion = gb_path_ends_in(w.path, "fashion-mnist");
    if (fashion)
        ds->classes = GB_COUNT(fashion_names);
    GB_TRY(check_labels(ds, o));
    GB_TRY(settle_names(ds, o, fashion_names, fashion ? (int)GB_COUNT(fashion_names) : 0));
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
