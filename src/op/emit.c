// The recorder: launches, stores, and where values and their gradients lie.
#include "op/emit.h"

#include "op/view.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gb_emit_fail(gb_emit *e, int status)
{
    if (e->status == 0)
        e->status = status;
}

// --- launches ---

gb_launch *gb_emit_launch(gb_emit *e, const char *program, const char *kernel,
                          const char *options_format, ...)
{
    char options[256];
    va_list args;
    if (e->status)
        return NULL;
    va_start(args, options_format);
    vsnprintf(options, sizeof options, options_format, args);
    va_end(args);
    int err = gb_grow(&e->launch, &e->cap_launch, e->n_launch + 1, sizeof *e->launch);
    gb_launch *launch = err < 0 ? NULL : gb_arena_alloc(&e->arena, sizeof *launch);
    char *kept = launch ? gb_arena_strdup(&e->arena, options) : NULL;
    if (!kept) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return NULL;
    }
    *launch = (gb_launch){.program = program, .kernel = kernel, .options = kept, .node = e->node,
                          .backward = e->backward, .global = {1, 1, 1}};
    e->launch[e->n_launch++] = launch;
    return launch;
}

static gb_launch *current(gb_emit *e)
{
    return e->status ? NULL : e->launch[e->n_launch - 1];
}

void gb_emit_size(gb_emit *e, size_t gx, size_t gy, size_t gz)
{
    gb_launch *l = current(e);
    size_t one = e->info->type == GB_DEVICE_CPU ? 1 : 0;
    if (!l)
        return;
    memcpy(l->global, (size_t[3]){gx, gy, gz}, sizeof l->global);
    memcpy(l->local, (size_t[3]){one, one, one}, sizeof l->local);
}

void gb_emit_local(gb_emit *e, size_t lx, size_t ly, size_t lz)
{
    gb_launch *l = current(e);
    if (l)
        memcpy(l->local, (size_t[3]){lx, ly, lz}, sizeof l->local);
}

static void put(gb_emit *e, gb_arg arg)
{
    gb_launch *l = current(e);
    if (!l)
        return;
    if (l->n_arg == GB_MAX_ARGS) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "kernel %s: more than %d arguments", l->kernel,
                                GB_MAX_ARGS));
        return;
    }
    l->arg[l->n_arg++] = arg;
}

void gb_put_store(gb_emit *e, gb_store *store)
{
    put(e, (gb_arg){.kind = GB_ARG_STORE, .store = store});
}

void gb_put_view(gb_emit *e, const gb_view *view)
{
    gb_put_store(e, view->store);
    gb_put_i32(e, view->offset);
}

void gb_put_i32(gb_emit *e, int64_t v)
{
    if (v < INT32_MIN || v > INT32_MAX)
        gb_emit_fail(e, gb_fail(GB_ERR_DEVICE_MEM,
                                "%s: more than 2^31 elements in one tensor; use a smaller batch",
                                e->node ? gb_node_text(e->node) : "gradient"));
    put(e, (gb_arg){.kind = GB_ARG_I32, .i = (int32_t)v});
}

void gb_put_f32(gb_emit *e, float v)
{
    put(e, (gb_arg){.kind = GB_ARG_F32, .f = v});
}

void gb_put_local(gb_emit *e, size_t bytes)
{
    put(e, (gb_arg){.kind = GB_ARG_LOCAL, .local_bytes = bytes});
}

// --- stores ---

static gb_store *new_store(gb_emit *e, gb_store_kind kind, size_t bytes, const char *what)
{
    if (e->status)
        return NULL;
    int err = gb_grow(&e->store, &e->cap_store, e->n_store + 1, sizeof *e->store);
    gb_store *store = err < 0 ? NULL : gb_arena_alloc(&e->arena, sizeof *store);
    if (!store) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return NULL;
    }
    *store = (gb_store){.what = what, .kind = kind, .bytes = bytes, .first = -1, .last = -1,
                        .id = (int)e->n_store};
    e->store[e->n_store++] = store;
    return store;
}

gb_store *gb_emit_temp(gb_emit *e, size_t bytes, const char *what)
{
    return new_store(e, GB_STORE_TEMP, bytes, what);
}

gb_store *gb_emit_io(gb_emit *e, size_t bytes, const char *what)
{
    return new_store(e, GB_STORE_IO, bytes, what);
}

static uint64_t hash_bytes(const void *data, size_t bytes)
{
    const unsigned char *p = data;
    uint64_t h = 0xcbf29ce484222325u ^ bytes, word;
    for (; bytes >= 8; bytes -= 8, p += 8) {
        memcpy(&word, p, 8);
        h = (h ^ word) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    for (; bytes; bytes--, p++)
        h = (h ^ *p) * 0x100000001b3u;
    return h;
}

gb_store *gb_emit_const_take(gb_emit *e, void *data, size_t bytes, const char *what)
{
    if (!data && !e->status)
        gb_emit_fail(e, gb_fail(GB_ERR_NOMEM, "out of memory for constant %s", what));
    uint64_t hash = data && !e->status ? hash_bytes(data, bytes) : 0;
    for (size_t i = 0; i < e->n_store && !e->status; i++) {
        gb_store *s = e->store[i];
        if (s->kind == GB_STORE_CONST && s->hash == hash && s->bytes == bytes &&
            memcmp(s->data, data, bytes) == 0) {
            free(data);
            return s;
        }
    }
    gb_store *store = new_store(e, GB_STORE_CONST, bytes, what);
    if (!store) {
        free(data);
        return NULL;
    }
    store->data = data;
    store->hash = hash;
    return store;
}

gb_store *gb_emit_const(gb_emit *e, const void *data, size_t bytes, const char *what)
{
    void *copy = e->status ? NULL : malloc(bytes ? bytes : 1);
    if (copy)
        memcpy(copy, data, bytes);
    return gb_emit_const_take(e, copy, bytes, what);
}

void gb_store_drop_data(gb_store *store)
{
    free(store->data);
    store->data = NULL;
}

// --- views ---

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

// True if the value is all there is in its store.
static bool fills_store(const gb_value *value)
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
    const gb_view *view = gb_emit_out(e, whole, gb_order_for(e->graph, whole));
    int64_t start = 0;
    for (int i = 0; i < concat->n_in && concat->in[i] != value; i++)
        start += concat->in[i]->shape.dim[axis];
    if (e->status)
        return;
    value->view = *view;
    value->view.offset += start * view->stride[axis];
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

const gb_view *gb_emit_in(gb_emit *e, gb_value *value, gb_order order)
{
    if (value->view.store || e->status)
        return &value->view;
    if (!value->data) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: input '%s' has no place on the device",
                                e->node ? gb_node_text(e->node) : "graph", value->name));
        return &value->view;
    }
    gb_view_dense(&value->view, &value->shape, order);
    size_t bytes = (size_t)gb_shape_count(&value->shape) * sizeof(float);
    value->view.store = gb_emit_const_take(e, constant_floats(value->data, &value->view),
                                           bytes ? bytes : sizeof(float), value->name);
    return &value->view;
}

static void dense_temp(gb_emit *e, gb_view *out, const gb_shape *shape, gb_order order)
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
    dense_temp(e, &dense, &value->shape, order);
    gb_emit_copy(e, &value->shape, &dense, view, false);
    return dense;
}

static gb_order pixel_order(const gb_shape *shape, int axis)
{
    return axis == 1 && shape->rank > 2 ? GB_ORDER_CHANNELS_LAST : GB_ORDER_PLAIN;
}

gb_pixels gb_emit_pixels(gb_emit *e, gb_value *value, int axis)
{
    gb_pixels pixels = {0};
    gb_order order = pixel_order(&value->shape, axis);
    const gb_view *view = gb_emit_in(e, value, order);
    if (e->status || gb_view_pixels(&pixels, view, &value->shape, axis))
        return pixels;
    gb_view dense;
    dense_temp(e, &dense, &value->shape, order);
    gb_emit_copy(e, &value->shape, &dense, view, false);
    gb_view_pixels(&pixels, &dense, &value->shape, axis);
    return pixels;
}

gb_pixels gb_emit_out_pixels(gb_emit *e, gb_value *value, int axis)
{
    gb_pixels pixels = {0};
    const gb_view *view = gb_emit_out(e, value, pixel_order(&value->shape, axis));
    if (!e->status && !gb_view_pixels(&pixels, view, &value->shape, axis))
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: its output is no matrix of pixels",
                                gb_node_text(e->node)));
    return pixels;
}

// --- gradients ---

gb_view gb_emit_grad_of(gb_emit *e, gb_value *value)
{
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
    if (!store->grad)
        store->grad =
            gb_emit_temp(e, store->bytes, gb_arena_printf(&e->arena, "d %s", store->what));
    target.view.store = store->grad;
    target.add = store->grad_written;
    if (!store->grad_written && !fills_store(value)) {
        gb_emit_fill(e, store->grad, 0);
        target.add = true;
    }
    store->grad_written = true;
    store->grad_pending--;
    return target;
}

gb_pixel_target gb_emit_target_pixels(gb_emit *e, gb_value *value, int axis, bool masks)
{
    gb_pixel_target t = {.value = value};
    gb_store *store = value->view.store;
    gb_target target = gb_emit_target(e, value);
    t.add = target.add;
    if (e->status)
        return t;
    if (!gb_view_pixels(&t.pixels, &target.view, &value->shape, axis)) {
        gb_view dense;
        dense_temp(e, &dense, &value->shape, pixel_order(&value->shape, axis));
        gb_view_pixels(&t.pixels, &dense, &value->shape, axis);
        t.back = target;
        t.add = false;
    } else if (masks && store->mask && store->grad_pending == 0 && fills_store(value) &&
               store->mask_channels == t.pixels.channels) {
        t.mask = store->mask;
        t.mask_slope = store->mask_slope;
        store->mask = NULL;
    }
    return t;
}

void gb_emit_target_done(gb_emit *e, gb_pixel_target *target, int axis)
{
    gb_view dense = {.store = target->pixels.store};
    const gb_shape *shape = &target->value->shape;
    if (e->status || !target->back.view.store)
        return;
    gb_view_dense(&dense, shape, pixel_order(shape, axis));
    gb_emit_copy(e, shape, &target->back.view, &dense, target->back.add);
}

void gb_emit_target_give(gb_emit *e, gb_value *value, gb_value *y)
{
    gb_store *to = value->view.store, *from = y->view.store;
    if (e->status)
        return;
    if (!to->grad && from->grad->kind == GB_STORE_TEMP && fills_store(value) && fills_store(y) &&
        gb_shape_equal(&value->shape, &y->shape) &&
        memcmp(value->view.stride, y->view.stride, sizeof(int64_t) * (size_t)y->shape.rank) == 0) {
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
        if (fills_store(value)) {
            owner->mask = mask;
            owner->mask_slope = slope;
            owner->mask_channels = pixels->channels;
        }
    }
    return mask;
}

void gb_put_pixels(gb_emit *e, const gb_pixels *pixels)
{
    gb_put_store(e, pixels->store);
    gb_put_i32(e, pixels->offset);
    gb_put_i32(e, pixels->pitch);
}

static void put_pixels(gb_emit *e, const gb_pixels *p)
{
    gb_put_pixels(e, p);
    gb_put_i32(e, p->count);
    gb_put_i32(e, p->channels);
}

void gb_emit_act(gb_emit *e, gb_value *value, const gb_pixels *pixels, const gb_act *act)
{
    gb_store *mask = gb_emit_mask(e, value, pixels, act->slope);
    gb_emit_launch(e, "mask", "act", "%s", "");
    put_pixels(e, pixels);
    gb_put_f32(e, act->lo);
    gb_put_f32(e, act->hi);
    gb_put_f32(e, act->slope);
    gb_put_store(e, mask);
    gb_emit_size(e, mask_words(pixels), (size_t)(pixels->count + 15) / 16, 1);
}

void gb_emit_mask_apply(gb_emit *e, gb_value *value, int axis)
{
    gb_pixels dy;
    if (e->status || !value->mask)
        return;
    gb_store *owner = value->view.store;
    bool whole = fills_store(value);
    if (whole && !owner->mask)
        return; // the last writer has done it
    owner->mask = whole ? NULL : owner->mask;
    gb_view view = gb_emit_grad_of(e, value);
    if (!gb_view_pixels(&dy, &view, &value->shape, axis)) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: masked output is no pixel matrix",
                                gb_node_text(e->node)));
        return;
    }
    size_t words = mask_words(&dy);
    gb_emit_launch(e, "mask", "mask_apply", "%s", "");
    put_pixels(e, &dy);
    gb_put_store(e, value->mask);
    gb_put_f32(e, value->mask_slope);
    gb_emit_size(e, words, (size_t)(dy.count + 15) / 16, 1);
}

// --- begin and end ---

// Chooses, for each value that a Concat along channels reads, the largest such Concat.
static int find_concats(gb_emit *e)
{
    gb_graph *g = e->graph;
    e->concat = gb_arena_array(&e->arena, g->n_value + 1, sizeof(gb_node *));
    if (!e->concat)
        return GB_ERR_NOMEM;
    for (size_t n = 0; n < g->n_node; n++) {
        gb_node *node = g->node[n];
        if (strcmp(node->type, "Concat") != 0)
            continue;
        const gb_shape *shape = &node->out[0]->shape;
        int64_t axis = gb_attr_int(node, "axis", 1);
        if (axis < 0)
            axis += shape->rank;
        if (axis != 1 && axis != shape->rank - 1)
            continue; // a slice along other axes is no pixel matrix
        if (axis != 1 && shape->rank > 2 && shape->dim[axis] == 0)
            continue;
        for (int i = 0; i < node->n_in; i++) {
            gb_value *v = node->in[i];
            gb_node **best = &e->concat[v->id];
            if (!v->producer || (*best && gb_shape_count(&(*best)->out[0]->shape) >=
                                              gb_shape_count(shape)))
                continue;
            *best = node;
        }
    }
    return 0;
}

int gb_emit_init(gb_emit *e, gb_device *dev, gb_graph *graph, bool want_grad)
{
    *e = (gb_emit){.dev = dev, .info = gb_device_get_info(dev), .graph = graph,
                   .want_grad = want_grad};
    e->status = find_concats(e);
    return e->status;
}

void gb_emit_finish(gb_emit *e)
{
    for (size_t i = 0; i < e->n_store; i++)
        gb_store_drop_data(e->store[i]);
    free(e->launch);
    free(e->store);
    gb_arena_finish(&e->arena);
    *e = (gb_emit){0};
}

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
