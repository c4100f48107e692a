// Small checks that most shape inferences share.
#include "op/infer.h"

gb_value *gb_input(const gb_node *node, int i)
{
    return i < node->n_in ? node->in[i] : NULL;
}

int gb_infer_arity(const gb_node *node, int min, int max)
{
    if (node->n_in < min || (max >= 0 && node->n_in > max))
        return gb_fail(GB_ERR_FORMAT, "%s: has %d inputs, which this operator does not take",
                       gb_node_text(node), node->n_in);
    for (int i = 0; i < min; i++)
        if (!node->in[i])
            return gb_fail(GB_ERR_FORMAT, "%s: input %d is missing", gb_node_text(node), i);
    if (node->n_out < 1)
        return gb_fail(GB_ERR_FORMAT, "%s: has no output", gb_node_text(node));
    return 0;
}

void gb_infer_out(gb_node *node, int i, gb_dtype type, const gb_shape *shape)
{
    if (i < node->n_out && node->out[i]) {
        node->out[i]->type = type;
        node->out[i]->ints = GB_INT64;
        node->out[i]->shape = *shape;
    }
}

void gb_infer_like(gb_node *node, int i, const gb_value *like, const gb_shape *shape)
{
    gb_infer_out(node, i, like->type, shape);
    if (i < node->n_out && node->out[i])
        node->out[i]->ints = like->ints;
}

int gb_infer_float(const gb_node *node, int i)
{
    const gb_value *v = gb_input(node, i);
    if (v && v->type != GB_F32 && v->type != GB_F64)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: input %d holds integers, floats are supported",
                       gb_node_text(node), i);
    return 0;
}

int gb_infer_broadcasts_to(const gb_node *node, int i, const gb_shape *shape)
{
    const gb_shape *from = &gb_input(node, i)->shape;
    gb_shape both;
    if (gb_shape_broadcast(&both, from, shape) < 0 || !gb_shape_equal(&both, shape)) {
        char a[160], b[160];
        return gb_fail(GB_ERR_FORMAT, "%s: input %d of shape %s does not broadcast to %s",
                       gb_node_text(node), i, gb_shape_text(a, sizeof a, from),
                       gb_shape_text(b, sizeof b, shape));
    }
    return 0;
}

int gb_infer_single(const gb_node *node, const char *what)
{
    for (int i = 1; i < node->n_out; i++)
        if (node->out[i])
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: %s not supported", gb_node_text(node), what);
    return 0;
}
