// Runs of attacks: when they end, what they report, what they refuse.
#include "attack_toy.h"

#include "attack/quantize.h"

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

// Images whose first success does not survive rounding take all their steps; the others stay as
// they were.
static void test_eight_bit(void **state)
{
    gb_attack_config c;
    float plain[MAX * D], full[MAX * D], adv[MAX * D], grid[MAX * D], logits[MAX * K];
    gb_attack_result r[MAX], rounded[MAX];
    int lost = 0, kept = 0;
    (void)state;
    for (int i = 0; i < MAX * D; i++)
        grid[i] = floorf(images[i] * 255 + 0.5f) / 255;
    for (int norm = 0; norm < 2; norm++) {
        assert_ok(gb_attack_default(&c, "pgd"));
        c.norm = norm ? GB_NORM_L2 : GB_NORM_LINF;
        c.eps = norm ? 0.15f : 0.02f;
        c.step_size = c.eps / 40;
        c.steps = 80;
        for (int mode = 0; mode < 3; mode++) {
            c.early_stop = mode != 1;
            c.eight_bit = mode == 2;
            gb_attack *attack = make(&c, 3);
            float *out = mode == 0 ? plain : mode == 1 ? full : adv;
            memcpy(out, grid, sizeof grid);
            const gb_attack_job job = {.n = MAX, .images = out, .labels = labels}; // in place
            assert_ok(gb_attack_run(attack, out, mode == 2 ? rounded : r, &job));
            if (mode == 2) {
                for (int n = 0; n < MAX; n++) {
                    uint8_t original[D], saved[D];
                    float x[D];
                    for (int i = 0; i < D; i++)
                        original[i] = (uint8_t)(grid[n * D + i] * 255 + 0.5f);
                    assert_ok(gb_quantize(saved, plain + n * D, original, D, c.norm, c.eps));
                    for (int i = 0; i < D; i++)
                        x[i] = (float)saved[i] / 255.0f;
                    assert_ok(gb_session_logits(gb_attack_session(attack), logits, x, 1));
                    bool holds = gb_argmax(logits, K) != labels[n];
                    const float *want = rounded[n].success && !holds ? full : plain;
                    assert_memory_equal(want + n * D, adv + n * D, sizeof x);
                    double linf, l2;
                    gb_distance(&linf, &l2, adv + n * D, grid + n * D, D);
                    assert_true(linf == rounded[n].linf && l2 == rounded[n].l2);
                    assert_ok(gb_quantize(saved, adv + n * D, original, D, c.norm, c.eps));
                    for (int i = 0; i < D; i++)
                        x[i] = (float)saved[i] / 255.0f;
                    assert_ok(gb_session_logits(gb_attack_session(attack), logits, x, 1));
                    assert_int_equal(rounded[n].success && gb_argmax(logits, K) != labels[n],
                                     rounded[n].success_8bit);
                    lost += rounded[n].success && !holds;
                    kept += rounded[n].success && holds;
                }
            }
            gb_attack_free(attack);
        }
    }
    assert_true(lost > 0 && kept > 0); // both kinds were there
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
    ++*calls;
    return done >= 4; // in the third batch of two
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
    assert_true(calls >= 3);
    for (int n = 0; n < MAX; n++)
        assert_int_equal(n < 4, r[n].done);
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
        cmocka_unit_test(test_early_stop_ends), cmocka_unit_test(test_eight_bit),
        cmocka_unit_test(test_zero_gradient),
        cmocka_unit_test(test_nan),             cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_smaller_batch),
    };
    return cmocka_run_group_tests(tests, setup, test_device_close);
}
