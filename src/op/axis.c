// The index operators of op/index.h: views where every axis is evenly strided, else one kernel for
// each axis that is not.
#include "op/images.h"
#include "op/index.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/nd.h"
#include "op/view.h"
#include "ref/shape.h"

#include <math.h>
#include <string.h>

static int infer(gb_node *node)
{
    gb_arena arena = {0};
    gb_index x;
    int err;
    GB_TRY(gb_infer_arity(node, 1, 5));
    for (int k = 0; k < node->n_out; k++) {
        if (!node->out[k])
            continue;
        GB_TRY(gb_index_read(&x, &arena, node, k));
        gb_infer_like(node, k, node->in[0], &x.out);
    }
fail:
    gb_arena_finish(&arena);
    return err;
}

// y = map(x) along one axis, y of the given shape; y += where `add`.
static void launch(gb_emit *e, const gb_shape *shape, int axis, const gb_axis_map *map,
                   const gb_view *y, const gb_view *x, float fill, bool add)
{
    gb_nd nd = {.n_operand = 2};
    int64_t n_tap = map->start[map->n_out];
    size_t n_table = (size_t)(map->n_out + 1 + n_tap);
    int32_t *table = gb_arena_array(&e->arena, n_table, sizeof *table);
    float *weight = gb_arena_array(&e->arena, (size_t)n_tap + 1, sizeof *weight);
    if (e->status || gb_shape_count(shape) == 0)
        return;
    if (!table || !weight) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return;
    }
    memcpy(table, map->start, (size_t)(map->n_out + 1) * sizeof *table);
    memcpy(table + map->n_out + 1, map->tap, (size_t)n_tap * sizeof *table);
    for (int64_t t = 0; t < n_tap; t++)
        weight[t] = (float)map->weight[t];
    for (int d = shape->rank - 1; d >= 0; d--)
        if (d != axis)
            gb_nd_add(&nd, shape->dim[d], (int64_t[GB_ND_OPERANDS]){y->stride[d], x->stride[d]});
    gb_nd_finish(&nd);
    gb_emit_launch(e, "axis", "axis_map", "%s", "");
    gb_put_nd(e, &nd, 1);
    gb_put_split(e, nd.size[0], gb_nd_outer(&nd), map->n_out, 1 + n_tap / map->n_out);
    gb_put_operand(e, &nd, 0, y);
    gb_put_operand(e, &nd, 1, x);
    gb_put_i32(e, y->stride[axis]);
    gb_put_i32(e, x->stride[axis]);
    gb_put_store(e, gb_emit_const(e, table, n_table * sizeof *table, "taps"));
    gb_put_i32(e, map->n_out);
    gb_put_store(e, gb_emit_const(e, weight, ((size_t)n_tap + 1) * sizeof *weight, "tap weights"));
    gb_put_f32(e, fill);
    gb_put_i32(e, add);
}

// The axes that need the kernel (tables, and in backward also repeats), cheapest first: those that
// shrink the tensor the most. Returns how many.
static int order_axes(const gb_index *x, bool repeats, int *axes)
{
    int n = 0;
    for (int d = 0; d < x->mapped.rank; d++) {
        const gb_axis_map *m = &x->axis[d];
        if (m->affine && !(repeats && m->step == 0 && m->n_out > 1))
            continue;
        int at = n++;
        for (; at > 0; at--) {
            const gb_axis_map *other = &x->axis[axes[at - 1]];
            if ((double)other->n_out / (double)other->n_in <= (double)m->n_out / (double)m->n_in)
                break;
            axes[at] = axes[at - 1];
        }
        axes[at] = d;
    }
    return n;
}

// The part of a view that the affine axes pick; other axes, and repeats unless they are wanted as
// strides of 0, stay whole. `shape` becomes that of the part; true if it is less than the whole.
static bool pick(gb_view *view, gb_shape *shape, const gb_index *x, bool repeats)
{
    bool less = false;
    *shape = x->in;
    for (int d = 0; d < x->in.rank; d++) {
        const gb_axis_map *m = &x->axis[d];
        if (!m->affine || (m->step == 0 && m->n_out > 1 && !repeats))
            continue;
        less |= m->n_out != m->n_in;
        view->offset += m->first * view->stride[d];
        view->stride[d] *= m->step;
        shape->dim[d] = m->n_out;
    }
    return less;
}

// The input's view with the leading dimensions of 1 that x->in has.
static gb_view widen(const gb_view *view, const gb_shape *shape, const gb_index *x)
{
    gb_view wide = {.store = view->store, .offset = view->offset};
    int lead = x->in.rank - shape->rank;
    for (int d = lead; d < x->in.rank; d++)
        wide.stride[d] = view->stride[d - lead];
    for (int d = lead - 1; d >= 0; d--)
        wide.stride[d] = wide.stride[lead] * x->in.dim[lead];
    return wide;
}

static bool repeats(const gb_index *x)
{
    for (int d = 0; d < x->in.rank; d++)
        if (x->axis[d].affine && x->axis[d].step == 0 && x->axis[d].n_out > 1)
            return true;
    return false;
}

static gb_view temp_like(gb_emit *e, const gb_shape *shape, const gb_view *like)
{
    gb_view view = {0};
    view.store = gb_emit_temp(e, (size_t)gb_shape_count(shape) * sizeof(float), "axis");
    gb_view_dense_like(&view, shape, like);
    return view;
}

static void forward_one(gb_emit *e, gb_node *node, int k, gb_index *x, bool *copied)
{
    gb_value *y = node->out[k];
    const gb_view *src = gb_emit_in(e, node->in[0], GB_ORDER_PLAIN);
    int axes[GB_MAX_RANK], n = order_axes(x, false, axes);
    gb_view from = widen(src, &node->in[0]->shape, x), to;
    gb_shape shape;
    if (e->status)
        return;
    bool repeated = repeats(x);
    pick(&from, &shape, x, true);
    if (n == 0 && !repeated && gb_view_reshape(&y->view, &x->out, &from, &shape))
        return;
    *copied = true;
    bool ranks = x->out.rank == node->in[0]->shape.rank;
    const gb_view *dst = ranks && !repeated ? gb_emit_out_like(e, y, &from)
                                            : gb_emit_out(e, y, gb_order_for(e, y));
    if (e->status || gb_shape_count(&x->out) == 0)
        return;
    // Gather's output is seen without the indices' own dimensions, through a temporary if need be.
    bool direct = gb_view_reshape(&to, &x->mapped, dst, &x->out);
    if (!direct)
        to = temp_like(e, &x->mapped, &from);
    if (n == 0)
        gb_emit_copy(e, &shape, &to, &from, false);
    for (int i = 0; i < n && !e->status; i++) {
        shape.dim[axes[i]] = x->axis[axes[i]].n_out;
        gb_view next = i + 1 < n ? temp_like(e, &shape, &to) : to;
        launch(e, &shape, axes[i], &x->axis[axes[i]], &next, &from, (float)x->fill, false);
        from = next;
    }
    if (!direct)
        gb_emit_copy_reshape(e, dst, &x->out, &to, &x->mapped, false);
}

static int forward(gb_emit *e, gb_node *node)
{
    bool *copied = gb_arena_array(&e->arena, (size_t)node->n_out, sizeof *copied);
    int err = copied ? 0 : GB_ERR_NOMEM;
    node->state = copied;
    for (int k = 0; err == 0 && k < node->n_out; k++) {
        gb_index x;
        if (!node->out[k])
            continue;
        err = gb_index_read(&x, &e->arena, node, k);
        if (err == 0)
            forward_one(e, node, k, &x, &copied[k]);
    }
    return err < 0 ? err : e->status;
}

static void backward_one(gb_emit *e, gb_node *node, int k, gb_index *x)
{
    gb_value *in = node->in[0];
    gb_view from, dy = gb_emit_grad_of(e, node->out[k]);
    int axes[GB_MAX_RANK], n = order_axes(x, true, axes);
    if (!dy.store || gb_shape_count(&x->out) == 0)
        return;
    gb_target target = gb_emit_target(e, in);
    gb_view to = widen(&target.view, &in->shape, x);
    gb_shape shape;
    if (pick(&to, &shape, x, false) && !target.add) {
        gb_emit_fill(e, target.view.store, 0); // what was not picked
        target.add = true;
    }
    shape = x->mapped;
    if (!gb_view_reshape(&from, &x->mapped, &dy, &x->out)) {
        from = temp_like(e, &x->mapped, &to);
        gb_emit_copy_reshape(e, &from, &x->mapped, &dy, &x->out, false);
    }
    if (n == 0)
        gb_emit_copy(e, &shape, &to, &from, target.add);
    for (int i = n - 1; i >= 0 && !e->status; i--) {
        gb_axis_map map;
        int err = gb_axis_map_transpose(&map, &e->arena, &x->axis[axes[i]]);
        if (err < 0) {
            gb_emit_fail(e, err);
            return;
        }
        shape.dim[axes[i]] = map.n_out;
        gb_view next = i > 0 ? temp_like(e, &shape, &to) : to;
        launch(e, &shape, axes[i], &map, &next, &from, 0, i == 0 && target.add);
        from = next;
    }
}

static int backward(gb_emit *e, gb_node *node)
{
    const bool *copied = node->state;
    int err = 0;
    for (int k = 0; err == 0 && k < node->n_out && node->in[0]->needs_grad; k++) {
        gb_index x;
        if (!node->out[k] || !copied[k])
            continue;
        err = gb_index_read(&x, &e->arena, node, k);
        if (err == 0)
            backward_one(e, node, k, &x);
    }
    return err < 0 ? err : e->status;
}

// Axis by axis, the taps of all outputs are multiplied.
static double work(const gb_node *node)
{
    gb_arena arena = {0};
    gb_index x;
    double sum = 0;
    for (int k = 0; k < node->n_out; k++) {
        double reads = node->out[k] != NULL;
        if (reads > 0 && gb_index_read(&x, &arena, node, k) < 0)
            reads = INFINITY;
        for (int d = 0; reads > 0 && !isinf(reads) && d < x.mapped.rank; d++) {
            const gb_axis_map *map = &x.axis[d];
            reads *= (double)(map->affine ? map->n_out : map->start[map->n_out]);
        }
        sum += reads;
    }
    gb_arena_finish(&arena);
    return 8 * sum;
}

#define INDEX_OP(name, first, last) \
    GB_OP(name, .since = first, .until = last, .infer = infer, .eval = gb_ref_index, \
          .work = work, .forward = forward, .backward = backward, .images = gb_images_indexed)
INDEX_OP(Slice, 1, 0);
INDEX_OP(Split, 2, 0);
INDEX_OP(Pad, 2, 0);
INDEX_OP(Gather, 1, 0);
INDEX_OP(Tile, 6, 0);
INDEX_OP(Expand, 8, 0);
INDEX_OP(Resize, 10, 0);
INDEX_OP(Upsample, 7, 9);
