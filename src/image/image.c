// The picture itself: memory, channels, turning, and planar floats.
#include "image/image.h"

#include "image/codec.h"

#include <stdlib.h>
#include <string.h>

// The most pixels that a whole picture in memory may have.
enum { MAX_PIXELS = 1 << 28 };

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
    if ((uint64_t)width * (uint64_t)height > MAX_PIXELS)
        return gb_fail(GB_ERR_UNSUPPORTED, "a picture of %d x %d pixels is too large (at most %d)",
                       width, height, MAX_PIXELS);
    size_t bytes = (size_t)width * (size_t)height * (size_t)channels;
    uint8_t *data = malloc(bytes);
    if (!data)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a picture of %d x %d pixels", width,
                       height);
    *image = (gb_image){.width = width, .height = height, .channels = channels, .data = data};
    return 0;
}

// Grey to RGB by repetition; RGB to grey with the luma of ITU-R BT.601 in 16-bit fixed point, which
// is Pillow's convert("L").
void gb_pixels_convert(uint8_t *out, const uint8_t *in, size_t count, int from, int to)
{
    if (from == to)
        memcpy(out, in, count * (size_t)to);
    else if (to == 3)
        for (size_t i = 0; i < count; i++)
            memset(out + 3 * i, in[i], 3);
    else
        for (size_t i = 0; i < count; i++, in += 3)
            out[i] = (uint8_t)((19595u * in[0] + 38470u * in[1] + 7471u * in[2] + 0x8000u) >> 16);
}

gb_turn gb_orientation_turn(int orientation)
{
    static const gb_turn turn[9] = {
        [2] = {false, true, false}, [3] = {false, true, true}, [4] = {false, false, true},
        [5] = {true, false, false}, [6] = {true, false, true}, [7] = {true, true, true},
        [8] = {true, true, false}};
    return turn[orientation < 2 || orientation > 8 ? 1 : orientation];
}

int gb_image_orient(gb_image *image, int orientation)
{
    const gb_turn turn = gb_orientation_turn(orientation);
    gb_image seen;
    if (orientation < 2 || orientation > 8)
        return 0;
    int w = turn.swap ? image->height : image->width, h = turn.swap ? image->width : image->height;
    int err = gb_image_init(&seen, w, h, image->channels);
    if (err < 0)
        return err;
    const size_t c = (size_t)image->channels;
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            int sx = turn.swap ? y : x, sy = turn.swap ? x : y;
            sx = turn.flip_x ? image->width - 1 - sx : sx;
            sy = turn.flip_y ? image->height - 1 - sy : sy;
            memcpy(seen.data + ((size_t)y * (size_t)w + (size_t)x) * c,
                   image->data + ((size_t)sy * (size_t)image->width + (size_t)sx) * c, c);
        }
    }
    gb_image_finish(image);
    *image = seen;
    return 0;
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
