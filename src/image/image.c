// The picture itself: memory, channels, turning, planar floats, and which reader reads a file.
#include "image/image.h"

#include "base/file.h"
#include "image/codec.h"

#include <stdlib.h>
#include <string.h>

void gb_image_finish(gb_image *image)
{
    free(image->data);
    *image = (gb_image){0};
}

int gb_image_init(gb_image *image, int width, int height, int channels)
{
    *image = (gb_image){0};
    if (width < 1 || height < 1 || (channels != 1 && channels != 3))
        return gb_fail(GB_ERR_ARG, "a picture of %d x %d pixels with %d channels cannot be",
                       width, height, channels);
    if ((uint64_t)width * (uint64_t)height > GB_MAX_PIXELS)
        return gb_fail(GB_ERR_UNSUPPORTED, "a picture of %d x %d pixels is too large (at most %d)",
                       width, height, GB_MAX_PIXELS);
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    uint8_t *data = malloc(bytes);
    if (!data)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a picture of %d x %d pixels", width,
                       height);
    *image = (gb_image){.width = width, .height = height, .channels = channels, .data = data};
    return 0;
}

int gb_image_check_size(const char *name, uint64_t width, uint64_t height)
{
    if (width == 0 || height == 0)
        return gb_fail(GB_ERR_FORMAT, "%s: the picture has no pixels", name);
    if (width > GB_MAX_PIXELS || height > GB_MAX_PIXELS || width * height > GB_MAX_PIXELS)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "%s: claims %llu x %llu pixels, more than the %d allowed", name,
                       (unsigned long long)width, (unsigned long long)height, GB_MAX_PIXELS);
    return 0;
}

// Grey to RGB by repetition; RGB to grey with the luma of ITU-R BT.601 in 16-bit fixed point, which
// is Pillow's convert("L").
int gb_image_convert(gb_image *out, const gb_image *in, int channels)
{
    int err = gb_image_init(out, in->width, in->height, channels);
    if (err < 0)
        return err;
    const size_t pixels = (size_t)in->width * (size_t)in->height;
    if (in->channels == channels)
        memcpy(out->data, in->data, pixels * (size_t)channels);
    else if (channels == 3)
        for (size_t i = 0; i < pixels; i++)
            memset(out->data + 3 * i, in->data[i], 3);
    else
        for (size_t i = 0; i < pixels; i++) {
            const uint8_t *rgb = in->data + 3 * i;
            out->data[i] = (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] +
                                      0x8000u) >> 16);
        }
    return 0;
}

int gb_image_orient(gb_image *image, int orientation)
{
    // Where the seen picture's pixel (x, y) is stored: mirrored, upside down, or with x and y
    // exchanged before that. Orientations 5 to 8 exchange.
    static const struct {
        bool swap, flip_x, flip_y; // flips are of the stored coordinates
    } turn[9] = {[2] = {false, true, false}, [3] = {false, true, true}, [4] = {false, false, true},
                 [5] = {true, false, false}, [6] = {true, false, true}, [7] = {true, true, true},
                 [8] = {true, true, false}};
    gb_image seen;
    if (orientation < 2 || orientation > 8)
        return 0;
    const bool swap = turn[orientation].swap;
    int w = swap ? image->height : image->width, h = swap ? image->width : image->height;
    int err = gb_image_init(&seen, w, h, image->channels);
    if (err < 0)
        return err;
    const size_t c = (size_t)image->channels;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            int sx = swap ? y : x, sy = swap ? x : y;
            sx = turn[orientation].flip_x ? image->width - 1 - sx : sx;
            sy = turn[orientation].flip_y ? image->height - 1 - sy : sy;
            memcpy(seen.data + ((size_t)y * (size_t)w + (size_t)x) * c,
                   image->data + ((size_t)sy * (size_t)image->width + (size_t)sx) * c, c);
        }
    }
    gb_image_finish(image);
    *image = seen;
    return 0;
}

int gb_image_decode(gb_image *out, const void *bytes, size_t size, const char *name, int channels)
{
    static const uint8_t jpeg[3] = {0xFF, 0xD8, 0xFF};
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
    int err;
    *out = (gb_image){0};
    if (size == 0)
        return gb_fail(GB_ERR_FORMAT, "%s: is empty", name);
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0)
        err = gb_jpeg_decode(out, bytes, size, name);
    else if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0)
        err = gb_png_decode(out, bytes, size, name);
    else
        return gb_fail(GB_ERR_FORMAT, "%s: neither a JPEG nor a PNG picture", name);
    if (err == 0 && channels != 0 && channels != out->channels) {
        gb_image as_read = *out;
        err = gb_image_convert(out, &as_read, channels);
        gb_image_finish(&as_read);
    }
    if (err < 0)
        gb_image_finish(out);
    return err;
}

int gb_image_read(gb_image *out, const char *path, int channels)
{
    void *bytes;
    size_t size;
    *out = (gb_image){0};
    int err = gb_file_read_input(&bytes, &size, path);
    if (err < 0)
        return err;
    err = gb_image_decode(out, bytes, size, path, channels);
    free(bytes);
    return err;
}

void gb_image_to_chw(float *out, const gb_image *in)
{
    const size_t c = (size_t)in->channels, pixels = (size_t)in->width * (size_t)in->height;
    for (size_t k = 0; k < c; k++)
        for (size_t i = 0; i < pixels; i++)
            out[k * pixels + i] = (float)in->data[i * c + k] / 255.0f;
}

int gb_image_from_chw(gb_image *out, const float *chw, int channels, int height, int width)
{
    int err = gb_image_init(out, width, height, channels);
    if (err < 0)
        return err;
    const size_t c = (size_t)channels, pixels = (size_t)width * (size_t)height;
    for (size_t k = 0; k < c; k++) {
        for (size_t i = 0; i < pixels; i++) {
            float v = chw[k * pixels + i] * 255.0f;
            // The comparisons are false for NaN, which becomes 0.
            out->data[i * c + k] = v >= 255.0f ? 255 : v > 0.0f ? (uint8_t)(v + 0.5f) : 0;
        }
    }
    return 0;
}
