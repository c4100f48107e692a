// Finds names in tables, and lists them where there is no such name.
#include "base/name.h"

#include "base/status.h"

#include <stdio.h>
#include <strings.h>

int gb_name_find(const char *what, const char *name, const void *first, size_t stride,
                 size_t count)
{
    char list[512] = "";
    for (size_t i = 0, used = 0; i < count; i++) {
        const char *own = *(const char *const *)((const char *)first + i * stride);
        if (name && !strcasecmp(own, name))
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
