// Patterns of operators: which subgraphs become one operator or go into a layer, and which stay.
#include "support/check.h"

#include "engine/passes.h"
#include "engine/patterns.h"
#include "op/op.h"

#include <math.h>
#include <string.h>

// A graph under construction over one input of 2x6.
typedef struct build {
    gb_graph *g;
    gb_value *x;
} build;

static build begin(void)
{
    build b = {gb_graph_create(), NULL};
    b.x = gb_graph_value(b.g, "x");
    b.x->type = GB_F32;
    b.x->shape = (gb_shape){.rank = 2, .dim = {2, 6}};
    assert_int_equal(gb_graph_add_input(b.g, b.x), 0);
    return b;
}

static gb_value *constant(build *b, int count, float v)
{
    gb_shape shape = {.rank = count > 1, .dim = {count}};
    gb_tensor *t = gb_tensor_create(&b->g->arena, GB_F32, &shape);
    for (int i = 0; i < count; i++)
        gb_tensor_set(t, i, v);
    return gb_graph_constant(b->g, "c", t);
}

static gb_value *op(build *b, const char *type, gb_value *p, gb_value *q)
{
    gb_node *node = gb_graph_node(b->g, type, type, q ? 2 : 1, 1, 0);
    node->op = gb_op_find(type);
    assert_non_null(node->op);
    node->opset = 18;
    node->in[0] = p;
    if (q)
        node->in[1] = q;
    node->out[0] = gb_graph_value(b->g, type);
    node->out[0]->producer = node;
    assert_int_equal(node->op->infer(node), 0);
    return node->out[0];
}

static gb_value *mean(build *b, gb_value *x)
{
    gb_shape one = {.rank = 1, .dim = {1}};
    gb_tensor *axes = gb_tensor_create(&b->g->arena, GB_I64, &one);
    gb_tensor_set(axes, 0, -1);
    return op(b, "ReduceMean", x, gb_graph_constant(b->g, "axes", axes));
}

// Runs the pass; returns the type of the last node, *nodes how many are left.
static const char *run(build *b, gb_value *y, int *nodes)
{
    assert_int_equal(gb_graph_add_output(b->g, y), 0);
    assert_int_equal(gb_graph_sort(b->g), 0);
    assert_int_equal(gb_graph_prune(b->g), 0);
    assert_int_equal(gb_pass_patterns(b->g), 0);
    *nodes = (int)b->g->n_node;
    return b->g->node[b->g->n_node - 1]->type;
}

static gb_value *gelu(build *b, float root, bool divide, gb_value **inner)
{
    gb_value *t = divide ? op(b, "Div", b->x, constant(b, 1, root))
                         : op(b, "Mul", constant(b, 1, 1 / root), b->x);
    t = op(b, "Add", op(b, "Erf", t, NULL), constant(b, 1, 1));
    *inner = t;
    return op(b, "Mul", op(b, "Mul", b->x, t), constant(b, 1, 0.5f));
}

static void gelu_spelt_out_becomes_one_node(void **state)
{
    (void)state;
    for (int divide = 0; divide < 2; divide++) {
        build b = begin();
        gb_value *inner;
        int nodes;
        assert_string_equal(run(&b, gelu(&b, sqrtf(2), divide, &inner), &nodes), "Gelu");
        assert_int_equal(nodes, 1);
        assert_ptr_equal(b.g->node[0]->in[0], b.x);
        gb_graph_free(b.g);
    }
}

static void a_wrong_constant_stays(void **state)
{
    (void)state;
    build b = begin();
    gb_value *inner;
    int nodes;
    assert_string_equal(run(&b, gelu(&b, 1.5f, true, &inner), &nodes), "Mul");
    assert_int_equal(nodes, 5);
    gb_graph_free(b.g);
}

static void an_inner_value_that_others_read_stays(void **state)
{
    (void)state;
    build b = begin();
    gb_value *inner, *y = gelu(&b, sqrtf(2), true, &inner);
    int nodes;
    assert_string_equal(run(&b, op(&b, "Add", y, inner), &nodes), "Add");
    assert_int_equal(nodes, 6);
    gb_graph_free(b.g);
}

static void silu_becomes_swish_in_either_order(void **state)
{
    (void)state;
    for (int order = 0; order < 2; order++) {
        build b = begin();
        gb_value *s = op(&b, "Sigmoid", b.x, NULL);
        int nodes;
        assert_string_equal(run(&b, order ? op(&b, "Mul", s, b.x) : op(&b, "Mul", b.x, s), &nodes),
                            "Swish");
        assert_int_equal(nodes, 1);
        gb_graph_free(b.g);
    }
}

static void a_gate_of_another_value_is_no_silu(void **state)
{
    (void)state;
    build b = begin();
    gb_value *s = op(&b, "Sigmoid", op(&b, "Exp", b.x, NULL), NULL);
    int nodes;
    assert_string_equal(run(&b, op(&b, "Mul", b.x, s), &nodes), "Mul");
    assert_int_equal(nodes, 3);
    gb_graph_free(b.g);
}

static gb_value *layer_norm(build *b, gb_value *x, float eps, int scale_count)
{
    gb_value *d = op(b, "Sub", x, mean(b, x));
    gb_value *v = mean(b, op(b, "Pow", d, constant(b, 1, 2)));
    gb_value *n = op(b, "Div", d, op(b, "Sqrt", op(b, "Add", v, constant(b, 1, eps)), NULL));
    return op(b, "Add", op(b, "Mul", n, constant(b, scale_count, 3)), constant(b, 6, 0.25f));
}

static void layer_normalization_keeps_its_epsilon(void **state)
{
    (void)state;
    build b = begin();
    int nodes;
    assert_string_equal(run(&b, layer_norm(&b, b.x, 1e-3f, 6), &nodes), "LayerNormalization");
    assert_int_equal(nodes, 1);
    assert_true(gb_attr_float(b.g->node[0], "epsilon", 0) == 1e-3f);
    assert_int_equal(b.g->node[0]->n_in, 3);
    gb_graph_free(b.g);
}

static void a_scale_of_another_shape_is_no_layer_normalization(void **state)
{
    (void)state;
    build b = begin();
    int nodes;
    assert_string_equal(run(&b, layer_norm(&b, b.x, 1e-3f, 1), &nodes), "Add");
    assert_int_equal(nodes, 9);
    gb_graph_free(b.g);
}

// --- behind a Transpose ---

// b.x of 2x3x4x6 by a layer of 5 outputs, with their axis moved to the front.
static gb_value *turned_layer(build *b, float weight)
{
    static const int64_t channels_first[] = {0, 3, 1, 2};
    const gb_shape w_shape = {.rank = 2, .dim = {6, 5}};
    b->x->shape = (gb_shape){.rank = 4, .dim = {2, 3, 4, 6}};
    gb_tensor *w = gb_tensor_create(&b->g->arena, GB_F32, &w_shape);
    for (int i = 0; i < 30; i++)
        gb_tensor_set(w, i, weight);
    gb_value *y = op(b, "MatMul", b->x, gb_graph_constant(b->g, "w", w));
    gb_node *node = gb_graph_node(b->g, "Transpose", "turn", 1, 1, 1);
    node->op = gb_op_find("Transpose");
    node->opset = 18;
    node->in[0] = y;
    node->attr[0] =
        (gb_attr){.name = "perm", .kind = GB_ATTR_INTS, .count = 4, .ints = channels_first};
    node->out[0] = gb_graph_value(b->g, "turned");
    assert_int_equal(node->op->infer(node), 0);
    return node->out[0];
}

// 0, 1, 2, ... in a constant.
static gb_value *ramp(build *b, gb_shape shape)
{
    gb_tensor *t = gb_tensor_create(&b->g->arena, GB_F32, &shape);
    for (int64_t i = 0; i < gb_shape_count(&shape); i++)
        gb_tensor_set(t, i, (double)i);
    return gb_graph_constant(b->g, "ramp", t);
}

static void fuse(build *b, gb_value *y)
{
    assert_int_equal(gb_graph_add_output(b->g, y), 0);
    assert_int_equal(gb_graph_sort(b->g), 0);
    assert_int_equal(gb_graph_prune(b->g), 0);
    assert_int_equal(gb_pass_fuse(b->g), 0);
    assert_int_equal(gb_pass_hoist(b->g), 0);
}

static void a_scale_and_a_residual_behind_a_transpose_go_into_the_layer(void **state)
{
    (void)state;
    build b = begin();
    gb_value *turned = turned_layer(&b, 2), *residual = gb_graph_value(b.g, "r");
    residual->type = GB_F32;
    residual->shape = (gb_shape){.rank = 4, .dim = {2, 5, 3, 4}};
    assert_int_equal(gb_graph_add_input(b.g, residual), 0);
    gb_value *scaled = op(&b, "Mul", turned, ramp(&b, (gb_shape){.rank = 3, .dim = {5, 1, 1}}));
    gb_value *y = op(&b, "Add", residual, scaled);
    fuse(&b, y);

    assert_int_equal(b.g->n_node, 3);
    const gb_node *back = b.g->node[0], *layer = b.g->node[1], *turn = b.g->node[2];
    assert_string_equal(back->type, "Transpose");
    assert_ptr_equal(back->in[0], residual);
    int64_t perm[4];
    assert_int_equal(gb_attr_ints(back, "perm", perm, 4), 4);
    assert_memory_equal(perm, ((int64_t[]){0, 2, 3, 1}), sizeof perm);
    assert_string_equal(layer->type, "MatMul");
    assert_ptr_equal(layer->residual, back->out[0]);
    assert_true(gb_shape_equal(&layer->residual->shape, &layer->out[0]->shape));
    for (int i = 0; i < 30; i++) // weights [6][5] of 2, each column by its scale
        assert_true(gb_tensor_get(layer->in[1]->data, i) == 2.0 * (i % 5));
    assert_ptr_equal(turn->in[0], layer->out[0]);
    assert_ptr_equal(turn->out[0], y);
    gb_graph_free(b.g);
}

static void a_constant_along_two_axes_stays_behind_a_transpose(void **state)
{
    (void)state;
    build b = begin();
    gb_value *turned = turned_layer(&b, 1);
    fuse(&b, op(&b, "Add", turned, ramp(&b, (gb_shape){.rank = 3, .dim = {5, 3, 1}})));
    assert_int_equal(b.g->n_node, 3);
    assert_string_equal(b.g->node[2]->type, "Add");
    gb_graph_free(b.g);
}

static void what_others_read_of_a_transpose_stays(void **state)
{
    (void)state;
    build b = begin();
    gb_value *turned = turned_layer(&b, 1);
    gb_value *scaled = op(&b, "Mul", turned, ramp(&b, (gb_shape){.rank = 3, .dim = {5, 1, 1}}));
    fuse(&b, op(&b, "Add", scaled, turned));
    assert_int_equal(b.g->n_node, 4);
    assert_string_equal(b.g->node[2]->type, "Mul");
    gb_graph_free(b.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gelu_spelt_out_becomes_one_node),
        cmocka_unit_test(a_wrong_constant_stays),
        cmocka_unit_test(an_inner_value_that_others_read_stays),
        cmocka_unit_test(silu_becomes_swish_in_either_order),
        cmocka_unit_test(a_gate_of_another_value_is_no_silu),
        cmocka_unit_test(layer_normalization_keeps_its_epsilon),
        cmocka_unit_test(a_scale_of_another_shape_is_no_layer_normalization),
        cmocka_unit_test(a_scale_and_a_residual_behind_a_transpose_go_into_the_layer),
        cmocka_unit_test(a_constant_along_two_axes_stays_behind_a_transpose),
        cmocka_unit_test(what_others_read_of_a_transpose_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
