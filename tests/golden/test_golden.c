// Tiny networks of every family, by both of PyTorch's exporters: logits and input gradient against
// PyTorch's in float64 (make_small.py), with and without fusion and reuse of memory, alone and in a
// batch, and the same bits every time; the same with weights that are parameters, and their
// gradients (make_params.py), also of a residual network in training mode.
#include "support/device.h"

#include "base/file.h"
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

// But for the input's gradient.
static void golden_init(golden *g, const char *name, const char *exporter)
{
    char path[4096];
    *g = (golden){0};
    read_npy(&g->input, name, "input.npy");
    read_npy(&g->seed, name, "seed.npy");
    read_npy(&g->logits, name, "logits.npy");
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

// --- parameters ---

enum { NAME = 24 };

// What is left of params.bin.
typedef struct reader {
    const unsigned char *at, *end;
} reader;

static const void *take(reader *r, size_t bytes)
{
    const void *here = r->at;
    assert_true(bytes <= (size_t)(r->end - r->at));
    r->at += bytes;
    return here;
}

static int32_t take_int(reader *r)
{
    int32_t v;
    memcpy(&v, take(r, sizeof v), sizeof v);
    return v;
}

// Skips to the entry of that name; `count` is how many there are.
static bool find(reader *r, int32_t count, const char *name, void (*pass)(reader *r))
{
    while (count-- > 0) {
        if (strcmp(take(r, NAME), name) == 0)
            return true;
        pass(r);
    }
    return false;
}

static void skip_floats(reader *r)
{
    take(r, (size_t)take_int(r) * sizeof(float));
}

static void skip_model(reader *r)
{
    for (int32_t n = take_int(r); n > 0; n--) {
        take(r, NAME);
        skip_floats(r);
    }
}

// The largest error of the parameters' gradients, or of the state, beside the largest of them, as
// some are zero.
static double params_error(const gb_params *p, bool trainable, const float *got, reader model)
{
    double worst = 0, largest = 0;
    const int32_t count = take_int(&model);
    const size_t end = trainable ? p->trainable : p->total;
    for (size_t i = trainable ? 0 : p->trainable; i < end; i++)
        largest = fmax(largest, fabs(got[i]));
    for (size_t i = 0; i < p->n_param; i++) {
        const gb_param *param = &p->param[i];
        if (param->trainable != trainable)
            continue;
        reader r = model;
        assert_true(find(&r, count, param->name, skip_floats));
        assert_int_equal(take_int(&r), param->count);
        for (size_t k = 0; k < param->count; k++) {
            float want;
            memcpy(&want, take(&r, sizeof want), sizeof want);
            double off = fabs((double)got[param->offset + k] - want) / largest;
            worst = off <= worst ? worst : off; // NaN stays
        }
    }
    return worst;
}

static void check_params(const golden *g, gb_params *p, const char *what,
                         gb_session_options options, reader model)
{
    gb_session *s = NULL;
    const size_t bytes = p->trainable * sizeof(float);
    const float *want;
    const int64_t n_y = part(&g->logits, 0, g->input.dim[0], &want);
    float *got = malloc(2 * bytes), *before = malloc(p->total * sizeof(float));
    float *after = malloc(p->total * sizeof(float)), *logits = malloc((size_t)n_y * sizeof(float));
    assert_true(got && before && after && logits);
    options.batch = g->input.dim[0];
    options.grad = options.train = true;
    options.params = p;
    options.seed = "logits";
    assert_ok(gb_session_create(&s, test_device(), g->model, &options));
    for (int run = 0; run < 2; run++) {
        assert_ok(gb_session_upload(s, gb_session_input(s, 0), g->input.data));
        assert_ok(gb_session_upload(s, gb_session_seed(s), g->seed.data));
        assert_ok(gb_session_gradient(s));
        assert_ok(gb_buf_read(gb_session_param_grad(s), 0, got + (size_t)run * p->trainable,
                              bytes));
    }
    assert_ok(gb_session_download(s, gb_session_output(s, 0), logits));
    assert_ok(gb_params_download(p, before));
    assert_ok(gb_session_commit(s));
    assert_ok(gb_params_download(p, after));
    double off = error(logits, want, n_y), worst = params_error(p, true, got, model);
    double state = params_error(p, false, after, model);
    print_message("  %-20s logits %.1e  parameters %.1e  state %.1e\n", what, off, worst, state);
    assert_true(off <= limit && worst <= limit && state <= limit); // false for NaN
    assert_memory_equal(got, got + p->trainable, bytes);
    assert_memory_equal(before, after, bytes);
    assert_ok(gb_params_upload(p, before));
    free(got);
    free(before);
    free(after);
    free(logits);
    gb_session_free(s);
}

// trains: the logits are those of training mode, and there is no other reference.
static void run_params(const golden *g, const char *name, bool trains)
{
    char path[4096];
    void *data = NULL;
    size_t size = 0;
    gb_params *p = NULL;
    const char *folder = getenv("GIBBON_GOLDEN");
    snprintf(path, sizeof path, "%s/params.bin", folder ? folder : "tests/golden/data");
    assert_ok(gb_file_read(&data, &size, path));
    reader r = {data, (const unsigned char *)data + size};
    assert_true(find(&r, take_int(&r), name, skip_model));
    assert_ok(gb_params_create(&p, test_device(), g->model));
    check_params(g, p, "training", (gb_session_options){0}, r);
    check_params(g, p, "training, no fusion",
                 (gb_session_options){.no_fusion = true, .keep_all = true}, r);
    if (!trains) {
        check(g, "over parameters", (gb_session_options){.params = p}, 0, 2);
        check(g, "the same in chunks", (gb_session_options){.params = p, .chunk = 1}, 0, 2);
    }
    gb_params_free(p);
    free(data);
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
    read_npy(&g.grad, n->name, "grad.npy");
    check(&g, "as it comes", (gb_session_options){0}, 0, 2);
    check(&g, "in two chunks", (gb_session_options){.chunk = 1}, 0, 2);
    check(&g, "one picture", (gb_session_options){0}, 1, 1);
    check(&g, "no fusion, no reuse", (gb_session_options){.no_fusion = true, .keep_all = true}, 0,
          2);
    if (strcmp(n->exporter, "ts.onnx") == 0)
        run_params(&g, n->name, false);
    golden_finish(&g);
}

static void run_training(void **state)
{
    golden g;
    (void)state;
    test_device();
    golden_init(&g, "resnet", "ts.onnx");
    run_params(&g, "resnet", true);
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
        NETWORK("convnext", "ts"),    NETWORK("convnext", "dynamo"), cmocka_unit_test(run_training),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
