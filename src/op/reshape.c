// Operators that rename elements: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Identity,
// Dropout, Cast. Views where strides allow, else copies.
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/view.h"
#include "ref/shape.h"

#include <inttypes.h>

static int infer_reshape(gb_node *node)
{
    int64_t dims[GB_MAX_RANK], known = 1, count;
    int n, hole = -1, err;
    GB_TRY(gb_infer_arity(node, 1, 2));
    const gb_shape *in = &node->in[0]->shape;
    GB_TRY(gb_arg_ints(node, "shape", 1, dims, GB_MAX_RANK, &n));
    if (n < 0 || n > GB_MAX_RANK)
        return gb_fail(n < 0 ? GB_ERR_FORMAT : GB_ERR_UNSUPPORTED, "%s: a shape of %d dimensions",
                       gb_node_text(node), n);
    bool allow_zero = gb_attr_int(node, "allowzero", 0) != 0;
    gb_shape shape = {.rank = n};
    for (int d = 0; d < n; d++) {
        int64_t dim = dims[d];
        if (dim == 0 && !allow_zero) {
            if (d >= in->rank)
                return gb_fail(GB_ERR_FORMAT, "%s: keeps dimension %d of an input that has %d",
                               gb_node_text(node), d, in->rank);
            dim = in->dim[d];
        }
        if (dim < -1 || (dim == -1 && hole >= 0))
            return gb_fail(GB_ERR_FORMAT, "%s: two unknown or negative dimensions",
                           gb_node_text(node));
        shape.dim[d] = dim;
        if (dim == -1)
            hole = d;
        else if (__builtin_mul_overflow(known, dim, &known))
            return gb_fail(GB_ERR_FORMAT, "%s: the shape is too large", gb_node_text(node));
    }
    count = gb_shape_count(in);
    if (hole >= 0 && known > 0)
        shape.dim[hole] = count / known;
    if (hole >= 0 && known == 0)
        shape.dim[hole] = 0;
    if (gb_shape_count(&shape) != count) {
        char a[160], b[160];
        return gb_fail(GB_ERR_ARG, "%s: %s cannot become %s", gb_node_text(node),
                       gb_shape_text(a, sizeof a, in), gb_shape_text(b, sizeof b, &shape));
    }
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

static int infer_flatten(gb_node *node)
{
    int err = gb_infer_arity(node, 1, 1);
    if (err < 0)
        return err;
    const gb_shape *in = &node->in[0]->shape;
    int64_t axis = gb_attr_int(node, "axis", 1);
    if (axis < -in->rank || axis > in->rank)
        return gb_fail(GB_ERR_ARG, "%s: axis %" PRId64 " of rank %d", gb_node_text(node), axis,
                       in->rank);
    axis += axis < 0 ? in->rank : 0;
    gb_shape shape = {.rank = 2, .dim = {1, 1}};
    for (int d = 0; d < in->rank; d++)
        shape.dim[d >= axis] *= in->dim[d];
    gb_infer_like(node, 0, node->in[0], &shape);
    return 0;
}

// Marks the axes that Squeeze removes or Unsqueeze adds; *n = -1 where none are given.
static int read_axes(const gb_node *node, int rank, bool *marked, int *n)
{
    int64_t axes[GB_MAX_RANK];
    int err = gb_arg_ints(node, "axes", 1, axes, GB_MAX_RANK, n);
    for (int i = 0; err == 0 && i < *n; i++) {
        int axis;
        if (*n > rank)
            return gb_fail(GB_ERR_FORMAT, "%s: too many axes", gb_node_text(node));
        GB_TRY(gb_axis(node, axes[i], rank, &axis));
        if (marked[axis])
            return gb_fail(GB_ERR_FORMAT, "%s: axis %d twice", gb_node_text(node), axis);
        marked[axis] = true;
    }
fail:
    return err;
}

static int infer_squeeze(gb_node *node)
{
    bool marked[GB_MAX_RANK] = {0};
    int n, err;
    GB_TRY(gb_infer_arity(node, 1, 2));
    const gb_shape *in = &node->in[0]->shape;
    GB_TRY(read_axes(node, in->rank, marked, &n));
    gb_shape shape = {0};
    for (int d = 0; d < in->rank; d++) {
        if (marked[d] && in->dim[d] != 1)
            return gb_fail(GB_ERR_ARG, "%s: axis %d has %" PRId64 " elements", gb_node_text(node),
                           d, in->dim[d]);
        if (n < 0 ? in->dim[d] != 1 : !marked[d])
            shape.dim[shape.rank++] = in->dim[d];
    }
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

static int infer_unsqueeze(gb_node *node)
{
    bool marked[GB_MAX_RANK] = {0};
    int n, err;
    GB_TRY(gb_infer_arity(node, 1, 2));
    const gb_shape *in = &node->in[0]->shape;
    GB_TRY(gb_arg_ints(node, "axes", 1, NULL, 0, &n));
    if (n < 0 || n + in->rank > GB_MAX_RANK)
        return gb_fail(n < 0 ? GB_ERR_FORMAT : GB_ERR_UNSUPPORTED, "%s: a rank of %d",
                       gb_node_text(node), n + in->rank);
    gb_shape shape = {.rank = in->rank + n};
    GB_TRY(read_axes(node, shape.rank, marked, &n));
    for (int d = 0, from = 0; d < shape.rank; d++)
        shape.dim[d] = marked[d] ? 1 : in->dim[from++];
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

static int infer_same(gb_node *node)
{
    int err = gb_infer_arity(node, 1, 1);
    if (err == 0)
        gb_infer_like(node, 0, node->in[0], &node->in[0]->shape);
    return err;
}

static int infer_dropout(gb_node *node)
{
    int err = gb_infer_arity(node, 1, 3);
    if (err < 0)
        return err;
    const gb_value *ratio = gb_input(node, 1), *training = gb_input(node, 2);
    if (training && (!training->data || gb_tensor_int(training->data, 0)) &&
        !(ratio && ratio->data && gb_tensor_get(ratio->data, 0) == 0))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: is in training mode", gb_node_text(node));
    gb_infer_like(node, 0, node->in[0], &node->in[0]->shape);
    gb_infer_out(node, 1, GB_BOOL, &node->in[0]->shape);
    return 0;
}

static int infer_cast(gb_node *node)
{
    static const struct {
        int64_t code;
        gb_int ints;
    } integers[] = {{2, GB_UINT8}, {3, GB_INT8},  {4, GB_UINT16},  {5, GB_INT16},
                    {6, GB_INT32}, {7, GB_INT64}, {12, GB_UINT32}, {13, GB_UINT64}};
    int err = gb_infer_arity(node, 1, 1);
    if (err < 0)
        return err;
    bool wide = node->in[0]->type == GB_F64;
    switch (gb_attr_int(node, "to", 0)) { // TensorProto.DataType
    case 1: case 10: case 11: case 16: // float, float16, double, bfloat16
        gb_infer_out(node, 0, wide ? GB_F64 : GB_F32, &node->in[0]->shape);
        return 0;
    case 9:
        gb_infer_out(node, 0, GB_BOOL, &node->in[0]->shape);
        return 0;
    }
    for (size_t i = 0; i < GB_COUNT(integers); i++) {
        if (integers[i].code != gb_attr_int(node, "to", 0))
            continue;
        gb_infer_like(node, 0, &(gb_value){.type = GB_I64, .ints = integers[i].ints},
                      &node->in[0]->shape);
        return 0;
    }
    return gb_fail(GB_ERR_UNSUPPORTED, "%s: to type %" PRId64, gb_node_text(node),
                   gb_attr_int(node, "to", 0));
}

int gb_transpose_perm(const gb_node *node, int *perm)
{
    int64_t list[GB_MAX_RANK];
    int rank = node->in[0]->shape.rank, n = gb_attr_ints(node, "perm", list, GB_MAX_RANK);
    bool seen[GB_MAX_RANK] = {0};
    for (int d = 0; d < rank; d++) {
        int64_t from = n < 0 ? rank - 1 - d : d < n ? list[d] : -1;
        if ((n >= 0 && n != rank) || from < 0 || from >= rank || seen[from])
            return gb_fail(GB_ERR_FORMAT, "%s: perm is no permutation of %d axes",
                           gb_node_text(node), rank);
        seen[from] = true;
        perm[d] = (int)from;
    }
    return 0;
}

static int infer_transpose(gb_node *node)
{
    int perm[GB_MAX_RANK], err;
    GB_TRY(gb_infer_arity(node, 1, 1));
    GB_TRY(gb_transpose_perm(node, perm));
    gb_shape shape = {.rank = node->in[0]->shape.rank};
    for (int d = 0; d < shape.rank; d++)
        shape.dim[d] = node->in[0]->shape.dim[perm[d]];
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

static int64_t images_transpose(const gb_node *node, int k)
{
    const gb_value *x = node->in[0];
    int perm[GB_MAX_RANK], to = 0;
    gb_images_place at;
    if (gb_transpose_perm(node, perm) < 0 ||
        !gb_images_find(&at, &x->shape, x->images.inside, node->graph->batch))
        return 0;
    while (perm[to] != at.axis)
        to++;
    return at.inner * gb_images_step(&node->out[k]->shape, to);
}

// node->state is set where the output is a copy of its own.
static int forward_reshape(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    const gb_view *src = gb_emit_in(e, x, GB_ORDER_PLAIN);
    node->state = NULL;
    if (e->status || gb_view_reshape(&y->view, &y->shape, src, &x->shape))
        return e->status;
    node->state = node;
    const gb_view *dst = gb_emit_out(e, y, gb_order_for(e, y));
    gb_emit_copy_reshape(e, dst, &y->shape, src, &x->shape, false);
    return e->status;
}

static int backward_reshape(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    if (!node->state || !x->needs_grad)
        return e->status;
    gb_view dy = gb_emit_grad_of(e, y);
    if (!dy.store)
        return e->status;
    gb_target target = gb_emit_target(e, x);
    gb_emit_copy_reshape(e, &target.view, &x->shape, &dy, &y->shape, target.add);
    return e->status;
}

static int forward_same(gb_emit *e, gb_node *node)
{
    const gb_view *src = gb_emit_in(e, node->in[0], GB_ORDER_PLAIN);
    if (node->n_out > 1 && node->out[1] && node->out[1]->uses)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: its mask is read", gb_node_text(node));
    // Booleans are 0 or 1 on the device, and floats as they are.
    const gb_dtype from = node->in[0]->type, to = node->out[0]->type;
    if ((from != GB_F32 && from != GB_BOOL) || (to != GB_F32 && to != from))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: integers depend on the picture",
                       gb_node_text(node));
    node->out[0]->view = *src;
    return e->status;
}

static int forward_transpose(gb_emit *e, gb_node *node)
{
    int perm[GB_MAX_RANK], err = gb_transpose_perm(node, perm);
    const gb_view *src = gb_emit_in(e, node->in[0], GB_ORDER_PLAIN);
    gb_view *view = &node->out[0]->view;
    if (err < 0 || e->status)
        return err < 0 ? err : e->status;
    *view = (gb_view){.store = src->store, .offset = src->offset};
    for (int d = 0; d < node->in[0]->shape.rank; d++)
        view->stride[d] = src->stride[perm[d]];
    return 0;
}

static int backward_none(gb_emit *e, gb_node *node)
{
    (void)node;
    return e->status;
}

GB_OP(Reshape, .since = 1, .infer = infer_reshape, .eval = gb_ref_copy,
      .forward = forward_reshape, .backward = backward_reshape, .images = gb_images_renamed);
GB_OP(Flatten, .since = 1, .infer = infer_flatten, .eval = gb_ref_copy,
      .forward = forward_reshape, .backward = backward_reshape, .images = gb_images_renamed);
GB_OP(Squeeze, .since = 1, .infer = infer_squeeze, .eval = gb_ref_copy,
      .forward = forward_reshape, .backward = backward_reshape, .images = gb_images_renamed);
GB_OP(Unsqueeze, .since = 1, .infer = infer_unsqueeze, .eval = gb_ref_copy,
      .forward = forward_reshape, .backward = backward_reshape, .images = gb_images_renamed);
GB_OP(Transpose, .since = 1, .infer = infer_transpose, .eval = gb_ref_transpose,
      .forward = forward_transpose, .backward = backward_none, .is_view = true,
      .images = images_transpose);
GB_OP(Identity, .since = 1, .infer = infer_same, .eval = gb_ref_copy, .forward = forward_same,
      .backward = backward_none, .is_view = true, .images = gb_images_pointwise);
GB_OP(Dropout, .since = 7, .infer = infer_dropout, .eval = gb_ref_copy, .forward = forward_same,
      .backward = backward_none, .is_view = true, .images = gb_images_pointwise);
GB_OP(Cast, .since = 6, .infer = infer_cast, .eval = gb_ref_cast, .forward = forward_same,
      .backward = backward_none, .is_view = true, .images = gb_images_pointwise);
