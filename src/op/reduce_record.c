// Kernels of ReduceSum and its family and of the global pools.
#include "op/reduce.h"
#include "op/binary_record.h"
#include "op/fold.h"
#include "op/unary.h"

#include <string.h>

static bool is_global_max(const gb_node *node)
{
    return !strcmp(node->type, "GlobalMaxPool");
}

// The global pools are reductions over the axes behind the channels.
static int read_node(const gb_node *node, gb_reduce *r)
{
    const gb_shape *shape = &node->in[0]->shape;
    bool max = is_global_max(node);
    if (!max && strcmp(node->type, "GlobalAveragePool"))
        return gb_reduce_read(node, r);
    *r = (gb_reduce){.kind = max ? GB_REDUCE_MAX : GB_REDUCE_MEAN, .kept = *shape, .count = 1};
    for (int d = 2; d < shape->rank; d++) {
        r->over[d] = true;
        r->count *= shape->dim[d];
        r->kept.dim[d] = 1;
    }
    r->out = r->kept;
    return 0;
}

// A view of the output as one of the input's shape: it stands still along the reduced axes.
static gb_view spread(const gb_reduce *r, const gb_view *view)
{
    gb_view wide = {.store = view->store, .offset = view->offset};
    bool keep = r->out.rank == r->kept.rank;
    for (int d = 0, j = 0; d < r->kept.rank; d++) {
        if (!r->over[d])
            wide.stride[d] = view->stride[j];
        j += keep || !r->over[d];
    }
    return wide;
}

static const gb_fold folds[] = {
    [GB_REDUCE_SUM] = {GB_FOLD_SUM, GB_TERM_P, 1},
    [GB_REDUCE_MEAN] = {GB_FOLD_SUM, GB_TERM_P, 1},
    [GB_REDUCE_MAX] = {GB_FOLD_MAX, GB_TERM_P, 1},
    [GB_REDUCE_MIN] = {GB_FOLD_MIN, GB_TERM_P, 1},
    [GB_REDUCE_PROD] = {GB_FOLD_PROD, GB_TERM_P, 1},
    [GB_REDUCE_L2] = {GB_FOLD_SUM, GB_TERM_SQUARE, 1},
};

int gb_reduce_forward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    gb_reduce r;
    int err = read_node(node, &r);
    if (err < 0)
        return err;
    if (x->type == GB_I64)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: works on integers that are not constant",
                       gb_node_text(node));
    gb_emit_in(e, x, GB_ORDER_CHANNELS_LAST);
    gb_emit_out(e, y, y->shape.rank > 3 ? GB_ORDER_CHANNELS_LAST : GB_ORDER_PLAIN);
    gb_view out = spread(&r, &y->view);
    gb_fold fold = folds[r.kind];
    if (r.kind == GB_REDUCE_MEAN)
        fold.scale = 1.0f / (float)r.count;
    gb_emit_fold(e, &x->shape, r.over, &fold, &out, false, (const gb_view *[]){&x->view}, 1);
    if (r.kind == GB_REDUCE_L2)
        gb_emit_unary(e, &y->shape, &y->view, &y->view, &(gb_unary){.kind = GB_SQRT});
    return e->status;
}

// Maxima share dy evenly among the elements that equal them, as PyTorch's amax does.
static void backward_extreme(gb_emit *e, const gb_reduce *r, gb_value *x, gb_value *y,
                             const gb_view *dy, const gb_target *dx)
{
    gb_view share = {0}, wide_y = spread(r, &y->view);
    gb_view_dense(&share, &y->shape, GB_ORDER_PLAIN);
    share.store = gb_emit_temp(e, (size_t)gb_shape_count(&y->shape) * sizeof(float), "shares");
    gb_view wide = spread(r, &share);
    gb_fold ties = {GB_FOLD_SUM, GB_TERM_TIES, 1}, map = {GB_FOLD_SUM, GB_TERM_IF_EQUAL, 1};
    gb_emit_fold(e, &x->shape, r->over, &ties, &wide, false,
                 (const gb_view *[]){&x->view, &wide_y}, 2);
    gb_emit_binary(e, &y->shape, &share, dy, &share, GB_DIV);
    gb_emit_fold(e, &x->shape, (bool[GB_MAX_RANK]){0}, &map, &dx->view, dx->add,
                 (const gb_view *[]){&wide, &x->view, &wide_y}, 3);
}

// The gradient of a global maximum goes to its first place.
static void backward_first(gb_emit *e, const gb_reduce *r, gb_value *x, gb_value *y,
                           const gb_view *dy, const gb_target *dx)
{
    gb_view wide_dy = spread(r, dy), wide_y = spread(r, &y->view);
    const gb_view *view[] = {&dx->view, &wide_dy, &x->view, &wide_y};
    gb_nd kept = {.n_operand = 4}, reduced = {.n_operand = 4};
    for (int d = x->shape.rank - 1; d >= 0; d--) {
        int64_t stride[GB_ND_OPERANDS];
        for (int i = 0; i < 4; i++)
            stride[i] = view[i]->stride[d];
        gb_nd_add(r->over[d] ? &reduced : &kept, x->shape.dim[d], stride);
    }
    gb_nd_finish(&kept);
    gb_nd_finish(&reduced);
    gb_emit_launch(e, "reduce", "first_grad", "%s", "");
    gb_put_nd(e, &kept, 1);
    gb_put_split(e, kept.size[0], gb_nd_outer(&kept), 1, r->count);
    gb_put_nd(e, &reduced, 0);
    gb_put_i32(e, r->count);
    for (int i = 0; i < 4; i++)
        gb_put_operand(e, &kept, i, view[i]);
    gb_put_i32(e, dx->add);
}

int gb_reduce_backward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    gb_reduce r;
    int err = read_node(node, &r);
    gb_view dy = gb_emit_grad_of(e, y);
    if (err < 0 || e->status || !dy.store || !x->needs_grad)
        return err < 0 ? err : e->status;
    gb_view wide = spread(&r, &dy), wide_y = spread(&r, &y->view);
    gb_fold fold = {GB_FOLD_SUM, GB_TERM_P, 1};
    const gb_view *in[] = {&wide, &x->view, &wide_y};
    int n_in = 1;
    if (r.kind == GB_REDUCE_SUM || r.kind == GB_REDUCE_MEAN) {
        gb_emit_grad_product(e, x, r.kind == GB_REDUCE_MEAN ? 1.0f / (float)r.count : 1, &wide,
                             NULL);
        return e->status;
    }
    gb_target dx = gb_emit_target(e, x);
    if (r.kind == GB_REDUCE_MAX || r.kind == GB_REDUCE_MIN) {
        if (is_global_max(node))
            backward_first(e, &r, x, y, &dy, &dx);
        else
            backward_extreme(e, &r, x, y, &dy, &dx);
        return e->status;
    }
    if (r.kind == GB_REDUCE_L2) {
        fold.term = GB_TERM_NORM;
        n_in = 3;
    }
    gb_emit_fold(e, &x->shape, (bool[GB_MAX_RANK]){0}, &fold, &dx.view, dx.add, in, n_in);
    return e->status;
}
