// Finds the files of a data set by their names.
#include "base/name.h"
#include "data/internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool gb_path_ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n >= m && gb_same_word(path + n - m, ending);
}

bool gb_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool gb_path_is_folder(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

const char *gb_path_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int gb_path_scan(const char ***out, size_t *count, gb_arena *arena, const char *folder,
                 const char *prefix, const char *ending, bool folders)
{
    struct dirent **entry = NULL;
    const size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] == '/' ? "" : "/";
    int err = 0, n = scandir(folder, &entry, visible, by_name);
    *count = 0;
    if (n < 0)
        return gb_fail(GB_ERR_IO, "%s: %s", folder, strerror(errno));
    *out = gb_arena_array(arena, (size_t)n, sizeof **out);
    if (!*out)
        err = GB_ERR_NOMEM;
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        if (err == 0 && strncmp(name, prefix, strlen(prefix)) == 0 &&
            gb_path_ends_in(name, ending)) {
            const char *path = gb_arena_printf(arena, "%s%s%s", folder, slash, name);
            if (!path)
                err = GB_ERR_NOMEM;
            else if (gb_path_exists(path) && gb_path_is_folder(path) == folders)
                (*out)[(*count)++] = path;
        }
        free(entry[i]);
    }
    free(entry);
    return err;
}

int gb_path_first(const char **out, gb_arena *arena, const char *folder, const char *prefix)
{
    const char **path;
    size_t count;
    int err = gb_path_scan(&path, &count, arena, folder, prefix, "", false);
    *out = err == 0 && count ? path[0] : NULL;
    return err;
}
