// Records MaxPool and AveragePool over row tables; their gradients gather with the transposed
// table.
#include "op/record.h"
#include "op/tables.h"

#include <stdlib.h>

// The pixels that each point meets as pairs of pixel and tap, [*most][points], those outside left
// out; pixel -1 where a point has fewer.
static int32_t *make_pairs(const int32_t *rows, int64_t taps, int64_t points, int64_t *most)
{
    int32_t *pairs = malloc((size_t)(2 * taps * points) * sizeof *pairs + 1);
    *most = 1;
    for (int64_t p = 0; pairs && p < points; p++) {
        int64_t n = 0;
        for (int64_t t = 0; t < taps; t++)
            if (rows[t * points + p] >= 0) {
                pairs[2 * (n * points + p)] = rows[t * points + p];
                pairs[2 * (n++ * points + p) + 1] = (int32_t)t;
            }
        *most = n > *most ? n : *most;
        for (; n < taps; n++)
            pairs[2 * (n * points + p)] = pairs[2 * (n * points + p) + 1] = -1;
    }
    return pairs;
}

// Appends the table with its points, `count` of all images, and how a work-item shares in them: a
// processor's takes some and all their channels, a graphics card's a channel of one.
static void put_table(gb_emit *e, const gb_window *w, int64_t count, bool transposed)
{
    enum { WORTH = 16384 }; // channels of taps
    int32_t *rows = transposed ? gb_table_transposed(e, w) : gb_table_forward(e, w);
    int64_t most = 1, points = transposed ? gb_window_in(w) : gb_window_out(w);
    int32_t *pairs = rows ? make_pairs(rows, gb_window_taps(w), points, &most) : NULL;
    free(rows);
    gb_put_store(e, gb_emit_const_take(e, pairs, (size_t)(2 * most * points) * sizeof *pairs,
                                       "taps"));
    gb_put_i32(e, most);
    gb_put_i32(e, points);
    gb_put_i32(e, w->c_in);
    bool wide = e->info->wide;
    int64_t per = wide ? 1 : WORTH / (gb_window_taps(w) * w->c_in);
    per = per < 1 ? 1 : per > 64 ? 64 : per;
    gb_put_i32(e, count);
    gb_put_i32(e, per);
    gb_emit_size(e, wide ? (size_t)w->c_in : 1, (size_t)((count + per - 1) / per), 1);
}

static void put_target(gb_emit *e, const gb_pixel_target *t)
{
    gb_put_store(e, t->pixels.store);
    gb_put_i32(e, t->pixels.offset);
    gb_put_i32(e, t->pixels.pitch);
    gb_put_i32(e, t->add);
    gb_put_store(e, t->mask);
    gb_put_f32(e, t->mask_slope);
}

static void put_source(gb_emit *e, const gb_pixels *x, int64_t image)
{
    gb_put_store(e, x->store);
    gb_put_i32(e, x->offset);
    gb_put_i32(e, x->pitch);
    gb_put_i32(e, image);
}

// The tap of each maximum fits a byte for windows of up to 256 taps.
static const char *arg_type(const gb_window *w)
{
    return gb_window_taps(w) <= 256 ? "uchar" : "int";
}

// Rows of the taps, whole vectors of any width.
static int64_t arg_pitch(const gb_window *w)
{
    return (w->c_in + 15) / 16 * 16;
}

int gb_max_pool_forward(gb_emit *e, gb_node *node)
{
    gb_window w;
    int err = gb_window_read(node, &w);
    if (err < 0)
        return err;
    gb_pixels x = gb_emit_pixels(e, node->in[0], 1), y = gb_emit_out_pixels(e, node->out[0], 1);
    gb_store *arg = NULL;
    if (e->want_grad && node->in[0]->needs_grad)
        arg =
            gb_emit_temp(e, (size_t)(y.count * arg_pitch(&w)) * (gb_window_taps(&w) <= 256 ? 1 : 4),
                         gb_arena_printf(&e->arena, "argmax %s", node->out[0]->name));
    node->state = arg;
    gb_emit_launch(e, "pool", "max_forward", "-DARG=%s", arg_type(&w));
    put_source(e, &x, gb_window_in(&w));
    put_table(e, &w, y.count, false);
    gb_put_store(e, y.store);
    gb_put_i32(e, y.offset);
    gb_put_i32(e, y.pitch);
    gb_put_store(e, arg);
    gb_put_i32(e, arg_pitch(&w));
    return e->status;
}

int gb_max_pool_backward(gb_emit *e, gb_node *node)
{
    gb_window w;
    gb_pixels dy;
    int err = gb_window_read(node, &w);
    gb_view grad = gb_emit_grad_of(e, node->out[0]);
    if (err < 0 || !grad.store || !gb_view_pixels(&dy, &grad, &node->out[0]->shape, 1))
        return err < 0 ? err : e->status;
    gb_pixel_target t = gb_emit_target_pixels(e, node->in[0], 1, GB_APPLIES_MASK);
    gb_emit_launch(e, "pool", "max_backward", "-DARG=%s", arg_type(&w));
    put_source(e, &dy, gb_window_out(&w));
    put_table(e, &w, t.pixels.count, true);
    gb_put_store(e, node->state);
    gb_put_i32(e, arg_pitch(&w));
    put_target(e, &t);
    gb_emit_target_done(e, &t, 1);
    return e->status;
}

// 1 / (elements that count) for each output point.
static gb_store *scales(gb_emit *e, const gb_window *w)
{
    int64_t points = gb_window_out(w);
    float *scale = malloc((size_t)points * sizeof *scale + 1);
    int64_t o[GB_MAX_SPATIAL] = {0};
    for (int64_t p = 0; scale && p < points; p++) {
        double count = 1;
        for (int d = 0; d < GB_MAX_SPATIAL; d++) {
            int64_t inside = 0;
            for (int64_t k = 0; k < w->kernel[d]; k++) {
                int64_t i = o[d] * w->stride[d] + k * w->dilation[d] - w->pad_begin[d];
                inside += w->count_include_pad
                              ? i < w->in[d] + w->pad_end[d]
                              : i >= 0 && i < w->in[d];
            }
            count *= (double)inside;
        }
        scale[p] = (float)(1 / count);
        for (int d = GB_MAX_SPATIAL - 1; d >= 0 && ++o[d] == w->out[d]; d--)
            o[d] = 0;
    }
    return gb_emit_const_take(e, scale, (size_t)points * sizeof *scale, "scale");
}

static void average(gb_emit *e, const gb_window *w, const gb_pixels *from, int64_t from_image,
                    const gb_pixel_target *to, bool backward)
{
    gb_store *scale = scales(e, w);
    gb_emit_launch(e, "pool", "average", "-DARG=uchar");
    put_source(e, from, from_image);
    put_table(e, w, to->pixels.count, backward);
    gb_put_store(e, scale);
    gb_put_i32(e, backward);
    put_target(e, to);
}

int gb_average_pool_forward(gb_emit *e, gb_node *node)
{
    gb_window w;
    int err = gb_window_read(node, &w);
    if (err < 0)
        return err;
    gb_pixels x = gb_emit_pixels(e, node->in[0], 1);
    gb_pixel_target y = {.pixels = gb_emit_out_pixels(e, node->out[0], 1)};
    average(e, &w, &x, gb_window_in(&w), &y, false);
    return e->status;
}

int gb_average_pool_backward(gb_emit *e, gb_node *node)
{
    gb_window w;
    gb_pixels dy;
    int err = gb_window_read(node, &w);
    gb_view grad = gb_emit_grad_of(e, node->out[0]);
    if (err < 0 || !grad.store || !gb_view_pixels(&dy, &grad, &node->out[0]->shape, 1))
        return err < 0 ? err : e->status;
    gb_pixel_target t = gb_emit_target_pixels(e, node->in[0], 1, GB_APPLIES_MASK);
    average(e, &w, &dy, gb_window_out(&w), &t, true);
    gb_emit_target_done(e, &t, 1);
    return e->status;
}
