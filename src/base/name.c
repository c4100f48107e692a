// Finds names in tables, and lists them where there is no such name.
#include "base/name.h"

#include "base/status.h"

#include <stdio.h>
#include <string.h>

char gb_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool gb_begins_with(const char *text, const char *piece)
{
    while (*piece && gb_lower(*text) == gb_lower(*piece)) {
        text++;
        piece++;
    }
    return !*piece;
}

bool gb_same_word(const char *a, const char *b)
{
    return strlen(a) == strlen(b) && gb_begins_with(a, b);
}

int gb_name_find(const char *what, const char *name, const void *first, size_t stride,
                 size_t count)
{
    char list[512] = "";
    for (size_t i = 0, used = 0; i < count; i++) {
        const char *own = *(const char *const *)((const char *)first + i * stride);
        if (name && gb_same_word(own, name))
            return (int)i;
        if (used < sizeof list)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", own);
    }
    return gb_fail(GB_ERR_ARG, "unknown %s '%.64s'; it is one of %s", what, name ? name : "", list);
}

int gb_name_among(const char *what, const char *name, const char *const *list)
{
    size_t count = 0;
    while (list[count])
        count++;
    return gb_name_find(what, name, list, sizeof *list, count);
}
