// The ONNX project's operator cases, by the naive evaluators.
#include "support/check.h"

#include "op/evaluate.h"
#include "op/onnx_cases.h"

#include <stdio.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONNX_GROUP("node", run),
        ONNX_GROUP("simple", run),
        ONNX_GROUP("pytorch-operator", run),
        ONNX_GROUP("pytorch-converted", run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
