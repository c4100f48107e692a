// The ONNX project's operator cases, by the naive evaluators.
#include "support/check.h"

#include "op/onnx_cases.h"
#include "op/op.h"

#include <stdio.h>
#include <stdlib.h>

// Infers and evaluates one node whose inputs are constants.
static int run_node(gb_node *node)
{
    gb_arena *arena = &node->graph->arena;
    const gb_tensor *in[64] = {NULL};
    gb_tensor *out[64] = {NULL};
    int err = 0;
    if (node->n_in > 64 || node->n_out > 64)
        return gb_fail(GB_ERR_UNSUPPORTED, "over 64 inputs or outputs");
    GB_TRY(node->op->infer(node));
    for (int i = 0; i < node->n_in; i++)
        in[i] = node->in[i] ? node->in[i]->data : NULL;
    for (int i = 0; i < node->n_out; i++) {
        const gb_value *v = node->out[i];
        if (v && !(out[i] = gb_tensor_create(arena, v->type, &v->shape)))
            return GB_ERR_NOMEM;
    }
    GB_TRY(node->op->eval(node, in, out));
    for (int i = 0; i < node->n_out; i++)
        if (node->out[i])
            node->out[i]->data = out[i];
fail:
    return err;
}

static onnx_verdict run(void *user, onnx_case *c, char *why, size_t size)
{
    (void)user;
    for (size_t i = 0; i < c->n_in; i++) {
        gb_value *v = c->graph->in[i];
        v->type = c->in[i]->type;
        v->shape = c->in[i]->shape;
        v->data = c->in[i];
    }
    for (size_t i = 0; i < c->graph->n_node; i++) {
        gb_node *node = c->graph->node[i];
        int err = run_node(node);
        if (err < 0) {
            onnx_reason(node, why, size);
            return err == GB_ERR_UNSUPPORTED ? ONNX_SKIP : ONNX_FAIL;
        }
    }
    for (size_t i = 0; i < c->n_out; i++) {
        const gb_value *v = c->graph->out[i];
        if (v->type != v->data->type || !gb_shape_equal(&v->shape, &v->data->shape)) {
            snprintf(why, size, "inference and evaluation disagree on an output");
            return ONNX_FAIL;
        }
        if (!onnx_close(v->data, c->want[i], why, size))
            return ONNX_FAIL;
        if ((v->type == GB_F32) != (c->want[i]->type == GB_F32)) {
            snprintf(why, size, "output %zu has the wrong type", i);
            return ONNX_FAIL;
        }
    }
    return ONNX_PASS;
}

static void run_group(const char *group)
{
    onnx_counts counts;
    if (!onnx_cases(group, run, NULL, &counts)) {
        print_message("no ONNX cases here; set GIBBON_ONNX_DATA to a folder with %s\n", group);
        skip();
    }
    assert_true(counts.ran > 0 || getenv("GIBBON_ONNX_CASE"));
    assert_int_equal(0, counts.failed);
}

static void node_cases(void **state)
{
    (void)state;
    run_group("node");
}

static void simple_cases(void **state)
{
    (void)state;
    run_group("simple");
}

static void pytorch_operators(void **state)
{
    (void)state;
    run_group("pytorch-operator");
}

static void pytorch_converted(void **state)
{
    (void)state;
    run_group("pytorch-converted");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(node_cases),
        cmocka_unit_test(simple_cases),
        cmocka_unit_test(pytorch_operators),
        cmocka_unit_test(pytorch_converted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
