// Loop nests: whatever is dropped, sorted and merged, the same operand elements still meet.
#include "support/check.h"

#include "op/nd.h"

static uint32_t seed = 4711;

static int pick(int n)
{
    seed = seed * 1664525 + 1013904223;
    return (int)((seed >> 16) % (uint32_t)n);
}

// An order-free sum over a nest of a hash of the operands' addresses.
static uint64_t met(const int64_t *size, const int64_t (*stride)[GB_ND_OPERANDS], int n_dim)
{
    uint64_t sum = 0;
    int64_t count = 1;
    for (int d = 0; d < n_dim; d++)
        count *= size[d];
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        uint64_t at[GB_ND_OPERANDS] = {0}, hash = 0;
        for (int d = 0; d < n_dim; d++) {
            for (int k = 0; k < GB_ND_OPERANDS; k++)
                at[k] += (uint64_t)(rest % size[d] * stride[d][k]);
            rest /= size[d];
        }
        for (int k = 0; k < GB_ND_OPERANDS; k++)
            hash = (hash ^ at[k]) * 0x9E3779B97F4A7C15u + 1;
        sum += hash ^ hash >> 31;
    }
    return sum;
}

// A view of `shape`, dense in a random order of dimensions; in some it may stand still.
static gb_view random_view(const gb_shape *shape, bool still)
{
    gb_view view = {0};
    bool used[GB_MAX_RANK] = {0};
    int64_t stride = 1 + pick(2);
    for (int n = 0; n < shape->rank; n++) {
        int d = pick(shape->rank);
        while (used[d])
            d = (d + 1) % shape->rank;
        used[d] = true;
        view.stride[d] = stride;
        stride *= shape->dim[d] + pick(8) / 7;
        if (still && pick(3) == 0)
            view.stride[d] = 0;
    }
    return view;
}

static void test_same_elements(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        gb_shape shape = {1 + pick(5), {0}};
        int64_t size[GB_MAX_RANK], stride[GB_MAX_RANK][GB_ND_OPERANDS] = {{0}};
        for (int d = 0; d < shape.rank; d++)
            shape.dim[d] = 1 + pick(4);
        gb_view view[3] = {random_view(&shape, false), random_view(&shape, true),
                           random_view(&shape, true)};
        gb_nd nd = gb_nd_views(&shape, (const gb_view *[]){&view[0], &view[1], &view[2]}, 3);
        for (int d = 0; d < shape.rank; d++) {
            size[d] = shape.dim[d];
            for (int k = 0; k < 3; k++)
                stride[d][k] = view[k].stride[d];
        }
        assert_int_equal(gb_shape_count(&shape), gb_nd_count(&nd));
        assert_true(nd.n_dim >= 1 && nd.n_dim <= shape.rank);
        for (int k = 0; k < GB_ND_OPERANDS; k++) // of a nest of one element no stride is used
            nd.stride[0][k] = nd.size[0] == 1 ? 0 : nd.stride[0][k];
        assert_true(met(size, (const int64_t(*)[GB_ND_OPERANDS])stride, shape.rank) ==
                    met(nd.size, (const int64_t(*)[GB_ND_OPERANDS])nd.stride, nd.n_dim));
        for (int d = 1; d < nd.n_dim; d++) // the output moves the least in dimension 0
            assert_true(nd.stride[0][0] <= nd.stride[d][0]);
    }
}

// Dense operands are one long dimension; a channel's parameter leaves two.
static void test_merges(void **state)
{
    (void)state;
    const gb_shape shape = {4, {2, 3, 5, 7}}, channels = {3, {3, 1, 1}};
    gb_view dense = {0}, c = {.stride = {1, 1, 1}};
    gb_view_dense(&dense, &shape, GB_ORDER_CHANNELS_LAST);
    gb_nd nd = gb_nd_views(&shape, (const gb_view *[]){&dense, &dense}, 2);
    assert_int_equal(1, nd.n_dim);
    assert_int_equal(210, nd.size[0]);
    assert_int_equal(1, nd.stride[0][0]);
    c = gb_view_broadcast(&c, &channels, &shape);
    nd = gb_nd_views(&shape, (const gb_view *[]){&dense, &c}, 2);
    assert_int_equal(2, nd.n_dim);
    assert_int_equal(3, nd.size[0]);
    assert_int_equal(70, nd.size[1]);
    assert_int_equal(0, nd.stride[1][1]);
    const gb_shape scalar = {0};
    nd = gb_nd_views(&scalar, (const gb_view *[]){&dense}, 1);
    assert_int_equal(1, gb_nd_count(&nd));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_elements),
        cmocka_unit_test(test_merges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
