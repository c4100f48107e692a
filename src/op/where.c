// Where.
#include "op/binary_record.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "ref/arithmetic.h"

static int infer(gb_node *node)
{
    gb_shape shape;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 3, 3));
    if (gb_shape_broadcast(&shape, &node->in[1]->shape, &node->in[2]->shape) < 0 ||
        gb_shape_broadcast(&shape, &shape, &node->in[0]->shape) < 0)
        return gb_fail_in(GB_ERR_FORMAT, "%s", gb_node_text(node));
    if (node->in[1]->type != node->in[2]->type || node->in[1]->ints != node->in[2]->ints)
        return gb_fail(GB_ERR_FORMAT, "%s: mixes %s and %s", gb_node_text(node),
                       gb_type_name(node->in[1]->type, node->in[1]->ints),
                       gb_type_name(node->in[2]->type, node->in[2]->ints));
    gb_infer_like(node, 0, node->in[1], &shape);
fail:
    return err;
}

GB_OP(Where, .since = 9, .infer = infer, .eval = gb_ref_where,
      .forward = gb_where_forward, .backward = gb_where_backward,
      .images = gb_images_pointwise);
