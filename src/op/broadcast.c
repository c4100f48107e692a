// Broadcasting operands on the device: where they lie, the kernels over them, their gradients.
#include "op/binary_record.h"

static void put_map(gb_emit *e, const gb_nd *nd)
{
    gb_put_nd(e, nd, 1);
    gb_put_split(e, nd->size[0], gb_nd_outer(nd), 1, 1);
}

void gb_emit_binary(gb_emit *e, const gb_shape *shape, const gb_view *y, const gb_view *a,
                    const gb_view *b, gb_binary_kind kind)
{
    const gb_view *view[] = {y, a, b};
    gb_nd nd = gb_nd_views(shape, view, 3);
    if (e->status || gb_nd_count(&nd) == 0)
        return;
    gb_emit_launch(e, "binary", "binary_map", "%s", "");
    put_map(e, &nd);
    for (int i = 0; i < 3; i++)
        gb_put_operand(e, &nd, i, view[i]);
    gb_put_i32(e, kind);
}

void gb_emit_ternary(gb_emit *e, const gb_shape *shape, const gb_view *y, const gb_view *c,
                     const gb_view *a, const gb_view *b, gb_ternary_kind kind)
{
    const gb_view *view[] = {y, c, a, b};
    gb_nd nd = gb_nd_views(shape, view, 4);
    if (e->status || gb_nd_count(&nd) == 0)
        return;
    gb_emit_launch(e, "binary", "ternary_map", "%s", "");
    put_map(e, &nd);
    for (int i = 0; i < 4; i++)
        gb_put_operand(e, &nd, i, view[i]);
    gb_put_i32(e, kind);
}

static bool channels_last(const gb_value *v)
{
    const int64_t *stride = v->view.stride;
    return v->shape.rank > 2 && stride[1] < stride[v->shape.rank - 1];
}

int gb_place_broadcast(gb_emit *e, gb_node *node)
{
    gb_value *y = node->out[0], *like = NULL;
    for (int i = 0; i < node->n_in; i++) {
        gb_value *v = node->in[i];
        if (v->type == GB_I64 && !v->data) // Pow's exponent may be one
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: works on integers that are not constant",
                           gb_node_text(node));
        if (!like && v->view.store && gb_shape_equal(&v->shape, &y->shape))
            like = v;
    }
    gb_order order = (like ? channels_last(like) : y->shape.rank > 3) ? GB_ORDER_CHANNELS_LAST
                                                                      : GB_ORDER_PLAIN;
    for (int i = 0; i < node->n_in; i++)
        gb_emit_in(e, node->in[i], node->in[i]->shape.rank == y->shape.rank ? order
                                                                            : GB_ORDER_PLAIN);
    if (like)
        gb_emit_out_like(e, y, &like->view);
    else
        gb_emit_out(e, y, order);
    return e->status;
}

gb_view gb_input_wide(const gb_node *node, int i)
{
    return gb_view_broadcast(&node->in[i]->view, &node->in[i]->shape, &node->out[0]->shape);
}

void gb_emit_grad_term(gb_emit *e, gb_node *node, int i, gb_term term, float scale,
                       const gb_view *const *in, int n_in)
{
    const gb_shape *shape = &node->out[0]->shape;
    gb_value *x = node->in[i];
    bool over[GB_MAX_RANK] = {0};
    int skip = shape->rank - x->shape.rank;
    if (e->status || !x->needs_grad)
        return;
    if (term == GB_TERM_MUL && gb_shape_equal(&x->shape, shape)) {
        gb_emit_grad_product(e, x, scale, in[0], in[1]);
        return;
    }
    for (int d = 0; d < shape->rank; d++)
        over[d] = shape->dim[d] > 1 && (d < skip || x->shape.dim[d - skip] == 1);
    gb_target target = gb_emit_target(e, x);
    gb_view out = gb_view_broadcast(&target.view, &x->shape, shape);
    gb_fold fold = {.by = GB_FOLD_SUM, .term = term, .scale = scale};
    gb_emit_fold(e, shape, over, &fold, &out, target.add, in, n_in);
}
