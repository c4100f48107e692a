// Directories, made with their parents.
#include "base/file.h"

#include "base/status.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_dirs(const char *path, mode_t mode)
{
    char part[4096];
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof part)
        return gb_fail(GB_ERR_IO, "%s: not a usable directory name", path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, mode) < 0 && errno != EEXIST)
            return gb_fail(GB_ERR_IO, "%s: %s", part, strerror(errno));
    }
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return gb_fail(GB_ERR_IO, "%s: not a directory", path);
    return 0;
}

int gb_make_dirs(const char *path)
{
    return make_dirs(path, 0777);
}

int gb_make_private_dirs(const char *path)
{
    struct stat own, st;
    int err = make_dirs(path, 0700);
    if (err < 0)
        return err;
    // Whoever owns a link chose the folder, so both must be this user's.
    bool known = lstat(path, &own) == 0 && stat(path, &st) == 0;
    if (known && (own.st_uid != geteuid() || st.st_uid != geteuid()))
        return gb_fail(GB_ERR_IO, "%s: belongs to another user, so it is not used", path);
    if (!known || (st.st_mode & 077 && chmod(path, 0700) < 0))
        return gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
    return 0;
}
