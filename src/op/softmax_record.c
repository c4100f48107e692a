// Kernels of Softmax and LogSoftmax.
#include "op/rows.h"
#include "op/softmax.h"

// Which dimensions are normalised together.
static void find_across(const gb_node *node, bool *across)
{
    const gb_shape *shape = &node->in[0]->shape;
    bool matrix = node->opset < 13;
    int64_t axis = gb_attr_int(node, "axis", matrix ? 1 : -1);
    if (axis < 0)
        axis += shape->rank;
    for (int d = 0; d < shape->rank; d++)
        across[d] = d == axis || (matrix && d > axis);
}

int gb_softmax_forward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    bool across[GB_MAX_RANK];
    gb_softmax s;
    gb_rows rows;
    int err = gb_softmax_read(node, &s);
    if (err < 0)
        return err;
    gb_view from = *gb_emit_in(e, x, GB_ORDER_CHANNELS_LAST), to = *gb_emit_out_like(e, y, &from);
    find_across(node, across);
    if (e->status || gb_shape_count(&y->shape) == 0)
        return e->status;
    if (!gb_rows_of(&rows, &x->shape, across, (const gb_view *[]){&to, &from}, 2)) {
        // Several dimensions together that do not follow each other in memory.
        from = gb_emit_dense(e, x, GB_ORDER_PLAIN);
        to = from;
        to.offset = 0;
        to.store = gb_emit_temp(e, (size_t)gb_shape_count(&y->shape) * sizeof(float), "softmax");
        gb_view_dense(&to, &y->shape, GB_ORDER_PLAIN);
        gb_rows_of(&rows, &x->shape, across, (const gb_view *[]){&to, &from}, 2);
    }
    gb_emit_launch(e, "softmax", "softmax", "%s", "");
    gb_put_rows(e, &rows, 3);
    gb_put_row_view(e, &rows, 0, &to);
    gb_put_row_view(e, &rows, 1, &from);
    gb_put_i32(e, s.log);
    if (to.store != y->view.store)
        gb_emit_copy(e, &y->shape, &y->view, &to, false);
    return e->status;
}

int gb_softmax_backward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    bool across[GB_MAX_RANK];
    gb_softmax s;
    gb_rows rows;
    int err = gb_softmax_read(node, &s);
    gb_view dy = gb_emit_grad_of(e, y);
    if (err < 0 || e->status || !dy.store || !x->needs_grad || gb_shape_count(&y->shape) == 0)
        return err < 0 ? err : e->status;
    find_across(node, across);
    bool in_place = gb_emit_target_takes(e, x, y);
    gb_target target = {.view = dy};
    if (!in_place)
        target = gb_emit_target(e, x);
    gb_view dx = target.view, p = y->view;
    bool direct = gb_rows_of(&rows, &x->shape, across, (const gb_view *[]){&dx, &dy, &p}, 3);
    if (!direct) {
        size_t bytes = (size_t)gb_shape_count(&y->shape) * sizeof(float);
        gb_view *view[] = {&dx, &dy, &p};
        for (int i = 0; i < 3; i++) {
            gb_view dense = {.store = gb_emit_temp(e, bytes, "softmax")};
            gb_view_dense(&dense, &y->shape, GB_ORDER_PLAIN);
            if (i > 0)
                gb_emit_copy(e, &y->shape, &dense, view[i], false);
            *view[i] = dense;
        }
        gb_rows_of(&rows, &x->shape, across, (const gb_view *[]){&dx, &dy, &p}, 3);
    }
    gb_emit_launch(e, "softmax", "softmax_grad", "%s", "");
    gb_put_rows(e, &rows, 2);
    gb_put_row_view(e, &rows, 0, &dx);
    gb_put_row_view(e, &rows, 1, &dy);
    gb_put_row_view(e, &rows, 2, &p);
    gb_put_i32(e, s.log);
    gb_put_i32(e, direct && target.add);
    if (!direct)
        gb_emit_copy(e, &x->shape, &target.view, &dx, target.add);
    if (in_place)
        gb_emit_target_give(e, x, y);
    return e->status;
}
