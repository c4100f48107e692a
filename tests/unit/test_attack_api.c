// The public API through the shared library: what it refuses, and one way through all of it.
#include "support/check.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { C = 1, H = 28, W = 28, D = C * H * W, N = 3, K = 10 };

static gb_device *dev;
static gb_model *model;
static float images[N * D];

static const char *data_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", getenv("GIBBON_GOLDEN"), name);
    return path;
}

static int setup(void **state)
{
    static const char *const names[N] = {"fashion_ankle_boot_9.png", "fashion_bag_8.png",
                                         "fashion_trouser_1.png"};
    (void)state;
    if (gb_device_open(&dev, getenv("GIBBON_TEST_DEVICE"), NULL) == GB_ERR_NO_DEVICE)
        return 0;
    if (!dev || gb_model_load(&model, data_path("fashion.onnx")) < 0)
        return print_error("%s\n", gb_last_error()), -1;
    for (int i = 0; i < N; i++) {
        if (gb_model_read_image(images + i * D, model, data_path(names[i])) < 0)
            return print_error("%s\n", gb_last_error()), -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gb_model_free(model);
    gb_device_close(dev);
    return 0;
}

static void need_device(void)
{
    if (!dev) {
        print_message("no OpenCL device here\n");
        skip();
    }
}

static void test_refusals(void **state)
{
    gb_attack_config config;
    gb_attack *attack = NULL;
    gb_session *session = NULL;
    gb_model *none = NULL;
    char *text;
    float out[D];
    int n;
    (void)state;
    need_device();
    gb_device_close(NULL);
    gb_model_free(NULL);
    gb_session_free(NULL);
    gb_attack_free(NULL);
    gb_text_free(NULL);
    assert_err(GB_ERR_IO, gb_model_load(&none, "/nonexistent/model.onnx"));
    assert_err(GB_ERR_FORMAT, gb_model_load(&none, data_path("fashion_bag_8.png")));
    assert_err(GB_ERR_ARG, gb_model_load(&none, "builtin:nothing"));
    assert_err(GB_ERR_ARG, gb_model_load(NULL, "x.onnx"));
    assert_null(none);
    assert_err(GB_ERR_ARG, gb_model_set_preprocess(model, "imagenette"));
    assert_err(GB_ERR_ARG, gb_model_set_preprocess(NULL, "unit"));
    assert_err(GB_ERR_ARG, gb_model_size(&n, &n, NULL, model));
    assert_err(GB_ERR_ARG, gb_model_describe(&text, NULL));
    assert_err(GB_ERR_ARG, gb_model_read_image(out, model, NULL));
    assert_err(GB_ERR_IO, gb_model_read_image(out, model, "/nonexistent.png"));
    assert_err(GB_ERR_ARG, gb_device_describe(&text, NULL));
    assert_err(GB_ERR_ARG, gb_session_open(&session, dev, model, 0));
    assert_err(GB_ERR_ARG, gb_session_open(&session, NULL, model, 1));
    assert_err(GB_ERR_ARG, gb_classify(out, NULL, images, 1));
    assert_err(GB_ERR_ARG, gb_attack_default(&config, "nonsense"));
    assert_ok(gb_attack_default(&config, "pgd"));
    assert_err(GB_ERR_ARG, gb_attack_open(&attack, dev, model, -1, &config));
    assert_err(GB_ERR_ARG, gb_attack_open(&attack, dev, model, 1, NULL));
    config.eps = -1;
    assert_err(GB_ERR_ARG, gb_attack_open(&attack, dev, model, 1, &config));
    config.method = "nonsense";
    assert_err(GB_ERR_ARG, gb_attack_open(&attack, dev, model, 1, &config));
    assert_null(attack);
    assert_true(gb_last_error()[0] && !strchr(gb_last_error(), '\n'));
}

// What callers say of a model stands above what its file tells, and has to fit it.
static void test_model_options(void **state)
{
    gb_model_options told = {.input_layout = "nchw", .height = 28, .width = 28,
                             .output = "logits", .scores = "logits"};
    gb_model *loaded = NULL;
    gb_session *session = NULL;
    float p[2][K * N];
    char *text;
    (void)state;
    need_device();
    assert_ok(gb_model_load_as(&loaded, data_path("fashion.onnx"), &told));
    assert_ok(gb_model_set_preprocess(loaded, "unit"));
    assert_ok(gb_model_describe(&text, loaded));
    assert_non_null(strstr(text, "output logits"));
    gb_text_free(text);
    for (int as = 0; as < 2; as++) {
        assert_ok(gb_session_open(&session, dev, as ? loaded : model, N));
        assert_int_equal(K, gb_session_classes(session));
        assert_ok(gb_classify(p[as], session, images, N));
        gb_session_free(session);
    }
    assert_memory_equal(p[0], p[1], sizeof p[0]);
    gb_model_free(loaded);
    loaded = NULL;
    static const gb_model_options wrong[] = {
        {.input_layout = "hwc"}, {.input_layout = "flat"}, {.height = 32, .width = 32},
        {.height = 28}, {.height = -1, .width = -1}, {.output = "features"}, {.class_axis = -1},
        {.scores = "grades"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (gb_model_load_as(&loaded, data_path("fashion.onnx"), &wrong[i]) != GB_ERR_ARG)
            fail_msg("options %zu", i);
    assert_null(loaded);
    told.class_axis = 2; // of an output with two axes
    assert_ok(gb_model_load_as(&loaded, data_path("fashion.onnx"), &told));
    assert_err(GB_ERR_ARG, gb_session_open(&session, dev, loaded, 1));
    gb_model_free(loaded);
}

// A call, what it must return, and what it did return.
typedef struct trial {
    const char *call;
    int want;
    int64_t got;
} trial;
#define TRIAL(want, call) {#call, want, call}

static void check_trials(const trial *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].got != list[i].want)
            fail_msg("%s: %lld, not %d", list[i].call, (long long)list[i].got, list[i].want);
    assert_true(gb_last_error()[0] && !strchr(gb_last_error(), '\n'));
}
#define CHECK(...) \
    do { \
        const trial list_[] = {__VA_ARGS__}; \
        check_trials(list_, sizeof list_ / sizeof *list_); \
    } while (0)

// Every function, each pointer NULL in turn; what may be NULL is.
static void test_null(void **state)
{
    gb_attack_config config;
    gb_attack *attack = NULL;
    gb_session *session = NULL;
    gb_device *other = NULL;
    gb_model *loaded = NULL;
    const gb_model_options told = {0};
    char *text = NULL;
    float out[D], p[10];
    uint8_t bytes[4] = {0};
    int n, seen[1];
    (void)state;
    need_device();
    assert_ok(gb_attack_default(&config, "pgd"));
    assert_ok(gb_session_open(&session, dev, model, 1));
    assert_ok(gb_attack_open(&attack, dev, model, 1, &config));
    CHECK(TRIAL(GB_ERR_ARG, gb_device_open(NULL, NULL, NULL)),
          TRIAL(GB_ERR_ARG, gb_device_open(NULL, "cpu", NULL)),
          TRIAL(GB_ERR_ARG, gb_device_set_precision(NULL, "float32")),
          TRIAL(GB_ERR_ARG, gb_device_set_precision(dev, NULL)),
          TRIAL(GB_ERR_ARG, gb_device_describe(NULL, dev)),
          TRIAL(GB_ERR_ARG, gb_device_describe(&text, NULL)),
          TRIAL(GB_ERR_ARG, gb_device_describe_all(NULL)),
          TRIAL(GB_ERR_ARG, gb_model_load_as(NULL, data_path("fashion.onnx"), &told)),
          TRIAL(GB_ERR_ARG, gb_model_load_as(&loaded, NULL, &told)),
          TRIAL(GB_ERR_ARG, gb_model_load_as(&loaded, data_path("fashion.onnx"), NULL)),
          TRIAL(GB_ERR_ARG, gb_model_load(NULL, data_path("fashion.onnx"))),
          TRIAL(GB_ERR_ARG, gb_model_load(&loaded, NULL)),
          TRIAL(GB_ERR_ARG, gb_model_set_preprocess(NULL, "unit")),
          TRIAL(GB_ERR_ARG, gb_model_set_preprocess(model, NULL)),
          TRIAL(GB_ERR_ARG, gb_model_size(NULL, &n, &n, model)),
          TRIAL(GB_ERR_ARG, gb_model_size(&n, NULL, &n, model)),
          TRIAL(GB_ERR_ARG, gb_model_size(&n, &n, NULL, model)),
          TRIAL(GB_ERR_ARG, gb_model_size(&n, &n, &n, NULL)),
          TRIAL(GB_ERR_ARG, gb_model_describe(NULL, model)),
          TRIAL(GB_ERR_ARG, gb_model_describe(&text, NULL)),
          TRIAL(GB_ERR_ARG, gb_model_read_image(NULL, model, data_path("fashion_bag_8.png"))),
          TRIAL(GB_ERR_ARG, gb_model_read_image(out, NULL, data_path("fashion_bag_8.png"))),
          TRIAL(GB_ERR_ARG, gb_model_read_image(out, model, NULL)));
    CHECK(TRIAL(GB_ERR_ARG, gb_session_open(NULL, dev, model, 1)),
          TRIAL(GB_ERR_ARG, gb_session_open(&session, NULL, model, 1)),
          TRIAL(GB_ERR_ARG, gb_session_open(&session, dev, NULL, 1)),
          TRIAL(GB_ERR_ARG, gb_session_classes(NULL)),
          TRIAL(GB_ERR_ARG, gb_classify(NULL, session, images, 1)),
          TRIAL(GB_ERR_ARG, gb_classify(p, NULL, images, 1)),
          TRIAL(GB_ERR_ARG, gb_classify(p, session, NULL, 1)),
          TRIAL(GB_OK, gb_classify(NULL, session, NULL, 0)),
          TRIAL(GB_ERR_ARG, gb_classify(NULL, NULL, NULL, 0)),
          TRIAL(GB_ERR_ARG, gb_attack_default(NULL, "pgd")),
          TRIAL(GB_ERR_ARG, gb_attack_default(&config, NULL)),
          TRIAL(GB_ERR_ARG, gb_attack_open(NULL, dev, model, 1, &config)),
          TRIAL(GB_ERR_ARG, gb_attack_open(&attack, NULL, model, 1, &config)),
          TRIAL(GB_ERR_ARG, gb_attack_open(&attack, dev, NULL, 1, &config)),
          TRIAL(GB_ERR_ARG, gb_attack_open(&attack, dev, model, 1, NULL)),
          TRIAL(GB_ERR_ARG, gb_attack_images(NULL, NULL, attack, images, NULL, 1, NULL)),
          TRIAL(GB_ERR_ARG, gb_attack_images(out, NULL, NULL, images, NULL, 1, NULL)),
          TRIAL(GB_ERR_ARG, gb_attack_images(out, NULL, attack, NULL, NULL, 1, NULL)),
          TRIAL(GB_OK, gb_attack_images(NULL, NULL, attack, NULL, NULL, 0, NULL)),
          TRIAL(GB_OK, gb_attack_images(out, NULL, attack, images, NULL, 1, &(gb_progress){0})),
          TRIAL(GB_ERR_ARG, gb_attack_classify(NULL, attack, images, 1)),
          TRIAL(GB_ERR_ARG, gb_attack_classify(seen, NULL, images, 1)),
          TRIAL(GB_ERR_ARG, gb_attack_classify(seen, attack, NULL, 1)),
          TRIAL(GB_OK, gb_attack_classify(NULL, attack, NULL, 0)),
          TRIAL(GB_ERR_ARG, gb_attack_write_png(NULL, attack, out, images)),
          TRIAL(GB_ERR_ARG, gb_attack_write_png("x.png", NULL, out, images)),
          TRIAL(GB_ERR_ARG, gb_attack_write_png("x.png", attack, NULL, images)),
          TRIAL(GB_ERR_ARG, gb_attack_write_png("x.png", attack, out, NULL)),
          TRIAL(GB_ERR_ARG, gb_quantize(NULL, out, bytes, 4, GB_NORM_LINF, 1)),
          TRIAL(GB_ERR_ARG, gb_quantize(bytes, NULL, bytes, 4, GB_NORM_LINF, 1)),
          TRIAL(GB_ERR_ARG, gb_quantize(bytes, out, NULL, 4, GB_NORM_LINF, 1)),
          TRIAL(GB_OK, gb_quantize(NULL, NULL, NULL, 0, GB_NORM_LINF, 1)));
    config.method = NULL;
    CHECK(TRIAL(GB_ERR_ARG, gb_attack_open(&attack, dev, model, 1, &config)));
    assert_ok(gb_device_open(&other, getenv("GIBBON_TEST_DEVICE"), &(gb_log){0}));
    gb_device_close(other);
    assert_null(loaded);
    assert_null(text);
    gb_attack_free(attack);
    gb_session_free(session);
}

// Numbers that no memory holds, negative ones and none.
static void test_numbers(void **state)
{
    static const int64_t none[] = {0, -1, INT64_MIN};
    static const int64_t huge[] = {(int64_t)1 << 31, (int64_t)1 << 40, (int64_t)1 << 51,
                                   ((int64_t)1 << 40) - 87, INT64_MAX};
    static const size_t many[] = {SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / D, SIZE_MAX / 4 / D + 1,
                                  SIZE_MAX / 40 + 1};
    gb_attack_config config, changed;
    gb_attack *attack = NULL;
    gb_session *session = NULL;
    float out[D], p[10];
    uint8_t bytes[4] = {9, 9, 9, 9}, to[4];
    int seen[1];
    (void)state;
    need_device();
    assert_ok(gb_attack_default(&config, "pgd"));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        CHECK(TRIAL(GB_ERR_ARG, gb_session_open(&session, dev, model, none[i])),
              TRIAL(GB_ERR_ARG, gb_attack_open(&attack, dev, model, none[i], &config)));
    for (size_t i = 0; i < sizeof huge / sizeof *huge; i++)
        CHECK(TRIAL(GB_ERR_DEVICE_MEM, gb_session_open(&session, dev, model, huge[i])));
    assert_null(session);
    assert_null(attack);
    assert_ok(gb_session_open(&session, dev, model, 1));
    assert_ok(gb_attack_open(&attack, dev, model, 1, &config));
    for (size_t i = 0; i < sizeof many / sizeof *many; i++)
        CHECK(TRIAL(GB_ERR_ARG, gb_classify(p, session, images, many[i])),
              TRIAL(GB_ERR_ARG, gb_attack_classify(seen, attack, images, many[i])),
              TRIAL(GB_ERR_ARG, gb_attack_images(out, NULL, attack, images, NULL, many[i], NULL)),
              TRIAL(GB_ERR_ARG, gb_attack_images(out, NULL, attack, images, seen, many[i], NULL)));
    for (size_t i = 0; i < D; i++)
        out[i] = NAN;
    CHECK(TRIAL(GB_ERR_ARG, gb_quantize(to, out, bytes, SIZE_MAX, GB_NORM_L2, 1)),
          TRIAL(GB_ERR_ARG, gb_quantize(to, out, bytes, 4, GB_NORM_L2, -1)),
          TRIAL(GB_ERR_ARG, gb_quantize(to, out, bytes, 4, GB_NORM_LINF, NAN)),
          TRIAL(GB_ERR_ARG, gb_quantize(to, out, bytes, 4, (gb_norm)7, 1)),
          TRIAL(GB_OK, gb_quantize(to, out, bytes, 4, GB_NORM_LINF, INFINITY)),
          TRIAL(GB_OK, gb_quantize(to, out, bytes, 4, GB_NORM_L2, INFINITY)),
          TRIAL(GB_ERR_ARG, gb_attack_images(out, NULL, attack, images, &(int){-1}, 1, NULL)),
          TRIAL(GB_ERR_ARG, gb_attack_images(out, NULL, attack, images, &(int){10}, 1, NULL)));
    gb_attack_free(attack);
    attack = NULL;
#define CHANGED(field, value) \
    do { \
        changed = config; \
        changed.field = value; \
        if (gb_attack_open(&attack, dev, model, 1, &changed) != GB_ERR_ARG) \
            fail_msg("%s = %s is taken", #field, #value); \
    } while (0)
    CHANGED(norm, (gb_norm)-1);
    CHANGED(norm, (gb_norm)99);
    CHANGED(loss, (gb_loss)-1);
    CHANGED(loss, (gb_loss)99);
    CHANGED(loss, GB_LOSS_NONE);
    CHANGED(loss, GB_LOSS_KL);
    CHANGED(loss, GB_LOSS_TRADES);
    CHANGED(eps, -1);
    CHANGED(eps, INFINITY);
    CHANGED(step_size, -INFINITY);
    CHANGED(step_size, INFINITY);
    CHANGED(steps, 0);
    CHANGED(steps, -1);
    CHANGED(restarts, 0);
    CHANGED(restarts, INT_MIN);
    CHANGED(random_start, 2);
    CHANGED(early_stop, 7);
    CHANGED(keep_best, -7);
    CHANGED(eight_bit, 2);
    CHANGED(optimizer, (gb_step_rule)99);
    CHANGED(optimizer, (gb_step_rule)-1);
    CHANGED(compat, (gb_compat)2);
    gb_session_free(session);
}

static void test_describe(void **state)
{
    int c, h, w;
    char *text;
    (void)state;
    need_device();
    assert_ok(gb_device_describe(&text, dev));
    assert_non_null(strchr(text, ':'));
    assert_null(strchr(text, '\n'));
    assert_non_null(strstr(text, " GiB"));
    assert_int_equal('.', strstr(text, " GiB")[-2]); // in any locale
    gb_text_free(text);
    assert_ok(gb_device_describe_all(&text));
    assert_non_null(strchr(text, '\n'));
    gb_text_free(text);
    assert_ok(gb_model_describe(&text, model));
    assert_non_null(strstr(text, "28x28"));
    gb_text_free(text);
    assert_ok(gb_model_size(&c, &h, &w, model));
    assert_true(c == C && h == H && w == W);
}

static void test_builtin(void **state)
{
    gb_model *built = NULL;
    int channels, height, width;
    (void)state;
    assert_ok(gb_model_load(&built, "builtin:cnn-b"));
    assert_ok(gb_model_size(&channels, &height, &width, built));
    assert_true(channels == 1 && height == 28 && width == 28);
    gb_model_free(built);
}

static void test_classify(void **state)
{
    gb_session *session;
    float p[N * 10], one[10];
    static const int truth[N] = {9, 8, 1};
    (void)state;
    need_device();
    assert_ok(gb_session_open(&session, dev, model, 2)); // 3 images: a padded batch
    assert_int_equal(10, gb_session_classes(session));
    assert_ok(gb_classify(p, session, images, N));
    for (int i = 0; i < N; i++) {
        double sum = 0;
        int best = 0;
        for (int k = 0; k < 10; k++) {
            sum += (double)p[i * 10 + k];
            best = p[i * 10 + k] > p[i * 10 + best] ? k : best;
        }
        assert_float_equal(1, sum, 1e-5);
        assert_int_equal(truth[i], best);
        assert_ok(gb_classify(one, session, images + i * D, 1));
        assert_memory_equal(one, p + i * 10, sizeof one);
    }
    gb_session_free(session);
}

static int stop(void *user, size_t done, size_t total, int step, int steps)
{
    (void)done, (void)total, (void)step, (void)steps;
    return ++*(int *)user;
}

static void test_attack(void **state)
{
    gb_attack_config config;
    gb_attack *attack;
    gb_attack_result r[N];
    float adv[N * D], back[D];
    int seen[N], calls = 0;
    char path[] = "/tmp/gibbon_api_XXXXXX";
    const gb_progress progress = {stop, &calls};
    (void)state;
    need_device();
    assert_ok(gb_attack_default(&config, "pgd"));
    config.eps = 0.15f;
    assert_ok(gb_attack_open(&attack, dev, model, 2, &config));
    assert_ok(gb_attack_images(adv, r, attack, images, NULL, N, NULL));
    assert_ok(gb_attack_classify(seen, attack, adv, N));
    close(mkstemp(path));
    for (int i = 0; i < N; i++) {
        double linf = 0;
        assert_int_equal(((int[]){9, 8, 1})[i], r[i].label);
        assert_true(r[i].done && r[i].success && r[i].predicted != r[i].label);
        assert_int_equal(seen[i], r[i].predicted);
        assert_true(r[i].linf <= 0.15 + 1e-6 && r[i].linf > 0 && r[i].l2 > r[i].linf);
        assert_ok(gb_attack_write_png(path, attack, adv + i * D, images + i * D));
        assert_ok(gb_model_read_image(back, model, path));
        for (int k = 0; k < D; k++)
            linf = fmax(linf, fabs((double)back[k] - (double)images[i * D + k]));
        assert_true(linf <= 0.15 + 1e-6);
    }
    unlink(path);
    assert_err(GB_ERR_IO, gb_attack_write_png("/nonexistent/x.png", attack, adv, images));
    assert_err(GB_ERR_ARG, gb_attack_images(adv, r, attack, images, (int[]){1, 2, 10}, N, NULL));
    assert_err(GB_ERR_ARG, gb_attack_images(NULL, r, attack, images, NULL, N, NULL));
    assert_err(GB_ERR_CANCELLED, gb_attack_images(adv, r, attack, images, NULL, N, &progress));
    assert_int_equal(1, calls);
    assert_ok(gb_attack_images(adv, NULL, attack, images, NULL, 0, NULL)); // nothing to do
    gb_attack_free(attack);

    config.targeted = 1;
    config.steps = 40;
    config.eps = 0.3f;
    assert_ok(gb_attack_open(&attack, dev, model, N, &config));
    assert_err(GB_ERR_ARG, gb_attack_images(adv, r, attack, images, NULL, N, NULL));
    assert_ok(gb_attack_images(adv, r, attack, images, (int[]){8, 0, 6}, N, NULL));
    for (int i = 0; i < N; i++)
        assert_true(r[i].success == (r[i].predicted == r[i].label));
    assert_true(r[0].success || r[1].success || r[2].success);
    gb_attack_free(attack);
}

// A picture over the limit is refused by its header alone: there is nothing more in this file.
static void test_large_picture(void **state)
{
    static const char png[] = "\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x4e\x20\0\0\x4e\x20\x08\0\0\0\0"
                              "\xc6\x1b\x19\xe5\0\0\0\x01IDAT";
    char path[] = "/tmp/gibbon-large-XXXXXX";
    float out[D];
    (void)state;
    FILE *file = fdopen(mkstemp(path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(png, 1, sizeof png - 1, file), sizeof png - 1);
    fclose(file);
    assert_err(GB_ERR_UNSUPPORTED, gb_model_read_image(out, model, path));
    assert_non_null(strstr(gb_last_error(), "20000x20000 pixels are more than the limit of "
                                            "100000000"));
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_model_options),
        cmocka_unit_test(test_null),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_attack),
        cmocka_unit_test(test_large_picture),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
