// Shapes, tensors, attributes and arguments.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ir/ir.h"

#include <math.h>
#include <string.h>

#define SHAPE(...) \
    (gb_shape){.rank = (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
               .dim = {__VA_ARGS__}}

static void shape_count(void **state)
{
    (void)state;
    assert_int_equal(gb_shape_count(&(gb_shape){0}), 1);
    assert_int_equal(gb_shape_count(&SHAPE(2, 3, 224, 224)), 301056);
    assert_int_equal(gb_shape_count(&SHAPE(2, 0, 5)), 0);
    assert_int_equal(gb_shape_count(&SHAPE(2, -1, 5)), -1);
    assert_int_equal(gb_shape_count(&SHAPE(INT64_C(1) << 32, INT64_C(1) << 31)), -1);
    assert_int_equal(gb_shape_count(&SHAPE(INT64_C(1) << 32, INT64_C(1) << 30)), INT64_C(1) << 62);
}

static void shape_equal(void **state)
{
    (void)state;
    assert_true(gb_shape_equal(&SHAPE(2, 3), &SHAPE(2, 3)));
    assert_false(gb_shape_equal(&SHAPE(2, 3), &SHAPE(2, 4)));
    assert_false(gb_shape_equal(&SHAPE(2, 3), &SHAPE(2, 3, 1)));
    assert_true(gb_shape_equal(&(gb_shape){0}, &(gb_shape){0}));
}

static void shape_text(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(gb_shape_text(text, sizeof text, &SHAPE(2, 3, 224, 224)), "2x3x224x224");
    assert_string_equal(gb_shape_text(text, sizeof text, &SHAPE(-1, 10)), "?x10");
    assert_string_equal(gb_shape_text(text, sizeof text, &(gb_shape){0}), "scalar");
    assert_string_equal(gb_shape_text(text, 6, &SHAPE(123, 456, 789)), "123x4");
    text[0] = 'u';
    assert_ptr_equal(gb_shape_text(text, 0, &SHAPE(1)), text);
    assert_int_equal(text[0], 'u');
}

static void expect_broadcast(gb_shape a, gb_shape b, gb_shape want)
{
    gb_shape got;
    assert_int_equal(gb_shape_broadcast(&got, &a, &b), 0);
    assert_true(gb_shape_equal(&got, &want));
    assert_int_equal(gb_shape_broadcast(&got, &b, &a), 0);
    assert_true(gb_shape_equal(&got, &want));
}

static void shape_broadcast(void **state)
{
    (void)state;
    gb_shape out;
    expect_broadcast(SHAPE(2, 3, 4), SHAPE(4), SHAPE(2, 3, 4));
    expect_broadcast(SHAPE(2, 1, 4), SHAPE(3, 1), SHAPE(2, 3, 4));
    expect_broadcast(SHAPE(5), (gb_shape){0}, SHAPE(5));
    expect_broadcast(SHAPE(0, 3), SHAPE(1, 3), SHAPE(0, 3));
    expect_broadcast(SHAPE(-1, 3), SHAPE(1, 3), SHAPE(-1, 3));
    expect_broadcast(SHAPE(-1, 3), SHAPE(7, 1), SHAPE(7, 3));
    expect_broadcast(SHAPE(-1, 3), SHAPE(-1, 3), SHAPE(-1, 3));
    assert_int_equal(gb_shape_broadcast(&out, &SHAPE(2, 3), &SHAPE(2, 4)), GB_ERR_ARG);
    assert_non_null(strstr(gb_last_error(), "2x3 and 2x4"));
    assert_int_equal(gb_shape_broadcast(&out, &SHAPE(0), &SHAPE(2)), GB_ERR_ARG);
}

static void tensor_elements(void **state)
{
    (void)state;
    gb_arena arena = {0};
    static const gb_dtype types[] = {GB_F32, GB_F64, GB_I64, GB_BOOL};
    for (size_t k = 0; k < GB_COUNT(types); k++) {
        gb_tensor *t = gb_tensor_create(&arena, types[k], &SHAPE(2, 3));
        assert_non_null(t);
        assert_int_equal(gb_tensor_bytes(t), 6 * gb_dtype_size(types[k]));
        assert_true(gb_tensor_get(t, 5) == 0);
        gb_tensor_set(t, 4, -2.75);
        double want = types[k] == GB_I64 ? -2 : types[k] == GB_BOOL ? 1 : -2.75;
        assert_true(gb_tensor_get(t, 4) == want);
        assert_int_equal(gb_tensor_int(t, 4), (int64_t)want);
        assert_true(gb_tensor_get(t, 3) == 0 && gb_tensor_get(t, 5) == 0);
    }
    gb_tensor *n = gb_tensor_create(&arena, GB_I64, &(gb_shape){0});
    gb_tensor_set(n, 0, 1e300);
    assert_true(gb_tensor_int(n, 0) == INT64_MAX);
    gb_tensor_set(n, 0, -INFINITY);
    assert_true(gb_tensor_int(n, 0) == INT64_MIN);
    gb_tensor_set(n, 0, NAN);
    assert_int_equal(gb_tensor_int(n, 0), 0);
    gb_tensor *empty = gb_tensor_create(&arena, GB_F32, &SHAPE(0, 7));
    assert_non_null(empty);
    assert_int_equal(gb_tensor_bytes(empty), 0);
    gb_arena_finish(&arena);
}

static void tensor_limits(void **state)
{
    (void)state;
    gb_arena arena = {0};
    assert_null(gb_tensor_create(&arena, GB_F32, &SHAPE(INT64_C(1) << 40, INT64_C(1) << 40)));
    assert_null(gb_tensor_create(&arena, GB_F32, &SHAPE((INT64_C(1) << 38) + 1)));
    assert_null(gb_tensor_create(&arena, GB_I64, &SHAPE(INT64_C(1) << 61)));
    assert_null(gb_tensor_create(&arena, GB_F32, &SHAPE(2, -1)));
    assert_non_null(strstr(gb_last_error(), "2x?"));
    gb_arena_finish(&arena);
}

// --- attributes ---

typedef struct fixture {
    gb_graph *graph;
    gb_node *node; // Test(x, ints, floats, -), with one attribute of every kind
} fixture;

static int setup(void **state)
{
    static fixture f;
    static const int64_t ints[] = {3, 1, 2};
    static const float floats[] = {0.5f, 1.5f};
    f.graph = gb_graph_create();
    assert_non_null(f.graph);
    f.graph->opset = 13;
    gb_node *node = f.node = gb_graph_node(f.graph, "Test", "", 4, 1, 5);
    assert_non_null(node);
    node->attr[0] = (gb_attr){.name = "i", .kind = GB_ATTR_INT, .i = 7};
    node->attr[1] = (gb_attr){.name = "f", .kind = GB_ATTR_FLOAT, .f = 2.5f};
    node->attr[2] = (gb_attr){.name = "s", .kind = GB_ATTR_STRING, .s = "SAME"};
    node->attr[3] = (gb_attr){.name = "is", .kind = GB_ATTR_INTS, .count = 3, .ints = ints};
    node->attr[4] = (gb_attr){.name = "fs", .kind = GB_ATTR_FLOATS, .count = 2, .floats = floats};
    node->in[0] = gb_graph_value(f.graph, "x");
    gb_tensor *t = gb_tensor_create(&f.graph->arena, GB_I64, &SHAPE(2));
    gb_tensor_set(t, 0, -1);
    gb_tensor_set(t, 1, 9);
    node->in[1] = gb_graph_constant(f.graph, "ints", t);
    t = gb_tensor_create(&f.graph->arena, GB_F32, &(gb_shape){0});
    gb_tensor_set(t, 0, 0.25);
    node->in[2] = gb_graph_constant(f.graph, "float", t);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    gb_graph_free(((fixture *)*state)->graph);
    return 0;
}

static void attributes(void **state)
{
    const gb_node *node = ((fixture *)*state)->node;
    int64_t ints[4] = {0};
    assert_string_equal(node->name, "Test_0");
    assert_int_equal(node->opset, 13);
    assert_ptr_equal(gb_attr_find(node, "f"), &node->attr[1]);
    assert_null(gb_attr_find(node, "absent"));
    assert_int_equal(gb_attr_int(node, "i", 1), 7);
    assert_int_equal(gb_attr_int(node, "absent", 1), 1);
    assert_int_equal(gb_attr_int(node, "f", 1), 1); // another kind
    assert_true(gb_attr_float(node, "f", 0) == 2.5f);
    assert_true(gb_attr_float(node, "absent", 4) == 4);
    assert_string_equal(gb_attr_string(node, "s", "NOTSET"), "SAME");
    assert_string_equal(gb_attr_string(node, "absent", "NOTSET"), "NOTSET");
    assert_int_equal(gb_attr_ints(node, "is", ints, 4), 3);
    assert_int_equal(ints[2], 2);
    ints[2] = 77;
    assert_int_equal(gb_attr_ints(node, "is", ints, 2), 3);
    assert_int_equal(ints[2], 77);
    assert_int_equal(gb_attr_ints(node, "absent", ints, 4), -1);
}

static void arguments(void **state)
{
    const gb_node *node = ((fixture *)*state)->node;
    int64_t ints[4] = {0};
    int count = 0;
    float f = 0;
    assert_int_equal(gb_arg_ints(node, "is", 3, ints, 4, &count), 0); // the attribute
    assert_int_equal(count, 3);
    assert_int_equal(gb_arg_ints(node, "is", 9, ints, 4, &count), 0);
    assert_int_equal(count, 3);
    assert_int_equal(gb_arg_ints(node, "absent", 1, ints, 4, &count), 0); // the input
    assert_int_equal(count, 2);
    assert_int_equal(ints[0], -1);
    assert_int_equal(ints[1], 9);
    ints[1] = 77;
    assert_int_equal(gb_arg_ints(node, "absent", 1, ints, 1, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(ints[1], 77);
    assert_int_equal(gb_arg_ints(node, "absent", 3, ints, 4, &count), 0); // neither
    assert_int_equal(count, -1);
    assert_int_equal(gb_arg_ints(node, NULL, -1, ints, 4, &count), 0);
    assert_int_equal(count, -1);
    assert_int_equal(gb_arg_ints(node, "is", 0, ints, 4, &count), GB_ERR_UNSUPPORTED);
    assert_string_equal(gb_last_error(), "Test 'Test_0': input 0 must be a constant");
    assert_int_equal(gb_arg_ints(node, "is", 2, ints, 4, &count), GB_ERR_FORMAT);

    assert_int_equal(gb_arg_float(node, "f", 3, 9, &f), 0);
    assert_true(f == 2.5f);
    assert_int_equal(gb_arg_float(node, "f", 2, 9, &f), 0);
    assert_true(f == 0.25f);
    assert_int_equal(gb_arg_float(node, "absent", 3, 9, &f), 0);
    assert_true(f == 9);
    assert_int_equal(gb_arg_float(node, "f", 0, 9, &f), GB_ERR_UNSUPPORTED);
    assert_int_equal(gb_arg_float(node, "f", 1, 9, &f), GB_ERR_FORMAT); // two numbers
}

static void axis(void **state)
{
    const gb_node *node = ((fixture *)*state)->node;
    int out = -5;
    assert_int_equal(gb_axis(node, -1, 4, &out), 0);
    assert_int_equal(out, 3);
    assert_int_equal(gb_axis(node, 0, 4, &out), 0);
    assert_int_equal(out, 0);
    assert_int_equal(gb_axis(node, 4, 4, &out), GB_ERR_ARG);
    assert_int_equal(gb_axis(node, -5, 4, &out), GB_ERR_ARG);
    assert_int_equal(gb_axis(node, INT64_MIN, 4, &out), GB_ERR_ARG);
    assert_int_equal(gb_axis(node, 0, 0, &out), GB_ERR_ARG);
    assert_string_equal(gb_last_error(), "Test 'Test_0': axis 0 is outside [0, 0)");
}

static void node_text(void **state)
{
    gb_node *node = ((fixture *)*state)->node;
    char big[4096];
    memset(big, 'n', sizeof big);
    big[sizeof big - 1] = 0;
    node->name = "a\033[2J\nb";
    assert_string_equal(gb_node_text(node), "Test 'a\\x1b[2J\\x0ab'");
    node->name = node->type = big;
    assert_true(strlen(gb_node_text(node)) < 256);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shape_count),
        cmocka_unit_test(shape_equal),
        cmocka_unit_test(shape_text),
        cmocka_unit_test(shape_broadcast),
        cmocka_unit_test(tensor_elements),
        cmocka_unit_test(tensor_limits),
        cmocka_unit_test_setup_teardown(attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(arguments, setup, teardown),
        cmocka_unit_test_setup_teardown(axis, setup, teardown),
        cmocka_unit_test_setup_teardown(node_text, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
