// Views under other shapes: against the addresses of every element.
#include "support/check.h"

#include "op/view.h"

#include <string.h>

static uint32_t seed = 12345;

static int pick(int n)
{
    seed = seed * 1664525 + 1013904223;
    return (int)((seed >> 16) % (uint32_t)n);
}

// Address of row-major element i.
static int64_t address(const gb_view *view, const gb_shape *shape, int64_t i)
{
    int64_t at = view->offset;
    for (int d = shape->rank - 1; d >= 0; d--) {
        at += i % shape->dim[d] * view->stride[d];
        i /= shape->dim[d];
    }
    return at;
}

static bool same_elements(const gb_view *a, const gb_shape *sa, const gb_view *b,
                          const gb_shape *sb)
{
    bool same = true;
    for (int64_t i = 0; i < gb_shape_count(sa); i++)
        same = same && address(a, sa, i) == address(b, sb, i);
    return same;
}

// The only strides that could do it, read off the addresses.
static bool possible(const gb_view *view, const gb_shape *from, const gb_shape *to)
{
    gb_view guess = {.offset = view->offset};
    int64_t behind = 1;
    for (int d = to->rank - 1; d >= 0; d--) {
        if (to->dim[d] > 1)
            guess.stride[d] = address(view, from, behind) - view->offset;
        behind *= to->dim[d];
    }
    return same_elements(view, from, &guess, to);
}

// A random shape of `count` elements with some dimensions of 1.
static gb_shape random_shape(int64_t count)
{
    gb_shape shape = {0};
    while (shape.rank < 5) {
        static const int64_t factors[] = {1, 2, 3, 4, 6, 12};
        int64_t f = factors[pick(6)];
        if (count % f == 0) {
            shape.dim[shape.rank++] = f;
            count /= f;
        }
        if (count == 1 && pick(3) == 0)
            return shape;
    }
    shape.dim[shape.rank++] = count;
    return shape;
}

// Dense, permuted, with gaps, reversed or repeating.
static gb_view random_view(const gb_shape *shape)
{
    gb_view view = {.offset = 1000};
    int order[GB_MAX_RANK];
    int64_t stride = 1 + pick(4) / 3;
    bool permute = pick(2);
    for (int d = 0; d < shape->rank; d++)
        order[d] = shape->rank - 1 - d;
    for (int d = 0; permute && d < shape->rank; d++) {
        int other = pick(shape->rank), t = order[d];
        order[d] = order[other];
        order[other] = t;
    }
    for (int d = 0; d < shape->rank; d++) {
        view.stride[order[d]] = pick(12) == 0 ? 0 : pick(12) == 0 ? -stride : stride;
        stride *= shape->dim[order[d]] + (pick(8) == 0);
    }
    return view;
}

static void reshape_against_addresses(void **state)
{
    static const int64_t counts[] = {1, 6, 12, 24, 36, 48, 72};
    int views = 0, copies = 0;
    (void)state;
    for (int n = 0; n < 20000; n++) {
        int64_t count = counts[pick(7)];
        gb_shape from = random_shape(count), to = random_shape(count);
        gb_view view = random_view(&from), out;
        bool is_view = gb_view_reshape(&out, &to, &view, &from);
        assert_int_equal(is_view, possible(&view, &from, &to));
        if (is_view)
            assert_true(same_elements(&view, &from, &out, &to));
        views += is_view;
        copies += !is_view;
    }
    assert_true(views > 2000 && copies > 2000);
}

static void refine_merges_into_both(void **state)
{
    int refined = 0;
    (void)state;
    for (int n = 0; n < 5000; n++) {
        gb_shape a = random_shape(72), b = random_shape(72), fine;
        if (!gb_shape_refine(&fine, &a, &b))
            continue;
        refined++;
        assert_int_equal(72, gb_shape_count(&fine));
        gb_view any = random_view(&a), other = random_view(&b), out;
        assert_true(gb_view_reshape(&out, &fine, &any, &a));
        assert_true(gb_view_reshape(&out, &fine, &other, &b));
    }
    assert_true(refined > 1000);
}

static void refine_by_hand(void **state)
{
    gb_shape fine;
    char text[160];
    (void)state;
    assert_true(gb_shape_refine(&fine, &(gb_shape){2, {6, 4}}, &(gb_shape){2, {2, 12}}));
    assert_string_equal("2x3x4", gb_shape_text(text, sizeof text, &fine));
    assert_true(gb_shape_refine(&fine, &(gb_shape){4, {2, 12, 1, 5}}, &(gb_shape){3, {2, 4, 15}}));
    assert_string_equal("2x4x3x5", gb_shape_text(text, sizeof text, &fine));
    assert_false(gb_shape_refine(&fine, &(gb_shape){2, {6, 4}}, &(gb_shape){2, {4, 6}}));
    assert_false(gb_shape_refine(&fine, &(gb_shape){1, {0}}, &(gb_shape){1, {0}}));
}

static void dense_like_keeps_the_order(void **state)
{
    gb_view view = {0}, like = {.stride = {1000, 1, -300, 9}};
    const int64_t want[] = {60, 1, 15, 3};
    (void)state;
    gb_view_dense_like(&view, &(gb_shape){4, {2, 3, 4, 5}}, &like);
    assert_memory_equal(want, view.stride, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reshape_against_addresses), cmocka_unit_test(refine_merges_into_both),
        cmocka_unit_test(refine_by_hand),            cmocka_unit_test(dense_like_keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
