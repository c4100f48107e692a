// From arguments to pictures.
#include "image/list.h"

#include "base/file.h"
#include "base/name.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool ends_in(const char *path, const char *ending)
{
    size_t n = strlen(path), m = strlen(ending);
    return n > m && gb_same_word(path + n - m, ending);
}

static bool is_picture(const char *path)
{
    return ends_in(path, ".jpg") || ends_in(path, ".jpeg") || ends_in(path, ".png");
}

static int add(gb_list *list, const char *path, bool npy, int64_t row)
{
    int err = gb_grow(&list->item, &list->capacity, list->count + 1, sizeof *list->item);
    if (err < 0)
        return err;
    list->item[list->count++] = (gb_item){.path = path, .row = row, .npy = npy};
    return 0;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

// Byte order, whatever the locale, so that a list is the same everywhere.
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

// Files of pictures that a folder is not searched for.
static bool is_other_picture(const char *path)
{
    static const char *const ending[] = {
        ".webp", ".bmp",  ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
        ".heic", ".heif", ".jxl", ".jp2", ".j2k",  ".jpe", ".jfif", ".tga", ".ico", ".svg",
        ".psd",  ".dng",  ".npy", ".npz"};
    for (size_t i = 0; i < GB_COUNT(ending); i++)
        if (ends_in(path, ending[i]))
            return true;
    return false;
}

static void skip(gb_list *list, const char *path)
{
    list->skipped++;
    if (!list->skipped_one)
        list->skipped_one = path;
}

// Folders that were listed for one argument: a link may lead back to one.
typedef struct visited {
    struct place {
        dev_t device;
        ino_t inode;
    } *place;
    size_t count, capacity;
} visited;

// Whether the folder is new.
static int visit(visited *v, bool *fresh, const struct stat *st)
{
    *fresh = false;
    for (size_t i = 0; i < v->count; i++)
        if (v->place[i].device == st->st_dev && v->place[i].inode == st->st_ino)
            return 0;
    int err = gb_grow(&v->place, &v->capacity, v->count + 1, sizeof *v->place);
    if (err < 0)
        return err;
    v->place[v->count++] = (struct place){st->st_dev, st->st_ino};
    *fresh = true;
    return 0;
}

// Pictures of the folder first, then, `depth` levels down, those of its folders.
static int add_folder(gb_list *list, const char *path, int depth, visited *v)
{
    struct dirent **entry = NULL;
    const size_t length = strlen(path);
    const char *slash = length && path[length - 1] == '/' ? "" : "/";
    int err = 0, n = scandir(path, &entry, visible, by_name);
    if (n < 0)
        return gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < n && err == 0; i++) {
            struct stat st;
            bool fresh = false;
            const char *inner =
                gb_arena_printf(&list->arena, "%s%s%s", path, slash, entry[i]->d_name);
            if (!inner) {
                err = GB_ERR_NOMEM;
            } else if (stat(inner, &st) < 0) { // a dangling link
                if (pass == 0 && (is_picture(inner) || is_other_picture(inner)))
                    skip(list, inner);
            } else if (pass == 0 && S_ISREG(st.st_mode) && is_picture(inner)) {
                err = add(list, inner, false, -1);
            } else if (pass == 0 && !S_ISDIR(st.st_mode) &&
                       (is_picture(inner) || is_other_picture(inner))) {
                skip(list, inner);
            } else if (pass == 1 && S_ISDIR(st.st_mode)) {
                err = visit(v, &fresh, &st);
                if (fresh && depth > 0)
                    err = add_folder(list, inner, depth - 1, v);
                else
                    list->too_deep += fresh;
            }
        }
    }
    for (int i = 0; i < n; i++)
        free(entry[i]);
    free(entry);
    return err;
}

// Says so where pictures of C,H,W numbers are not what the model takes.
static int check_size(const int64_t dim[3], const gb_preproc *p, const char *path)
{
    const int64_t want[3] = {p->channels, p->crop_h, p->crop_w};
    if (!memcmp(dim, want, sizeof want))
        return 0;
    return gb_fail(GB_ERR_FORMAT, "%s: pictures of %lldx%lldx%lld, but the model takes %dx%dx%d "
                                  "(channels, height, width)", path, (long long)dim[0],
                   (long long)dim[1], (long long)dim[2], p->channels, p->crop_h, p->crop_w);
}

// The rows of an array are alike, so what is wrong with their shape is found once, before they are
// listed. An array of at least one byte a row cannot have more rows than its file has bytes.
static int add_npy(gb_list *list, const char *path)
{
    gb_npy npy;
    int err = gb_npy_shape(&npy, path);
    if (err < 0)
        return err;
    if (npy.rank != 3 && npy.rank != 4)
        return gb_fail(GB_ERR_FORMAT, "%s: pictures in an .npy are [N,]C,H,W; this has %d "
                                      "dimension%s", path, npy.rank, npy.rank == 1 ? "" : "s");
    for (int i = 0; i < npy.rank; i++)
        if (npy.dim[i] < 1)
            return gb_fail(GB_ERR_FORMAT, "%s: holds no pixel: dimension %d of its %d is 0", path,
                           i + 1, npy.rank);
    if (list->fit)
        GB_TRY(check_size(npy.dim + npy.rank - 3, list->fit, path));
    if (npy.rank == 3)
        return add(list, path, true, -1);
    GB_TRY(gb_grow(&list->item, &list->capacity, list->count + (size_t)npy.dim[0],
                   sizeof *list->item));
    for (int64_t row = 0; row < npy.dim[0] && err == 0; row++)
        err = add(list, path, true, row);
fail:
    return err;
}

int gb_list_add(gb_list *list, const char *argument)
{
    struct stat st;
    const size_t before = list->count;
    const char *path = gb_arena_strdup(&list->arena, gb_file_input_path(argument));
    if (!path)
        return GB_ERR_NOMEM;
    if (stat(path, &st) < 0)
        return gb_fail(GB_ERR_IO, "%s: %s", path, strerror(errno));
    if (!S_ISDIR(st.st_mode))
        return ends_in(path, ".npy") ? add_npy(list, path) : add(list, path, false, -1);
    visited v = {0};
    char skipped[4200];
    bool fresh;
    int err = visit(&v, &fresh, &st);
    if (err == 0)
        err = add_folder(list, path, 1, &v);
    free(v.place);
    if (err == 0 && list->count == before)
        err = gb_fail(GB_ERR_ARG, "%s: no .jpg, .jpeg or .png picture in this folder%s%s", path,
                      *gb_list_skipped_text(skipped, sizeof skipped, list) ? "; " : "", skipped);
    return err;
}

char *gb_list_skipped_text(char *buf, size_t size, const gb_list *list)
{
    char deep[64] = "";
    if (list->too_deep)
        snprintf(deep, sizeof deep, "%zu folder%s too deep", list->too_deep,
                 list->too_deep == 1 ? " lies" : "s lie");
    if (list->skipped)
        snprintf(buf, size, "%zu picture%s skipped: not a JPEG or PNG file (%s)%s%s",
                 list->skipped, list->skipped == 1 ? " is" : "s are", list->skipped_one,
                 *deep ? "; " : "", deep);
    else
        snprintf(buf, size, "%s", deep);
    return buf;
}

void gb_list_finish(gb_list *list)
{
    free(list->item);
    gb_arena_finish(&list->arena);
    *list = (gb_list){0};
}

const char *gb_path_stem(const char *path, size_t *length)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    *length = dot && dot > name ? (size_t)(dot - name) : strlen(name);
    return name;
}

char *gb_item_text(char *buf, size_t size, const gb_item *item)
{
    if (item->row >= 0)
        snprintf(buf, size, "%s[%lld]", item->path, (long long)item->row);
    else
        snprintf(buf, size, "%s", item->path);
    return buf;
}

char *gb_item_stem(char *buf, size_t size, const gb_item *item)
{
    size_t length;
    const char *name = gb_path_stem(item->path, &length);
    if (item->row >= 0)
        snprintf(buf, size, "%.*s_%lld", (int)length, name, (long long)item->row);
    else
        snprintf(buf, size, "%.*s", (int)length, name);
    return buf;
}

static int load_npy(float *chw, const gb_item *item, const gb_preproc *p)
{
    const size_t count = (size_t)p->channels * (size_t)p->crop_h * (size_t)p->crop_w;
    char name[4200];
    gb_npy npy;
    int err = item->row < 0 ? gb_npy_read(&npy, item->path)
                            : gb_npy_read_rows(&npy, item->path, item->row, 1);
    if (err < 0)
        return err;
    gb_item_text(name, sizeof name, item);
    if (npy.rank != 3 + (item->row >= 0)) { // the file has changed
        err = gb_fail(GB_ERR_FORMAT, "%s: has %d dimensions now", name, npy.rank);
        goto fail;
    }
    GB_TRY(check_size(npy.dim + npy.rank - 3, p, name));
    for (size_t i = 0; i < count; i++) {
        if (!(npy.data[i] >= 0.0f && npy.data[i] <= 1.0f)) { // false for NaN
            err = gb_fail(GB_ERR_ARG, "%s: holds %g; pixels are from 0 to 1", name,
                          (double)npy.data[i]);
            goto fail;
        }
    }
    memcpy(chw, npy.data, count * sizeof *chw);
fail:
    gb_npy_finish(&npy);
    return err;
}

int gb_item_load(float *chw, const gb_item *item, const gb_preproc *p)
{
    gb_image picture;
    if (item->npy)
        return load_npy(chw, item, p);
    int err = gb_preproc_read(&picture, item->path, p);
    if (err < 0)
        return err;
    gb_image_to_chw(chw, &picture);
    gb_image_finish(&picture);
    return 0;
}
