// Reports: the JSON that programs read, the text that people read, and the pictures.
#include "support/check.h"

#include "report/draw.h"
#include "report/panel.h"
#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- one report of three images: fooled, lost in rounding, failed ---

static const gb_device_info device = {
    .platform = 1, .device = 2, .name = "Device", .platform_name = "Platform", .vendor = "Vendor",
    .driver = "1.0", .version = "OpenCL C 1.2", .type = GB_DEVICE_GPU, .fp16 = true,
    .memory = (size_t)6 << 30, .compute_units = 8};
static gb_attack_config config;
static const gb_report_image pictures[3] = {
    {.input = "in/panda.jpg", .output = "out/panda.png", .label = 388, .label_name = "giant panda",
     .label_source = "file name", .clean = {388, "giant panda", 0.97},
     .adversarial = {368, "gibbon", 0.993}, .broken = true, .verified = true, .success = true,
     .linf = 8.0 / 255, .l2 = 5.5, .iterations = 3, .seconds = 0.25},
    {.input = "in/\xff.jpg", .label = 1, .label_source = "prediction",
     .clean = {2, NULL, NAN}, .adversarial = {1, NULL, 0.5}, .broken = true, .verified = true,
     .linf = 4.0 / 255, .l2 = 1, .iterations = 10, .zero_gradients = 7},
    {.input = "in/none.jpg", .error = "in/none.jpg: No such file or directory"},
};
static gb_report report = {.device = &device, .model = "m.onnx", .preprocess = "imagenet",
                           .batch = 2, .config = &config, .image = pictures, .n = 3,
                           .seconds = 1.5};

static int setup(void **state)
{
    (void)state;
    int err = gb_attack_default(&config, "pgd");
    config.seed = 7;
    return err < 0 ? err : gb_attack_resolve(&config);
}

static void expect(json_t *root, const char *path, const char *want)
{
    char copy[128];
    json_t *o = root;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *rest, *key = strtok_r(copy, ".", &rest); key; key = strtok_r(NULL, ".", &rest))
        o = json_is_array(o) ? json_array_get(o, (size_t)atoi(key)) : json_object_get(o, key);
    char *text = o ? json_dumps(o, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
    if (!text || strcmp(text, want))
        fail_msg("%s is %s, want %s", path, text ? text : "absent", want);
    free(text);
}

static void test_json(void **state)
{
    json_t *o;
    (void)state;
    assert_ok(gb_report_json(&o, &report));
    static const char *const want[][2] = {
        {"device.name", "\"Device\""},
        {"device.index", "\"1:2\""},
        {"device.type", "\"gpu\""},
        {"device.fp16", "true"},
        {"model.path", "\"m.onnx\""},
        {"model.preprocess", "\"imagenet\""},
        {"attack.method", "\"pgd\""},
        {"attack.norm", "\"linf\""},
        {"attack.eps", "0.0313726"},
        {"attack.step_size", "0.00784314"},
        {"attack.steps", "10"},
        {"attack.random_start", "true"},
        {"attack.targeted", "false"},
        {"attack.seed", "7"},
        {"images.0.input", "\"in/panda.jpg\""},
        {"images.0.output", "\"out/panda.png\""},
        {"images.0.label", "388"},
        {"images.0.label_source", "\"file name\""},
        {"images.0.clean", "{\"class\":388,\"name\":\"giant panda\",\"probability\":0.97}"},
        {"images.0.adversarial.name", "\"gibbon\""},
        {"images.0.success", "true"},
        {"images.0.verified", "true"},
        {"images.0.linf", "0.0313725"},
        {"images.0.l2", "5.5"},
        {"images.0.iterations", "3"},
        {"images.0.seconds", "0.25"},
        {"images.1.input", "\"in/?.jpg\""}, // not UTF-8
        {"images.1.output", "null"},
        {"images.1.clean", "{\"class\":2,\"name\":null,\"probability\":null}"}, // NaN is no JSON
        {"images.1.success", "false"},
        {"images.1.success_before_rounding", "true"},
        {"images.1.zero_gradients", "7"},
        {"images.2.error", "\"in/none.jpg: No such file or directory\""},
        {"images.2.success", "false"},
        {"summary.images", "3"},
        {"summary.failed", "1"},
        {"summary.labelled", "1"},
        {"summary.correct", "1"},
        {"summary.success", "1"},
        {"summary.success_before_rounding", "2"},
        {"summary.mean_iterations", "3.0"},
        {"summary.mean_l2", "5.5"},
        {"summary.seconds", "1.5"},
    };
    for (size_t i = 0; i < GB_COUNT(want); i++)
        expect(o, want[i][0], want[i][1]);
    assert_null(json_object_get(json_array_get(json_object_get(o, "images"), 0), "target"));
    json_decref(o);

    gb_report nothing = report;
    gb_attack_config targeted = config;
    targeted.targeted = 1;
    nothing.n = 0;
    assert_ok(gb_report_json(&o, &nothing));
    expect(o, "images", "[]");
    expect(o, "summary.mean_l2", "0.0");
    json_decref(o);
    nothing.n = 1;
    nothing.config = &targeted;
    assert_ok(gb_report_json(&o, &nothing));
    expect(o, "images.0.target", "0");
    json_decref(o);
}

static void test_text(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    (void)state;
    assert_non_null(out);
    gb_report_head_text(out, &report);
    for (size_t i = 0; i < report.n; i++)
        gb_report_image_text(out, &report, &pictures[i]);
    gb_report_summary_text(out, &report);
    fclose(out);
    static const char *const want[] = {
        "Device (Platform)", "m.onnx, preprocessing imagenet", "pgd, norm linf, eps 8/255",
        "step-size 2/255, steps 10", "seed 7", "giant panda (class 388), from file name",
        "gibbon (class 368), 99.3 %", "fooled\n", "linf 8.00/255, l2 5.500, as saved",
        "3 iterations, 0.25 s", "out/panda.png", "from the model's own prediction",
        "lost in rounding to 8 bits", "zero everywhere in 7", "No such file",
        "1 of 3 images fooled the model as saved (2 before rounding", "1 failed",
        "1 of 1 were classified correctly",
    };
    for (size_t i = 0; i < GB_COUNT(want); i++) {
        if (!strstr(text, want[i]))
            fail_msg("no '%s' in:\n%s", want[i], text);
    }
    free(text);
}

// --- pictures ---

static gb_image picture(int width, int height, int channels, int value)
{
    gb_image image = {0};
    assert_ok(gb_image_init(&image, width, height, channels));
    memset(image.data, value, (size_t)width * (size_t)height * (size_t)channels);
    return image;
}

static const uint8_t *at(const gb_image *image, int x, int y)
{
    return image->data + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

static void test_panel(void **state)
{
    (void)state;
    for (int channels = 1; channels <= 3; channels += 2) {
        gb_image a = picture(32, 30, channels, 100), b = picture(32, 30, channels, 100), out = {0};
        b.data[0] = 106; // a peak of 6: x20
        gb_panel panel = {.before = &a, .after = &b, .before_text = "a\n1 %", .after_text = "b"};
        assert_ok(gb_panel_draw(&out, &panel));
        int scale = 8; // 30 -> 240 high
        assert_int_equal(3, out.channels);
        assert_int_equal(3 * 32 * scale + 4 * 8, out.width);
        assert_true(out.height >= 30 * scale + 2 * GB_FONT_HEIGHT);
        const uint8_t *before = at(&out, 8, 8), *after = at(&out, 8 + 2 * (32 * scale + 8), 8);
        const uint8_t *change = at(&out, 8 + 32 * scale + 8, 8);
        assert_true(before[0] == 100 && before[1] == 100 && before[2] == 100);
        assert_true(after[0] == 106 && after[1] == (channels == 1 ? 106 : 100));
        assert_true(change[0] == 128 + 6 * 20 && change[1] == (channels == 1 ? 248 : 128));
        change = at(&out, 8 + 32 * scale + 8 + scale, 8);
        assert_true(change[0] == 128 && change[2] == 128);
        assert_int_equal(255, at(&out, 0, 0)[0]);
        gb_image_finish(&out);

        b.data[0] = 100; // no perturbation, no division by it; no captions either
        panel = (gb_panel){.before = &a, .after = &b, .title = "title"};
        assert_ok(gb_panel_draw(&out, &panel));
        gb_image_finish(&out);
        gb_image_finish(&b);
        b = picture(31, 30, channels, 0);
        assert_err(GB_ERR_ARG, gb_panel_draw(&out, &panel));
        gb_image_finish(&a);
        gb_image_finish(&b);
    }
}

static int ink(const gb_image *image)
{
    int dark = 0;
    for (int i = 0; i < image->width * image->height; i++)
        dark += image->data[3 * i] < 128;
    return dark;
}

static void test_font(void **state)
{
    (void)state;
    // Every printable character but the space leaves ink; no two leave the same.
    gb_image all[95];
    for (int c = 32; c < 127; c++) {
        all[c - 32] = picture(GB_FONT_WIDTH, GB_FONT_HEIGHT, 3, 255);
        gb_draw_text(&all[c - 32], 0, 0, 1, 1000, (char[]){(char)c, 0}, 0);
        assert_true((ink(&all[c - 32]) > 0) == (c > 32));
        for (int d = 32; d < c; d++)
            assert_memory_not_equal(all[d - 32].data, all[c - 32].data,
                                    3 * GB_FONT_WIDTH * GB_FONT_HEIGHT);
    }
    for (int c = 0; c < 95; c++)
        gb_image_finish(&all[c]);

    // Text is cut at its width and clipped at the picture's edges.
    gb_image a = picture(60, 40, 3, 255), b = picture(60, 40, 3, 255);
    gb_draw_text(&a, 0, 0, 1, 30, "abcdefghijkl", 0);
    gb_draw_text(&b, 0, 0, 1, 30, "abc..", 0);
    assert_memory_equal(b.data, a.data, 60 * 40 * 3);
    gb_draw_text(&a, -7, -5, 3, 1000, "clipped\non all sides\n\nof the picture", 0);
    gb_draw_text(&a, 55, 35, 4, 1000, "\xc3\xa4\xe2\x82\xac", 0);
    gb_draw_text(&a, 0, 0, 1, 0, "no room", 0);
    gb_draw_text(&a, 0, 0, 1, 30, NULL, 0);
    gb_image_finish(&a);
    gb_image_finish(&b);
    a = picture(18, 11, 3, 255), b = picture(18, 11, 3, 255);
    gb_draw_text(&a, 0, 0, 1, 18, "\xc3\xa4\xe2\x82\xacx", 0); // two characters that it lacks
    gb_draw_text(&b, 0, 0, 1, 18, "??x", 0);
    assert_memory_equal(b.data, a.data, 18 * 11 * 3);
    gb_image_finish(&a);
    gb_image_finish(&b);
    assert_int_equal(0, gb_text_lines(NULL));
    assert_int_equal(3, gb_text_lines("a\n\nb"));
}

static void test_sheet(void **state)
{
    gb_image a = picture(5, 4, 3, 10), b = picture(3, 6, 3, 20), grey = picture(2, 2, 1, 0);
    gb_image out = {0};
    (void)state;
    assert_ok(gb_sheet_draw(&out, (const gb_image *[]){&a, &b, &b}, 3, 2));
    assert_int_equal(8, out.width);
    assert_int_equal(12, out.height);
    assert_int_equal(10, at(&out, 4, 3)[0]);
    assert_int_equal(255, at(&out, 4, 4)[0]);
    assert_int_equal(20, at(&out, 5, 5)[0]);
    assert_int_equal(20, at(&out, 2, 11)[0]);
    assert_int_equal(255, at(&out, 3, 6)[0]);
    gb_image_finish(&out);
    assert_ok(gb_sheet_draw(&out, (const gb_image *[]){&a}, 1, 0));
    assert_int_equal(5, out.width);
    gb_image_finish(&out);
    assert_err(GB_ERR_ARG, gb_sheet_draw(&out, NULL, 0, 2));
    assert_err(GB_ERR_ARG, gb_sheet_draw(&out, (const gb_image *[]){&grey}, 1, 2));
    gb_image_finish(&a);
    gb_image_finish(&b);
    gb_image_finish(&grey);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),  cmocka_unit_test(test_text),  cmocka_unit_test(test_panel),
        cmocka_unit_test(test_font),  cmocka_unit_test(test_sheet),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
