// Kernels of BatchNormalization with constant parameters: y = scale[c] x + shift[c].
#include "op/binary_record.h"
#include "op/norm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// What the backward needs of the forward.
typedef struct gb_affine {
    gb_view scale, shift; // [channels * repeat]
    int64_t repeat;
} gb_affine;

// Three channels make poor vectors. Where pixels follow each other without gaps, `repeat` of them
// are taken together as one with more channels; the results are the same.
static int64_t find_repeat(const gb_value *x, const gb_value *y)
{
    gb_pixels px, py;
    int64_t repeat = 16;
    if (!gb_view_pixels(&px, &x->view, &x->shape, 1) ||
        !gb_view_pixels(&py, &y->view, &y->shape, 1) || px.pitch != px.channels ||
        py.pitch != py.channels || px.channels >= 16)
        return 1;
    while (px.count % repeat)
        repeat /= 2;
    return repeat;
}

// scale = gamma / sqrt(var + eps), shift = beta - mean scale, on the host.
static void fold_constants(gb_emit *e, const gb_node *node, double epsilon, gb_affine *a)
{
    int64_t channels = node->in[1]->shape.dim[0], count = channels * a->repeat;
    size_t bytes = (size_t)count * sizeof(float);
    float *scale = malloc(bytes), *shift = malloc(bytes);
    for (int64_t i = 0; scale && shift && i < count; i++) {
        double p[5];
        for (int k = 1; k < 5; k++)
            p[k] = gb_tensor_get(node->in[k]->data, i % channels);
        double s = p[1] / sqrt(p[4] + epsilon);
        scale[i] = (float)s;
        shift[i] = (float)(p[2] - p[3] * s);
    }
    if (!scale || !shift) {
        free(scale);
        free(shift);
        gb_emit_fail(e, gb_fail(GB_ERR_NOMEM, "%s: out of memory", gb_node_text(node)));
        return;
    }
    if (node->in[0]->needs_grad && e->want_grad && a->repeat == 1) {
        float *kept = gb_arena_array(&e->arena, (size_t)count, sizeof *kept);
        if (kept)
            memcpy(kept, scale, bytes);
        node->out[0]->source = kept ? node->in[0] : NULL;
        node->out[0]->source_scale = kept;
    }
    a->scale.store = gb_emit_const_take(e, scale, bytes, "batch norm scale");
    a->shift.store = gb_emit_const_take(e, shift, bytes, "batch norm shift");
}

// Views of a value and of the parameters over one shape: the value's own, or [pixels, channels].
static gb_shape common_shape(const gb_value *x, gb_affine *a)
{
    gb_shape shape = x->shape;
    if (a->repeat > 1) {
        int64_t channels = x->shape.dim[1] * a->repeat;
        shape = (gb_shape){2, {gb_shape_count(&x->shape) / channels, channels}};
    }
    a->scale.stride[1] = a->shift.stride[1] = 1;
    return shape;
}

static gb_view flat(const gb_view *view, const gb_shape *shape, const gb_affine *a)
{
    gb_view v = *view;
    if (a->repeat > 1) {
        v.stride[0] = shape->dim[1];
        v.stride[1] = 1;
    }
    return v;
}

// With an activation, which only a node of constant parameters has.
static int forward_activated(gb_emit *e, gb_node *node, double epsilon, gb_affine *a)
{
    gb_pixels x = gb_emit_pixels(e, node->in[0], 1), y = gb_emit_out_pixels(e, node->out[0], 1);
    node->state = a;
    a->repeat = 1;
    fold_constants(e, node, epsilon, a);
    gb_emit_affine(e, node->out[0], &y, &x, a->scale.store, a->shift.store, &node->act);
    return e->status;
}

int gb_batch_norm_forward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    gb_norm_args n;
    int err = gb_norm_read(node, &n);
    if (err < 0)
        return err;
    if (gb_batch_norm_is_live(node))
        return gb_batch_norm_live_forward(e, node);
    gb_affine *a = gb_arena_alloc(&e->arena, sizeof *a);
    if (a && node->act.on)
        return forward_activated(e, node, n.epsilon, a);
    gb_emit_out_like(e, y, gb_emit_in(e, x, GB_ORDER_CHANNELS_LAST));
    if (!a || e->status)
        return a ? e->status : GB_ERR_NOMEM;
    node->state = a;
    a->repeat = find_repeat(x, y);
    fold_constants(e, node, n.epsilon, a);
    gb_shape shape = common_shape(x, a);
    gb_view from = flat(&x->view, &shape, a), to = flat(&y->view, &shape, a);
    gb_emit_ternary(e, &shape, &to, &from, &a->scale, &a->shift, GB_MUL_ADD);
    return e->status;
}

int gb_batch_norm_backward(gb_emit *e, gb_node *node)
{
    gb_value *x = node->in[0], *y = node->out[0];
    if (gb_batch_norm_is_live(node))
        return gb_batch_norm_live_backward(e, node);
    gb_affine *a = node->state;
    gb_view dy = gb_emit_grad_of(e, y);
    if (e->status || !dy.store || !x->needs_grad)
        return e->status;
    gb_emit_mask_apply(e, y, 1);
    gb_target target = gb_emit_target(e, x);
    gb_shape shape = common_shape(x, a);
    gb_view from = flat(&dy, &shape, a), to = flat(&target.view, &shape, a);
    gb_fold fold = {GB_FOLD_SUM, GB_TERM_MUL, 1};
    gb_emit_fold(e, &shape, (bool[GB_MAX_RANK]){0}, &fold, &to, target.add,
                 (const gb_view *[]){&from, &a->scale}, 2);
    return e->status;
}
