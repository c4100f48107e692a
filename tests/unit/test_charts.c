// Charts and tables as pictures: what is drawn where, and odd data.
#include "support/check.h"

#include "report/curve.h"
#include "report/matrix.h"

#include <math.h>
#include <stdlib.h>

enum { BLUE = 0x2a6fb0, ORANGE = 0xd9792b };

static uint32_t at(const gb_image *image, int x, int y)
{
    const uint8_t *p = image->data + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

// How many pixels have that colour, from column `first` on.
static int count_colour(const gb_image *image, uint32_t rgb, int first)
{
    int n = 0;
    for (int i = 0; i < image->width * image->height; i++)
        n += i % image->width >= first && at(image, i % image->width, i / image->width) == rgb;
    return n;
}

// A falling line goes from the plot's upper left corner to its lower right one.
static void places(void **state)
{
    const struct {
        double skipped, y;
    } fall[] = {{0, 1}, {0, NAN}, {0, 0.5}, {0, NAN}, {0, 0}};
    const gb_curve curve = {"fall", &fall[0].y, sizeof *fall};
    const gb_chart chart = {"t", &curve, 1, 0, 1};
    gb_image out = {0};
    (void)state;
    assert_ok(gb_chart_draw(&out, NULL, "epoch", &chart, 1, 5));
    const int left = 16 + 64, top = 16 + 2 * 24 + 8;
    assert_int_equal(BLUE, at(&out, left, top));
    assert_int_equal(BLUE, at(&out, left + 440, top + 280));
    assert_int_equal(BLUE, at(&out, left + 220, top + 140));
    assert_int_equal(BLUE, at(&out, left + 110, top + 70)); // through what was not measured
    assert_int_equal(0xffffff, at(&out, left + 110, top + 120));
    gb_image_finish(&out);
}

static void odd_data(void **state)
{
    double *many = calloc(100000, sizeof *many);
    const double none[2] = {NAN, INFINITY}, flat[2] = {3, 3}, below[2] = {-5, -1e-9};
    const gb_curve nothing = {"nothing", none, sizeof *none}, one = {"flat", flat, sizeof *flat};
    const gb_curve minus = {"below", below, sizeof *below}, both[] = {nothing, one};
    const gb_curve all = {"all", many, sizeof *many};
    gb_image out = {0};
    (void)state;
    assert_non_null(many);
    assert_ok(gb_chart_draw(&out, "t", "x", &(gb_chart){"c", &nothing, 1, 0, 0}, 1, 2));
    assert_int_equal(0, count_colour(&out, BLUE, 0));
    gb_image_finish(&out);
    assert_ok(gb_chart_draw(&out, "t", "x", &(gb_chart){"c", both, 2, 0, 0}, 1, 1));
    assert_int_equal(0, count_colour(&out, BLUE, 0));
    assert_true(count_colour(&out, ORANGE, 0) > 20); // a point and its legend
    gb_image_finish(&out);
    assert_ok(gb_chart_draw(&out, "t", "x", &(gb_chart){"c", &minus, 1, 0, 0}, 1, 2));
    gb_image_finish(&out);
    assert_ok(gb_chart_draw(&out, "t", "x", &(gb_chart){"c", &all, 1, 0, 0}, 1, 100000));
    gb_image_finish(&out);
    assert_err(GB_ERR_ARG, gb_chart_draw(&out, "t", "x", NULL, 0, 1));
    assert_err(GB_ERR_ARG, gb_chart_draw(&out, "t", "x", &(gb_chart){"c", &one, 1, 0, 0}, 1, 0));
    free(many);
}

static void side_by_side(void **state)
{
    const double y[2] = {0, 1};
    const gb_curve two[] = {{"a", y, sizeof *y}, {"b", y, sizeof *y}};
    const gb_chart chart[] = {{"left", two, 1, 0, 0}, {"right", two, 2, 0, 0}};
    gb_image out = {0};
    (void)state;
    assert_ok(gb_chart_draw(&out, "t", "x", chart, 2, 2));
    const int half = out.width / 2;
    assert_true(count_colour(&out, ORANGE, 0) > 0);
    assert_int_equal(count_colour(&out, ORANGE, 0), count_colour(&out, ORANGE, half));
    assert_true(count_colour(&out, BLUE, 0) > count_colour(&out, BLUE, half));
    gb_image_finish(&out);
}

static void matrices(void **state)
{
    static const char *const name[] = {"a", "b"};
    const double value[] = {1, 0, NAN, 0.5};
    double *large = calloc(100 * 100, sizeof *large);
    gb_matrix m = {.row = name, .col = name, .rows = 2, .cols = 2, .value = value, .digits = 2};
    gb_image out = {0};
    (void)state;
    assert_non_null(large);
    assert_ok(gb_matrix_draw(&out, &m));
    const int right = out.width - 16 - 2, bottom = out.height - 16 - 2; // inside the last cell
    assert_int_equal(0x1f5f9e, at(&out, right - 44, bottom - 32));      // 1: full colour
    assert_int_equal(0xf4f6f8, at(&out, right, bottom - 32));           // 0: paper
    assert_int_equal(0xffffff, at(&out, right - 44, bottom));           // nothing
    assert_true(at(&out, right, bottom) != 0xf4f6f8 && at(&out, right, bottom) != 0x1f5f9e);
    gb_image_finish(&out);
    m.title = "a title";
    m.row_title = "rows";
    m.high = 2;
    assert_ok(gb_matrix_draw(&out, &m));
    assert_true(count_colour(&out, 0x1f5f9e, 0) == 0); // half of 2 at most
    gb_image_finish(&out);
    // A hundred classes: cells without numbers and names.
    m = (gb_matrix){.rows = 100, .cols = 100, .value = large};
    assert_ok(gb_matrix_draw(&out, &m));
    assert_int_equal(100 * 8 + 32, out.width);
    gb_image_finish(&out);
    assert_err(GB_ERR_ARG, gb_matrix_draw(&out, &(gb_matrix){.rows = 1}));
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(odd_data),
        cmocka_unit_test(side_by_side),
        cmocka_unit_test(matrices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
