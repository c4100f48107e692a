// The built-in architectures: sizes as published, initial weights, activations and small pictures.
#include "support/check.h"

#include "engine/instance.h"
#include "models/arch.h"
#include "onnx/load.h"
#include "onnx/save.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static gb_graph *build(const char *name, gb_arch_options options)
{
    const gb_arch *arch = NULL;
    gb_graph *graph = NULL;
    assert_ok(gb_arch_find(&arch, name));
    assert_ok(gb_arch_build(&graph, arch, &options));
    return graph;
}

static int64_t count_weights(const gb_graph *g)
{
    int64_t n = 0;
    for (size_t i = 0; i < g->n_value; i++) {
        const char *dot = strrchr(g->value[i]->name, '.');
        if (g->value[i]->data && (!strcmp(dot, ".weight") || !strcmp(dot, ".bias")))
            n += gb_shape_count(&g->value[i]->shape);
    }
    return n;
}

static const gb_value *find(const gb_graph *g, const char *name)
{
    for (size_t i = 0; i < g->n_value; i++)
        if (!strcmp(g->value[i]->name, name))
            return g->value[i];
    fail_msg("no value '%s'", name);
    return NULL;
}

// The counts follow from the papers' tables of layers; convolutions in front of a normalization
// have no bias.
static void sizes(void **state)
{
    static const struct {
        const char *name;
        int64_t weights;
        int convolutions;
    } want[] = {
        {"cnn-a", 320 + 17918 + 63744 + 2570, 2},
        {"cnn-b", 320 + 18496 + 36928 + 36928 + 650, 3},
        {"resnet-20", 272474, 19 + 2},
        {"resnet-56", 855770, 55 + 2},
        {"wrn-28-10", 36479194, 1 + 24 + 3},
    };
    size_t count;
    (void)state;
    gb_arch_all(&count);
    assert_int_equal(GB_COUNT(want), count);
    for (size_t i = 0; i < GB_COUNT(want); i++) {
        gb_graph *g = build(want[i].name, (gb_arch_options){0}), *instance = NULL;
        int convolutions = 0;
        if (count_weights(g) != want[i].weights)
            fail_msg("%s: %lld weights", want[i].name, (long long)count_weights(g));
        for (size_t k = 0; k < g->n_node; k++)
            convolutions += !strcmp(g->node[k]->type, "Conv");
        assert_int_equal(want[i].convolutions, convolutions);
        assert_ok(gb_graph_instantiate(&instance, g, 2, NULL, 0));
        assert_int_equal(2, instance->out[0]->shape.dim[0]);
        assert_int_equal(10, instance->out[0]->shape.dim[1]);
        assert_string_equal("logits", instance->out[0]->name);
        gb_graph_free(instance);
        gb_graph_free(g);
    }
}

// A final picture of `want` pixels a side in front of the global average, of all strides before it.
static void strides(void **state)
{
    static const struct {
        const char *name, *value;
        int64_t channels, side;
    } want[] = {
        {"cnn-a", "conv1", 32, 14}, {"cnn-a", "conv2", 62, 4}, {"cnn-b", "conv3", 64, 3},
        {"resnet-20", "stage3.2.conv2", 64, 8}, {"wrn-28-10", "stage3.3.conv2", 640, 8},
        {"wrn-28-10", "stage1.0.shortcut", 160, 32},
    };
    (void)state;
    for (size_t i = 0; i < GB_COUNT(want); i++) {
        gb_graph *g = build(want[i].name, (gb_arch_options){0}), *instance = NULL;
        assert_ok(gb_graph_instantiate(&instance, g, 1, NULL, 0));
        const gb_shape *shape = &find(instance, want[i].value)->shape;
        assert_int_equal(want[i].channels, shape->dim[1]);
        assert_int_equal(want[i].side, shape->dim[2]);
        gb_graph_free(instance);
        gb_graph_free(g);
    }
}

static void keras_padding(void **state)
{
    int64_t pads[4];
    gb_graph *g = build("cnn-a", (gb_arch_options){0});
    (void)state;
    assert_int_equal(4, gb_attr_ints(g->node[0], "pads", pads, 4)); // 28 by 2: one pixel, behind
    assert_int_equal(0, pads[0] + pads[1]);
    assert_int_equal(2, pads[2] + pads[3]);
    gb_graph_free(g);
    g = build("cnn-a", (gb_arch_options){.height = 29, .width = 28}); // 29: one on either side
    assert_int_equal(4, gb_attr_ints(g->node[0], "pads", pads, 4));
    assert_true(pads[0] == 1 && pads[1] == 0 && pads[2] == 1 && pads[3] == 1);
    gb_graph_free(g);
}

// Mean, deviation and largest magnitude of a tensor.
static void moments(const gb_tensor *t, double *mean, double *deviation, double *largest)
{
    int64_t n = gb_shape_count(&t->shape);
    double sum = 0, squares = 0;
    *largest = 0;
    for (int64_t i = 0; i < n; i++) {
        double v = gb_tensor_get(t, i);
        sum += v;
        squares += v * v;
        *largest = fmax(*largest, fabs(v));
    }
    *mean = sum / (double)n;
    *deviation = sqrt(squares / (double)n - *mean * *mean);
}

static void initial_weights(void **state)
{
    double mean, deviation, largest;
    (void)state;
    gb_graph *g = build("cnn-a", (gb_arch_options){.seed = 5});
    const double limit = sqrt(6.0 / (248 + 256)); // Glorot's for dense1
    moments(find(g, "dense1.weight")->data, &mean, &deviation, &largest);
    assert_true(fabs(mean) < 0.01 * limit && fabs(deviation - limit / sqrt(3)) < 0.01 * limit);
    assert_true(largest <= limit && largest > 0.999 * limit);
    moments(find(g, "dense1.bias")->data, &mean, &deviation, &largest);
    assert_true(largest == 0);

    gb_graph *twin = build("cnn-a", (gb_arch_options){.seed = 5});
    gb_graph *other = build("cnn-a", (gb_arch_options){.seed = 6});
    const gb_tensor *w = find(g, "conv2.weight")->data;
    assert_memory_equal(w->data, find(twin, "conv2.weight")->data->data, gb_tensor_bytes(w));
    assert_memory_not_equal(w->data, find(other, "conv2.weight")->data->data, gb_tensor_bytes(w));
    gb_graph_free(twin);
    gb_graph_free(other);
    gb_graph_free(g);

    g = build("resnet-20", (gb_arch_options){0});
    const double he = sqrt(2.0 / (9 * 64));
    moments(find(g, "stage3.1.conv1.weight")->data, &mean, &deviation, &largest);
    assert_true(fabs(mean) < 0.02 * he && fabs(deviation - he) < 0.02 * he);
    assert_true(largest > 3.5 * he && largest < 6.5 * he); // a normal distribution's tails
    moments(find(g, "stage1.0.norm1.running_var")->data, &mean, &deviation, &largest);
    assert_true(mean == 1 && deviation == 0);
    gb_graph_free(g);
}

// Each activation is where ReLU was.
static void activations(void **state)
{
    static const char *const type[] = {"Relu", "Erf", "Sigmoid", "Softplus"};
    (void)state;
    for (int i = 0; gb_arch_activations[i]; i++) {
        gb_graph *g = build("resnet-20", (gb_arch_options){.activation = gb_arch_activations[i]});
        int found = 0;
        for (size_t k = 0; k < g->n_node; k++)
            found += !strcmp(g->node[k]->type, type[i]);
        assert_int_equal(19, found);
        gb_graph_free(g);
    }
}

static void saved_and_loaded(void **state)
{
    gb_graph *g = build("cnn-b", (gb_arch_options){.activation = "gelu", .channels = 3,
                                                   .height = 40, .width = 33, .classes = 7});
    gb_graph *back = NULL;
    void *bytes = NULL;
    size_t size = 0;
    (void)state;
    assert_ok(gb_onnx_encode(&bytes, &size, g, NULL, 0, "cnn-b"));
    assert_ok(gb_onnx_decode(&back, bytes, size, "cnn-b", NULL));
    assert_int_equal(g->n_node, back->n_node);
    assert_true(gb_shape_equal(&g->in[0]->shape, &back->in[0]->shape));
    assert_true(gb_shape_equal(&g->out[0]->shape, &back->out[0]->shape));
    assert_int_equal(7, back->out[0]->shape.dim[1]);
    free(bytes);
    gb_graph_free(g);
    gb_graph_free(back);
}

static void refused(void **state)
{
    const gb_arch *arch = NULL;
    gb_graph *g = NULL;
    (void)state;
    assert_err(GB_ERR_ARG, gb_arch_find(&arch, "vgg"));
    assert_non_null(strstr(gb_last_error(), "cnn-a, cnn-b, resnet-20, resnet-56, wrn-28-10"));
    assert_ok(gb_arch_find(&arch, "cnn-b"));
    assert_err(GB_ERR_ARG, gb_arch_build(&g, arch, &(gb_arch_options){.activation = "tanh"}));
    assert_non_null(strstr(gb_last_error(), "'tanh'; it is one of relu, gelu, silu, softplus"));
    assert_err(GB_ERR_ARG, gb_arch_build(&g, arch, &(gb_arch_options){.height = 17}));
    assert_non_null(strstr(gb_last_error(), "cnn-b for pictures of 17x28: too small"));
    assert_ok(gb_arch_build(&g, arch, &(gb_arch_options){.height = 18, .width = 18}));
    gb_graph_free(g);
    assert_err(GB_ERR_ARG, gb_arch_build(&g, arch, &(gb_arch_options){.classes = 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes), cmocka_unit_test(strides), cmocka_unit_test(keras_padding),
        cmocka_unit_test(initial_weights), cmocka_unit_test(activations),
        cmocka_unit_test(saved_and_loaded), cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
