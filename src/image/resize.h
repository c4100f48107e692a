// The resizer: a picture's rows go in one by one, the resized and cropped picture comes out.
#ifndef GB_IMAGE_RESIZE_H
#define GB_IMAGE_RESIZE_H

#include "image/codec.h"

// What becomes of one axis: `in` pixels are scaled to `scaled`, of which [start, start + size) are
// kept. Where that reaches beyond, zeros are put.
typedef struct gb_axis {
    int in, scaled, start, size;
} gb_axis;

// The axes x and y of a picture as it is seen.
int gb_fit_axes(gb_axis axis[2], int width, int height, const gb_fit *fit);

// Output i of an axis is the sum over k < count[i] of weight[i * taps + k] * input[first[i] + k].
// There are `n` outputs, those of `scaled` that are kept, and they lie from `at` on.
typedef struct gb_filter {
    int n, at, taps;
    int *first, *count;
    int32_t *weight;
} gb_filter;

// A zeroed gb_resizer is empty and valid.
typedef struct gb_resizer {
    gb_filter x, y; // along a stored row, and from row to row
    bool columns_first;
    int channels, orientation;
    int next, done;  // rows taken, outputs of y finished
    size_t between;  // bytes of a row after the first pass
    uint8_t *row;    // one of them
    int32_t *sum;    // (slots, between): sums under way of outputs of y, or one sum, and then
    uint8_t *window; // (taps, between): the last rows
    int slots;
    gb_image out; // as stored
} gb_resizer;

// axis: x and y as the picture is seen; the rows come as stored, as wide as that makes them.
int gb_resizer_init(gb_resizer *r, const gb_axis axis[2], int channels, int orientation,
                    bool columns_first);
void gb_resizer_row(gb_resizer *r, const uint8_t *pixels);
// After the last row: hands out the picture as it is seen.
int gb_resizer_end(gb_image *out, gb_resizer *r);
void gb_resizer_finish(gb_resizer *r);

#endif
