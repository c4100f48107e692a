// Finds the files of a data set by their names.
#include "data/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool gb_path_ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && strcasecmp(path + n - m, ending) == 0;
}

int gb_path_find(const char **out, gb_arena *arena, const char *folder, const char *prefix,
                 const char *ending)
{
    // The first in byte order, so that the result is the same on every file system.
    const char *best = NULL;
    const struct dirent *entry;
    DIR *dir = opendir(folder);
    int err = 0;
    *out = NULL;
    if (!dir)
        return gb_fail(GB_ERR_IO, "%s: %s", folder, strerror(errno));
    while (err == 0 && (entry = readdir(dir))) {
        const char *name = entry->d_name;
        if (strncmp(name, prefix, strlen(prefix)) != 0 || name[0] == '.' ||
            !gb_path_ends_in(name, ending) || (best && strcmp(name, best) >= 0))
            continue;
        best = gb_arena_strdup(arena, name);
        err = best ? 0 : GB_ERR_NOMEM;
    }
    closedir(dir);
    if (err == 0 && best && !(*out = gb_arena_printf(arena, "%s/%s", folder, best)))
        err = GB_ERR_NOMEM;
    return err;
}
