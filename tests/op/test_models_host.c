// Small real models by the naive evaluators, against PyTorch's logits.
#include "support/check.h"

#include "base/file.h"
#include "onnx/load.h"
#include "op/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Raw floats of a file, as many as the shape has.
static gb_tensor *read_floats(gb_arena *arena, const char *path, const gb_shape *shape)
{
    void *bytes = NULL;
    size_t size = 0;
    gb_tensor *t = gb_tensor_create(arena, GB_F32, shape);
    assert_non_null(t);
    assert_ok(gb_file_read(&bytes, &size, path));
    assert_int_equal(gb_tensor_bytes(t), size);
    memcpy(t->data, bytes, size);
    free(bytes);
    return t;
}

static void check_model(const char *model, const char *reference)
{
    const char *shared = getenv("GIBBON_SHARED");
    char path[4096];
    gb_graph *graph = NULL;
    snprintf(path, sizeof path, "%s/data/models/%s.onnx", shared ? shared : ".", model);
    FILE *there = fopen(path, "rb");
    if (!there) {
        print_message("%s is not there; set GIBBON_SHARED\n", path);
        skip();
    }
    fclose(there);
    assert_ok(gb_onnx_load(&graph, path));
    assert_int_equal(1, graph->n_in);
    const gb_shape images = {4, {1, 3, 32, 32}}, logits = {2, {1, 10}};
    snprintf(path, sizeof path, "%s/data/ref/%s_input.f32", shared, reference);
    gb_tensor *in = read_floats(&graph->arena, path, &images);
    snprintf(path, sizeof path, "%s/data/ref/%s_output.f32", shared, reference);
    const gb_tensor *want = read_floats(&graph->arena, path, &logits);
    assert_ok(evaluate_graph(graph, &in));
    const gb_tensor *got = graph->out[0]->data;
    assert_int_equal(10, gb_shape_count(&got->shape));
    double error = 0, norm = 0;
    for (int i = 0; i < 10; i++) {
        const double w = gb_tensor_get(want, i), d = gb_tensor_get(got, i) - w;
        error += d * d;
        norm += w * w;
    }
    print_message("%s: relative error %.1e\n", model, sqrt(error / norm));
    assert_true(sqrt(error / norm) < 1e-5);
    gb_graph_free(graph);
}

static void resnet20(void **state)
{
    (void)state;
    check_model("cifar10_resnet20", "cifar10_resnet20_c0");
}

// The same network with its padding computed by chains of Shape, Slice and ConstantOfShape.
static void resnet20_torchpad(void **state)
{
    (void)state;
    check_model("cifar10_resnet20_torchpad", "cifar10_resnet20_c0");
}

static void vision_transformer(void **state)
{
    (void)state;
    check_model("robust/vit_pgd_2_3_16", "vit_pgd_2_3_16_c0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resnet20),
        cmocka_unit_test(resnet20_torchpad),
        cmocka_unit_test(vision_transformer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
