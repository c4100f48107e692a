// Conv.
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/record.h"
#include "op/window.h"
#include "ref/arithmetic.h"

static int infer(gb_node *node)
{
    gb_window w;
    gb_shape shape;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 2, 3));
    GB_TRY(gb_infer_float(node, 0));
    GB_TRY(gb_infer_float(node, 1));
    GB_TRY(gb_window_read(node, &w));
    const gb_value *bias = gb_input(node, 2);
    if (bias && (bias->shape.rank != 1 || bias->shape.dim[0] != w.c_out))
        return gb_fail(GB_ERR_FORMAT, "%s: its bias is not a list of %lld numbers",
                       gb_node_text(node), (long long)w.c_out);
    gb_window_shape(&w, &shape);
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

static double work(const gb_node *node)
{
    const gb_shape *w = &node->in[1]->shape;
    const double taps = (double)gb_shape_count(w) / (double)(w->dim[0] ? w->dim[0] : 1);
    return 24 * taps * (double)gb_shape_count(&node->out[0]->shape);
}

GB_OP(Conv, .since = 7, .infer = infer, .eval = gb_ref_conv, .work = work,
      .forward = gb_conv_forward, .backward = gb_conv_backward, .images = gb_images_leading);
