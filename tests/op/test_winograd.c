// Winograd convolutions on the device: every case that they can compute against the host, many
// channels against the gathered GEMM, the same bits in every batch, and when they are chosen.
#include "support/device.h"

#include "engine/selftest.h"
#include "engine/session.h"
#include "onnx/load.h"
#include "op/op.h"
#include "op/winograd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const tiles[] = {"2", "4"};

// The window of a case's convolution; false if the case has none.
static bool window_of(gb_window *w, const gb_case *c)
{
    gb_graph *graph = NULL;
    bool found = false;
    if (strcmp(c->op, "Conv"))
        return false;
    assert_ok(gb_case_graph(&graph, c, GB_CASE_PLAIN));
    for (size_t i = 0; i < graph->n_node; i++) {
        if (!strcmp(graph->node[i]->op->name, "Conv")) {
            assert_ok(gb_window_read(graph->node[i], w));
            found = true;
        }
    }
    gb_graph_free(graph);
    return found;
}

static void test_cases(void **state)
{
    gb_device *dev = test_device();
    gb_case_form forms = getenv("GIBBON_TEST_SMALL") ? GB_CASE_SLICED : GB_CASE_FORMS;
    gb_window w;
    (void)state;
    for (size_t t = 0; t < 2; t++) {
        int run = 0;
        setenv("GIBBON_WINOGRAD", tiles[t], 1);
        for (size_t i = 0; i < gb_case_count; i++) {
            if (!window_of(&w, &gb_cases[i]) ||
                !gb_winograd_choose(gb_device_get_info(dev), NULL, &w, false))
                continue;
            for (gb_case_form form = 0; form < forms; form++)
                if (gb_case_has_form(&gb_cases[i], form) &&
                    gb_case_run(dev, &gb_cases[i], form) < 0)
                    fail_msg("F(%s): %s", tiles[t], gb_last_error());
            run++;
        }
        unsetenv("GIBBON_WINOGRAD");
        print_message("F(%s): %d cases\n", tiles[t], run);
        assert_true(run >= 6);
    }
}

// What a case's output and input gradient are, for a batch of `images` that starts at `first`.
static void run(const char *winograd, const gb_case *c, int64_t first, int64_t images, float *y,
                float *dx)
{
    gb_graph *graph = NULL;
    gb_session *s = NULL;
    gb_arena arena = {0};
    assert_ok(gb_case_graph(&graph, c, GB_CASE_PLAIN));
    setenv("GIBBON_WINOGRAD", winograd, 1);
    gb_session_options options = {.batch = images, .grad = true, .seed = graph->out[0]->name};
    int err = gb_session_create(&s, test_device(), graph, &options);
    unsetenv("GIBBON_WINOGRAD");
    assert_ok(err);
    gb_tensor *x = gb_tensor_create(&arena, GB_F32, &graph->in[0]->shape);
    assert_non_null(x);
    gb_case_fill(x, graph, 0);
    int64_t per_image = gb_shape_count(&x->shape) / x->shape.dim[0];
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), (float *)x->data + first * per_image));
    const gb_io *out = gb_session_output(s, 0);
    int64_t count = gb_shape_count(&out->shape);
    for (int64_t i = 0; i < count; i++)
        y[i] = sinf((float)(i + first * (count / images)));
    assert_ok(gb_session_upload(s, gb_session_seed(s), y));
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_session_download(s, out, y));
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), dx));
    gb_session_free(s);
    gb_graph_free(graph);
    gb_arena_finish(&arena);
}

static void compare(const float *got, const float *expected, size_t n, const char *what)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)got[i] - expected[i]) * ((double)got[i] - expected[i]);
        norm += (double)expected[i] * expected[i];
    }
    print_message("%s: %.2g\n", what, sqrt(error / norm));
    assert_true(error <= 5e-6 * 5e-6 * norm); // false for NaN, too
}

enum { DEEP = 1040, DEEP_OUT = 33, SIDE_Y = 15, SIDE_X = 18 };

// So many channels that they are summed in several chunks.
static void test_many_channels(void **state)
{
    static const gb_case deep = {"Conv", 11, "1x1040x15x18 =33x1040x3x3 =33", "pads=1,1,1,1"};
    enum { Y = DEEP_OUT * SIDE_Y * SIDE_X, X = DEEP * SIDE_Y * SIDE_X };
    static float y[3][Y], dx[3][X];
    (void)state;
    if (getenv("GIBBON_TEST_SMALL"))
        skip();
    run("off", &deep, 0, 1, y[0], dx[0]);
    for (int t = 0; t < 2; t++) {
        run(tiles[t], &deep, 0, 1, y[1 + t], dx[1 + t]);
        compare(y[1 + t], y[0], Y, "output");
        compare(dx[1 + t], dx[0], X, "gradient");
        assert_memory_not_equal(y[1 + t], y[0], sizeof y[0]); // it was another algorithm
    }
}

static void test_any_batch(void **state)
{
    static const gb_case three = {"Conv", 11, "3x40x13x11 =37x40x3x3 =37", "pads=1,1,1,1", "Relu"};
    enum { Y = 37 * 13 * 11, X = 40 * 13 * 11 };
    static float y[3 * Y], dx[3 * X], y1[Y], dx1[X];
    (void)state;
    if (getenv("GIBBON_TEST_SMALL"))
        skip();
    for (int t = 0; t < 2; t++) {
        run(tiles[t], &three, 0, 3, y, dx);
        for (int image = 0; image < 3; image++) {
            run(tiles[t], &three, image, 1, y1, dx1);
            assert_memory_equal(y1, y + image * Y, sizeof y1);
            assert_memory_equal(dx1, dx + image * X, sizeof dx1);
        }
    }
}

// Reads `n` floats of a shared file; skips the test where it is absent.
static void read_shared(float *out, size_t n, const char *name)
{
    char path[1000];
    const char *shared = getenv("GIBBON_SHARED");
    snprintf(path, sizeof path, "%s/data/ref/%s", shared ? shared : "../shared", name);
    FILE *f = fopen(path, "rb");
    if (!f) {
        print_message("no %s here\n", path);
        skip();
    }
    size_t got = fread(out, sizeof *out, n, f);
    fclose(f);
    assert_int_equal(n, got);
}

// ResNet-20: logits against PyTorch's, and an input gradient against the gathered GEMM's.
static void test_model(void **state)
{
    enum { PIXELS = 3 * 32 * 32, CLASSES = 10 };
    static const char *const algorithms[] = {"off", "2", "4"};
    static float x[PIXELS], logits[CLASSES], y[CLASSES], dx[3][PIXELS];
    char path[1000];
    const char *shared = getenv("GIBBON_SHARED");
    gb_graph *model = NULL;
    (void)state;
    if (getenv("GIBBON_TEST_SMALL"))
        skip();
    read_shared(x, PIXELS, "cifar10_resnet20_c0_input.f32");
    read_shared(logits, CLASSES, "cifar10_resnet20_c0_output.f32");
    snprintf(path, sizeof path, "%s/data/models/cifar10_resnet20.onnx",
             shared ? shared : "../shared");
    assert_ok(gb_onnx_load(&model, path));
    for (int a = 0; a < 3; a++) {
        gb_session_options options = {.batch = 1, .grad = true, .seed = model->out[0]->name};
        gb_session *s = NULL;
        setenv("GIBBON_WINOGRAD", algorithms[a], 1);
        int err = gb_session_create(&s, test_device(), model, &options);
        unsetenv("GIBBON_WINOGRAD");
        assert_ok(err);
        assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
        assert_ok(gb_session_upload(s, gb_session_seed(s), logits));
        assert_ok(gb_session_gradient(s));
        assert_ok(gb_session_download(s, gb_session_output(s, 0), y));
        assert_ok(gb_session_download(s, gb_session_grad(s, 0), dx[a]));
        gb_session_free(s);
        compare(y, logits, CLASSES, "logits");
        compare(dx[a], dx[0], PIXELS, "gradient");
    }
    gb_graph_free(model);
}

static gb_window layer(int64_t batch, int64_t size, int64_t channels)
{
    return (gb_window){.rank = 2, .batch = batch, .c_in = channels, .c_out = channels, .groups = 1,
                       .in = {1, size, size}, .out = {1, size, size}, .kernel = {1, 3, 3},
                       .stride = {1, 1, 1}, .dilation = {1, 1, 1}, .pad_begin = {0, 1, 1},
                       .pad_end = {0, 1, 1}};
}

static void test_choice(void **state)
{
    const gb_device_info cpu = {.type = GB_DEVICE_CPU, .compute_units = 2, .vector_width = 16,
                                .local_memory = 1 << 20};
    gb_device_info small = cpu;
    (void)state;
    gb_window w = layer(1, 56, 64);
    assert_int_equal(4, gb_winograd_choose(&cpu, NULL, &w, false));
    assert_int_equal(4, gb_winograd_choose(&cpu, NULL, &w, true));
    assert_int_equal(2, gb_winograd_choose(&cpu, "winograd 2", &w, true));
    assert_int_equal(0, gb_winograd_choose(&cpu, "gemm 14x32", &w, true));
    w.stride[2] = 2;
    assert_int_equal(0, gb_winograd_choose(&cpu, NULL, &w, false));
    assert_int_equal(0, gb_winograd_choose(&cpu, "winograd 4", &w, false));
    w = layer(1, 56, 64);
    w.dilation[1] = 2;
    assert_int_equal(0, gb_winograd_choose(&cpu, NULL, &w, false));
    w = layer(1, 56, 64);
    w.groups = 2;
    assert_int_equal(0, gb_winograd_choose(&cpu, NULL, &w, false));
    w = layer(1, 4, 64); // one tile an image
    assert_int_equal(0, gb_winograd_choose(&cpu, NULL, &w, false));
    w = layer(1, 56, 64);
    small.local_memory = 16 << 10;
    assert_int_equal(0, gb_winograd_choose(&small, NULL, &w, false));
    for (int64_t size = 7; size <= 224; size *= 2) {
        gb_window one = layer(1, size, 64), many = layer(64, size, 64);
        assert_int_equal(gb_winograd_choose(&cpu, NULL, &one, false),
                         gb_winograd_choose(&cpu, NULL, &many, false));
    }
}

int main(void)
{
    unsetenv("GIBBON_WINOGRAD");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_many_channels),
        cmocka_unit_test(test_any_batch),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests_name("winograd", tests, test_device_open, test_device_close);
}
