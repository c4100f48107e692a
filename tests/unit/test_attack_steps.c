// Attacks on the device against a naive walk on the host, over a made-up model of known gradient.
//
// The session below is this file's own: its "network" runs on the host, so what is tested is the
// attack alone. Gradients are bitwise the same on both sides, hence so are Linf walks.
#include "support/device.h"

#include "attack/attack.h"
#include "attack/quantize.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { C = 3, H = 7, W = 13, D = C * H * W, K = 5, MAX = 8 };

// --- a session: z_k = sum_i w_ki x_i + q_ki x_i^2, cross-entropy ---

struct gb_session {
    gb_device *dev;
    int64_t batch;
    gb_io in, out, grad;
    gb_buf *labels, *losses;
};

static int n_gradients;
static size_t too_big;    // batches from here on do not fit
static bool flat, broken; // a model without gradient; one that yields NaN for bright images

static double weight(int k, int i, int what)
{
    gb_philox p = gb_philox4x32((gb_philox){{(uint32_t)k, (uint32_t)i, (uint32_t)what, 9}}, 3, 4);
    return 2 * (double)gb_uniform(p.v[0]) - 1;
}

// x, grad: (C,H,W).
static void model(float *logits, float *loss, float *grad, const float *x, int label)
{
    static double w[K][D], q[K][D];
    double z[K] = {0}, most = -INFINITY, sum = 0;
    if (w[0][0] == 0) {
        for (int k = 0; k < K; k++)
            for (int i = 0; i < D; i++) {
                w[k][i] = weight(k, i, 0);
                q[k][i] = weight(k, i, 1);
            }
    }
    for (int k = 0; k < K; k++) {
        for (int i = 0; i < D; i++)
            z[k] += w[k][i] * (double)x[i] + q[k][i] * (double)x[i] * (double)x[i];
        if (flat)
            z[k] = k;
        most = fmax(most, z[k]);
    }
    for (int k = 0; k < K; k++)
        sum += exp(z[k] - most);
    for (int k = 0; k < K; k++)
        logits[k] = broken && x[0] > 0.99f ? NAN : (float)z[k];
    *loss = (float)(most + log(sum) - z[label]);
    for (int i = 0; i < D && grad; i++) {
        double g = 0;
        for (int k = 0; k < K; k++)
            g += (exp(z[k] - most) / sum - (k == label)) *
                 (w[k][i] + 2 * q[k][i] * (double)x[i]);
        grad[i] = flat ? 0.0f : (float)g;
    }
}

static void to_nhwc(float *out, const float *in)
{
    for (int i = 0; i < D; i++)
        out[i % (H * W) * C + i / (H * W)] = in[i];
}

static void to_nchw(float *out, const float *in)
{
    for (int i = 0; i < D; i++)
        out[i] = in[i % (H * W) * C + i / (H * W)];
}

int gb_session_create(gb_session **out, gb_device *dev, const gb_graph *graph,
                      const gb_session_options *options)
{
    (void)graph;
    gb_session *s = calloc(1, sizeof *s);
    size_t n = (size_t)options->batch;
    if (too_big && n >= too_big) {
        free(s);
        return gb_fail(GB_ERR_DEVICE_MEM, "out of device memory");
    }
    s->dev = dev;
    s->batch = options->batch;
    s->in = (gb_io){"image", {4, {s->batch, C, H, W}}, {0, 0, {D, 1, W * C, C}}, NULL};
    s->grad = s->in;
    s->out = (gb_io){"logits", {2, {s->batch, K}}, {0, 0, {K, 1}}, NULL};
    assert_ok(gb_buf_create(&s->in.buf, dev, n * D * sizeof(float)));
    assert_ok(gb_buf_create(&s->grad.buf, dev, n * D * sizeof(float)));
    assert_ok(gb_buf_create(&s->out.buf, dev, n * K * sizeof(float)));
    assert_ok(gb_buf_create(&s->labels, dev, n * sizeof(int32_t)));
    assert_ok(gb_buf_create(&s->losses, dev, n * sizeof(float)));
    *out = s;
    return 0;
}

void gb_session_free(gb_session *s)
{
    if (!s)
        return;
    gb_buf_free(s->in.buf);
    gb_buf_free(s->grad.buf);
    gb_buf_free(s->out.buf);
    gb_buf_free(s->labels);
    gb_buf_free(s->losses);
    free(s);
}

const gb_io *gb_session_input(const gb_session *s, size_t i)
{
    return i ? NULL : &s->in;
}

const gb_io *gb_session_output(const gb_session *s, size_t i)
{
    return i ? NULL : &s->out;
}

const gb_io *gb_session_grad(const gb_session *s, size_t i)
{
    return i ? NULL : &s->grad;
}

gb_buf *gb_session_labels(const gb_session *s)
{
    return s->labels;
}

gb_buf *gb_session_losses(const gb_session *s)
{
    return s->losses;
}

gb_device *gb_session_device(const gb_session *s)
{
    return s->dev;
}

int64_t gb_session_batch(const gb_session *s)
{
    return s->batch;
}

int gb_session_upload(gb_session *s, const gb_io *io, const float *data)
{
    float image[D];
    for (int64_t n = 0; n < s->batch; n++) {
        to_nhwc(image, data + n * D);
        assert_ok(gb_buf_write(io->buf, (size_t)n * sizeof image, image, sizeof image));
    }
    return 0;
}

int gb_session_download(gb_session *s, const gb_io *io, float *data)
{
    float image[D];
    size_t size = io == &s->out ? K : D;
    assert_ok(gb_buf_read(io->buf, 0, data, (size_t)s->batch * size * sizeof *data));
    for (int64_t n = 0; n < s->batch && size == D; n++) {
        to_nchw(image, data + n * D);
        memcpy(data + n * D, image, sizeof image);
    }
    return 0;
}

int gb_session_gradient(gb_session *s)
{
    float x[D], image[D], grad[D], logits[K], loss;
    int32_t label;
    n_gradients++;
    for (size_t n = 0; n < (size_t)s->batch; n++) {
        assert_ok(gb_buf_read(s->in.buf, n * sizeof image, image, sizeof image));
        assert_ok(gb_buf_read(s->labels, n * sizeof label, &label, sizeof label));
        to_nchw(x, image);
        model(logits, &loss, grad, x, label);
        to_nhwc(image, grad);
        assert_ok(gb_buf_write(s->grad.buf, n * sizeof image, image, sizeof image));
        assert_ok(gb_buf_write(s->out.buf, n * sizeof logits, logits, sizeof logits));
        assert_ok(gb_buf_write(s->losses, n * sizeof loss, &loss, sizeof loss));
    }
    return 0;
}

int gb_session_forward(gb_session *s)
{
    n_gradients--;
    return gb_session_gradient(s);
}

// --- the naive walk ---

static float clip(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

static double length(const float *a, const float *b)
{
    double sum = 0;
    for (int i = 0; i < D; i++)
        sum += pow((double)a[i] - (b ? (double)b[i] : 0), 2);
    return sqrt(sum);
}

static void start(float *x, const float *x0, uint32_t id, int restart, const gb_attack_config *c)
{
    uint32_t k0 = (uint32_t)c->seed, k1 = (uint32_t)(c->seed >> 32);
    uint32_t counter = (uint32_t)restart << 8;
    memcpy(x, x0, D * sizeof *x);
    if (!c->random_start)
        return;
    float normal[D];
    for (int i = 0; i < D; i++) {
        gb_philox p = gb_philox4x32((gb_philox){{(uint32_t)i / 4, id, counter, 0}}, k0, k1);
        float u = gb_uniform(p.v[i & 2]), turn = gb_uniform(p.v[(i & 2) + 1]);
        float angle = 6.2831853f * turn;
        normal[i] = sqrtf(-2 * logf(u)) * (i & 1 ? sinf(angle) : cosf(angle));
        if (c->norm == GB_NORM_LINF)
            x[i] = clip(x0[i] + c->eps * (2 * gb_uniform(p.v[i & 3]) - 1), 0, 1);
    }
    if (c->norm == GB_NORM_L2) {
        gb_philox p = gb_philox4x32((gb_philox){{0, id, counter | 1, 0}}, k0, k1);
        double scale = (double)c->eps * pow((double)gb_uniform(p.v[0]), 1.0 / D) /
                       length(normal, NULL);
        for (int i = 0; i < D; i++)
            x[i] = clip(x0[i] + (float)(normal[i] * scale), 0, 1);
    }
}

static void advance(float *x, const float *x0, const float *grad, const gb_attack_config *c)
{
    float step = c->targeted ? -c->step_size : c->step_size;
    double norm = fmax(length(grad, NULL), 1e-12), far;
    for (int i = 0; i < D; i++) {
        if (c->norm == GB_NORM_LINF) {
            float y = x[i] + step * (float)((grad[i] > 0) - (grad[i] < 0));
            x[i] = clip(x0[i] + clip(y - x0[i], -c->eps, c->eps), 0, 1);
        } else {
            x[i] += (float)((double)step * grad[i] / norm);
        }
    }
    if (c->norm == GB_NORM_L2) {
        far = fmax(length(x, x0), 1e-12);
        for (int i = 0; i < D; i++)
            x[i] = clip(x0[i] + (float)((double)(x[i] - x0[i]) * fmin(1, (double)c->eps / far)), 0, 1);
    }
}

static void walk(float *best, gb_attack_result *r, const float *x0, int label, uint32_t id,
                 const gb_attack_config *c)
{
    float x[D], grad[D], logits[K], loss, value = -INFINITY;
    bool ever = false;
    *r = (gb_attack_result){0};
    for (int restart = 0; restart < c->restarts && !(restart && r->success); restart++) {
        start(x, x0, id, restart, c);
        for (int step = 0; step <= c->steps; step++) {
            model(logits, &loss, grad, x, label);
            int predicted = gb_argmax(logits, K);
            int success = c->targeted ? predicted == label : predicted != label;
            float objective = c->targeted ? -loss : loss;
            if (!c->keep_best || success > r->success ||
                (success == r->success && objective > value)) {
                memcpy(best, x, sizeof x);
                value = objective;
                r->success = success;
                r->predicted = predicted;
                r->loss = loss;
            }
            ever |= success;
            if (c->early_stop && success)
                return;
            if (step < c->steps) {
                r->iterations += !ever;
                advance(x, x0, grad, c);
            }
        }
    }
}

// --- tests ---

static float images[MAX * D];
static int labels[MAX];

static int setup(void **state)
{
    float logits[K], loss;
    for (int i = 0; i < MAX * D; i++) {
        gb_philox p = gb_philox4x32((gb_philox){{(uint32_t)i, 0, 0, 0}}, 5, 6);
        images[i] = gb_uniform(p.v[0]);
    }
    for (int n = 0; n < MAX; n++) {
        model(logits, &loss, NULL, images + n * D, 0);
        labels[n] = gb_argmax(logits, K);
    }
    return test_device_open(state);
}

static gb_attack *make(const gb_attack_config *config, int64_t batch)
{
    gb_attack *attack;
    const gb_session_options options = {.batch = batch};
    assert_ok(gb_attack_create(&attack, test_device(), NULL, &options, config));
    return attack;
}

static void attack_all(float *adv, gb_attack_result *r, const gb_attack_config *config, size_t n,
                       int64_t batch, const int *goal)
{
    gb_attack *attack = make(config, batch);
    const gb_attack_job job = {.n = n, .images = images, .labels = goal};
    assert_ok(gb_attack_run(attack, adv, r, &job));
    gb_attack_free(attack);
}

static void compare(const gb_attack_config *config, const char *what)
{
    float adv[MAX * D], want[D];
    gb_attack_result r[MAX], naive;
    gb_attack_config resolved = *config;
    int goal[MAX];
    assert_ok(gb_attack_resolve(&resolved));
    for (int n = 0; n < MAX; n++)
        goal[n] = config->targeted ? (labels[n] + 2) % K : labels[n];
    attack_all(adv, r, config, MAX, 3, goal); // 3 + 3 + 2: the last batch is padded
    for (int n = 0; n < MAX; n++) {
        walk(want, &naive, images + n * D, goal[n], gb_image_id(images + n * D, D), &resolved);
        if (r[n].success != naive.success || r[n].predicted != naive.predicted ||
            r[n].iterations != naive.iterations || !r[n].done)
            fail_msg("%s, image %d: success %d, class %d, %d iterations; want %d, %d, %d", what, n,
                     r[n].success, r[n].predicted, r[n].iterations, naive.success, naive.predicted,
                     naive.iterations);
        double off = 0, tolerance = config->norm == GB_NORM_LINF ? 0 : 1e-5;
        for (int i = 0; i < D; i++)
            off = fmax(off, fabs((double)adv[n * D + i] - (double)want[i]));
        if (off > tolerance)
            fail_msg("%s, image %d: off by %g", what, n, off);
        assert_float_equal(naive.loss, r[n].loss, 1e-4 * (1 + fabs((double)naive.loss)));
        assert_int_equal(0, r[n].zero_gradients);
        assert_true(gb_in_ball(r[n].linf, r[n].l2, config->norm, resolved.eps));
        double linf, l2;
        gb_distance(&linf, &l2, adv + n * D, images + n * D, D);
        assert_true(linf == r[n].linf && l2 == r[n].l2);
    }
}

static void test_walks(void **state)
{
    (void)state;
    for (int mode = 0; mode < 64; mode++) {
        gb_attack_config c;
        char what[96];
        assert_ok(gb_attack_default(&c, "pgd"));
        c.norm = mode & 1 ? GB_NORM_L2 : GB_NORM_LINF;
        c.targeted = !!(mode & 2);
        c.random_start = !!(mode & 4);
        c.early_stop = !!(mode & 8);
        c.keep_best = !!(mode & 16);
        c.restarts = c.random_start ? 3 : 1;
        c.eps = (mode & 32 ? 1 : 0.1f) * (mode & 1 ? 0.5f : 0.05f); // some images break, some do not
        c.steps = 4;
        c.seed = 0x123456789abcdef0u + (unsigned)mode;
        snprintf(what, sizeof what, "%s%s%s%s%s eps %g", mode & 1 ? "l2" : "linf",
                 mode & 2 ? " targeted" : "", mode & 4 ? " random" : "", mode & 8 ? " early" : "",
                 mode & 16 ? " best" : "", (double)c.eps);
        compare(&c, what);
    }
}

static void test_fgsm(void **state)
{
    gb_attack_config c;
    float adv[MAX * D], grad[D], logits[K], loss;
    gb_attack_result r[MAX];
    (void)state;
    assert_ok(gb_attack_default(&c, "fgsm"));
    c.eps = 0.03f;
    compare(&c, "fgsm");
    attack_all(adv, r, &c, MAX, MAX, labels);
    for (int n = 0; n < MAX; n++) {
        model(logits, &loss, grad, images + n * D, labels[n]);
        for (int i = 0; i < D; i++) {
            float x0 = images[n * D + i], y = x0 + 0.03f * (float)((grad[i] > 0) - (grad[i] < 0));
            assert_float_equal(clip(y, 0, 1), adv[n * D + i], 1e-7);
        }
    }
}

static void test_any_batch(void **state)
{
    gb_attack_config c;
    float adv[MAX * D], alone[D];
    gb_attack_result r[MAX], one;
    (void)state;
    for (int norm = 0; norm < 2; norm++) {
        assert_ok(gb_attack_default(&c, "pgd"));
        c.norm = norm ? GB_NORM_L2 : GB_NORM_LINF;
        c.eps = norm ? 0.3f : 0.02f;
        c.steps = 7;
        c.restarts = 2;
        c.seed = 42;
        attack_all(adv, r, &c, MAX, 5, labels);
        for (int n = 0; n < MAX; n++) {
            gb_attack *attack = make(&c, n % 3 + 1);
            const gb_attack_job job = {.n = 1, .images = images + n * D, .labels = labels + n};
            assert_ok(gb_attack_run(attack, alone, &one, &job));
            gb_attack_free(attack);
            assert_memory_equal(alone, adv + n * D, sizeof alone);
            assert_memory_equal(&one, &r[n], sizeof one);
        }
        c.seed = 43;
        attack_all(alone, &one, &c, 1, 1, labels);
        assert_true(memcmp(alone, adv, sizeof alone)); // the seed matters
    }
}

// The start fills the ball evenly: mean, spread and radius of many draws.
static void test_start_distribution(void **state)
{
    enum { DRAWS = 60 };
    gb_attack_config c;
    float grey[MAX * D], adv[MAX * D];
    (void)state;
    for (int i = 0; i < MAX * D; i++)
        grey[i] = 0.5f;
    for (int norm = 0; norm < 2; norm++) {
        double sum = 0, square = 0, inside = 0, radius = 0;
        assert_ok(gb_attack_default(&c, "pgd"));
        c.norm = norm ? GB_NORM_L2 : GB_NORM_LINF;
        c.eps = 0.25f;
        c.step_size = 0; // stay at the start
        c.steps = 1;
        c.early_stop = c.keep_best = 0;
        for (uint32_t draw = 0; draw < DRAWS; draw++) {
            c.seed = draw;
            gb_attack *attack = make(&c, MAX);
            uint32_t ids[MAX];
            for (uint32_t n = 0; n < MAX; n++)
                ids[n] = n;
            const gb_attack_job job = {.n = MAX, .images = grey, .labels = labels, .ids = ids};
            assert_ok(gb_attack_run(attack, adv, NULL, &job));
            gb_attack_free(attack);
            for (int n = 0; n < MAX; n++)
                radius += length(adv + n * D, grey);
            for (int i = 0; i < MAX * D; i++) {
                double v = ((double)adv[i] - 0.5) / 0.25;
                sum += v;
                square += v * v;
                inside += fabs(v) < 0.5;
            }
        }
        double n = DRAWS * MAX * D;
        if (norm == 0) { // U(-1,1): mean 0, variance 1/3, half of it in the middle half
            assert_float_equal(0, sum / n, 0.01);
            assert_float_equal(1.0 / 3, square / n, 0.01);
            assert_float_equal(0.5, inside / n, 0.01);
        } else { // in a ball of D dimensions: E r = D/(D+1), a coordinate's variance 1/(D+2)
            assert_float_equal(0, sum / n, 0.001);
            assert_float_equal(0.25 * D / (D + 1), radius / (DRAWS * MAX), 0.002);
            assert_float_equal(1.0 / (D + 2), square / n, 0.0003);
        }
    }
}

static void test_early_stop_ends(void **state)
{
    gb_attack_config c;
    float adv[MAX * D];
    gb_attack_result r[MAX];
    (void)state;
    assert_ok(gb_attack_default(&c, "pgd"));
    c.eps = 0.5f;
    c.steps = 500;
    c.step_size = 0.05f;
    n_gradients = 0;
    attack_all(adv, r, &c, MAX, MAX, labels);
    for (int n = 0; n < MAX; n++)
        assert_true(r[n].success && r[n].iterations < 60);
    assert_true(n_gradients < 100); // looked at every 16 steps at the latest
}

static void test_zero_gradient(void **state)
{
    gb_attack_config c;
    float adv[MAX * D];
    gb_attack_result r[MAX];
    int goal[MAX];
    (void)state;
    flat = true;
    for (int n = 0; n < MAX; n++)
        goal[n] = K - 1; // what the flat model always says
    assert_ok(gb_attack_default(&c, "pgd"));
    c.random_start = 0;
    c.steps = 6;
    attack_all(adv, r, &c, MAX, 3, goal);
    flat = false;
    assert_memory_equal(images, adv, sizeof adv);
    for (int n = 0; n < MAX; n++)
        assert_true(!r[n].success && r[n].zero_gradients == 6 && r[n].iterations == 6);
}

static void test_nan(void **state)
{
    gb_attack_config c;
    float adv[MAX * D], copy[MAX * D];
    gb_attack_result r[MAX];
    static const char *const names[MAX] = {"a.png", "b.png", "c.png", "d.png"};
    (void)state;
    assert_ok(gb_attack_default(&c, "pgd"));
    c.random_start = 0;
    gb_attack *attack = make(&c, 4);
    memcpy(copy, images, sizeof copy);
    gb_attack_job job = {.n = 4, .images = copy, .labels = labels, .names = names};
    copy[2 * D] = 1.0f;
    broken = true;
    assert_err(GB_ERR_NUMERIC, gb_attack_run(attack, adv, r, &job));
    broken = false;
    assert_non_null(strstr(gb_last_error(), "c.png"));
    assert_true(r[0].done && r[1].done && !r[2].done && r[3].done);

    // The same attack goes on working, and refuses what it cannot mean.
    assert_ok(gb_attack_run(attack, adv, r, &job));
    copy[D + 7] = 1.5f;
    assert_err(GB_ERR_ARG, gb_attack_run(attack, adv, r, &job));
    assert_non_null(strstr(gb_last_error(), "b.png"));
    copy[D + 7] = NAN;
    assert_err(GB_ERR_ARG, gb_attack_run(attack, adv, r, &job));
    copy[D + 7] = 0;
    job.names = NULL;
    for (int bad = -1; bad <= K; bad += K + 1) {
        int wrong[4] = {0, 1, 2, bad};
        job.labels = wrong;
        assert_err(GB_ERR_ARG, gb_attack_run(attack, adv, r, &job));
        assert_non_null(strstr(gb_last_error(), "image 3"));
    }
    gb_attack_free(attack);
}

static int stop_at(void *user, size_t done, size_t total, int step, int steps)
{
    int *calls = user;
    assert_true(total == MAX && done <= total && step <= steps);
    return ++*calls > 6;
}

static void test_cancel(void **state)
{
    gb_attack_config c;
    float adv[MAX * D];
    gb_attack_result r[MAX];
    int calls = 0;
    const gb_progress progress = {stop_at, &calls};
    (void)state;
    assert_ok(gb_attack_default(&c, "pgd"));
    c.early_stop = 0;
    c.steps = 40;
    gb_attack *attack = make(&c, 2);
    const gb_attack_job job = {.n = MAX, .images = images, .labels = labels, .progress = &progress};
    assert_err(GB_ERR_CANCELLED, gb_attack_run(attack, adv, r, &job));
    assert_true(r[0].done && !r[MAX - 1].done);
    gb_attack_free(attack);
}

static void test_smaller_batch(void **state)
{
    gb_attack_config c;
    const gb_session_options options = {.batch = 13};
    gb_attack *attack;
    (void)state;
    assert_ok(gb_attack_default(&c, "pgd"));
    too_big = 4;
    assert_ok(gb_attack_create(&attack, test_device(), NULL, &options, &c));
    assert_int_equal(3, gb_session_batch(gb_attack_session(attack)));
    too_big = 1;
    gb_attack *none;
    assert_err(GB_ERR_DEVICE_MEM, gb_attack_create(&none, test_device(), NULL, &options, &c));
    too_big = 0;

    float logits[MAX * K], want[K], loss;
    assert_ok(gb_session_logits(gb_attack_session(attack), logits, images, MAX));
    for (int n = 0; n < MAX; n++) {
        model(want, &loss, NULL, images + n * D, 0);
        assert_memory_equal(want, logits + n * K, sizeof want);
    }
    gb_attack_free(attack);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks),           cmocka_unit_test(test_fgsm),
        cmocka_unit_test(test_any_batch),       cmocka_unit_test(test_start_distribution),
        cmocka_unit_test(test_early_stop_ends), cmocka_unit_test(test_zero_gradient),
        cmocka_unit_test(test_nan),             cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_smaller_batch),
    };
    return cmocka_run_group_tests(tests, setup, test_device_close);
}
