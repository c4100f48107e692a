// Which reader reads a file, and what becomes of the rows that it decodes.
#include "image/codec.h"

#include "base/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// The longest side that is read: several rows, and weights for resizing them, are held in memory.
enum { MAX_SIDE = 1000000 };

// --- for the readers ---

int gb_rows_check(const gb_rows *rows, uint64_t width, uint64_t height)
{
    const unsigned long long w = width, h = height;
    const int64_t most = rows->max_pixels ? rows->max_pixels : GB_DEFAULT_PIXELS;
    if (width == 0 || height == 0)
        return gb_fail(GB_ERR_FORMAT, "%s: the picture has no pixels", rows->name);
    if (width > MAX_SIDE || height > MAX_SIDE)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: %llux%llu pixels; a side has at most %d",
                       rows->name, w, h, MAX_SIDE);
    if (width * height > (uint64_t)most)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: %llux%llu pixels are more than the limit of %lld; "
                                           "--max-pixels %llu would read it", rows->name, w, h,
                       (long long)most, w * h);
    return 0;
}

int gb_rows_begin(gb_rows *rows, int width, int height, int channels, int orientation)
{
    const int wanted = rows->channels ? rows->channels : channels;
    rows->width = width;
    rows->stored = channels;
    if (wanted != channels && !(rows->converted = malloc((size_t)width * (size_t)wanted)))
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", rows->name);
    return rows->begin(rows, width, height, wanted, orientation);
}

int gb_rows_put(gb_rows *rows, const uint8_t *pixels)
{
    if (!rows->converted)
        return rows->row(rows, pixels);
    gb_pixels_convert(rows->converted, pixels, (size_t)rows->width, rows->stored, rows->channels);
    return rows->row(rows, rows->converted);
}

// --- formats ---

// What a file of another format is called, for people who wonder; NULL: unknown.
static const char *format_name(const uint8_t *bytes, size_t size)
{
    static const struct {
        size_t at, length;
        const char *bytes, *name;
    } known[] = {
        {8, 4, "WEBP", "a WebP picture"},
        {0, 4, "GIF8", "a GIF picture"},
        {0, 4, "II*\0", "a TIFF picture"},
        {0, 4, "MM\0*", "a TIFF picture"},
        {0, 4, "II+\0", "a TIFF picture"},
        {4, 8, "ftypavif", "an AVIF picture"},
        {4, 8, "ftypavis", "an AVIF picture"},
        {4, 6, "ftyphe", "a HEIF picture"}, // heic, heix, hevc
        {4, 7, "ftypmif", "a HEIF picture"},
        {4, 7, "ftypmsf", "a HEIF picture"},
        {0, 2, "\xFF\x0A", "a JPEG XL picture"},
        {4, 4, "JXL ", "a JPEG XL picture"},
        {4, 4, "jP  ", "a JPEG 2000 picture"},
        {0, 4, "\xFF\x4F\xFF\x51", "a JPEG 2000 picture"},
        {0, 4, "qoif", "a QOI picture"},
        {0, 4, "8BPS", "a Photoshop picture"},
        {0, 4, "\x76\x2F\x31\x01", "an OpenEXR picture"},
        {0, 4, "\0\0\1\0", "an icon"},
        {0, 8, "\x8AMNG\r\n\x1A\n", "an MNG animation"},
        {0, 8, "\x8BJNG\r\n\x1A\n", "a JNG picture"},
        {0, 6, "\x93NUMPY", "an array of NumPy (its name must end in .npy)"},
        {0, 5, "%PDF-", "a PDF document"},
        {0, 2, "\x1F\x8B", "compressed by gzip"},
        {0, 4, "PK\3\4", "a ZIP archive"},
        {0, 4, "<svg", "an SVG drawing"},
        {0, 5, "<?xml", "an XML document"},
        {0, 14, "<!DOCTYPE html", "a web page"},
        {0, 5, "<html", "a web page"},
    };
    for (size_t i = 0; i < GB_COUNT(known); i++)
        if (size >= known[i].at + known[i].length &&
            memcmp(bytes + known[i].at, known[i].bytes, known[i].length) == 0)
            return known[i].name;
    // Two letters may begin a text, too.
    if (size >= 10 && memcmp(bytes, "BM", 2) == 0 && memcmp(bytes + 6, "\0\0\0\0", 4) == 0)
        return "a BMP picture";
    if (size > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '7' && isspace(bytes[2]))
        return "a PNM picture";
    return NULL;
}

int gb_rows_decode(gb_rows *rows, const void *bytes, size_t size)
{
    static const uint8_t jpeg[3] = {0xFF, 0xD8, 0xFF};
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    int err;
    if (size == 0)
        return gb_fail(GB_ERR_FORMAT, "%s: is empty", rows->name);
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0) {
        err = gb_jpeg_decode(rows, bytes, size);
    } else if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0) {
        err = gb_png_decode(rows, bytes, size);
    } else {
        const char *other = format_name(bytes, size);
        return other ? gb_fail(GB_ERR_FORMAT, "%s: is %s; gibbon reads JPEG and PNG", rows->name,
                               other)
                     : gb_fail(GB_ERR_FORMAT, "%s: neither a JPEG nor a PNG picture", rows->name);
    }
    free(rows->converted);
    rows->converted = NULL;
    return err;
}

int gb_rows_read(gb_rows *rows, const char *path)
{
    void *bytes;
    size_t size;
    int err = gb_file_read_input(&bytes, &size, path);
    if (err < 0)
        return err;
    rows->name = path;
    err = gb_rows_decode(rows, bytes, size);
    free(bytes);
    return err;
}

// --- whole pictures ---

typedef struct whole {
    gb_rows rows;
    gb_image image;
    int next, orientation;
} whole;

static int whole_begin(gb_rows *rows, int width, int height, int channels, int orientation)
{
    whole *w = (whole *)rows;
    w->orientation = orientation;
    return gb_image_init(&w->image, width, height, channels);
}

static int whole_row(gb_rows *rows, const uint8_t *pixels)
{
    whole *w = (whole *)rows;
    const size_t stride = (size_t)w->image.width * (size_t)w->image.channels;
    memcpy(w->image.data + (size_t)w->next++ * stride, pixels, stride);
    return 0;
}

static const gb_rows whole_rows = {.begin = whole_begin, .row = whole_row};

static int whole_end(gb_image *out, whole *w, int err)
{
    if (err >= 0)
        err = gb_image_orient(&w->image, w->orientation);
    if (err < 0)
        gb_image_finish(&w->image);
    *out = w->image;
    return err;
}

int gb_image_decode(gb_image *out, const void *bytes, size_t size, const char *name, int channels)
{
    whole w = {.rows = whole_rows};
    w.rows.name = name;
    w.rows.channels = channels;
    return whole_end(out, &w, gb_rows_decode(&w.rows, bytes, size));
}

int gb_image_read(gb_image *out, const char *path, int channels)
{
    whole w = {.rows = whole_rows};
    w.rows.channels = channels;
    return whole_end(out, &w, gb_rows_read(&w.rows, path));
}

// --- sizes ---

typedef struct measure {
    gb_rows rows;
    int width, height, channels;
} measure;

static int measure_begin(gb_rows *rows, int width, int height, int channels, int orientation)
{
    measure *m = (measure *)rows;
    const bool swap = gb_orientation_turn(orientation).swap;
    m->width = swap ? height : width;
    m->height = swap ? width : height;
    m->channels = channels;
    return 1;
}

int gb_image_measure(int *width, int *height, int *channels, const char *path)
{
    measure m = {.rows = {.begin = measure_begin, .max_pixels = INT64_MAX}};
    int err = gb_rows_read(&m.rows, path);
    if (err < 0)
        return err;
    *width = m.width;
    *height = m.height;
    *channels = m.channels;
    return 0;
}
