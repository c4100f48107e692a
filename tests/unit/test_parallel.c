// Shared loops: every turn is taken once, whatever the count and the grain.
#include "support/check.h"

#include "base/mem.h"
#include "base/parallel.h"

#include <stdlib.h>

static void count_turns(void *user, size_t first, size_t end)
{
    int *turns = user;
    for (size_t i = first; i < end; i++)
        turns[i]++;
}

static void test_every_turn_once(void **state)
{
    static const size_t counts[] = {0, 1, 2, 3, 17, 1000, 100003}, grains[] = {1, 7, 1000, 1 << 20};
    (void)state;
    for (size_t c = 0; c < GB_COUNT(counts); c++) {
        for (size_t g = 0; g < GB_COUNT(grains); g++) {
            int *turns = calloc(counts[c] + 1, sizeof *turns);
            assert_non_null(turns);
            gb_parallel(counts[c], grains[g], count_turns, turns);
            for (size_t i = 0; i < counts[c]; i++)
                assert_int_equal(1, turns[i]);
            assert_int_equal(0, turns[counts[c]]);
            free(turns);
        }
    }
}

static void test_large_memory_is_zero(void **state)
{
    const size_t bytes = (5u << 20) + 4; // several threads' pieces
    (void)state;
    for (int round = 0; round < 2; round++) {
        unsigned char *data = gb_alloc_aligned(bytes);
        assert_non_null(data);
        assert_int_equal(0, (uintptr_t)data % 64);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(0, data[i]);
        for (size_t i = 0; i < bytes; i++)
            data[i] = 1;
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_turn_once),
        cmocka_unit_test(test_large_memory_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
