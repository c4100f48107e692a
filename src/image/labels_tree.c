// Class names as JSON has them, or as Python prints a list or a dict.
#include "image/labels_internal.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- Python's literals as JSON ---

static bool quote(FILE *out, const char **at, const char *end)
{
    const char mark = *(*at)++;
    fputc('"', out);
    for (; *at < end && **at != mark; ++*at) {
        char c = **at;
        if (c == '\n')
            return false;
        if (c == '"')
            fputc('\\', out);
        if (c == '\\') {
            if (++*at == end)
                return false;
            c = **at;
            if (c == 'x') // \xe9 is \u00e9
                fputs("\\u00", out);
            else if (c != '\'')
                fprintf(out, "\\%c", c);
            if (c != '\'')
                continue;
        }
        fputc(c, out);
    }
    fputc('"', out);
    return (*at)++ < end;
}

static const char *skip_space(const char *at, const char *end)
{
    while (at < end && isspace((unsigned char)*at))
        at++;
    return at;
}

// Single quotes, tuples, bare numbers as keys, True and None, comments and a last comma are what
// JSON has otherwise. Anything else is left as it is, for JSON's reader to refuse.
static bool translate(FILE *out, gb_span s)
{
    static const char *const word[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"}};
    for (const char *at = s.at, *next; at < s.end;) {
        const char c = *at;
        if (c == '\'' || c == '"') {
            if (!quote(out, &at, s.end))
                return false;
        } else if (isdigit((unsigned char)c)) {
            for (next = at; next < s.end && isdigit((unsigned char)*next);)
                next++;
            const char *colon = skip_space(next, s.end);
            const char *mark = colon < s.end && *colon == ':' ? "\"" : "";
            fprintf(out, "%s%.*s%s", mark, (int)(next - at), at, mark);
            at = next;
        } else if (isalpha((unsigned char)c)) {
            for (next = at; next < s.end && isalpha((unsigned char)*next);)
                next++;
            size_t w = 0;
            while (w < GB_COUNT(word) && (strlen(word[w][0]) != (size_t)(next - at) ||
                                          memcmp(word[w][0], at, (size_t)(next - at)) != 0))
                w++;
            if (w == GB_COUNT(word) && !(next == at + 1 && next < s.end && strchr("ub", c) &&
                                         (*next == '\'' || *next == '"')))
                return false;
            fputs(w < GB_COUNT(word) ? word[w][1] : "", out);
            at = next;
        } else if (c == '#') {
            while (at < s.end && *at != '\n')
                at++;
        } else if (c == ',') {
            next = skip_space(++at, s.end);
            fputs(next < s.end && strchr("}])", *next) ? "" : ",", out);
        } else {
            fputc(c == '(' ? '[' : c == ')' ? ']' : c, out);
            at++;
        }
    }
    return true;
}

static json_t *load(gb_span s, json_error_t *why)
{
    json_error_t other;
    char *text = NULL;
    size_t size = 0;
    json_t *root = json_loadb(s.at, (size_t)(s.end - s.at), JSON_REJECT_DUPLICATES, why);
    FILE *out = root ? NULL : open_memstream(&text, &size);
    if (!out)
        return root;
    const bool python = translate(out, s);
    if (fclose(out) == 0 && python) {
        root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &other);
        if (!root && !memchr(s.at, '"', (size_t)(s.end - s.at)))
            *why = other;
    }
    free(text);
    return root;
}

// --- what there is ---

static gb_span span_of(const char *text)
{
    return (gb_span){text, text + strlen(text)};
}

// A name, or [WNID, name].
static int add_value(gb_labels *labels, size_t *capacity, int64_t index, const json_t *value)
{
    const char *wnid = "", *name = json_string_value(value);
    if (json_is_array(value) && json_array_size(value) == 2) {
        wnid = json_string_value(json_array_get(value, 0));
        name = json_string_value(json_array_get(value, 1));
    }
    if (!name || !wnid || !*name)
        return gb_fail(GB_ERR_FORMAT, "%s: class %lld is neither a name nor [WNID, name]",
                       labels->path, (long long)index);
    if (!*wnid && gb_is_wnid(name, strlen(name)))
        wnid = name;
    return gb_labels_add(labels, capacity, index, span_of(wnid), span_of(name));
}

// 3 and "3"; -1: no index.
static int64_t index_of(const json_t *value)
{
    const char *text = json_string_value(value);
    if (json_is_integer(value))
        return json_integer_value(value);
    return text && gb_is_number(text, strlen(text)) && strlen(text) < 10 ? strtoll(text, NULL, 10)
                                                                        : -1;
}

// {"cat": 0}, as torchvision's class_to_idx: whether every value is an index, and the keys are not
// indices of names that are numbers.
static bool names_first(json_t *object)
{
    const char *key;
    json_t *value;
    bool numbers = true, texts = false;
    json_object_foreach(object, key, value)
    {
        if (index_of(value) < 0)
            return false;
        numbers = numbers && gb_is_number(key, strlen(key));
        texts = texts || json_is_string(value);
    }
    return !(numbers && texts);
}

static int add_object(gb_labels *labels, size_t *capacity, json_t *object)
{
    const bool backwards = names_first(object);
    const char *key;
    json_t *value;
    int err = 0;
    json_object_foreach(object, key, value)
    {
        const size_t length = strlen(key);
        const gb_span name = span_of(key);
        const gb_span wnid = gb_is_wnid(key, length) ? name : span_of("");
        if (backwards)
            GB_TRY(gb_labels_add(labels, capacity, index_of(value), wnid, name));
        else if (gb_is_number(key, length) && length < 10)
            GB_TRY(add_value(labels, capacity, strtoll(key, NULL, 10), value));
        else
            return gb_fail(GB_ERR_FORMAT, "%s: the key \"%.64s\" is not a class index, nor is what "
                                          "it stands for", labels->path, key);
    }
fail:
    return err;
}

static int add_tree(gb_labels *labels, size_t *capacity, json_t *root)
{
    // Under which key other programs' files hold their names; first what is an index's.
    static const char *const keys[] = {"id2label", "label2id", "idx_to_class", "class_to_idx",
                                       "label_names", "class_names", "names", "labels", "classes"};
    json_t *value;
    size_t i;
    int err = 0;
    for (i = 0; i < GB_COUNT(keys); i++) {
        value = json_object_get(root, keys[i]);
        if (json_is_object(value) || json_is_array(value))
            return add_tree(labels, capacity, value);
    }
    if (json_is_object(root))
        return add_object(labels, capacity, root);
    labels->by_order = true;
    json_array_foreach(root, i, value)
    {
        GB_TRY(add_value(labels, capacity, (int64_t)i, value));
    }
fail:
    return err;
}

int gb_labels_tree(gb_labels *labels, size_t *capacity, gb_span text)
{
    json_error_t why;
    json_t *root = load(text, &why);
    if (!root)
        return gb_fail(GB_ERR_FORMAT, "%s: line %d: %s", labels->path, why.line, why.text);
    int err = add_tree(labels, capacity, root);
    json_decref(root);
    return err;
}
