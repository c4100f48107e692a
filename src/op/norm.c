// BatchNormalization, InstanceNormalization and LayerNormalization.
#include "op/norm.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "ref/arithmetic.h"

#include <string.h>

int gb_norm_read(const gb_node *node, gb_norm_args *n)
{
    const gb_shape *shape = &node->in[0]->shape;
    const bool layer = !strcmp(node->type, "LayerNormalization");
    int err = 0;
    *n = (gb_norm_args){.epsilon = gb_attr_float(node, "epsilon", 1e-5f),
                        .outer = 1, .channels = 1, .inner = 1,
                        .training = gb_attr_int(node, "training_mode", 0),
                        .unbiased = gb_attr_int(node, "unbiased", 0),
                        .momentum = gb_attr_float(node, "momentum", 0.9f)};
    if (layer)
        GB_TRY(gb_axis(node, gb_attr_int(node, "axis", -1), shape->rank, &n->axis));
    else if (shape->rank < 2)
        return gb_fail(GB_ERR_FORMAT, "%s: its input has no channels", gb_node_text(node));
    for (int d = 0; d < shape->rank; d++) {
        if (d < (layer ? n->axis : 1))
            n->outer *= shape->dim[d];
        else if (d == 1 && !layer)
            n->channels = shape->dim[d];
        else
            n->inner *= shape->dim[d];
    }
fail:
    return err;
}

// Inputs 1 to `last` are lists of one number a channel.
static int check_channels(const gb_node *node, int last, int64_t channels)
{
    for (int i = 1; i <= last; i++) {
        const gb_shape *shape = &node->in[i]->shape;
        if (shape->rank != 1 || shape->dim[0] != channels)
            return gb_fail(GB_ERR_FORMAT, "%s: input %d is not a list of %lld numbers",
                           gb_node_text(node), i, (long long)channels);
    }
    return 0;
}

static int infer_batch(gb_node *node)
{
    gb_norm_args n;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 5, 5));
    if (!gb_attr_int(node, "spatial", 1))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: only one mean and variance a channel is supported",
                       gb_node_text(node));
    GB_TRY(gb_infer_float(node, 0));
    GB_TRY(gb_norm_read(node, &n));
    if (!n.training)
        GB_TRY(gb_infer_single(node, "running statistics are for training mode, which is"));
    GB_TRY(check_channels(node, 4, n.channels));
    gb_infer_like(node, 0, node->in[0], &node->in[0]->shape);
    for (int i = 1; i < 3; i++)
        gb_infer_like(node, i, node->in[i + 2], &node->in[i + 2]->shape);
fail:
    return err;
}

static int infer_instance(gb_node *node)
{
    gb_norm_args n;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 3, 3));
    GB_TRY(gb_infer_float(node, 0));
    GB_TRY(gb_norm_read(node, &n));
    GB_TRY(check_channels(node, 2, n.channels));
    gb_infer_like(node, 0, node->in[0], &node->in[0]->shape);
fail:
    return err;
}

static int infer_layer(gb_node *node)
{
    gb_norm_args n;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 2, 3));
    GB_TRY(gb_infer_float(node, 0));
    GB_TRY(gb_norm_read(node, &n));
    gb_shape shape = node->in[0]->shape;
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i])
            GB_TRY(gb_infer_broadcasts_to(node, i, &shape));
    gb_infer_like(node, 0, node->in[0], &shape);
    for (int d = n.axis; d < shape.rank; d++)
        shape.dim[d] = 1;
    gb_infer_like(node, 1, node->in[0], &shape);
    gb_infer_like(node, 2, node->in[0], &shape);
fail:
    return err;
}

static void set_flag(gb_node *node, const char *name)
{
    int i = 0;
    while (i < node->n_attr && strcmp(node->attr[i].name, name) != 0)
        i++;
    node->attr[i] = (gb_attr){.name = name, .kind = GB_ATTR_INT, .i = 1};
    node->n_attr = i == node->n_attr ? i + 1 : node->n_attr;
}

int gb_batch_norm_train(gb_node *node)
{
    gb_arena *arena = &node->graph->arena;
    gb_attr *attr = gb_arena_array(arena, (size_t)node->n_attr + 2, sizeof *attr);
    gb_value **out = gb_arena_array(arena, 3, sizeof *out);
    if (!attr || !out)
        return GB_ERR_NOMEM;
    memcpy(attr, node->attr, (size_t)node->n_attr * sizeof *attr);
    node->attr = attr;
    set_flag(node, "training_mode");
    set_flag(node, "unbiased");
    for (int i = 0; i < 3; i++) {
        out[i] = i < node->n_out ? node->out[i] : NULL;
        if (out[i])
            continue;
        const gb_value *old = node->in[i + 2];
        if (!(out[i] = gb_graph_value(node->graph, gb_arena_printf(arena, "new %s", old->name))))
            return GB_ERR_NOMEM;
        out[i]->type = old->type;
        out[i]->shape = old->shape;
        out[i]->producer = node;
    }
    node->out = out;
    node->n_out = 3;
    return 0;
}

// The statistics of a batch in training mode join its images. Where the running ones are state that
// is being learned, that is what is wanted.
static int64_t images_batch(const gb_node *node, int k)
{
    bool joins = gb_attr_int(node, "training_mode", 0) && !node->in[3]->param;
    return joins || k > 0 ? 0 : gb_images_leading(node, k);
}

static int64_t images_layer(const gb_node *node, int k)
{
    const gb_shape *shape = &node->in[0]->shape;
    const int64_t inside = node->in[0]->images.inside;
    gb_norm_args n;
    if (gb_norm_read(node, &n) < 0 || !gb_images_first_only(node) ||
        !gb_images_clear_of(node, 0, 1, n.inner))
        return 0;
    for (int i = 1; i < node->n_in; i++)
        if (node->in[i] && !gb_images_same(node, i, shape, inside))
            return 0;
    return k == 0 ? inside : inside / n.inner;
}

GB_OP(BatchNormalization, .since = 7, .infer = infer_batch, .eval = gb_ref_batch_norm,
      .forward = gb_batch_norm_forward, .backward = gb_batch_norm_backward,
      .images = images_batch);
GB_OP(InstanceNormalization, .since = 7, .infer = infer_instance, .eval = gb_ref_instance_norm,
      .forward = gb_instance_norm_forward, .backward = gb_instance_norm_backward,
      .images = gb_images_leading);
GB_OP(LayerNormalization, .since = 17, .infer = infer_layer, .eval = gb_ref_layer_norm,
      .forward = gb_layer_norm_forward, .backward = gb_layer_norm_backward,
      .images = images_layer);
