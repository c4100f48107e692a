// Kernels of functions of one element.
#include "op/nd.h"
#include "op/unary.h"

static bool has_mask(gb_unary_kind kind)
{
    return kind == GB_RELU || kind == GB_LEAKY_RELU || kind == GB_CLIP;
}

bool gb_unary_is_smooth(gb_unary_kind kind)
{
    return kind >= GB_ELU && kind <= GB_SWISH && kind != GB_THRESHOLDED_RELU;
}

bool gb_unary_of_output(gb_unary_kind kind)
{
    return kind == GB_RELU || kind == GB_SIGMOID || kind == GB_HARD_SIGMOID || kind == GB_TANH ||
           kind == GB_EXP || kind == GB_SQRT || kind == GB_RECIPROCAL;
}

// The axis along which masks have their words: channels where those are contiguous.
static int mask_axis(const gb_value *y)
{
    gb_pixels pixels;
    return y->shape.rank > 1 && gb_view_pixels(&pixels, &y->view, &y->shape, 1)
               ? 1 : y->shape.rank - 1;
}

static bool same_pixels(const gb_pixels *a, const gb_pixels *b)
{
    return a->count == b->count && a->channels == b->channels;
}

// Returns false where there is no need for a mask or no matrix of pixels to hang it on.
static bool forward_masked(gb_emit *e, gb_value *x, gb_value *y, const gb_unary *u)
{
    gb_pixels px, py;
    int axis = mask_axis(y);
    if (!has_mask(u->kind) || !gb_view_pixels(&py, &y->view, &y->shape, axis) ||
        !gb_view_pixels(&px, &x->view, &x->shape, axis) || !same_pixels(&px, &py))
        return false;
    gb_store *mask = gb_emit_mask(e, y, &py, u->kind == GB_LEAKY_RELU ? u->a : 0);
    if (!mask)
        return false;
    gb_emit_launch(e, "unary", "unary_mask", "-DFUNCTIONS");
    gb_put_split(e, (py.channels + 31) / 32, py.count, 1, 32);
    gb_put_pixels(e, &py);
    gb_put_pixels(e, &px);
    gb_put_i32(e, py.channels);
    gb_put_store(e, mask);
    gb_put_i32(e, u->kind);
    gb_put_f32(e, u->a);
    gb_put_f32(e, u->b);
    return true;
}

void gb_emit_unary(gb_emit *e, const gb_shape *shape, const gb_view *y, const gb_view *x,
                   const gb_unary *u)
{
    gb_nd nd = gb_nd_views(shape, (const gb_view *[]){y, x}, 2);
    if (e->status || gb_nd_count(&nd) == 0)
        return;
    gb_emit_launch(e, "unary", "unary_map", "-DFUNCTIONS");
    gb_put_nd(e, &nd, 1);
    gb_put_split(e, nd.size[0], gb_nd_outer(&nd), 1, 1);
    gb_put_operand(e, &nd, 0, y);
    gb_put_operand(e, &nd, 1, x);
    gb_put_i32(e, u->kind);
    gb_put_f32(e, u->a);
    gb_put_f32(e, u->b);
}

int gb_unary_forward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    gb_unary u;
    int err = gb_unary_read(node, &u);
    if (err < 0)
        return err;
    gb_emit_in(e, x, GB_ORDER_CHANNELS_LAST);
    gb_emit_out_like(e, y, &x->view);
    if (!e->status && !forward_masked(e, x, y, &u))
        gb_emit_unary(e, &y->shape, &y->view, &x->view, &u);
    return e->status;
}

int gb_unary_backward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    gb_unary u;
    int err = gb_unary_read(node, &u);
    gb_view dy = gb_emit_grad_of(e, y);
    if (err < 0 || e->status || !dy.store || !x->needs_grad)
        return err < 0 ? err : e->status;
    // The mask is applied in place, which the caller's own seed does not take.
    if (y->mask && dy.store->kind == GB_STORE_TEMP) {
        gb_emit_mask_apply(e, y, mask_axis(y));
        gb_emit_target_give(e, x, y);
        return e->status;
    }
    bool in_place = gb_emit_target_takes(e, x, y);
    gb_target dx = {.view = dy};
    if (!in_place)
        dx = gb_emit_target(e, x);
    const gb_view *v = gb_unary_of_output(u.kind) ? &y->view : &x->view;
    gb_nd nd = gb_nd_views(&y->shape, (const gb_view *[]){&dx.view, &dy, v}, 3);
    if (e->status || gb_nd_count(&nd) == 0)
        return e->status;
    gb_emit_launch(e, "unary", "unary_grad", "-DFUNCTIONS");
    gb_put_nd(e, &nd, 1);
    gb_put_split(e, nd.size[0], gb_nd_outer(&nd), 1, 1);
    gb_put_operand(e, &nd, 0, &dx.view);
    gb_put_operand(e, &nd, 1, &dy);
    gb_put_operand(e, &nd, 2, v);
    gb_put_i32(e, u.kind);
    gb_put_f32(e, u.a);
    gb_put_f32(e, u.b);
    gb_put_i32(e, dx.add);
    if (in_place)
        gb_emit_target_give(e, x, y);
    return e->status;
}
