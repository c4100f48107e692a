// Class names.
#include "image/labels.h"

#include "base/file.h"
#include "base/name.h"
#include "base/number.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLASSES = 1 << 20 };

// "n" and eight digits.
static bool is_wnid(const char *text, size_t length)
{
    if (length != 9 || text[0] != 'n')
        return false;
    for (size_t i = 1; i < 9; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return true;
}

static bool is_number(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return length > 0;
}

static int add(gb_labels *labels, size_t *capacity, int64_t index, const char *wnid,
               size_t wnid_length, const char *name, size_t name_length)
{
    char *copy = gb_arena_alloc(&labels->arena, wnid_length + name_length + 2);
    int err = gb_grow(&labels->item, capacity, labels->count + 1, sizeof *labels->item);
    if (!copy || err < 0)
        return GB_ERR_NOMEM;
    if (index < 0 || index >= MAX_CLASSES)
        return gb_fail(GB_ERR_FORMAT, "%s: class index %lld is out of range", labels->path,
                       (long long)index);
    memcpy(copy, wnid, wnid_length); // the arena's zeros end both
    memcpy(copy + wnid_length + 1, name, name_length);
    labels->item[labels->count++] = (gb_class){(int)index, copy + wnid_length + 1, copy};
    return 0;
}

// --- text ---

typedef struct line {
    const char *at, *end;
} line;

// The next word of a line: [word, rest) without the white space around it.
static const char *word_end(line l)
{
    while (l.at < l.end && !isspace((unsigned char)*l.at))
        l.at++;
    return l.at;
}

static line trim(line l)
{
    while (l.at < l.end && isspace((unsigned char)*l.at))
        l.at++;
    while (l.end > l.at && isspace((unsigned char)l.end[-1]))
        l.end--;
    return l;
}

static bool next_line(line *out, line *rest)
{
    if (rest->at == rest->end)
        return false;
    const char *stop = memchr(rest->at, '\n', (size_t)(rest->end - rest->at));
    *out = trim((line){rest->at, stop ? stop : rest->end});
    rest->at = stop ? stop + 1 : rest->end;
    return true;
}

// Takes the first word off a line if something follows it.
static bool take_word(line *word, line *l)
{
    const char *stop = word_end(*l);
    line tail = trim((line){stop, l->end});
    if (tail.at == tail.end)
        return false;
    *word = (line){l->at, stop};
    *l = tail;
    return true;
}

static int decode_text(gb_labels *labels, size_t *capacity, line all)
{
    // Numbers are indices only if every line starts with one: "3 wheeler" alone is a name.
    bool indexed = true;
    line l, word = {0}, rest = all;
    while (next_line(&l, &rest))
        if (l.at < l.end && (!take_word(&word, &l) ||
                             !is_number(word.at, (size_t)(word.end - word.at))))
            indexed = false;
    rest = all;
    for (int number = 1; next_line(&l, &rest); number++) {
        int64_t index = number - 1;
        line wnid = {l.at, l.at};
        if (l.at == l.end) { // an empty last line is common; one between would shift the classes
            if (trim(rest).at == rest.end)
                break;
            return gb_fail(GB_ERR_FORMAT, "%s: line %d is empty", labels->path, number);
        }
        if (indexed) {
            take_word(&word, &l);
            index = word.end - word.at < 10 ? strtoll(word.at, NULL, 10) : -1;
        }
        line after = l;
        if (take_word(&word, &after) && is_wnid(word.at, (size_t)(word.end - word.at))) {
            wnid = word;
            l = after;
        }
        int err = add(labels, capacity, index, wnid.at, (size_t)(wnid.end - wnid.at), l.at,
                      (size_t)(l.end - l.at));
        if (err < 0)
            return err;
    }
    return 0;
}

// --- JSON ---

static int add_json(gb_labels *labels, size_t *capacity, int64_t index, const json_t *value)
{
    const char *wnid = "", *name = json_string_value(value);
    if (json_is_array(value) && json_array_size(value) == 2) {
        wnid = json_string_value(json_array_get(value, 0));
        name = json_string_value(json_array_get(value, 1));
    }
    if (!name || !wnid || !*name)
        return gb_fail(GB_ERR_FORMAT, "%s: class %lld is neither a name nor [WNID, name]",
                       labels->path, (long long)index);
    return add(labels, capacity, index, wnid, strlen(wnid), name, strlen(name));
}

static int decode_json(gb_labels *labels, size_t *capacity, const void *bytes, size_t size)
{
    json_error_t why;
    const locale_t before = gb_plain_begin();
    json_t *value, *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &why);
    gb_plain_end(before);
    const char *key;
    size_t i;
    int err = 0;
    if (!root)
        return gb_fail(GB_ERR_FORMAT, "%s: line %d: %s", labels->path, why.line, why.text);
    json_array_foreach(root, i, value)
    {
        if (err == 0)
            err = add_json(labels, capacity, (int64_t)i, value);
    }
    json_object_foreach(root, key, value)
    {
        if (err == 0 && (!is_number(key, strlen(key)) || strlen(key) > 9))
            err = gb_fail(GB_ERR_FORMAT, "%s: the key \"%.64s\" is not a class index",
                          labels->path, key);
        if (err == 0)
            err = add_json(labels, capacity, strtoll(key, NULL, 10), value);
    }
    json_decref(root);
    return err;
}

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

// --- the whole ---

static int by_index(const void *a, const void *b)
{
    const gb_class *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

int gb_labels_decode(gb_labels *out, const void *bytes, size_t size, const char *name)
{
    size_t capacity = 0;
    int err = 0;
    *out = (gb_labels){0};
    out->path = gb_arena_strdup(&out->arena, name);
    if (!out->path)
        return GB_ERR_NOMEM;
    line all = {bytes, (const char *)bytes + size};
    if (size >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) // UTF-8's byte order mark
        all.at += 3;
    line body = trim(all);
    if (memchr(bytes, 0, size)) {
        err = gb_fail(GB_ERR_FORMAT, "%s: not a text file", name);
        goto fail;
    }
    if (body.at < body.end && (*body.at == '[' || *body.at == '{'))
        GB_TRY(decode_json(out, &capacity, body.at, (size_t)(body.end - body.at)));
    else
        GB_TRY(decode_text(out, &capacity, all));
    if (out->count == 0) {
        err = gb_fail(GB_ERR_FORMAT, "%s: holds no class names", name);
        goto fail;
    }
    qsort(out->item, out->count, sizeof *out->item, by_index);
    for (size_t i = 1; i < out->count; i++) {
        if (out->item[i].index == out->item[i - 1].index) {
            err = gb_fail(GB_ERR_FORMAT, "%s: class %d is there twice", name, out->item[i].index);
            goto fail;
        }
    }
    return 0;
fail:
    gb_labels_finish(out);
    return err;
}

int gb_labels_read(gb_labels *out, const char *path)
{
    void *bytes;
    size_t size;
    *out = (gb_labels){0};
    int err = gb_file_read_input(&bytes, &size, path);
    if (err < 0)
        return err;
    err = gb_labels_decode(out, bytes, size, path);
    free(bytes);
    return err;
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
    if (!labels || labels->count == 0 || index < 0 || index >= MAX_CLASSES)
        return NULL;
    return bsearch(&key, labels->item, labels->count, sizeof key, by_index);
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
    if (is_number(text, length)) {
        index = length < 10 ? strtoll(text, NULL, 10) : INT64_MAX;
    } else if (!labels || labels->count == 0) {
        return gb_fail(GB_ERR_ARG, "class '%.64s': a name needs a labels file, else give the index",
                       text);
    } else {
        if (is_wnid(text, length))
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
