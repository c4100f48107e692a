// Tiny networks of every family, by both of PyTorch's exporters: logits and input gradient against
// PyTorch's in float64 (make_small.py), with and without fusion and reuse of memory, alone and in a
// batch, and the same bits every time.
#include "support/device.h"

#include "engine/session.h"
#include "image/image.h"
#include "onnx/load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const double limit = 1e-5; // relative L2 error; the requirement for whole models is 1e-4

typedef struct golden {
    gb_graph *model;
    gb_npy input, seed, logits, grad;
} golden;

static const char *data_path(char path[4096], const char *name, const char *end)
{
    const char *folder = getenv("GIBBON_GOLDEN");
    snprintf(path, 4096, "%s/small_%s.%s", folder ? folder : "tests/golden/data", name, end);
    return path;
}

static void read_npy(gb_npy *out, const char *name, const char *end)
{
    char path[4096];
    assert_ok(gb_npy_read(out, data_path(path, name, end)));
}

static void golden_init(golden *g, const char *name, const char *exporter)
{
    char path[4096];
    *g = (golden){0};
    read_npy(&g->input, name, "input.npy");
    read_npy(&g->seed, name, "seed.npy");
    read_npy(&g->logits, name, "logits.npy");
    read_npy(&g->grad, name, "grad.npy");
    assert_ok(gb_onnx_load(&g->model, data_path(path, name, exporter)));
}

static void golden_finish(golden *g)
{
    gb_npy_finish(&g->input);
    gb_npy_finish(&g->seed);
    gb_npy_finish(&g->logits);
    gb_npy_finish(&g->grad);
    gb_graph_free(g->model);
}

// The size of pictures [first, first + n) of an array, and where they start.
static int64_t part(const gb_npy *a, int64_t first, int64_t n, const float **start)
{
    int64_t each = 1;
    for (int i = 1; i < a->rank; i++)
        each *= a->dim[i];
    *start = a->data + first * each;
    return n * each;
}

static double error(const float *got, const float *want, int64_t n)
{
    double off = 0, all = 0;
    for (int64_t i = 0; i < n; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        all += (double)want[i] * want[i];
    }
    return sqrt(off / all);
}

// Runs pictures [first, first + n) twice and compares.
static void check(const golden *g, const char *what, gb_session_options options, int64_t first,
                  int64_t n)
{
    gb_session *s = NULL;
    const float *x, *v, *logits, *grad;
    int64_t n_x = part(&g->input, first, n, &x), n_y = part(&g->logits, first, n, &logits);
    part(&g->seed, first, n, &v);
    part(&g->grad, first, n, &grad);
    options.batch = n;
    options.grad = true;
    options.seed = "logits";
    assert_ok(gb_session_create(&s, test_device(), g->model, &options));
    float *got_y = calloc((size_t)n_y * 2, sizeof *got_y);
    float *got_g = calloc((size_t)n_x * 2, sizeof *got_g);
    assert_true(got_y && got_g);
    for (int run = 0; run < 2; run++) {
        assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
        assert_ok(gb_session_upload(s, gb_session_seed(s), v));
        assert_ok(gb_session_gradient(s));
        assert_ok(gb_session_download(s, gb_session_output(s, 0), got_y + run * n_y));
        assert_ok(gb_session_download(s, gb_session_grad(s, 0), got_g + run * n_x));
    }
    double err_y = error(got_y, logits, n_y), err_g = error(got_g, grad, n_x);
    print_message("  %-20s logits %.1e  gradient %.1e\n", what, err_y, err_g);
    assert_true(err_y <= limit); // false for NaN
    assert_true(err_g <= limit);
    assert_memory_equal(got_y, got_y + n_y, (size_t)n_y * sizeof *got_y);
    assert_memory_equal(got_g, got_g + n_x, (size_t)n_x * sizeof *got_g);
    free(got_y);
    free(got_g);
    gb_session_free(s);
}

typedef struct network {
    const char *name, *exporter;
} network;

static void run_network(void **state)
{
    const network *n = *state;
    golden g;
    test_device();
    golden_init(&g, n->name, n->exporter);
    check(&g, "as it comes", (gb_session_options){0}, 0, 2);
    check(&g, "in two chunks", (gb_session_options){.chunk = 1}, 0, 2);
    check(&g, "one picture", (gb_session_options){0}, 1, 1);
    check(&g, "no fusion, no reuse", (gb_session_options){.no_fusion = true, .keep_all = true}, 0,
          2);
    golden_finish(&g);
}

#define NETWORK(model, by) \
    {.name = model " " by, .test_func = run_network, \
     .initial_state = &(network){.name = model, .exporter = by ".onnx"}}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NETWORK("cnn", "ts"),         NETWORK("cnn", "dynamo"),      NETWORK("dense", "ts"),
        NETWORK("dense", "dynamo"),   NETWORK("se", "ts"),           NETWORK("se", "dynamo"),
        NETWORK("vit", "ts"),         NETWORK("vit", "dynamo"),      NETWORK("swin", "dynamo"),
        NETWORK("convnext", "ts"),    NETWORK("convnext", "dynamo"),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
