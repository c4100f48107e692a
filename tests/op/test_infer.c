// Shape inference and evaluation of the arithmetic operators: windows, refusals, corner values.
#include "support/check.h"

#include "op/op.h"
#include "op/window.h"

#include <math.h>
#include <string.h>

static gb_graph *graph;

static int set_up(void **state)
{
    (void)state;
    graph = gb_graph_create();
    return graph ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    gb_graph_free(graph);
    return 0;
}

// --- building nodes ---

static gb_value *value_of(gb_dtype type, int rank, const int64_t *dim)
{
    gb_value *v = gb_graph_value(graph, "v");
    assert_non_null(v);
    v->type = type;
    v->shape.rank = rank;
    for (int i = 0; i < rank; i++)
        v->shape.dim[i] = dim[i];
    return v;
}
#define DIMS(...) (int)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[]){__VA_ARGS__}
#define F32(...) value_of(GB_F32, DIMS(__VA_ARGS__))
#define I64(...) value_of(GB_I64, DIMS(__VA_ARGS__))

static gb_node *node_of(const char *type, int n_in, gb_value **in)
{
    gb_node *node = gb_graph_node(graph, type, "n", n_in, 1, 8);
    assert_non_null(node);
    node->n_attr = 0;
    node->opset = 21;
    node->op = gb_op_find(type);
    assert_non_null(node->op);
    memcpy(node->in, in, (size_t)n_in * sizeof *in);
    node->out[0] = gb_graph_value(graph, "out");
    return node;
}
#define NODE(type, ...) \
    node_of(type, (int)(sizeof((gb_value *[]){__VA_ARGS__}) / sizeof(gb_value *)), \
            (gb_value *[]){__VA_ARGS__})

static gb_attr *attr_of(gb_node *node, const char *name, gb_attr_kind kind)
{
    gb_attr *a = &node->attr[node->n_attr++];
    *a = (gb_attr){.name = name, .kind = kind};
    return a;
}

static gb_node *ints(gb_node *node, const char *name, size_t count, const int64_t *v)
{
    gb_attr *a = attr_of(node, name, GB_ATTR_INTS);
    int64_t *copy = gb_arena_array(&graph->arena, count, sizeof *v);
    memcpy(copy, v, count * sizeof *v);
    a->ints = copy;
    a->count = count;
    return node;
}
#define INTS(node, name, ...) ints(node, name, DIMS(__VA_ARGS__))

static gb_node *integer(gb_node *node, const char *name, int64_t v)
{
    attr_of(node, name, GB_ATTR_INT)->i = v;
    return node;
}

static gb_node *text(gb_node *node, const char *name, const char *v)
{
    attr_of(node, name, GB_ATTR_STRING)->s = v;
    return node;
}

// --- windows ---

typedef struct window_case {
    int64_t in, kernel, stride, dilation, begin, end;
    const char *pad;
    int64_t ceil_mode;
    int64_t out, out_begin, out_end; // expected
} window_case;

// The sizes that PyTorch gives, and TensorFlow for SAME.
static const window_case window_cases[] = {
    {7, 3, 1, 1, 0, 0, "NOTSET", 0, 5, 0, 0},
    {7, 3, 2, 1, 1, 1, "NOTSET", 0, 4, 1, 1},
    {224, 7, 2, 1, 3, 3, "NOTSET", 0, 112, 3, 3},
    {8, 3, 2, 1, 1, 1, "NOTSET", 0, 4, 1, 1},
    {8, 3, 2, 1, 1, 1, "NOTSET", 1, 5, 1, 1},
    {7, 3, 2, 1, 0, 1, "NOTSET", 0, 3, 0, 1},
    {7, 3, 1, 2, 0, 0, "NOTSET", 0, 3, 0, 0},
    {6, 2, 4, 1, 0, 0, "NOTSET", 1, 2, 0, 0},
    {4, 1, 3, 1, 0, 0, "NOTSET", 1, 2, 0, 0},
    {3, 1, 3, 1, 0, 0, "NOTSET", 1, 1, 0, 0},  // the second window would start outside
    {5, 2, 3, 1, 1, 1, "NOTSET", 1, 2, 1, 1},
    {3, 2, 2, 1, 1, 1, "NOTSET", 1, 2, 1, 1},  // 3 by rounding up; its window is all padding
    {5, 3, 2, 1, 9, 9, "SAME_UPPER", 0, 3, 1, 1},
    {6, 3, 2, 1, 0, 0, "SAME_UPPER", 0, 3, 0, 1},
    {6, 3, 2, 1, 0, 0, "SAME_LOWER", 0, 3, 1, 0},
    {8, 3, 1, 2, 0, 0, "SAME_UPPER", 0, 8, 2, 2},
    {8, 1, 2, 1, 0, 0, "SAME_UPPER", 0, 4, 0, 0},
    {8, 3, 2, 1, 5, 5, "VALID", 0, 3, 0, 0},
};

static void windows(void **state)
{
    (void)state;
    for (size_t i = 0; i < GB_COUNT(window_cases); i++) {
        const window_case *c = &window_cases[i];
        for (int rank = 1; rank <= 3; rank++) {
            int64_t shape[5] = {2, 3}, kernel[3], stride[3], dilation[3], pads[6];
            for (int d = 0; d < rank; d++) {
                shape[2 + d] = c->in;
                kernel[d] = c->kernel;
                stride[d] = c->stride;
                dilation[d] = c->dilation;
                pads[d] = c->begin;
                pads[rank + d] = c->end;
            }
            gb_node *node = NODE("MaxPool", value_of(GB_F32, rank + 2, shape));
            ints(node, "kernel_shape", (size_t)rank, kernel);
            ints(node, "strides", (size_t)rank, stride);
            ints(node, "dilations", (size_t)rank, dilation);
            ints(node, "pads", 2 * (size_t)rank, pads);
            text(node, "auto_pad", c->pad);
            integer(node, "ceil_mode", c->ceil_mode);
            gb_window w;
            assert_ok(gb_window_read(node, &w));
            assert_ok(node->op->infer(node));
            const gb_shape *out = &node->out[0]->shape;
            assert_int_equal(rank + 2, out->rank);
            assert_int_equal(2, out->dim[0]);
            assert_int_equal(3, out->dim[1]);
            for (int d = 0; d < 3; d++) {
                const bool real = d >= 3 - rank;
                assert_int_equal(real ? c->out : 1, w.out[d]);
                assert_int_equal(real ? c->out_begin : 0, w.pad_begin[d]);
                if (!c->ceil_mode)
                    assert_int_equal(real ? c->out_end : 0, w.pad_end[d]);
                if (real)
                    assert_int_equal(c->out, out->dim[2 + d - (3 - rank)]);
            }
        }
    }
}

// --- refusals: the status, and what the message must say ---

static void refused(int status, const char *say, gb_node *node)
{
    assert_err(status, node->op->infer(node));
    if (!strstr(gb_last_error(), say) || !strstr(gb_last_error(), "'n'"))
        fail_msg("'%s' does not say '%s'", gb_last_error(), say);
}
#define MALFORMED(say, node) refused(GB_ERR_FORMAT, say, node)
#define UNSUPPORTED(say, node) refused(GB_ERR_UNSUPPORTED, say, node)

static void bad_windows(void **state)
{
    (void)state;
    gb_value *x = F32(1, 4, 8, 8), *w = F32(6, 4, 3, 3);
    UNSUPPORTED("2 dimensions", NODE("Conv", F32(1, 4), w));
    UNSUPPORTED("6 dimensions", NODE("Conv", F32(1, 4, 2, 2, 2, 2), w));
    UNSUPPORTED("size 0", NODE("Conv", F32(1, 4, 0, 8), w));
    UNSUPPORTED("no channels", NODE("Conv", F32(1, 0, 8, 8), F32(6, 0, 3, 3)));
    UNSUPPORTED("integers", NODE("Conv", I64(1, 4, 8, 8), w));
    MALFORMED("inputs", NODE("Conv", x));
    MALFORMED("missing", NODE("Conv", x, NULL));
    MALFORMED("weights are", NODE("Conv", x, F32(6, 4, 3)));
    MALFORMED("do not fit", NODE("Conv", x, F32(6, 5, 3, 3)));
    MALFORMED("do not fit", integer(NODE("Conv", x, w), "group", 0));
    MALFORMED("do not fit", integer(NODE("Conv", x, w), "group", 3));
    MALFORMED("disagree", INTS(NODE("Conv", x, w), "kernel_shape", 3, 5));
    MALFORMED("disagree", NODE("Conv", x, F32(6, 4, 0, 3)));
    MALFORMED("bias", NODE("Conv", x, w, F32(5)));
    MALFORMED("pads has 2 numbers", INTS(NODE("Conv", x, w), "pads", 1, 1));
    MALFORMED("pads holds -1", INTS(NODE("Conv", x, w), "pads", 0, 0, -1, 0));
    MALFORMED("strides holds 0", INTS(NODE("Conv", x, w), "strides", 1, 0));
    MALFORMED("dilations holds", INTS(NODE("Conv", x, w), "dilations", INT64_MAX, 1));
    MALFORMED("does not fit", INTS(NODE("Conv", x, w), "dilations", 4, 4));
    MALFORMED("auto_pad", text(NODE("Conv", x, w), "auto_pad", "SOME"));
    MALFORMED("kernel_shape", NODE("MaxPool", x));
    UNSUPPORTED("padding", INTS(INTS(NODE("AveragePool", x), "kernel_shape", 2, 2), "pads",
                                2, 0, 0, 0));
    UNSUPPORTED("padding", INTS(INTS(NODE("MaxPool", x), "kernel_shape", 2, 2), "pads",
                                0, 0, 0, 2));
}

static void bad_shapes(void **state)
{
    (void)state;
    gb_value *x = F32(2, 3, 4);
    MALFORMED("not matrices", NODE("Gemm", x, F32(4, 5)));
    MALFORMED("do not fit", NODE("Gemm", F32(2, 3), F32(4, 5)));
    MALFORMED("broadcast", NODE("Gemm", F32(2, 3), F32(3, 5), F32(2, 2, 5)));
    MALFORMED("do not multiply", NODE("MatMul", x, F32(3, 5)));
    MALFORMED("do not multiply", NODE("MatMul", x, F32(3, 4, 5)));
    MALFORMED("scalar", NODE("MatMul", x, value_of(GB_F32, 0, NULL)));
    MALFORMED("do not broadcast", NODE("Add", x, F32(2)));
    MALFORMED("mixes", NODE("Add", x, I64(4)));
    MALFORMED("does not broadcast", NODE("PRelu", F32(4), F32(3, 4)));
    MALFORMED("missing", NODE("Max", x, NULL));
    MALFORMED("do not broadcast", NODE("Where", x, F32(3), F32(4)));
    refused(GB_ERR_ARG, "axis 3", integer(NODE("Softmax", x), "axis", 3));
    refused(GB_ERR_ARG, "axis -4", INTS(NODE("ReduceSum", x), "axes", 0, -4));
    UNSUPPORTED("constant", NODE("ReduceSum", x, I64(1)));
    MALFORMED("list of 3", NODE("BatchNormalization", x, F32(3), F32(3), F32(4), F32(3)));
    gb_node *norm = NODE("BatchNormalization", x, F32(3), F32(3), F32(3), F32(3));
    UNSUPPORTED("one mean and variance", integer(norm, "spatial", 0));
    norm = NODE("BatchNormalization", x, F32(3), F32(3), F32(3), F32(3));
    norm->out = (gb_value *[]){norm->out[0], F32(1), F32(1)};
    norm->n_out = 3;
    UNSUPPORTED("training mode", norm);
    MALFORMED("list of 3", NODE("InstanceNormalization", x, F32(3), F32(1)));
    MALFORMED("broadcast", NODE("LayerNormalization", x, F32(3)));
    MALFORMED("size is 0", NODE("LRN", x));
    UNSUPPORTED("constant", NODE("Clip", x, value_of(GB_F32, 0, NULL)));
    MALFORMED("approximate", text(NODE("Gelu", x), "approximate", "erf"));
    gb_node *indices = INTS(NODE("MaxPool", x), "kernel_shape", 2);
    indices->out = (gb_value *[]){indices->out[0], F32(1)};
    indices->n_out = 2;
    UNSUPPORTED("indices", indices);
}

// --- values that loops over ordinary numbers do not meet ---

static const gb_tensor *eval(gb_node *node)
{
    const gb_tensor *in[8];
    assert_ok(node->op->infer(node));
    for (int i = 0; i < node->n_in; i++)
        in[i] = node->in[i] ? node->in[i]->data : NULL;
    gb_tensor *out = gb_tensor_create(&graph->arena, node->out[0]->type, &node->out[0]->shape);
    assert_non_null(out);
    assert_ok(node->op->eval(node, in, &out));
    return out;
}

static gb_value *numbers(gb_dtype type, int count, const double *v)
{
    const int64_t dim[1] = {count};
    gb_value *value = value_of(type, 1, dim);
    value->data = gb_tensor_create(&graph->arena, type, &value->shape);
    assert_non_null(value->data);
    for (int i = 0; i < count; i++)
        gb_tensor_set(value->data, i, v[i]);
    return value;
}
#define NUMBERS(type, ...) \
    numbers(type, (int)(sizeof((double[]){__VA_ARGS__}) / 8), (double[]){__VA_ARGS__})

static void corner_values(void **state)
{
    (void)state;
    gb_value *wild = NUMBERS(GB_F64, -1000, 0, 1000, NAN);
    const double softplus[3] = {0, log(2), 1000}, sigmoid[3] = {0, 0.5, 1};
    const gb_tensor *y = eval(NODE("Softplus", wild));
    const gb_tensor *z = eval(NODE("Sigmoid", wild));
    for (int i = 0; i < 3; i++) {
        assert_true(fabs(gb_tensor_get(y, i) - softplus[i]) < 1e-12);
        assert_true(fabs(gb_tensor_get(z, i) - sigmoid[i]) < 1e-12);
    }
    const char *const keep_nan[] = {"Relu", "LeakyRelu", "Clip", "HardSigmoid", "HardSwish", "Sign",
                                    "Elu", "Gelu", "Abs", "Softplus", "ThresholdedRelu"};
    for (size_t i = 0; i < GB_COUNT(keep_nan); i++)
        assert_true(isnan(gb_tensor_get(eval(NODE(keep_nan[i], wild)), 3)));
    assert_true(isnan(gb_tensor_get(eval(NODE("Max", wild, NUMBERS(GB_F64, 1))), 3)));

    y = eval(NODE("LogSoftmax", NUMBERS(GB_F64, 2000, 1000, 2000)));
    assert_true(fabs(gb_tensor_get(y, 0) + log(2)) < 1e-12);
    assert_true(fabs(gb_tensor_get(y, 1) + 1000 + log(2)) < 1e-9);
}

static void integers(void **state)
{
    (void)state;
    gb_value *a = NUMBERS(GB_I64, -7, 7, 7), *b = NUMBERS(GB_I64, 2, -2, 2);
    const int64_t quotient[3] = {-3, -3, 3}, modulo[3] = {1, -1, 1}, rest[3] = {-1, 1, 1};
    const gb_tensor *div = eval(NODE("Div", a, b)), *mod = eval(NODE("Mod", a, b));
    const gb_tensor *fmod = eval(integer(NODE("Mod", a, b), "fmod", 1));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(quotient[i], gb_tensor_int(div, i));
        assert_int_equal(modulo[i], gb_tensor_int(mod, i));
        assert_int_equal(rest[i], gb_tensor_int(fmod, i));
    }
    gb_value *big = NUMBERS(GB_I64, 0x1p62), *one = NUMBERS(GB_I64, 1);
    assert_true(gb_tensor_int(eval(NODE("Add", big, one)), 0) == ((int64_t)1 << 62) + 1);
    assert_int_equal(GB_BOOL, eval(NODE("Equal", big, one))->type);

    gb_node *by_zero = NODE("Div", a, NUMBERS(GB_I64, 0));
    gb_tensor *out = gb_tensor_create(&graph->arena, GB_I64, &a->shape);
    const gb_tensor *in[2] = {a->data, by_zero->in[1]->data};
    assert_ok(by_zero->op->infer(by_zero));
    assert_err(GB_ERR_NUMERIC, by_zero->op->eval(by_zero, in, &out));
}

// What an older opset means by the same words.
static void softmax_of_matrices(void **state)
{
    (void)state;
    gb_value *x = F32(1, 2, 2);
    x->data = gb_tensor_create(&graph->arena, GB_F32, &x->shape);
    gb_node *node = NODE("Softmax", x);
    assert_true(gb_tensor_get(eval(node), 0) == 0.5);
    node->opset = 12;
    assert_true(gb_tensor_get(eval(node), 0) == 0.25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_windows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(bad_shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(corner_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(integers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(softmax_of_matrices, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
