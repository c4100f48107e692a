// Operators that exist while constants are folded: shapes, ranges, what exporters build of them.
#include "op/infer.h"
#include "op/list.h"
#include "ref/shape.h"

#include <inttypes.h>
#include <math.h>

static int infer_shape(gb_node *node)
{
    int err = gb_infer_arity(node, 1, 1);
    if (err < 0)
        return err;
    int64_t rank = node->in[0]->shape.rank;
    int64_t start = gb_attr_int(node, "start", 0), end = gb_attr_int(node, "end", rank);
    start += start < 0 ? rank : 0;
    end += end < 0 ? rank : 0;
    start = start < 0 ? 0 : start;
    end = end > rank ? rank : end;
    gb_infer_out(node, 0, GB_I64, &(gb_shape){.rank = 1, .dim = {end > start ? end - start : 0}});
    return 0;
}

static int infer_size(gb_node *node)
{
    int err = gb_infer_arity(node, 1, 1);
    if (err == 0)
        gb_infer_out(node, 0, GB_I64, &(gb_shape){0});
    return err;
}

static int infer_constant_of_shape(gb_node *node)
{
    gb_shape shape = {0};
    int err = gb_infer_arity(node, 1, 1);
    if (err == 0)
        err = gb_arg_ints(node, NULL, 0, shape.dim, GB_MAX_RANK, &shape.rank);
    if (err < 0)
        return err;
    if (shape.rank > GB_MAX_RANK)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: a rank of %d", gb_node_text(node), shape.rank);
    for (int d = 0; d < shape.rank; d++)
        if (shape.dim[d] < 0)
            return gb_fail(GB_ERR_FORMAT, "%s: a negative dimension", gb_node_text(node));
    const gb_attr *value = gb_attr_find(node, "value");
    if (value && (value->kind != GB_ATTR_TENSOR || gb_shape_count(&value->tensor->shape) != 1))
        return gb_fail(GB_ERR_FORMAT, "%s: value must be one number", gb_node_text(node));
    const gb_tensor *like = value ? value->tensor : NULL;
    gb_infer_like(node, 0, &(gb_value){.type = like ? like->type : GB_F32,
                                       .ints = like ? like->ints : GB_INT64}, &shape);
    return 0;
}

// The constant behind an input whose value decides a shape.
static int constant_input(const gb_node *node, int i, const gb_tensor **out)
{
    *out = node->in[i]->data;
    if (!*out)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: input %d must be a constant", gb_node_text(node),
                       i);
    return 0;
}

// How many integers there are from t[0] to before t[1] by t[2]: differences beyond 2^53 count, too.
static double steps(const gb_tensor *const *t)
{
    const int64_t start = gb_tensor_int(t[0], 0), end = gb_tensor_int(t[1], 0);
    const int64_t by = gb_tensor_int(t[2], 0);
    if (by == 0)
        return NAN;
    if (by > 0 ? start >= end : start <= end)
        return 0;
    const uint64_t way = by > 0 ? (uint64_t)end - (uint64_t)start : (uint64_t)start - (uint64_t)end;
    const uint64_t step = by > 0 ? (uint64_t)by : 0 - (uint64_t)by;
    return (double)(way / step + (way % step != 0));
}

static int infer_range(gb_node *node)
{
    const gb_tensor *t[3];
    int err;
    double v[3];
    GB_TRY(gb_infer_arity(node, 3, 3));
    for (int i = 0; i < 3; i++) {
        GB_TRY(constant_input(node, i, &t[i]));
        if (gb_shape_count(&t[i]->shape) != 1)
            return gb_fail(GB_ERR_FORMAT, "%s: input %d must be one number", gb_node_text(node), i);
        v[i] = gb_tensor_get(t[i], 0);
    }
    double count = t[0]->type == GB_I64 ? steps(t) : ceil((v[1] - v[0]) / v[2]);
    if (!(count < 1e9))
        return gb_fail(GB_ERR_ARG, "%s: from %g to %g by %g is too long", gb_node_text(node), v[0],
                       v[1], v[2]);
    gb_infer_like(node, 0, node->in[0],
                  &(gb_shape){.rank = 1, .dim = {count > 0 ? (int64_t)count : 0}});
fail:
    return err;
}

static int infer_nonzero(gb_node *node)
{
    const gb_tensor *t;
    int err;
    GB_TRY(gb_infer_arity(node, 1, 1));
    GB_TRY(constant_input(node, 0, &t));
    int64_t n = gb_shape_count(&t->shape), found = 0;
    for (int64_t i = 0; i < n; i++)
        found += gb_tensor_get(t, i) != 0;
    gb_infer_out(node, 0, GB_I64, &(gb_shape){.rank = 2, .dim = {t->shape.rank, found}});
fail:
    return err;
}

static int infer_scatter_nd(gb_node *node)
{
    int err = gb_infer_arity(node, 3, 3);
    if (err < 0)
        return err;
    const gb_shape *data = &node->in[0]->shape, *ix = &node->in[1]->shape;
    int64_t q = ix->rank ? ix->dim[ix->rank - 1] : -1;
    gb_shape expect = {0};
    const char *reduction = gb_attr_string(node, "reduction", "none");
    bool fits = q >= 0 && q <= data->rank && ix->rank - 1 + data->rank - q <= GB_MAX_RANK;
    for (int d = 0; fits && d < ix->rank - 1; d++)
        expect.dim[expect.rank++] = ix->dim[d];
    for (int64_t d = q; fits && d < data->rank; d++)
        expect.dim[expect.rank++] = data->dim[d];
    if (!fits || !gb_shape_equal(&expect, &node->in[2]->shape))
        return gb_fail(GB_ERR_FORMAT, "%s: data, indices and updates do not fit",
                       gb_node_text(node));
    if (reduction[0] != 'n')
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: reduction '%.40s'", gb_node_text(node), reduction);
    gb_infer_like(node, 0, node->in[0], data);
    return 0;
}

GB_OP(Shape, .since = 1, .infer = infer_shape, .eval = gb_ref_shape, .shape_only = true);
GB_OP(Size, .since = 1, .infer = infer_size, .eval = gb_ref_size, .shape_only = true);
GB_OP(ConstantOfShape, .since = 9, .infer = infer_constant_of_shape,
      .eval = gb_ref_constant_of_shape);
GB_OP(Range, .since = 11, .infer = infer_range, .eval = gb_ref_range);
GB_OP(NonZero, .since = 9, .infer = infer_nonzero, .eval = gb_ref_nonzero);
GB_OP(ScatterND, .since = 11, .infer = infer_scatter_nd, .eval = gb_ref_scatter_nd);
