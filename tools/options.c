// Parses, explains and corrects options from their tables.
#include "options.h"

#include "base/mem.h"
#include "base/name.h"
#include "base/status.h"
#include "base/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int option_texts_add(option_texts *texts, const char *text)
{
    int err = gb_grow(&texts->text, &texts->capacity, texts->count + 1, sizeof *texts->text);
    if (!err)
        texts->text[texts->count++] = text;
    return err;
}

void option_texts_finish(option_texts *texts)
{
    free(texts->text);
    *texts = (option_texts){0};
}

// --- near misses ---

// Edits (insert, delete, replace, swap neighbours) from a to b: three rows of the usual table.
static size_t edits(const char *a, const char *b)
{
    enum { LIMIT = 64 };
    size_t row[3][LIMIT + 1], n = strlen(a), m = strlen(b);
    size_t *two = row[0], *one = row[1], *now = row[2];
    if (n > LIMIT || m > LIMIT)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        now[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *spare = two;
        two = one, one = now, now = spare;
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = one[j - 1] + (a[i - 1] != b[j - 1]);
            if (one[j] + 1 < best)
                best = one[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            now[j] = best;
        }
    }
    return now[m];
}

const char *option_nearest(const char *word, const char *(*next)(const void *state, size_t i),
                           const void *state)
{
    const char *best = NULL, *name;
    size_t fewest = 1 + strlen(word) / 3; // a third of the letters may be wrong
    for (size_t i = 0; (name = next(state, i)); i++) {
        size_t n = edits(word, name);
        if (n <= fewest && n < strlen(name)) {
            best = name;
            fewest = n - (n > 0);
        }
    }
    return best;
}

// --- parsing ---

typedef struct groups {
    const option_group *group;
    size_t count;
} groups;

static const option_entry *entry_at(const groups *all, size_t i, void **values)
{
    for (size_t g = 0; g < all->count; g++) {
        if (i < all->group[g].count) {
            if (values)
                *values = all->group[g].values;
            return &all->group[g].entry[i];
        }
        i -= all->group[g].count;
    }
    return NULL;
}

static const char *name_at(const void *state, size_t i)
{
    const option_entry *entry = entry_at(state, i, NULL);
    return entry ? entry->name : NULL;
}

// `arg` as typed, of which the first n characters are the option.
static int unknown(const groups *all, const char *arg, int n)
{
    char name[64], list[900] = "";
    snprintf(name, sizeof name, "%.*s", n, arg);
    const char *near = n > 2 ? option_nearest(name + 2, name_at, all) : NULL, *each;
    if (near)
        return gb_fail(GB_ERR_ARG, "unknown option %s; did you mean --%s?", name, near);
    for (size_t i = 0, used = 0; (each = name_at(all, i)) && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "--%s, ", each);
    return gb_fail(GB_ERR_ARG, "unknown option %s; the valid ones are %s--help", name, list);
}

// The entry named by `name` (length n) or `letter`; *off: the --no- form of a switch.
static const option_entry *find(const groups *all, const char *name, size_t n, char letter,
                                void **values, bool *off)
{
    const option_entry *entry;
    *off = false;
    for (size_t i = 0; (entry = entry_at(all, i, values)); i++) {
        if (letter ? entry->letter == letter
                   : strlen(entry->name) == n && !memcmp(entry->name, name, n))
            return entry;
        if (entry->kind == OPTION_SWITCH && !letter && n > 3 && !memcmp(name, "no-", 3) &&
            strlen(entry->name) == n - 3 && !memcmp(entry->name, name + 3, n - 3)) {
            *off = true;
            return entry;
        }
    }
    return NULL;
}

static bool takes_value(option_kind kind)
{
    return kind != OPTION_FLAG && kind != OPTION_SWITCH;
}

static int set(const option_entry *entry, void *values, const char *text, bool off)
{
    void *field = (char *)values + entry->offset;
    char *end = NULL;
    errno = 0;
    switch (entry->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return 0;
    case OPTION_SWITCH:
        *(const char **)field = off ? "no" : "yes";
        return 0;
    case OPTION_INT: {
        long long value = strtoll(text, &end, 10);
        if (end == text || *end || errno)
            return gb_fail(GB_ERR_ARG, "--%s %s: not a whole number", entry->name, text);
        if ((entry->min || entry->max) && (value < entry->min || value > entry->max))
            return gb_fail(GB_ERR_ARG, "--%s %s: must be between %lld and %lld", entry->name, text,
                           (long long)entry->min, (long long)entry->max);
        *(int64_t *)field = value;
        return 0;
    }
    case OPTION_SEED: {
        unsigned long long value = strtoull(text, &end, 0);
        if (end == text || *end || errno || strchr(text, '-'))
            return gb_fail(GB_ERR_ARG, "--%s %s: not a whole number from 0 to 2^64-1", entry->name,
                           text);
        *(uint64_t *)field = value;
        return 0;
    }
    case OPTION_TEXTS:
        return option_texts_add(field, text);
    case OPTION_CHOICE: {
        int i = gb_name_among(entry->name, text, entry->choices);
        if (i >= 0)
            *(const char **)field = entry->choices[i];
        return i < 0 ? i : 0;
    }
    case OPTION_TEXT:
        *(const char **)field = text;
        return 0;
    }
    return 0;
}

int options_parse(const option_group *group, size_t n_group, int argc, char **argv,
                  option_texts *words, bool *help)
{
    const groups all = {group, n_group};
    bool options_ended = false;
    int err = 0;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i], *value = NULL;
        void *values = NULL;
        bool off = false;
        if (options_ended || arg[0] != '-' || !arg[1]) {
            GB_TRY(option_texts_add(words, arg));
            continue;
        }
        if (!strcmp(arg, "--")) {
            options_ended = true;
            continue;
        }
        if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
            *help = true;
            return 0;
        }
        bool is_long = arg[1] == '-';
        const char *name = is_long ? arg + 2 : arg + 1;
        size_t n = is_long ? strcspn(name, "=") : 1;
        const option_entry *entry = find(&all, name, n, is_long ? 0 : arg[1], &values, &off);
        if (!entry)
            return unknown(&all, arg, (int)(is_long ? n + 2 : 2));
        if (is_long && name[n] == '=')
            value = name + n + 1;
        else if (!is_long && arg[2])
            value = arg + 2;
        if (takes_value(entry->kind)) {
            // "-1" may be a value; "--json" is a forgotten one.
            if (!value && i + 1 < argc && strncmp(argv[i + 1], "--", 2))
                value = argv[++i];
            if (!value)
                return gb_fail(GB_ERR_ARG, "--%s needs a value: --%s %s", entry->name, entry->name,
                               entry->arg);
        } else if (value) {
            return gb_fail(GB_ERR_ARG, "--%s takes no value", entry->name);
        }
        GB_TRY(set(entry, values, value, off));
    }
    return 0;
fail:
    return err;
}

// --- help ---

// Writes `text` from column `at` on, broken at 96 columns and indented to `at`.
static void wrapped(FILE *to, const char *text, size_t at)
{
    size_t column = at;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > at && column + n + 1 > 96) {
            gb_text(to, "\n%*s", (int)at, "");
            column = at;
        }
        column += (size_t)gb_text(to, "%s%.*s", column > at ? " " : "", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

void options_help(FILE *to, const option_group *group, size_t n_group)
{
    enum { COLUMN = 28 };
    for (size_t g = 0; g < n_group; g++) {
        if (!group[g].count)
            continue;
        gb_text(to, "\n%s:\n", group[g].title ? group[g].title : "options");
        for (size_t i = 0; i < group[g].count; i++) {
            const option_entry *entry = &group[g].entry[i];
            char left[64], letter[8] = "";
            if (entry->letter)
                snprintf(letter, sizeof letter, "-%c, ", entry->letter);
            snprintf(left, sizeof left, "  %s--%s%s%s%s", letter,
                     entry->kind == OPTION_SWITCH ? "[no-]" : "", entry->name,
                     takes_value(entry->kind) ? " " : "",
                     takes_value(entry->kind) ? entry->arg : "");
            if (gb_text(to, "%-*s", COLUMN, left) > COLUMN)
                gb_text(to, "\n%*s", COLUMN, "");
            wrapped(to, entry->help, COLUMN);
        }
    }
}
