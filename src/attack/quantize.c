// Rounds attacked images to 8 bits inside the ball around their 8-bit originals.
#include "attack/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double slack = 1e-6; // float eps 8/255 is not quite 8 levels

static int levels(float v) // nearest of 0..255; NaN is 0
{
    double scaled = floor((double)v * 255 + 0.5);
    return scaled >= 255 ? 255 : scaled > 0 ? (int)scaled : 0;
}

static void clip_linf(uint8_t *out, const uint8_t *original, size_t count, float eps)
{
    int most = (int)fmin(floor(255 * ((double)eps + slack)), 255);
    for (size_t i = 0; i < count; i++) {
        int moved = out[i] - original[i];
        moved = moved > most ? most : moved < -most ? -most : moved;
        out[i] = (uint8_t)(original[i] + moved);
    }
}

// Moves elements one level towards the original, those farthest away first, as they shorten the
// distance most, until its square is at most `budget`. outward: only where rounding went away from
// the original; that alone ends inside the ball if the floats were inside, and it alone looks at
// `adversarial`.
static void shrink_l2(uint8_t *out, const float *adversarial, const uint8_t *original, size_t count,
                      double budget, bool outward)
{
    double sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += (out[i] - original[i]) * (out[i] - original[i]);
    for (int far = 255; far > 0 && sum > budget; far--) {
        for (size_t i = 0; i < count && sum > budget; i++) {
            int moved = out[i] - original[i];
            if (abs(moved) != far ||
                (outward && fabs((double)adversarial[i] * 255 - original[i]) >= far))
                continue;
            out[i] = (uint8_t)(out[i] - (moved > 0 ? 1 : -1));
            sum -= 2 * far - 1;
        }
    }
}

static double budget_l2(float eps)
{
    double radius = 255 * ((double)eps + slack);
    return radius * radius;
}

static void enter_ball(uint8_t *out, const uint8_t *original, size_t count, gb_norm norm,
                       float eps)
{
    if (norm == GB_NORM_LINF)
        clip_linf(out, original, count, eps);
    else
        shrink_l2(out, NULL, original, count, budget_l2(eps), false);
}

int gb_quantize(uint8_t *out, const float *adversarial, const uint8_t *original, size_t count,
                gb_norm norm, float eps)
{
    if (count && (!out || !adversarial || !original))
        return gb_fail(GB_ERR_ARG, "gb_quantize: an argument is NULL");
    if (norm != GB_NORM_LINF && norm != GB_NORM_L2)
        return gb_fail(GB_ERR_ARG, "gb_quantize: norm %d is none", (int)norm);
    if (count > PTRDIFF_MAX / sizeof *adversarial)
        return gb_fail(GB_ERR_ARG, "%zu pixels are more than any memory holds", count);
    if (!(eps >= 0))
        return gb_fail(GB_ERR_ARG, "eps %g is negative or no number", (double)eps);
    uint8_t *copy = NULL;
    if (out == original && count) {
        copy = malloc(count ? count : 1);
        if (!copy)
            return gb_fail(GB_ERR_NOMEM, "out of memory for %zu pixels", count);
        original = memcpy(copy, original, count);
    }
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)levels(adversarial[i]);
    if (norm == GB_NORM_L2)
        shrink_l2(out, adversarial, original, count, budget_l2(eps), true);
    enter_ball(out, original, count, norm, eps);
    free(copy);
    return 0;
}

int gb_quantize_image(gb_image *out, const float *adversarial, const gb_image *original,
                      gb_norm norm, float eps)
{
    int err = 0;
    int width = original->width, height = original->height, channels = original->channels;
    size_t pixels = (size_t)width * (size_t)height, count = pixels * (size_t)channels;
    gb_image image = {0};
    float *interleaved = malloc((count ? count : 1) * sizeof *interleaved);
    if (!interleaved) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a picture of %dx%d", width, height);
        goto fail;
    }
    for (size_t p = 0; p < pixels; p++) {
        for (size_t c = 0; c < (size_t)channels; c++)
            interleaved[p * (size_t)channels + c] = adversarial[c * pixels + p];
    }
    GB_TRY(gb_image_init(&image, width, height, channels));
    GB_TRY(gb_quantize(image.data, interleaved, original->data, count, norm, eps));
    *out = image;
    image = (gb_image){0};
fail:
    gb_image_finish(&image);
    free(interleaved);
    return err;
}

int gb_quantize_between(gb_image *image, const gb_image *original, const gb_image *other,
                        gb_norm norm, float eps)
{
    gb_image moved = {0};
    double linf, l2;
    size_t count = (size_t)image->width * (size_t)image->height * (size_t)image->channels;
    int err = 0;
    GB_TRY(gb_image_distance(&linf, &l2, image, other)); // checks the sizes
    GB_TRY(gb_image_init(&moved, image->width, image->height, image->channels));
    memcpy(moved.data, image->data, count);
    enter_ball(moved.data, other->data, count, norm, eps);
    GB_TRY(gb_image_distance(&linf, &l2, &moved, original));
    if (gb_in_ball(linf, l2, norm, eps))
        memcpy(image->data, moved.data, count);
fail:
    gb_image_finish(&moved);
    return err;
}

int gb_image_distance(double *linf, double *l2, const gb_image *a, const gb_image *b)
{
    if (a->width != b->width || a->height != b->height || a->channels != b->channels)
        return gb_fail(GB_ERR_ARG, "pictures of %dx%dx%d and %dx%dx%d cannot be compared", a->width,
                       a->height, a->channels, b->width, b->height, b->channels);
    size_t count = (size_t)a->width * (size_t)a->height * (size_t)a->channels;
    int most = 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        int moved = abs(a->data[i] - b->data[i]);
        most = moved > most ? moved : most;
        sum += moved * moved;
    }
    *linf = most / 255.0;
    *l2 = sqrt(sum) / 255;
    return 0;
}

void gb_distance(double *linf, double *l2, const float *a, const float *b, size_t count)
{
    double most = 0, sum = 0;
    for (size_t i = 0; i < count; i++) {
        double moved = fabs((double)a[i] - (double)b[i]);
        most = fmax(most, moved);
        sum += moved * moved;
    }
    *linf = most;
    *l2 = sqrt(sum);
}

bool gb_in_ball(double linf, double l2, gb_norm norm, float eps)
{
    return (norm == GB_NORM_LINF ? linf : l2) <= (double)eps + slack;
}
