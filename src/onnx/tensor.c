// TensorProto -> gb_tensor: every number type, raw, typed or external.
#include "onnx/load.h"
#include "onnx/proto.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct element {
    int32_t code;
    size_t bytes; // in raw_data
    gb_dtype type;
    gb_int ints;
} element;

static const element elements[] = {
    {GB_ONNX_FLOAT, 4, GB_F32, 0},           {GB_ONNX_UINT8, 1, GB_I64, GB_UINT8},
    {GB_ONNX_INT8, 1, GB_I64, GB_INT8},      {GB_ONNX_UINT16, 2, GB_I64, GB_UINT16},
    {GB_ONNX_INT16, 2, GB_I64, GB_INT16},    {GB_ONNX_INT32, 4, GB_I64, GB_INT32},
    {GB_ONNX_INT64, 8, GB_I64, GB_INT64},    {GB_ONNX_BOOL, 1, GB_BOOL, 0},
    {GB_ONNX_FLOAT16, 2, GB_F32, 0},         {GB_ONNX_DOUBLE, 8, GB_F32, 0},
    {GB_ONNX_UINT32, 4, GB_I64, GB_UINT32},  {GB_ONNX_UINT64, 8, GB_I64, GB_UINT64},
    {GB_ONNX_BFLOAT16, 2, GB_F32, 0},
};

static const element *find_element(int32_t code)
{
    for (size_t i = 0; i < GB_COUNT(elements); i++)
        if (elements[i].code == code)
            return &elements[i];
    if (code == GB_ONNX_STRING)
        gb_fail(GB_ERR_UNSUPPORTED, "tensors of strings are not supported");
    else
        gb_fail(GB_ERR_UNSUPPORTED, "element type %" PRId32 " is not supported", code);
    return NULL;
}

int gb_onnx_dtype(gb_dtype *out, gb_int *ints, int32_t code)
{
    const element *e = find_element(code);
    if (!e)
        return GB_ERR_UNSUPPORTED;
    *out = e->type;
    *ints = e->ints;
    return 0;
}

int32_t gb_onnx_code(gb_dtype type, gb_int ints)
{
    for (size_t i = 0; i < GB_COUNT(elements); i++)
        if (elements[i].type == type && (type != GB_I64 || elements[i].ints == ints))
            return elements[i].code;
    return GB_ONNX_DOUBLE; // GB_F64
}

static float float_from(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static double double_from(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

// IEEE 754 binary16 to binary32, exactly: every half is a float.
static float half_to_float(uint32_t h)
{
    uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) // infinity, or NaN with its payload
        return float_from(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) { // zero and subnormals: fraction * 2^-24
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return float_from(sign | (exponent + 112) << 23 | fraction << 13);
}

// Element i is what the type's bits say; wider bits than the type's are cut off.
static void store(gb_tensor *t, int64_t i, int32_t code, uint64_t bits)
{
    float *f = t->data;
    int64_t *n = t->data;
    switch (code) {
    case GB_ONNX_FLOAT:
        f[i] = float_from((uint32_t)bits);
        break;
    case GB_ONNX_FLOAT16:
        f[i] = half_to_float((uint32_t)bits & 0xffff);
        break;
    case GB_ONNX_BFLOAT16:
        f[i] = float_from((uint32_t)bits << 16);
        break;
    case GB_ONNX_DOUBLE:
        f[i] = (float)double_from(bits);
        break;
    case GB_ONNX_UINT8:
        n[i] = (uint8_t)bits;
        break;
    case GB_ONNX_INT8:
        n[i] = (int8_t)bits;
        break;
    case GB_ONNX_UINT16:
        n[i] = (uint16_t)bits;
        break;
    case GB_ONNX_INT16:
        n[i] = (int16_t)bits;
        break;
    case GB_ONNX_UINT32:
        n[i] = (uint32_t)bits;
        break;
    case GB_ONNX_INT32:
        n[i] = (int32_t)bits;
        break;
    case GB_ONNX_INT64:
    case GB_ONNX_UINT64:
        n[i] = (int64_t)bits;
        break;
    case GB_ONNX_BOOL:
        n[i] = bits != 0;
        break;
    }
}

// Whether raw data is what a tensor of ours holds.
static bool is_ours(const element *e)
{
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
           (e->code == GB_ONNX_FLOAT || e->code == GB_ONNX_INT64 || e->code == GB_ONNX_UINT64);
}

static void store_raw(gb_tensor *t, int64_t count, const element *e, const unsigned char *bytes)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = 0;
        for (size_t b = e->bytes; b-- > 0;)
            bits = bits << 8 | bytes[(size_t)i * e->bytes + b];
        store(t, i, e->code, bits);
    }
}

// How many elements the typed field of this element type holds.
static size_t typed_count(const Onnx__TensorProto *proto, int32_t code)
{
    switch (code) {
    case GB_ONNX_FLOAT:
        return proto->n_float_data;
    case GB_ONNX_DOUBLE:
        return proto->n_double_data;
    case GB_ONNX_INT64:
        return proto->n_int64_data;
    case GB_ONNX_UINT32:
    case GB_ONNX_UINT64:
        return proto->n_uint64_data;
    default:
        return proto->n_int32_data;
    }
}

static void store_typed(gb_tensor *t, int64_t count, const Onnx__TensorProto *proto, int32_t code)
{
    for (int64_t i = 0; i < count; i++) {
        uint64_t bits = 0;
        switch (code) {
        case GB_ONNX_FLOAT:
            ((float *)t->data)[i] = proto->float_data[i];
            continue;
        case GB_ONNX_DOUBLE:
            ((float *)t->data)[i] = (float)proto->double_data[i];
            continue;
        case GB_ONNX_INT64:
            bits = (uint64_t)proto->int64_data[i];
            break;
        case GB_ONNX_UINT32:
        case GB_ONNX_UINT64:
            bits = proto->uint64_data[i];
            break;
        default:
            bits = (uint32_t)proto->int32_data[i];
        }
        store(t, i, code, bits);
    }
}

static int read_shape(gb_shape *shape, const Onnx__TensorProto *proto)
{
    if (proto->n_dims > GB_MAX_RANK)
        return gb_fail(GB_ERR_UNSUPPORTED, "%zu dimensions; at most %d are supported",
                       proto->n_dims, GB_MAX_RANK);
    *shape = (gb_shape){.rank = (int)proto->n_dims};
    for (size_t i = 0; i < proto->n_dims; i++) {
        if (proto->dims[i] < 0)
            return gb_fail(GB_ERR_FORMAT, "dimension %zu is negative (%" PRId64 ")", i,
                           proto->dims[i]);
        shape->dim[i] = proto->dims[i];
    }
    return 0;
}

static int convert(gb_tensor **out, gb_arena *arena, Onnx__TensorProto *proto, const char *folder)
{
    enum { EXTERNAL = 1 };
    gb_shape shape;
    char text[192];
    size_t need;
    unsigned char *bytes = NULL;
    int err;
    GB_TRY(read_shape(&shape, proto));
    const element *e = find_element(proto->data_type);
    if (!e)
        return GB_ERR_UNSUPPORTED;
    int64_t count = gb_shape_count(&shape);
    gb_shape_text(text, sizeof text, &shape);
    if (count < 0 || !gb_mul_size(&need, (size_t)count, e->bytes) || need > (size_t)1 << 40)
        return gb_fail(GB_ERR_FORMAT, "its shape %s is absurdly large", text);
    // Only data that is really there may make us allocate: a shape alone is a claim.
    bool external = proto->data_location == EXTERNAL;
    size_t typed = typed_count(proto, e->code);
    bool raw = external || proto->raw_data.len || (proto->has_raw_data && typed == 0);
    if (external)
        GB_TRY(gb_onnx_external(&bytes, need, proto, folder));
    else if (raw && proto->raw_data.len != need)
        return gb_fail(GB_ERR_FORMAT, "its shape %s needs %zu bytes, the file has %zu", text, need,
                       proto->raw_data.len);
    else if (!raw && typed != (size_t)count)
        return gb_fail(GB_ERR_FORMAT, "its shape %s needs %" PRId64 " elements, the file has %zu",
                       text, count, typed);
    if (raw && !external) { // allocated by malloc, protobuf-c's default allocator being ours
        bytes = proto->raw_data.data;
        proto->raw_data = (ProtobufCBinaryData){0};
    }
    gb_tensor *t;
    if (raw && count && is_ours(e)) {
        t = gb_tensor_adopt(arena, e->type, &shape, bytes);
        bytes = NULL;
    } else {
        t = gb_tensor_create(arena, e->type, &shape);
        if (t && raw)
            store_raw(t, count, e, bytes);
        else if (t)
            store_typed(t, count, proto, e->code);
    }
    if (t)
        t->ints = e->ints;
    else
        err = GB_ERR_NOMEM;
    *out = t;
fail:
    free(bytes);
    return err;
}

int gb_onnx_tensor(gb_tensor **out, gb_arena *arena, Onnx__TensorProto *proto, const char *folder)
{
    int err = convert(out, arena, proto, folder);
    return err < 0 ? gb_fail_in(err, "tensor '%.200s'", proto->name ? proto->name : "") : 0;
}

int gb_onnx_decode_tensor(gb_tensor **out, gb_arena *arena, const void *bytes, size_t size,
                          const char *name)
{
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(NULL, size, bytes);
    if (!proto)
        return gb_fail(GB_ERR_FORMAT, "%s: not an ONNX tensor, or cut off", name);
    int err = gb_onnx_tensor(out, arena, proto, NULL);
    onnx__tensor_proto__free_unpacked(proto, NULL);
    return err < 0 ? gb_fail_in(err, "%s", name) : 0;
}
