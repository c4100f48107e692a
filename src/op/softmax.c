// Softmax and LogSoftmax.
#include "op/softmax.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "ref/arithmetic.h"

#include <string.h>

int gb_softmax_read(const gb_node *node, gb_softmax *s)
{
    const gb_shape *shape = &node->in[0]->shape;
    const bool matrix = node->opset < 13;
    int axis, err = 0;
    GB_TRY(gb_axis(node, gb_attr_int(node, "axis", matrix ? 1 : -1), shape->rank, &axis));
    *s = (gb_softmax){.outer = 1, .count = 1, .inner = 1, .log = !strcmp(node->type, "LogSoftmax")};
    for (int d = 0; d < shape->rank; d++) {
        if (d < axis)
            s->outer *= shape->dim[d];
        else if (d == axis || matrix)
            s->count *= shape->dim[d];
        else
            s->inner *= shape->dim[d];
    }
fail:
    return err;
}

static int infer(gb_node *node)
{
    gb_softmax s;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 1, 1));
    GB_TRY(gb_infer_float(node, 0));
    GB_TRY(gb_softmax_read(node, &s));
    gb_infer_like(node, 0, node->in[0], &node->in[0]->shape);
fail:
    return err;
}

static int64_t images(const gb_node *node, int k)
{
    gb_softmax s;
    (void)k;
    if (gb_softmax_read(node, &s) < 0 || !gb_images_clear_of(node, 0, s.inner, s.inner * s.count))
        return 0;
    return node->in[0]->images.inside;
}

GB_OP(Softmax, .since = 7, .infer = infer, .eval = gb_ref_softmax,
      .forward = gb_softmax_forward, .backward = gb_softmax_backward, .images = images);
GB_OP(LogSoftmax, .since = 7, .infer = infer, .eval = gb_ref_softmax,
      .forward = gb_softmax_forward, .backward = gb_softmax_backward, .images = images);
