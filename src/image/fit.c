// How a picture is scaled and cropped to a size, as torchvision's Resize and CenterCrop do.
#include "image/resize.h"

#include <stdlib.h>

// Where a crop of `size` starts on an axis of `length`: int(round((length - size) / 2.0)) with
// Python's rounding of halves to even; negative where padding comes first, (size - length) / 2 of
// it.
static int crop_start(int length, int size)
{
    const int extra = length - size, half = extra / 2;
    return extra > 0 && extra % 2 && half % 2 ? half + 1 : half;
}

int gb_fit_axes(gb_axis axis[2], int width, int height, const gb_fit *fit)
{
    const bool tall = width <= height;
    const int64_t small = tall ? width : height, large = tall ? height : width;
    axis[0] = (gb_axis){width, fit->width, 0, fit->width};
    axis[1] = (gb_axis){height, fit->height, 0, fit->height};
    if (fit->resize == 0 || (width == fit->width && height == fit->height))
        return 0;
    if (fit->resize < 0 || small < 1)
        return gb_fail(GB_ERR_ARG, "cannot resize %d x %d pixels to a shorter side of %d", width,
                       height, fit->resize);
    const int64_t other = fit->resize * large / small;
    if (other > INT32_MAX)
        return gb_fail(GB_ERR_UNSUPPORTED, "a picture of %d x %d pixels is too narrow to resize",
                       width, height);
    axis[!tall].scaled = fit->resize;
    axis[tall].scaled = (int)other;
    for (int i = 0; i < 2; i++)
        axis[i].start = crop_start(axis[i].scaled, axis[i].size);
    return 0;
}

// Pillow up to 12.1 takes the rows first. 12.2 and 12.3 take the columns first where a picture is
// more than 100 times as tall as wide and its height shrinks; 13 does where the height loses more
// pixels than twice those that the width loses. A side that stays needs no pass.
bool gb_fit_differs(int width, int height, const gb_fit *fit)
{
    gb_axis axis[2];
    if (gb_fit_axes(axis, width, height, fit) < 0)
        return false;
    const int64_t lost_x = (int64_t)width - axis[0].scaled;
    const int64_t lost_y = (int64_t)height - axis[1].scaled;
    return lost_x != 0 && lost_y > 0 && (lost_y > 2 * lost_x || height > 100 * (int64_t)width);
}

// --- rows ---

typedef struct fitting {
    gb_rows rows;
    const gb_fit *fit;
    gb_resizer resizer;
} fitting;

static int fitting_begin(gb_rows *rows, int width, int height, int channels, int orientation)
{
    fitting *f = (fitting *)rows;
    const bool swap = gb_orientation_turn(orientation).swap;
    gb_axis axis[2];
    int err = gb_fit_axes(axis, swap ? height : width, swap ? width : height, f->fit);
    if (err >= 0)
        err = gb_resizer_init(&f->resizer, axis, channels, orientation, f->fit->columns_first);
    return err < 0 ? gb_fail_in(err, "%s", rows->name) : 0;
}

static int fitting_row(gb_rows *rows, const uint8_t *pixels)
{
    gb_resizer_row(&((fitting *)rows)->resizer, pixels);
    return 0;
}

static fitting fitting_of(const gb_fit *fit)
{
    return (fitting){.rows = {.channels = fit->channels, .begin = fitting_begin,
                              .row = fitting_row},
                     .fit = fit};
}

static int fitting_end(gb_image *out, fitting *f, int err)
{
    *out = (gb_image){0};
    if (err >= 0)
        err = gb_resizer_end(out, &f->resizer);
    gb_resizer_finish(&f->resizer);
    return err;
}

int gb_image_read_fit(gb_image *out, const char *path, const gb_fit *fit, int64_t max_pixels)
{
    fitting f = fitting_of(fit);
    f.rows.max_pixels = max_pixels;
    return fitting_end(out, &f, gb_rows_read(&f.rows, path));
}

int gb_image_decode_fit(gb_image *out, const void *bytes, size_t size, const char *name,
                        const gb_fit *fit)
{
    fitting f = fitting_of(fit);
    f.rows.name = name;
    return fitting_end(out, &f, gb_rows_decode(&f.rows, bytes, size));
}

int gb_image_fit(gb_image *out, const gb_image *in, const gb_fit *fit)
{
    const size_t stride = (size_t)in->width * (size_t)in->channels;
    fitting f = fitting_of(fit);
    f.rows.name = "a picture";
    int err = gb_rows_begin(&f.rows, in->width, in->height, in->channels, 1);
    for (int y = 0; y < in->height && err == 0; y++)
        err = gb_rows_put(&f.rows, in->data + (size_t)y * stride);
    free(f.rows.converted);
    return fitting_end(out, &f, err);
}

int gb_image_resize(gb_image *out, const gb_image *in, int width, int height)
{
    return gb_image_fit(out, in, &(gb_fit){.width = width, .height = height});
}
