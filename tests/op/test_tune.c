// The tuner: a CLBlast that computes nothing is tried on every plain product, and never wins.
#include "support/check.h"
#include "support/folder.h"

#include "engine/selftest.h"
#include "engine/tune.h"

#include <stdlib.h>
#include <string.h>

// In the place of CLBlast's, whose arguments it does not look at: success, and c as it was.
int CLBlastSgemmBatched(void);
int CLBlastSgemmBatched(void)
{
    return 0;
}

static int open_device(gb_device **out, void *user, bool first)
{
    const char *spec = getenv("GIBBON_TEST_DEVICE");
    (void)user;
    (void)first;
    return gb_device_open(out, spec ? spec : "any", NULL);
}

static void tune(gb_tune_result *result, const gb_case *c)
{
    gb_graph *graph = NULL;
    setenv("XDG_CACHE_HOME", in_folder(""), 1);
    assert_ok(gb_case_graph(&graph, c, GB_CASE_PLAIN));
    const gb_tune_options options = {.model = graph, .batch = 2, .limit = 60, .again = true,
                                     .open = open_device};
    const int err = gb_tune(result, &options);
    gb_graph_free(graph);
    if (err == GB_ERR_NO_DEVICE)
        skip();
    assert_ok(err);
}

static bool is_rejected(const gb_tune_result *r, const char *key)
{
    for (size_t i = 0; i < r->n_rejected; i++)
        if (!strcmp(r->rejected[i].key, key) && !strcmp(r->rejected[i].way, GB_WAY_CLBLAST))
            return !strncmp(r->rejected[i].why, "differs by", 10);
    return false;
}

// A product's gradients with respect to both factors are layers, and both are compared.
static void test_plain(void **state)
{
    static const gb_case cases[] = {{"MatMul", 13, "2x17x20 2x20x7"},
                                    {"Conv", 11, "2x40x9x9 =40x40x1x1 =40", NULL, "Add Relu"}};
    static const size_t layers[] = {3, 2};
    (void)state;
    for (size_t k = 0; k < GB_COUNT(cases); k++) {
        gb_tune_result r;
        tune(&r, &cases[k]);
        assert_int_equal(layers[k], r.count);
        for (size_t i = 0; i < r.count; i++) {
            if (!is_rejected(&r, r.layer[i].tuned.key))
                fail_msg("%s: CLBlast was not rejected", r.layer[i].tuned.key);
            assert_non_null(r.layer[i].tuned.way);
            assert_string_not_equal(GB_WAY_CLBLAST, r.layer[i].tuned.way);
        }
        gb_tune_result_free(&r);
    }
}

// Nor is it asked where windows overlap.
static void test_window(void **state)
{
    static const gb_case c = {"Conv", 11, "2x40x9x9 =40x40x3x3 =40", "pads=1,1,1,1"};
    gb_tune_result r;
    (void)state;
    tune(&r, &c);
    assert_int_equal(2, r.count);
    assert_int_equal(0, r.n_rejected);
    gb_tune_result_free(&r);
}

static int set_up(void **state)
{
    (void)state;
    return test_folder_make();
}

static int tear_down(void **state)
{
    (void)state;
    return test_folder_remove();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_window),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
