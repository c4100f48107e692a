// Rewrites convolutions of few channels for the gathered GEMM.
#include "op/conv_narrow.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 4 };

void gb_narrow_finish(gb_narrow *narrow)
{
    free(narrow->tap);
    free(narrow->rows);
    free(narrow->outs);
    free(narrow->index);
    *narrow = (gb_narrow){0};
}

static bool allocate(gb_narrow *narrow, int64_t taps, int64_t points, int64_t weights)
{
    *narrow = (gb_narrow){0};
    narrow->tap = calloc((size_t)taps + 1, sizeof *narrow->tap);
    narrow->rows = calloc((size_t)(taps * points) + 1, sizeof *narrow->rows);
    narrow->outs = calloc((size_t)points + 1, sizeof *narrow->outs);
    narrow->index = malloc(((size_t)weights + 1) * sizeof *narrow->index);
    for (int64_t i = 0; narrow->index && i < weights; i++)
        narrow->index[i] = -1;
    if (narrow->tap && narrow->rows && narrow->outs && narrow->index)
        return true;
    gb_narrow_finish(narrow);
    return false;
}

bool gb_narrow_forward(gb_emit *e, const gb_window *w, gb_gathered *g,
                       gb_narrow *narrow)
{
    int64_t c = w->c_in, width = w->in[2] + w->pad_begin[2] + w->pad_end[2];
    int64_t lines = w->in[0] * w->in[1], taps = w->kernel[0] * w->kernel[1];
    int64_t points = gb_window_out(w), k = w->kernel[2] * c;
    if (c > FEW || w->groups > 1 || w->kernel[2] < 2 || w->dilation[2] > 1 || e->status ||
        !allocate(narrow, taps, points, w->c_out * taps * k))
        return false;

    // x, its rows padded: [N * lines][width][c].
    gb_shape shape = {.rank = 4, .dim = {w->batch, lines, w->in[2], c}};
    gb_pixels px = g->x;
    gb_view from = {px.store, px.offset, {lines * w->in[2] * px.pitch, w->in[2] * px.pitch,
                                          px.pitch, 1}};
    gb_view to = {NULL, w->pad_begin[2] * c, {lines * width * c, width * c, c, 1}};
    size_t bytes = (size_t)(w->batch * lines * width * c) * sizeof(float);
    to.store = gb_emit_temp(e, bytes, "padded rows");
    if (e->status)
        return false;
    if (width > w->in[2])
        gb_emit_fill(e, to.store, 0);
    gb_emit_copy(e, &shape, &to, &from, false);

    // Row tables of the taps with kernel position 0 along the last axis, where nothing is outside.
    gb_window rows = *w;
    rows.kernel[2] = 1;
    rows.in[2] = width;
    rows.pad_begin[2] = 0;
    int32_t *table = gb_table_forward(e, &rows);
    if (!table) {
        gb_narrow_finish(narrow);
        return false;
    }
    free(narrow->rows);
    narrow->rows = table;
    int32_t element = 0; // narrow->index: [n][tap][kx * c + channel]
    for (int64_t n = 0; n < w->c_out; n++)
        for (int64_t ch = 0; ch < c; ch++)
            for (int64_t t = 0; t < taps; t++)
                for (int64_t kx = 0; kx < w->kernel[2]; kx++)
                    narrow->index[(n * taps + t) * k + kx * c + ch] = element++;
    for (int64_t t = 0; t < taps; t++)
        narrow->tap[t] = t * k;
    g->x = (gb_pixels){to.store, 0, c, w->batch * lines * width, c};
    g->x_image = lines * width;
    g->taps = taps;
    g->rows = narrow->rows;
    g->k = k;
    g->w = (gb_gathered_weights){.value = g->w.value, .index = narrow->index, .sn = taps * k,
                                 .sk = 1, .tap = narrow->tap, .scale = 1};
    return true;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

// Outputs read by pixels of a block lie at block * merge / stride + d for d in [*first, *last].
static void span(const gb_window *w, int64_t merge, int64_t *first, int64_t *last)
{
    *first = -floor_div((w->kernel[2] - 1) * w->dilation[2] - w->pad_begin[2], w->stride[2]);
    *last = floor_div(merge - 1 + w->pad_begin[2], w->stride[2]);
}

int64_t gb_narrow_merge(const gb_window *w, const gb_pixel_target *t)
{
    int64_t best = 0, first, last;
    double least = (double)w->kernel[2] / (double)w->stride[2] * 16; // 16 lanes for each pixel
    if (w->c_in > FEW || w->groups > 1 || t->mask || t->slopes || t->pixels.pitch != w->c_in)
        return 0;
    for (int64_t merge = w->stride[2]; merge * w->c_in <= 128; merge += w->stride[2]) {
        if (w->in[2] % merge)
            continue;
        span(w, merge, &first, &last);
        int64_t lanes = (merge * w->c_in + 15) / 16 * 16;
        double cost = (double)((last - first + 1) * lanes) / (double)merge;
        if (cost < least) {
            best = merge;
            least = cost;
        }
    }
    return best;
}

int gb_narrow_backward(const gb_window *w, const int64_t r[GB_MAX_SPATIAL], int64_t merge,
                       gb_gathered *g, gb_narrow *narrow)
{
    // The phases of axes 0 and 1 come from a window whose last axis is a single pixel.
    gb_window lines = *w;
    gb_phase phase;
    int64_t first, last, blocks = w->in[2] / merge, n = merge * w->c_in;
    lines.kernel[2] = lines.stride[2] = lines.dilation[2] = lines.in[2] = lines.out[2] = 1;
    lines.pad_begin[2] = 0;
    int err = gb_phase_init(&phase, &lines, (int64_t[GB_MAX_SPATIAL]){r[0], r[1], 0});
    if (err < 0)
        return err;
    span(w, merge, &first, &last);
    int64_t wide = last - first + 1, taps = phase.taps * wide, points = phase.points * blocks;
    if (!allocate(narrow, taps, points, taps * w->c_out * n)) {
        gb_phase_finish(&phase);
        return gb_fail(GB_ERR_NOMEM, "out of memory for the tables of a convolution's gradient");
    }
    // narrow->index: [tap][oc][pixel of the block][c]
    int64_t kernel = gb_window_taps(w);
    for (int64_t t = 0; t < taps; t++) {
        int64_t line = phase.tap[t / wide], d = first + t % wide;
        narrow->tap[t] = t * w->c_out * n;
        for (int64_t p = 0; p < phase.points; p++)
            for (int64_t b = 0; b < blocks; b++) {
                int64_t o = b * merge / w->stride[2] + d;
                int32_t above = phase.rows[(t / wide) * phase.points + p];
                narrow->rows[t * points + p * blocks + b] =
                    above < 0 || o < 0 || o >= w->out[2] ? -1 : (int32_t)(above * w->out[2] + o);
            }
        for (int64_t i = 0; i < merge; i++) {
            int64_t at = i + w->pad_begin[2] - w->stride[2] * d, kx = at / w->dilation[2];
            if (at < 0 || at % w->dilation[2] || kx >= w->kernel[2])
                continue;
            for (int64_t oc = 0; oc < w->c_out; oc++)
                for (int64_t c = 0; c < w->c_in; c++)
                    narrow->index[(t * w->c_out + oc) * n + i * w->c_in + c] =
                        (int32_t)((oc * w->c_in + c) * kernel + line * w->kernel[2] + kx);
        }
    }
    for (int64_t p = 0; p < phase.points; p++)
        for (int64_t b = 0; b < blocks; b++)
            narrow->outs[p * blocks + b] = (int32_t)(phase.points_at[p] * blocks + b);
    gb_phase_finish(&phase);
    g->y.pitch = n;
    g->y.count /= merge;
    g->y.channels = n;
    g->y_image /= merge;
    g->taps = taps;
    g->points = points;
    g->rows = narrow->rows;
    g->outs = narrow->outs;
    g->n = n;
    g->w = (gb_gathered_weights){.value = g->w.value, .index = narrow->index, .sn = 1, .sk = n,
                                 .tap = narrow->tap, .scale = 1};
    return 0;
}
