// Records convolutions: the gathered GEMM, or the depthwise kernel where each channel is its own
// group.
#include "op/choice.h"
#include "op/conv_narrow.h"
#include "op/conv_thin.h"
#include "op/gathered.h"
#include "op/infer.h"
#include "op/record.h"
#include "op/tables.h"
#include "op/winograd.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEPTHWISE_POINTS = 4,
    DEPTHWISE_EDGE = 7, // the widest kernel whose rows are unrolled
    DEPTHWISE_TAPS = 121 // a work-item notes where each tap of its points lies
};

static bool is_depthwise(const gb_window *w)
{
    return w->groups > 1 && w->groups == w->c_in && w->c_in == w->c_out &&
           gb_window_taps(w) <= DEPTHWISE_TAPS;
}

static int choose_winograd(gb_emit *e, const gb_node *node, const gb_window *w, bool backward)
{
    const gb_choice_key key = gb_choice_window(e, w, backward);
    return gb_winograd_packs(node->in[1])
               ? gb_winograd_choose(e->info, gb_emit_way(e, &key), w, backward)
               : 0;
}

// Starts a launch of the processors' kernel, which goes along rows; false where it does not suit.
static bool launch_rows(gb_emit *e, const gb_gathered *g, const gb_window *w, bool backward)
{
    const int64_t *in = backward ? w->out : w->in, *out = backward ? w->in : w->out;
    if (e->info->wide || w->kernel[0] != 1 || w->in[0] != 1 ||
        w->pad_begin[0] || w->dilation[1] != 1 || w->dilation[2] != 1 || w->stride[2] > 2 ||
        w->kernel[1] > DEPTHWISE_EDGE || w->kernel[2] > DEPTHWISE_EDGE)
        return false;
    // As many pixels as registers allow; to data a multiple of the stride.
    int px = e->info->vector_width < 16 ? 4 : w->stride[2] > 1 && backward ? 8 : 7;
    gb_emit_launch(e, "depthwise_rows", "depthwise_rows",
                   "-DKH=%d -DKW=%d -DSY=%d -DSX=%d -DPX=%d -DBACKWARD=%d%s", (int)w->kernel[1],
                   (int)w->kernel[2], (int)w->stride[1], (int)w->stride[2], px, backward,
                   gb_epilogue_options(e, g));
    gb_put_pixels(e, &g->x);
    gb_put_i32(e, in[1]);
    gb_put_i32(e, in[2]);
    gb_put_i32(e, out[1]);
    gb_put_i32(e, out[2]);
    gb_put_i32(e, w->pad_begin[1]);
    gb_put_i32(e, w->pad_begin[2]);
    // Two items a row where rows are few for the processor's cores.
    int64_t rows = w->batch * out[1];
    bool few = rows < 16 * (int64_t)e->info->compute_units && g->groups > 32;
    gb_emit_size(e, few ? 2 : 1, (size_t)rows, 1);
    return true;
}

static void launch_points(gb_emit *e, const gb_gathered *g, int64_t count)
{
    gb_emit_launch(e, "depthwise", "depthwise", "-DPX=%d -DTAPS=%d%s", DEPTHWISE_POINTS,
                   (int)g->taps, gb_epilogue_options(e, g));
    gb_put_pixels(e, &g->x);
    gb_put_i32(e, g->x_image);
    gb_put_store(e, gb_emit_const(e, g->rows, (size_t)(g->taps * g->points) * sizeof(int32_t),
                                  "rows"));
    gb_put_i32(e, g->points);
    gb_put_i32(e, count);
    gb_put_i32(e, g->y_image);
    gb_emit_size(e, e->info->wide ? (size_t)(g->groups + 31) / 32 : 1,
                 (size_t)((count + DEPTHWISE_POINTS - 1) / DEPTHWISE_POINTS), 1);
}

// What the two directions of depthwise convolution share: a gathered sum with one channel a group.
static void depthwise(gb_emit *e, const gb_gathered *g, const gb_window *window, bool backward)
{
    int64_t channels = g->groups, pitch = (channels + 31) / 32 * 32;
    gb_pack w, bias;
    gb_pack_begin(&w, e, g->w.value, (size_t)(g->taps * pitch), 1);
    gb_pack_begin(&bias, e, g->bias, (size_t)pitch, 1);
    gb_depthwise_pack(&w, g, pitch);
    for (int64_t c = 0; g->bias && c < channels; c++)
        gb_pack_put(&bias, (size_t)c, c);
    gb_store *weights = gb_pack_end(&w, e, g->what), *biases = gb_pack_end(&bias, e, "bias");
    int64_t count = g->images * g->points;
    if (!launch_rows(e, g, window, backward))
        launch_points(e, g, count);
    gb_put_store(e, weights);
    gb_put_i32(e, pitch);
    gb_put_i32(e, channels);
    gb_put_store(e, biases);
    gb_put_pixels(e, &g->y);
    gb_put_epilogue(e, g);
    if (!e->status)
        e->launch[e->n_launch - 1]->flops =
            2.0 * (double)count * (double)g->taps * (double)channels;
}

// Sets the last launch's useful operations: those of the plain algorithm, whatever was computed.
static void count_flops(gb_emit *e, const gb_window *w, double share)
{
    double flops = 2.0 * (double)w->batch * (double)gb_window_out(w) * (double)gb_window_taps(w) *
                   (double)w->c_out * (double)(w->c_in / w->groups);
    if (!e->status)
        e->launch[e->n_launch - 1]->flops = flops * share;
}

static bool wants_weights(const gb_emit *e, const gb_node *node)
{
    const gb_value *bias = gb_input(node, 2);
    return e->want_grad && (node->in[1]->needs_grad || (bias && bias->needs_grad));
}

// Keeps what the gradient of the weights needs of the forward product.
static void keep(gb_emit *e, gb_node *node, const gb_gathered *g)
{
    size_t taps = (size_t)g->taps, rows = taps * (size_t)g->points;
    size_t index = g->w.index ? (size_t)(g->n * g->k) * taps : 0;
    gb_gathered *kept = gb_arena_alloc(&e->arena, sizeof *kept);
    int32_t *table = gb_arena_array(&e->arena, rows + index + 1, sizeof *table);
    int64_t *tap = gb_arena_array(&e->arena, taps + 1, sizeof *tap);
    if (!kept || !table || !tap) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return;
    }
    memcpy(table, g->rows, rows * sizeof *table);
    memcpy(tap, g->w.tap, taps * sizeof *tap);
    *kept = *g;
    kept->rows = table;
    kept->w.tap = tap;
    if (index)
        kept->w.index = memcpy(table + rows, g->w.index, index * sizeof *table);
    kept->outs = NULL;
    kept->residual = NULL;
    node->state = kept;
}

static void record(gb_emit *e, gb_node *node, const gb_window *w, gb_gathered *g)
{
    gb_narrow narrow = {0};
    int tile = choose_winograd(e, node, w, false);
    if (is_depthwise(w)) {
        depthwise(e, g, w, false);
    } else if (tile) {
        gb_winograd_record(e, g, w, false, tile);
    } else {
        gb_narrow_forward(e, w, g, &narrow);
        gb_gathered_record(e, g);
    }
    count_flops(e, w, 1);
    if (wants_weights(e, node))
        keep(e, node, g);
    gb_narrow_finish(&narrow);
}

int gb_conv_forward(gb_emit *e, gb_node *node)
{
    gb_window w;
    int err = gb_window_read(node, &w);
    if (err < 0)
        return err;
    gb_pixels residual = {0};
    int64_t taps = gb_window_taps(&w);
    int64_t *tap = gb_arena_array(&e->arena, (size_t)taps, sizeof *tap);
    int32_t *rows = gb_table_forward(e, &w), *outs = gb_table_identity(e, gb_window_out(&w));
    if (!tap || !rows || !outs) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        goto done;
    }
    for (int64_t t = 0; t < taps; t++)
        tap[t] = t;
    gb_gathered g = {
        .x = gb_emit_pixels(e, node->in[0], 1),
        .y = gb_emit_out_pixels(e, node->out[0], 1),
        .x_image = gb_window_in(&w), .y_image = gb_window_out(&w), .images = w.batch,
        .taps = taps, .points = gb_window_out(&w), .rows = rows, .outs = outs,
        .groups = w.groups, .k = w.c_in / w.groups, .n = w.c_out / w.groups,
        .bias = gb_input(node, 2), .bias_scale = 1, .what = node->in[1]->name,
    };
    g.w = (gb_gathered_weights){.value = node->in[1], .sg = g.n * g.k * taps,
                                .sn = g.k * taps, .sk = taps, .tap = tap, .scale = 1};
    if (node->residual) {
        residual = gb_emit_pixels(e, node->residual, 1);
        g.residual = &residual;
    }
    bool fused = node->act.on && (is_depthwise(&w) || node->act.smooth ||
                                  gb_gathered_masks(g.groups, g.k, g.n));
    if (fused)
        gb_gathered_act(e, &g, node);
    record(e, node, &w, &g);
    if (node->act.on && !fused)
        gb_emit_act(e, node->out[0], &g.y, &node->act);
done:
    free(rows);
    free(outs);
    return e->status;
}

// The weights of input channel c times scale[c].
static gb_value *scaled_inputs(gb_emit *e, const gb_node *node, const gb_window *w,
                               const float *scale)
{
    const gb_tensor *old = node->in[1]->data;
    gb_tensor *scaled = gb_tensor_create(&e->arena, GB_F32, &old->shape);
    gb_value *value = gb_arena_alloc(&e->arena, sizeof *value);
    int64_t in = w->c_in / w->groups, out = w->c_out / w->groups, taps = gb_window_taps(w);
    if (!scaled || !value) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return node->in[1];
    }
    *value = *node->in[1];
    value->data = scaled;
    const float *from = old->data;
    float *to = scaled->data;
    for (int64_t i = 0; i < w->c_out * in * taps; i++) {
        int64_t oc = i / (in * taps), ic = i / taps % in;
        to[i] = from[i] * scale[oc / out * in + ic];
    }
    return value;
}

// dx of one phase: the taps that meet it, flipped by the transposed table.
static void backward_phase(gb_emit *e, gb_node *node, const gb_window *w, gb_value *weights,
                           const gb_pixels *dy, const gb_pixel_target *t, const gb_phase *phase)
{
    int64_t taps = gb_window_taps(w);
    gb_gathered g = {
        .x = *dy, .y = t->pixels,
        .x_image = gb_window_out(w), .y_image = gb_window_in(w), .images = w->batch,
        .taps = phase->taps, .points = phase->points, .rows = phase->rows,
        .outs = phase->points_at,
        .groups = w->groups, .k = w->c_out / w->groups, .n = w->c_in / w->groups,
        .add = t->add, .mask = t->mask, .mask_slope = t->mask_slope, .mask_first = t->mask_first,
        .slopes = t->slopes,
        .what = node->in[1]->name,
    };
    g.w = (gb_gathered_weights){.value = weights, .sg = g.k * g.n * taps, .sn = taps,
                                .sk = g.n * taps, .tap = phase->tap, .scale = 1};
    if (phase->points && (phase->taps || !t->add || t->mask || t->slopes))
        gb_gathered_record(e, &g);
}

static int backward_narrow(gb_emit *e, gb_node *node, const gb_window *w, gb_value *weights,
                           const gb_pixels *dy, const gb_pixel_target *t, int64_t merge)
{
    int64_t r[GB_MAX_SPATIAL] = {0};
    int err = 0;
    do {
        gb_narrow narrow = {0};
        gb_gathered g = {
            .x = *dy, .y = t->pixels,
            .x_image = gb_window_out(w), .y_image = gb_window_in(w), .images = w->batch,
            .groups = 1, .k = w->c_out, .w = {.value = weights},
            .add = t->add, .what = node->in[1]->name,
        };
        err = r[2] ? 0 : gb_narrow_backward(w, r, merge, &g, &narrow);
        if (err == 0 && r[2] == 0 && g.points) {
            gb_gathered_record(e, &g);
            count_flops(e, w, 1.0 / (double)(w->stride[0] * w->stride[1]));
        }
        gb_narrow_finish(&narrow);
    } while (err == 0 && gb_phase_next(w, r));
    return err;
}

// dx by Winograd: the kernel turned by half a turn, channels exchanged.
static void backward_winograd(gb_emit *e, gb_node *node, const gb_window *w,
                              gb_value *weights, const gb_pixels *dy,
                              const gb_pixel_target *t, int tile)
{
    static const int64_t turned[] = {8, 7, 6, 5, 4, 3, 2, 1, 0};
    gb_gathered g = {
        .x = *dy, .y = t->pixels, .images = w->batch, .taps = 9, .groups = 1,
        .k = w->c_out, .n = w->c_in,
        .w = {.value = weights, .sn = 9, .sk = 9 * w->c_in, .tap = turned, .scale = 1},
        .add = t->add, .mask = t->mask, .mask_slope = t->mask_slope, .mask_first = t->mask_first,
        .slopes = t->slopes,
        .what = node->in[1]->name,
    };
    gb_winograd_record(e, &g, w, true, tile);
}

static void backward_depthwise(gb_emit *e, gb_node *node, const gb_window *w,
                               gb_value *weights, const gb_pixels *dy,
                               const gb_pixel_target *t)
{
    int64_t taps = gb_window_taps(w);
    int64_t *tap = gb_arena_array(&e->arena, (size_t)taps, sizeof *tap);
    int32_t *rows = gb_table_transposed(e, w);
    for (int64_t i = 0; tap && i < taps; i++)
        tap[i] = i;
    gb_gathered g = {
        .x = *dy, .y = t->pixels,
        .x_image = gb_window_out(w), .y_image = gb_window_in(w), .images = w->batch,
        .taps = taps, .points = gb_window_in(w), .rows = rows, .groups = w->groups, .k = 1, .n = 1,
        .w = {.value = weights, .sg = taps, .tap = tap},
        .add = t->add, .mask = t->mask, .mask_slope = t->mask_slope, .mask_first = t->mask_first,
        .slopes = t->slopes,
        .what = node->in[1]->name,
    };
    if (!tap || !rows)
        gb_emit_fail(e, gb_fail(GB_ERR_NOMEM, "%s: out of memory", gb_node_text(node)));
    else
        depthwise(e, &g, w, true);
    free(rows);
}

int gb_conv_backward(gb_emit *e, gb_node *node)
{
    gb_window w;
    gb_pixels dy;
    int err = gb_window_read(node, &w);
    if (err < 0)
        return err;
    gb_emit_mask_apply(e, node->out[0], 1);
    gb_view grad = gb_emit_grad_of(e, node->out[0]);
    if (!grad.store || !gb_view_pixels(&dy, &grad, &node->out[0]->shape, 1))
        return e->status;
    if (node->state && is_depthwise(&w))
        gb_depthwise_weights_record(e, node->state, &dy);
    else if (node->state)
        gb_gathered_weights_record(e, node->state, &dy);
    if (node->in[0]->needs_grad) {
        bool masks = is_depthwise(&w) || gb_gathered_masks(w.groups, w.c_out / w.groups,
                                                           w.c_in / w.groups);
        gb_pixel_target t;
        if (!masks || !node->in[1]->data || !gb_emit_target_source(e, &t, node->in[0], 1))
            t = gb_emit_target_pixels(e, node->in[0], 1,
                                      GB_APPLIES_SLOPES | (masks ? GB_APPLIES_MASK : 0));
        gb_value *weights = t.scale ? scaled_inputs(e, node, &w, t.scale) : node->in[1];
        int64_t merge = gb_narrow_merge(&w, &t);
        int tile = choose_winograd(e, node, &w, true);
        if (is_depthwise(&w)) {
            backward_depthwise(e, node, &w, weights, &dy, &t);
        } else if (gb_thin_backward(e, &w, weights, &dy, &t, node->in[1]->name)) {
            // recorded
        } else if (merge) {
            if ((err = backward_narrow(e, node, &w, weights, &dy, &t, merge)) < 0)
                return err;
        } else if (tile) {
            backward_winograd(e, node, &w, weights, &dy, &t, tile);
        } else {
            int64_t r[GB_MAX_SPATIAL] = {0};
            do {
                gb_phase phase;
                if ((err = gb_phase_init(&phase, &w, r)) < 0)
                    return err;
                backward_phase(e, node, &w, weights, &dy, &t, &phase);
                gb_phase_finish(&phase);
            } while (gb_phase_next(&w, r));
        }
        gb_emit_target_done(e, &t, 1);
    }
    if (node->residual && node->residual->needs_grad)
        gb_emit_target_give(e, node->residual, node->out[0]);
    return e->status;
}
