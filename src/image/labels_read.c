// Reads files of class names: encodings, and what holds whatever the form.
#include "image/labels_internal.h"

#include "base/file.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_BYTES = 64 << 20 };

bool gb_is_number(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!isdigit((unsigned char)text[i]))
            return false;
    return length > 0;
}

bool gb_is_wnid(const char *text, size_t length)
{
    return length == 9 && text[0] == 'n' && gb_is_number(text + 1, 8);
}

int gb_class_by_index(const void *a, const void *b)
{
    const gb_class *x = a, *y = b;
    return (x->index > y->index) - (x->index < y->index);
}

int gb_labels_add(gb_labels *labels, size_t *capacity, int64_t index, gb_span wnid, gb_span name)
{
    if (name.at == name.end)
        name = wnid;
    const size_t wnid_length = (size_t)(wnid.end - wnid.at);
    const size_t name_length = (size_t)(name.end - name.at);
    char *copy = gb_arena_alloc(&labels->arena, wnid_length + name_length + 2);
    int err = gb_grow(&labels->item, capacity, labels->count + 1, sizeof *labels->item);
    if (!copy || err < 0)
        return GB_ERR_NOMEM;
    if (index < 0 || index >= GB_LABELS_MOST)
        return gb_fail(GB_ERR_FORMAT, "%s: class index %lld is out of range", labels->path,
                       (long long)index);
    if (!name_length)
        return gb_fail(GB_ERR_FORMAT, "%s: class %lld has no name", labels->path,
                       (long long)index);
    memcpy(copy, wnid.at, wnid_length); // the arena's zeros end both
    memcpy(copy + wnid_length + 1, name.at, name_length);
    labels->item[labels->count++] = (gb_class){(int)index, copy + wnid_length + 1, copy};
    return 0;
}

// --- encodings ---

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    }
    return out;
}

// What Windows' editors call Unicode; big: the high byte comes first. False: it is not.
static bool from_utf16(char **end, char *out, const uint8_t *in, size_t size, bool big)
{
    uint32_t high = 0;
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint32_t c = big ? (uint32_t)in[i] << 8 | in[i + 1] : (uint32_t)in[i + 1] << 8 | in[i];
        const bool low = c >= 0xdc00 && c < 0xe000;
        if (low != (high != 0) || c == 0)
            return false;
        if (c >= 0xd800 && c < 0xdc00) {
            high = c;
            continue;
        }
        if (low)
            c = 0x10000 + ((high - 0xd800) << 10) + (c - 0xdc00);
        high = 0;
        out = put_utf8(out, c);
    }
    *end = out;
    return !high && size % 2 == 0;
}

static bool is_utf8(const char *text, size_t size)
{
    json_t *string = json_stringn(text, size); // checks it
    json_decref(string);
    return string != NULL;
}

// Bytes 0x80 to 0x9f are control characters, which no text has.
static bool from_latin1(char **end, char *out, const uint8_t *in, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (in[i] >= 0x80 && in[i] < 0xa0)
            return false;
        out = put_utf8(out, in[i]);
    }
    *end = out;
    return true;
}

// "\r\n" and "\r" become "\n".
static char *one_line_end(char *text, char *end)
{
    char *out = text;
    for (char *at = text; at < end; at++) {
        if (*at != '\r')
            *out++ = *at;
        else if (at + 1 == end || at[1] != '\n')
            *out++ = '\n';
    }
    return out;
}

// Text as UTF-8; malloc'ed, and a 0 behind it.
static int to_text(char **text, gb_span *span, const void *bytes, size_t size, const char *name)
{
    const uint8_t *in = bytes;
    const bool marked = size >= 2 && ((in[0] == 0xff && in[1] == 0xfe) ||
                                      (in[0] == 0xfe && in[1] == 0xff));
    const bool wide = marked || (size >= 2 && !in[0] != !in[1]);
    const bool big = marked ? in[0] == 0xfe : size && !in[0];
    char *out = malloc(2 * size + 1), *end = out; // UTF-16 grows by half, Latin-1 doubles
    *text = out;
    if (!out)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", name);
    if (size >= 3 && memcmp(in, "\xEF\xBB\xBF", 3) == 0) { // UTF-8's byte order mark
        in += 3;
        size -= 3;
    }
    if (wide) {
        if (!from_utf16(&end, out, in + 2 * marked, size - 2 * marked, big))
            return gb_fail(GB_ERR_FORMAT, "%s: not a text file", name);
    } else if (memchr(in, 0, size)) {
        return gb_fail(GB_ERR_FORMAT, "%s: not a text file", name);
    } else if (is_utf8((const char *)in, size)) {
        memcpy(out, in, size);
        end = out + size;
    } else if (!from_latin1(&end, out, in, size)) {
        return gb_fail(GB_ERR_FORMAT, "%s: neither UTF-8, UTF-16 nor Latin-1; save it as UTF-8",
                       name);
    }
    end = one_line_end(out, end);
    *end = 0;
    *span = (gb_span){out, end};
    return 0;
}

// --- the whole ---

// Python's "labels = {" is as good as "{". *skipped: a tuple may follow, too.
static gb_span skip_assignment(gb_span s, bool *skipped)
{
    const char *at = s.at;
    while (at < s.end && (isalnum((unsigned char)*at) || *at == '_'))
        at++;
    *skipped = false;
    if (at == s.at)
        return s;
    while (at < s.end && (*at == ' ' || *at == '='))
        at++;
    *skipped = at < s.end && memchr(s.at, '=', (size_t)(at - s.at)) && strchr("[{(", *at);
    return *skipped ? (gb_span){at, s.end} : s;
}

int gb_labels_decode(gb_labels *out, const void *bytes, size_t size, const char *name)
{
    size_t capacity = 0;
    char *text = NULL;
    gb_span all = {0};
    bool assigned;
    int err = 0;
    *out = (gb_labels){0};
    out->path = gb_arena_strdup(&out->arena, name);
    if (!out->path)
        return GB_ERR_NOMEM;
    GB_TRY(to_text(&text, &all, bytes, size, name));
    gb_span body = all;
    while (body.at < body.end && isspace((unsigned char)*body.at))
        body.at++;
    body = skip_assignment(body, &assigned);
    if (assigned || (body.at < body.end && (*body.at == '[' || *body.at == '{')))
        GB_TRY(gb_labels_tree(out, &capacity, body));
    else
        GB_TRY(gb_labels_lines(out, &capacity, all));
    if (out->count == 0) {
        err = gb_fail(GB_ERR_FORMAT, "%s: holds no class names", name);
        goto fail;
    }
    qsort(out->item, out->count, sizeof *out->item, gb_class_by_index);
    for (size_t i = 1; i < out->count; i++) {
        if (out->item[i].index == out->item[i - 1].index) {
            err = gb_fail(GB_ERR_FORMAT, "%s: class %d is there twice", name, out->item[i].index);
            goto fail;
        }
    }
    free(text);
    return 0;
fail:
    free(text);
    gb_labels_finish(out);
    return err;
}

int gb_labels_read(gb_labels *out, const char *path)
{
    struct stat st;
    void *bytes;
    size_t size;
    *out = (gb_labels){0};
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > MAX_BYTES)
        return gb_fail(GB_ERR_FORMAT, "%s: %lld bytes are too many for class names", path,
                       (long long)st.st_size);
    int err = gb_file_read_input(&bytes, &size, path);
    if (err < 0)
        return err;
    err = gb_labels_decode(out, bytes, size, path);
    free(bytes);
    return err;
}
