// Host tensors: creation with checked sizes, and elements as plain numbers.
#include "ir/ir.h"

#include <stdlib.h>

#define MAX_BYTES ((int64_t)1 << 40)

size_t gb_dtype_size(gb_dtype type)
{
    return type == GB_F32 ? 4 : 8;
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
    return (double)((const int64_t *)t->data)[i];
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
        ((int64_t *)t->data)[i] = to_int(v);
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
