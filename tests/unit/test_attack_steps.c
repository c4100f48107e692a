// Attacks on the device against a naive walk on the host, over a made-up model of known gradient.
//
// Gradients are bitwise the same on both sides, hence so are Linf walks.
#include "attack_toy.h"

#include "attack/quantize.h"

#include <stdio.h>

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
            x[i] = clip(x0[i] + (float)((x[i] - x0[i]) * fmin(1, (double)c->eps / far)), 0, 1);
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

static void compare(const gb_attack_config *config, const char *what)
{
    float adv[MAX * D], want[D];
    gb_attack_result r[MAX], naive;
    gb_attack_config resolved = *config;
    int goal[MAX];
    assert_false(config->eight_bit && config->early_stop); // that is test_attack_run's
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
        c.eps = (mode & 32 ? 1 : 0.1f) * (mode & 1 ? 0.5f : 0.05f); // some break, some do not
        c.steps = 4;
        c.eight_bit = 0;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_fgsm),
        cmocka_unit_test(test_any_batch),
        cmocka_unit_test(test_start_distribution),
    };
    return cmocka_run_group_tests(tests, setup, test_device_close);
}
