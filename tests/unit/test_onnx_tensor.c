// Every element type and storage of TensorProto, and what does not fit.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx/load.h"
#include "onnx/proto.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Packs, decodes and returns the status; *t lives in the arena.
static int decode(gb_tensor **t, gb_arena *arena, const Onnx__TensorProto *proto)
{
    size_t size = onnx__tensor_proto__get_packed_size(proto);
    uint8_t *bytes = malloc(size + 1);
    assert_non_null(bytes);
    onnx__tensor_proto__pack(proto, bytes);
    int err = gb_onnx_decode_tensor(t, arena, bytes, size, "test.pb");
    free(bytes);
    return err;
}

static Onnx__TensorProto make(int32_t type, int64_t *dims, size_t n_dims)
{
    Onnx__TensorProto proto = ONNX__TENSOR_PROTO__INIT;
    proto.has_data_type = 1;
    proto.data_type = type;
    proto.name = (char *)"w";
    proto.dims = dims;
    proto.n_dims = n_dims;
    return proto;
}

static void expect_raw(int32_t type, gb_dtype storage, const void *data, size_t bytes, int64_t n,
                       const double *want)
{
    gb_arena arena = {0};
    gb_tensor *t = NULL;
    Onnx__TensorProto proto = make(type, &n, 1);
    proto.has_raw_data = 1;
    proto.raw_data = (ProtobufCBinaryData){.len = bytes, .data = (uint8_t *)data};
    assert_int_equal(decode(&t, &arena, &proto), 0);
    assert_int_equal(t->type, storage);
    assert_int_equal(t->shape.rank, 1);
    assert_int_equal(t->shape.dim[0], n);
    for (int64_t i = 0; i < n; i++)
        assert_true(gb_tensor_get(t, i) == want[i]);
    gb_arena_finish(&arena);
}
#define EXPECT_RAW(type, storage, data, ...) \
    expect_raw(type, storage, data, sizeof data, GB_COUNT(((double[]){__VA_ARGS__})), \
               (double[]){__VA_ARGS__})

static void raw_types(void **state)
{
    (void)state;
    static const float f[] = {1.5f, -0.0f};
    static const double d[] = {0.1, -1e300};
    static const uint8_t u8[] = {0, 255};
    static const int8_t i8[] = {-128, 127};
    static const uint16_t u16[] = {0, 65535};
    static const int16_t i16[] = {-32768, 7};
    static const uint32_t u32[] = {UINT32_MAX, 1};
    static const int32_t i32[] = {INT32_MIN, -1};
    static const uint64_t u64[] = {3, UINT64_MAX};
    static const int64_t i64[] = {INT64_MIN, -2};
    static const uint8_t flags[] = {0, 1, 7};
    EXPECT_RAW(GB_ONNX_FLOAT, GB_F32, f, 1.5, -0.0);
    EXPECT_RAW(GB_ONNX_DOUBLE, GB_F32, d, 0.1f, -INFINITY);
    EXPECT_RAW(GB_ONNX_UINT8, GB_I64, u8, 0, 255);
    EXPECT_RAW(GB_ONNX_INT8, GB_I64, i8, -128, 127);
    EXPECT_RAW(GB_ONNX_UINT16, GB_I64, u16, 0, 65535);
    EXPECT_RAW(GB_ONNX_INT16, GB_I64, i16, -32768, 7);
    EXPECT_RAW(GB_ONNX_UINT32, GB_I64, u32, UINT32_MAX, 1);
    EXPECT_RAW(GB_ONNX_INT32, GB_I64, i32, INT32_MIN, -1);
    EXPECT_RAW(GB_ONNX_UINT64, GB_I64, u64, 3, (double)UINT64_MAX);
    EXPECT_RAW(GB_ONNX_INT64, GB_I64, i64, (double)INT64_MIN, -2);
    EXPECT_RAW(GB_ONNX_BOOL, GB_BOOL, flags, 0, 1, 1);
}

// All 65536 halves against the format's definition, and bfloat16 as the upper half of a float.
static void half_types(void **state)
{
    (void)state;
    gb_arena arena = {0};
    int64_t n = 65536;
    uint16_t *bits = malloc((size_t)n * sizeof *bits);
    assert_non_null(bits);
    for (int64_t i = 0; i < n; i++)
        bits[i] = (uint16_t)i;
    gb_tensor *half = NULL, *brain = NULL;
    Onnx__TensorProto proto = make(GB_ONNX_FLOAT16, &n, 1);
    proto.has_raw_data = 1;
    proto.raw_data = (ProtobufCBinaryData){.len = (size_t)n * 2, .data = (uint8_t *)bits};
    assert_int_equal(decode(&half, &arena, &proto), 0);
    proto.data_type = GB_ONNX_BFLOAT16;
    assert_int_equal(decode(&brain, &arena, &proto), 0);
    for (int64_t i = 0; i < n; i++) {
        int exponent = (int)(i >> 10 & 31), fraction = (int)(i & 1023);
        double want = exponent == 31 ? (fraction ? NAN : INFINITY)
                    : exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
        double got = gb_tensor_get(half, i);
        assert_true(isnan(want) ? isnan(got) : got == (i >> 15 ? -want : want));
        assert_int_equal(!!signbit(got), i >> 15);
        uint32_t upper;
        memcpy(&upper, (float *)brain->data + i, sizeof upper);
        assert_int_equal(upper, (uint32_t)i << 16);
    }
    free(bits);
    gb_arena_finish(&arena);
}

static void typed_storage(void **state)
{
    (void)state;
    gb_arena arena = {0};
    gb_tensor *t = NULL;
    int64_t n = 2;
    Onnx__TensorProto proto = make(GB_ONNX_FLOAT, &n, 1);
    proto.float_data = (float[]){0.5f, -3};
    proto.n_float_data = 2;
    assert_int_equal(decode(&t, &arena, &proto), 0);
    assert_true(gb_tensor_get(t, 0) == 0.5 && gb_tensor_get(t, 1) == -3);

    proto = make(GB_ONNX_DOUBLE, &n, 1);
    proto.double_data = (double[]){0.5, 1e-300};
    proto.n_double_data = 2;
    assert_int_equal(decode(&t, &arena, &proto), 0);
    assert_true(gb_tensor_get(t, 0) == 0.5 && gb_tensor_get(t, 1) == 0);

    static const struct {
        int32_t type;
        int32_t v[2];
        double want[2];
    } in_int32[] = {
        {GB_ONNX_INT32, {INT32_MIN, 5}, {INT32_MIN, 5}}, {GB_ONNX_INT16, {-7, 5}, {-7, 5}},
        {GB_ONNX_INT8, {-7, 5}, {-7, 5}},                {GB_ONNX_UINT16, {65535, 5}, {65535, 5}},
        {GB_ONNX_UINT8, {255, 5}, {255, 5}},             {GB_ONNX_BOOL, {0, 1}, {0, 1}},
        {GB_ONNX_FLOAT16, {0x3c00, 0xc000}, {1, -2}},
        {GB_ONNX_BFLOAT16, {0x3f80, 0xc000}, {1, -2}},
    };
    for (size_t i = 0; i < GB_COUNT(in_int32); i++) {
        proto = make(in_int32[i].type, &n, 1);
        proto.int32_data = (int32_t *)in_int32[i].v;
        proto.n_int32_data = 2;
        assert_int_equal(decode(&t, &arena, &proto), 0);
        assert_true(gb_tensor_get(t, 0) == in_int32[i].want[0]);
        assert_true(gb_tensor_get(t, 1) == in_int32[i].want[1]);
    }

    proto = make(GB_ONNX_INT64, &n, 1);
    proto.int64_data = (int64_t[]){INT64_MIN, 5};
    proto.n_int64_data = 2;
    assert_int_equal(decode(&t, &arena, &proto), 0);
    assert_true(gb_tensor_int(t, 0) == INT64_MIN && gb_tensor_int(t, 1) == 5);

    for (int k = 0; k < 2; k++) {
        proto = make(k ? GB_ONNX_UINT64 : GB_ONNX_UINT32, &n, 1);
        proto.uint64_data = (uint64_t[]){4000000000u, 5};
        proto.n_uint64_data = 2;
        assert_int_equal(decode(&t, &arena, &proto), 0);
        assert_true(gb_tensor_int(t, 0) == 4000000000 && gb_tensor_int(t, 1) == 5);
    }
    gb_arena_finish(&arena);
}

static void scalar_and_empty(void **state)
{
    (void)state;
    gb_arena arena = {0};
    gb_tensor *t = NULL;
    float one = 1;
    Onnx__TensorProto proto = make(GB_ONNX_FLOAT, NULL, 0);
    proto.float_data = &one;
    proto.n_float_data = 1;
    assert_int_equal(decode(&t, &arena, &proto), 0);
    assert_int_equal(t->shape.rank, 0);
    assert_true(gb_tensor_get(t, 0) == 1);

    int64_t dims[] = {0, 4};
    proto = make(GB_ONNX_INT64, dims, 2);
    assert_int_equal(decode(&t, &arena, &proto), 0);
    assert_int_equal(gb_shape_count(&t->shape), 0);
    proto.has_raw_data = 1;
    assert_int_equal(decode(&t, &arena, &proto), 0);
    gb_arena_finish(&arena);
}

static void expect_error(const Onnx__TensorProto *proto, int status, const char *what)
{
    gb_arena arena = {0};
    gb_tensor *t = NULL;
    assert_int_equal(decode(&t, &arena, proto), status);
    assert_non_null(strstr(gb_last_error(), "test.pb: tensor 'w': "));
    if (!strstr(gb_last_error(), what))
        fail_msg("'%s' does not say '%s'", gb_last_error(), what);
    gb_arena_finish(&arena);
}

static void refuses(void **state)
{
    (void)state;
    float data[4] = {0};
    int64_t dims[9] = {2, 3, 1, 1, 1, 1, 1, 1, 1};
    Onnx__TensorProto proto = make(GB_ONNX_FLOAT, dims, 2);
    expect_error(&proto, GB_ERR_FORMAT, "shape 2x3 needs 6 elements, the file has 0");
    proto.float_data = data;
    proto.n_float_data = 4;
    expect_error(&proto, GB_ERR_FORMAT, "needs 6 elements, the file has 4");
    proto.n_float_data = 0;
    proto.has_raw_data = 1;
    proto.raw_data = (ProtobufCBinaryData){.len = sizeof data, .data = (uint8_t *)data};
    expect_error(&proto, GB_ERR_FORMAT, "needs 24 bytes, the file has 16");
    proto.n_dims = 9;
    expect_error(&proto, GB_ERR_UNSUPPORTED, "9 dimensions");
    proto.n_dims = 2;
    dims[1] = -3;
    expect_error(&proto, GB_ERR_FORMAT, "dimension 1 is negative (-3)");
    dims[0] = dims[1] = INT64_C(1) << 33;
    expect_error(&proto, GB_ERR_FORMAT, "8589934592x8589934592 is absurdly large");
    dims[0] = INT64_C(1) << 62;
    dims[1] = 2;
    expect_error(&proto, GB_ERR_FORMAT, "absurdly large");
    dims[0] = INT64_C(1) << 62;
    dims[1] = 1;
    expect_error(&proto, GB_ERR_FORMAT, "absurdly large"); // 2^64 bytes
    dims[0] = INT64_C(1) << 36; // possible, but not there
    expect_error(&proto, GB_ERR_FORMAT, "the file has 16");
    proto.data_type = GB_ONNX_STRING;
    expect_error(&proto, GB_ERR_UNSUPPORTED, "strings");
    proto.data_type = GB_ONNX_COMPLEX64;
    expect_error(&proto, GB_ERR_UNSUPPORTED, "element type 14");
    proto.data_type = 0;
    expect_error(&proto, GB_ERR_UNSUPPORTED, "element type 0");
    proto.data_type = INT32_MIN;
    expect_error(&proto, GB_ERR_UNSUPPORTED, "element type");
    proto.data_type = GB_ONNX_FLOAT;
    dims[0] = 4;
    proto.has_data_location = 1;
    proto.data_location = 1;
    expect_error(&proto, GB_ERR_UNSUPPORTED, "another file");
}

static void refuses_garbage(void **state)
{
    (void)state;
    gb_arena arena = {0};
    gb_tensor *t = NULL;
    assert_int_equal(gb_onnx_decode_tensor(&t, &arena, "\xff\xff\xff", 3, "g.pb"), GB_ERR_FORMAT);
    assert_string_equal(gb_last_error(), "g.pb: not an ONNX tensor, or cut off");
    gb_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_types),
        cmocka_unit_test(half_types),
        cmocka_unit_test(typed_storage),
        cmocka_unit_test(scalar_and_empty),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
