// ReduceSum and its family.
#include "op/reduce.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "ref/arithmetic.h"

#include <string.h>

static const struct {
    const char *type;
    gb_reduce_kind kind;
} types[] = {
    {"ReduceSum", GB_REDUCE_SUM},   {"ReduceMean", GB_REDUCE_MEAN}, {"ReduceMax", GB_REDUCE_MAX},
    {"ReduceMin", GB_REDUCE_MIN},   {"ReduceProd", GB_REDUCE_PROD}, {"ReduceL2", GB_REDUCE_L2},
};

int gb_reduce_read(const gb_node *node, gb_reduce *r)
{
    const gb_shape *shape = &node->in[0]->shape;
    int64_t axes[GB_MAX_RANK];
    int count, err = 0;
    *r = (gb_reduce){.kept = *shape, .count = 1};
    for (size_t i = 0; i < GB_COUNT(types); i++)
        if (!strcmp(types[i].type, node->type))
            r->kind = types[i].kind;
    GB_TRY(gb_arg_ints(node, "axes", 1, axes, GB_MAX_RANK, &count));
    if (count > GB_MAX_RANK)
        return gb_fail(GB_ERR_FORMAT, "%s: has %d axes", gb_node_text(node), count);
    for (int i = 0; i < count; i++) {
        int axis;
        GB_TRY(gb_axis(node, axes[i], shape->rank, &axis));
        r->over[axis] = true;
    }
    if (count <= 0 && !gb_attr_int(node, "noop_with_empty_axes", 0))
        memset(r->over, true, sizeof r->over);
    const bool keep = gb_attr_int(node, "keepdims", 1);
    for (int d = 0; d < shape->rank; d++) {
        if (r->over[d]) {
            r->count *= shape->dim[d];
            r->kept.dim[d] = 1;
        }
        if (keep || !r->over[d])
            r->out.dim[r->out.rank++] = r->kept.dim[d];
    }
fail:
    return err;
}

static int infer(gb_node *node)
{
    gb_reduce r;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 1, 2));
    GB_TRY(gb_reduce_read(node, &r));
    gb_infer_like(node, 0, node->in[0], &r.out);
fail:
    return err;
}

// What goes inside an image leaves fewer elements of it.
static int64_t images(const gb_node *node, int k)
{
    const gb_shape *shape = &node->in[0]->shape;
    int64_t inside = node->in[0]->images.inside, left = inside;
    gb_reduce r;
    (void)k;
    if (gb_reduce_read(node, &r) < 0 || !gb_images_first_only(node))
        return 0;
    for (int d = 0; d < shape->rank; d++) {
        int64_t step = gb_images_step(shape, d);
        if (!r.over[d])
            continue;
        if (!gb_images_clear_of(node, 0, step, step * shape->dim[d]))
            return 0;
        left /= step < inside ? shape->dim[d] : 1;
    }
    return left;
}

#define REDUCE(name, ...) \
    GB_OP(name, .since = 7, .infer = infer, .eval = gb_ref_reduce, .forward = gb_reduce_forward, \
          .images = images, __VA_ARGS__)
REDUCE(ReduceSum, .backward = gb_reduce_backward);
REDUCE(ReduceMean, .backward = gb_reduce_backward);
REDUCE(ReduceMax, .backward = gb_reduce_backward);
REDUCE(ReduceMin, .backward = gb_reduce_backward);
REDUCE(ReduceProd, .backward = NULL);
REDUCE(ReduceL2, .backward = gb_reduce_backward);
