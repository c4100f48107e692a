// Integers in constants: exact in 64 bits, wrapped to the model's own width, and every Cast.
#include "support/check.h"

#include "engine/instance.h"
#include "onnx/load.h"
#include "onnx/proto.h"
#include "op/op.h"
#include "support/onnx_builder.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 8 };

typedef struct numbers {
    int32_t code; // ONNX's
    int rank;     // 0 or 1
    int64_t count;
    int64_t v[MOST]; // bits of integers
    double f[MOST];  // or floats
} numbers;
#define COUNT(type, ...) (int64_t)(sizeof((type[]){__VA_ARGS__}) / sizeof(type))
#define INTS(type, ...) \
    {.code = GB_ONNX_##type, .rank = 1, .count = COUNT(int64_t, __VA_ARGS__), .v = {__VA_ARGS__}}
#define ONE(type, n) {.code = GB_ONNX_##type, .count = 1, .v = {n}}
#define REALS(type, ...) \
    {.code = GB_ONNX_##type, .rank = 1, .count = COUNT(double, __VA_ARGS__), .f = {__VA_ARGS__}}
#define BIG53 ((INT64_C(1) << 53) + 1)

static size_t width(int32_t code)
{
    static const size_t bytes[] = {
        [GB_ONNX_FLOAT] = 4, [GB_ONNX_DOUBLE] = 8, [GB_ONNX_BOOL] = 1, [GB_ONNX_UINT8] = 1,
        [GB_ONNX_INT8] = 1, [GB_ONNX_UINT16] = 2, [GB_ONNX_INT16] = 2, [GB_ONNX_UINT32] = 4,
        [GB_ONNX_INT32] = 4, [GB_ONNX_UINT64] = 8, [GB_ONNX_INT64] = 8};
    return bytes[code];
}

static void add(onnx_builder *b, const char *name, const numbers *n)
{
    unsigned char raw[8 * MOST] = {0};
    const size_t bytes = width(n->code);
    for (int64_t i = 0; i < n->count; i++) {
        float f = (float)n->f[i];
        const void *from = n->code == GB_ONNX_FLOAT    ? (const void *)&f
                           : n->code == GB_ONNX_DOUBLE ? (const void *)&n->f[i]
                                                       : (const void *)&n->v[i];
        memcpy(raw + (size_t)i * bytes, from, bytes);
    }
    onnx_add_init(b, onnx_tensor(b, name, n->code, n->rank, &n->count, raw,
                                 (size_t)n->count * bytes));
}

typedef struct operation {
    const char *type, *attr; // attr: "to=2", an integer, or NULL
    numbers in[3];
    numbers want;
} operation;

// The model of one node with constant inputs; *out holds its folded output.
static int fold(gb_graph **model, gb_graph **out, const operation *o)
{
    static const char *const inputs[] = {"a", "a,b", "a,b,c"};
    onnx_builder b;
    int n = 0;
    onnx_init(&b, 17);
    for (; n < 3 && o->in[n].code; n++)
        add(&b, (const char *const[]){"a", "b", "c"}[n], &o->in[n]);
    Onnx__NodeProto *node = onnx_node(&b, o->type, inputs[n - 1], "y");
    const char *equal = o->attr ? strchr(o->attr, '=') : NULL;
    if (equal)
        onnx_attr_int(&b, node, gb_arena_printf(&b.arena, "%.*s", (int)(equal - o->attr), o->attr),
                      strtoll(equal + 1, NULL, 10));
    onnx_output(&b, "y", 0, NULL);
    size_t size;
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_ok(gb_onnx_decode(model, bytes, size, "test", NULL));
    free(bytes);
    onnx_finish(&b);
    int err = gb_graph_instantiate(out, *model, 1, NULL, 0);
    return err;
}

static void expect(const operation *o)
{
    gb_graph *model, *g = NULL;
    assert_ok(fold(&model, &g, o));
    const gb_tensor *t = g->out[0]->data;
    assert_non_null(t);
    assert_int_equal(o->want.count, gb_shape_count(&t->shape));
    bool real = o->want.code == GB_ONNX_FLOAT;
    assert_int_equal(o->want.code, gb_onnx_code(t->type, t->ints));
    for (int64_t i = 0; i < o->want.count; i++) {
        double f = real ? gb_tensor_get(t, i) : 0, want = o->want.f[i];
        if (real ? !(f == want || (isnan(f) && isnan(want)))
                 : ((const int64_t *)t->data)[i] != o->want.v[i])
            fail_msg("%s %s, element %d: %.17g %lld, expected %.17g %lld", o->type,
                     o->attr ? o->attr : "", (int)i, f,
                     real ? 0 : (long long)((const int64_t *)t->data)[i], want,
                     (long long)o->want.v[i]);
    }
    gb_graph_free(g);
    gb_graph_free(model);
}

static const operation arithmetic[] = {
    {"Add", NULL, {INTS(INT64, BIG53, INT64_MAX), INTS(INT64, 2, 1)},
     INTS(INT64, BIG53 + 2, INT64_MIN)},
    {"Add", NULL, {INTS(INT32, INT32_MAX, -5), INTS(INT32, 1, 2)}, INTS(INT32, INT32_MIN, -3)},
    {"Add", NULL, {INTS(UINT8, 250, 3), INTS(UINT8, 10, 4)}, INTS(UINT8, 4, 7)},
    {"Sub", NULL, {INTS(UINT8, 3), INTS(UINT8, 5)}, INTS(UINT8, 254)},
    {"Sub", NULL, {INTS(UINT64, 3), INTS(UINT64, 5)}, INTS(UINT64, -2)},
    {"Mul", NULL, {INTS(INT64, BIG53), INTS(INT64, 3)}, INTS(INT64, 3 * BIG53)},
    {"Mul", NULL, {INTS(INT8, 100, -128), INTS(INT8, 2, -1)}, INTS(INT8, -56, -128)},
    {"Mul", NULL, {INTS(INT64, INT64_MIN), INTS(INT64, -1)}, INTS(INT64, INT64_MIN)},
    {"Div", NULL, {INTS(INT64, -7, INT64_MIN, INT64_MAX), INTS(INT64, 2, -1, 3)},
     INTS(INT64, -3, INT64_MIN, INT64_MAX / 3)},
    {"Div", NULL, {INTS(INT32, INT32_MIN), INTS(INT32, -1)}, INTS(INT32, INT32_MIN)},
    {"Div", NULL, {INTS(UINT64, -2), INTS(UINT64, 2)}, INTS(UINT64, INT64_MAX)},
    {"Mod", NULL, {INTS(INT64, -7, 7, BIG53), INTS(INT64, 3, -3, 4)}, INTS(INT64, 2, -2, 1)},
    {"Mod", "fmod=1", {INTS(INT64, -7, 7), INTS(INT64, 3, -3)}, INTS(INT64, -1, 1)},
    {"Pow", NULL, {INTS(INT64, 3, -2, -1), INTS(INT64, 39, 3, -3)},
     INTS(INT64, 4052555153018976267, -8, -1)},
    {"Pow", NULL, {INTS(INT32, 3), INTS(INT64, 21)}, INTS(INT32, 1870418611)},
    {"Min", NULL, {INTS(INT64, BIG53), INTS(INT64, BIG53 - 1)}, INTS(INT64, BIG53 - 1)},
    {"Max", NULL, {INTS(INT64, BIG53), INTS(INT64, BIG53 - 1)}, INTS(INT64, BIG53)},
    {"Max", NULL, {INTS(UINT64, -1), INTS(UINT64, 1)}, INTS(UINT64, -1)},
    {"Sum", NULL, {INTS(INT64, BIG53), INTS(INT64, BIG53), INTS(INT64, 1)},
     INTS(INT64, 2 * BIG53 + 1)},
    {"Equal", NULL, {INTS(INT64, BIG53), INTS(INT64, BIG53 - 1)}, INTS(BOOL, 0)},
    {"Less", NULL, {INTS(INT64, BIG53 - 1), INTS(INT64, BIG53)}, INTS(BOOL, 1)},
    {"GreaterOrEqual", NULL, {INTS(UINT64, -1), INTS(UINT64, 1)}, INTS(BOOL, 1)},
    {"Abs", NULL, {INTS(INT64, -BIG53, INT64_MIN)}, INTS(INT64, BIG53, INT64_MIN)},
    {"Abs", NULL, {INTS(INT8, -128, -3)}, INTS(INT8, -128, 3)},
    {"Neg", NULL, {INTS(INT64, BIG53, INT64_MIN)}, INTS(INT64, -BIG53, INT64_MIN)},
    {"Sign", NULL, {INTS(INT64, -BIG53, 0, BIG53)}, INTS(INT64, -1, 0, 1)},
    {"Relu", NULL, {INTS(INT64, BIG53, -1)}, INTS(INT64, BIG53, 0)},
    {"Clip", NULL, {INTS(INT64, BIG53, -5), ONE(INT64, -2), ONE(INT64, INT64_MAX)},
     INTS(INT64, BIG53, -2)},
    {"MatMul", NULL, {INTS(INT64, BIG53, 1), INTS(INT64, 1, 1)}, ONE(INT64, BIG53 + 1)},
    {"ReduceSum", "keepdims=0", {INTS(INT64, BIG53, 1, 1)}, ONE(INT64, BIG53 + 2)},
    {"ReduceSum", "keepdims=0", {INTS(INT32, INT32_MAX, 1)}, ONE(INT32, INT32_MIN)},
    {"ReduceMean", "keepdims=0", {INTS(INT64, -3, -4)}, ONE(INT64, -3)},
    {"ReduceMax", "keepdims=0", {INTS(INT64, BIG53, BIG53 - 1)}, ONE(INT64, BIG53)},
    {"ReduceMax", "keepdims=0", {{.code = GB_ONNX_INT32, .rank = 1}}, ONE(INT32, INT32_MIN)},
    {"ReduceMin", "keepdims=0", {{.code = GB_ONNX_UINT8, .rank = 1}}, ONE(UINT8, 255)},
    {"ReduceProd", "keepdims=0", {INTS(INT64, BIG53, 3)}, ONE(INT64, 3 * BIG53)},
};

static const operation moves[] = {
    {"Where", NULL, {INTS(BOOL, 1, 0), INTS(INT64, BIG53, 1), INTS(INT64, 2, INT64_MAX)},
     INTS(INT64, BIG53, INT64_MAX)},
    {"Concat", "axis=0", {INTS(INT64, BIG53), INTS(INT64, INT64_MAX)},
     INTS(INT64, BIG53, INT64_MAX)},
    {"Gather", NULL, {INTS(INT32, 7, INT32_MAX), INTS(INT64, 1)}, INTS(INT32, INT32_MAX)},
    {"Tile", NULL, {INTS(INT64, BIG53), INTS(INT64, 2)}, INTS(INT64, BIG53, BIG53)},
    {"Expand", NULL, {INTS(INT64, BIG53), INTS(INT64, 2)}, INTS(INT64, BIG53, BIG53)},
    {"Pad", NULL, {INTS(INT64, BIG53), INTS(INT64, 0, 1), ONE(INT64, BIG53 + 2)},
     INTS(INT64, BIG53, BIG53 + 2)},
    {"Identity", NULL, {INTS(UINT16, 65535)}, INTS(UINT16, 65535)},
    {"Range", NULL, {ONE(INT64, BIG53), ONE(INT64, BIG53 + 3), ONE(INT64, 1)},
     INTS(INT64, BIG53, BIG53 + 1, BIG53 + 2)},
    {"Range", NULL, {ONE(INT64, INT64_MAX), ONE(INT64, INT64_MAX - 3), ONE(INT64, -2)},
     INTS(INT64, INT64_MAX, INT64_MAX - 2)},
};

// What onnxruntime 1.32 gives on x86.
static const operation casts[] = {
    {"Cast", "to=2", {INTS(INT64, 300, -1, 255)}, INTS(UINT8, 44, 255, 255)},
    {"Cast", "to=3", {INTS(INT64, 200, -129, 127)}, INTS(INT8, -56, 127, 127)},
    {"Cast", "to=4", {INTS(INT32, 65536, -1)}, INTS(UINT16, 0, 65535)},
    {"Cast", "to=5", {INTS(UINT16, 32768, 5)}, INTS(INT16, -32768, 5)},
    {"Cast", "to=6", {INTS(INT64, INT64_C(3000000000), -7)}, INTS(INT32, -1294967296, -7)},
    {"Cast", "to=12", {INTS(INT64, -1, INT64_C(1) << 40)}, INTS(UINT32, UINT32_MAX, 0)},
    {"Cast", "to=13", {INTS(INT64, -1)}, INTS(UINT64, -1)},
    {"Cast", "to=7", {INTS(UINT64, -1, 5)}, INTS(INT64, -1, 5)},
    {"Cast", "to=7", {INTS(UINT8, 200)}, INTS(INT64, 200)},
    {"Cast", "to=9", {INTS(INT64, 0, -3, INT64_MIN)}, INTS(BOOL, 0, 1, 1)},
    {"Cast", "to=9", {REALS(FLOAT, 0, 0.5, -0.0, NAN)}, INTS(BOOL, 0, 1, 0, 1)},
    {"Cast", "to=2", {REALS(FLOAT, 2.7, -1.5, 300.7, NAN)}, INTS(UINT8, 2, 255, 44, 0)},
    {"Cast", "to=3", {REALS(FLOAT, -2.7, 200.2)}, INTS(INT8, -2, -56)},
    {"Cast", "to=6", {REALS(FLOAT, -2.7, 3e9, INFINITY)}, INTS(INT32, -2, INT32_MIN, INT32_MIN)},
    {"Cast", "to=12", {REALS(FLOAT, 3e9, -1)}, INTS(UINT32, 3000000000, UINT32_MAX)},
    {"Cast", "to=7", {REALS(FLOAT, 2.9, -2.9, 0x1p62, -INFINITY)},
     INTS(INT64, 2, -2, INT64_C(1) << 62, INT64_MIN)},
    {"Cast", "to=13", {REALS(FLOAT, 0x1p63, 7.9, 1e20, -1)}, INTS(UINT64, INT64_MIN, 7, 0, -1)},
    // to the nearest float at once, halves to even
    {"Cast", "to=1", {INTS(INT64, 16777217, 16777219, (INT64_C(1) << 60) + (INT64_C(1) << 36) + 1)},
     REALS(FLOAT, 16777216, 16777220, 0x1.000002p60)},
    {"Cast", "to=1", {INTS(UINT64, -1)}, REALS(FLOAT, 0x1p64)},
    {"Cast", "to=1", {INTS(BOOL, 1, 0)}, REALS(FLOAT, 1, 0)},
    {"Cast", "to=10", {REALS(FLOAT, 1.0009765, 2049, 70000, 1e-9, -65519, 0x1.8p-25, NAN)},
     REALS(FLOAT, 1.0009765625, 2048, INFINITY, 0, -65504, 0x1p-24, NAN)},
    {"Cast", "to=10", {INTS(INT64, 2051, 100000)}, REALS(FLOAT, 2052, INFINITY)},
    {"Cast", "to=16", {REALS(FLOAT, 1.00390625, 1.01171875, FLT_MAX, -0x1p-133)},
     REALS(FLOAT, 1, 1.015625, INFINITY, -0x1p-133)},
    {"Cast", "to=11", {REALS(FLOAT, 0.1f)}, REALS(FLOAT, 0.1f)},
};

static void exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < GB_COUNT(arithmetic); i++)
        expect(&arithmetic[i]);
    for (size_t i = 0; i < GB_COUNT(moves); i++)
        expect(&moves[i]);
    for (size_t i = 0; i < GB_COUNT(casts); i++)
        expect(&casts[i]);
}

// Every kind to every other, of numbers that both hold: the same numbers.
static void casts_keep_what_fits(void **state)
{
    static const int32_t codes[] = {
        GB_ONNX_FLOAT, GB_ONNX_UINT8, GB_ONNX_INT8, GB_ONNX_UINT16, GB_ONNX_INT16, GB_ONNX_INT32,
        GB_ONNX_INT64, GB_ONNX_UINT32, GB_ONNX_UINT64, GB_ONNX_DOUBLE};
    (void)state;
    for (size_t from = 0; from < GB_COUNT(codes); from++) {
        for (size_t to = 0; to < GB_COUNT(codes); to++) {
            const int32_t got = codes[to] == GB_ONNX_DOUBLE ? GB_ONNX_FLOAT : codes[to];
            char attr[16];
            operation o = {.type = "Cast", .attr = attr,
                           .in = {{codes[from], 1, 3, {0, 1, 100}, {0, 1, 100}}},
                           .want = {got, 1, 3, {0, 1, 100}, {0, 1, 100}}};
            snprintf(attr, sizeof attr, "to=%d", codes[to]);
            expect(&o);
        }
    }
}

static void refused(void **state)
{
    static const struct {
        int status;
        operation o;
        const char *says;
    } bad[] = {
        {GB_ERR_FORMAT, {"Add", NULL, {INTS(INT32, 1), INTS(INT64, 1)}, {0}},
         "mixes int32 and int64"},
        {GB_ERR_FORMAT, {"Where", NULL, {INTS(BOOL, 1), INTS(INT64, 1), INTS(INT32, 1)}, {0}},
         "mixes int64 and int32"},
        {GB_ERR_NUMERIC, {"Div", NULL, {INTS(INT64, 1), INTS(INT64, 0)}, {0}}, "by zero"},
        {GB_ERR_NUMERIC, {"Mod", NULL, {INTS(UINT64, 1), INTS(UINT64, 0)}, {0}}, "by zero"},
        {GB_ERR_NUMERIC, {"Pow", NULL, {INTS(INT64, 0), INTS(INT64, -1)}, {0}}, "by zero"},
        {GB_ERR_UNSUPPORTED, {"Sqrt", NULL, {INTS(INT64, 4)}, {0}}, "holds integers"},
    };
    (void)state;
    for (size_t i = 0; i < GB_COUNT(bad); i++) {
        gb_graph *model, *g = NULL;
        assert_err(bad[i].status, fold(&model, &g, &bad[i].o));
        assert_non_null(strstr(gb_last_error(), bad[i].says));
        gb_graph_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact),
        cmocka_unit_test(casts_keep_what_fits),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
