// Resizing and cropping against Pillow and torchvision (tests/golden/resize.bin).
#include "image/resize.h"

#include "base/file.h"
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void noise(gb_image *out, int width, int height, int channels)
{
    uint32_t x = (uint32_t)width * 65536u + (uint32_t)height;
    assert_int_equal(gb_image_init(out, width, height, channels), 0);
    for (int i = 0; i < width * height * channels; i++) {
        x = x * 1664525u + 1013904223u;
        out->data[i] = (uint8_t)(x >> 24);
    }
}

static void test_golden(void **state)
{
    (void)state;
    void *bytes;
    size_t size, cases = 0, values = 0, different = 0;
    assert_int_equal(gb_file_read(&bytes, &size, GOLDEN "/resize.bin"), 0);
    const uint8_t *p = bytes, *end = p + size;
    while (end - p >= 14) {
        int v[7];
        for (int i = 0; i < 7; i++)
            v[i] = p[2 * i] | p[2 * i + 1] << 8;
        p += 14;
        gb_image in, out;
        noise(&in, v[1], v[2], v[3]);
        const gb_fit fit = {.resize = v[0], .width = v[4], .height = v[5], .columns_first = v[6]};
        assert_int_equal(gb_image_fit(&out, &in, &fit), 0);
        assert_int_equal(out.width, v[4]);
        assert_int_equal(out.height, v[5]);
        assert_int_equal(out.channels, v[3]);
        const int n = v[3] * v[4] * v[5];
        assert_true(end - p >= n);
        for (int i = 0; i < n; i++) {
            different += out.data[i] != p[i];
        }
        p += n;
        values += (size_t)n;
        cases++;
        gb_image_finish(&in);
        gb_image_finish(&out);
    }
    assert_true(p == end && cases > 20);
    print_message("%zu cases: %zu of %zu values differ from Pillow's\n", cases, different, values);
    assert_int_equal(different, 0);
    free(bytes);
}

static void test_same_size_is_a_copy(void **state)
{
    (void)state;
    gb_image in, out;
    noise(&in, 6, 5, 3);
    assert_int_equal(gb_image_fit(&out, &in, &(gb_fit){.resize = 7, .width = 6, .height = 5}), 0);
    assert_true(in.data != out.data);
    assert_memory_equal(in.data, out.data, 6 * 5 * 3);
    gb_image_finish(&out);
    gb_image_finish(&in);
}

static void test_short_side(void **state)
{
    (void)state;
    // int(side * long / short): 5 * 10 / 3 = 16.67.
    static const int cases[][5] = {{10, 3, 5, 16, 5}, {3, 10, 5, 5, 16}, {7, 7, 9, 9, 9},
                                   {500, 375, 256, 341, 256}};
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        const gb_fit fit = {.resize = cases[i][2], .width = 1, .height = 1};
        gb_axis axis[2];
        assert_int_equal(gb_fit_axes(axis, cases[i][0], cases[i][1], &fit), 0);
        assert_int_equal(axis[0].scaled, cases[i][3]);
        assert_int_equal(axis[1].scaled, cases[i][4]);
    }
}

// Where a crop starts: halves go to the even number, as Python's round() does.
static void test_crop_offsets(void **state)
{
    (void)state;
    static const int cases[][3] = {{11, 10, 0}, {12, 10, 1}, {13, 10, 2}, {15, 10, 2},
                                   {17, 10, 4}, {19, 10, 4}};
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        gb_image in, out;
        assert_int_equal(gb_image_init(&in, cases[i][0], 1, 1), 0);
        for (int x = 0; x < in.width; x++)
            in.data[x] = (uint8_t)(x + 1);
        const gb_fit fit = {.resize = 1, .width = cases[i][1], .height = 1};
        assert_int_equal(gb_image_fit(&out, &in, &fit), 0);
        assert_int_equal(out.data[0], cases[i][2] + 1);
        gb_image_finish(&out);
        gb_image_finish(&in);
    }
}

static void test_crop_pads_with_zero(void **state)
{
    (void)state;
    gb_image in, out;
    assert_int_equal(gb_image_init(&in, 2, 1, 1), 0);
    in.data[0] = 7;
    in.data[1] = 9;
    assert_int_equal(gb_image_fit(&out, &in, &(gb_fit){.resize = 1, .width = 5, .height = 4}), 0);
    // (5 - 2) / 2 = 1 column on the left, (4 - 1) / 2 = 1 row on top.
    static const uint8_t want[20] = {[6] = 7, [7] = 9};
    assert_memory_equal(out.data, want, sizeof want);
    gb_image_finish(&out);
    gb_image_finish(&in);
}

// A crop computes what it keeps: the scaled picture may be larger than any that can be made.
static void test_narrow_picture(void **state)
{
    (void)state;
    gb_image in, out;
    noise(&in, 1 << 16, 2, 1);
    assert_int_equal(gb_image_fit(&out, &in, &(gb_fit){.resize = 256, .width = 224, .height = 224}),
                     0);
    assert_true(out.width == 224 && out.height == 224);
    gb_image_finish(&out);
    assert_int_equal(gb_image_fit(&out, &in, &(gb_fit){.resize = 1 << 17, .width = 2, .height = 2}),
                     GB_ERR_UNSUPPORTED);
    gb_image_finish(&in);
}

// Pillow 12.2 and 13 have rules of their own for tall pictures.
static void test_versions_of_pillow(void **state)
{
    (void)state;
    static const int cases[][6] = { // resize, width, height of the result and of the picture
        {0, 224, 224, 300, 376, 0}, {0, 224, 224, 300, 377, 1}, {0, 224, 224, 375, 500, 0},
        {0, 224, 224, 100, 225, 1}, {0, 224, 224, 100, 224, 0}, {0, 224, 224, 900, 100, 0},
        {256, 224, 224, 500, 1000, 0}, {256, 224, 224, 500, 1100, 1}, {256, 8, 8, 200, 8000, 0},
        {0, 3, 300, 3, 301, 0}, {0, 4, 300, 3, 301, 1}, {0, 1, 99, 3, 100, 0},
        {0, 1, 300, 3, 301, 1},
    };
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        const int *c = cases[i];
        const gb_fit fit = {.resize = c[0], .width = c[1], .height = c[2]};
        assert_int_equal(gb_fit_differs(c[3], c[4], &fit), c[5]);
    }
}

static void test_refused(void **state)
{
    (void)state;
    gb_image in, out;
    noise(&in, 3, 2, 1);
    assert_int_equal(gb_image_resize(&out, &in, 0, 5), GB_ERR_ARG);
    assert_int_equal(gb_image_resize(&out, &in, 5, -1), GB_ERR_ARG);
    assert_int_equal(gb_image_resize(&out, &in, 1 << 15, 1 << 15), GB_ERR_UNSUPPORTED);
    assert_int_equal(gb_image_fit(&out, &in, &(gb_fit){.resize = -1, .width = 1, .height = 1}),
                     GB_ERR_ARG);
    assert_null(out.data);
    gb_image_finish(&in);
}

static void test_planar_floats(void **state)
{
    (void)state;
    gb_image in, out;
    float chw[3 * 16 * 16];
    assert_int_equal(gb_image_init(&in, 16, 16, 3), 0);
    for (int i = 0; i < 256; i++)
        for (int c = 0; c < 3; c++)
            in.data[3 * i + c] = (uint8_t)(i + c * 85);
    gb_image_to_chw(chw, &in);
    assert_true(chw[1] == 1.0f / 255.0f && chw[256] == 85.0f / 255.0f);
    assert_int_equal(gb_image_from_chw(&out, chw, 3, 16, 16), 0);
    assert_memory_equal(in.data, out.data, sizeof chw / sizeof *chw);
    gb_image_finish(&out);
    const float odd[4] = {-1.0f, 2.0f, NAN, 0.6f / 255.0f};
    static const uint8_t want[4] = {0, 255, 0, 1};
    assert_int_equal(gb_image_from_chw(&out, odd, 1, 2, 2), 0);
    assert_memory_equal(out.data, want, 4);
    gb_image_finish(&out);
    gb_image_finish(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),        cmocka_unit_test(test_same_size_is_a_copy),
        cmocka_unit_test(test_short_side),    cmocka_unit_test(test_crop_offsets),
        cmocka_unit_test(test_crop_pads_with_zero), cmocka_unit_test(test_narrow_picture),
        cmocka_unit_test(test_versions_of_pillow),  cmocka_unit_test(test_refused),
        cmocka_unit_test(test_planar_floats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
