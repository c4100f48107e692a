// Choices: every way to compute a layer is taken when it was chosen, and gives the result that it
// should; what is chosen for other layers, or is no way at all, changes nothing.
#include "support/device.h"

#include "engine/internal.h"
#include "engine/selftest.h"
#include "op/choice.h"
#include "op/product.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IMAGES = 2, C = 40, SIDE = 9, COUNT = IMAGES * C * SIDE * SIDE, MOST_WAYS = 16 };

// A 3x3 and a 1x1 convolution, so that there are layers with and without Winograd; and one whose
// channels are no multiple of any vector, with sums over several taps and more blocks than one.
static const gb_case square = {"Conv", 11, "2x40x9x9 =40x40x3x3 =40", "pads=1,1,1,1"};
static const gb_case plain = {"Conv", 11, "2x40x9x9 =40x40x1x1 =40", NULL, "Relu"};
static const gb_case odd = {"Conv", 11, "2x37x9x9 =37x37x3x3 =37", "pads=1,1,1,1 dilations=2,2",
                            "Add Relu"};
static const gb_case *const convolutions[] = {&odd, &plain, &square};

// How many of them: the last one shows a checking device nothing that the first one does not.
static size_t convolution_count(void)
{
    return GB_COUNT(convolutions) - (getenv("GIBBON_TEST_SMALL") != NULL);
}

typedef struct result {
    float y[COUNT], dx[COUNT];
    char forward[32], backward[32];   // the ways taken
    char forward_key[96], backward_key[96];
    char program[128]; // that a record would name
} result;

static void run_on(gb_device *dev, result *r, const gb_case *c, const gb_choices *choices)
{
    gb_graph *graph = NULL;
    gb_session *s = NULL;
    gb_arena arena = {0};
    assert_ok(gb_case_graph(&graph, c, GB_CASE_PLAIN));
    gb_session_options options = {.batch = IMAGES, .grad = true, .seed = graph->out[0]->name,
                                  .choices = choices};
    assert_ok(gb_session_create(&s, dev, graph, &options));
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < s->emit.n_launch; i++) {
        const gb_launch *l = s->emit.launch[i];
        if (!l->way)
            continue;
        snprintf(l->backward ? r->backward : r->forward, sizeof r->forward, "%s", l->way);
        snprintf(l->backward ? r->backward_key : r->forward_key, sizeof r->forward_key, "%s",
                 l->key ? l->key : "");
    }
    assert_true(*r->forward && *r->backward);
    gb_session_identity identity;
    assert_ok(gb_session_identify(&identity, s));
    snprintf(r->program, sizeof r->program, "%s", identity.program);
    assert_true(gb_shape_count(&graph->in[0]->shape) <= COUNT &&
                gb_shape_count(&graph->out[0]->shape) <= COUNT);
    for (size_t i = 0; i < graph->n_in; i++) {
        gb_tensor *x = gb_tensor_create(&arena, GB_F32, &graph->in[i]->shape);
        assert_non_null(x);
        gb_case_fill(x, graph, i);
        assert_ok(gb_session_upload(s, gb_session_input(s, i), x->data));
    }
    for (int i = 0; i < COUNT; i++)
        r->y[i] = sinf((float)i);
    assert_ok(gb_session_upload(s, gb_session_seed(s), r->y));
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_session_download(s, gb_session_output(s, 0), r->y));
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), r->dx));
    gb_session_free(s);
    gb_graph_free(graph);
    gb_arena_finish(&arena);
}

static void run(result *r, const gb_case *c, const gb_choices *choices)
{
    run_on(test_device(), r, c, choices);
}

static void assert_near(const float *got, const float *expected)
{
    double error = 0, norm = 0;
    for (int i = 0; i < COUNT; i++) {
        error += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
        norm += (double)expected[i] * expected[i];
    }
    assert_true(error <= 5e-6 * 5e-6 * norm);
}

static void test_every_way(void **state)
{
    static result off, got;
    const gb_device_info *info = gb_device_get_info(test_device());
    const char *ways[MOST_WAYS] = {"winograd 2", "winograd 4"};
    const size_t winograds = info->wide ? 0 : 2;
    size_t count = winograds;
    (void)state;
    for (const char *const *w = gb_gathered_ways(info); *w && count < MOST_WAYS; w++)
        ways[count++] = *w;
    for (size_t k = 0; k < convolution_count(); k++) {
        setenv("GIBBON_WINOGRAD", "off", 1);
        run(&off, convolutions[k], NULL);
        unsetenv("GIBBON_WINOGRAD");
        for (size_t i = convolutions[k] == &square ? 0 : winograds; i < count; i++) {
            gb_choice entry[] = {{off.forward_key, (char *)ways[i]},
                                 {off.backward_key, (char *)ways[i]}};
            run(&got, convolutions[k], &(gb_choices){entry, GB_COUNT(entry)});
            assert_string_equal(ways[i], got.forward);
            assert_string_equal(ways[i], got.backward);
            assert_string_equal(off.forward_key, got.forward_key);
            if (strncmp(ways[i], "gemm", 4)) {
                assert_string_not_equal(got.program, off.program);
                assert_near(got.y, off.y);
                assert_near(got.dx, off.dx);
                continue;
            }
            assert_string_equal(got.program, off.program);
            assert_memory_equal(got.y, off.y, sizeof off.y); // a tile changes no sum
            assert_memory_equal(got.dx, off.dx, sizeof off.dx);
        }
    }
}

// Nor does the form of the kernels: processors' and graphics' have the same bits.
static void test_forms(void **state)
{
    static result here, got;
    const char *spec = getenv("GIBBON_TEST_DEVICE"), *form = getenv("GIBBON_KERNEL_FORM");
    gb_device *dev = NULL;
    (void)state;
    if (gb_device_get_info(test_device())->precision)
        skip(); // other forms compute in float32 alone
    char *before = form ? strdup(form) : NULL;
    setenv("GIBBON_KERNEL_FORM",
           gb_device_get_info(test_device())->wide ? "cpu8" : "gpu", 1);
    assert_ok(gb_device_open(&dev, spec ? spec : "any", NULL));
    setenv("GIBBON_WINOGRAD", "off", 1);
    for (size_t k = 0; k < convolution_count(); k++) {
        run(&here, convolutions[k], NULL);
        run_on(dev, &got, convolutions[k], NULL);
        assert_memory_equal(got.y, here.y, sizeof got.y);
        assert_memory_equal(got.dx, here.dx, sizeof got.dx);
    }
    unsetenv("GIBBON_WINOGRAD");
    gb_device_close(dev);
    if (before)
        setenv("GIBBON_KERNEL_FORM", before, 1);
    else
        unsetenv("GIBBON_KERNEL_FORM");
    free(before);
}

// A checking device has no use for CLBlast's kernels: they are not ours, and take it ten minutes.
// (Oclgrind 21.10 also ends with a damaged heap behind them.) CLBlast computes in float32 alone.
static void need_clblast(void)
{
    if (getenv("GIBBON_TEST_SMALL") || gb_device_get_info(test_device())->precision)
        skip();
}

// CLBlast computes what is a plain product, the epilogue follows: bias, residual and activation, in
// a gradient the mask or the slopes of the layer before.
static void test_clblast(void **state)
{
    static result off, got;
    static const gb_case cases[] = {
        {"Conv", 11, "2x37x9x9 =37x37x1x1 =37", NULL, "Add Relu Conv1"},
        {"Conv", 14, "2x37x9x9 =37x37x1x1", NULL, "HardSwish Conv1"},
        {"MatMul", 13, "2x9x40 =40x33", NULL, "Relu"},
        {"Gemm", 13, "2x40 =33x40 =33", "transB=1"},
    };
    // Of both convolutions of the first cases.
    gb_choice entry[6] = {{"F 1x37>37 at 81 of 81", GB_WAY_CLBLAST},
                          {"F 1x37>40 at 81 of 81", GB_WAY_CLBLAST},
                          {"B 1x37>37 at 81 of 81", GB_WAY_CLBLAST},
                          {"B 1x40>37 at 81 of 81", GB_WAY_CLBLAST}};
    (void)state;
    need_clblast();
    for (size_t k = 0; k < GB_COUNT(cases); k++) {
        run(&off, &cases[k], NULL);
        entry[4] = (gb_choice){off.forward_key, GB_WAY_CLBLAST};
        entry[5] = (gb_choice){off.backward_key, GB_WAY_CLBLAST};
        run(&got, &cases[k], &(gb_choices){entry, GB_COUNT(entry)});
        assert_string_equal("clblast", got.forward);
        assert_string_equal("clblast", got.backward);
        assert_string_equal(off.forward_key, got.forward_key);
        assert_near(got.y, off.y);
        assert_near(got.dx, off.dx);
    }
    // No plain product: a window, a stride, groups.
    static const char *const others[][2] = {{"2x40x9x9 =40x40x3x3 =40", "pads=1,1,1,1"},
                                            {"2x40x9x9 =40x40x1x1 =40", "strides=2,2"},
                                            {"2x40x9x9 =40x20x1x1 =40", "group=2"}};
    for (size_t k = 0; k < GB_COUNT(others); k++) {
        const gb_case c = {"Conv", 11, others[k][0], others[k][1]};
        run(&off, &c, NULL);
        entry[4] = (gb_choice){off.forward_key, GB_WAY_CLBLAST};
        entry[5] = (gb_choice){off.backward_key, GB_WAY_CLBLAST};
        run(&got, &c, &(gb_choices){entry, GB_COUNT(entry)});
        assert_string_not_equal("clblast", got.forward);
        assert_string_not_equal("clblast", got.backward);
        assert_near(got.y, off.y);
    }
}

static const gb_case products[] = {{"MatMul", 13, "2x3x17x20 2x3x20x19"},
                                   {"MatMul", 13, "2x17x20 2x20x7"}};

// Products of two activations: every tile has the same bits.
static void test_products(void **state)
{
    static result off, got;
    const char *const *ways = gb_product_ways(gb_device_get_info(test_device()));
    (void)state;
    for (size_t k = 0; k < GB_COUNT(products); k++) {
        run(&off, &products[k], NULL);
        for (const char *const *way = ways; *way; way++) {
            gb_choice entry[] = {{off.forward_key, (char *)*way}, {off.backward_key, (char *)*way}};
            run(&got, &products[k], &(gb_choices){entry, GB_COUNT(entry)});
            assert_string_equal(*way, got.forward);
            assert_string_equal(*way, got.backward);
            assert_memory_equal(got.y, off.y, sizeof off.y);
            assert_memory_equal(got.dx, off.dx, sizeof off.dx);
        }
    }
}

// Factors that a BLAS reads: matrices of rank 3 lie transposed here (NHWC), those of rank 4 with
// strides both ways.
static void test_products_clblast(void **state)
{
    static result off, got;
    (void)state;
    need_clblast();
    run(&off, &products[1], NULL);
    gb_choice entry[] = {{off.forward_key, GB_WAY_CLBLAST}, {off.backward_key, GB_WAY_CLBLAST}};
    run(&got, &products[1], &(gb_choices){entry, GB_COUNT(entry)});
    assert_string_equal("clblast", got.forward);
    assert_string_equal("clblast", got.backward);
    assert_near(got.y, off.y);
    assert_near(got.dx, off.dx);
}

static void test_no_way(void **state)
{
    static result before, got;
    (void)state;
    if (getenv("GIBBON_TEST_SMALL"))
        skip(); // the usual way again and again
    run(&before, &square, NULL);
    char *strange[] = {"gemm 0x32", "gemm 14x33", "gemm 99x16", "winograd 5", "lapack", "",
                       "gemm_gpu 64x64", "gemm_gpu 64x64 2x2", "gemm_gpu 256x256 8x8"};
    gb_choice other = {"F 1x2>3 at 4 of 5", "gemm 8x16"};
    run(&got, &square, &(gb_choices){&other, 1});
    assert_string_equal(before.forward, got.forward);
    for (size_t i = 0; i < GB_COUNT(strange); i++) {
        gb_choice entry = {before.forward_key, strange[i]};
        run(&got, &square, &(gb_choices){&entry, 1});
        assert_near(got.y, before.y);
        assert_string_not_equal(strange[i], got.forward);
    }
}

// The batch is no part of what a layer is looked up by.
static void test_key(void **state)
{
    static result one, two;
    (void)state;
    run(&one, &square, NULL);
    run(&two, &plain, NULL);
    assert_string_equal("F 9x40>40 at 81 of 81", one.forward_key);
    assert_string_equal("B 9x40>40 at 81 of 81", one.backward_key);
    assert_string_equal("F 1x40>40 at 81 of 81", two.forward_key);
    // Nor is it of a product's; where images may be its rows, there is no key.
    static const gb_case attention = {"MatMul", 13, "2x3x17x20 2x3x20x19"};
    static const gb_case rows = {"MatMul", 13, "2x20 20x19"};
    run(&one, &attention, NULL);
    run(&two, &rows, NULL);
    assert_string_equal("F product ss 17x20x19 in 3", one.forward_key);
    assert_string_equal("", two.forward_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_clblast),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_products_clblast),
        cmocka_unit_test(test_no_way),
        cmocka_unit_test(test_key),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
