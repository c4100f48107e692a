// Kernels of LRN.
#include "op/nd.h"
#include "op/norm.h"

static void start(gb_emit *e, const char *kernel, const gb_pixels *x)
{
    gb_emit_launch(e, "lrn", kernel, "%s", "");
    gb_put_split(e, (x->channels + 15) / 16, x->count, 1, 100);
}

static void put_window(gb_emit *e, const gb_lrn *l)
{
    gb_put_i32(e, l->channels);
    gb_put_i32(e, l->before < l->channels ? l->before : l->channels);
    gb_put_i32(e, l->after < l->channels ? l->after : l->channels);
}

static void put_power(gb_emit *e, const gb_lrn *l)
{
    gb_put_f32(e, l->bias);
    gb_put_f32(e, l->alpha / (float)l->size);
    gb_put_f32(e, l->beta);
}

int gb_lrn_forward(gb_emit *e, gb_node *node)
{
    gb_lrn l;
    int err = gb_lrn_read(node, &l);
    if (err < 0)
        return err;
    gb_pixels x = gb_emit_pixels(e, node->in[0], 1), y = gb_emit_out_pixels(e, node->out[0], 1);
    start(e, "lrn", &x);
    gb_put_pixels(e, &y);
    gb_put_pixels(e, &x);
    put_window(e, &l);
    put_power(e, &l);
    return e->status;
}

int gb_lrn_backward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0];
    gb_view dy = gb_emit_grad_of(e, node->out[0]);
    gb_pixels pdy, pdx;
    gb_lrn l;
    int err = gb_lrn_read(node, &l);
    if (err < 0 || e->status || !dy.store || !x->needs_grad)
        return err < 0 ? err : e->status;
    size_t bytes = (size_t)gb_shape_count(&x->shape) * sizeof(float);
    gb_pixels px = gb_emit_pixels(e, x, 1);
    gb_view_pixels(&pdy, &dy, &node->out[0]->shape, 1);
    gb_store *a = gb_emit_temp(e, bytes, "lrn a"), *b = gb_emit_temp(e, bytes, "lrn b");
    start(e, "lrn_parts", &px);
    gb_put_store(e, a);
    gb_put_store(e, b);
    gb_put_pixels(e, &pdy);
    gb_put_pixels(e, &px);
    put_window(e, &l);
    put_power(e, &l);

    gb_target target = gb_emit_target(e, x);
    gb_view to = target.view;
    bool direct = gb_view_pixels(&pdx, &to, &x->shape, 1);
    if (!direct) {
        gb_view_dense(&to, &x->shape, GB_ORDER_CHANNELS_LAST);
        to.offset = 0;
        to.store = gb_emit_temp(e, bytes, "lrn gradient");
        gb_view_pixels(&pdx, &to, &x->shape, 1);
    }
    start(e, "lrn_grad", &px);
    gb_put_pixels(e, &pdx);
    gb_put_store(e, a);
    gb_put_store(e, b);
    gb_put_pixels(e, &px);
    put_window(e, &l);
    gb_put_f32(e, 2 * l.beta * l.alpha / (float)l.size);
    gb_put_i32(e, direct && target.add);
    if (!direct)
        gb_emit_copy(e, &x->shape, &target.view, &to, target.add);
    return e->status;
}
