// The losses of training on the device: against naive C in double, their gradients against its
// finite differences, and both against what PyTorch computed (tests/golden/make_losses.py).
#include "support/device.h"

#include "base/file.h"
#include "engine/session.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 6, MOST = 1000 };

typedef struct problem {
    gb_loss loss;
    int classes;
    float smoothing;
    int32_t labels[N], seconds[N];
    float weights[N], logits[N * MOST], targets[N * MOST];
} problem;

typedef struct answer {
    float losses[N], grad[N * MOST]; // grad: of the sum of weights * losses by the logits
} answer;

// --- the device ---

static gb_graph *identity(int classes)
{
    gb_graph *graph = gb_graph_create();
    assert_non_null(graph);
    gb_value *x = gb_graph_value(graph, "x"), *y = gb_graph_value(graph, "y");
    gb_node *node = gb_graph_node(graph, "Identity", "id", 1, 1, 0);
    assert_non_null(node);
    x->shape = (gb_shape){2, {-1, classes}};
    node->in[0] = x;
    node->out[0] = y;
    graph->opset = node->opset = 13;
    assert_ok(gb_graph_add_input(graph, x));
    assert_ok(gb_graph_add_output(graph, y));
    assert_ok(gb_graph_sort(graph));
    assert_ok(gb_graph_prune(graph));
    return graph;
}

static void write(gb_buf *buf, const void *data, size_t bytes)
{
    if (buf)
        assert_ok(gb_buf_write(buf, 0, data, bytes));
}

static void run(const problem *p, answer *a, int64_t chunk)
{
    gb_graph *graph = identity(p->classes);
    gb_session *s = NULL;
    gb_session_options options = {.batch = N, .grad = true, .loss = p->loss, .chunk = chunk,
                                  .label_smoothing = p->smoothing};
    assert_ok(gb_session_create(&s, test_device(), graph, &options));
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), p->logits));
    write(gb_session_labels(s), p->labels, sizeof p->labels);
    write(gb_session_seconds(s), p->seconds, sizeof p->seconds);
    write(gb_session_targets(s), p->targets, (size_t)(N * p->classes) * sizeof(float));
    write(gb_session_weights(s), p->weights, sizeof p->weights);
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_buf_read(gb_session_losses(s), 0, a->losses, sizeof a->losses));
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), a->grad));
    gb_session_free(s);
    gb_graph_free(graph);
}

// --- naive C ---

static void log_softmax(double *out, const double *z, int classes)
{
    double most = z[0], sum = 0;
    for (int i = 1; i < classes; i++)
        most = fmax(most, z[i]);
    for (int i = 0; i < classes; i++)
        sum += exp(z[i] - most);
    for (int i = 0; i < classes; i++)
        out[i] = z[i] - most - log(sum);
}

// KL(softmax(a) || softmax(b))
static double divergence(const double *a, const double *b, int classes)
{
    static double p[MOST], q[MOST];
    double sum = 0;
    log_softmax(p, a, classes);
    log_softmax(q, b, classes);
    for (int i = 0; i < classes; i++)
        sum += exp(p[i]) * (p[i] - q[i]);
    return sum;
}

// The loss of image n; z: all rows.
static double naive(const problem *p, const double *z, int n)
{
    static double log_p[MOST], target[MOST];
    const int k = p->classes;
    const double *row = z + n * k;
    double sum = 0, s = (double)p->smoothing;
    if (p->loss == GB_LOSS_PAIR)
        return row[p->seconds[n]] - row[p->labels[n]];
    if (p->loss == GB_LOSS_KL) {
        for (int i = 0; i < k; i++)
            target[i] = (double)p->targets[n * k + i];
        return divergence(target, row, k);
    }
    if (p->loss == GB_LOSS_TRADES && n >= N / 2)
        return divergence(z + (n - N / 2) * k, row, k);
    log_softmax(log_p, row, k);
    for (int i = 0; i < k; i++)
        sum -= log_p[i] * (s / k + (i == p->labels[n] ? 1 - s : 0));
    return sum;
}

// What one logit's row has a part in: with TRADES, its partner's loss as well.
static double naive_total(const problem *p, const double *z, int n)
{
    double sum = (double)p->weights[n] * naive(p, z, n);
    if (p->loss == GB_LOSS_TRADES && n < N / 2)
        sum += (double)p->weights[n + N / 2] * naive(p, z, n + N / 2);
    return sum;
}

static void check(const problem *p, const answer *a)
{
    static double z[N * MOST];
    const double step = 1e-4;
    const int k = p->classes;
    for (int i = 0; i < N * k; i++)
        z[i] = (double)p->logits[i];
    for (int n = 0; n < N; n++) {
        double want = naive(p, z, n), error = 0, size = 0;
        if (fabs((double)a->losses[n] - want) > 2e-6 * fabs(want) + 1e-9)
            fail_msg("loss %d of %d classes, image %d: %.9g, not %.9g", p->loss, k, n,
                     (double)a->losses[n], want);
        for (int i = n * k; i < (n + 1) * k; i++) {
            double at = z[i], up, down;
            z[i] = at + step;
            up = naive_total(p, z, n);
            z[i] = at - step;
            down = naive_total(p, z, n);
            z[i] = at;
            want = (up - down) / (2 * step);
            error += pow((double)a->grad[i] - want, 2);
            size += want * want;
        }
        if (sqrt(error) > 5e-6 * sqrt(size) + 1e-9)
            fail_msg("loss %d of %d classes, image %d: gradient off by %.3g of %.3g", p->loss, k,
                     n, sqrt(error), sqrt(size));
    }
}

static float noise(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (float)(*seed >> 8) * 0x1p-24f - 0.5f;
}

static void make(problem *p, gb_loss loss, int classes, float smoothing)
{
    uint32_t seed = 99u + (uint32_t)(classes + loss);
    *p = (problem){.loss = loss, .classes = classes, .smoothing = smoothing};
    for (int i = 0; i < N * classes; i++) {
        p->logits[i] = 8 * noise(&seed);
        p->targets[i] = 8 * noise(&seed);
    }
    for (int n = 0; n < N; n++) {
        p->labels[n] = (n * 7 + 1) % classes;
        p->seconds[n] = (n * 5) % classes;
        p->weights[n] = n == 1 ? 0 : noise(&seed) + 1;
    }
}

static const gb_loss trained[] = {GB_LOSS_CE, GB_LOSS_PAIR, GB_LOSS_KL, GB_LOSS_TRADES};

static void test_naive(void **state)
{
    static problem p;
    static answer a;
    const int classes[] = {2, 10, 33, MOST};
    (void)state;
    for (size_t i = 0; i < GB_COUNT(classes); i++) {
        for (size_t k = 0; k < GB_COUNT(trained); k++) {
            bool labelled = trained[k] == GB_LOSS_CE || trained[k] == GB_LOSS_TRADES;
            for (int smooth = 0; smooth <= labelled; smooth++) {
                make(&p, trained[k], classes[i], smooth ? 0.1f : 0);
                run(&p, &a, N);
                check(&p, &a);
            }
        }
    }
}

// A divergence next to nothing keeps its digits: two nearly equal rows of logits.
static void test_small_divergence(void **state)
{
    static problem p;
    static answer a;
    static double z[N * MOST];
    (void)state;
    make(&p, GB_LOSS_KL, 10, 0);
    for (int i = 0; i < N * 10; i++)
        p.targets[i] = p.logits[i] + 1e-3f * p.targets[i] / 4;
    run(&p, &a, N);
    for (int i = 0; i < N * 10; i++)
        z[i] = (double)p.logits[i];
    for (int n = 0; n < N; n++) {
        double want = naive(&p, z, n);
        if (want > 1e-6 || fabs((double)a.losses[n] - want) > 2e-3 * want)
            fail_msg("image %d: divergence %.6g, not %.6g", n, (double)a.losses[n], want);
    }
}

// Classes that all but exclude each other, and a logit that is no number.
static void test_extremes(void **state)
{
    static problem p;
    static answer a;
    (void)state;
    for (size_t k = 0; k < GB_COUNT(trained); k++) {
        make(&p, trained[k], 4, 0.1f);
        for (int i = 0; i < N * 4; i++) {
            p.logits[i] = (i + i / 4) % 4 == 0 ? 300 : -300;
            p.targets[i] = -p.logits[i];
        }
        run(&p, &a, N);
        for (int n = 0; n < N; n++)
            assert_true(isfinite(a.losses[n]));
        for (int i = 0; i < N * 4; i++)
            assert_true(isfinite(a.grad[i]));
        for (int n = 0; n < N; n++)
            p.logits[n * 4 + n % 4] = NAN;
        run(&p, &a, N);
        for (int n = 0; n < N; n++)
            assert_true(isnan(a.losses[n]));
    }
}

// A class that a mask excludes (its logit is -infinity) has no part in a divergence.
static void test_masked(void **state)
{
    static problem p, less;
    static answer a, want;
    const gb_loss losses[] = {GB_LOSS_KL, GB_LOSS_TRADES};
    const int k = 5;
    (void)state;
    for (size_t l = 0; l < GB_COUNT(losses); l++) {
        make(&p, losses[l], k, 0);
        make(&less, losses[l], k - 1, 0);
        memcpy(less.weights, p.weights, sizeof p.weights);
        for (int n = 0; n < N; n++) {
            p.labels[n] = 1 + (less.labels[n] = n % (k - 1));
            for (int i = 1; i < k; i++) {
                less.logits[n * (k - 1) + i - 1] = p.logits[n * k + i];
                less.targets[n * (k - 1) + i - 1] = p.targets[n * k + i];
            }
            p.logits[n * k] = p.targets[n * k] = -INFINITY;
        }
        run(&p, &a, N);
        run(&less, &want, N);
        for (int n = 0; n < N; n++) {
            assert_true(fabsf(a.losses[n] - want.losses[n]) <= 1e-6f * fabsf(want.losses[n]));
            assert_true(a.grad[n * k] == 0);
            for (int i = 1; i < k; i++)
                assert_true(fabsf(a.grad[n * k + i] - want.grad[n * (k - 1) + i - 1]) <= 1e-6f);
        }
    }
}

// An image's loss and gradient have the same bits whether its batch goes through in parts.
static void test_chunks(void **state)
{
    static problem p;
    static answer whole, parts;
    const gb_loss loss[] = {GB_LOSS_CE, GB_LOSS_PAIR, GB_LOSS_KL};
    (void)state;
    for (size_t k = 0; k < GB_COUNT(loss); k++) {
        make(&p, loss[k], 10, 0.1f);
        run(&p, &whole, N);
        run(&p, &parts, 2);
        assert_memory_equal(whole.losses, parts.losses, sizeof whole.losses);
        assert_memory_equal(whole.grad, parts.grad, N * 10 * sizeof(float));
    }
}

static void test_odd_trades(void **state)
{
    gb_graph *graph = identity(3);
    gb_session *s = NULL;
    gb_session_options options = {.batch = 3, .grad = true, .loss = GB_LOSS_TRADES};
    (void)state;
    assert_int_equal(GB_ERR_ARG, gb_session_create(&s, test_device(), graph, &options));
    assert_non_null(strstr(gb_last_error(), "a batch of 3"));
    gb_graph_free(graph);
}

// Cases of make_losses.py: loss, classes, smoothing; labels, weights, logits, targets; losses,
// gradient.
static void test_pytorch(void **state)
{
    static problem p;
    static answer want, got;
    char path[4096];
    unsigned char *bytes;
    size_t size, at = 0;
    int cases = 0;
    (void)state;
    test_device();
    snprintf(path, sizeof path, "%s/losses.bin", getenv("GIBBON_GOLDEN"));
    assert_ok(gb_file_read((void **)&bytes, &size, path));
    for (; at < size; cases++) {
        int32_t head[2];
#define TAKE(to, count) (memcpy(to, bytes + at, (count) * 4), at += (count) * 4)
        TAKE(head, 2);
        p = (problem){.loss = (gb_loss)head[0], .classes = head[1]};
        size_t all = (size_t)(N * p.classes);
        TAKE(&p.smoothing, 1);
        TAKE(p.labels, N);
        TAKE(p.weights, N);
        TAKE(p.logits, all);
        TAKE(p.targets, all);
        TAKE(want.losses, N);
        TAKE(want.grad, all);
#undef TAKE
        run(&p, &got, N);
        for (int n = 0; n < N; n++)
            if (fabs((double)got.losses[n] - (double)want.losses[n]) >
                1e-6 * fabs((double)want.losses[n]) + 1e-7)
                fail_msg("case %d, image %d: loss %.9g, not %.9g", cases, n, (double)got.losses[n],
                         (double)want.losses[n]);
        for (size_t i = 0; i < all; i++)
            if (fabs((double)got.grad[i] - (double)want.grad[i]) > 1e-6)
                fail_msg("case %d: gradient[%zu] %.9g, not %.9g", cases, i, (double)got.grad[i],
                         (double)want.grad[i]);
    }
    assert_true(at == size && cases == 5);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_naive),   cmocka_unit_test(test_small_divergence),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_masked),
        cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_odd_trades), cmocka_unit_test(test_pytorch),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
