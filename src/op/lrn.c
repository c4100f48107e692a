// LRN, local response normalisation across channels (Krizhevsky et al. 2012).
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/norm.h"
#include "ref/arithmetic.h"

#include <math.h>

int gb_lrn_read(const gb_node *node, gb_lrn *l)
{
    const gb_shape *shape = &node->in[0]->shape;
    *l = (gb_lrn){.alpha = gb_attr_float(node, "alpha", 1e-4f),
                  .beta = gb_attr_float(node, "beta", 0.75f),
                  .bias = gb_attr_float(node, "bias", 1),
                  .size = gb_attr_int(node, "size", 0),
                  .inner = 1};
    if (shape->rank < 2)
        return gb_fail(GB_ERR_FORMAT, "%s: its input has no channels", gb_node_text(node));
    if (l->size < 1 || l->size > INT32_MAX)
        return gb_fail(GB_ERR_FORMAT, "%s: its size is %lld", gb_node_text(node),
                       (long long)l->size);
    l->before = (l->size - 1) / 2;
    l->after = l->size - 1 - l->before;
    l->outer = shape->dim[0];
    l->channels = shape->dim[1];
    for (int d = 2; d < shape->rank; d++)
        l->inner *= shape->dim[d];
    return 0;
}

static int infer(gb_node *node)
{
    gb_lrn l;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 1, 1));
    GB_TRY(gb_infer_float(node, 0));
    GB_TRY(gb_lrn_read(node, &l));
    gb_infer_like(node, 0, node->in[0], &node->in[0]->shape);
fail:
    return err;
}

static int64_t images(const gb_node *node, int k)
{
    gb_lrn l;
    (void)k;
    if (gb_lrn_read(node, &l) < 0 ||
        !gb_images_clear_of(node, 0, l.inner, l.inner * l.channels))
        return 0;
    return node->in[0]->images.inside;
}

static double work(const gb_node *node)
{
    gb_lrn l;
    if (gb_lrn_read(node, &l) < 0)
        return INFINITY;
    const int64_t taps = l.size < l.channels ? l.size : l.channels;
    return 4 * (double)(taps + 8) * (double)gb_shape_count(&node->out[0]->shape);
}

GB_OP(LRN, .since = 7, .infer = infer, .eval = gb_ref_lrn, .work = work,
      .forward = gb_lrn_forward, .backward = gb_lrn_backward, .images = images);
