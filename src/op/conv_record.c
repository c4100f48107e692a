// Records convolutions: the gathered GEMM, or the depthwise kernel where each channel is its own
// group.
#include "op/choice.h"
#include "op/conv_narrow.h"
#include "op/gathered.h"
#include "op/infer.h"
#include "op/record.h"
#include "op/tables.h"
#include "op/winograd.h"

#include <stdlib.h>

enum {
    DEPTHWISE_POINTS = 4,
    DEPTHWISE_TAPS = 121 // a work-item notes where each tap of its points lies
};

static bool is_depthwise(const gb_window *w)
{
    return w->groups > 1 && w->groups == w->c_in && w->c_in == w->c_out &&
           gb_window_taps(w) <= DEPTHWISE_TAPS;
}

// Floats of a constant input, NULL if omitted; an error if it is not constant.
static const float *constant(gb_emit *e, const gb_node *node, int i)
{
    const gb_value *v = gb_input(node, i);
    if (v && !v->data)
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: input %d (%s) must be a constant",
                                gb_node_text(node), i, v->name));
    return v && v->data ? v->data->data : NULL;
}

// What the two directions of the depthwise kernel share: a gathered sum with one channel a group.
static void depthwise(gb_emit *e, const gb_gathered *g)
{
    int64_t channels = g->groups, pitch = (channels + 31) / 32 * 32;
    size_t bytes = (size_t)(g->taps * pitch) * sizeof(float);
    float *w = calloc((size_t)(g->taps * pitch), sizeof *w);
    float *bias = calloc((size_t)pitch, sizeof *bias);
    const float *from = g->w.data->data;
    for (int64_t c = 0; w && bias && c < channels; c++) {
        for (int64_t t = 0; t < g->taps; t++)
            w[t * pitch + c] = from[c * g->w.sg + g->w.tap[t]];
        bias[c] = g->bias ? g->bias[c] : 0;
    }
    gb_store *weights = gb_emit_const_take(e, w, bytes, g->what);
    gb_store *biases = gb_emit_const_take(e, bias, (size_t)pitch * sizeof *bias, "bias");
    int64_t count = g->images * g->points;
    gb_launch *l = gb_emit_launch(e, "depthwise", "depthwise", "-DPX=%d -DTAPS=%d",
                                  DEPTHWISE_POINTS, (int)g->taps);
    gb_put_store(e, g->x.store);
    gb_put_i32(e, g->x.offset);
    gb_put_i32(e, g->x.pitch);
    gb_put_i32(e, g->x_image);
    gb_put_store(e, gb_emit_const(e, g->rows, (size_t)(g->taps * g->points) * sizeof(int32_t),
                                  "rows"));
    gb_put_i32(e, g->points);
    gb_put_i32(e, count);
    gb_put_store(e, weights);
    gb_put_i32(e, pitch);
    gb_put_i32(e, channels);
    gb_put_store(e, biases);
    gb_put_store(e, g->y.store);
    gb_put_i32(e, g->y.offset);
    gb_put_i32(e, g->y.pitch);
    gb_put_i32(e, g->y_image);
    gb_put_epilogue(e, g);
    gb_emit_size(e, e->info->type == GB_DEVICE_GPU ? (size_t)pitch / 32 : 1,
                 (size_t)((count + DEPTHWISE_POINTS - 1) / DEPTHWISE_POINTS), 1);
    if (l)
        l->flops = 2.0 * (double)count * (double)g->taps * (double)channels;
}

// Sets the last launch's useful operations: those of the plain algorithm, whatever was computed.
static void count_flops(gb_emit *e, const gb_window *w, double share)
{
    double flops = 2.0 * (double)w->batch * (double)gb_window_out(w) * (double)gb_window_taps(w) *
                   (double)w->c_out * (double)(w->c_in / w->groups);
    if (!e->status)
        e->launch[e->n_launch - 1]->flops = flops * share;
}

static void record(gb_emit *e, const gb_window *w, gb_gathered *g)
{
    gb_narrow narrow = {0};
    const gb_choice_key key = gb_choice_window(e, w, false);
    int tile = gb_winograd_choose(e->info, gb_emit_way(e, &key), w, false);
    if (is_depthwise(w)) {
        depthwise(e, g);
    } else if (tile) {
        gb_winograd_record(e, g, w, false, tile);
    } else {
        gb_narrow_forward(e, w, g, &narrow);
        gb_gathered_record(e, g);
    }
    count_flops(e, w, 1);
    gb_narrow_finish(&narrow);
}

int gb_conv_forward(gb_emit *e, gb_node *node)
{
    gb_window w;
    int err = gb_window_read(node, &w);
    if (err < 0)
        return err;
    const float *weights = constant(e, node, 1), *bias = constant(e, node, 2);
    gb_pixels residual = {0};
    int64_t taps = gb_window_taps(&w);
    int64_t *tap = gb_arena_array(&e->arena, (size_t)taps, sizeof *tap);
    int32_t *rows = gb_table_forward(e, &w), *outs = gb_table_identity(e, gb_window_out(&w));
    if (!tap || !rows || !outs || !weights) {
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
        .bias = bias, .what = node->in[1]->name,
    };
    g.w = (gb_gathered_weights){.data = node->in[1]->data, .sg = g.n * g.k * taps,
                                .sn = g.k * taps, .sk = taps, .tap = tap, .scale = 1};
    if (node->residual) {
        residual = gb_emit_pixels(e, node->residual, 1);
        g.residual = &residual;
    }
    bool fused = node->act.on && (is_depthwise(&w) || gb_gathered_masks(g.groups, g.k, g.n));
    if (fused) {
        g.act = node->act;
        g.act_mask = gb_emit_mask(e, node->out[0], &g.y, node->act.slope);
    }
    record(e, &w, &g);
    if (node->act.on && !fused)
        gb_emit_act(e, node->out[0], &g.y, &node->act);
done:
    free(rows);
    free(outs);
    return e->status;
}

// The weights of input channel c times scale[c].
static const gb_tensor *scaled_inputs(gb_emit *e, const gb_node *node, const gb_window *w,
                                      const float *scale)
{
    const gb_tensor *old = node->in[1]->data;
    gb_tensor *scaled = gb_tensor_create(&e->arena, GB_F32, &old->shape);
    int64_t in = w->c_in / w->groups, out = w->c_out / w->groups, taps = gb_window_taps(w);
    if (!scaled) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return old;
    }
    const float *from = old->data;
    float *to = scaled->data;
    for (int64_t i = 0; i < w->c_out * in * taps; i++) {
        int64_t oc = i / (in * taps), ic = i / taps % in;
        to[i] = from[i] * scale[oc / out * in + ic];
    }
    return scaled;
}

// dx of one phase: the taps that meet it, flipped by the transposed table.
static void backward_phase(gb_emit *e, gb_node *node, const gb_window *w, const gb_tensor *weights,
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
        .what = node->in[1]->name,
    };
    g.w = (gb_gathered_weights){.data = weights, .sg = g.k * g.n * taps, .sn = taps,
                                .sk = g.n * taps, .tap = phase->tap, .scale = 1};
    if (phase->points && (phase->taps || !t->add || t->mask))
        gb_gathered_record(e, &g);
}

static int backward_narrow(gb_emit *e, gb_node *node, const gb_window *w, const gb_tensor *weights,
                           const gb_pixels *dy, const gb_pixel_target *t, int64_t merge)
{
    int64_t r[GB_MAX_SPATIAL] = {0};
    int err = 0;
    do {
        gb_narrow narrow = {0};
        gb_gathered g = {
            .x = *dy, .y = t->pixels,
            .x_image = gb_window_out(w), .y_image = gb_window_in(w), .images = w->batch,
            .groups = 1, .k = w->c_out, .w = {.data = weights},
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
                              const gb_tensor *weights, const gb_pixels *dy,
                              const gb_pixel_target *t, int tile)
{
    static const int64_t turned[] = {8, 7, 6, 5, 4, 3, 2, 1, 0};
    gb_gathered g = {
        .x = *dy, .y = t->pixels, .images = w->batch, .taps = 9, .groups = 1,
        .k = w->c_out, .n = w->c_in,
        .w = {.data = weights, .sn = 9, .sk = 9 * w->c_in, .tap = turned, .scale = 1},
        .add = t->add, .mask = t->mask, .mask_slope = t->mask_slope, .mask_first = t->mask_first,
        .what = node->in[1]->name,
    };
    gb_winograd_record(e, &g, w, true, tile);
}

static void backward_depthwise(gb_emit *e, gb_node *node, const gb_window *w,
                               const gb_tensor *weights, const gb_pixels *dy,
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
        .w = {.data = weights, .sg = taps, .tap = tap},
        .add = t->add, .mask = t->mask, .mask_slope = t->mask_slope, .mask_first = t->mask_first,
        .what = node->in[1]->name,
    };
    if (!tap || !rows)
        gb_emit_fail(e, gb_fail(GB_ERR_NOMEM, "%s: out of memory", gb_node_text(node)));
    else
        depthwise(e, &g);
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
    if (node->in[0]->needs_grad) {
        bool masks = is_depthwise(&w) || gb_gathered_masks(w.groups, w.c_out / w.groups,
                                                           w.c_in / w.groups);
        gb_pixel_target t;
        if (!masks || !node->in[1]->data || !gb_emit_target_source(e, &t, node->in[0], 1))
            t = gb_emit_target_pixels(e, node->in[0], 1, masks);
        const gb_tensor *weights = t.scale ? scaled_inputs(e, node, &w, t.scale)
                                           : node->in[1]->data;
        int64_t merge = gb_narrow_merge(&w, &t);
        const gb_choice_key key = gb_choice_window(e, &w, true);
        int tile = gb_winograd_choose(e->info, gb_emit_way(e, &key), &w, true);
        if (is_depthwise(&w)) {
            backward_depthwise(e, node, &w, weights, &dy, &t);
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
