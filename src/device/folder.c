// Finds folders for caches: the user's own, or where that cannot be written one beside other
// temporary files, which nobody else can have put there.
#include "base/file.h"
#include "device/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int refuse(const char *path, const char *why)
{
    return gb_fail(GB_ERR_IO, "%s: %s", path, why);
}

// Writes a page and takes it away again: what modes, mounts and quotas allow shows only so. PoCL
// runs code from its folder, too. `path`, for messages, is what will lie there.
static int try_folder(const char *folder, const char *path, bool runs)
{
    static const char page[4096];
    char name[4096];
    struct statvfs fs;
    if (runs && statvfs(folder, &fs) == 0 && fs.f_flag & ST_NOEXEC)
        return refuse(path, "mounted noexec");
    int length = snprintf(name, sizeof name, "%s/gibbon-XXXXXX", folder);
    if (length < 0 || (size_t)length >= sizeof name)
        return refuse(path, "path too long");
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return refuse(path, strerror(errno));
    errno = ENOSPC; // where the write is cut short
    bool whole = write(fd, page, sizeof page) == (ssize_t)sizeof page;
    int err = whole ? 0 : refuse(path, strerror(errno));
    close(fd);
    unlink(name);
    return err;
}

// Whether `path` is a folder to write to, or could be made: its nearest ancestor that exists is.
// What exists below `base`, the first `own` bytes, must be this user's alone to write.
static int check_folder(const char *path, size_t own, bool runs)
{
    char part[4096];
    struct stat st;
    size_t length = strlen(path);
    if (length >= sizeof part)
        return refuse(path, "path too long");
    memcpy(part, path, length + 1);
    while (stat(part, &st) < 0) {
        char *slash = strrchr(part, '/');
        if (errno != ENOENT || !strcmp(part, "."))
            return refuse(part, strerror(errno));
        if (slash)
            slash[slash == part] = 0;
        else
            memcpy(part, ".", 2);
    }
    if (!S_ISDIR(st.st_mode))
        return refuse(part, "not a folder");
    int err = try_folder(part, path, runs);
    for (length = strlen(part); err == 0 && length > own; part[length] = 0) {
        if (stat(part, &st) < 0 || st.st_uid != geteuid() || st.st_mode & S_IWOTH)
            err = refuse(part, "not this user's alone");
        while (length > own && part[--length] != '/')
            ;
    }
    return err;
}

// gibbon-UID in a folder of temporary files. Nobody else may rename it (the sticky bit), and it is
// a folder of this user's that nobody else can look into, not a link to one.
static int make_private(char *out, size_t size, const char *temp)
{
    struct stat st;
    int length = snprintf(out, size, "%s/gibbon-%ld", temp, (long)geteuid());
    if (length < 0 || (size_t)length >= size)
        return refuse(temp, "path too long");
    if (stat(temp, &st) < 0)
        return refuse(temp, strerror(errno));
    if ((st.st_uid && st.st_uid != geteuid()) ||
        (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX)))
        return refuse(temp, "others may rename what is there");
    if ((mkdir(out, 0700) < 0 && errno != EEXIST) || lstat(out, &st) < 0)
        return refuse(out, strerror(errno));
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IRWXG | S_IRWXO))
        return refuse(out, "not a private folder of this user's");
    return 0;
}

// base/leaf, checked.
static int find_in(char *out, size_t size, const char *base, const char *leaf, bool runs)
{
    int length = snprintf(out, size, "%s/%s", base, leaf);
    if (length < 0 || (size_t)length >= size)
        return refuse(base, "path too long");
    return check_folder(out, strlen(base), runs);
}

// Returns 1 where it is not the usual one, and gb_last_error() says why.
static int find_folder(char *out, size_t size, const char *leaf, bool runs)
{
    const char *const temps[] = {getenv("TMPDIR"), "/tmp", "/var/tmp", getenv("XDG_RUNTIME_DIR"),
                                 "/dev/shm"};
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char base[3072], why[400], last[400];
    int length = xdg && *xdg == '/'     ? snprintf(base, sizeof base, "%s", xdg)
                 : home && *home == '/' ? snprintf(base, sizeof base, "%s/.cache", home)
                                        : -1;
    int err = length < 0 || (size_t)length >= sizeof base
                  ? gb_fail(GB_ERR_IO, "neither $XDG_CACHE_HOME nor $HOME names a folder")
                  : find_in(out, size, base, leaf, runs);
    if (!err)
        return 0;
    snprintf(why, sizeof why, "%s", gb_last_error());
    for (size_t i = 0; i < GB_COUNT(temps); i++) {
        if (!temps[i] || *temps[i] != '/')
            continue;
        if (make_private(base, sizeof base, temps[i]) == 0 &&
            find_in(out, size, base, leaf, runs) == 0) {
            gb_fail(GB_ERR_IO, "%s", why);
            return 1;
        }
    }
    snprintf(last, sizeof last, "%s", gb_last_error());
    return gb_fail(GB_ERR_IO, "no folder for compiled kernels and measurements (%s; %s); set "
                   "$XDG_CACHE_HOME to one of yours", why, last);
}

int gb_cache_folder(char *out, size_t size)
{
    int err = find_folder(out, size, "gibbon", false);
    return err < 0 ? err : 0;
}

int gb_make_cache_folder(const char *folder)
{
    char parent[4096];
    const char *slash = strrchr(folder, '/');
    int err = 0;
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - folder) : 0, folder);
    if (*parent)
        GB_TRY(gb_make_dirs(parent));
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return refuse(folder, strerror(errno));
fail:
    return err;
}

int gb_prepare_pocl(const gb_log *log)
{
    const char *given = getenv("POCL_CACHE_DIR"), *xdg = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char folder[4096], usual[4096];
    if (given && *given && check_folder(given, strlen(given), true) == 0)
        return 0;
    int found = find_folder(folder, sizeof folder, "pocl/kcache", true);
    if (found < 0)
        return found;
    if (found > 0)
        gb_log_line(log, GB_LOG_INFO, "PoCL keeps compiled kernels in %s (%s)", folder,
                    gb_last_error());
    // Where PoCL looks by itself.
    snprintf(usual, sizeof usual, "%s%s/pocl/kcache", xdg && *xdg ? xdg : home ? home : "",
             xdg && *xdg ? "" : "/.cache");
    if (((given && *given) || strcmp(folder, usual) != 0) &&
        setenv("POCL_CACHE_DIR", folder, 1) < 0)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    return 0;
}
