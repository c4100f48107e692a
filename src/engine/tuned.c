// The database of tuned layers: a JSON file in the cache folder, replaced whole.
#include "engine/tune.h"

#include "base/file.h"
#include "base/hash.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gb_tuned_identity(char **out, const gb_device *dev)
{
    const gb_device_info *i = gb_device_get_info(dev);
    uint64_t kernels = 0;
    int err = gb_kernels_hash(&kernels);
    if (err < 0)
        return err;
    const char *products = i->precision ? gb_precision_names[i->precision] : "";
    if (asprintf(out, "%s|%s|%s|%s%d%s|%016" PRIx64, i->platform_name, i->name, i->driver,
                 i->wide ? "GPU" : "CPU", i->vector_width, products, kernels) < 0)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    return 0;
}

int gb_tuned_path(char **out, const char *identity)
{
    char folder[3072];
    int err = gb_cache_folder(folder, sizeof folder);
    if (err < 0)
        return err;
    uint64_t hash = gb_hash(GB_HASH_INIT, identity, strlen(identity));
    if (asprintf(out, "%s/tuned-%016" PRIx64 ".json", folder, hash) < 0)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    return 0;
}

static void free_entry(gb_tuned *t)
{
    free(t->key);
    free(t->way);
    free(t->usual);
    *t = (gb_tuned){0};
}

void gb_tuned_free(gb_tuned_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free_entry(&list->entry[i]);
    free(list->entry);
    *list = (gb_tuned_list){0};
}

int gb_tuned_put(gb_tuned_list *list, const gb_tuned *entry)
{
    gb_tuned copy = {.key = strdup(entry->key), .way = strdup(entry->way),
                     .usual = strdup(entry->usual), .ms = entry->ms, .usual_ms = entry->usual_ms};
    size_t i = 0;
    if (!copy.key || !copy.way || !copy.usual ||
        gb_grow(&list->entry, &list->capacity, list->count + 1, sizeof *list->entry) < 0) {
        free_entry(&copy);
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    }
    while (i < list->count && strcmp(list->entry[i].key, copy.key) != 0)
        i++;
    if (i < list->count)
        free_entry(&list->entry[i]);
    else
        list->count++;
    list->entry[i] = copy;
    return 0;
}

// One entry; false if it is none.
static bool read_entry(gb_tuned_list *list, const json_t *json)
{
    gb_tuned t = {0};
    return json_unpack((json_t *)json, "{s:s, s:s, s:s, s:F, s:F}", "key", &t.key, "way", &t.way,
                       "usual", &t.usual, "ms", &t.ms, "usual_ms", &t.usual_ms) == 0 &&
           gb_tuned_put(list, &t) == 0;
}

int gb_tuned_load(gb_tuned_list *out, const char *identity, const gb_log *log)
{
    char *path = NULL;
    void *text = NULL;
    size_t size = 0, i;
    json_t *json = NULL, *item;
    *out = (gb_tuned_list){0};
    int err = gb_tuned_path(&path, identity);
    if (err < 0)
        return err == GB_ERR_IO ? 0 : err;
    if (gb_file_read(&text, &size, path) < 0) {
        free(path);
        return 0;
    }
    json = json_loadb(text, size, 0, NULL);
    const char *whose = json_string_value(json_object_get(json, "device"));
    const json_t *layers = json_object_get(json, "layers");
    bool sound = whose && !strcmp(whose, identity) && json_is_array(layers);
    json_array_foreach((json_t *)layers, i, item)
        sound = sound && read_entry(out, item);
    if (!sound) {
        gb_log_line(log, GB_LOG_WARN, "%s is no database of this device and is not used; gibbon "
                    "tune writes it anew", path);
        gb_tuned_free(out);
    }
    json_decref(json);
    free(text);
    free(path);
    return 0;
}

int gb_tuned_save(const gb_tuned_list *list, const char *identity)
{
    char *path = NULL, *text = NULL;
    json_t *layers = json_array(), *json = NULL;
    int err = 0;
    for (size_t i = 0; i < list->count; i++) {
        const gb_tuned *t = &list->entry[i];
        json_array_append_new(layers, json_pack("{s:s, s:s, s:s, s:f, s:f}", "key", t->key, "way",
                                                t->way, "usual", t->usual, "ms", t->ms, "usual_ms",
                                                t->usual_ms));
    }
    json = json_pack("{s:s, s:o}", "device", identity, "layers", layers);
    text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (!text) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for the tuner's database");
        goto fail;
    }
    GB_TRY(gb_tuned_path(&path, identity));
    char *slash = strrchr(path, '/');
    *slash = 0;
    GB_TRY(gb_make_cache_folder(path));
    *slash = '/';
    GB_TRY(gb_file_write(path, text, strlen(text)));
fail:
    json_decref(json);
    free(text);
    free(path);
    return err;
}

// --- what a session takes from it ---

void gb_choices_free(gb_choices *choices)
{
    for (size_t i = 0; i < choices->count; i++) {
        free(choices->entry[i].key);
        free(choices->entry[i].way);
    }
    free(choices->entry);
    *choices = (gb_choices){0};
}

int gb_tuned_choices(gb_choices *out, const gb_device *dev)
{
    const char *wanted = getenv("GIBBON_TUNE");
    gb_tuned_list list = {0};
    char *identity = NULL;
    int err = 0;
    *out = (gb_choices){0};
    if (wanted && !strcmp(wanted, "off"))
        return 0;
    GB_TRY(gb_tuned_identity(&identity, dev));
    GB_TRY(gb_tuned_load(&list, identity, gb_device_get_log(dev)));
    out->entry = calloc(list.count + 1, sizeof *out->entry);
    if (!out->entry) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
        goto fail;
    }
    for (size_t i = 0; i < list.count; i++) {
        out->entry[out->count++] = (gb_choice){list.entry[i].key, list.entry[i].way};
        list.entry[i].key = list.entry[i].way = NULL; // moved
    }
fail:
    gb_tuned_free(&list);
    free(identity);
    return err;
}
