// The public API through the shared library: what it refuses, and one way through all of it.
#include "support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { C = 1, H = 28, W = 28, D = C * H * W, N = 3 };

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

static void test_describe(void **state)
{
    int c, h, w;
    char *text;
    (void)state;
    need_device();
    assert_ok(gb_device_describe(&text, dev));
    assert_non_null(strchr(text, ':'));
    assert_null(strchr(text, '\n'));
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
        cmocka_unit_test(test_describe),
        cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_classify),
        cmocka_unit_test(test_attack),
        cmocka_unit_test(test_large_picture),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
