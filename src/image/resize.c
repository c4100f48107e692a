// Resizing and cropping, bit for bit as Pillow's antialiased bilinear filter and torchvision do.
#include "image/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Weights are fixed-point numbers with this many bits behind the point: 8 of 32 bits are a pixel's,
// and two are head room for the sum and its sign.
enum { PRECISION = 32 - 8 - 2 };

// For one axis: output i is the sum over k < count[i] of weight[i * taps + k] * input[first[i] +
// k].
typedef struct filter {
    int taps;
    int *first, *count;
    int32_t *weight;
} filter;

static void filter_finish(filter *f)
{
    free(f->first);
    free(f->count);
    free(f->weight);
}

// A triangle of half-width max(1, in/out) input pixels around each output pixel's centre.
static int filter_init(filter *f, int in, int out)
{
    const double scale = (double)in / out, support = scale < 1.0 ? 1.0 : scale;
    size_t n = (size_t)out, weights, bytes;
    *f = (filter){.taps = (int)ceil(support) * 2 + 1};
    if (!gb_mul_size(&weights, n, (size_t)f->taps) ||
        !gb_mul_size(&bytes, weights, sizeof *f->weight))
        return gb_fail(GB_ERR_NOMEM, "out of memory for resizing %d to %d", in, out);
    f->first = malloc(n * sizeof *f->first);
    f->count = malloc(n * sizeof *f->count);
    f->weight = calloc(weights, sizeof *f->weight);
    double *w = malloc((size_t)f->taps * sizeof *w);
    if (!f->first || !f->count || !f->weight || !w) {
        free(w);
        filter_finish(f);
        return gb_fail(GB_ERR_NOMEM, "out of memory for resizing %d to %d", in, out);
    }
    for (int i = 0; i < out; i++) {
        const double center = (i + 0.5) * scale;
        int from = (int)(center - support + 0.5), to = (int)(center + support + 0.5);
        double sum = 0.0;
        from = from < 0 ? 0 : from;
        to = to > in ? in : to;
        for (int k = 0; k < to - from; k++) {
            double distance = fabs((k + from - center + 0.5) * (1.0 / support));
            w[k] = distance < 1.0 ? 1.0 - distance : 0.0;
            sum += w[k];
        }
        f->first[i] = from;
        f->count[i] = to - from;
        for (int k = 0; k < to - from; k++) {
            double normal = sum != 0.0 ? w[k] / sum : w[k];
            f->weight[(size_t)i * (size_t)f->taps + (size_t)k] =
                (int32_t)(0.5 + normal * (1 << PRECISION));
        }
    }
    free(w);
    return 0;
}

static uint8_t to_8_bits(int32_t sum)
{
    int32_t v = sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static void resize_rows(gb_image *out, const gb_image *in, const filter *f)
{
    const size_t c = (size_t)in->channels;
    for (int y = 0; y < out->height; y++) {
        const uint8_t *src = in->data + (size_t)y * (size_t)in->width * c;
        uint8_t *dst = out->data + (size_t)y * (size_t)out->width * c;
        for (int x = 0; x < out->width; x++) {
            const int32_t *w = f->weight + (size_t)x * (size_t)f->taps;
            for (size_t j = 0; j < c; j++) {
                const uint8_t *p = src + (size_t)f->first[x] * c + j;
                int32_t sum = 1 << (PRECISION - 1);
                for (int k = 0; k < f->count[x]; k++)
                    sum += w[k] * p[(size_t)k * c];
                *dst++ = to_8_bits(sum);
            }
        }
    }
}

static int resize_columns(gb_image *out, const gb_image *in, const filter *f)
{
    const size_t stride = (size_t)in->width * (size_t)in->channels;
    int32_t *sum = malloc(stride * sizeof *sum); // a row at a time reads memory in order
    if (!sum)
        return gb_fail(GB_ERR_NOMEM, "out of memory for resizing");
    for (int y = 0; y < out->height; y++) {
        const int32_t *w = f->weight + (size_t)y * (size_t)f->taps;
        for (size_t x = 0; x < stride; x++)
            sum[x] = 1 << (PRECISION - 1);
        for (int k = 0; k < f->count[y]; k++) {
            const uint8_t *p = in->data + (size_t)(f->first[y] + k) * stride;
            for (size_t x = 0; x < stride; x++)
                sum[x] += w[k] * p[x];
        }
        for (size_t x = 0; x < stride; x++)
            out->data[(size_t)y * stride + x] = to_8_bits(sum[x]);
    }
    free(sum);
    return 0;
}

static int copy(gb_image *out, const gb_image *in)
{
    int err = gb_image_init(out, in->width, in->height, in->channels);
    if (err == 0)
        memcpy(out->data, in->data,
               (size_t)in->width * (size_t)in->height * (size_t)in->channels);
    return err;
}

// Rows first, then columns, each only where that side changes. (From version 13 on, Pillow takes
// the columns first where the height shrinks much more than the width; that moves some pixels by
// one.)
int gb_image_resize(gb_image *out, const gb_image *in, int width, int height)
{
    gb_image wide = {0};
    filter f = {0};
    const gb_image *from = in;
    int err = 0;
    *out = (gb_image){0};
    if (width == in->width && height == in->height)
        return copy(out, in);
    if (width != in->width) {
        GB_TRY(gb_image_init(&wide, width, in->height, in->channels));
        GB_TRY(filter_init(&f, in->width, width));
        resize_rows(&wide, in, &f);
        filter_finish(&f);
        f = (filter){0};
        from = &wide;
    }
    if (height != in->height) {
        GB_TRY(gb_image_init(out, width, height, in->channels));
        GB_TRY(filter_init(&f, in->height, height));
        GB_TRY(resize_columns(out, from, &f));
    } else {
        *out = wide;
        wide = (gb_image){0};
    }
fail:
    filter_finish(&f);
    gb_image_finish(&wide);
    if (err < 0)
        gb_image_finish(out);
    return err;
}

int gb_image_resize_short(gb_image *out, const gb_image *in, int side)
{
    const bool tall = in->width <= in->height;
    const int64_t small = tall ? in->width : in->height, large = tall ? in->height : in->width;
    *out = (gb_image){0};
    if (side < 1 || small < 1)
        return gb_fail(GB_ERR_ARG, "cannot resize %d x %d pixels to a shorter side of %d",
                       in->width, in->height, side);
    const int64_t other = side * large / small;
    if (other > INT32_MAX)
        return gb_fail(GB_ERR_UNSUPPORTED, "a picture of %d x %d pixels is too narrow to resize",
                       in->width, in->height);
    return gb_image_resize(out, in, tall ? side : (int)other, tall ? (int)other : side);
}

// Where a crop of `size` starts on an axis of `length`: int(round((length - size) / 2.0)) with
// Python's rounding of halves to even; negative where padding comes first, (size - length) / 2 of
// it.
static int crop_start(int length, int size)
{
    const int extra = length - size, half = extra / 2;
    return extra > 0 && extra % 2 && half % 2 ? half + 1 : half;
}

int gb_image_center_crop(gb_image *out, const gb_image *in, int width, int height)
{
    int err = gb_image_init(out, width, height, in->channels);
    if (err < 0)
        return err;
    const int left = crop_start(in->width, width), top = crop_start(in->height, height);
    const size_t c = (size_t)in->channels;
    // Columns [from, to) of the crop lie inside the picture.
    const int from = left < 0 ? -left : 0;
    const int to = in->width - left < width ? in->width - left : width;
    memset(out->data, 0, (size_t)width * (size_t)height * c);
    for (int y = 0; y < height; y++) {
        if (y + top < 0 || y + top >= in->height)
            continue;
        memcpy(out->data + ((size_t)y * (size_t)width + (size_t)from) * c,
               in->data + ((size_t)(y + top) * (size_t)in->width + (size_t)(from + left)) * c,
               (size_t)(to - from) * c);
    }
    return 0;
}

int gb_image_fit(gb_image *out, const gb_image *in, int resize, int width, int height)
{
    gb_image middle = {0};
    int err;
    if (resize == 0)
        return gb_image_resize(out, in, width, height);
    err = gb_image_resize_short(&middle, in, resize);
    if (err == 0)
        err = gb_image_center_crop(out, &middle, width, height);
    gb_image_finish(&middle);
    return err;
}
