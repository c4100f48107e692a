// PNG in and out, through libpng.
#include "image/codec.h"

#include "base/file.h"

#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The chunks of pixels, as png_get_io_chunk_type has them.
enum { IDAT = 'I' << 24 | 'D' << 16 | 'A' << 8 | 'T' };

// Reader and writer keep what must survive libpng's longjmp here, in the caller's frame.
typedef struct stream {
    png_structp lib;
    png_infop info;
    char text[128];
    const uint8_t *in; // what is left to read
    size_t left, most; // of that, what the row at hand may take
    uint8_t *data; // decoded rows, or what has been written
    size_t size, capacity;
    png_bytep *row;
} stream;

static void on_error(png_structp lib, png_const_charp text)
{
    stream *s = png_get_error_ptr(lib);
    snprintf(s->text, sizeof s->text, "%s", text);
    png_longjmp(lib, 1);
}

static void on_warning(png_structp lib, png_const_charp text)
{
    (void)lib;
    (void)text; // about chunks that do not touch the pixels
}

static void on_read(png_structp lib, png_bytep out, size_t size)
{
    stream *s = png_get_io_ptr(lib);
    if (size > s->left)
        png_error(lib, "it ends early");
    if (png_get_io_chunk_type(lib) == IDAT && png_get_io_state(lib) & PNG_IO_CHUNK_DATA) {
        if (size > s->most)
            png_error(lib, "more data than pixels");
        s->most -= size;
    }
    memcpy(out, s->in, size);
    s->in += size;
    s->left -= size;
}

static void on_write(png_structp lib, png_bytep bytes, size_t size)
{
    stream *s = png_get_io_ptr(lib);
    if (size > SIZE_MAX - s->size ||
        gb_grow(&s->data, &s->capacity, s->size + size, 1) < 0)
        png_error(lib, "out of memory");
    memcpy(s->data + s->size, bytes, size);
    s->size += size;
}

static void on_flush(png_structp lib)
{
    (void)lib;
}

// Grey+alpha or RGBA to grey or RGB on a white ground, in place if need be: (a * v + (255 - a) *
// 255) / 255, rounded.
static void over_white(uint8_t *out, const uint8_t *in, size_t pixels, int channels)
{
    for (size_t i = 0; i < pixels; i++, in += channels + 1, out += channels) {
        unsigned alpha = in[channels];
        for (int k = 0; k < channels; k++)
            out[k] = (uint8_t)((alpha * in[k] + (255 - alpha) * 255 + 127) / 255);
    }
}

// After the last row libpng inflates and drops whatever follows, a thousandfold of the file. So a
// row may take twice its own size from the file and some more, which nothing honest exceeds.
static void read_row(stream *s, uint8_t *row)
{
    enum { SPARE = 1 << 16 };
    s->most = 2 * png_get_rowbytes(s->lib, s->info) + SPARE;
    png_read_row(s->lib, row, NULL);
}

// The rows of an interlaced picture are complete only at its end, so all of it is held in memory.
static int read_rows(stream *s, gb_rows *rows, size_t width, size_t height, int planes)
{
    const int channels = planes >= 3 ? 3 : 1;
    const size_t stride = width * (size_t)planes;
    const bool whole = png_get_interlace_type(s->lib, s->info) != PNG_INTERLACE_NONE;
    if (whole)
        s->row = malloc(height * sizeof *s->row);
    s->data = malloc(whole ? stride * height : stride);
    if (!s->data || (whole && !s->row))
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", rows->name);
    for (size_t y = 0; whole && y < height; y++)
        s->row[y] = s->data + y * stride;
    for (int pass = png_set_interlace_handling(s->lib); whole && pass > 0; pass--)
        for (size_t y = 0; y < height; y++)
            read_row(s, s->row[y]);
    for (size_t y = 0; y < height; y++) {
        uint8_t *row = whole ? s->row[y] : s->data;
        if (!whole)
            read_row(s, row);
        if (planes != channels)
            over_white(row, row, width, channels);
        int err = gb_rows_put(rows, row);
        if (err < 0)
            return err;
    }
    return 0;
}

static int decode(stream *s, gb_rows *rows, const void *bytes, size_t size)
{
    int err;
    s->in = bytes;
    s->left = size;
    s->lib = png_create_read_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
    if (s->lib)
        s->info = png_create_info_struct(s->lib);
    if (!s->info)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", rows->name);
    if (setjmp(png_jmpbuf(s->lib)))
        return gb_fail(GB_ERR_FORMAT, "%s: damaged or truncated PNG (%s)", rows->name, s->text);
    png_set_read_fn(s->lib, s, on_read);
    png_set_user_limits(s->lib, PNG_UINT_31_MAX, PNG_UINT_31_MAX); // gb_rows_check has limits
    // Text, profiles and the like are skipped unread.
    png_set_keep_unknown_chunks(s->lib, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_read_info(s->lib, s->info);
    const png_uint_32 width = png_get_image_width(s->lib, s->info);
    const png_uint_32 height = png_get_image_height(s->lib, s->info);
    err = gb_rows_check(rows, width, height);
    if (err < 0)
        return err;
    // Deflate shrinks at most 1032-fold: a header that promises more than the file can hold is
    // found out before memory is spent on it.
    if ((uint64_t)png_get_rowbytes(s->lib, s->info) * height / 1032 > size)
        return gb_fail(GB_ERR_FORMAT, "%s: truncated PNG (%zu bytes cannot hold %u x %u pixels)",
                       rows->name, size, (unsigned)width, (unsigned)height);

    png_set_expand(s->lib); // palette to RGB, 1, 2 and 4 bits to 8, tRNS to alpha
    png_set_scale_16(s->lib);
    png_set_interlace_handling(s->lib);
    png_read_update_info(s->lib, s->info);
    const int planes = png_get_channels(s->lib, s->info);
    if (png_get_rowbytes(s->lib, s->info) != (size_t)width * (size_t)planes)
        return gb_fail(GB_ERR_FORMAT, "%s: unexpected PNG row size", rows->name);
    err = gb_rows_begin(rows, (int)width, (int)height, planes >= 3 ? 3 : 1, 1);
    if (err)
        return err;
    err = read_rows(s, rows, width, height, planes);
    if (err < 0)
        return err;
    s->most = SIZE_MAX;
    png_read_end(s->lib, NULL);
    return 0;
}

int gb_png_decode(gb_rows *rows, const void *bytes, size_t size)
{
    stream s = {0};
    int err = decode(&s, rows, bytes, size);
    png_destroy_read_struct(&s.lib, &s.info, NULL);
    free(s.data);
    free(s.row);
    return err;
}

static int encode(stream *s, const gb_image *image, const char *path)
{
    s->lib = png_create_write_struct(PNG_LIBPNG_VER_STRING, s, on_error, on_warning);
    if (s->lib)
        s->info = png_create_info_struct(s->lib);
    if (!s->info)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    if (setjmp(png_jmpbuf(s->lib)))
        return gb_fail(GB_ERR_NOMEM, "%s: cannot be encoded (%s)", path, s->text);
    png_set_write_fn(s->lib, s, on_write, on_flush);
    png_set_IHDR(s->lib, s->info, (png_uint_32)image->width, (png_uint_32)image->height, 8,
                 image->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(s->lib, s->info);
    const size_t stride = (size_t)image->width * (size_t)image->channels;
    for (int y = 0; y < image->height; y++)
        png_write_row(s->lib, image->data + (size_t)y * stride);
    png_write_end(s->lib, s->info);
    return 0;
}

int gb_image_write_png(const char *path, const gb_image *image)
{
    stream s = {0};
    if (!image->data)
        return gb_fail(GB_ERR_ARG, "%s: there is no picture to write", path);
    int err = encode(&s, image, path);
    png_destroy_write_struct(&s.lib, &s.info);
    if (err == 0)
        err = gb_file_write(path, s.data, s.size);
    free(s.data);
    return err;
}
