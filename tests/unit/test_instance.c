// Instances: every real model at several batches, folded shape chains, and models that are refused.
#include "support/check.h"

#include "engine/instance.h"
#include "onnx/load.h"
#include "op/op.h"
#include "support/onnx_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *path; // below models/
    size_t nodes;     // that remain
    int rank;
    int64_t classes;
} models[] = {
    {"cifar10_resnet20", 52, 2, 10},
    {"cifar10_resnet20_torchpad", 56, 2, 10},
    {"mobilenetv2_1.0_224", 100, 2, 1000},
    {"resnet50_pqf", 122, 2, 1000},
    {"squeezenet1.1_fp16", 65, 4, 1000},
    {"squeezenet1.1_op7", 65, 4, 1000},
    {"robust/cifar_base_kw", 8, 2, 10},
    {"robust/kw_fashion_mnist", 8, 2, 10},
    {"robust/vit_pgd_2_3_16", 74, 2, 10},
    {"onnx_light/light_bvlc_alexnet", 22, 2, 1000},
    {"onnx_light/light_densenet121", 668, 4, 1000},
    {"onnx_light/light_inception_v1", 142, 2, 1000},
    {"onnx_light/light_inception_v2", 371, 2, 1000},
    {"onnx_light/light_resnet50", 176, 2, 1000},
    {"onnx_light/light_shufflenet", 203, 2, 1000},
    {"onnx_light/light_squeezenet", 65, 4, 1000},
    {"onnx_light/light_zfnet512", 22, 2, 1000},
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
    assert_ok(gb_onnx_load(&g, path));
    return g;
}

static void real_models(void **state)
{
    static const int64_t batches[] = {1, 2, 5};
    (void)state;
    for (size_t m = 0; m < GB_COUNT(models); m++) {
        gb_graph *model = load(models[m].path), *g;
        for (size_t b = 0; b < GB_COUNT(batches); b++) {
            assert_ok(gb_graph_instantiate(&g, model, batches[b], NULL, 0));
            const gb_shape *out = &g->out[0]->shape;
            if (g->n_node != models[m].nodes)
                fail_msg("%s: %zu nodes are left", models[m].path, g->n_node);
            assert_int_equal(batches[b], g->in[0]->shape.dim[0]);
            assert_int_equal(models[m].rank, out->rank);
            assert_int_equal(batches[b], out->dim[0]);
            assert_int_equal(models[m].classes, out->dim[1]);
            assert_int_equal(batches[b] * models[m].classes, gb_shape_count(out));
            assert_string_equal(model->out[0]->name, g->out[0]->name);
            for (size_t i = 0; i < g->n_node; i++) // no shape arithmetic is left
                assert_true(g->node[i]->out[0]->type == GB_F32 && g->node[i]->op);
            gb_graph_free(g);
        }
        gb_graph_free(model);
    }
}

// --- small models ---

static gb_graph *decode(onnx_builder *b)
{
    size_t size;
    uint8_t *bytes = onnx_pack(b, &size);
    gb_graph *g = NULL;
    assert_ok(gb_onnx_decode(&g, bytes, size, "test", NULL));
    free(bytes);
    onnx_finish(b);
    return g;
}

static void begin(onnx_builder *b, int64_t batch)
{
    onnx_init(b, 17);
    onnx_input(b, "x", 4, (int64_t[]){batch, 6, 4, 4});
}

static void expect_shape(const gb_graph *g, const char *want)
{
    char text[160];
    assert_string_equal(want, gb_shape_text(text, sizeof text, &g->out[0]->shape));
}

static void expect_refused(gb_graph *model, int64_t batch, const char *words)
{
    gb_graph *g;
    assert_err(GB_ERR_UNSUPPORTED, gb_graph_instantiate(&g, model, batch, NULL, 0));
    assert_null(g);
    if (!strstr(gb_last_error(), words))
        fail_msg("'%s' is not in: %s", words, gb_last_error());
    gb_graph_free(model);
}

// The batch stays outermost, whether the shape says it or only implies it.
static void reshape_at_another_batch(void **state)
{
    static const struct {
        int n;
        int64_t dims[6];
        const char *want;
    } cases[] = {
        {2, {1, 96}, "3x96"},          {2, {1, -1}, "3x96"},       {3, {1, 6, 16}, "3x6x16"},
        {5, {1, 2, 3, 4, 4}, "3x2x3x4x4"}, {2, {-1, 96}, "3x96"}, {2, {0, 96}, "3x96"},
        {3, {1, 0, -1}, "3x6x16"},
    };
    (void)state;
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        onnx_builder b;
        gb_graph *g;
        begin(&b, 1);
        onnx_init_i64(&b, "shape", 1, (int64_t[]){cases[i].n}, cases[i].dims);
        onnx_node(&b, "Reshape", "x,shape", "y");
        onnx_output(&b, "y", 0, NULL);
        gb_graph *model = decode(&b);
        assert_ok(gb_graph_instantiate(&g, model, 3, NULL, 0));
        expect_shape(g, cases[i].want);
        assert_int_equal(1, g->batch_in_model);
        gb_graph_free(g);
        gb_graph_free(model);
    }
}

// Sequence first, heads split off and merged: L x B x E, L x (B heads) x d, (L B) x E, L x B x E.
static void sequence_first(void **state)
{
    onnx_builder b;
    gb_graph *g;
    (void)state;
    begin(&b, 1);
    onnx_init_i64(&b, "s1", 1, (int64_t[]){3}, (int64_t[]){1, 6, 16});
    onnx_init_i64(&b, "s2", 1, (int64_t[]){3}, (int64_t[]){6, 4, 4});
    onnx_init_i64(&b, "s3", 1, (int64_t[]){4}, (int64_t[]){6, 1, 4, 4});
    onnx_init_i64(&b, "s4", 1, (int64_t[]){2}, (int64_t[]){6, 16});
    onnx_init_f32(&b, "w", 2, (int64_t[]){16, 5}, (float[80]){0});
    onnx_init_i64(&b, "s5", 1, (int64_t[]){3}, (int64_t[]){6, 1, 5});
    onnx_node(&b, "Reshape", "x,s1", "a");
    onnx_attr_ints(&b, onnx_node(&b, "Transpose", "a", "t"), "perm", 3, (int64_t[]){1, 0, 2});
    onnx_node(&b, "Reshape", "t,s2", "heads");
    onnx_node(&b, "Relu", "heads", "r");
    onnx_node(&b, "Reshape", "r,s3", "merged");
    onnx_node(&b, "Reshape", "merged,s4", "rows");
    onnx_node(&b, "MatMul", "rows,w", "m");
    onnx_node(&b, "Reshape", "m,s5", "back");
    onnx_attr_ints(&b, onnx_node(&b, "Transpose", "back", "y"), "perm", 3, (int64_t[]){1, 0, 2});
    onnx_output(&b, "y", 0, NULL);
    gb_graph *model = decode(&b);
    assert_ok(gb_graph_instantiate(&g, model, 2, NULL, 0));
    expect_shape(g, "2x6x5");
    char *dump = gb_graph_dump(g);
    assert_non_null(strstr(dump, "6x8x4"));
    assert_non_null(strstr(dump, "12x16"));
    free(dump);
    gb_graph_free(g);
    gb_graph_free(model);
}

// A class token that the exporter expanded to its batch of one.
static void class_token(void **state)
{
    onnx_builder b;
    gb_graph *g;
    float token[] = {1, 2, 3, 4};
    (void)state;
    begin(&b, 1);
    onnx_init_f32(&b, "token", 4, (int64_t[]){1, 1, 1, 4}, token);
    onnx_init_i64(&b, "shape", 1, (int64_t[]){4}, (int64_t[]){1, 1, 4, 4});
    onnx_node(&b, "Expand", "token,shape", "wide");
    onnx_attr_int(&b, onnx_node(&b, "Concat", "wide,x", "y"), "axis", 1);
    onnx_output(&b, "y", 0, NULL);
    gb_graph *model = decode(&b);
    assert_ok(gb_graph_instantiate(&g, model, 3, NULL, 0));
    expect_shape(g, "3x7x4x4");
    const gb_tensor *t = g->node[0]->in[0]->data;
    assert_int_equal(3, t->shape.dim[0]);
    assert_true(gb_tensor_get(t, 2 * 16 + 5) == 2);
    gb_graph_free(g);
    gb_graph_free(model);
}

// Flattened and gathered again, which is how as_strided is exported.
static void gather_of_everything(void **state)
{
    onnx_builder b;
    gb_graph *g;
    int64_t all[96];
    (void)state;
    for (int i = 0; i < 96; i++)
        all[i] = i;
    begin(&b, 1);
    onnx_init_i64(&b, "flat", 1, (int64_t[]){1}, (int64_t[]){-1});
    onnx_init_i64(&b, "all", 3, (int64_t[]){1, 6, 16}, all);
    onnx_node(&b, "Reshape", "x,flat", "f");
    onnx_node(&b, "Gather", "f,all", "y");
    onnx_output(&b, "y", 0, NULL);
    gb_graph *model = decode(&b);
    assert_ok(gb_graph_instantiate(&g, model, 3, NULL, 0));
    expect_shape(g, "3x6x16");
    gb_graph_free(g);
    gb_graph_free(model);
}

static void refused(void **state)
{
    onnx_builder b;
    (void)state;
    begin(&b, 1); // the images end up in a matrix's rows, which the weights do not fit
    onnx_init_f32(&b, "w", 2, (int64_t[]){96, 2}, (float[192]){0});
    onnx_attr_int(&b, onnx_node(&b, "Flatten", "x", "f"), "axis", 0);
    onnx_node(&b, "MatMul", "f,w", "y");
    onnx_output(&b, "y", 0, NULL);
    expect_refused(decode(&b), 2, "only runs at its own batch of 1");

    begin(&b, 1);
    onnx_init_i64(&b, "shape", 1, (int64_t[]){1}, (int64_t[]){96});
    onnx_node(&b, "Reshape", "x,shape", "y");
    onnx_output(&b, "y", 0, NULL);
    expect_refused(decode(&b), 2, "no dimension for the batch");

    begin(&b, 4);
    onnx_attr_int(&b, onnx_node(&b, "Softmax", "x", "y"), "axis", 0);
    onnx_output(&b, "y", 0, NULL);
    expect_refused(decode(&b), 2, "depends on the rest of its batch");

    onnx_init(&b, 17);
    onnx_input(&b, "x", 4, (int64_t[]){-1, 3, -1, -1});
    onnx_node(&b, "Relu", "x", "y");
    onnx_output(&b, "y", 0, NULL);
    expect_refused(decode(&b), 1, "only the batch may be open");

    begin(&b, -1);
    onnx_node(&b, "Relu", "x", "a");
    onnx_node(&b, "NoSuch", "a", "b");
    onnx_node(&b, "Neither", "b", "c");
    onnx_node(&b, "NoSuch", "c", "y");
    onnx_output(&b, "y", 0, NULL);
    expect_refused(decode(&b), 1, "NoSuch (2), Neither (1)");

    begin(&b, -1); // 2^40 elements
    onnx_init_i64(&b, "shape", 1, (int64_t[]){2}, (int64_t[]){1 << 20, 1 << 20});
    onnx_node(&b, "ConstantOfShape", "shape", "c");
    onnx_node(&b, "ReduceMax", "c", "m");
    onnx_node(&b, "Add", "x,m", "y");
    onnx_output(&b, "y", 0, NULL);
    expect_refused(decode(&b), 1, "makes a constant of 1099511627776 elements");
}

// The input plus the largest element of what `type` makes of a tensor of ones (twice the tensor
// where it takes two inputs).
static gb_graph *plus_constant(const char *type, int n_in, int rank, const int64_t *shape,
                               int64_t window)
{
    onnx_builder b;
    begin(&b, -1);
    onnx_init_i64(&b, "shape", 1, (int64_t[]){rank}, shape);
    onnx_node(&b, "ConstantOfShape", "shape", "c");
    Onnx__NodeProto *node = onnx_node(&b, type, n_in == 2 ? "c,c" : "c", "m");
    if (window)
        onnx_attr_ints(&b, node, "kernel_shape", 2, (int64_t[]){window, window});
    onnx_attr_int(&b, onnx_node(&b, "ReduceMax", "m", "r"), "keepdims", 0);
    onnx_node(&b, "Add", "x,r", "y");
    onnx_output(&b, "y", 0, NULL);
    return decode(&b);
}

// A few bytes of a file that are hours of work on the host are left to the device.
static void folding_has_a_budget(void **state)
{
    static const struct {
        const char *type;
        int n_in, rank;
        int64_t shape[4], window;
        size_t nodes; // that remain
    } cases[] = {
        {"MatMul", 2, 2, {4096, 4096}, 0, 3},   {"MatMul", 2, 2, {256, 256}, 0, 1},
        {"Gemm", 2, 2, {3000, 3000}, 0, 3},     {"Conv", 2, 4, {16, 16, 9, 9}, 0, 1},
        {"Conv", 2, 4, {64, 64, 65, 65}, 0, 3}, {"MaxPool", 1, 4, {1, 1, 500, 500}, 9, 1},
        {"MaxPool", 1, 4, {1, 1, 2000, 2000}, 999, 3},
        {"AveragePool", 1, 4, {1, 1, 4000, 4000}, 999, 3},
        {"Exp", 1, 1, {100000000}, 0, 3},       {"Exp", 1, 1, {1000000}, 0, 1},
    };
    (void)state;
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_graph *g, *model = plus_constant(cases[i].type, cases[i].n_in, cases[i].rank,
                                            cases[i].shape, cases[i].window);
        assert_ok(gb_graph_instantiate(&g, model, 1, NULL, 0));
        if (g->n_node != cases[i].nodes)
            fail_msg("%s (%zu): %zu nodes are left", cases[i].type, i, g->n_node);
        gb_graph_free(g);
        gb_graph_free(model);
    }
}

// Many nodes that are small each, and integers, which the device does not compute.
static void long_integer_work_is_refused(void **state)
{
    onnx_builder b;
    char in[2][24] = {"c,c", ""}, out[24] = "c";
    (void)state;
    begin(&b, -1);
    onnx_init_i64(&b, "n", 1, (int64_t[]){1}, (int64_t[]){1 << 20});
    onnx_init_i64(&b, "zero", 0, NULL, (int64_t[]){0});
    onnx_init_i64(&b, "one", 0, NULL, (int64_t[]){1});
    onnx_init_i64(&b, "end", 0, NULL, (int64_t[]){1 << 20});
    onnx_node(&b, "Range", "zero,end,one", "c");
    for (int i = 0; i < 1000; i++) {
        snprintf(out, sizeof out, "c%d", i);
        onnx_node(&b, "Add", in[i % 2], out);
        snprintf(in[(i + 1) % 2], sizeof in[0], "c%d,c", i);
    }
    onnx_attr_int(&b, onnx_node(&b, "Cast", out, "f"), "to", 1);
    onnx_attr_int(&b, onnx_node(&b, "ReduceMax", "f", "r"), "keepdims", 0);
    onnx_node(&b, "Add", "x,r", "y");
    onnx_output(&b, "y", 0, NULL);
    expect_refused(decode(&b), 1, "would take more than 2 s beforehand");
}

// Constants on the way to others are freed once they are read; what nodes and outputs read stays.
static void folded_constants_go_when_they_are_read(void **state)
{
    onnx_builder b;
    gb_graph *g;
    size_t kept = 0;
    (void)state;
    begin(&b, -1);
    onnx_init_i64(&b, "shape", 1, (int64_t[]){1}, (int64_t[]){4});
    onnx_node(&b, "ConstantOfShape", "shape", "a");
    onnx_node(&b, "Cos", "a", "b");
    onnx_node(&b, "Add", "b,b", "c");
    onnx_node(&b, "Exp", "c", "d");
    onnx_node(&b, "Sum", "a,c,d", "e");
    onnx_node(&b, "Mul", "x,e", "f");
    onnx_node(&b, "Add", "f,c", "y");
    onnx_output(&b, "y", 0, NULL);
    onnx_output(&b, "d", 0, NULL);
    gb_graph *model = decode(&b);
    assert_ok(gb_graph_instantiate(&g, model, 1, NULL, 0));
    for (size_t i = 0; i < g->n_value; i++) {
        const gb_value *v = g->value[i];
        const bool read = !strcmp(v->name, "c") || !strcmp(v->name, "d") || !strcmp(v->name, "e");
        if (!v->data || v->type != GB_F32)
            continue;
        if (!read)
            fail_msg("%s is kept", v->name);
        kept++;
        for (int k = 0; k < 4; k++)
            assert_float_equal(gb_tensor_get(v->data, k), *v->name == 'c' ? 2 : *v->name == 'd'
                               ? 7.38905609893065 : 9.38905609893065, 1e-5);
    }
    assert_int_equal(3, kept);
    gb_graph_free(g);
    gb_graph_free(model);
}

static void noops_go(void **state)
{
    onnx_builder b;
    gb_graph *g;
    (void)state;
    begin(&b, -1);
    onnx_init_i64(&b, "zeros", 1, (int64_t[]){8}, (int64_t[8]){0});
    onnx_init_i64(&b, "starts", 1, (int64_t[]){1}, (int64_t[]){-1});
    onnx_init_i64(&b, "ends", 1, (int64_t[]){1}, (int64_t[]){INT64_MIN});
    onnx_init_i64(&b, "axes", 1, (int64_t[]){1}, (int64_t[]){3});
    onnx_init_i64(&b, "steps", 1, (int64_t[]){1}, (int64_t[]){-1});
    onnx_node(&b, "Identity", "x", "a");
    onnx_node(&b, "Dropout", "a", "b");
    onnx_attr_int(&b, onnx_node(&b, "Cast", "b", "c"), "to", 1);
    onnx_node(&b, "Pad", "c,zeros", "d");
    onnx_node(&b, "Slice", "d,starts,ends,axes,steps", "e"); // a flip keeps the shape
    onnx_node(&b, "Identity", "e", "y");                      // an output keeps its name
    onnx_output(&b, "y", 0, NULL);
    gb_graph *model = decode(&b);
    assert_ok(gb_graph_instantiate(&g, model, 0, NULL, 0));
    assert_int_equal(1, g->batch);
    assert_int_equal(2, g->n_node);
    assert_string_equal("Slice", g->node[0]->type);
    assert_ptr_equal(g->in[0], g->node[0]->in[0]);
    assert_string_equal("y", g->out[0]->name);
    gb_graph_free(g);
    gb_graph_free(model);
}

static void bound_inputs(void **state)
{
    onnx_builder b;
    gb_graph *g;
    double indices[] = {2, 0};
    gb_tensor t = {.type = GB_F64, .shape = {.rank = 1, .dim = {2}}, .data = indices};
    gb_binding binding = {.name = "w", .data = &t};
    (void)state;
    begin(&b, -1);
    onnx_input(&b, "w", 1, (int64_t[]){-1});
    onnx_attr_int(&b, onnx_node(&b, "Cast", "w", "i"), "to", 7);
    onnx_attr_int(&b, onnx_node(&b, "Gather", "x,i", "y"), "axis", 1);
    onnx_output(&b, "y", 0, NULL);
    gb_graph *model = decode(&b);
    assert_err(GB_ERR_UNSUPPORTED, gb_graph_instantiate(&g, model, 2, NULL, 0));
    assert_ok(gb_graph_instantiate(&g, model, 2, &binding, 1));
    assert_int_equal(1, g->n_in);
    assert_int_equal(1, g->n_node);
    expect_shape(g, "2x2x4x4");
    gb_graph_free(g);
    binding.name = "nobody";
    assert_err(GB_ERR_ARG, gb_graph_instantiate(&g, model, 2, &binding, 1));
    gb_graph_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_models),     cmocka_unit_test(reshape_at_another_batch),
        cmocka_unit_test(sequence_first),  cmocka_unit_test(class_token),
        cmocka_unit_test(refused),         cmocka_unit_test(noops_go),
        cmocka_unit_test(folding_has_a_budget),
        cmocka_unit_test(long_integer_work_is_refused),
        cmocka_unit_test(folded_constants_go_when_they_are_read),
        cmocka_unit_test(bound_inputs),    cmocka_unit_test(gather_of_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
