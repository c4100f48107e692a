// The labels in the names of files and folders.
//
// A picture's name can end in its class (cat_3.png) or in a running number (frame_3.png). One name
// does not tell which, but all names of a folder mostly do.
#include "image/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789";

// A name that ends in "_3": the path in front of the '_', and the number.
typedef struct ending {
    const char *path, *number;
    size_t front, length;
} ending;

static int64_t number_of(const ending *e)
{
    return e->length < 10 ? strtoll(e->number, NULL, 10) : INT64_MAX;
}

// "n02510455" in front of the first '_' or behind the last one; NULL: neither.
static const char *find_wnid(const char *name, size_t length)
{
    const char *end = name + length, *first = memchr(name, '_', length);
    const char *last = memrchr(name, '_', length);
    if ((first ? first : end) - name == 9 && name[0] == 'n' && strspn(name + 1, digits) >= 8)
        return name;
    return last && end - last == 10 && last[1] == 'n' && strspn(last + 2, digits) >= 8 ? last + 1
                                                                                     : NULL;
}

static bool find_ending(ending *out, const char *path)
{
    size_t length;
    const char *name = gb_path_stem(path, &length), *end = name + length, *at = end;
    while (at > name && strchr(digits, at[-1]))
        at--;
    if (at == end || at == name || at[-1] != '_')
        return false;
    *out = (ending){path, at, (size_t)(at - 1 - path), (size_t)(end - at)};
    return true;
}

static int label_of_file(int *out, const char *path, const gb_labels *labels, int64_t classes)
{
    char text[256];
    ending e;
    size_t length;
    const char *name = gb_path_stem(path, &length), *wnid = find_wnid(name, length);
    if (wnid) {
        snprintf(text, sizeof text, "%.9s", wnid);
        if (!labels || labels->count == 0)
            return gb_fail(GB_ERR_ARG, "a labels file is needed to look up %s", text);
        if (!gb_labels_wnid(labels, text))
            return gb_fail(GB_ERR_ARG, "%s has no class %s", labels->path, text);
    } else if (find_ending(&e, path)) {
        snprintf(text, sizeof text, "%.*s", (int)e.length, e.number);
    } else {
        return gb_fail(GB_ERR_ARG, "no label in its name (n02510455_NAME.JPEG or NAME_388.png)");
    }
    return gb_labels_find(out, labels, text, classes);
}

static int label_of_folder(int *out, const char *path, const gb_labels *labels, int64_t classes)
{
    char folder[256];
    const char *end = strrchr(path, '/'), *start = end;
    while (start && start > path && start[-1] != '/')
        start--;
    if (!start || start == end || (end - start == 1 && *start == '.'))
        return gb_fail(GB_ERR_ARG, "no folder in its path to take the label from");
    snprintf(folder, sizeof folder, "%.*s", (int)(end - start), start);
    return gb_labels_find(out, labels, folder, classes);
}

int gb_item_label(int *out, const gb_item *item, gb_label_from from, const gb_labels *labels,
                  int64_t classes)
{
    int err = from == GB_LABEL_FOLDER ? label_of_folder(out, item->path, labels, classes)
                                      : label_of_file(out, item->path, labels, classes);
    return err < 0 ? gb_fail_in(err, "%s", item->path) : 0;
}

// --- is it a label? ---

// Two digits, a number from `low` to `high`.
static bool two_digits(const char *text, int low, int high)
{
    if (strspn(text, digits) < 2)
        return false;
    const int value = 10 * (text[0] - '0') + text[1] - '0';
    return value >= low && value <= high;
}

// 20240131, 2024-01-31 or 2024_01_31, with or without a time, anywhere in a name.
static bool has_date(const char *name, size_t length)
{
    for (size_t i = 0; i + 8 <= length; i++) {
        const char *at = name + i;
        if ((i > 0 && strchr(digits, at[-1])) || !two_digits(at, 19, 20) ||
            !two_digits(at + 2, 0, 99))
            continue;
        const size_t gap = strchr("-_.", at[4]) && at[4] ? 1 : 0;
        if (two_digits(at + 4 + gap, 1, 12) && (!gap || at[7] == at[4]) &&
            two_digits(at + 6 + 2 * gap, 1, 31))
            return true;
    }
    return false;
}

static int by_front(const void *a, const void *b)
{
    const ending *x = a, *y = b;
    const size_t least = x->front < y->front ? x->front : y->front;
    const int order = memcmp(x->path, y->path, least);
    return order ? order : (x->front > y->front) - (x->front < y->front);
}

static int by_number(const void *a, const void *b)
{
    const int64_t x = number_of(a), y = number_of(b);
    return (x > y) - (x < y);
}

// Why the numbers are not surely labels; NULL: they are. *which: a name that shows it. The endings
// are sorted on the way.
static const char *find_doubt(ending *e, size_t n, const char **which)
{
    bool numbered = true; // names have another number for counting, as in cifar10_07_3.png
    for (size_t i = 0; i < n; i++) {
        size_t length;
        const char *name = gb_path_stem(e[i].path, &length);
        *which = e[i].path;
        if (e[i].length > 1 && e[i].number[0] == '0')
            return "is padded with zeros, as running numbers are";
        if (has_date(name, length))
            return "comes with a date";
        numbered = numbered && e[i].front > 0 && strchr(digits, e[i].path[e[i].front - 1]);
    }
    qsort(e, n, sizeof *e, by_front);
    for (size_t i = 1; i < n; i++) {
        *which = e[i].path;
        if (by_front(&e[i - 1], &e[i]) == 0 && number_of(&e[i - 1]) != number_of(&e[i]))
            return "is all that tells it from another picture";
    }
    qsort(e, n, sizeof *e, by_number);
    const int64_t first = number_of(&e[0]);
    bool counts = first > 0; // from 0 on, a picture of each class is as likely
    for (size_t i = 1; i < n; i++)
        counts = counts && number_of(&e[i]) - first == (int64_t)i;
    *which = e[0].path;
    if (n > 1 && number_of(&e[n - 1]) == first)
        return "is the same in every name";
    return counts && !numbered ? "can count pictures as well as name a class" : NULL;
}

// Counts the names that have a WordNet ID. Where `doubt_it`, the numbers that others end in
// must be labels; names without one are refused later, and for that.
static int check_numbers(const gb_list *list, size_t *wnids, bool doubt_it)
{
    ending *e = calloc(list->count + 1, sizeof *e);
    const char *which = NULL, *doubt;
    size_t n = 0;
    int err = 0;
    if (!e)
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu names", list->count);
    *wnids = 0;
    for (size_t i = 0; i < list->count; i++) {
        size_t length;
        const char *path = list->item[i].path, *name = gb_path_stem(path, &length);
        if (find_wnid(name, length))
            ++*wnids;
        else
            n += find_ending(&e[n], path);
    }
    doubt = n && doubt_it && n + *wnids == list->count ? find_doubt(e, n, &which) : NULL;
    if (doubt)
        err = gb_fail(GB_ERR_ARG, "%s: the number in its name %s; if it is the label, say --label "
                                  "from-name, else FOLDER,LIST with lines of NAME LABEL", which,
                      doubt);
    free(e);
    return err;
}

int gb_list_labels(int *label, const char **source, const gb_list *list, gb_label_from from,
                   const gb_labels *labels, int64_t classes)
{
    size_t wnids = 0;
    int err = 0;
    *source = from == GB_LABEL_FOLDER ? "the folders that pictures lie in"
                                      : "the ends of the file names";
    if (from != GB_LABEL_FOLDER)
        GB_TRY(check_numbers(list, &wnids, from == GB_LABEL_AUTO));
    if (wnids)
        *source = wnids == list->count ? "WordNet IDs in the file names"
                                       : "WordNet IDs and numbers in the file names";
    for (size_t i = 0; i < list->count; i++)
        GB_TRY(gb_item_label(&label[i], &list->item[i], from, labels, classes));
fail:
    return err;
}
