// Whole graphs by the naive evaluators.
#include "op/evaluate.h"

#include "op/op.h"

enum { MAX_ARGS = 64 };

static int evaluate_node(gb_node *node)
{
    const gb_tensor *in[MAX_ARGS] = {NULL};
    gb_tensor *out[MAX_ARGS] = {NULL};
    bool in_double = false;
    int err = 0;
    node->op = gb_op_find(node->type);
    if (!node->op || node->n_in > MAX_ARGS || node->n_out > MAX_ARGS)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: not supported", gb_node_text(node));
    GB_TRY(node->op->infer(node));
    for (int i = 0; i < node->n_in; i++) {
        in[i] = node->in[i] ? node->in[i]->data : NULL;
        in_double = in_double || (in[i] && in[i]->type == GB_F64);
    }
    for (int i = 0; i < node->n_out; i++) {
        const gb_value *v = node->out[i];
        if (!v)
            continue;
        const gb_dtype type = v->type == GB_F32 && in_double ? GB_F64 : v->type;
        // the tensor of an evaluation before this one, or a new one
        out[i] = v->data;
        if (!out[i] || out[i]->type != type || !gb_shape_equal(&out[i]->shape, &v->shape))
            out[i] = gb_tensor_create(&node->graph->arena, type, &v->shape);
        if (!out[i])
            return GB_ERR_NOMEM;
        out[i]->ints = v->ints;
    }
    GB_TRY(node->op->eval(node, in, out));
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i]) {
            gb_tensor_wrap(out[i]);
            node->out[i]->data = out[i];
        }
fail:
    return err;
}

int evaluate_graph(gb_graph *graph, gb_tensor *const *in)
{
    int err = 0;
    for (size_t i = 0; i < graph->n_in; i++) {
        gb_value *v = graph->in[i];
        v->type = in[i]->type == GB_F64 ? GB_F32 : in[i]->type;
        v->ints = in[i]->ints;
        v->shape = in[i]->shape;
        v->data = in[i];
    }
    for (size_t i = 0; i < graph->n_node && !err; i++)
        err = evaluate_node(graph->node[i]);
    return err;
}
