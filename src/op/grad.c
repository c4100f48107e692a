// Gradients: who stores, who adds, who applies the mask of the activation behind a value.
#include "op/binary_record.h"
#include "op/place.h"

#include <string.h>

void gb_emit_begin_backward(gb_emit *e)
{
    e->backward = true;
    for (size_t i = 0; i < e->graph->n_out; i++) // a loss or a seed
        if (e->graph->out[i]->needs_grad && e->graph->out[i]->view.store)
            e->graph->out[i]->view.store->grad_pending++;
    for (size_t n = 0; n < e->graph->n_node; n++) {
        const gb_node *node = e->graph->node[n];
        for (int i = 0; i < node->n_in; i++)
            if (node->in[i] && node->in[i]->needs_grad && node->in[i]->view.store)
                node->in[i]->view.store->grad_pending++;
        if (node->residual && node->residual->needs_grad)
            node->residual->view.store->grad_pending++;
    }
}

bool gb_emit_has_grad(const gb_emit *e, const gb_value *value)
{
    return e->status == 0 && value->view.store->grad_written && value->view.store->grad;
}

gb_view gb_emit_grad_of(gb_emit *e, gb_value *value)
{
    gb_emit_products(e, value->view.store, NULL);
    gb_view view = value->view;
    view.store = e->status || !view.store->grad_written ? NULL : view.store->grad;
    return view;
}

gb_target gb_emit_target(gb_emit *e, gb_value *value)
{
    gb_target target = {.view = value->view};
    gb_store *store = value->view.store;
    if (e->status)
        return target;
    gb_emit_products(e, store, NULL);
    if (!store->grad)
        store->grad =
            gb_emit_temp(e, store->bytes, gb_arena_printf(&e->arena, "d %s", store->what));
    target.view.store = store->grad;
    target.add = store->grad_written;
    if (!store->grad_written && !gb_fills_store(value)) {
        gb_emit_fill(e, store->grad, 0);
        target.add = true;
    }
    store->grad_written = true;
    store->grad_pending--;
    return target;
}

gb_pixel_target gb_emit_target_pixels(gb_emit *e, gb_value *value, int axis, int applies)
{
    gb_pixel_target t = {.value = value};
    gb_store *store = value->view.store;
    gb_target target = gb_emit_target(e, value);
    t.add = target.add;
    if (e->status)
        return t;
    if (!gb_view_pixels(&t.pixels, &target.view, &value->shape, axis)) {
        gb_view dense;
        gb_view_temp(e, &dense, &value->shape, gb_pixel_order(&value->shape, axis));
        gb_view_pixels(&t.pixels, &dense, &value->shape, axis);
        t.back = target;
        t.add = false;
    } else if (store->grad_pending == 0 && gb_fills_store(value) &&
               store->mask_channels == t.pixels.channels) {
        if (applies & GB_APPLIES_MASK) {
            t.mask = store->mask;
            t.mask_slope = store->mask_slope;
            store->mask = NULL;
        }
        if (applies & GB_APPLIES_SLOPES) {
            t.slopes = store->slopes;
            store->slopes = NULL;
        }
    }
    return t;
}

bool gb_emit_target_source(gb_emit *e, gb_pixel_target *out, gb_value *value, int axis)
{
    gb_value *x = value->source;
    gb_pixels pixels;
    if (e->status || !x || value->uses != 1 ||
        !gb_view_pixels(&pixels, &x->view, &x->shape, axis))
        return false;
    gb_target target = gb_emit_target(e, x);
    *out = (gb_pixel_target){.value = x, .add = target.add, .mask = value->mask,
                             .mask_slope = value->mask_slope, .mask_first = true,
                             .scale = value->source_scale};
    gb_view_pixels(&out->pixels, &target.view, &x->shape, axis);
    return true;
}

void gb_emit_target_done(gb_emit *e, gb_pixel_target *target, int axis)
{
    gb_view dense = {.store = target->pixels.store};
    const gb_shape *shape = &target->value->shape;
    if (e->status || !target->back.view.store)
        return;
    gb_view_dense(&dense, shape, gb_pixel_order(shape, axis));
    gb_emit_copy(e, shape, &target->back.view, &dense, target->back.add);
}

bool gb_emit_target_takes(gb_emit *e, gb_value *value, gb_value *y)
{
    const gb_store *to = value->view.store, *from = y->view.store;
    return e->status == 0 && !to->grad && from->grad && from->grad->kind == GB_STORE_TEMP &&
           gb_fills_store(value) && gb_fills_store(y) &&
           gb_shape_equal(&value->shape, &y->shape) &&
           memcmp(value->view.stride, y->view.stride,
                  sizeof(int64_t) * (size_t)y->shape.rank) == 0;
}

void gb_emit_target_give(gb_emit *e, gb_value *value, gb_value *y)
{
    gb_store *to = value->view.store, *from = y->view.store;
    if (e->status)
        return;
    if (gb_emit_target_takes(e, value, y)) {
        to->grad = from->grad;
        to->grad_written = true;
        to->grad_pending--;
        return;
    }
    gb_view dy = gb_emit_grad_of(e, y);
    gb_target target = gb_emit_target(e, value);
    gb_emit_copy(e, &value->shape, &target.view, &dy, target.add);
}

// --- masks ---

static size_t mask_words(const gb_pixels *pixels)
{
    return (size_t)(pixels->channels + 31) / 32;
}

gb_store *gb_emit_mask(gb_emit *e, gb_value *value, const gb_pixels *pixels, float slope)
{
    if (e->status || !e->want_grad || !value->needs_grad)
        return NULL;
    gb_store *mask = gb_emit_temp(e, (size_t)pixels->count * mask_words(pixels) * sizeof(uint32_t),
                                  gb_arena_printf(&e->arena, "mask %s", value->name));
    if (mask) {
        // A value that shares its store (a slice of a Concat) keeps its mask to itself.
        gb_store *owner = value->view.store;
        value->mask = mask;
        value->mask_slope = slope;
        if (gb_fills_store(value)) {
            owner->mask = mask;
            owner->mask_slope = slope;
            owner->mask_channels = pixels->channels;
        }
    }
    return mask;
}

gb_store *gb_emit_slopes(gb_emit *e, gb_value *value, const gb_pixels *pixels)
{
    if (e->status || !e->want_grad || !value->needs_grad)
        return NULL;
    value->slopes = gb_emit_temp(e, (size_t)(pixels->count * pixels->channels) * sizeof(float),
                                 gb_arena_printf(&e->arena, "slopes %s", value->name));
    if (value->slopes && gb_fills_store(value)) {
        value->view.store->slopes = value->slopes;
        value->view.store->mask_channels = pixels->channels;
    }
    return value->slopes;
}

void gb_put_pixels(gb_emit *e, const gb_pixels *pixels)
{
    gb_put_store(e, pixels->store);
    gb_put_i32(e, pixels->offset);
    gb_put_i32(e, pixels->pitch);
}

// Appends count, channels and how many pixels a work-item takes: on a processor as many as are
// worth a start, with all their channels.
static void put_share(gb_emit *e, const gb_pixels *p)
{
    enum { WORTH = 8192 };
    size_t words = mask_words(p);
    bool wide = e->info->wide;
    int64_t per = wide ? 16 : WORTH / (32 * (int64_t)words);
    per = per < 1 ? 1 : per;
    gb_put_i32(e, p->count);
    gb_put_i32(e, p->channels);
    gb_put_i32(e, per);
    gb_emit_size(e, wide ? words : 1, (size_t)((p->count + per - 1) / per), 1);
}

void gb_emit_affine(gb_emit *e, gb_value *value, const gb_pixels *y, const gb_pixels *x,
                    gb_store *scale, gb_store *shift, const gb_act *act)
{
    gb_store *mask = gb_emit_mask(e, value, y, act->slope);
    gb_emit_launch(e, "mask", "act", "%s", "");
    gb_put_pixels(e, y);
    gb_put_pixels(e, x);
    put_share(e, y);
    gb_put_store(e, scale);
    gb_put_store(e, shift);
    gb_put_f32(e, act->lo);
    gb_put_f32(e, act->hi);
    gb_put_f32(e, act->slope);
    gb_put_store(e, mask);
}

void gb_emit_act(gb_emit *e, gb_value *value, const gb_pixels *pixels, const gb_act *act)
{
    gb_emit_affine(e, value, pixels, pixels, NULL, NULL, act);
}

void gb_emit_mask_apply(gb_emit *e, gb_value *value, int axis)
{
    gb_pixels dy;
    if (e->status || (!value->mask && !value->slopes))
        return;
    gb_store *owner = value->view.store;
    bool whole = gb_fills_store(value);
    if (whole && !owner->mask && !owner->slopes)
        return; // the last writer has done it
    owner->mask = whole ? NULL : owner->mask;
    owner->slopes = whole ? NULL : owner->slopes;
    if (value->slopes && whole && owner->products &&
        owner->mask_channels == value->shape.dim[axis]) {
        gb_emit_products(e, owner, value->slopes);
        return;
    }
    gb_view view = gb_emit_grad_of(e, value);
    if (!gb_view_pixels(&dy, &view, &value->shape, axis)) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: masked output is no pixel matrix",
                                gb_node_text(e->node)));
        return;
    }
    if (value->slopes) {
        gb_shape shape = {.rank = 2, .dim = {dy.count, dy.channels}};
        gb_view rows = {dy.store, dy.offset, {dy.pitch, 1}};
        gb_emit_binary(e, &shape, &rows, &rows,
                       &(gb_view){value->slopes, 0, {dy.channels, 1}}, GB_MUL);
        return;
    }
    gb_emit_launch(e, "mask", "mask_apply", "%s", "");
    gb_put_pixels(e, &dy);
    put_share(e, &dy);
    gb_put_store(e, value->mask);
    gb_put_f32(e, value->mask_slope);
}
