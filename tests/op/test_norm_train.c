// Normalisations and PRelu in training on the device: outputs, gradients and running statistics as
// PyTorch computes them (tests/golden/make_norms.py), statistics of many large numbers, and a batch
// that the ranks of a job share. Usage: test_norm_train [TEST]
#include "support/device.h"

#include "attack/attack.h"
#include "base/file.h"
#include "base/ranks.h"
#include "base/rng.h"
#include "engine/session.h"
#include "op/norm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static gb_ranks job;

enum { BATCH, INSTANCE, LAYER, PRELU };

static const char *const types[] = {"BatchNormalization", "InstanceNormalization",
                                    "LayerNormalization", "PRelu"};

// A graph of one node whose inputs are all the graph's, as are its outputs.
static gb_graph *one_node(const char *type, const gb_shape *shape, int n_in, int n_out,
                          const gb_attr *attr, int n_attr)
{
    gb_graph *graph = gb_graph_create();
    gb_node *node = graph ? gb_graph_node(graph, type, "node", n_in, n_out, n_attr) : NULL;
    char name[16];
    assert_non_null(node);
    graph->opset = node->opset = 17;
    for (int i = 0; i < n_attr; i++)
        node->attr[i] = attr[i];
    for (int i = 0; i < n_in; i++) {
        snprintf(name, sizeof name, "in%d", i);
        node->in[i] = gb_graph_value(graph, name);
        node->in[i]->shape = shape[i];
        assert_ok(gb_graph_add_input(graph, node->in[i]));
    }
    for (int i = 0; i < n_out; i++) {
        snprintf(name, sizeof name, "out%d", i);
        node->out[i] = gb_graph_value(graph, name);
        assert_ok(gb_graph_add_output(graph, node->out[i]));
    }
    assert_ok(gb_graph_sort(graph));
    assert_ok(gb_graph_prune(graph));
    return graph;
}

static void compare(const char *what, int number, const float *got, const float *want,
                    int64_t count, double tolerance)
{
    double size = 0;
    for (int64_t i = 0; i < count; i++)
        size = fmax(size, fabs((double)want[i]));
    for (int64_t i = 0; i < count; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= tolerance * size))
            fail_msg("case %d: %s[%d] is %.8g, not %.8g (largest %.3g)", number, what, (int)i,
                     (double)got[i], (double)want[i], size);
}

// Returns where the next case begins.
static const unsigned char *check_case(const unsigned char *at, int number)
{
    int32_t head[7];
    memcpy(head, at, sizeof head);
    const float *given = (const float *)(at + sizeof head);
    const int op = head[0], n_in = op == BATCH ? 5 : op == PRELU ? 2 : 3;
    const int n_out = op == BATCH ? 3 : 1;
    gb_shape x = {head[1], {head[2], head[3], head[4], head[5]}}, row = {1, {head[6]}};
    const bool wide = op == LAYER && x.dim[x.rank - 1] != head[6];
    if (wide)
        row = (gb_shape){2, {x.dim[2], x.dim[3]}};
    if (op == PRELU)
        row = (gb_shape){3, {head[6], 1, 1}};
    const gb_shape shape[] = {x, row, row, row, row};
    const gb_attr attr[] = {
        op == BATCH ? (gb_attr){.name = "training_mode", .kind = GB_ATTR_INT, .i = 1}
                    : (gb_attr){.name = "axis", .kind = GB_ATTR_INT, .i = wide ? -2 : -1},
        {.name = "unbiased", .kind = GB_ATTR_INT, .i = 1}};
    gb_graph *graph = one_node(types[op], shape, n_in, n_out, attr, op == BATCH ? 2 : op == LAYER);
    gb_session *s;
    assert_ok(gb_session_create(&s, test_device(), graph, &(gb_session_options){.seed = "out0"}));

    int64_t count = gb_shape_count(&x), few = head[6];
    const float *dy = given + count, *p = dy + count;
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), given));
    assert_ok(gb_session_upload(s, gb_session_seed(s), dy));
    for (int i = 1; i < n_in; i++, p += few)
        assert_ok(gb_session_upload(s, gb_session_input(s, (size_t)i), p));
    assert_ok(gb_session_gradient(s));

    float *got = malloc((size_t)count * sizeof *got);
    assert_non_null(got);
    // Numbers around 1000 leave 3e-5 of the deviation in doubt: a float's mean is no better.
    const double tolerance = fabs((double)given[0]) > 100 ? 1e-4 : 3e-6;
    assert_ok(gb_session_download(s, gb_session_output(s, 0), got));
    compare("y", number, got, p, count, tolerance);
    p += count;
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), got));
    compare("dx", number, got, p, count, tolerance);
    p += count;
    for (int i = 1; i < (n_in < 3 ? n_in : 3); i++, p += few) {
        assert_ok(gb_session_download(s, gb_session_grad(s, (size_t)i), got));
        compare(i == 1 ? "dscale" : "dbias", number, got, p, few, tolerance);
    }
    for (int i = 1; i < n_out; i++, p += few) {
        assert_ok(gb_session_download(s, gb_session_output(s, (size_t)i), got));
        compare(i == 1 ? "running mean" : "running variance", number, got, p, few, 3e-6);
    }
    free(got);
    gb_session_free(s);
    gb_graph_free(graph);
    return (const unsigned char *)p;
}

static void test_pytorch(void **state)
{
    char path[4096];
    unsigned char *bytes;
    size_t size;
    int cases = 0;
    (void)state;
    test_device();
    snprintf(path, sizeof path, "%s/norms.bin", getenv("GIBBON_GOLDEN"));
    assert_ok(gb_file_read((void **)&bytes, &size, path));
    const unsigned char *at = bytes;
    while (at < bytes + size)
        at = check_case(at, cases++);
    assert_true(at == bytes + size && cases == 7);
    free(bytes);
}

// A million numbers around 1000, and around 0 with one far away: the variance keeps its digits, and
// a second run its bits.
static void test_many(void **state)
{
    enum { N = 8, CHANNELS = 19, SIDE = 80, COUNT = N * CHANNELS * SIDE * SIDE };
    const gb_shape x = {4, {N, CHANNELS, SIDE, SIDE}}, list = {1, {CHANNELS}};
    const gb_shape shape[] = {x, list, list, list, list};
    const gb_attr attr[] = {{.name = "training_mode", .kind = GB_ATTR_INT, .i = 1},
                            {.name = "momentum", .kind = GB_ATTR_FLOAT, .f = 0}};
    float *v = malloc(COUNT * sizeof *v), mean[2][CHANNELS], var[2][CHANNELS];
    (void)state;
    gb_device *dev = test_device();
    assert_non_null(v);
    for (uint32_t i = 0; i < COUNT; i++) {
        gb_philox r = gb_philox4x32((gb_philox){{i, 0, 0, 0}}, 1, 2);
        v[i] = (i / (SIDE * SIDE) % 2 ? 1000 : 0) + 4 * (gb_uniform(r.v[0]) - 0.5f);
    }
    v[0] = 3e4f;
    gb_graph *graph = one_node("BatchNormalization", shape, 5, 3, attr, 2);
    gb_session *s;
    assert_ok(gb_session_create(&s, dev, graph, &(gb_session_options){0}));
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), v));
    for (int run = 0; run < 2; run++) {
        assert_ok(gb_session_forward(s));
        assert_ok(gb_session_download(s, gb_session_output(s, 1), mean[run]));
        assert_ok(gb_session_download(s, gb_session_output(s, 2), var[run]));
    }
    assert_memory_equal(mean[0], mean[1], sizeof mean[0]);
    assert_memory_equal(var[0], var[1], sizeof var[0]);
    for (int c = 0; c < CHANNELS; c++) {
        const double count = N * SIDE * SIDE;
        double m = 0, q = 0;
        for (int pass = 0; pass < 2; pass++) {
            for (int n = 0; n < N; n++) {
                const float *plane = v + (n * CHANNELS + c) * SIDE * SIDE;
                for (int i = 0; i < SIDE * SIDE; i++)
                    *(pass ? &q : &m) += pass ? pow((double)plane[i] - m, 2) : (double)plane[i];
            }
            m /= pass ? 1 : count;
        }
        if (fabs((double)mean[0][c] - m) > 1e-6 * sqrt(q / count) ||
            fabs((double)var[0][c] - q / count) > 1e-5 * q / count)
            fail_msg("channel %d: mean %.8g and variance %.8g, not %.8g and %.8g", c,
                     (double)mean[0][c], (double)var[0][c], m, q / count);
    }
    free(v);
    gb_session_free(s);
    gb_graph_free(graph);
}

// A model's node in inference becomes one in training mode; the model's own attributes stay.
static void test_switch(void **state)
{
    (void)state;
    const gb_shape x = {2, {2, 3}}, list = {1, {3}}, shape[] = {x, list, list, list, list};
    const gb_attr attr[] = {{.name = "epsilon", .kind = GB_ATTR_FLOAT, .f = 0.5f},
                            {.name = "training_mode", .kind = GB_ATTR_INT, .i = 0}};
    gb_norm_args n;
    gb_graph *graph = one_node("BatchNormalization", shape, 5, 1, attr, 2);
    gb_node *node = graph->node[0];
    const gb_attr *before = node->attr;
    gb_value *y = node->out[0];
    assert_ok(gb_batch_norm_train(node));
    assert_ok(gb_norm_read(node, &n));
    assert_true(n.training && n.unbiased && n.epsilon == 0.5f);
    assert_true(node->n_attr == 3 && node->n_out == 3 && node->out[0] == y);
    assert_true(gb_shape_equal(&node->out[1]->shape, &list));
    assert_true(before[1].i == 0);
    gb_graph_free(graph);
}

// An attack's images must not see each other: a model left in training mode is no target.
static void test_attack_refuses(void **state)
{
    (void)state;
    const gb_shape x = {4, {1, 3, 4, 4}}, list = {1, {3}}, shape[] = {x, list, list, list, list};
    const gb_attr attr = {.name = "training_mode", .kind = GB_ATTR_INT, .i = 1};
    gb_graph *graph = one_node("BatchNormalization", shape, 5, 1, &attr, 1);
    gb_attack *attack = NULL;
    gb_attack_config config;
    assert_ok(gb_attack_default(&config, "pgd"));
    assert_int_equal(GB_ERR_UNSUPPORTED, gb_attack_create(&attack, test_device(), graph,
                                                          &(gb_session_options){0}, &config));
    assert_non_null(strstr(gb_last_error(), "'node': in training mode"));
    gb_graph_free(graph);
}

// What BatchNormalization makes of some images: y, its gradients, running statistics.
enum { EACH = 3, CHANNELS = 19, PIXELS = 5 * 7, IMAGE = CHANNELS * PIXELS, RESULTS = 6 };

typedef struct results {
    size_t count[RESULTS]; // y, dx, dscale, dbias, running mean, running variance
    float *data[RESULTS];
} results;

static void normalize(results *out, const float *x, const float *dy, int images,
                      const gb_ranks *ranks)
{
    const gb_shape list = {1, {CHANNELS}}, all = {4, {images, CHANNELS, 5, 7}};
    const gb_shape shape[] = {all, list, list, list, list};
    const gb_attr attr[] = {{.name = "training_mode", .kind = GB_ATTR_INT, .i = 1},
                            {.name = "unbiased", .kind = GB_ATTR_INT, .i = 1}};
    const size_t n = (size_t)images * IMAGE;
    *out = (results){.count = {n, n, CHANNELS, CHANNELS, CHANNELS, CHANNELS}};
    gb_graph *graph = one_node("BatchNormalization", shape, 5, 3, attr, 2);
    gb_session *s;
    assert_ok(gb_session_create(&s, test_device(), graph,
                                &(gb_session_options){.seed = "out0", .ranks = ranks}));
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
    assert_ok(gb_session_upload(s, gb_session_seed(s), dy));
    for (size_t i = 1; i < 5; i++) {
        float given[CHANNELS];
        for (int c = 0; c < CHANNELS; c++)
            given[c] = 0.5f + 0.1f * (float)i * (float)c;
        assert_ok(gb_session_upload(s, gb_session_input(s, i), given));
    }
    assert_ok(gb_session_gradient(s));
    const gb_io *from[RESULTS] = {gb_session_output(s, 0), gb_session_grad(s, 0),
                                  gb_session_grad(s, 1), gb_session_grad(s, 2),
                                  gb_session_output(s, 1), gb_session_output(s, 2)};
    for (int i = 0; i < RESULTS; i++) {
        out->data[i] = malloc(out->count[i] * sizeof(float));
        assert_non_null(out->data[i]);
        assert_ok(gb_session_download(s, from[i], out->data[i]));
    }
    gb_session_free(s);
    gb_graph_free(graph);
}

// Every rank computes the whole batch, and its part of it together with the others: the same within
// float error, with the same running statistics to the bit. A rank alone: the same bits.
static void test_ranks(void **state)
{
    const size_t part = EACH * IMAGE, all = part * (size_t)job.size, at = part * (size_t)job.rank;
    float *x = malloc(all * sizeof *x), *dy = malloc(all * sizeof *dy);
    float *others = malloc((size_t)job.size * CHANNELS * sizeof *others);
    results whole, mine;
    (void)state;
    test_device();
    assert_true(x && dy && others);
    for (size_t i = 0; i < all; i++) {
        gb_philox r = gb_philox4x32((gb_philox){{(uint32_t)i, 0, 0, 0}}, 3, 4);
        float level = 0.1f * (float)(i / PIXELS % CHANNELS) + (float)(i / part); // ranks differ
        x[i] = level + 2 * gb_uniform(r.v[0]);
        dy[i] = gb_uniform(r.v[1]) + 0.1f * (float)(i / part);
    }
    normalize(&whole, x, dy, EACH * job.size, NULL);
    normalize(&mine, x + at, dy + at, EACH, &job);
    assert_ok(gb_ranks_sum(&job, mine.data[2], CHANNELS)); // of parameters, as training does it
    assert_ok(gb_ranks_sum(&job, mine.data[3], CHANNELS));
    for (int i = 0; i < RESULTS; i++) {
        const float *want = whole.data[i] + (i < 2 ? at : 0);
        compare("result", i, mine.data[i], want, (int64_t)mine.count[i], 3e-6);
        if (job.size == 1)
            assert_memory_equal(want, mine.data[i], mine.count[i] * sizeof *want);
        if (i < 4)
            continue;
        gb_ranks_all(&job, others, mine.data[i], CHANNELS * sizeof *others);
        for (int k = 0; k < job.size; k++)
            assert_memory_equal(mine.data[i], others + k * CHANNELS, CHANNELS * sizeof *others);
    }
    for (int i = 0; i < RESULTS; i++) {
        free(whole.data[i]);
        free(mine.data[i]);
    }
    free(others);
    free(dy);
    free(x);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pytorch),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_switch),
        cmocka_unit_test(test_attack_refuses),
        cmocka_unit_test(test_ranks),
    };
    if (gb_ranks_start(&job) < 0) {
        printf("%s\n", gb_last_error());
        return 1;
    }
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    int failed = cmocka_run_group_tests(tests, test_device_open, test_device_close);
    failed = gb_ranks_agree(&job, failed ? gb_fail(GB_ERR_ARG, "failed") : 0) < 0;
    gb_ranks_finish();
    return failed;
}
