// Presets, preprocessing JSON, and how a preset settles on a model's input size.
#include "image/preproc.h"

#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check(const char *spec, int resize, int crop, bool bgr, float range,
                  const float mean[3], const float std[3], int channels)
{
    gb_preproc p;
    assert_ok(gb_preproc_find(&p, spec));
    assert_string_equal(p.name, spec);
    assert_int_equal(p.resize, resize);
    assert_true(p.crop_w == crop && p.crop_h == crop);
    assert_true(p.bgr == bgr && p.range == range && p.channels == channels);
    assert_memory_equal(p.mean, mean, 3 * sizeof *mean);
    assert_memory_equal(p.std, std, 3 * sizeof *std);
}

static void test_presets(void **state)
{
    (void)state;
    static const float zero[3] = {0, 0, 0}, one[3] = {1, 1, 1}, half[3] = {.5f, .5f, .5f};
    static const float imagenet_mean[3] = {.485f, .456f, .406f};
    static const float imagenet_std[3] = {.229f, .224f, .225f};
    static const float cifar_mean[3] = {.4914f, .4822f, .4465f};
    static const float cifar_std[3] = {.2023f, .1994f, .2010f};
    static const float caffe_mean[3] = {104, 117, 123};
    check("imagenet", 256, 224, false, 1, imagenet_mean, imagenet_std, 3);
    check("inception", 256, 224, false, 1, half, half, 0);
    check("caffe", 256, 224, true, 255, caffe_mean, one, 3);
    check("unit", 0, 0, false, 1, zero, one, 0);
    check("cifar10", 0, 0, false, 1, cifar_mean, cifar_std, 3);

    // The list in messages and help is the list of presets.
    char names[128], *save = NULL;
    size_t count = 0;
    snprintf(names, sizeof names, "%s", gb_preproc_names());
    for (char *name = strtok_r(names, ", ", &save); name; name = strtok_r(NULL, ", ", &save)) {
        gb_preproc p;
        assert_ok(gb_preproc_find(&p, name));
        count++;
    }
    assert_int_equal(count, 5);
}

// A preset written as JSON and read back has the same numbers, bit for bit.
static void test_written(void **state)
{
    static const char *const presets[] = {"imagenet", "inception", "caffe", "unit", "cifar10"};
    (void)state;
    for (size_t i = 0; i < GB_COUNT(presets); i++) {
        gb_preproc p, back;
        char *json = NULL;
        assert_ok(gb_preproc_find(&p, presets[i]));
        assert_ok(gb_preproc_json(&json, &p));
        assert_ok(gb_preproc_parse(&back, json, presets[i]));
        size_t used = (p.channels ? (size_t)p.channels : GB_COUNT(p.mean)) * sizeof *p.mean;
        assert_memory_equal(p.mean, back.mean, used);
        assert_memory_equal(p.std, back.std, used);
        assert_true(p.resize == back.resize && p.crop_w == back.crop_w && p.bgr == back.bgr);
        assert_true(p.crop_h == back.crop_h && p.range == back.range);
        assert_int_equal(p.channels, back.channels);
        free(json);
    }
}

// What the device computes: (pixel * range - mean) / std.
static double normal(const gb_preproc *p, int c, int byte)
{
    return (byte / 255.0 * p->range - p->mean[c]) / p->std[c];
}

static void test_values(void **state)
{
    (void)state;
    gb_preproc p;
    assert_ok(gb_preproc_find(&p, "inception"));
    for (int byte = 0; byte < 256; byte += 51)
        assert_true(fabs(normal(&p, 1, byte) - (byte / 127.5 - 1.0)) < 1e-6);
    assert_ok(gb_preproc_find(&p, "caffe"));
    assert_true(fabs(normal(&p, 2, 200) - (200 - 123)) < 1e-4);
    assert_ok(gb_preproc_find(&p, "unit"));
    assert_true(fabs(normal(&p, 3, 255) - 1.0) < 1e-6);
}

static void test_unknown(void **state)
{
    (void)state;
    gb_preproc p;
    assert_err(GB_ERR_ARG, gb_preproc_find(&p, "imagnet"));
    assert_non_null(strstr(gb_last_error(), "imagenet, inception, caffe, unit, cifar10"));
    assert_err(GB_ERR_ARG, gb_preproc_find(&p, ""));
    assert_err(GB_ERR_IO, gb_preproc_find(&p, "/nonexistent.json"));
}

static void test_json(void **state)
{
    (void)state;
    gb_preproc p;
    assert_ok(gb_preproc_parse(&p, "{}", "dir/a.json"));
    assert_string_equal(p.name, "a.json");
    assert_true(p.resize == 0 && p.crop_w == 0 && !p.bgr && p.range == 1.0f && p.channels == 0);
    assert_true(p.mean[3] == 0.0f && p.std[3] == 1.0f);
    assert_ok(gb_preproc_parse(&p,
                               "{\"resize\": 40, \"crop\": [32, 24], \"bgr\": true, \"range\": 255,"
                               " \"mean\": [1, 2.5, -3], \"std\": 2}",
                               "metadata"));
    assert_true(p.resize == 40 && p.crop_w == 32 && p.crop_h == 24 && p.bgr);
    assert_true(p.range == 255.0f && p.channels == 3);
    assert_true(p.mean[1] == 2.5f && p.mean[2] == -3.0f && p.std[0] == 2.0f && p.std[2] == 2.0f);
    assert_ok(gb_preproc_parse(&p, "{\"mean\": [0.1307], \"std\": [0.3081]}", "m"));
    assert_int_equal(p.channels, 1);
}

static void test_json_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *say;
    } cases[] = {
        {"{\"size\": 3}", "resize, crop, bgr, range, mean, std"},
        {"{\"resize\": \"256\"}", "\"resize\""},
        {"{\"resize\": 1.5}", "\"resize\""},
        {"{\"resize\": -1}", "\"resize\""},
        {"{\"resize\": 99999999999}", "\"resize\""},
        {"{\"crop\": [1]}", "\"crop\""},
        {"{\"crop\": [0, 8]}", "\"crop\""},
        {"{\"crop\": true}", "\"crop\""},
        {"{\"bgr\": 1}", "\"bgr\""},
        {"{\"range\": 0}", "\"range\""},
        {"{\"range\": null}", "\"range\""},
        {"{\"range\": 1e300}", "\"range\""},
        {"{\"mean\": []}", "\"mean\""},
        {"{\"mean\": [1, 2, 3, 4, 5]}", "\"mean\""},
        {"{\"mean\": [1, \"2\", 3]}", "\"mean\""},
        {"{\"std\": [1, 0, 1]}", "\"std\""},
        {"{\"std\": -1}", "\"std\""},
        {"{\"mean\": [1, 2, 3], \"std\": [1]}", "length"},
        {"{\"range\": 1, \"range\": 2}", "line 1"},
        {"[1]", "object"},
        {"\"imagenet\"", "object"},
        {"{\"bgr\": true", "line 1"},
        {"", "line 1"},
    };
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_preproc p;
        int err = gb_preproc_parse(&p, cases[i].json, "x.json");
        if (err != GB_ERR_FORMAT || !strstr(gb_last_error(), cases[i].say))
            print_error("%s -> %d %s\n", cases[i].json, err, gb_last_error());
        assert_int_equal(err, GB_ERR_FORMAT);
        assert_non_null(strstr(gb_last_error(), "x.json"));
        assert_non_null(strstr(gb_last_error(), cases[i].say));
    }
}

static void test_file(void **state)
{
    (void)state;
    char path[] = "/tmp/gibbon-XXXXXX.json";
    static const char json[] = "{\"crop\": 28}\n";
    gb_preproc p;
    int fd = mkstemps(path, 5);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, json, sizeof json - 1), sizeof json - 1);
    close(fd);
    assert_ok(gb_preproc_find(&p, path));
    assert_true(p.crop_w == 28 && p.crop_h == 28);
    unlink(path);
}

static void test_model_size(void **state)
{
    (void)state;
    static const struct {
        const char *spec;
        int height, width, resize, crop_w, crop_h;
    } cases[] = {
        {"imagenet", 224, 224, 256, 224, 224}, {"imagenet", 0, 0, 256, 224, 224},
        {"inception", 299, 299, 342, 299, 299}, {"imagenet", 32, 32, 37, 32, 32},
        {"imagenet", 288, 0, 256, 224, 288},    {"imagenet", 448, 672, 512, 672, 448},
        {"cifar10", 32, 32, 0, 32, 32},         {"unit", 20, 30, 0, 30, 20},
        {"unit", 0, 40, 0, 40, 40},
    };
    gb_preproc p;
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        assert_ok(gb_preproc_find(&p, cases[i].spec));
        for (int again = 0; again < 2; again++) { // settling twice changes nothing
            assert_ok(gb_preproc_fit_model(&p, 3, cases[i].height, cases[i].width));
            assert_int_equal(p.resize, cases[i].resize);
            assert_int_equal(p.crop_w, cases[i].crop_w);
            assert_int_equal(p.crop_h, cases[i].crop_h);
            assert_int_equal(p.channels, 3);
        }
    }
    assert_ok(gb_preproc_find(&p, "imagenet"));
    assert_err(GB_ERR_ARG, gb_preproc_fit_model(&p, 1, 28, 28));
    assert_err(GB_ERR_UNSUPPORTED, gb_preproc_fit_model(&p, 4, 28, 28));
    assert_ok(gb_preproc_find(&p, "unit"));
    assert_err(GB_ERR_ARG, gb_preproc_fit_model(&p, 3, 0, 0));
    assert_ok(gb_preproc_find(&p, "unit"));
    assert_ok(gb_preproc_fit_model(&p, 1, 28, 28));
}

static void test_picture(void **state)
{
    (void)state;
    gb_preproc p;
    gb_image in, out, again;
    assert_ok(gb_image_init(&in, 20, 10, 3));
    for (int i = 0; i < 20 * 10 * 3; i++)
        in.data[i] = (uint8_t)(i * 7);
    assert_ok(gb_preproc_parse(&p, "{\"resize\": 8, \"crop\": 6}", "t"));
    assert_ok(gb_preproc_fit_model(&p, 1, 6, 6));
    assert_ok(gb_preproc_image(&out, &in, &p));
    assert_true(out.width == 6 && out.height == 6 && out.channels == 1);
    // A picture of the model's size, such as a saved result, stays what it is.
    assert_ok(gb_preproc_image(&again, &out, &p));
    assert_memory_equal(again.data, out.data, 36);
    gb_image_finish(&in);
    gb_image_finish(&out);
    gb_image_finish(&again);
}

static void test_text(void **state)
{
    (void)state;
    gb_preproc p;
    char text[200];
    assert_ok(gb_preproc_find(&p, "caffe"));
    assert_string_equal(gb_preproc_text(text, sizeof text, &p),
                        "caffe: resize 256, crop 224x224, BGR in 0..255, minus 104 117 123, "
                        "over 1 1 1");
    assert_ok(gb_preproc_find(&p, "unit"));
    assert_string_equal(gb_preproc_text(text, sizeof text, &p),
                        "unit: resize to the model's size, channels in 0..1, minus 0, over 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_presets),      cmocka_unit_test(test_written),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_unknown),      cmocka_unit_test(test_json),
        cmocka_unit_test(test_json_refused), cmocka_unit_test(test_file),
        cmocka_unit_test(test_model_size),   cmocka_unit_test(test_picture),
        cmocka_unit_test(test_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
