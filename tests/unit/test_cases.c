// The table of cases by itself: every case builds in every form and has a finite reference.
#include "support/check.h"

#include "engine/selftest.h"
#include "op/op.h"

#include <math.h>
#include <string.h>

enum { MAX_PORTS = 16 };

static void evaluate(const gb_case *c, gb_case_form form, gb_arena *arena)
{
    gb_graph *g;
    char text[200];
    assert_ok(gb_case_graph(&g, c, form));
    gb_tensor **value = gb_arena_array(arena, g->n_value, sizeof *value);
    for (size_t i = 0; i < g->n_value; i++) {
        const gb_value *v = g->value[i];
        assert_non_null(value[i] = gb_tensor_create(arena, v->type, &v->shape));
        if (v->data)
            memcpy(value[i]->data, v->data->data, gb_tensor_bytes(v->data));
    }
    assert_true(g->n_in > 0);
    for (size_t i = 0; i < g->n_in; i++)
        gb_case_fill(value[g->in[i]->id], g, i);
    for (size_t i = 0; i < g->n_node; i++) {
        const gb_node *node = g->node[i];
        const gb_tensor *in[MAX_PORTS] = {0};
        gb_tensor *out[MAX_PORTS] = {0};
        for (int k = 0; k < node->n_in; k++)
            in[k] = node->in[k] ? value[node->in[k]->id] : NULL;
        for (int k = 0; k < node->n_out; k++)
            out[k] = value[node->out[k]->id];
        assert_ok(node->op->eval(node, in, out));
    }
    for (size_t i = 0; i < g->n_out; i++) {
        const gb_tensor *y = value[g->out[i]->id];
        const int64_t n = gb_shape_count(&y->shape);
        bool zero = true;
        assert_true(n > 0);
        for (int64_t k = 0; k < n; k++) {
            double v = gb_tensor_get(y, k);
            if (!isfinite(v))
                fail_msg("%s: element %lld is %g", gb_case_text(text, sizeof text, c),
                         (long long)k, v);
            zero = zero && v == 0;
        }
        if (zero)
            fail_msg("%s: nothing but zeros", gb_case_text(text, sizeof text, c));
    }
    gb_graph_free(g);
}

static void test_every_case_evaluates(void **state)
{
    gb_arena arena = {0};
    (void)state;
    for (size_t i = 0; i < gb_case_count; i++) {
        for (gb_case_form form = 0; form < GB_CASE_FORMS; form++)
            if (gb_case_has_form(&gb_cases[i], form))
                evaluate(&gb_cases[i], form, &arena);
        gb_arena_finish(&arena);
    }
}

// An operator that runs on the device has a case.
static void test_every_operator_has_a_case(void **state)
{
    size_t count, missing = 0;
    const gb_op *const *ops = gb_op_all(&count);
    (void)state;
    for (size_t i = 0; i < count; i++) {
        bool found = !ops[i]->forward;
        for (size_t k = 0; k < gb_case_count && !found; k++)
            found = !strcmp(gb_cases[k].op, ops[i]->name) ||
                    (gb_cases[k].then && strstr(gb_cases[k].then, ops[i]->name));
        if (!found)
            print_error("%s has no case\n", ops[i]->name);
        missing += !found;
    }
    assert_int_equal(0, missing);
}

static void test_forms(void **state)
{
    const gb_case scalar = {"Neg", 13, "s"}, list = {"Neg", 13, "5"}, both = {"Add", 14, "=3x5 5"};
    (void)state;
    assert_true(gb_case_has_form(&scalar, GB_CASE_TWICE));
    assert_false(gb_case_has_form(&scalar, GB_CASE_SLICED));
    assert_true(gb_case_has_form(&list, GB_CASE_SLICED));
    assert_false(gb_case_has_form(&list, GB_CASE_TRANSPOSED));
    assert_true(gb_case_has_form(&both, GB_CASE_SLICED));
    assert_false(gb_case_has_form(&both, GB_CASE_TRANSPOSED));
}

// Finite differences need room: distinct numbers, none near 0.
static void test_numbers_keep_their_distance(void **state)
{
    const gb_case c = {"Add", 14, "7x9 +7x9"};
    gb_graph *g;
    gb_arena arena = {0};
    double v[126];
    (void)state;
    assert_ok(gb_case_graph(&g, &c, GB_CASE_PLAIN));
    for (size_t i = 0; i < 2; i++) {
        gb_tensor *t = gb_tensor_create(&arena, GB_F64, &g->in[i]->shape);
        assert_non_null(t);
        gb_case_fill(t, g, i);
        memcpy(v + 63 * i, t->data, 63 * sizeof *v);
    }
    for (int i = 0; i < 126; i++) {
        assert_true(fabs(v[i]) > 1e-3 && (double)(float)v[i] == v[i]);
        assert_true(i < 63 ? fabs(v[i]) <= 2 : v[i] >= 0.25 && v[i] <= 2.25);
        for (int k = 0; k < i; k++)
            assert_true(fabs(v[i] - v[k]) > 1e-3 || (i >= 63 && k < 63 && v[i] != v[k]));
    }
    gb_arena_finish(&arena);
    gb_graph_free(g);
}

static void test_wrong_words(void **state)
{
    const gb_case wrong[] = {{"Neg", 13, "3y5"}, {"Neg", 13, "3x"}, {"Neg", 13, "3", "axis"},
                             {"Nothing", 13, "3"}, {"Neg", 13, "3", NULL, "Nothing"}};
    gb_graph *g;
    (void)state;
    for (size_t i = 0; i < GB_COUNT(wrong); i++)
        assert_true(gb_case_graph(&g, &wrong[i], GB_CASE_PLAIN) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_case_evaluates),
        cmocka_unit_test(test_every_operator_has_a_case),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_numbers_keep_their_distance),
        cmocka_unit_test(test_wrong_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
