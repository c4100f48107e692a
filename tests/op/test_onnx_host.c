// The ONNX project's operator cases, by the naive evaluators.
#include "support/check.h"

#include "op/evaluate.h"
#include "op/onnx_cases.h"

#include <stdio.h>
#include <stdlib.h>

static onnx_verdict run(void *user, onnx_case *c, char *why, size_t size)
{
    (void)user;
    int err = evaluate_graph(c->graph, c->in);
    if (err < 0) {
        onnx_reason(why, size);
        return err == GB_ERR_UNSUPPORTED ? ONNX_SKIP : ONNX_FAIL;
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
