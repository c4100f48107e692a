// From a model to the graph that a session runs: preprocessing in front, logits behind, passes.
#include "engine/instance.h"
#include "engine/internal.h"
#include "engine/passes.h"
#include "engine/patterns.h"
#include "op/norm.h"
#include "op/op.h"

#include <stdio.h>
#include <string.h>

static gb_value *channel_constant(gb_graph *g, const char *name, const float *v, int64_t channels)
{
    gb_shape shape = {.rank = 1, .dim = {channels}};
    gb_tensor *t = gb_tensor_create(&g->arena, GB_F32, &shape);
    if (!t)
        return NULL;
    memcpy(t->data, v, (size_t)channels * sizeof *v);
    return gb_graph_constant(g, name, t);
}

// Puts a node in front of every reader of the first input: afterwards they read its output.
static gb_node *insert_behind_input(gb_graph *g, const char *type, int n_in, int n_attr)
{
    gb_value *input = g->in[0], *out = gb_graph_value(g, type);
    gb_node *node = out ? gb_graph_node(g, type, "preprocess", n_in, 1, n_attr) : NULL;
    if (!node)
        return NULL;
    for (size_t i = 0; i + 1 < g->n_node; i++)
        for (int j = 0; j < g->node[i]->n_in; j++)
            if (g->node[i]->in[j] == input)
                g->node[i]->in[j] = out;
    memmove(&g->node[1], &g->node[0], (g->n_node - 1) * sizeof *g->node);
    g->node[0] = node;
    node->op = gb_op_find(type);
    node->in[0] = input;
    node->out[0] = out;
    out->producer = node;
    out->type = GB_F32;
    out->shape = input->shape;
    return node;
}

// Preprocessing is part of the graph: (pixel * range - mean) / std is a BatchNormalization with
// mean 0 and variance 1, the reversal of channels a Gather.
static int add_normalize(gb_graph *g, const gb_normalize *n)
{
    const float zeros[4] = {0}, ones[4] = {1, 1, 1, 1};
    float scale[4], shift[4];
    const gb_shape *shape = &g->in[0]->shape;
    int64_t channels = shape->rank > 1 ? shape->dim[1] : 0;
    if (channels < 1 || channels > 4)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "preprocessing is for inputs of 1 to 4 channels; '%s' has %lld",
                       g->in[0]->name, (long long)channels);
    for (int c = 0; c < 4; c++) {
        scale[c] = n->range / n->std[c];
        shift[c] = -n->mean[c] / n->std[c];
    }
    gb_node *affine = insert_behind_input(g, "BatchNormalization", 5, 1);
    if (!affine)
        return GB_ERR_NOMEM;
    affine->attr[0] = (gb_attr){.name = "epsilon", .kind = GB_ATTR_FLOAT, .f = 0};
    affine->in[1] = channel_constant(g, "normalize.scale", scale, channels);
    affine->in[2] = channel_constant(g, "normalize.shift", shift, channels);
    affine->in[3] = channel_constant(g, "normalize.mean", zeros, channels);
    affine->in[4] = channel_constant(g, "normalize.var", ones, channels);
    for (int i = 1; i < 5; i++)
        if (!affine->in[i])
            return GB_ERR_NOMEM;
    if (!n->bgr)
        return 0;
    gb_node *reverse = insert_behind_input(g, "Gather", 2, 1);
    gb_shape list = {.rank = 1, .dim = {channels}};
    gb_tensor *order = reverse ? gb_tensor_create(&g->arena, GB_I64, &list) : NULL;
    if (!order)
        return GB_ERR_NOMEM;
    for (int64_t c = 0; c < channels; c++)
        gb_tensor_set(order, c, (double)(channels - 1 - c));
    reverse->attr[0] = (gb_attr){.name = "axis", .kind = GB_ATTR_INT, .i = 1};
    reverse->in[1] = gb_graph_constant(g, "normalize.order", order);
    return reverse->in[1] ? 0 : GB_ERR_NOMEM;
}

// BatchNormalizations whose running statistics are state of the model learn them.
static int train(gb_graph *g)
{
    int err = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        gb_node *node = g->node[i];
        if (strcmp(node->type, "BatchNormalization") == 0 && node->in[3]->param &&
            node->in[4]->param)
            GB_TRY(gb_batch_norm_train(node));
    }
fail:
    return err;
}

// The images of a classifier must not see each other: where a batch does not keep them apart, they
// go through the model one at a time. Otherwise the model is computed as it is.
static int instantiate(gb_graph **out, const gb_graph *model, const gb_session_options *o)
{
    bool classifies = o->loss != GB_LOSS_NONE || o->scores != GB_SCORES_RAW;
    char why[600];
    gb_graph *one = NULL;
    int err = gb_graph_instantiate_with(out, model, o->batch, o->binding, o->n_binding, o->params,
                                        o->fold_seconds);
    if (!classifies || err == GB_ERR_NOMEM || (err == 0 && !(*out)->mixes))
        return err;
    snprintf(why, sizeof why, "%s", err < 0 ? gb_last_error() : (*out)->mixes);
    if (err == 0 && o->params)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s; training takes models that keep images apart", why);
    if (!o->params && o->batch != 1 &&
        gb_graph_instantiate_with(&one, model, 1, o->binding, o->n_binding, NULL,
                                  o->fold_seconds) == 0) {
        gb_graph_free(*out);
        *out = one;
        gb_log_line(o->log, GB_LOG_WARN, "one image at a time: %s", why);
        return 0;
    }
    if (err < 0)
        return gb_fail(err, "%s", why);
    return gb_fail(GB_ERR_UNSUPPORTED, "%s, and the model takes %lld at once: export it for a "
                   "batch of 1, or an open one", why, (long long)(*out)->batch);
}

int gb_prepare(gb_graph **out, gb_head *head, const gb_graph *model,
               const gb_session_options *o)
{
    int err = 0;
    bool losing = o->loss != GB_LOSS_NONE;
    gb_scores scores = losing && o->scores == GB_SCORES_RAW ? GB_SCORES_FIND : o->scores;
    *head = (gb_head){.how = ""};
    GB_TRY(instantiate(out, model, o));
    gb_graph *g = *out;
    if (o->params && o->train)
        GB_TRY(train(g));
    if (losing && (g->n_in != 1 || g->n_out < 1)) {
        err = gb_fail(GB_ERR_UNSUPPORTED, "an attack needs a model with one input and an output of "
                      "logits; this one has %zu and %zu", g->n_in, g->n_out);
        goto fail;
    }
    if (scores != GB_SCORES_RAW)
        GB_TRY(gb_pass_scores(head, g, scores, o->class_axis));
    if (o->normalize.on)
        GB_TRY(add_normalize(g, &o->normalize));
    GB_TRY(gb_graph_prune(g));
    if (!o->no_fusion) {
        GB_TRY(gb_pass_patterns(g));
        GB_TRY(gb_pass_fuse(g));
        GB_TRY(gb_pass_hoist(g));
    }
fail:
    return err;
}
