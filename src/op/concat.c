// Concat: inputs are written into their slices of the output by whoever makes them; only those that
// were made elsewhere are copied. Inputs that lie side by side already, as slices of a later and
// larger Concat, need nothing at all (DenseNet).
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/view.h"
#include "ref/shape.h"

static int infer(gb_node *node)
{
    int axis, err;
    GB_TRY(gb_infer_arity(node, 1, -1));
    gb_shape shape = node->in[0]->shape;
    GB_TRY(gb_axis(node, gb_attr_int(node, "axis", 1), shape.rank, &axis));
    for (int i = 1; i < node->n_in; i++) {
        if (!node->in[i])
            return gb_fail(GB_ERR_FORMAT, "%s: input %d is missing", gb_node_text(node), i);
        gb_shape other = node->in[i]->shape;
        int64_t dim = other.rank == shape.rank ? other.dim[axis] : 0, total;
        other.dim[axis] = shape.dim[axis];
        if (!gb_shape_equal(&shape, &other) ||
            __builtin_add_overflow(shape.dim[axis], dim, &total)) {
            char a[160], b[160];
            return gb_fail(GB_ERR_ARG, "%s: input %d is %s, the others %s", gb_node_text(node), i,
                           gb_shape_text(a, sizeof a, &node->in[i]->shape),
                           gb_shape_text(b, sizeof b, &shape));
        }
        shape.dim[axis] = total;
    }
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

static int axis_of(const gb_node *node)
{
    int axis = (int)gb_attr_int(node, "axis", 1);
    return axis < 0 ? axis + node->out[0]->shape.rank : axis;
}

static bool same_place(const gb_view *a, const gb_view *b, const gb_shape *shape)
{
    bool same = a->store == b->store && a->offset == b->offset;
    for (int d = 0; d < shape->rank; d++)
        same = same && (shape->dim[d] == 1 || a->stride[d] == b->stride[d]);
    return same;
}

// The slice of `whole` (a view of the output) that starts at `start`; moves `start` on.
static gb_view slice(const gb_view *whole, int axis, int64_t *start, const gb_shape *shape)
{
    gb_view view = *whole;
    view.offset += *start * whole->stride[axis];
    *start += shape->dim[axis];
    return view;
}

// True if the inputs lie side by side in one store.
static bool adjacent(const gb_node *node, int axis)
{
    const gb_view *first = &node->in[0]->view;
    int64_t start = 0;
    bool same = first->store != NULL;
    for (int i = 0; same && i < node->n_in; i++) {
        const gb_value *x = node->in[i];
        gb_view place = slice(first, axis, &start, &x->shape);
        same = same_place(&place, &x->view, &x->shape);
    }
    return same;
}

static int forward(gb_emit *e, gb_node *node)
{
    int axis = axis_of(node);
    if (!node->out[0]->view.store && adjacent(node, axis))
        node->out[0]->view = node->in[0]->view;
    gb_order order = gb_order_for(e, node->out[0]);
    const gb_view *whole = gb_emit_out(e, node->out[0], order);
    bool *copied = gb_arena_array(&e->arena, (size_t)node->n_in, sizeof *copied);
    int64_t start = 0;
    if (!copied)
        return GB_ERR_NOMEM;
    for (int i = 0; i < node->n_in; i++) {
        gb_value *x = node->in[i];
        gb_view dst = slice(whole, axis, &start, &x->shape);
        const gb_view *src = gb_emit_in(e, x, order);
        if (gb_shape_count(&x->shape) == 0 || same_place(&dst, src, &x->shape))
            continue;
        copied[i] = true;
        gb_emit_copy(e, &x->shape, &dst, src, false);
    }
    node->state = copied;
    return e->status;
}

static int backward(gb_emit *e, gb_node *node)
{
    const bool *copied = node->state;
    gb_view whole = gb_emit_grad_of(e, node->out[0]);
    int64_t start = 0;
    for (int i = 0; whole.store && i < node->n_in; i++) {
        gb_value *x = node->in[i];
        gb_view dy = slice(&whole, axis_of(node), &start, &x->shape);
        if (!copied[i] || !x->needs_grad)
            continue;
        gb_target target = gb_emit_target(e, x);
        gb_emit_copy(e, &x->shape, &target.view, &dy, target.add);
    }
    return e->status;
}

// Images may lie outside the axis, inside one step of it, or along it where every input has whole
// rounds of them.
static int64_t images(const gb_node *node, int k)
{
    const gb_shape *y = &node->out[k]->shape;
    const int axis = axis_of(node);
    const int64_t step = gb_images_step(y, axis), batch = node->graph->batch;
    int64_t inside = 0;
    for (int i = 0; i < node->n_in; i++) {
        const gb_value *v = node->in[i];
        const int64_t dim = v->shape.dim[axis], from = v->images.inside;
        if (!gb_holds_images(v))
            continue;
        bool outside = from % (step * dim) == 0, within = step % (from * batch) == 0;
        bool rounds = from % step == 0 && step * dim % (from * batch) == 0;
        int64_t here = outside ? from / dim * y->dim[axis] : within || rounds ? from : 0;
        if (here == 0 || (inside && here != inside))
            return 0;
        inside = here;
    }
    for (int i = 0; i < node->n_in; i++)
        if (!gb_holds_images(node->in[i]) && !gb_images_same(node, i, y, inside))
            return 0;
    return inside;
}

GB_OP(Concat, .since = 4, .infer = infer, .eval = gb_ref_concat, .forward = forward,
      .backward = backward, .images = images);
