// Building, sorting, pruning and printing graphs.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ir/ir.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gb_node *node(gb_graph *g, const char *type, gb_value *a, gb_value *b, gb_value *out)
{
    gb_node *n = gb_graph_node(g, type, type, 2, 1, 0);
    assert_non_null(n);
    n->in[0] = a;
    n->in[1] = b;
    n->out[0] = out;
    return n;
}

static gb_value *value(gb_graph *g, const char *name)
{
    gb_value *v = gb_graph_value(g, name);
    assert_non_null(v);
    return v;
}

static gb_graph *graph_with_input(gb_value **x)
{
    gb_graph *g = gb_graph_create();
    assert_non_null(g);
    *x = value(g, "x");
    assert_int_equal(gb_graph_add_input(g, *x), 0);
    return g;
}

static void sorts(void **state)
{
    (void)state;
    gb_value *x, *v[4];
    gb_graph *g = graph_with_input(&x);
    for (int i = 0; i < 4; i++)
        v[i] = value(g, (char[]){(char)('a' + i), 0});
    gb_node *d = node(g, "D", v[1], v[2], v[3]);
    gb_node *c = node(g, "C", v[0], NULL, v[2]);
    gb_node *a = node(g, "A", x, NULL, v[0]);
    gb_node *b = node(g, "B", v[0], x, v[1]);
    gb_graph_add_output(g, v[3]);
    assert_int_equal(gb_graph_sort(g), 0);
    assert_ptr_equal(v[1]->producer, b);
    assert_null(x->producer);
    // D's sources come in the order of its inputs.
    gb_node *const want[] = {a, b, c, d};
    assert_memory_equal(g->node, want, sizeof want);
    // A sorted list stays as it is.
    gb_node *const other[] = {a, c, b, d};
    memcpy(g->node, other, sizeof other);
    assert_int_equal(gb_graph_sort(g), 0);
    assert_memory_equal(g->node, other, sizeof other);
    gb_graph_free(g);
}

static void sorts_residual(void **state)
{
    (void)state;
    gb_value *x;
    gb_graph *g = graph_with_input(&x);
    gb_value *a = value(g, "a"), *b = value(g, "b");
    gb_node *second = node(g, "B", x, NULL, b), *first = node(g, "A", x, NULL, a);
    second->residual = a;
    gb_graph_add_output(g, b);
    assert_int_equal(gb_graph_sort(g), 0);
    assert_ptr_equal(g->node[0], first);
    assert_int_equal(gb_graph_prune(g), 0);
    assert_int_equal(g->n_node, 2);
    assert_int_equal(a->uses, 1);
    gb_graph_free(g);
}

static void refuses_cycle(void **state)
{
    (void)state;
    gb_value *x;
    gb_graph *g = graph_with_input(&x);
    gb_value *a = value(g, "a"), *b = value(g, "b"), *c = value(g, "c");
    node(g, "A", x, c, a);
    node(g, "B", a, NULL, b);
    node(g, "C", b, NULL, c);
    gb_graph_add_output(g, c);
    assert_int_equal(gb_graph_sort(g), GB_ERR_FORMAT);
    assert_non_null(strstr(gb_last_error(), "cycle"));
    gb_graph_free(g);

    g = graph_with_input(&x);
    a = value(g, "a");
    node(g, "A", a, NULL, a);
    assert_int_equal(gb_graph_sort(g), GB_ERR_FORMAT);
    gb_graph_free(g);
}

static void refuses_missing_and_double(void **state)
{
    (void)state;
    gb_value *x;
    gb_graph *g = graph_with_input(&x);
    gb_value *a = value(g, "a"), *ghost = value(g, "ghost");
    node(g, "A", x, ghost, a);
    assert_int_equal(gb_graph_sort(g), GB_ERR_FORMAT);
    assert_string_equal(gb_last_error(), "A 'A': nothing produces its input 'ghost'");
    gb_graph_free(g);

    g = graph_with_input(&x);
    gb_graph_add_output(g, value(g, "ghost"));
    assert_int_equal(gb_graph_sort(g), GB_ERR_FORMAT);
    assert_non_null(strstr(gb_last_error(), "output 'ghost'"));
    gb_graph_free(g);

    g = graph_with_input(&x);
    a = value(g, "a");
    node(g, "A", x, NULL, a);
    node(g, "B", x, NULL, a);
    assert_int_equal(gb_graph_sort(g), GB_ERR_FORMAT);
    assert_string_equal(gb_last_error(), "B 'B': its output 'a' has another source as well");
    gb_graph_free(g);

    g = graph_with_input(&x);
    node(g, "A", x, NULL, x);
    assert_int_equal(gb_graph_sort(g), GB_ERR_FORMAT);
    assert_non_null(strstr(gb_last_error(), "'x' is an input of the model"));
    gb_graph_free(g);

    g = graph_with_input(&x);
    gb_tensor *t = gb_tensor_create(&g->arena, GB_F32, &(gb_shape){0});
    node(g, "A", x, NULL, gb_graph_constant(g, "w", t));
    assert_int_equal(gb_graph_sort(g), GB_ERR_FORMAT);
    gb_graph_free(g);
}

static void sorts_deep_chain(void **state)
{
    (void)state;
    enum { DEPTH = 200000 };
    gb_value *x;
    gb_graph *g = graph_with_input(&x);
    gb_value *last = value(g, "end"), *to = last;
    gb_graph_add_output(g, last);
    for (int i = 0; i < DEPTH; i++) { // from the end, the worst order
        gb_value *from = i == DEPTH - 1 ? x : value(g, "v");
        node(g, "N", from, NULL, to);
        to = from;
    }
    assert_int_equal(gb_graph_sort(g), 0);
    assert_ptr_equal(g->node[0]->in[0], x);
    assert_ptr_equal(g->node[DEPTH - 1]->out[0], last);
    assert_int_equal(gb_graph_prune(g), 0);
    assert_int_equal(g->n_node, DEPTH);
    gb_graph_free(g);
}

static void prunes(void **state)
{
    (void)state;
    gb_value *x;
    gb_graph *g = graph_with_input(&x);
    gb_value *a = value(g, "a"), *b = value(g, "b"), *c = value(g, "c"), *d = value(g, "d");
    gb_node *first = node(g, "A", x, x, a);
    node(g, "B", a, NULL, b);
    node(g, "C", b, a, c); // B and C lead nowhere
    gb_node *last = node(g, "D", a, NULL, d);
    gb_graph_add_output(g, d);
    gb_graph_add_output(g, d);
    assert_int_equal(gb_graph_sort(g), 0);
    assert_int_equal(gb_graph_prune(g), 0);
    assert_int_equal(g->n_node, 2);
    assert_ptr_equal(g->node[0], first);
    assert_ptr_equal(g->node[1], last);
    assert_int_equal(x->uses, 2);
    assert_int_equal(a->uses, 1);
    assert_int_equal(c->uses, 0);
    assert_int_equal(d->uses, 2);
    assert_null(b->producer);
    assert_null(c->producer);
    assert_int_equal(gb_graph_prune(g), 0); // nothing changes any more
    assert_int_equal(g->n_node, 2);
    assert_int_equal(a->uses, 1);
    gb_graph_free(g);
}

static void ids_and_growth(void **state)
{
    (void)state;
    gb_graph *g = gb_graph_create();
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "v%d", i);
        assert_int_equal(value(g, name)->id, i);
        assert_int_equal(gb_graph_add_meta(g, name, name), 0);
    }
    assert_int_equal(g->n_value, 1000);
    assert_string_equal(g->value[999]->name, "v999"); // a copy, not the buffer
    assert_string_equal(gb_graph_meta(g, "v500"), "v500");
    assert_null(gb_graph_meta(g, "v1000"));
    assert_int_equal(gb_graph_set_meta(g, "v500", "new"), 0);
    assert_int_equal(gb_graph_set_meta(g, "v1000", "too"), 0);
    assert_string_equal(gb_graph_meta(g, "v500"), "new");
    assert_string_equal(gb_graph_meta(g, "v1000"), "too");
    assert_int_equal(g->n_meta, 1001);
    gb_graph_free(g);
    gb_graph_free(NULL);
}

static void counts_nonfinite(void **state)
{
    (void)state;
    gb_graph *g = gb_graph_create();
    const gb_value *first = NULL;
    gb_tensor *bound = gb_tensor_create(&g->arena, GB_F32, &(gb_shape){0});
    gb_tensor *fine = gb_tensor_create(&g->arena, GB_F32, &(gb_shape){.rank = 1, .dim = {3}});
    gb_tensor *bad = gb_tensor_create(&g->arena, GB_F32, &(gb_shape){.rank = 1, .dim = {3}});
    gb_tensor_set(bound, 0, INFINITY);
    gb_graph_constant(g, "bound", bound);
    gb_graph_constant(g, "fine", fine);
    assert_int_equal(gb_graph_nonfinite(g, &first), 0);
    assert_null(first);
    gb_value *v = gb_graph_constant(g, "bad", bad);
    gb_tensor_set(bad, 0, NAN);
    gb_tensor_set(bad, 2, -INFINITY);
    assert_int_equal(gb_graph_nonfinite(g, &first), 2);
    assert_ptr_equal(first, v);
    gb_tensor_set(bound, 0, NAN);
    assert_int_equal(gb_graph_nonfinite(g, &first), 3);
    assert_string_equal(first->name, "bound");
    gb_graph_free(g);
}

static void hashes_differ(const gb_graph *g, uint64_t was)
{
    uint64_t is;
    assert_int_equal(gb_graph_hash(&is, g), 0);
    assert_true(is != was);
}

static void dumps(void **state)
{
    (void)state;
    static const int64_t many[20] = {1};
    static const float floats[] = {0.5f, 2};
    gb_value *x;
    gb_graph *g = graph_with_input(&x);
    g->opset = 13;
    g->ir_version = 8;
    g->producer = "hand";
    x->shape = (gb_shape){.rank = 2, .dim = {-1, 3}};
    gb_tensor *t = gb_tensor_create(&g->arena, GB_I64, &(gb_shape){.rank = 1, .dim = {4}});
    gb_value *w = gb_graph_constant(g, "w", t), *y = value(g, "y"), *r = value(g, "r");
    gb_graph_constant(g, "unused", t);
    node(g, "First", x, NULL, r);
    gb_node *n = gb_graph_node(g, "Op", "name", 3, 2, 6);
    n->in[0] = x;
    n->in[2] = w;
    n->out[0] = y;
    n->residual = r;
    n->act = (gb_act){.on = true, .hi = 6};
    n->attr[0] = (gb_attr){.name = "i", .kind = GB_ATTR_INT, .i = -3};
    n->attr[1] = (gb_attr){.name = "f", .kind = GB_ATTR_FLOAT, .f = 0.5f};
    n->attr[2] = (gb_attr){.name = "s", .kind = GB_ATTR_STRING, .s = "hi"};
    n->attr[3] = (gb_attr){.name = "l", .kind = GB_ATTR_INTS, .count = 20, .ints = many};
    n->attr[4] = (gb_attr){.name = "fl", .kind = GB_ATTR_FLOATS, .count = 2, .floats = floats};
    n->attr[5] = (gb_attr){.name = "t", .kind = GB_ATTR_TENSOR, .tensor = t};
    gb_graph_add_output(g, y);
    assert_int_equal(gb_graph_sort(g), 0);
    assert_int_equal(gb_graph_prune(g), 0);
    char *text = gb_graph_dump(g);
    assert_non_null(text);
    assert_string_equal(text,
                        "opset 13, ir 8, hand\n"
                        "input x:f32[?x3]\n"
                        "constant w:i64[4]\n"
                        "r:f32[scalar] = First(x, )  # First\n"
                        "y:f32[scalar],  = Op(x, , w) + r i=-3 f=0.5 s=\"hi\""
                        " l=1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,... fl=0.5,2 t=i64[4]"
                        " act(0, 6, 0)  # name\n"
                        "output y\n");
    free(text);
    // The hash sees what the text rounds or leaves out.
    const float near[] = {0.5f, nextafterf(2, 3)};
    int64_t last[20] = {1};
    uint64_t was, is;
    last[19] = 1;
    assert_int_equal(gb_graph_hash(&was, g), 0);
    n->attr[1].f = nextafterf(0.5f, 1);
    hashes_differ(g, was);
    n->attr[1].f = 0.5f;
    n->attr[3].ints = last;
    hashes_differ(g, was);
    n->attr[3].ints = many;
    n->attr[4].floats = near;
    hashes_differ(g, was);
    n->attr[4].floats = floats;
    n->act.hi = nextafterf(6, 7);
    hashes_differ(g, was);
    n->act.hi = 6;
    assert_int_equal(gb_graph_hash(&is, g), 0);
    assert_true(is == was);
    gb_tensor_set(t, 3, 1);
    hashes_differ(g, was);
    gb_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorts),
        cmocka_unit_test(sorts_residual),
        cmocka_unit_test(refuses_cycle),
        cmocka_unit_test(refuses_missing_and_double),
        cmocka_unit_test(sorts_deep_chain),
        cmocka_unit_test(prunes),
        cmocka_unit_test(ids_and_growth),
        cmocka_unit_test(counts_nonfinite),
        cmocka_unit_test(dumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
