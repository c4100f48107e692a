// Kernels of BatchNormalization in training mode, or with a mean, variance, scale or bias that is
// computed or trained.
#include "op/norm.h"
#include "op/norm_sums.h"

bool gb_batch_norm_is_live(const gb_node *node)
{
    bool constant = !gb_attr_int(node, "training_mode", 0);
    for (int i = 1; i < 5; i++)
        constant = constant && node->in[i]->data;
    return !constant;
}

// A parameter: (pointer, offset, stride).
static void put_list(gb_emit *e, const gb_view *view)
{
    gb_put_view(e, view);
    gb_put_i32(e, view->stride[0]);
}

// A running statistic's new value, if somebody wants it.
static gb_view out_list(gb_emit *e, const gb_node *node, int i)
{
    gb_value *v = i < node->n_out ? node->out[i] : NULL;
    return v ? *gb_emit_out(e, v, GB_ORDER_PLAIN) : (gb_view){0};
}

// Mean and sum of squared deviations of this rank's pixels, [2][channels], from those of segments.
static gb_store *join_moments(gb_emit *e, const gb_pixels *x, gb_store *parts, int64_t segment)
{
    gb_store *whole = gb_emit_temp(e, (size_t)x->channels * 2 * sizeof(float), "rank moments");
    gb_emit_launch(e, "batch_norm", "batch_join", "%s", "");
    gb_put_store(e, parts);
    gb_put_i32(e, (x->count + segment - 1) / segment);
    gb_put_i32(e, segment);
    gb_put_i32(e, x->count);
    gb_put_i32(e, x->channels);
    gb_put_store(e, whole);
    gb_norm_items(e, x->channels, 1);
    return whole;
}

static void record_moments(gb_emit *e, const gb_node *node, const gb_norm_args *n,
                           const gb_pixels *x, gb_store *stats)
{
    int64_t segment = gb_norm_segment(x->count), segments = (x->count + segment - 1) / segment;
    double count = (double)(x->count * e->ranks);
    gb_store *parts = gb_emit_temp(e, (size_t)(x->channels * segments) * 2 * sizeof(float),
                                   "batch moments");
    gb_view mean = *gb_emit_in(e, node->in[3], GB_ORDER_PLAIN), new_mean = out_list(e, node, 1);
    gb_view var = *gb_emit_in(e, node->in[4], GB_ORDER_PLAIN), new_var = out_list(e, node, 2);
    gb_emit_launch(e, "batch_norm", "batch_moments", "%s", "");
    gb_put_pixels(e, x);
    gb_put_i32(e, x->count);
    gb_put_i32(e, x->channels);
    gb_put_i32(e, segment);
    gb_put_store(e, parts);
    gb_norm_items(e, x->channels, segments);

    if (e->ranks > 1) { // which are segments of the batch in their turn
        parts = gb_emit_gather(e, join_moments(e, x, parts, segment));
        segments = e->ranks;
        segment = x->count;
    }
    gb_emit_launch(e, "batch_norm", "batch_stats", "%s", "");
    gb_put_store(e, parts);
    gb_put_i32(e, segments);
    gb_put_i32(e, segment);
    gb_put_i32(e, x->count * e->ranks);
    gb_put_i32(e, x->channels);
    gb_put_f32(e, n->epsilon);
    gb_put_store(e, stats);
    gb_put_f32(e, n->momentum);
    gb_put_f32(e, n->unbiased && count > 1 ? (float)(count / (count - 1)) : 1);
    put_list(e, &mean);
    put_list(e, &var);
    put_list(e, &new_mean);
    put_list(e, &new_var);
    gb_norm_items(e, x->channels, 1);
}

static void record_given(gb_emit *e, const gb_node *node, const gb_norm_args *n, gb_store *stats)
{
    gb_view mean = *gb_emit_in(e, node->in[3], GB_ORDER_PLAIN);
    gb_view var = *gb_emit_in(e, node->in[4], GB_ORDER_PLAIN);
    gb_emit_launch(e, "batch_norm", "given_stats", "%s", "");
    put_list(e, &mean);
    put_list(e, &var);
    gb_put_i32(e, n->channels);
    gb_put_f32(e, n->epsilon);
    gb_put_store(e, stats);
    gb_norm_items(e, n->channels, 1);
}

// Splits pixels and the words of their masks among work-items: appends (count, channels, per).
static void put_words(gb_emit *e, const gb_pixels *x)
{
    int64_t per = e->info->wide ? 1 : 16;
    gb_put_i32(e, x->count);
    gb_put_i32(e, x->channels);
    gb_put_i32(e, per);
    gb_emit_size(e, (size_t)(x->channels + 31) / 32, (size_t)((x->count + per - 1) / per), 1);
}

int gb_batch_norm_live_forward(gb_emit *e, gb_node *node)
{
    gb_norm_args n;
    int err = gb_norm_read(node, &n);
    if (err < 0)
        return err;
    gb_pixels x = gb_emit_pixels(e, node->in[0], 1), y = gb_emit_out_pixels(e, node->out[0], 1);
    gb_pixels residual = {0};
    gb_view gamma = gb_emit_dense(e, node->in[1], GB_ORDER_PLAIN);
    gb_view beta = gb_emit_dense(e, node->in[2], GB_ORDER_PLAIN);
    gb_store *stats = gb_emit_temp(e, (size_t)n.channels * 2 * sizeof(float), "stats"),
             *mask = NULL;
    if (e->status)
        return e->status;
    node->state = stats;
    if (n.training)
        record_moments(e, node, &n, &x, stats);
    else
        record_given(e, node, &n, stats);
    if (node->residual)
        residual = gb_emit_pixels(e, node->residual, 1);
    if (node->act.on)
        mask = gb_emit_mask(e, node->out[0], &y, node->act.slope);
    gb_emit_launch(e, "batch_norm", "batch_apply", "%s", "");
    gb_put_pixels(e, &y);
    gb_put_pixels(e, &x);
    put_words(e, &x);
    gb_put_store(e, stats);
    gb_put_view(e, &gamma);
    gb_put_view(e, &beta);
    gb_put_pixels(e, &residual);
    gb_put_i32(e, node->act.on);
    gb_put_f32(e, node->act.lo);
    gb_put_f32(e, node->act.hi);
    gb_put_f32(e, node->act.slope);
    gb_put_store(e, mask);
    return e->status;
}

static void record_grad(gb_emit *e, gb_node *node, const gb_pixels *dy, const gb_pixels *x,
                        gb_store *sums)
{
    gb_view gamma = gb_emit_dense(e, node->in[1], GB_ORDER_PLAIN);
    gb_pixel_target t = gb_emit_target_pixels(e, node->in[0], 1, GB_APPLIES_MASK);
    gb_emit_launch(e, "batch_norm", "batch_grad", "%s", "");
    gb_put_pixels(e, &t.pixels);
    gb_put_pixels(e, dy);
    gb_put_pixels(e, x);
    put_words(e, x);
    gb_put_store(e, node->state);
    gb_put_view(e, &gamma);
    gb_put_store(e, sums);
    gb_put_f32(e, (float)(x->count * e->ranks));
    gb_put_i32(e, t.add);
    gb_put_store(e, t.mask);
    gb_put_f32(e, t.mask_slope);
    gb_emit_target_done(e, &t, 1);
}

static int check_outputs(const gb_emit *e, const gb_node *node, bool training)
{
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->view.store && node->out[i]->view.store->grad_written)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: no gradient through its running statistics",
                           gb_node_text(node));
    for (int i = 3; i < 5 && !training; i++)
        if (node->in[i]->needs_grad)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: no gradient with respect to input '%s'; give "
                           "it as a constant", gb_node_text(node), node->in[i]->name);
    return e->status;
}

int gb_batch_norm_live_backward(gb_emit *e, gb_node *node)
{
    gb_value *y = node->out[0];
    gb_norm_args n;
    gb_store *sums = NULL;
    int err = gb_norm_read(node, &n);
    if (err < 0 || (err = check_outputs(e, node, n.training)) < 0)
        return err;
    gb_emit_mask_apply(e, y, 1);
    gb_view grad = gb_emit_grad_of(e, y);
    if (!grad.store)
        return e->status;
    gb_norm_sums s = {.x = gb_emit_pixels(e, node->in[0], 1), .stats = node->state,
                      .channel_step = 1, .rate_at = n.channels, .scale = node->in[1],
                      .bias = node->in[2], .row = {1, {n.channels}}};
    s.per = s.x.count;
    gb_view_pixels(&s.dy, &grad, &y->shape, 1);
    if (n.training || s.scale->needs_grad || s.bias->needs_grad)
        sums = gb_emit_norm_sums(e, &s);
    if (node->in[0]->needs_grad)
        record_grad(e, node, &s.dy, &s.x,
                    n.training ? gb_emit_norm_sums_of_ranks(e, sums, n.channels) : NULL);
    if (node->residual && node->residual->needs_grad)
        gb_emit_target_give(e, node->residual, y);
    return e->status;
}
