// Kernels of InstanceNormalization and LayerNormalization.
#include "op/norm.h"
#include "op/norm_sums.h"
#include "op/rows.h"

static gb_view dense_temp(gb_emit *e, const gb_shape *shape, gb_order order)
{
    gb_view dense = {.store = gb_emit_temp(e, (size_t)gb_shape_count(shape) * sizeof(float),
                                           "norm")};
    gb_view_dense(&dense, shape, order);
    return dense;
}

// True if the node has a gradient to give to its scale or bias.
static bool is_trained(const gb_node *node)
{
    return node->in[1]->needs_grad || (node->n_in > 2 && node->in[2] && node->in[2]->needs_grad);
}

// --- InstanceNormalization ---

static void put_image_size(gb_emit *e, const gb_norm_args *n)
{
    gb_put_i32(e, n->inner);
    gb_put_i32(e, n->channels);
}

static void set_image_items(gb_emit *e, const gb_norm_args *n)
{
    int64_t width = e->info->wide ? 1 : e->info->vector_width;
    gb_emit_size(e, (size_t)((n->channels + width - 1) / width), (size_t)n->outer, 1);
}

int gb_instance_norm_forward(gb_emit *e, gb_node *node)
{
    gb_norm_args n;
    int err = gb_norm_read(node, &n);
    if (err < 0)
        return err;
    gb_pixels x = gb_emit_pixels(e, node->in[0], 1), y = gb_emit_out_pixels(e, node->out[0], 1);
    gb_view gamma = gb_emit_dense(e, node->in[1], GB_ORDER_PLAIN);
    gb_view beta = gb_emit_dense(e, node->in[2], GB_ORDER_PLAIN);
    gb_store *stats = gb_emit_temp(e, (size_t)(n.outer * n.channels) * 2 * sizeof(float), "stats");
    node->state = stats;
    gb_emit_launch(e, "norm", "instance_norm", "%s", "");
    gb_put_pixels(e, &y);
    gb_put_pixels(e, &x);
    put_image_size(e, &n);
    gb_put_view(e, &gamma);
    gb_put_view(e, &beta);
    gb_put_f32(e, n.epsilon);
    gb_put_store(e, stats);
    set_image_items(e, &n);
    return e->status;
}

int gb_instance_norm_backward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0];
    gb_view dy = gb_emit_grad_of(e, node->out[0]);
    gb_norm_args n;
    gb_pixels pdy;
    int err = gb_norm_read(node, &n);
    if (err < 0 || e->status || !dy.store)
        return err < 0 ? err : e->status;
    gb_pixels px = gb_emit_pixels(e, x, 1);
    gb_view_pixels(&pdy, &dy, &node->out[0]->shape, 1);
    if (is_trained(node))
        gb_emit_norm_sums(e, &(gb_norm_sums){
            .dy = pdy, .x = px, .stats = node->state, .per = n.inner, .step = 2 * n.channels,
            .channel_step = 1, .rate_at = n.channels, .scale = node->in[1], .bias = node->in[2],
            .row = {1, {n.channels}}});
    if (!x->needs_grad)
        return e->status;
    gb_view gamma = gb_emit_dense(e, node->in[1], GB_ORDER_PLAIN);
    gb_pixel_target t = gb_emit_target_pixels(e, x, 1, 0);
    gb_emit_launch(e, "norm", "instance_norm_grad", "%s", "");
    gb_put_pixels(e, &t.pixels);
    gb_put_pixels(e, &pdy);
    gb_put_pixels(e, &px);
    put_image_size(e, &n);
    gb_put_view(e, &gamma);
    gb_put_store(e, node->state);
    gb_put_i32(e, t.add);
    set_image_items(e, &n);
    gb_emit_target_done(e, &t, 1);
    return e->status;
}

// --- LayerNormalization ---

// Rows contiguous in every view?
static bool find_rows(gb_rows *rows, const gb_value *x, const gb_norm_args *n,
                      const gb_view *const *view, int count)
{
    bool across[GB_MAX_RANK];
    for (int d = 0; d < x->shape.rank; d++)
        across[d] = d >= n->axis;
    bool found = gb_rows_of(rows, &x->shape, across, view, count);
    for (int i = 0; i < count; i++)
        found = found && rows->columns.stride[0][i] == 1;
    return found;
}

// The dimensions of a row.
static gb_shape row_shape(const gb_shape *shape, const gb_norm_args *n)
{
    gb_shape row = {shape->rank - n->axis, {0}};
    for (int d = 0; d < row.rank; d++)
        row.dim[d] = shape->dim[n->axis + d];
    return row;
}

// Scale or bias as one number for each element of a row.
static gb_view row_parameter(gb_emit *e, const gb_node *node, int i, const gb_norm_args *n)
{
    gb_value *v = node->in[i];
    gb_shape row = row_shape(&node->in[0]->shape, n);
    gb_view view = gb_emit_dense(e, v, GB_ORDER_PLAIN);
    if (e->status || gb_shape_equal(&v->shape, &row))
        return view;
    if (v->shape.rank > row.rank) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: input %d differs from row to row",
                                gb_node_text(node), i));
        return view;
    }
    gb_view full = dense_temp(e, &row, GB_ORDER_PLAIN),
            wide = gb_view_broadcast(&view, &v->shape, &row);
    gb_emit_copy(e, &row, &full, &wide, false);
    return full;
}

// Mean and 1 / standard deviation as outputs of their own.
static void put_out_stats(gb_emit *e, gb_node *node, const gb_view *stats, const gb_norm_args *n)
{
    for (int i = 1; i < node->n_out; i++) {
        gb_view from = *stats;
        if (!node->out[i])
            continue;
        const gb_view *to = gb_emit_out(e, node->out[i], GB_ORDER_PLAIN);
        int64_t stride = 2;
        for (int d = n->axis - 1; d >= 0; d--) {
            from.stride[d] = stride;
            stride *= node->out[i]->shape.dim[d];
        }
        from.offset = i - 1;
        gb_emit_copy(e, &node->out[i]->shape, to, &from, false);
    }
}

int gb_layer_norm_forward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    gb_norm_args n;
    gb_rows rows;
    int err = gb_norm_read(node, &n);
    if (err < 0)
        return err;
    gb_view from = *gb_emit_in(e, x, GB_ORDER_PLAIN), to = *gb_emit_out_like(e, y, &from);
    if (e->status || gb_shape_count(&y->shape) == 0)
        return e->status;
    if (!find_rows(&rows, x, &n, (const gb_view *[]){&to, &from}, 2)) {
        from = gb_emit_dense(e, x, GB_ORDER_PLAIN);
        to = dense_temp(e, &y->shape, GB_ORDER_PLAIN);
        find_rows(&rows, x, &n, (const gb_view *[]){&to, &from}, 2);
    }
    gb_view gamma = row_parameter(e, node, 1, &n), beta = {0};
    if (node->n_in > 2 && node->in[2])
        beta = row_parameter(e, node, 2, &n);
    gb_view stats = {.store = gb_emit_temp(e, (size_t)n.outer * 2 * sizeof(float), "stats")};
    node->state = stats.store;
    gb_emit_launch(e, "norm", "layer_norm", "%s", "");
    gb_put_rows(e, &rows, 3);
    gb_put_row_view(e, &rows, 0, &to);
    gb_put_row_view(e, &rows, 1, &from);
    gb_put_view(e, &gamma);
    gb_put_view(e, &beta);
    gb_put_f32(e, n.epsilon);
    gb_put_store(e, stats.store);
    if (to.store != y->view.store)
        gb_emit_copy(e, &y->shape, &y->view, &to, false);
    put_out_stats(e, node, &stats, &n);
    return e->status;
}

// Rows as pixels; copied where their distances differ.
static gb_pixels row_pixels(gb_emit *e, const gb_value *x, const gb_norm_args *n, gb_view view)
{
    gb_rows rows;
    if (!find_rows(&rows, x, n, (const gb_view *[]){&view}, 1) || rows.rows.n_dim > 1) {
        gb_view dense = dense_temp(e, &x->shape, GB_ORDER_PLAIN);
        gb_emit_copy(e, &x->shape, &dense, &view, false);
        view = dense;
        find_rows(&rows, x, n, (const gb_view *[]){&view}, 1);
    }
    return (gb_pixels){.store = view.store, .offset = view.offset,
                       .pitch = rows.rows.stride[0][0], .count = n->outer, .channels = n->inner};
}

static void layer_norm_sums(gb_emit *e, gb_node *node, const gb_norm_args *n, const gb_view *dy)
{
    gb_value *x = node->in[0];
    gb_emit_norm_sums(e, &(gb_norm_sums){
        .dy = row_pixels(e, x, n, *dy), .x = row_pixels(e, x, n, x->view), .stats = node->state,
        .per = 1, .step = 2, .rate_at = 1, .scale = node->in[1],
        .bias = node->n_in > 2 ? node->in[2] : NULL, .row = row_shape(&x->shape, n)});
}

int gb_layer_norm_backward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0];
    gb_view dy = gb_emit_grad_of(e, node->out[0]), from = x->view;
    gb_norm_args n;
    gb_rows rows;
    int err = gb_norm_read(node, &n);
    if (err < 0 || e->status)
        return err < 0 ? err : e->status;
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i] && node->out[i]->view.store && gb_emit_grad_of(e, node->out[i]).store)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: no gradient through its statistics",
                           gb_node_text(node));
    if (!dy.store)
        return 0;
    if (is_trained(node))
        layer_norm_sums(e, node, &n, &dy);
    if (!x->needs_grad || e->status)
        return e->status;
    gb_view gamma = row_parameter(e, node, 1, &n);
    gb_target target = gb_emit_target(e, x);
    gb_view to = target.view;
    bool direct = find_rows(&rows, x, &n, (const gb_view *[]){&to, &dy, &from}, 3);
    if (!direct && !e->status) {
        gb_view dense = dense_temp(e, &x->shape, GB_ORDER_PLAIN);
        gb_emit_copy(e, &x->shape, &dense, &dy, false);
        dy = dense;
        from = gb_emit_dense(e, x, GB_ORDER_PLAIN);
        to = dense_temp(e, &x->shape, GB_ORDER_PLAIN);
        find_rows(&rows, x, &n, (const gb_view *[]){&to, &dy, &from}, 3);
    }
    gb_emit_launch(e, "norm", "layer_norm_grad", "%s", "");
    gb_put_rows(e, &rows, 2);
    gb_put_row_view(e, &rows, 0, &to);
    gb_put_row_view(e, &rows, 1, &dy);
    gb_put_row_view(e, &rows, 2, &from);
    gb_put_view(e, &gamma);
    gb_put_store(e, node->state);
    gb_put_i32(e, direct && target.add);
    if (!direct)
        gb_emit_copy(e, &x->shape, &target.view, &to, target.add);
    return e->status;
}
