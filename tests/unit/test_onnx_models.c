// Real models load: their size, their inputs and outputs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx/load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *path; // below models/
    int opset;
    size_t nodes;
    const char *input, *input_shape, *output, *output_shape;
} models[] = {
    {"cifar10_resnet20", 13, 52, "input", "?x3x32x32", "logits", "?x10"},
    {"cifar10_resnet20_torchpad", 13, 70, "input", "?x3x32x32", "logits", "?x10"},
    {"mobilenetv2_1.0_224", 13, 100, "input", "?x3x224x224", "logits", "?x1000"},
    {"resnet50_pqf", 13, 122, "input", "?x3x224x224", "logits", "?x1000"},
    {"squeezenet1.1_fp16", 7, 66, "data_0", "1x3x224x224", "softmaxout_1", "1x1000x1x1"},
    {"squeezenet1.1_op7", 7, 66, "data_0", "1x3x224x224", "softmaxout_1", "1x1000x1x1"},
    {"onnx_light/light_bvlc_alexnet", 9, 40, "data_0", "1x3x224x224", "prob_1", "1x1000"},
    {"onnx_light/light_densenet121", 9, 1746, "data_0", "1x3x224x224", "fc6_1", "1x1000x1x1"},
    {"onnx_light/light_inception_v1", 9, 237, "data_0", "1x3x224x224", "prob_1", "1x1000"},
    {"onnx_light/light_inception_v2", 9, 916, "data_0", "1x3x224x224", "prob_1", "1x1000"},
    {"onnx_light/light_resnet50", 9, 415, "gpu_0/data_0", "1x3x224x224", "gpu_0/softmax_1",
     "1x1000"},
    {"onnx_light/light_shufflenet", 9, 446, "gpu_0/data_0", "1x3x224x224", "gpu_0/softmax_1",
     "1x1000"},
    {"onnx_light/light_squeezenet", 9, 105, "data_0", "1x3x224x224", "softmaxout_1", "1x1000x1x1"},
    {"onnx_light/light_vgg19", 9, 82, "data_0", "1x3x224x224", "prob_1", "1x1000"},
    {"onnx_light/light_zfnet512", 9, 38, "gpu_0/data_0", "1x3x224x224", "gpu_0/softmax_1",
     "1x1000"},
    {"robust/cifar_base_kw", 9, 8, "input.1", "1x3x32x32", "16", "1x10"},
    {"robust/kw_fashion_mnist", 13, 8, "input", "?x1x28x28", "logits", "?x10"},
    {"robust/vit_pgd_2_3_16", 9, 103, "input", "?x3x32x32", "output", "?x10"},
};

static gb_graph *load(const char *name)
{
    const char *shared = getenv("GIBBON_SHARED");
    char path[4096];
    gb_graph *g = NULL;
    snprintf(path, sizeof path, "%s/data/models/%s.onnx", shared ? shared : "../shared", name);
    if (access(path, R_OK) != 0) {
        print_message("%s is not there\n", path);
        skip();
    }
    if (gb_onnx_load(&g, path) < 0)
        fail_msg("%s", gb_last_error());
    return g;
}

static void real_models(void **state)
{
    (void)state;
    char text[64];
    for (size_t i = 0; i < GB_COUNT(models); i++) {
        const gb_value *first = NULL;
        gb_graph *g = load(models[i].path);
        assert_int_equal(g->opset, models[i].opset);
        assert_int_equal(g->n_node, models[i].nodes);
        assert_int_equal(g->n_in, 1);
        assert_int_equal(g->n_out, 1);
        assert_string_equal(g->in[0]->name, models[i].input);
        assert_string_equal(gb_shape_text(text, sizeof text, &g->in[0]->shape),
                            models[i].input_shape);
        assert_string_equal(g->out[0]->name, models[i].output);
        assert_string_equal(gb_shape_text(text, sizeof text, &g->out[0]->shape),
                            models[i].output_shape);
        assert_int_equal(gb_graph_nonfinite(g, &first), 0);
        gb_graph_free(g);
    }
}

// The half-precision file holds the single-precision one's weights, rounded to 11 bits.
static void half_equals_single(void **state)
{
    (void)state;
    gb_graph *single = load("squeezenet1.1_op7"), *half = load("squeezenet1.1_fp16");
    size_t compared = 0;
    assert_int_equal(single->n_node, half->n_node);
    for (size_t i = 0; i < single->n_node; i++) {
        const gb_node *a = single->node[i], *b = half->node[i];
        assert_string_equal(a->type, b->type);
        for (int k = 0; k < a->n_in; k++) {
            const gb_tensor *ta = a->in[k]->data, *tb = b->in[k]->data;
            assert_int_equal(!ta, !tb);
            if (!ta)
                continue;
            assert_int_equal(ta->type, tb->type);
            assert_true(gb_shape_equal(&ta->shape, &tb->shape));
            for (int64_t e = 0; e < gb_shape_count(&ta->shape); e++, compared++) {
                double va = gb_tensor_get(ta, e), vb = gb_tensor_get(tb, e);
                assert_true(fabs(va - vb) <= fabs(va) * 0x1p-10 + 0x1p-20);
            }
        }
    }
    assert_true(compared > 1000000);
    gb_graph_free(single);
    gb_graph_free(half);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_models),
        cmocka_unit_test(half_equals_single),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
