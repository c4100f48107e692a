// Resizing a stream of rows, bit for bit as Pillow's antialiased bilinear filter.
//
// One pass goes along the rows, one along the columns, with 8 bits in between. Rows come as they
// are stored; EXIF may have the picture seen turned, so filters are made for the axes as seen and
// mirrored, and rows as seen may be columns as stored. What is held at a time are a few rows.
#include "image/resize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Weights are fixed-point numbers with this many bits behind the point: 8 of 32 bits are a pixel's,
// and two are head room for the sum and its sign.
enum { PRECISION = 32 - 8 - 2, HALF = 1 << (PRECISION - 1) };

// --- filters ---

static void filter_finish(gb_filter *f)
{
    free(f->first);
    free(f->count);
    free(f->weight);
}

// A triangle of half-width max(1, in/scaled) input pixels around each output pixel's centre.
static int filter_init(gb_filter *f, const gb_axis *axis, bool mirrored)
{
    const double scale = (double)axis->in / axis->scaled, support = scale < 1.0 ? 1.0 : scale;
    const int last = axis->start + axis->size; // at most 2^16 kept of an int
    const int from = axis->start > 0 ? axis->start : 0;
    const int to = axis->scaled < last ? axis->scaled : last;
    size_t weights;
    *f = (gb_filter){.n = to - from, .at = from - axis->start, .taps = (int)ceil(support) * 2 + 1};
    if (mirrored)
        f->at = axis->size - f->at - f->n;
    double *w = malloc((size_t)f->taps * sizeof *w);
    f->first = malloc((size_t)f->n * sizeof *f->first);
    f->count = malloc((size_t)f->n * sizeof *f->count);
    if (gb_mul_size(&weights, (size_t)f->n, (size_t)f->taps))
        f->weight = calloc(weights, sizeof *f->weight);
    if (!f->first || !f->count || !f->weight || !w) {
        free(w);
        return gb_fail(GB_ERR_NOMEM, "out of memory for resizing %d to %d", axis->in,
                       axis->scaled);
    }
    for (int i = from; i < to; i++) {
        const double center = (i + 0.5) * scale;
        int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
        double sum = 0.0;
        first = first < 0 ? 0 : first;
        end = end > axis->in ? axis->in : end;
        const int count = end - first;
        for (int k = 0; k < count; k++) {
            double distance = fabs((k + first - center + 0.5) * (1.0 / support));
            w[k] = distance < 1.0 ? 1.0 - distance : 0.0;
            sum += w[k];
        }
        const int at = mirrored ? to - 1 - i : i - from;
        f->first[at] = mirrored ? axis->in - end : first;
        f->count[at] = count;
        for (int k = 0; k < count; k++) {
            double normal = sum != 0.0 ? w[k] / sum : w[k];
            f->weight[(size_t)at * (size_t)f->taps + (size_t)(mirrored ? count - 1 - k : k)] =
                (int32_t)(0.5 + normal * (1 << PRECISION));
        }
    }
    free(w);
    return 0;
}

static int end_of(const gb_filter *f, int i)
{
    return f->first[i] + f->count[i];
}

// The most outputs that want one input.
static int overlap(const gb_filter *f)
{
    int most = 1;
    for (int i = 0, oldest = 0; i < f->n; i++) {
        while (end_of(f, oldest) <= f->first[i])
            oldest++;
        most = i - oldest + 1 > most ? i - oldest + 1 : most;
    }
    return most;
}

static uint8_t to_8_bits(int32_t sum)
{
    int32_t v = sum >> PRECISION;
    return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

// --- the pass along a row ---

static void filter_grey_row(uint8_t *restrict out, const uint8_t *restrict in, const gb_filter *f)
{
    const int32_t *w = f->weight;
    for (int x = 0; x < f->n; x++, w += f->taps) {
        const uint8_t *p = in + f->first[x];
        int32_t sum = HALF;
        for (int k = 0; k < f->count[x]; k++)
            sum += w[k] * p[k];
        out[x] = to_8_bits(sum);
    }
}

static void filter_rgb_row(uint8_t *restrict out, const uint8_t *restrict in, const gb_filter *f)
{
    const int32_t *w = f->weight;
    for (int x = 0; x < f->n; x++, w += f->taps, out += 3) {
        const uint8_t *p = in + 3 * (size_t)f->first[x];
        int32_t red = HALF, green = HALF, blue = HALF;
        for (int k = 0; k < f->count[x]; k++, p += 3) {
            red += w[k] * p[0];
            green += w[k] * p[1];
            blue += w[k] * p[2];
        }
        out[0] = to_8_bits(red);
        out[1] = to_8_bits(green);
        out[2] = to_8_bits(blue);
    }
}

static void filter_row(uint8_t *out, const uint8_t *in, const gb_filter *f, int channels)
{
    if (channels == 3)
        filter_rgb_row(out, in, f);
    else
        filter_grey_row(out, in, f);
}

// --- the pass along the columns ---

static void add_row(int32_t *restrict sum, const uint8_t *restrict row, size_t n, int32_t weight)
{
    for (size_t i = 0; i < n; i++)
        sum[i] += weight * row[i];
}

static void start_sum(int32_t *sum, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum[i] = HALF;
}

// Output y is complete: rounds it, and runs the other pass if it is still to come.
static void finish_output(gb_resizer *r, int y, const int32_t *restrict sum)
{
    const size_t c = (size_t)r->channels;
    uint8_t *out = r->out.data + ((size_t)(r->y.at + y) * (size_t)r->out.width +
                                  (size_t)r->x.at) * c;
    uint8_t *restrict eight = r->columns_first ? r->row : out;
    for (size_t i = 0; i < r->between; i++)
        eight[i] = to_8_bits(sum[i]);
    if (r->columns_first)
        filter_row(out, eight, &r->x, r->channels);
}

// Where the picture shrinks, few outputs want a row: each has its sum. Where it grows, many do, but
// each of few rows, which wait in the window until the last one is there.
static void take_row(gb_resizer *r, const uint8_t *row)
{
    const gb_filter *f = &r->y;
    if (r->window)
        memcpy(r->window + (size_t)(r->next % f->taps) * r->between, row, r->between);
    for (int y = r->done; y < f->n && f->first[y] <= r->next; y++) {
        const int32_t *w = f->weight + (size_t)y * (size_t)f->taps;
        const bool last = end_of(f, y) == r->next + 1;
        int32_t *sum = r->sum + (size_t)(y % r->slots) * r->between;
        if (r->window ? last : f->first[y] == r->next)
            start_sum(sum, r->between);
        if (!r->window)
            add_row(sum, row, r->between, w[r->next - f->first[y]]);
        for (int k = 0; r->window && last && k < f->count[y]; k++)
            add_row(sum, r->window + (size_t)((f->first[y] + k) % f->taps) * r->between,
                    r->between, w[k]);
        if (!last)
            continue;
        finish_output(r, y, sum);
        r->done = y + 1;
    }
}

// --- the whole ---

int gb_resizer_init(gb_resizer *r, const gb_axis axis[2], int channels, int orientation,
                    bool columns_first)
{
    const gb_turn turn = gb_orientation_turn(orientation);
    const gb_axis *x = &axis[turn.swap], *y = &axis[!turn.swap];
    size_t bytes;
    int err = 0;
    *r = (gb_resizer){.channels = channels, .orientation = orientation,
                      .columns_first = columns_first != turn.swap};
    GB_TRY(gb_image_init(&r->out, x->size, y->size, channels));
    memset(r->out.data, 0, (size_t)x->size * (size_t)y->size * (size_t)channels);
    GB_TRY(filter_init(&r->x, x, turn.flip_x));
    GB_TRY(filter_init(&r->y, y, turn.flip_y));
    r->between = (size_t)(r->columns_first ? x->in : r->x.n) * (size_t)channels;
    const int sums = overlap(&r->y);
    const bool window = r->y.taps < sums * (int)sizeof *r->sum; // whichever is smaller
    r->slots = window ? 1 : sums;
    r->row = malloc(r->between);
    if (gb_mul_size(&bytes, r->between, (size_t)r->slots * sizeof *r->sum))
        r->sum = malloc(bytes);
    if (window && gb_mul_size(&bytes, r->between, (size_t)r->y.taps))
        r->window = malloc(bytes);
    if (!r->row || !r->sum || (window && !r->window))
        err = gb_fail(GB_ERR_NOMEM, "out of memory for resizing %dx%d pixels", axis[0].in,
                      axis[1].in);
fail:
    if (err < 0)
        gb_resizer_finish(r);
    return err;
}

void gb_resizer_row(gb_resizer *r, const uint8_t *pixels)
{
    if (r->done < r->y.n && r->next >= r->y.first[r->done]) {
        if (!r->columns_first)
            filter_row(r->row, pixels, &r->x, r->channels);
        take_row(r, r->columns_first ? pixels : r->row);
    }
    r->next++;
}

int gb_resizer_end(gb_image *out, gb_resizer *r)
{
    int err = gb_image_orient(&r->out, r->orientation);
    if (err < 0)
        return err;
    *out = r->out;
    r->out = (gb_image){0};
    return 0;
}

void gb_resizer_finish(gb_resizer *r)
{
    filter_finish(&r->x);
    filter_finish(&r->y);
    free(r->row);
    free(r->sum);
    free(r->window);
    gb_image_finish(&r->out);
    *r = (gb_resizer){0};
}
