// Places values: strided views, pixels, slices of what a Concat joins.
#include "op/place.h"

#include "op/view.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void gb_view_dense(gb_view *view, const gb_shape *shape, gb_order order)
{
    int64_t stride = 1;
    bool last = order == GB_ORDER_CHANNELS_LAST && shape->rank > 2;
    if (last) {
        view->stride[1] = 1;
        stride = shape->dim[1];
    }
    for (int i = shape->rank - 1; i >= 0; i--) {
        if (last && i == 1)
            continue;
        view->stride[i] = stride;
        stride *= shape->dim[i];
    }
}

bool gb_view_is_dense(const gb_view *view, const gb_shape *shape)
{
    int64_t expect = 1;
    bool used[GB_MAX_RANK] = {0};
    for (int n = 0; n < shape->rank; n++) { // grow from the smallest stride outwards
        int found = -1;
        for (int i = 0; i < shape->rank && found < 0; i++)
            if (!used[i] && (shape->dim[i] == 1 || view->stride[i] == expect))
                found = i;
        if (found < 0)
            return false;
        used[found] = true;
        expect *= shape->dim[found];
    }
    return true;
}

bool gb_view_pixels(gb_pixels *out, const gb_view *view, const gb_shape *shape, int axis)
{
    int64_t count = 1, pitch = 0, next = 0;
    if (shape->rank == 0)
        return false;
    for (int i = shape->rank - 1; i >= 0; i--) {
        if (i == axis || shape->dim[i] == 1)
            continue;
        if (pitch == 0)
            pitch = next = view->stride[i];
        if (view->stride[i] != next || pitch == 0)
            return false;
        next *= shape->dim[i];
        count *= shape->dim[i];
    }
    int64_t channels = shape->dim[axis];
    if (channels > 1 && view->stride[axis] != 1)
        return false;
    if (pitch == 0)
        pitch = channels;
    if (pitch < channels)
        return false;
    *out = (gb_pixels){view->store, view->offset, pitch, count, channels};
    return true;
}

bool gb_fills_store(const gb_value *value)
{
    return value->view.offset == 0 && gb_view_is_dense(&value->view, &value->shape) &&
           (size_t)gb_shape_count(&value->shape) * sizeof(float) == value->view.store->bytes;
}

static void place(gb_emit *e, gb_value *value)
{
    int64_t count = gb_shape_count(&value->shape);
    size_t bytes;
    if (count < 0 || !gb_mul_size(&bytes, (size_t)count, sizeof(float))) {
        gb_emit_fail(e, gb_fail(GB_ERR_DEVICE_MEM, "%s: too large", value->name));
        return;
    }
    value->view.offset = 0;
    value->view.store = gb_emit_temp(e, bytes ? bytes : sizeof(float), value->name);
}

// Places the output of a Concat and, in it, `value`, one of its inputs.
static void place_in_concat(gb_emit *e, gb_value *value, gb_node *concat)
{
    int axis = (int)gb_attr_int(concat, "axis", 1);
    gb_value *whole = concat->out[0];
    if (axis < 0)
        axis += whole->shape.rank;
    const gb_order order = whole->view.store ? GB_ORDER_PLAIN : gb_order_for(e, whole);
    const gb_view *view = gb_emit_out(e, whole, order);
    if (e->status)
        return;
    value->view = *view;
    value->view.offset += e->concat_start[value->id] * view->stride[axis];
}

static const gb_view *emit_out(gb_emit *e, gb_value *value, gb_order order, const gb_view *like)
{
    if (value->view.store || e->status)
        return &value->view;
    if (e->concat[value->id]) {
        place_in_concat(e, value, e->concat[value->id]);
        return &value->view;
    }
    gb_view_dense(&value->view, &value->shape, order);
    if (like && gb_view_is_dense(like, &value->shape))
        memcpy(value->view.stride, like->stride, sizeof like->stride);
    else if (like)
        gb_view_dense_like(&value->view, &value->shape, like);
    place(e, value);
    return &value->view;
}

const gb_view *gb_emit_out(gb_emit *e, gb_value *value, gb_order order)
{
    return emit_out(e, value, order, NULL);
}

const gb_view *gb_emit_out_like(gb_emit *e, gb_value *value, const gb_view *like)
{
    return emit_out(e, value, GB_ORDER_PLAIN, like);
}

// The constant's elements as floats in the memory order of `view`; dense, malloc'ed.
static float *constant_floats(const gb_tensor *t, const gb_view *view)
{
    int64_t count = gb_shape_count(&t->shape), index[GB_MAX_RANK] = {0}, at = 0;
    float *data = malloc(((size_t)count + 1) * sizeof *data);
    for (int64_t i = 0; data && i < count; i++) {
        data[at] = (float)gb_tensor_get(t, i);
        for (int d = t->shape.rank - 1; d >= 0; d--) {
            at += view->stride[d];
            if (++index[d] < t->shape.dim[d])
                break;
            at -= view->stride[d] * t->shape.dim[d];
            index[d] = 0;
        }
    }
    return data;
}

// The device computes in float32: an integer that it would round is refused.
static bool fits_floats(gb_emit *e, const gb_value *value)
{
    int64_t count = value->type == GB_I64 ? gb_shape_count(&value->shape) : 0;
    for (int64_t i = 0; i < count; i++) {
        const double v = gb_tensor_get(value->data, i);
        if ((double)(float)v == v && fabs(v) <= 0x1p53)
            continue;
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: its constant '%.200s' holds %.0f, which "
                                "float32, in which the device computes, does not",
                                e->node ? gb_node_text(e->node) : "graph", value->name, v));
        return false;
    }
    return true;
}

const gb_view *gb_emit_in(gb_emit *e, gb_value *value, gb_order order)
{
    if (value->view.store || e->status)
        return &value->view;
    if (!value->data) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: input '%s' has no place on the device",
                                e->node ? gb_node_text(e->node) : "graph", value->name));
        return &value->view;
    }
    if (!fits_floats(e, value))
        return &value->view;
    gb_view_dense(&value->view, &value->shape, order);
    size_t bytes = (size_t)gb_shape_count(&value->shape) * sizeof(float);
    value->view.store = gb_emit_const_take(e, constant_floats(value->data, &value->view),
                                           bytes ? bytes : sizeof(float), value->name);
    return &value->view;
}

void gb_view_temp(gb_emit *e, gb_view *out, const gb_shape *shape, gb_order order)
{
    *out = (gb_view){0};
    gb_view_dense(out, shape, order);
    out->store = gb_emit_temp(e, (size_t)gb_shape_count(shape) * sizeof(float), "copy");
}

gb_view gb_emit_dense(gb_emit *e, gb_value *value, gb_order order)
{
    const gb_view *view = gb_emit_in(e, value, order);
    gb_view dense = {0};
    gb_view_dense(&dense, &value->shape, order);
    bool same = true;
    for (int i = 0; i < value->shape.rank; i++)
        same = same && (value->shape.dim[i] == 1 || view->stride[i] == dense.stride[i]);
    if (same || e->status)
        return *view;
    gb_view_temp(e, &dense, &value->shape, order);
    gb_emit_copy(e, &value->shape, &dense, view, false);
    return dense;
}

gb_order gb_pixel_order(const gb_shape *shape, int axis)
{
    return axis == 1 && shape->rank > 2 ? GB_ORDER_CHANNELS_LAST : GB_ORDER_PLAIN;
}

gb_pixels gb_emit_pixels(gb_emit *e, gb_value *value, int axis)
{
    gb_pixels pixels = {0};
    gb_order order = gb_pixel_order(&value->shape, axis);
    const gb_view *view = gb_emit_in(e, value, order);
    if (e->status || gb_view_pixels(&pixels, view, &value->shape, axis))
        return pixels;
    gb_view dense;
    gb_view_temp(e, &dense, &value->shape, order);
    gb_emit_copy(e, &value->shape, &dense, view, false);
    gb_view_pixels(&pixels, &dense, &value->shape, axis);
    return pixels;
}

gb_pixels gb_emit_out_pixels(gb_emit *e, gb_value *value, int axis)
{
    gb_pixels pixels = {0};
    const gb_view *view = gb_emit_out(e, value, gb_pixel_order(&value->shape, axis));
    if (!e->status && !gb_view_pixels(&pixels, view, &value->shape, axis))
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: its output is no matrix of pixels",
                                gb_node_text(e->node)));
    return pixels;
}
