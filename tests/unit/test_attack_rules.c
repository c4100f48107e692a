// Attacks driven by optimisers against a naive walk on the host in double, over a made-up model of
// known gradient; and what --compat makes of an attack.
#include "attack_toy.h"

#include "attack/quantize.h"

#include <stdio.h>

// Keras 2's rules with their defaults; t counts from 1, m and v are a rule's memory.
static double rule(gb_step_rule which, double p, double g, double rate, int t, double *m, double *v)
{
    double before;
    if (t == 1) {
        *m = 0;
        *v = which == GB_STEP_ADAGRAD || which == GB_STEP_FTRL ? 0.1 : 0;
    }
    switch (which) {
    case GB_STEP_ADAM:
        *m = 0.9 * *m + 0.1 * g;
        *v = 0.999 * *v + 0.001 * g * g;
        return p - rate * sqrt(1 - pow(0.999, t)) / (1 - pow(0.9, t)) * *m / (sqrt(*v) + 1e-7);
    case GB_STEP_RMSPROP:
        *v = 0.9 * *v + 0.1 * g * g;
        return p - rate * g / (sqrt(*v) + 1e-7);
    case GB_STEP_ADAGRAD:
        *v += g * g;
        return p - rate * g / (sqrt(*v) + 1e-7);
    case GB_STEP_FTRL:
        before = *v;
        *v += g * g;
        *m += g - (sqrt(*v) - sqrt(before)) / rate * p;
        return -*m / (sqrt(*v) / rate);
    default:
        return p - rate * g;
    }
}

static double clip(double v, double low, double high)
{
    return fmin(fmax(v, low), high);
}

static void walk(double *x, const float *x0, int label, const gb_attack_config *c)
{
    double m[D], v[D], held[D], unit = c->compat == GB_COMPAT_TUTORIAL ? 255 : 1;
    double eps = (double)c->eps * unit, rate = (double)c->step_size * unit;
    float at[D], grad[D], logits[K], loss;
    for (int i = 0; i < D; i++)
        x[i] = (double)x0[i];
    for (int t = 1; t <= c->steps; t++) {
        double far = 0;
        for (int i = 0; i < D; i++)
            at[i] = (float)x[i];
        model(logits, &loss, grad, at, label);
        for (int i = 0; i < D; i++) {
            double g = (c->targeted ? 1 : -1) * (double)grad[i] / unit;
            bool box = c->compat != GB_COMPAT_TUTORIAL; // the tutorial's perturbation knows none
            double p = t == 1 ? 0 : box ? (x[i] - (double)x0[i]) * unit : held[i];
            p = rule(c->optimizer, p, g, rate, t, &m[i], &v[i]);
            if (c->compat == GB_COMPAT_TUTORIAL)
                p += clip(p, -eps, eps);
            else if (c->norm == GB_NORM_LINF)
                p = clip(p, -eps, eps);
            held[i] = p;
            x[i] = (double)x0[i] + p / unit;
            far += p * p;
        }
        for (int i = 0; i < D; i++) {
            double scale = c->norm == GB_NORM_L2 ? fmin(1, eps / sqrt(far)) : 1;
            x[i] = clip((double)x0[i] + (x[i] - (double)x0[i]) * scale, 0, 1);
        }
    }
}

static void compare(const gb_attack_config *config)
{
    float adv[MAX * D];
    double want[D];
    gb_attack_result r[MAX];
    gb_attack_config c = *config;
    int goal[MAX];
    assert_ok(gb_attack_resolve(&c));
    for (int n = 0; n < MAX; n++)
        goal[n] = c.targeted ? (labels[n] + 2) % K : labels[n];
    attack_all(adv, r, config, MAX, 3, goal);
    for (int n = 0; n < MAX; n++) {
        double moved = 0, off = 0;
        walk(want, images + n * D, goal[n], &c);
        for (int i = 0; i < D; i++) {
            off = fmax(off, fabs((double)adv[n * D + i] - want[i]));
            moved = fmax(moved, fabs(want[i] - (double)images[n * D + i]));
        }
        // L2 keeps no perturbation beside x, which is rounded to a float twice a step.
        if (off > 1e-4 * moved + (c.norm == GB_NORM_L2 ? 6e-8 * c.steps : 1e-7))
            fail_msg("rule %d norm %d targeted %d compat %d, image %d: off by %g of %g",
                     c.optimizer, c.norm, c.targeted, c.compat, n, off, moved);
        assert_true(gb_in_ball(r[n].linf, r[n].l2, c.norm, gb_attack_radius(&c)));
    }
}

static gb_attack_config pgd(gb_step_rule which, gb_norm norm)
{
    gb_attack_config c;
    assert_ok(gb_attack_default(&c, "pgd"));
    c.norm = norm;
    c.optimizer = which;
    c.random_start = c.early_stop = c.keep_best = 0;
    c.eps = norm == GB_NORM_L2 ? 0.3f : 0.02f;
    // SGD's steps are as long as the gradient, those of Adagrad and FTRL somewhat.
    c.step_size = which == GB_STEP_SGD ? 0.1f : which >= GB_STEP_ADAGRAD ? 0.02f : 0.004f;
    c.steps = 9;
    return c;
}

static void test_rules(void **state)
{
    (void)state;
    for (gb_step_rule which = GB_STEP_SGD; which <= GB_STEP_FTRL; which++) {
        for (int mode = 0; mode < 4; mode++) {
            gb_attack_config c = pgd(which, mode & 1 ? GB_NORM_L2 : GB_NORM_LINF);
            c.targeted = mode >> 1;
            compare(&c);
            c.eps /= 20; // the ball's surface
            compare(&c);
        }
    }
}

static void test_tutorial(void **state)
{
    (void)state;
    for (gb_step_rule which = GB_STEP_SGD; which <= GB_STEP_FTRL; which++) {
        gb_attack_config c = pgd(which, GB_NORM_LINF);
        c.compat = GB_COMPAT_TUTORIAL;
        c.eps = 2.0f / 255 / 255;
        c.step_size = which == GB_STEP_SGD ? 40 : 0.1f / 255;
        compare(&c);
    }
}

// The tutorial's perturbation outgrows its eps; its settings are what its text says.
static void test_tutorial_settings(void **state)
{
    float adv[MAX * D];
    gb_attack_result r[MAX];
    gb_attack_config c;
    (void)state;
    assert_ok(gb_attack_default(&c, "pgd"));
    c.compat = GB_COMPAT_TUTORIAL;
    c.steps = 20;
    attack_all(adv, r, &c, MAX, 4, labels);
    assert_ok(gb_attack_resolve(&c));
    assert_true(c.optimizer == GB_STEP_ADAM && !c.random_start && !c.early_stop && !c.keep_best);
    assert_true(c.eps == 2.0f / 255 / 255 && c.step_size == 0.1f / 255);
    assert_true(gb_attack_radius(&c) == 1);
    for (int n = 0; n < MAX; n++)
        assert_true(r[n].linf > 20 * (double)c.eps);
    c.step_size = NAN;
    c.targeted = 1;
    assert_ok(gb_attack_resolve(&c));
    assert_true(c.loss == GB_LOSS_PAIR && c.step_size == 5e-3f / 255);
    c.norm = GB_NORM_L2;
    assert_err(GB_ERR_ARG, gb_attack_resolve(&c));
    assert_ok(gb_attack_default(&c, "pgd"));
    assert_true(gb_attack_radius(&c) != 1);
    c.loss = GB_LOSS_PAIR;
    assert_err(GB_ERR_ARG, gb_attack_resolve(&c));
    assert_non_null(strstr(gb_last_error(), "target"));
}

static void test_tutorial_fgsm(void **state)
{
    float adv[MAX * D], grad[D], logits[K], loss;
    gb_attack_result r[MAX];
    gb_attack_config c;
    (void)state;
    assert_ok(gb_attack_default(&c, "fgsm"));
    c.compat = GB_COMPAT_TUTORIAL;
    c.eps = 0.05f;
    attack_all(adv, r, &c, MAX, 3, labels);
    for (int n = 0; n < MAX; n++) {
        model(logits, &loss, grad, images + n * D, labels[n]);
        for (int i = 0; i < D; i++) {
            double x0 = (double)images[n * D + i], up = grad[i] > 0 ? 0.05 : 0;
            assert_float_equal(clip(x0 + up, 0, 1), (double)adv[n * D + i], 1e-7);
        }
    }
}

// The same bits alone and in a batch where others rest and restart; a restart forgets.
static void test_any_batch(void **state)
{
    float adv[MAX * D], alone[D];
    gb_attack_result r[MAX], one;
    (void)state;
    for (gb_step_rule which = GB_STEP_SGD; which <= GB_STEP_FTRL; which++) {
        gb_attack_config c = pgd(which, which & 1 ? GB_NORM_LINF : GB_NORM_L2);
        c.random_start = c.early_stop = c.keep_best = 1;
        c.restarts = 3;
        attack_all(adv, r, &c, MAX, 3, labels);
        for (int n = 0; n < MAX; n++) {
            gb_attack *attack = make(&c, n % 3 + 1);
            const gb_attack_job job = {.n = 1, .images = images + n * D, .labels = labels + n};
            assert_ok(gb_attack_run(attack, alone, &one, &job));
            gb_attack_free(attack);
            assert_memory_equal(alone, adv + n * D, sizeof alone);
            assert_memory_equal(&one, &r[n], sizeof one);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),         cmocka_unit_test(test_tutorial),
        cmocka_unit_test(test_tutorial_settings), cmocka_unit_test(test_tutorial_fgsm),
        cmocka_unit_test(test_any_batch),
    };
    return cmocka_run_group_tests(tests, setup, test_device_close);
}
