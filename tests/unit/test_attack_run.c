// Runs of attacks: when they end, what they report, what they refuse.
#include "attack_toy.h"

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
        cmocka_unit_test(test_early_stop_ends), cmocka_unit_test(test_zero_gradient),
        cmocka_unit_test(test_nan),             cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_smaller_batch),
    };
    return cmocka_run_group_tests(tests, setup, test_device_close);
}
