// Class names: found by index, name or WordNet ID, and written.
#include "image/labels_internal.h"

#include "base/name.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int gb_labels_json(char **out, const char *const *names, size_t n)
{
    json_t *array = json_array();
    char number[32];
    for (size_t i = 0; i < n; i++) {
        snprintf(number, sizeof number, "class %zu", i);
        json_t *name = json_string(names[i] && *names[i] ? names[i] : number);
        if (!name) { // not UTF-8, as a folder's name can be
            json_decref(array);
            return gb_fail(GB_ERR_FORMAT, "the name of class %zu is not UTF-8", i);
        }
        json_array_append_new(array, name);
    }
    *out = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    return *out ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory for %zu class names", n);
}

void gb_labels_finish(gb_labels *labels)
{
    free(labels->item);
    gb_arena_finish(&labels->arena);
    *labels = (gb_labels){0};
}

const gb_class *gb_labels_at(const gb_labels *labels, int64_t index)
{
    const gb_class key = {.index = (int)index};
    if (!labels || labels->count == 0 || index < 0 || index >= GB_LABELS_MOST)
        return NULL;
    return bsearch(&key, labels->item, labels->count, sizeof key, gb_class_by_index);
}

const gb_class *gb_labels_wnid(const gb_labels *labels, const char *wnid)
{
    for (size_t i = 0; labels && *wnid && i < labels->count; i++)
        if (strcmp(labels->item[i].wnid, wnid) == 0)
            return &labels->item[i];
    return NULL;
}

char *gb_labels_text(char *buf, size_t size, const gb_labels *labels, int64_t index)
{
    const gb_class *c = gb_labels_at(labels, index);
    if (c)
        snprintf(buf, size, "%.*s", (int)strcspn(c->name, ","), c->name);
    else
        snprintf(buf, size, "class %lld", (long long)index);
    return buf;
}

// --- finding what a person typed ---

static char fold(char c)
{
    return c == '_' ? ' ' : gb_lower(c);
}

static bool same(const char *a, const char *b, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (fold(a[i]) != fold(b[i]))
            return false;
    return true;
}

// How well a class answers to `text`: 3 its whole name, 2 one of its synonyms, 1 a piece, 0 not.
static int match(const gb_class *c, const char *text)
{
    const size_t length = strlen(text), whole = strlen(c->name);
    int best = 0;
    if (length == whole && same(c->name, text, length))
        return 3;
    for (size_t at = 0; at + length <= whole; at++) {
        if (!same(c->name + at, text, length))
            continue;
        bool starts = at == 0 || (at >= 2 && memcmp(c->name + at - 2, ", ", 2) == 0);
        bool ends = at + length == whole || c->name[at + length] == ',';
        best = starts && ends ? 2 : best ? best : 1;
    }
    return best;
}

static int find_by_name(const gb_class **out, const gb_labels *labels, const char *text)
{
    char list[512] = "";
    size_t found = 0;
    int best = 0;
    for (size_t i = 0; i < labels->count; i++) {
        int m = match(&labels->item[i], text);
        if (m == 0 || m < best)
            continue;
        if (m > best)
            found = 0;
        best = m;
        if (found++ == 0)
            *out = &labels->item[i];
    }
    if (found == 1)
        return 0;
    if (found == 0)
        return gb_fail(GB_ERR_ARG, "no class in %s is called '%.64s'", labels->path, text);
    size_t used = 0, shown = 0;
    for (size_t i = 0; i < labels->count && shown < 8; i++) {
        const gb_class *c = &labels->item[i];
        if (match(c, text) != best)
            continue;
        int n = snprintf(list + used, sizeof list - used, "%s%d %.40s", shown ? "; " : "",
                         c->index, c->name);
        used += n > 0 ? (size_t)n : 0;
        shown++;
    }
    return gb_fail(GB_ERR_AMBIGUOUS, "class '%.64s' is ambiguous: %s%s", text, list,
                   found > shown ? "; ..." : "");
}

int gb_labels_find(int *out, const gb_labels *labels, const char *text, int64_t classes)
{
    const size_t length = strlen(text);
    const gb_class *c = NULL;
    int64_t index;
    int err;
    if (gb_is_number(text, length)) {
        index = length < 10 ? strtoll(text, NULL, 10) : INT64_MAX;
    } else if (!labels || labels->count == 0) {
        return gb_fail(GB_ERR_ARG, "class '%.64s': a name needs a labels file, else give the index",
                       text);
    } else {
        if (gb_is_wnid(text, length))
            c = gb_labels_wnid(labels, text);
        if (!c && (err = length ? find_by_name(&c, labels, text)
                                : gb_fail(GB_ERR_ARG, "the class has no name")) < 0)
            return err;
        index = c->index;
    }
    if (index > INT32_MAX || (classes > 0 && index >= classes)) {
        if (classes > 0)
            return gb_fail(GB_ERR_ARG,
                           "class %.64s is out of range: the model has classes 0 to %lld", text,
                           (long long)classes - 1);
        return gb_fail(GB_ERR_ARG, "class %.64s is out of range", text);
    }
    *out = (int)index;
    return 0;
}
