// The naive reference of the shape and index operators.
#include "ref/shape.h"

#include "op/depth.h"
#include "op/index.h"

#include <string.h>

GB_REF(gb_ref_copy)
{
    int64_t n = out[0] ? gb_shape_count(&out[0]->shape) : 0;
    for (int64_t i = 0; i < n; i++)
        gb_ref_move(out[0], i, in[0], i);
    // Dropout's mask: at inference everything is kept.
    int64_t n_mask = node->n_out > 1 && out[1] ? gb_shape_count(&out[1]->shape) : 0;
    for (int64_t i = 0; i < n_mask; i++)
        gb_tensor_set(out[1], i, 1);
    return 0;
}

// The single input that an output element is, if all its taps are one tap of weight 1; else -1.
static int64_t source(const gb_index *x, const int64_t *o)
{
    int64_t at = 0;
    for (int d = 0; d < x->mapped.rank; d++) {
        const gb_axis_map *m = &x->axis[d];
        int64_t i = m->first + m->step * o[d];
        if (!m->affine) {
            int32_t t = m->start[o[d]];
            if (m->start[o[d] + 1] != t + 1 || m->weight[t] != 1)
                return -1;
            i = m->tap[t];
        }
        at = at * x->in.dim[d] + i;
    }
    return at;
}

// The sum over the taps of axes d and later; `at` is the address so far.
static double sum(const gb_index *x, const gb_tensor *in, const int64_t *o, int d, int64_t at)
{
    if (d == x->mapped.rank)
        return gb_tensor_get(in, at);
    const gb_axis_map *m = &x->axis[d];
    double result = 0;
    if (m->affine)
        return sum(x, in, o, d + 1, at * x->in.dim[d] + m->first + m->step * o[d]);
    if (m->start[o[d]] == m->start[o[d] + 1])
        return x->fill;
    for (int32_t t = m->start[o[d]]; t < m->start[o[d] + 1]; t++)
        result += m->weight[t] * sum(x, in, o, d + 1, at * x->in.dim[d] + m->tap[t]);
    return result;
}

GB_REF(gb_ref_index)
{
    gb_arena arena = {0};
    gb_index x;
    int err = 0;
    // Pad's own value, exact where it is an integer
    const gb_tensor *fill = !strcmp(node->type, "Pad") && node->n_in > 2 ? in[2] : NULL;
    for (int k = 0; k < node->n_out; k++) {
        int64_t index[GB_MAX_RANK] = {0}, o = 0;
        if (!out[k] || gb_shape_count(&out[k]->shape) == 0)
            continue;
        GB_TRY(gb_index_read(&x, &arena, node, k));
        do {
            int64_t i = source(&x, index);
            if (i >= 0)
                gb_ref_move(out[k], o, in[0], i);
            else if (fill)
                gb_ref_move(out[k], o, fill, 0);
            else
                gb_tensor_set(out[k], o, sum(&x, in[0], index, 0, 0));
            o++;
        } while (gb_ref_next(&x.mapped, index));
    }
fail:
    gb_arena_finish(&arena);
    return err;
}

GB_REF(gb_ref_depth)
{
    gb_view in_view = {0}, out_view = {0};
    gb_depth d;
    int64_t index[GB_MAX_RANK] = {0};
    gb_view_dense(&in_view, &in[0]->shape, GB_ORDER_PLAIN);
    gb_view_dense(&out_view, &out[0]->shape, GB_ORDER_PLAIN);
    gb_depth_split(&d, node, &in_view, &out_view);
    if (gb_shape_count(&d.shape) == 0)
        return 0;
    do {
        int64_t deep = 0, wide = 0;
        for (int i = 0; i < d.shape.rank; i++) {
            deep += index[i] * d.deep.stride[i];
            wide += index[i] * d.wide.stride[i];
        }
        if (node->type[0] == 'D')
            gb_ref_move(out[0], wide, in[0], deep);
        else
            gb_ref_move(out[0], deep, in[0], wide);
    } while (gb_ref_next(&d.shape, index));
    return 0;
}

GB_REF(gb_ref_concat)
{
    int axis;
    int64_t start = 0;
    int err = gb_axis(node, gb_attr_int(node, "axis", 1), out[0]->shape.rank, &axis);
    for (int k = 0; err == 0 && k < node->n_in; k++) {
        int64_t index[GB_MAX_RANK] = {0}, i = 0;
        if (gb_shape_count(&in[k]->shape) == 0)
            continue;
        do {
            int64_t at[GB_MAX_RANK];
            memcpy(at, index, sizeof at);
            at[axis] += start;
            gb_ref_move(out[0], gb_ref_at(&out[0]->shape, at), in[k], i++);
        } while (gb_ref_next(&in[k]->shape, index));
        start += in[k]->shape.dim[axis];
    }
    return err;
}

GB_REF(gb_ref_transpose)
{
    int64_t index[GB_MAX_RANK] = {0}, perm[GB_MAX_RANK], from[GB_MAX_RANK] = {0}, o = 0;
    const gb_shape *shape = &out[0]->shape;
    bool given = gb_attr_ints(node, "perm", perm, GB_MAX_RANK) >= 0;
    if (gb_shape_count(shape) == 0)
        return 0;
    do {
        for (int d = 0; d < shape->rank; d++)
            from[given ? perm[d] : shape->rank - 1 - d] = index[d];
        gb_ref_move(out[0], o++, in[0], gb_ref_at(&in[0]->shape, from));
    } while (gb_ref_next(shape, index));
    return 0;
}

GB_REF(gb_ref_shape)
{
    const gb_shape *shape = &node->in[0]->shape;
    int64_t start = gb_attr_int(node, "start", 0);
    (void)in;
    start += start < 0 ? shape->rank : 0;
    start = start < 0 ? 0 : start;
    for (int64_t d = 0; d < out[0]->shape.dim[0]; d++)
        ((int64_t *)out[0]->data)[d] = shape->dim[start + d];
    return 0;
}

GB_REF(gb_ref_size)
{
    (void)in;
    ((int64_t *)out[0]->data)[0] = gb_shape_count(&node->in[0]->shape);
    return 0;
}

GB_REF(gb_ref_constant_of_shape)
{
    const gb_attr *value = gb_attr_find(node, "value");
    int64_t n = gb_shape_count(&out[0]->shape);
    (void)in;
    for (int64_t i = 0; value && i < n; i++)
        gb_ref_move(out[0], i, value->tensor, 0);
    return 0;
}

GB_REF(gb_ref_range)
{
    int64_t n = gb_shape_count(&out[0]->shape);
    (void)node;
    for (int64_t i = 0; i < n; i++) {
        if (out[0]->type == GB_I64)
            ((int64_t *)out[0]->data)[i] =
                (int64_t)((uint64_t)gb_tensor_int(in[0], 0) +
                          (uint64_t)i * (uint64_t)gb_tensor_int(in[2], 0));
        else
            gb_tensor_set(out[0], i, gb_tensor_get(in[0], 0) + (double)i * gb_tensor_get(in[2], 0));
    }
    return 0;
}

GB_REF(gb_ref_nonzero)
{
    const gb_shape *shape = &in[0]->shape;
    int64_t index[GB_MAX_RANK] = {0}, *to = out[0]->data, found = 0, i = 0;
    int64_t n = gb_shape_count(&out[0]->shape) ? out[0]->shape.dim[1] : 0;
    (void)node;
    if (n == 0)
        return 0;
    do {
        if (gb_tensor_get(in[0], i++) == 0) // no integer but 0 is 0 as a double
            continue;
        for (int d = 0; d < shape->rank; d++)
            to[d * n + found] = index[d];
        found++;
    } while (gb_ref_next(shape, index) && found < n);
    return 0;
}

GB_REF(gb_ref_scatter_nd)
{
    // indices: (..., q) addresses of the first q axes; updates: (..., what such an address holds)
    const gb_shape *shape = &in[0]->shape, *ix = &in[1]->shape;
    int64_t q = ix->dim[ix->rank - 1], piece = 1, rows = 1;
    for (int d = (int)q; d < shape->rank; d++)
        piece *= shape->dim[d];
    for (int d = 0; d < ix->rank - 1; d++)
        rows *= ix->dim[d];
    int err = gb_ref_copy(node, in, out);
    for (int64_t r = 0; err == 0 && r < rows; r++) {
        int64_t at = 0;
        for (int64_t d = 0; d < q; d++) {
            int64_t i = gb_tensor_int(in[1], r * q + d);
            i += i < 0 ? shape->dim[d] : 0;
            if (i < 0 || i >= shape->dim[d])
                return gb_fail(GB_ERR_ARG, "%s: an index is outside its axis", gb_node_text(node));
            at = at * shape->dim[d] + i;
        }
        for (int64_t i = 0; i < piece; i++)
            gb_ref_move(out[0], at * piece + i, in[2], r * piece + i);
    }
    return err;
}
