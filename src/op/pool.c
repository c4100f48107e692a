// MaxPool, AveragePool, GlobalMaxPool and GlobalAveragePool.
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/record.h"
#include "op/reduce.h"
#include "op/window.h"
#include "ref/arithmetic.h"

#include <math.h>

static int infer(gb_node *node)
{
    gb_window w;
    gb_shape shape;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 1, 1));
    GB_TRY(gb_infer_single(node, "the indices of the maxima are"));
    GB_TRY(gb_infer_float(node, 0));
    GB_TRY(gb_window_read(node, &w));
    gb_window_shape(&w, &shape);
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

static double work(const gb_node *node)
{
    gb_window w;
    return gb_window_read(node, &w) < 0 ? INFINITY : 16 * (double)gb_window_taps(&w) *
                                                     (double)gb_shape_count(&node->out[0]->shape);
}

GB_OP(MaxPool, .since = 7, .infer = infer, .eval = gb_ref_max_pool, .work = work,
      .forward = gb_max_pool_forward, .backward = gb_max_pool_backward,
      .images = gb_images_planes);
GB_OP(AveragePool, .since = 7, .infer = infer, .eval = gb_ref_average_pool, .work = work,
      .forward = gb_average_pool_forward, .backward = gb_average_pool_backward,
      .images = gb_images_planes);
GB_OP(GlobalMaxPool, .since = 7, .infer = infer, .eval = gb_ref_max_pool, .work = work,
      .forward = gb_reduce_forward, .backward = gb_reduce_backward,
      .images = gb_images_planes);
GB_OP(GlobalAveragePool, .since = 7, .infer = infer, .eval = gb_ref_average_pool, .work = work,
      .forward = gb_reduce_forward, .backward = gb_reduce_backward,
      .images = gb_images_planes);
