// A layer of a model as a model of its own, for the tuner's trials.
#include "engine/tune.h"

#include <string.h>

static gb_value *append(gb_graph *g, const char *type, gb_value *a, gb_value *b, int n_attr)
{
    gb_node *node = gb_graph_node(g, type, type, b ? 2 : 1, 1, n_attr);
    gb_value *out = node ? gb_graph_value(g, type) : NULL;
    if (!out)
        return NULL;
    node->opset = g->opset;
    node->in[0] = a;
    if (b)
        node->in[1] = b;
    node->out[0] = out;
    return out;
}

static gb_value *input(gb_graph *g, const gb_value *like, const gb_shape *shape)
{
    gb_value *v = gb_graph_value(g, like->name);
    if (!v || gb_graph_add_input(g, v) < 0)
        return NULL;
    v->type = like->type;
    v->shape = *shape;
    return v;
}

static gb_value *copy_value(gb_graph *g, const gb_value *v)
{
    return v->data ? gb_graph_constant(g, v->name, v->data) : input(g, v, &v->shape);
}

// The same for a factor of a product, whose speed depends on how it lies in memory: a Transpose
// brings the dimensions into the model's order. The input is a matrix, which lies as it is written.
static gb_value *copy_factor(gb_graph *g, const gb_value *v)
{
    const int rank = v->shape.rank;
    int order[GB_MAX_RANK]; // dimensions, the largest stride first
    if (v->data || rank < 3)
        return copy_value(g, v);
    for (int i = 0, j; i < rank; i++) {
        for (j = i; j > 0 && v->view.stride[order[j - 1]] < v->view.stride[i]; j--)
            order[j] = order[j - 1];
        order[j] = i;
    }
    gb_tensor *lies = gb_tensor_create(&g->arena, GB_I64, &(gb_shape){1, {rank}});
    int64_t *perm = gb_arena_array(&g->arena, (size_t)rank, sizeof *perm);
    if (!lies || !perm)
        return NULL;
    for (int i = 0; i < rank; i++) {
        gb_tensor_set(lies, i, (double)v->shape.dim[order[i]]);
        perm[order[i]] = i;
    }
    // An input's first dimension is the batch, which others than the factor's own cannot be.
    const int64_t rows = order[0] == 0 ? v->shape.dim[0] : 1, count = gb_shape_count(&v->shape);
    gb_value *matrix = input(g, v, &(gb_shape){2, {rows, rows ? count / rows : 0}});
    gb_value *to = gb_graph_constant(g, "shape", lies);
    gb_value *tensor = matrix && to ? append(g, "Reshape", matrix, to, 0) : NULL;
    gb_value *factor = tensor ? append(g, "Transpose", tensor, NULL, 1) : NULL;
    if (factor)
        g->node[g->n_node - 1]->attr[0] = (gb_attr){.name = "perm", .kind = GB_ATTR_INTS,
                                                    .count = (size_t)rank, .ints = perm};
    return factor;
}

int gb_tune_graph(gb_graph **out, const gb_node *node)
{
    gb_graph *g = gb_graph_create();
    const bool conv = !strcmp(node->type, "Conv");
    const int n_in = !strcmp(node->type, "MatMul") ? 2 : node->n_in; // a pass adds it a bias
    if (!g)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a layer");
    g->opset = node->opset;
    gb_node *copy = gb_graph_node(g, node->type, node->name, n_in, 1, node->n_attr);
    gb_value *y = copy ? gb_graph_value(g, "y") : NULL, *residual;
    if (!y)
        goto fail;
    copy->opset = node->opset;
    for (int i = 0; i < n_in; i++)
        if (node->in[i] && !(copy->in[i] = conv ? copy_value(g, node->in[i])
                                                : copy_factor(g, node->in[i])))
            goto fail;
    if (node->n_attr)
        memcpy(copy->attr, node->attr, (size_t)node->n_attr * sizeof *copy->attr);
    copy->out[0] = y;
    if (node->residual && (!(residual = copy_value(g, node->residual)) ||
                           !(y = append(g, "Add", y, residual, 0))))
        goto fail;
    if (node->act.on && !(y = append(g, "Relu", y, NULL, 0)))
        goto fail;
    if (gb_graph_add_output(g, y) < 0)
        goto fail;
    int err = gb_graph_sort(g);
    if (err == 0)
        err = gb_graph_prune(g);
    *out = g;
    return err;
fail:
    gb_graph_free(g);
    return gb_fail(GB_ERR_NOMEM, "out of memory for a layer");
}
