// Rounding to 8 bits: inside the ball whatever the floats, nearest where that is inside.
#include "support/check.h"

#include "attack/quantize.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 3 * 17 * 13 };

static float draw(uint32_t trial, uint32_t i, uint32_t what)
{
    return gb_uniform(gb_philox4x32((gb_philox){{trial, i, what, 0}}, 1, 2).v[0]);
}

static void fill(float *adv, uint8_t *original, uint32_t trial, float spread)
{
    for (uint32_t i = 0; i < N; i++) {
        original[i] = (uint8_t)(256 * draw(trial, i, 0));
        float v = (float)original[i] / 255 + spread * (2 * draw(trial, i, 1) - 1);
        adv[i] = v < 0 ? 0 : v > 1 ? 1 : v;
    }
}

static double distance(const uint8_t *a, const uint8_t *b, gb_norm norm)
{
    double most = 0, sum = 0;
    for (int i = 0; i < N; i++) {
        double moved = fabs((double)a[i] - b[i]) / 255;
        most = fmax(most, moved);
        sum += moved * moved;
    }
    return norm == GB_NORM_LINF ? most : sqrt(sum);
}

// Floats inside the ball: the bytes are inside and at most one level from the floats; where
// rounding to nearest is inside already, that is what comes out.
static void test_inside(void **state)
{
    float adv[N];
    uint8_t original[N], out[N], nearest[N];
    (void)state;
    for (uint32_t trial = 0; trial < 200; trial++) {
        gb_norm norm = trial % 2 ? GB_NORM_L2 : GB_NORM_LINF;
        float eps = norm == GB_NORM_LINF ? 0.1f * draw(trial, N, 2) : 2 * draw(trial, N, 2);
        fill(adv, original, trial, norm == GB_NORM_LINF ? eps : 0.2f);
        if (norm == GB_NORM_L2) { // scale onto the sphere
            double sum = 0;
            for (int i = 0; i < N; i++)
                sum += pow((double)adv[i] - original[i] / 255.0, 2);
            for (int i = 0; i < N; i++)
                adv[i] = (float)(original[i] / 255.0 +
                                 (adv[i] - original[i] / 255.0) * eps / sqrt(sum));
        }
        for (int i = 0; i < N; i++)
            nearest[i] = (uint8_t)fmin(fmax(floor((double)adv[i] * 255 + 0.5), 0), 255);
        assert_ok(gb_quantize(out, adv, original, N, norm, eps));
        assert_true(distance(out, original, norm) <= (double)eps + 1e-6);
        for (int i = 0; i < N; i++)
            assert_true(fabs((double)adv[i] * 255 - out[i]) < 1 + 1e-3);
        if (distance(nearest, original, norm) <= (double)eps)
            assert_memory_equal(nearest, out, N);
    }
}

// Floats far outside, and no numbers at all: inside all the same.
static void test_outside(void **state)
{
    float adv[N];
    uint8_t original[N], out[N];
    (void)state;
    for (uint32_t trial = 0; trial < 60; trial++) {
        gb_norm norm = trial % 2 ? GB_NORM_L2 : GB_NORM_LINF;
        float eps = trial % 3 ? 0.02f * (float)trial : 0.0f;
        fill(adv, original, trial, 1.5f);
        adv[0] = NAN;
        adv[1] = INFINITY;
        adv[2] = -INFINITY;
        assert_ok(gb_quantize(out, adv, original, N, norm, eps));
        assert_true(distance(out, original, norm) <= (double)eps + 1e-6);
        if (eps == 0)
            assert_memory_equal(original, out, N);
    }
    assert_err(GB_ERR_ARG, gb_quantize(out, adv, original, N, GB_NORM_L2, -1));
    assert_err(GB_ERR_ARG, gb_quantize(out, adv, original, N, GB_NORM_LINF, NAN));
}

static void test_exact_levels(void **state)
{
    (void)state;
    for (int level = 0; level <= 255; level++) { // eps k/255 allows exactly k levels
        float adv[2] = {1, 0};
        uint8_t original[2] = {0, 255}, out[2];
        assert_ok(gb_quantize(out, adv, original, 2, GB_NORM_LINF, (float)level / 255));
        assert_int_equal(level, out[0]);
        assert_int_equal(255 - level, out[1]);
    }
}

// The elements that moved farthest give way first: they shorten the distance most.
static void test_farthest_first(void **state)
{
    uint8_t original[3] = {100, 100, 100}, out[3];
    const float adv[3] = {109.6f / 255, 101.6f / 255, 98.0f / 255};
    (void)state;
    // nearest: 10, 2, -2 from the original, squares 108; the floats: 98.7. Moving the first is
    // enough.
    assert_ok(gb_quantize(out, adv, original, 3, GB_NORM_L2, (float)(sqrt(100) / 255)));
    assert_int_equal(109, out[0]);
    assert_int_equal(102, out[1]);
    assert_int_equal(98, out[2]);
    assert_ok(gb_quantize(original, adv, original, 3, GB_NORM_L2, (float)(sqrt(100) / 255)));
    assert_memory_equal(out, original, 3); // in place
}

static void test_pictures(void **state)
{
    gb_image original = {0}, out = {0};
    float adv[2 * 3 * 3];
    double linf, l2;
    (void)state;
    assert_ok(gb_image_init(&original, 3, 2, 3));
    for (int i = 0; i < 18; i++)
        original.data[i] = (uint8_t)(10 * i);
    gb_image_to_chw(adv, &original);
    adv[2 * 6 + 4] += 3.0f / 255; // blue of the pixel in row 1, column 1
    assert_ok(gb_quantize_image(&out, adv, &original, GB_NORM_LINF, 8.0f / 255));
    for (int i = 0; i < 18; i++)
        assert_int_equal(10 * i + (i == 4 * 3 + 2 ? 3 : 0), out.data[i]);
    assert_ok(gb_image_distance(&linf, &l2, &out, &original));
    assert_float_equal(3.0 / 255, linf, 1e-9);
    assert_float_equal(3.0 / 255, l2, 1e-9);
    assert_true(gb_in_ball(linf, l2, GB_NORM_LINF, 3.0f / 255));
    assert_false(gb_in_ball(linf, l2, GB_NORM_L2, 2.99f / 255));
    out.width = 2;
    assert_err(GB_ERR_ARG, gb_image_distance(&linf, &l2, &out, &original));
    gb_image_finish(&original);
    gb_image_finish(&out);
}

// Two originals that differ by a level here and there: inside both balls, or as it was.
static void test_between(void **state)
{
    enum { COUNT = 3 * 40 * 40 };
    static const struct {
        gb_norm norm;
        float eps;
        bool both;
    } cases[] = {{GB_NORM_LINF, 1.0f / 255, true}, {GB_NORM_LINF, 3.0f / 255, true},
                 {GB_NORM_LINF, 0, false},         {GB_NORM_L2, 0.5f, true},
                 {GB_NORM_L2, 0.2f, true},         {GB_NORM_L2, 0.04f, false}};
    gb_image one = {0}, other = {0};
    float adv[COUNT];
    (void)state;
    assert_ok(gb_image_init(&one, 40, 40, 3));
    assert_ok(gb_image_init(&other, 40, 40, 3));
    for (int i = 0; i < COUNT; i++) {
        one.data[i] = (uint8_t)(50 + i % 150);
        other.data[i] = (uint8_t)(one.data[i] + (i % 7 == 0) - (i % 11 == 0)); // 0.124 apart
    }
    for (size_t k = 0; k < GB_COUNT(cases); k++) {
        gb_image out, before;
        double linf, l2;
        gb_image_to_chw(adv, &one);
        for (int i = 0; i < COUNT; i++)
            adv[i] += (float)((i * 37) % 9 - 4) / 255;
        assert_ok(gb_quantize_image(&out, adv, &one, cases[k].norm, cases[k].eps));
        assert_ok(gb_quantize_image(&before, adv, &one, cases[k].norm, cases[k].eps));
        assert_ok(gb_quantize_between(&out, &one, &other, cases[k].norm, cases[k].eps));
        assert_ok(gb_image_distance(&linf, &l2, &out, &one));
        assert_true(gb_in_ball(linf, l2, cases[k].norm, cases[k].eps));
        assert_ok(gb_image_distance(&linf, &l2, &out, &other));
        assert_true(gb_in_ball(linf, l2, cases[k].norm, cases[k].eps) == cases[k].both);
        assert_true((memcmp(out.data, before.data, COUNT) == 0) == !cases[k].both);
        gb_image_finish(&out);
        gb_image_finish(&before);
    }
    other.width--;
    assert_err(GB_ERR_ARG, gb_quantize_between(&one, &one, &other, GB_NORM_LINF, 1));
    gb_image_finish(&one);
    gb_image_finish(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inside),         cmocka_unit_test(test_outside),
        cmocka_unit_test(test_exact_levels),   cmocka_unit_test(test_farthest_first),
        cmocka_unit_test(test_pictures),       cmocka_unit_test(test_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
