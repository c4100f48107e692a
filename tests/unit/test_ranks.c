// Processes of one job: run alone, or as several by mpirun, every rank checks what it got.
#include "support/check.h"

#include "base/ranks.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gb_ranks job;

static void test_identity(void **state)
{
    (void)state;
    const char *size = getenv("OMPI_COMM_WORLD_SIZE");
    assert_int_equal(size ? atoi(size) : 1, job.size);
    assert_true(job.rank >= 0 && job.rank < job.size);
    assert_int_equal(job.rank, job.local_rank); // all on this machine
}

// Sums are in double: in float, 2^25 + 1 - 2^25 would be 0.
static void test_sum(void **state)
{
    enum { COUNT = 3000001 }; // several pieces, the last one not a multiple of the ranks
    (void)state;
    float *v = malloc(COUNT * sizeof *v);
    assert_non_null(v);
    for (int i = 0; i < COUNT; i++)
        v[i] = (float)(i % 1000) + 0.5f * (float)job.rank;
    assert_ok(gb_ranks_sum(&job, v, COUNT));
    for (int i = 0; i < COUNT; i++) {
        float want = (float)(i % 1000 * job.size) + 0.25f * (float)(job.size * (job.size - 1));
        if (v[i] != want)
            fail_msg("value %d: %g, want %g", i, (double)v[i], (double)want);
    }
    v[0] = job.rank == 0 ? 0x1p25f : job.rank == 1 ? 1 : -0x1p25f;
    assert_ok(gb_ranks_sum(&job, v, 1));
    if (job.size == 3)
        assert_true(v[0] == 1.0f);
    free(v);
    assert_ok(gb_ranks_sum(&job, NULL, 0));
    float one = 7;
    assert_ok(gb_ranks_sum(NULL, &one, 1)); // no job: nothing to add
    assert_true(one == 7.0f);
}

static void test_gather(void **state)
{
    (void)state;
    char mine[64] = {0};
    size_t length = 0, total = 99;
    for (int k = 0; k < job.rank; k++) // rank 0 has nothing to say
        length += (size_t)snprintf(mine + length, sizeof mine - length, "r%d,", job.rank);
    void *all = mine;
    assert_ok(gb_ranks_gather(&job, &all, &total, mine, length));
    if (job.rank) {
        assert_null(all);
        assert_int_equal(0, total);
        return;
    }
    const char *want = job.size == 3 ? "r1,r2,r2," : "";
    assert_int_equal(strlen(want), total);
    assert_memory_equal(want, all, total);
    free(all);
}

static void test_share(void **state)
{
    (void)state;
    int values[3] = {job.rank, 10 + job.rank, 20};
    gb_ranks_share(&job, values, sizeof values);
    assert_true(values[0] == 0 && values[1] == 10 && values[2] == 20);
    gb_ranks_wait(&job);
}

static void test_all(void **state)
{
    (void)state;
    int mine[2] = {job.rank, -job.rank}, *all = calloc((size_t)job.size, sizeof mine);
    assert_non_null(all);
    gb_ranks_all(&job, all, mine, sizeof mine);
    for (int k = 0; k < job.size; k++)
        assert_true(all[2 * k] == k && all[2 * k + 1] == -k);
    free(all);
}

static void test_agree(void **state)
{
    (void)state;
    assert_int_equal(0, gb_ranks_agree(&job, 0));
    assert_int_equal(0, gb_ranks_agree(&job, 5)); // what is not negative is fine
    int last = job.size - 1;
    int err = job.rank == last ? gb_fail(GB_ERR_FORMAT, "the last one's trouble") : 0;
    assert_int_equal(GB_ERR_FORMAT, gb_ranks_agree(&job, err));
    assert_string_equal(job.size == 3 ? "rank 2: the last one's trouble" : "the last one's trouble",
                        gb_last_error());
    assert_int_equal(GB_ERR_IO, gb_ranks_agree(&job, gb_fail(GB_ERR_IO, "everybody's")));
    assert_string_equal("everybody's", gb_last_error());
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity), cmocka_unit_test(test_sum), cmocka_unit_test(test_gather),
        cmocka_unit_test(test_share),    cmocka_unit_test(test_agree),
        cmocka_unit_test(test_all),
    };
    if (gb_ranks_start(&job) < 0) {
        printf("%s\n", gb_last_error());
        return 1;
    }
    if (argc > 1 && !strcmp(argv[1], "abort")) {
        if (job.rank == 1) {
            gb_fail(GB_ERR_IO, "out of luck");
            gb_ranks_abort(&job, 1);
        }
        gb_ranks_wait(&job); // for ever, but for the abort
        return 0;
    }
    if (job.rank && !freopen("/dev/null", "w", stdout)) // one report is enough
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed = gb_ranks_agree(&job, failed ? gb_fail(GB_ERR_ARG, "failed") : 0) < 0;
    gb_ranks_finish();
    return failed;
}
