// Cast, from every element type to every other.
#include "ref/shape.h"

#include <math.h>

// TensorProto.DataType of what is rounded though it is stored as a float.
enum { FLOAT16 = 10, BFLOAT16 = 16 };

// A float as x86 processors make it an integer, which is what onnxruntime's kernels do: cut off
// toward zero; where it does not fit a register of 32 bits (64 for int64, uint32 and uint64), and
// for NaN, the smallest integer of that register (0 beyond uint64). gb_tensor_wrap keeps the low
// bits.
static int64_t from_float(double v, gb_int ints)
{
    const bool wide = gb_int_bits(ints) == 64 || ints == GB_UINT32;
    const double end = wide ? 0x1p63 : 0x1p31;
    if (ints == GB_UINT64 && v >= 0x1p63)
        return v < 0x1p64 ? (int64_t)(uint64_t)v : 0;
    v = trunc(v);
    return v >= -end && v < end ? (int64_t)v : wide ? INT64_MIN : INT32_MIN;
}

// Rounded to nearest, halves to even, with `bits` of fraction from the exponent `low` on and no
// number beyond `most`: half precision and bfloat16.
static double rounded(double v, int64_t to)
{
    const bool half = to == FLOAT16;
    const int bits = half ? 10 : 7, low = half ? -14 : -126;
    const double most = half ? 65504 : 0x1.fep127;
    if (!isfinite(v) || v == 0)
        return v;
    const int exponent = ilogb(v) < low ? low : ilogb(v);
    const double step = ldexp(1, exponent - bits), r = rint(v / step) * step;
    return fabs(r) > most ? copysign(INFINITY, v) : r;
}

static double to_float(const gb_tensor *t, int64_t i)
{
    if (!gb_ref_is_int(t))
        return gb_tensor_get(t, i);
    const int64_t v = gb_tensor_int(t, i); // at once: by way of a double it would be rounded twice
    return t->type == GB_I64 && t->ints == GB_UINT64 ? (float)(uint64_t)v : (float)v;
}

GB_REF(gb_ref_cast)
{
    const int64_t to = gb_attr_int(node, "to", 0), n = gb_shape_count(&out[0]->shape);
    const bool narrow = to == FLOAT16 || to == BFLOAT16;
    for (int64_t i = 0; i < n; i++) {
        switch (out[0]->type) {
        case GB_F32: {
            const double v = to_float(in[0], i);
            ((float *)out[0]->data)[i] = (float)(narrow ? rounded(v, to) : v);
            break;
        }
        case GB_F64: // what the device computes: activations are not rounded
            ((double *)out[0]->data)[i] = gb_tensor_get(in[0], i);
            break;
        case GB_I64:
            ((int64_t *)out[0]->data)[i] =
                gb_ref_is_int(in[0]) ? gb_tensor_int(in[0], i)
                                     : from_float(gb_tensor_get(in[0], i), out[0]->ints);
            break;
        case GB_BOOL:
            ((int64_t *)out[0]->data)[i] = gb_tensor_get(in[0], i) != 0;
            break;
        }
    }
    return 0;
}
