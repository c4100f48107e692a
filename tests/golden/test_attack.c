// FGSM and PGD step for step against the iterates that PyTorch computed (make_attack.py), and walks
// that its optimisers drove (make_attack_rules.py).
#include "support/device.h"

#include "attack/attack.h"
#include "base/file.h"
#include "onnx/load.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 3, C = 3, H = 9, W = 7, D = C * H * W };

typedef struct walk {
    int32_t norm, targeted, steps;
    float eps, step;
} walk;

static const char *data_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("GIBBON_GOLDEN"), name);
    return path;
}

// k steps of the walk in one run are its first k iterates.
static void follow(gb_graph *model, const walk *w, const float *images, const int32_t *labels,
                   const float *iterates, int64_t batch)
{
    for (int k = 1; k <= w->steps; k++) {
        gb_attack_config config;
        gb_attack *attack;
        float x[N * D];
        gb_session_options options = {
            .batch = batch,
            .normalize = {.on = true, .range = 1, .mean = {0.485f, 0.456f, 0.406f},
                          .std = {0.229f, 0.224f, 0.225f}}};
        assert_ok(gb_attack_default(&config, w->steps == 1 ? "fgsm" : "pgd"));
        config.norm = w->norm ? GB_NORM_L2 : GB_NORM_LINF;
        config.targeted = w->targeted;
        config.eps = w->eps;
        config.step_size = w->step;
        config.steps = k;
        config.random_start = config.early_stop = config.keep_best = 0;
        assert_ok(gb_attack_create(&attack, test_device(), model, &options, &config));
        const gb_attack_job job = {.n = N, .images = images, .labels = labels};
        assert_ok(gb_attack_run(attack, x, NULL, &job));
        gb_attack_free(attack);
        double off = 0;
        for (int i = 0; i < N * D; i++)
            off = fmax(off, fabs((double)x[i] - (double)iterates[(k - 1) * N * D + i]));
        // Linf: the same signs, so only the rounding of x; L2: the gradient's own error
        if (off > (w->norm ? 2e-6 : 2e-7))
            fail_msg("norm %d targeted %d batch %d, step %d: off by %g", w->norm, w->targeted,
                     (int)batch, k, off);
    }
}

static void test_walks(void **state)
{
    gb_graph *model;
    unsigned char *bytes, *p;
    size_t size;
    int32_t head[5];
    (void)state;
    test_device();
    assert_ok(gb_onnx_load(&model, data_path("attack_model.onnx")));
    assert_ok(gb_file_read((void **)&bytes, &size, data_path("attack_walks.bin")));
    p = bytes;
    memcpy(head, p, sizeof head);
    p += sizeof head;
    assert_true(head[0] == N && head[1] == C && head[2] == H && head[3] == W && head[4] == 5);
    const float *images = (const float *)p;
    p += N * D * sizeof(float);
    for (int i = 0; i < head[4]; i++) {
        walk w;
        int32_t labels[N];
        memcpy(&w, p, sizeof w);
        memcpy(labels, p + sizeof w, sizeof labels);
        p += sizeof w + sizeof labels;
        follow(model, &w, images, labels, (const float *)p, N);
        follow(model, &w, images, labels, (const float *)p, 2);
        p += (size_t)w.steps * N * D * sizeof(float);
    }
    assert_true(p == bytes + size);
    free(bytes);
    gb_graph_free(model);
}

typedef struct rule_walk {
    int32_t optimizer, tutorial, steps;
    float eps, step;
} rule_walk;

static void follow_rule(gb_graph *model, const rule_walk *w, const float *images,
                        const int32_t *targets, const float *want)
{
    gb_attack_config config;
    gb_attack *attack;
    float x[N * D];
    const gb_session_options options = {
        .batch = 2,
        .normalize = {.on = true, .range = 1, .mean = {0.485f, 0.456f, 0.406f},
                      .std = {0.229f, 0.224f, 0.225f}}};
    assert_ok(gb_attack_default(&config, "pgd"));
    config.loss = GB_LOSS_PAIR;
    config.targeted = 1;
    config.optimizer = (gb_step_rule)w->optimizer;
    config.compat = w->tutorial ? GB_COMPAT_TUTORIAL : GB_COMPAT_NONE;
    config.eps = w->eps;
    config.step_size = w->step;
    config.steps = w->steps;
    config.random_start = config.early_stop = config.keep_best = 0;
    assert_ok(gb_attack_create(&attack, test_device(), model, &options, &config));
    const gb_attack_job job = {.n = N, .images = images, .labels = targets};
    assert_ok(gb_attack_run(attack, x, NULL, &job));
    gb_attack_free(attack);
    double off = 0, moved = 0;
    for (int i = 0; i < N * D; i++) {
        off = fmax(off, fabs((double)x[i] - (double)want[i]));
        moved = fmax(moved, fabs((double)want[i] - (double)images[i]));
    }
    if (off > 1e-3 * moved || moved == 0)
        fail_msg("optimizer %d tutorial %d: off by %g of %g", w->optimizer, w->tutorial, off,
                 moved);
}

static void test_rules(void **state)
{
    gb_graph *model;
    unsigned char *walks, *rules, *p;
    size_t size;
    int count = 0;
    (void)state;
    test_device();
    assert_ok(gb_onnx_load(&model, data_path("attack_model.onnx")));
    assert_ok(gb_file_read((void **)&walks, &size, data_path("attack_walks.bin")));
    assert_ok(gb_file_read((void **)&rules, &size, data_path("attack_rules.bin")));
    for (p = rules; p < rules + size; count++) {
        rule_walk w;
        int32_t targets[N];
        memcpy(&w, p, sizeof w);
        memcpy(targets, p + sizeof w, sizeof targets);
        p += sizeof w + sizeof targets;
        follow_rule(model, &w, (const float *)(walks + 5 * sizeof(int32_t)), targets,
                    (const float *)p);
        p += N * D * sizeof(float);
    }
    assert_true(p == rules + size && count == 6);
    free(rules);
    free(walks);
    gb_graph_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_walks), cmocka_unit_test(test_rules)};
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
