// Optimisers and learning rates over 50 steps against PyTorch (make_optim.py).
#include "support/device.h"

#include "base/file.h"
#include "base/mem.h"
#include "optim/optim.h"
#include "optim/schedule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden {
    void *file;
    const char *at, *end;
    int n, steps, kept;
    const int32_t *step;
    const float *p, *g;
} golden;

static const void *take(golden *d, size_t bytes)
{
    const char *here = d->at;
    assert_true(bytes <= (size_t)(d->end - d->at));
    d->at += bytes;
    return here;
}

static int32_t take_int(golden *d)
{
    int32_t v;
    memcpy(&v, take(d, sizeof v), sizeof v);
    return v;
}

static golden open_golden(void)
{
    char path[4096];
    size_t size;
    golden d = {0};
    snprintf(path, sizeof path, "%s/optim.bin", getenv("GIBBON_GOLDEN"));
    assert_ok(gb_file_read(&d.file, &size, path));
    d.at = d.file;
    d.end = d.at + size;
    d.n = take_int(&d);
    d.steps = take_int(&d);
    d.kept = take_int(&d);
    d.step = take(&d, (size_t)d.kept * 4);
    d.p = take(&d, (size_t)d.n * 4);
    d.g = take(&d, (size_t)d.n * (size_t)d.steps * 4);
    return d;
}

// "adam lr 0.1 ...": the first word goes to *name, the others are settings of `fields`.
static void set_all(char *text, void *fields, const gb_setting *setting, size_t count,
                    const char *const *params)
{
    char *word, *value, *rest;
    const gb_setting *found;
    strtok_r(text, " ", &rest);
    while ((word = strtok_r(NULL, " ", &rest)) && (value = strtok_r(NULL, " ", &rest))) {
        assert_ok(gb_setting_find(&found, setting, count, params, text, word));
        assert_ok(gb_setting_set(fields, found, value));
    }
}

static void run_case(golden *d, const char *text, const float *want, bool resume)
{
    char words[96], *name;
    gb_optim_config config;
    const gb_optimizer *rule;
    gb_buf *value, *grad;
    gb_optim *optim;
    size_t count, bytes = (size_t)d->n * sizeof(float);
    const gb_setting *setting = gb_optim_settings(&count);
    float *p = malloc(bytes);
    memcpy(words, text, sizeof words);
    name = strdup(words);
    name[strcspn(name, " ")] = 0;
    assert_ok(gb_optim_default(&config, name));
    assert_ok(gb_optimizer_find(&rule, name));
    set_all(words, &config, setting, count, rule->params);
    assert_ok(gb_buf_create(&value, test_device(), bytes));
    assert_ok(gb_buf_create(&grad, test_device(), bytes));
    assert_ok(gb_buf_write(value, 0, d->p, bytes));
    assert_ok(gb_optim_create(&optim, test_device(), &config, value, grad, (size_t)d->n));
    for (int t = 0, k = 0; t < d->steps; t++) {
        assert_ok(gb_buf_write(grad, 0, d->g + t * d->n, bytes));
        assert_ok(gb_optim_step(optim, config.lr));
        if (resume && t == 7) { // what a checkpoint does
            float *state = malloc(gb_optim_state_count(optim) * sizeof *state);
            int64_t steps = gb_optim_steps(optim);
            assert_int_equal(8, steps);
            assert_ok(gb_optim_download(optim, state));
            gb_optim_free(optim);
            assert_ok(gb_optim_create(&optim, test_device(), &config, value, grad, (size_t)d->n));
            assert_ok(gb_optim_upload(optim, state, steps));
            free(state);
        }
        if (k == d->kept || d->step[k] != t + 1)
            continue;
        assert_ok(gb_buf_read(value, 0, p, bytes));
        for (int i = 0; i < d->n; i++) {
            double w = (double)want[k * d->n + i], off = fabs((double)p[i] - w);
            // 2^-24 a step, and as much again for its correction and square root
            if (!(off <= 4e-7 * (1 + t) * (1e-3 + fabs(w) + fabs((double)d->p[i]))))
                fail_msg("%s, element %d after %d steps: %.9g instead of %.9g", text, i, t + 1,
                         (double)p[i], w);
        }
        k++;
    }
    gb_optim_free(optim);
    gb_buf_free(value);
    gb_buf_free(grad);
    free(name);
    free(p);
}

static void test_steps(void **state)
{
    (void)state;
    golden d = open_golden();
    int cases = take_int(&d);
    assert_true(cases > 10);
    for (int i = 0; i < cases; i++) {
        const char *text = take(&d, 96);
        const float *want = take(&d, (size_t)d.n * (size_t)d.kept * 4);
        run_case(&d, text, want, i % 2);
        run_case(&d, text, want, i % 2 == 0);
    }
    free(d.file);
}

static void test_rates(void **state)
{
    (void)state;
    golden d = open_golden();
    size_t count;
    const gb_setting *setting = gb_schedule_settings(&count);
    int cases = take_int(&d), schedules;
    take(&d, (size_t)cases * (96 + (size_t)d.n * (size_t)d.kept * 4));
    schedules = take_int(&d);
    for (int i = 0; i < schedules; i++) {
        char words[96], name[96];
        gb_schedule_config config;
        const gb_schedule *schedule;
        memcpy(words, take(&d, 96), sizeof words);
        memcpy(name, words, sizeof name);
        name[strcspn(name, " ")] = 0;
        int32_t epoch = take_int(&d);
        const float *want = take(&d, (size_t)d.steps * 4);
        assert_ok(gb_schedule_default(&config, name));
        assert_ok(gb_schedule_find(&schedule, name));
        set_all(words, &config, setting, count, schedule->params);
        assert_ok(gb_schedule_check(&config));
        for (int t = 0; t < d.steps; t++) {
            double rate = schedule->rate(&config, 0.5, t, epoch, d.steps), w = (double)want[t];
            if (!(fabs(rate - w) <= 1e-6 * w))
                fail_msg("%s, step %d: %.9g instead of %.9g", name, t, rate, w);
        }
    }
    assert_ptr_equal(d.at, d.end);
    free(d.file);
}

static void test_ascend(void **state)
{
    (void)state;
    const float p = 1, g = 0.25f;
    float q;
    gb_optim_config config;
    gb_buf *value, *grad;
    gb_optim *optim;
    assert_ok(gb_optim_default(&config, "sgd"));
    config.ascend = 1;
    config.lr = 2;
    assert_ok(gb_buf_create(&value, test_device(), sizeof p));
    assert_ok(gb_buf_create(&grad, test_device(), sizeof g));
    assert_ok(gb_buf_write(value, 0, &p, sizeof p));
    assert_ok(gb_buf_write(grad, 0, &g, sizeof g));
    assert_ok(gb_optim_create(&optim, test_device(), &config, value, grad, 1));
    assert_ok(gb_optim_step(optim, 2));
    assert_ok(gb_buf_read(value, 0, &q, sizeof q));
    assert_true(q == 1.5f);
    gb_optim_free(optim);
    gb_buf_free(value);
    gb_buf_free(grad);
}

static void test_wrong(void **state)
{
    (void)state;
    gb_optim_config config;
    gb_schedule_config schedule;
    assert_err(GB_ERR_ARG, gb_optim_default(&config, "adamax"));
    assert_non_null(strstr(gb_last_error(), "sgd, adam, adamw, rmsprop, adagrad, ftrl"));
    assert_ok(gb_optim_default(&config, "sgd"));
    config.nesterov = 1;
    assert_err(GB_ERR_ARG, gb_optim_check(&config));
    assert_non_null(strstr(gb_last_error(), "momentum"));
    assert_ok(gb_optim_default(&config, "adam"));
    config.beta2 = 1;
    assert_err(GB_ERR_ARG, gb_optim_check(&config));
    config.beta2 = NAN;
    assert_err(GB_ERR_ARG, gb_optim_check(&config));
    assert_err(GB_ERR_ARG, gb_schedule_default(&schedule, "linear"));
    assert_non_null(strstr(gb_last_error(), "constant, step, cosine, one-cycle"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_rates),
        cmocka_unit_test(test_ascend),
        cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
