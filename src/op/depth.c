// DepthToSpace and SpaceToDepth: one strided copy between two renamings of six axes.
#include "op/depth.h"

#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/view.h"
#include "ref/shape.h"

#include <string.h>

static bool to_space(const gb_node *node)
{
    return strcmp(node->type, "DepthToSpace") == 0;
}

static int infer(gb_node *node)
{
    int err = gb_infer_arity(node, 1, 1);
    if (err < 0)
        return err;
    gb_shape shape = node->in[0]->shape;
    int64_t b = gb_attr_int(node, "blocksize", 0);
    const char *mode = gb_attr_string(node, "mode", "DCR");
    if (shape.rank != 4 || b < 1 || b > 1 << 15)
        return gb_fail(GB_ERR_FORMAT, "%s: blocks of %lld on rank %d", gb_node_text(node),
                       (long long)b, shape.rank);
    if (strcmp(mode, "DCR") && strcmp(mode, "CRD"))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: mode '%.40s'", gb_node_text(node), mode);
    bool fits = to_space(node) ? shape.dim[1] % (b * b) == 0
                               : shape.dim[2] % b == 0 && shape.dim[3] % b == 0;
    if (!fits)
        return gb_fail(GB_ERR_ARG, "%s: dimensions are no multiples of the block",
                       gb_node_text(node));
    if (to_space(node)) {
        shape.dim[1] /= b * b;
        shape.dim[2] *= b;
        shape.dim[3] *= b;
    } else {
        shape.dim[1] *= b * b;
        shape.dim[2] /= b;
        shape.dim[3] /= b;
    }
    gb_infer_like(node, 0, node->in[0], &shape);
    return 0;
}

void gb_depth_split(gb_depth *out, const gb_node *node, const gb_view *in, const gb_view *result)
{
    const gb_shape *deep = to_space(node) ? &node->in[0]->shape : &node->out[0]->shape;
    const gb_view *d = to_space(node) ? in : result, *w = to_space(node) ? result : in;
    int64_t b = gb_attr_int(node, "blocksize", 1), c = deep->dim[1] / (b * b);
    const int64_t *ds = d->stride, *ws = w->stride;
    bool inside = strcmp(gb_attr_string(node, "mode", "DCR"), "CRD") == 0; // of each channel
    int64_t block = inside ? ds[1] : ds[1] * c, channel = inside ? ds[1] * b * b : ds[1];
    *out = (gb_depth){
        .shape = {.rank = 6, .dim = {deep->dim[0], b, b, c, deep->dim[2], deep->dim[3]}},
        .deep = {d->store, d->offset, {ds[0], block * b, block, channel, ds[2], ds[3]}},
        .wide = {w->store, w->offset, {ws[0], ws[2], ws[3], ws[1], ws[2] * b, ws[3] * b}},
    };
}

static void copy(gb_emit *e, const gb_depth *d, bool widen, bool add)
{
    gb_emit_copy(e, &d->shape, widen ? &d->wide : &d->deep, widen ? &d->deep : &d->wide, add);
}

static int forward(gb_emit *e, gb_node *node)
{
    gb_depth d;
    const gb_view *src = gb_emit_in(e, node->in[0], GB_ORDER_CHANNELS_LAST);
    const gb_view *dst = gb_emit_out(e, node->out[0], gb_order_for(e, node->out[0]));
    gb_depth_split(&d, node, src, dst);
    copy(e, &d, to_space(node), false);
    return e->status;
}

static int backward(gb_emit *e, gb_node *node)
{
    gb_depth d;
    gb_view dy = gb_emit_grad_of(e, node->out[0]);
    if (!dy.store || !node->in[0]->needs_grad)
        return e->status;
    gb_target target = gb_emit_target(e, node->in[0]);
    gb_depth_split(&d, node, &target.view, &dy);
    copy(e, &d, !to_space(node), target.add);
    return e->status;
}

GB_OP(DepthToSpace, .since = 1, .infer = infer, .eval = gb_ref_depth, .forward = forward,
      .backward = backward, .images = gb_images_leading);
GB_OP(SpaceToDepth, .since = 1, .infer = infer, .eval = gb_ref_depth, .forward = forward,
      .backward = backward, .images = gb_images_leading);
