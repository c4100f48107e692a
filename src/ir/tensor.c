// Host tensors: creation with checked sizes, and elements as plain numbers.
#include "ir/ir.h"

#include <stdlib.h>

#define MAX_BYTES ((int64_t)1 << 40)

static const struct {
    const char *name;
    int bits;
    bool is_signed;
} integers[] = {
    [GB_INT64] = {"int64", 64, true},    [GB_INT32] = {"int32", 32, true},
    [GB_INT16] = {"int16", 16, true},    [GB_INT8] = {"int8", 8, true},
    [GB_UINT64] = {"uint64", 64, false}, [GB_UINT32] = {"uint32", 32, false},
    [GB_UINT16] = {"uint16", 16, false}, [GB_UINT8] = {"uint8", 8, false},
};

const char *gb_type_name(gb_dtype type, gb_int ints)
{
    static const char *const other[] = {
        [GB_F32] = "float32", [GB_F64] = "float64", [GB_BOOL] = "bool"};
    return type == GB_I64 ? integers[ints].name : other[type];
}

size_t gb_dtype_size(gb_dtype type)
{
    return type == GB_F32 ? 4 : 8;
}

int gb_int_bits(gb_int ints)
{
    return integers[ints].bits;
}

bool gb_int_is_signed(gb_int ints)
{
    return integers[ints].is_signed;
}

int64_t gb_int_wrap(int64_t v, gb_int ints)
{
    const int bits = integers[ints].bits;
    if (bits == 64)
        return v;
    const int64_t range = (int64_t)1 << bits, low = v & (range - 1);
    return integers[ints].is_signed && low >= range / 2 ? low - range : low;
}

size_t gb_tensor_bytes(const gb_tensor *t)
{
    int64_t count = gb_shape_count(&t->shape);
    return count < 0 ? 0 : (size_t)count * gb_dtype_size(t->type);
}

gb_tensor *gb_tensor_adopt(gb_arena *arena, gb_dtype type, const gb_shape *shape, void *data)
{
    int64_t count = gb_shape_count(shape);
    gb_tensor *t = NULL;
    if (count < 0 || count > MAX_BYTES / (int64_t)gb_dtype_size(type)) {
        char text[160];
        gb_fail(GB_ERR_ARG, "a tensor of %s elements is not possible",
                gb_shape_text(text, sizeof text, shape));
    } else {
        t = gb_arena_alloc(arena, sizeof *t);
    }
    if (!t) {
        free(data);
        return NULL;
    }
    t->type = type;
    t->shape = *shape;
    t->data = data ? gb_arena_adopt(arena, data)
                   : gb_arena_array(arena, (size_t)count, gb_dtype_size(type));
    return t->data ? t : NULL;
}

gb_tensor *gb_tensor_create(gb_arena *arena, gb_dtype type, const gb_shape *shape)
{
    return gb_tensor_adopt(arena, type, shape, NULL);
}

// C leaves the conversion of NaN and of numbers out of range undefined.
static int64_t to_int(double v)
{
    if (!(v == v))
        return 0;
    if (v >= 0x1p63)
        return INT64_MAX;
    if (v <= -0x1p63)
        return INT64_MIN;
    return (int64_t)v;
}

double gb_tensor_get(const gb_tensor *t, int64_t i)
{
    switch (t->type) {
    case GB_F32:
        return ((const float *)t->data)[i];
    case GB_F64:
        return ((const double *)t->data)[i];
    case GB_I64:
    case GB_BOOL:
        break;
    }
    const int64_t v = ((const int64_t *)t->data)[i];
    return t->type == GB_I64 && t->ints == GB_UINT64 ? (double)(uint64_t)v : (double)v;
}

void gb_tensor_set(gb_tensor *t, int64_t i, double v)
{
    switch (t->type) {
    case GB_F32:
        ((float *)t->data)[i] = (float)v;
        break;
    case GB_F64:
        ((double *)t->data)[i] = v;
        break;
    case GB_I64:
        ((int64_t *)t->data)[i] = t->ints == GB_UINT64 && v >= 0x1p63
                                      ? (int64_t)(v >= 0x1p64 ? UINT64_MAX : (uint64_t)v)
                                      : to_int(v);
        break;
    case GB_BOOL:
        ((int64_t *)t->data)[i] = v != 0;
        break;
    }
}

int64_t gb_tensor_int(const gb_tensor *t, int64_t i)
{
    if (t->type == GB_I64 || t->type == GB_BOOL)
        return ((const int64_t *)t->data)[i];
    return to_int(gb_tensor_get(t, i));
}

void gb_tensor_wrap(gb_tensor *t)
{
    int64_t n = t->type == GB_I64 && gb_int_bits(t->ints) < 64 ? gb_shape_count(&t->shape) : 0;
    for (int64_t i = 0; i < n; i++)
        ((int64_t *)t->data)[i] = gb_int_wrap(((int64_t *)t->data)[i], t->ints);
}
