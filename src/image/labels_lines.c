// Class names in lines of text: plain lists and tables, with or without indices.
//
// Separators are tried one after the other; one fits if it gives every line a class index (or a
// WordNet ID, or is explained by a heading). Lines that none fits are names as they stand.
#include "image/labels_internal.h"

#include "base/name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 16 /* columns */ };

typedef struct line {
    gb_span text;
    int number; // in the file, from 1
} line;

// A line cut by a separator; further fields stay in the last one.
typedef struct row {
    gb_span field[MOST];
    int n;
} row;

typedef struct lines {
    gb_labels *labels;
    size_t *capacity;
    line *line; // those that are not empty
    size_t n;
    char separator; // what is tried
} lines;

// Which columns hold what, -1: none does. first: the line below the heading.
typedef struct columns {
    int index, wnid, name;
    bool heading, last; // last: the index is in the last column, of which each line has its own
    size_t first;
} columns;

static size_t length(gb_span s)
{
    return (size_t)(s.end - s.at);
}

static gb_span trim(gb_span s)
{
    while (s.at < s.end && isspace((unsigned char)*s.at))
        s.at++;
    while (s.end > s.at && isspace((unsigned char)s.end[-1]))
        s.end--;
    return s;
}

static bool is_index(gb_span s)
{
    return gb_is_number(s.at, length(s));
}

static int64_t index_of(gb_span s)
{
    return length(s) < 10 ? strtoll(s.at, NULL, 10) : INT64_MAX;
}

static bool is_wnid(gb_span s)
{
    return gb_is_wnid(s.at, length(s));
}

static bool quoted(gb_span s)
{
    return length(s) >= 2 && (*s.at == '"' || *s.at == '\'') && s.end[-1] == *s.at;
}

// What is between quotes: "" and \' inside stand for one. In the arena.
static int unquote(gb_span *out, gb_labels *labels, gb_span s)
{
    s = trim(s);
    const size_t arrow = strspn(s.at, "-=>|:"); // "0 -> cat", "0 - cat"
    if (arrow < length(s) && s.at[arrow] == ' ')
        s = trim((gb_span){s.at + arrow, s.end});
    while (s.end > s.at && (s.end[-1] == ',' || s.end[-1] == ';')) // of a table's empty column
        s = trim((gb_span){s.at, s.end - 1});
    *out = s;
    if (!quoted(s))
        return 0;
    const char mark = *s.at;
    char *text = gb_arena_alloc(&labels->arena, length(s)), *to = text;
    if (!text)
        return GB_ERR_NOMEM;
    for (const char *at = s.at + 1; at < s.end - 1; at++) {
        if ((*at == '\\' || *at == mark) && at + 1 < s.end - 1 && at[1] == mark)
            at++;
        *to++ = *at;
    }
    *out = trim((gb_span){text, to});
    return 0;
}

static int refuse(const lines *l, size_t i, const char *why)
{
    const line *bad = &l->line[i];
    return gb_fail(GB_ERR_FORMAT, "%s: line %d, '%.*s', %s", l->labels->path, bad->number,
                   length(bad->text) < 40 ? (int)length(bad->text) : 40, bad->text.at, why);
}

// --- cutting ---

static const char *field_end(const char *at, const char *end, char separator)
{
    if (at < end && *at == '"') { // a separator between quotes is none
        const char *close = at + 1;
        while (close < end && (*close != '"' || (close + 1 < end && close[1] == '"')))
            close += *close == '"' ? 2 : 1;
        const char *next = close < end ? close + 1 : end;
        while (next < end && isspace((unsigned char)*next) && *next != separator)
            next++;
        if (close < end && (next == end || *next == separator))
            return next;
    }
    while (at < end && *at != separator)
        at++;
    return at;
}

static row cut(const lines *l, size_t i)
{
    const char separator = l->separator;
    const gb_span s = l->line[i].text;
    row r = {.n = 0};
    for (const char *at = s.at;; at++) {
        while (at < s.end && isspace((unsigned char)*at) && *at != separator)
            at++;
        const bool last = r.n == MOST - 1 || ((separator == ':' || separator == '=') && r.n == 1);
        const char *end = last ? s.end : field_end(at, s.end, separator);
        r.field[r.n++] = trim((gb_span){at, end});
        if (end == s.end)
            return r;
        at = end;
        while (separator == ' ' && at + 1 < s.end && isspace((unsigned char)at[1]))
            at++;
    }
}

// --- which column is which ---

static bool among(gb_span s, const char *const *words)
{
    while (length(s) >= 2 && quoted(s))
        s = (gb_span){s.at + 1, s.end - 1};
    for (; *words; words++)
        if (strlen(*words) == length(s) && gb_begins_with(s.at, *words))
            return true;
    return false;
}

// Headings, the surest first.
static const char *const index_words[] = {"class_index", "class_id", "classid", "class_idx",
                                          "label_id", "labelid", "label_idx", "index", "idx", "id",
                                          "number", "target", "class", "label", NULL};
static const char *const name_words[] = {"class_name", "classname", "label_name", "labelname",
                                         "name", "names", "description", "label", "labels",
                                         "class", "classes", "category", "signname", "text", NULL};
static const char *const wnid_words[] = {"wnid", "synset", "wordnet_id", "synset_id", NULL};

static int find_heading(const row *r, const char *const *words)
{
    for (; *words; words++)
        for (int c = 0; c < r->n; c++)
            if (among(r->field[c], (const char *const[]){*words, NULL}))
                return c;
    return -1;
}

// Whether the fields of a column, or of each line's last (c = -1), are all of a kind, from `first`.
static bool column_is(const lines *l, int c, size_t first, bool (*kind)(gb_span))
{
    for (size_t i = first; i < l->n; i++) {
        const row r = cut(l, i);
        const int at = c < 0 ? r.n - 1 : c;
        if (at >= r.n || r.n < 2 || !kind(r.field[at]))
            return false;
    }
    return l->n > first;
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// Whether a column of indices names each class once; *run: and they are 0 to n - 1.
static int distinct(bool *out, bool *run, const lines *l, int c, size_t first)
{
    const size_t n = l->n - first;
    int64_t *value = malloc(n * sizeof *value);
    if (!value)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", l->labels->path);
    for (size_t i = 0; i < n; i++) {
        const row r = cut(l, first + i);
        value[i] = index_of(r.field[c < 0 ? r.n - 1 : c]);
    }
    qsort(value, n, sizeof *value, by_value);
    *out = true;
    for (size_t i = 1; i < n; i++)
        *out = *out && value[i] != value[i - 1];
    *run = *out && value[0] == 0 && value[n - 1] == (int64_t)n - 1;
    free(value);
    return 0;
}

// Whether what stands in front of each line's last field is the same everywhere ("class 0").
static bool fronts_alike(const lines *l)
{
    const row first = cut(l, 0);
    const size_t size = (size_t)(first.field[first.n - 1].at - l->line[0].text.at);
    for (size_t i = 1; i < l->n; i++)
        if (length(l->line[i].text) < size ||
            memcmp(l->line[i].text.at, l->line[0].text.at, size) != 0)
            return false;
    return true;
}

// The column of indices. A table can have other numbers: the heading tells, or they do not count
// the classes.
static int find_index(columns *found, const lines *l)
{
    const row head = cut(l, 0);
    const bool table = strchr("\t,;", l->separator) != NULL;
    const int told = found->heading ? find_heading(&head, index_words) : -1;
    int err = 0, candidates = 0, last = -1;
    bool once = false, run = false;
    for (int c = 0; c < head.n && (c < 1 || table || (c < 2 && found->wnid == 0)); c++) {
        if (!column_is(l, c, found->first, is_index))
            continue;
        GB_TRY(distinct(&once, &run, l, c, found->first));
        candidates += once || last < 0;
        last = last < 0 || once ? c : last;
        if ((run && found->index < 0) || c == told)
            found->index = c;
    }
    if (found->index < 0 && candidates > 1)
        return refuse(l, found->first, "has more than one number that can be the class index; a "
                                       "heading would tell");
    if (found->index < 0)
        found->index = last;
    // "tench, Tinca tinca,0" and "area 51": behind names only where it counts the classes.
    if (found->index < 0 && column_is(l, -1, found->first, is_index)) {
        GB_TRY(distinct(&once, &run, l, -1, found->first));
        found->last = table ? once : run && !fronts_alike(l);
    }
fail:
    return err;
}

static void find_name(columns *found, const lines *l)
{
    const row head = cut(l, 0), r = cut(l, found->first);
    for (const char *const *word = name_words; found->heading && *word && found->name < 0; word++) {
        const int c = find_heading(&head, (const char *const[]){*word, NULL});
        if (c != found->index && c != found->wnid)
            found->name = c;
    }
    for (int numbers = 0; numbers < 2; numbers++)
        for (int c = 0; c < r.n && found->name < 0; c++)
            if (c != found->index && c != found->wnid &&
                (numbers || !column_is(l, c, found->first, is_index)))
                found->name = c;
}

static int count_headings(const row *r)
{
    int n = 0;
    for (int c = 0; c < r->n; c++)
        n += among(r->field[c], index_words) || among(r->field[c], name_words) ||
             among(r->field[c], wnid_words);
    return n;
}

// Whether the separator explains the lines.
static int find_columns(columns *found, bool *fits, const lines *l)
{
    const row head = cut(l, 0);
    const bool table = strchr("\t,;", l->separator) != NULL;
    int err = 0;
    *fits = false;
    for (size_t first = 0; first < 2 && first < l->n && !*fits; first++) {
        const int headings = first ? count_headings(&head) : 0;
        *found = (columns){-1, -1, -1, first == 1, false, first};
        if (first && (!table || !headings || head.n < 2))
            break;
        for (int c = 0; c < head.n && c < 3 && found->wnid < 0; c++)
            if (column_is(l, c, first, is_wnid))
                found->wnid = c;
        GB_TRY(find_index(found, l));
        *fits = found->index >= 0 || found->last ||
                (first == 0 ? found->wnid >= 0 : headings == head.n);
    }
    if (*fits)
        find_name(found, l);
fail:
    return err;
}

// --- lines to classes ---

// Where a table has commas in names without quotes, the name is the rest of the line.
static int add_row(lines *l, const columns *found, size_t i, int headings)
{
    const row r = cut(l, i);
    const int index = found->last ? r.n - 1 : found->index;
    const gb_span none = {l->line[i].text.at, l->line[i].text.at};
    gb_span name = none, wnid = found->wnid >= 0 ? r.field[found->wnid] : none;
    int first = found->name, last = first, err = 0;
    if (first >= r.n || (headings && r.n < headings))
        return refuse(l, i, "has fewer columns than others");
    if (first >= 0 && found->wnid < 0 && !headings && first + 1 < r.n && is_wnid(r.field[first]))
        wnid = r.field[first++]; // other lines have none
    if (first >= 0 && l->separator != '\t' && (!headings || first == headings - 1))
        last = index > first ? index - 1 : found->wnid > first ? found->wnid - 1 : r.n - 1;
    else if (headings && r.n > headings)
        return refuse(l, i, "has more columns than the heading");
    if (first >= 0)
        name = last <= first ? r.field[first] : (gb_span){r.field[first].at, r.field[last].end};
    GB_TRY(unquote(&name, l->labels, name));
    GB_TRY(gb_labels_add(l->labels, l->capacity,
                         index >= 0 ? index_of(r.field[index]) : (int64_t)(i - found->first), wnid,
                         name));
fail:
    return err;
}

static int add_rows(lines *l, const columns *found)
{
    const row head = cut(l, 0);
    int err = 0;
    l->labels->by_order = found->index < 0 && !found->last;
    for (size_t i = found->first; i < l->n && err >= 0; i++)
        err = add_row(l, found, i, found->heading ? head.n : 0);
    return err;
}

// A line that begins as the lines of a numbered list do: "1. tench", "-1,unknown", "0.0;x".
static bool numbered(gb_span s)
{
    const char *at = s.at;
    if (at < s.end && strchr("+-", *at))
        at++;
    if (at == s.end || !isdigit((unsigned char)*at))
        return false;
    while (at < s.end && isdigit((unsigned char)*at))
        at++;
    if (at + 1 < s.end && *at == '.' && isdigit((unsigned char)at[1]))
        for (at++; at < s.end && isdigit((unsigned char)*at);)
            at++;
    if (at + 1 < s.end && (*at == '.' || *at == ')'))
        at++;
    return at + 1 < s.end && (isspace((unsigned char)*at) || strchr(",;:|=", *at));
}

// True of the beginning of a list or table in some language.
static bool opens(gb_span s)
{
    static const char *const pieces[] = {"= [", "= {", ": [", ": {"};
    for (const char *at = s.at; at && at + 3 <= s.end; at++)
        for (size_t i = 0; i < GB_COUNT(pieces); i++)
            if (memcmp(at, pieces[i], 3) == 0)
                return true;
    return false;
}

// Whether lines can be names as they stand.
static int check_plain(const lines *l)
{
    size_t count = 0, odd = l->n, bullets = 0, wnids = 0;
    for (size_t i = 0; i < l->n; i++) {
        const gb_span s = l->line[i].text;
        if (strspn(s.at, "{}[]()<>,;\"'") >= length(s) || *s.at == '<' ||
            opens(s) || (l->n > 1 && s.end[-1] == ':'))
            return refuse(l, i, "is no class name");
        if (numbered(s))
            count++;
        else if (odd == l->n)
            odd = i;
        wnids += length(s) > 9 && gb_is_wnid(s.at, 9);
        bullets += length(s) > 2 && *s.at == '-' && s.at[1] == ' ';
    }
    if (bullets * 2 > l->n)
        return refuse(l, 0, "begins a list of YAML's, it seems, which is not read; give JSON");
    if (wnids)
        return refuse(l, 0, "and others do not all begin with a WordNet ID and have a name");
    if (count * 2 > l->n)
        return odd < l->n ? refuse(l, odd, "does not begin with a class index as others do")
                          : refuse(l, 0, "is neither a name nor INDEX NAME");
    if (l->n > 1 && (among(l->line[0].text, name_words) || among(l->line[0].text, index_words)))
        return refuse(l, 0, "looks like a heading; take it away, it would be class 0");
    return 0;
}

static int add_plain(lines *l)
{
    int err = 0;
    bool all_quoted = true;
    GB_TRY(check_plain(l));
    l->labels->by_order = true;
    for (size_t i = 0; i < l->n; i++) {
        gb_span s = l->line[i].text;
        if (length(s) > 1 && s.end[-1] == ',')
            s.end--;
        all_quoted = all_quoted && quoted(s);
    }
    for (size_t i = 0; i < l->n; i++) {
        gb_span name = l->line[i].text;
        if (all_quoted)
            GB_TRY(unquote(&name, l->labels, name));
        const gb_span wnid = is_wnid(name) ? name : (gb_span){name.at, name.at};
        GB_TRY(gb_labels_add(l->labels, l->capacity, (int64_t)i, wnid, name));
    }
fail:
    return err;
}

// The lines that say something. Comments may stand in front; an empty line between others would
// shift the classes.
static int collect(lines *l, gb_span text)
{
    size_t capacity = 0, comments = 0;
    int number = 1, empty = 0, err = 0;
    for (const char *at = text.at, *end; at < text.end; at = end + 1, number++) {
        end = memchr(at, '\n', (size_t)(text.end - at));
        end = end ? end : text.end;
        const gb_span s = trim((gb_span){at, end});
        if (s.at == s.end) {
            empty = l->n && !empty ? number : empty;
            continue;
        }
        if (empty)
            return gb_fail(GB_ERR_FORMAT, "%s: line %d is empty", l->labels->path, empty);
        GB_TRY(gb_grow(&l->line, &capacity, l->n + 1, sizeof *l->line));
        l->line[l->n++] = (line){s, number};
        comments += *s.at == '#';
    }
    if (comments < l->n) {
        size_t front = 0;
        while (front < l->n && *l->line[front].text.at == '#')
            front++;
        l->n -= front;
        memmove(l->line, l->line + front, l->n * sizeof *l->line);
        for (size_t i = 0; front < comments && i < l->n; i++)
            if (*l->line[i].text.at == '#')
                return refuse(l, i, "is a comment or a name; comments are in front");
    }
fail:
    return err;
}

int gb_labels_lines(gb_labels *labels, size_t *capacity, gb_span text)
{
    lines l = {.labels = labels, .capacity = capacity};
    columns found = {0};
    bool fits = false;
    int err = 0;
    GB_TRY(collect(&l, text));
    for (const char *s = "\t,;:= "; *s && l.n && !fits; s++) {
        l.separator = *s;
        GB_TRY(find_columns(&found, &fits, &l));
    }
    if (fits)
        err = add_rows(&l, &found);
    else if (l.n)
        err = add_plain(&l);
fail:
    free(l.line);
    return err;
}
