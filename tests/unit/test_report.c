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
static gb_report report = {.device = &device,
                           .model = {"m.onnx", "imagenet", 2, "logits", {"", "a", NULL}},
                           .config = &config, .image = pictures, .n = 3,
                           .seconds = 1.5, .sheet = "out/sheet.png"};

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
        {"images.1.input", "\"in/\xef\xbf\xbd.jpg\""}, // not UTF-8
        {"images.1.output", "null"},
        {"images.1.clean", "{\"class\":2,\"name\":null,\"probability\":null}"}, // NaN is no JSON
        {"images.1.success", "false"},
        {"images.1.success_before_rounding", "true"},
        {"images.1.zero_gradients", "7"},
        {"images.2.error", "\"in/none.jpg: No such file or directory\""},
        {"images.2.success", "false"},
        {"sheet", "\"out/sheet.png\""},
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
        "1 of 1 were classified correctly", "all of them in out/sheet.png",
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
        assert_int_equal(3 * 32 * scale + 4 * 12, out.width);
        assert_true(out.height >= 30 * scale + 2 * 16);
        const uint8_t *before = at(&out, 12, 12), *after = at(&out, 12 + 2 * (32 * scale + 12), 12);
        const uint8_t *change = at(&out, 12 + 32 * scale + 12, 12);
        assert_true(before[0] == 100 && before[1] == 100 && before[2] == 100);
        assert_true(after[0] == 106 && after[1] == (channels == 1 ? 106 : 100));
        assert_true(change[0] == 128 + 6 * 20 && change[1] == (channels == 1 ? 248 : 128));
        change = at(&out, 12 + 32 * scale + 12 + scale, 12);
        assert_true(change[0] == 128 && change[2] == 128);
        assert_int_equal(255, at(&out, 0, 0)[0]);
        gb_image_finish(&out);

        b.data[0] = 100; // no perturbation, no division by it; no captions either
        panel = (gb_panel){.before = &a, .after = &b};
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

static void write_text(gb_image *image, int width, int size, const char *text)
{
    gb_draw_text(image, 2, 2, width, size, GB_LEFT, text, 0);
}

static void test_font(void **state)
{
    (void)state;
    // At every size each printable character but the space leaves ink; no two leave the same.
    for (int size = 11; size <= 33; size += 11) {
        gb_image all[95];
        for (int c = 32; c < 127; c++) {
            all[c - 32] = picture(40, 40, 3, 255);
            write_text(&all[c - 32], 100, size, (char[]){(char)c, 0});
            assert_true((ink(&all[c - 32]) > 0) == (c > 32));
            for (int d = 32; d < c; d++)
                assert_memory_not_equal(all[d - 32].data, all[c - 32].data, 3 * 40 * 40);
        }
        for (int c = 0; c < 95; c++)
            gb_image_finish(&all[c]);
    }

    // Text is cut at its width and clipped at the picture's edges.
    gb_image a = picture(60, 40, 3, 255), b = picture(60, 40, 3, 255);
    write_text(&a, gb_text_width("abc..", 11), 11, "abcdefghijkl");
    write_text(&b, 100, 11, "abc..");
    assert_memory_equal(b.data, a.data, 60 * 40 * 3);
    gb_draw_text(&a, -7, -5, 1000, 33, GB_LEFT, "clipped\non all sides\n\nof the picture", 0);
    gb_draw_text(&a, 55, 35, 1000, 44, GB_LEFT, "\xc3\xa4\xe2\x82\xac", 0);
    gb_draw_text(&a, 0, 0, 0, 11, GB_LEFT, "no room", 0);
    gb_draw_text(&a, 0, 0, 30, 11, GB_LEFT, NULL, 0);
    gb_image_finish(&a);
    gb_image_finish(&b);
    a = picture(30, 11, 3, 255), b = picture(30, 11, 3, 255);
    write_text(&a, 30, 11, "\xc3\xa4\xe2\x82\xacx"); // two characters that it lacks
    write_text(&b, 30, 11, "??x");
    assert_memory_equal(b.data, a.data, 30 * 11 * 3);
    gb_image_finish(&a);
    gb_image_finish(&b);
    assert_int_equal(0, gb_text_lines(NULL));
    assert_int_equal(3, gb_text_lines("a\n\nb"));
    // Digits stand below one another; other characters take the room they need.
    assert_int_equal(gb_text_width("88", 22), gb_text_width("11", 22));
    assert_true(gb_text_width("ii", 22) < gb_text_width("mm", 22));
}

// The columns of ink, first and last.
static void extent(const gb_image *image, int *first, int *last)
{
    *first = image->width, *last = -1;
    for (int i = 0; i < image->width * image->height; i++) {
        if (image->data[3 * i] >= 128)
            continue;
        *first = i % image->width < *first ? i % image->width : *first;
        *last = i % image->width > *last ? i % image->width : *last;
    }
}

static void test_alignment(void **state)
{
    int first, last;
    (void)state;
    for (gb_anchor anchor = GB_LEFT; anchor <= GB_RIGHT; anchor++) {
        gb_image image = picture(100, 20, 3, 255);
        gb_draw_text(&image, 10, 0, 80, 16, anchor, "HHH", 0);
        extent(&image, &first, &last);
        assert_true(anchor == GB_LEFT    ? first >= 9 && first <= 11 && last < 50
                    : anchor == GB_RIGHT ? last >= 88 && last <= 90 && first > 50
                                         : abs(first + last - 99) <= 2);
        gb_image_finish(&image);
    }
}

static void test_shapes(void **state)
{
    gb_image image = picture(20, 20, 3, 255), small = picture(2, 2, 1, 40);
    (void)state;
    gb_draw_line(&image, 2, 10, 17, 10, 1, 0x0000ff);
    assert_int_equal(0, at(&image, 8, 10)[0]);
    assert_int_equal(255, at(&image, 8, 10)[2]);
    assert_int_equal(255, at(&image, 8, 12)[0]);
    gb_draw_line(&image, -50, -50, 80, 80, 3, 0); // clipped; ink does not add up
    assert_int_equal(0, at(&image, 5, 5)[1]);
    gb_draw_image(&image, 17, 17, 2, &small); // the last pixel is outside
    assert_true(at(&image, 19, 19)[0] == 40 && at(&image, 17, 17)[1] == 40);
    assert_int_equal(0, at(&image, 16, 16)[1]);
    gb_image_finish(&image);
    gb_image_finish(&small);
}

// Where a sheet's row has its first picture, at the middle of it.
static const uint8_t *cell(const gb_image *out, int column, int y)
{
    return at(out, 12 + gb_text_width("adversarial", 16) + 12 + column * 124 + 56, y);
}

static void test_sheet(void **state)
{
    enum { N = 23 };
    gb_image a = picture(28, 28, 1, 10), b = picture(28, 28, 1, 14);
    gb_image large = picture(600, 300, 3, 7), out = {0};
    gb_panel panel[N];
    (void)state;
    for (int i = 0; i < N; i++)
        panel[i] = (gb_panel){.before = &a, .after = &b, .before_text = "dress\n90 %",
                              .after_text = "shirt\n80 %", .fooled = i % 2};
    assert_ok(gb_sheet_draw(&out, panel, 2, NULL));
    assert_int_equal(10, cell(&out, 1, 12 + 56)[0]); // 28 becomes 112
    assert_int_equal(128 + 4 * 20, cell(&out, 0, 12 + 112 + 6 + 2 * 16 + 12 + 56)[0]);
    assert_int_equal(14, cell(&out, 1, 12 + 2 * 112 + 6 + 2 * 16 + 2 * 12 + 56)[0]);
    const int width = out.width, height = out.height;
    gb_image_finish(&out);
    assert_ok(gb_sheet_draw(&out, panel, 2, "A title"));
    assert_true(out.width == width && out.height > height);
    gb_image_finish(&out);
    assert_ok(gb_sheet_draw(&out, panel, N, NULL)); // 9 across: three bands of 8, 8 and 7
    assert_int_equal(width + 6 * 124, out.width);
    assert_int_equal(12 + 3 * (height - 12), out.height);
    assert_int_equal(10, cell(&out, 6, 12 + 2 * (height - 12) + 56)[0]);
    assert_int_equal(255, cell(&out, 7, 12 + 2 * (height - 12) + 56)[0]);
    gb_image_finish(&out);
    panel[0] = panel[1] = (gb_panel){.before = &large, .after = &large};
    assert_ok(gb_sheet_draw(&out, panel, 2, NULL)); // shown 256 wide
    assert_true(out.width < 256 * 2 + 200 && out.height < 128 * 3 + 150);
    assert_int_equal(7, at(&out, 200, 60)[0]);
    gb_image_finish(&out);
    assert_err(GB_ERR_ARG, gb_sheet_draw(&out, panel, 0, NULL));
    panel[1].before = panel[1].after = &a; // of another size
    assert_err(GB_ERR_ARG, gb_sheet_draw(&out, panel, 2, NULL));
    gb_image_finish(&a);
    gb_image_finish(&b);
    gb_image_finish(&large);
}

// --- failures ---

static void test_failures(void **state)
{
    (void)state;
    gb_failures f = {0};
    char name[32], message[128], *text = NULL;
    size_t told = 0, size;
    for (int i = 0; i < 1000000; i++) { // names and numbers do not make a kind
        snprintf(name, sizeof name, "x.npy[%d]", i);
        snprintf(message, sizeof message, "%s: holds %g; pixels are from 0 to 1", name,
                 2 + i / 8.0);
        told += gb_failures_add(&f, name, message);
    }
    assert_int_equal(told, 3);
    assert_true(gb_failures_add(&f, "a.png", "a.png: is empty"));
    assert_true(gb_failures_add(&f, NULL, "something else"));
    assert_int_equal(f.count, 1000002);
    FILE *out = open_memstream(&text, &size);
    gb_failures_text(out, &f, "gibbon x");
    fclose(out);
    assert_string_equal(text, "gibbon x: and 999,997 more like it: x.npy[0]: holds 2; pixels are "
                              "from 0 to 1\n");
    free(text);
    json_t *json = gb_failures_json(&f);
    assert_int_equal(json_array_size(json), 3);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(json, 0), "count")),
                     1000000);
    assert_string_equal(json_string_value(json_object_get(json_array_get(json, 1), "error")),
                        "a.png: is empty");
    json_decref(json);
    gb_failures_finish(&f);
    // As many kinds as pictures are a few lines all the same.
    for (int i = told = 0; i < 5000; i++) {
        for (size_t k = 0, n = (size_t)i; k < 6; k++, n /= 10)
            message[k] = (char)('a' + n % 10);
        message[6] = 0;
        told += gb_failures_add(&f, "p", message);
    }
    assert_int_equal(f.n, 20);
    assert_int_equal(told, 19 + 3);
    gb_failures_finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),  cmocka_unit_test(test_text),  cmocka_unit_test(test_panel),
        cmocka_unit_test(test_font),  cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_sheet),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
