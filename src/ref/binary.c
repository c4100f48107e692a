// Functions of two or more broadcast elements, by the formulas of op/binary.h.
#include "ref/arithmetic.h"
#include "op/binary.h"

#include <math.h>

static double of_floats(gb_binary_kind kind, double x, double y)
{
    switch (kind) {
    case GB_ADD:
        return x + y;
    case GB_SUB:
        return x - y;
    case GB_MUL:
        return x * y;
    case GB_DIV:
        return x / y;
    case GB_POW:
        return pow(x, y);
    case GB_MOD: {
        double r = fmod(x, y);
        return r != 0 && (r < 0) != (y < 0) ? r + y : r;
    }
    case GB_FMOD:
        return fmod(x, y);
    case GB_PRELU:
        return x < 0 ? y * x : x;
    case GB_MIN:
        return x < y || isnan(x) ? x : y;
    case GB_MAX:
        return x > y || isnan(x) ? x : y;
    case GB_EQUAL:
        return x == y;
    case GB_LESS:
        return x < y;
    case GB_LESS_EQUAL:
        return x <= y;
    case GB_GREATER:
        return x > y;
    case GB_GREATER_EQUAL:
        return x >= y;
    case GB_AND:
        return x && y;
    case GB_OR:
        return x || y;
    case GB_XOR:
        return !x != !y;
    }
    return NAN;
}

// x^y by squaring; 1/x^-y, cut off toward zero, for a negative y. x is not 0 then.
static int64_t power(int64_t x, int64_t y, bool is_signed)
{
    uint64_t result = 1, square = (uint64_t)x;
    if (is_signed && y < 0)
        return x == 1 || (x == -1 && y % 2 == 0) ? 1 : x == -1 ? -1 : 0;
    for (uint64_t left = (uint64_t)y; left; left >>= 1, square *= square)
        result *= left & 1 ? square : 1;
    return (int64_t)result;
}

// What an order or a quotient of 64 unsigned bits decides.
static int64_t of_unsigned(gb_binary_kind kind, uint64_t x, uint64_t y)
{
    switch (kind) {
    case GB_DIV:
        return (int64_t)(x / y);
    case GB_MOD:
    case GB_FMOD:
        return (int64_t)(x % y);
    case GB_MIN:
        return (int64_t)(x < y ? x : y);
    case GB_MAX:
        return (int64_t)(x > y ? x : y);
    case GB_LESS:
        return x < y;
    case GB_LESS_EQUAL:
        return x <= y;
    case GB_GREATER:
        return x > y;
    default:
        return x >= y;
    }
}

// Integers beyond 2^53 stay exact; overflow wraps.
static int64_t of_ints(gb_binary_kind kind, int64_t x, int64_t y, gb_int ints)
{
    if (ints == GB_UINT64 && (kind == GB_DIV || kind == GB_MOD || kind == GB_FMOD ||
                              kind == GB_MIN || kind == GB_MAX ||
                              (kind >= GB_LESS && kind <= GB_GREATER_EQUAL)))
        return of_unsigned(kind, (uint64_t)x, (uint64_t)y);
    switch (kind) {
    case GB_ADD:
        return (int64_t)((uint64_t)x + (uint64_t)y);
    case GB_SUB:
        return (int64_t)((uint64_t)x - (uint64_t)y);
    case GB_MUL:
        return (int64_t)((uint64_t)x * (uint64_t)y);
    case GB_DIV:
        return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
    case GB_MOD: {
        int64_t r = y == -1 ? 0 : x % y;
        return r && (r < 0) != (y < 0) ? r + y : r;
    }
    case GB_FMOD:
        return y == -1 ? 0 : x % y;
    case GB_MIN:
        return x < y ? x : y;
    case GB_MAX:
        return x > y ? x : y;
    case GB_EQUAL:
        return x == y;
    case GB_LESS:
        return x < y;
    case GB_LESS_EQUAL:
        return x <= y;
    case GB_GREATER:
        return x > y;
    case GB_GREATER_EQUAL:
        return x >= y;
    case GB_PRELU:
        return gb_int_is_signed(ints) && x < 0 ? (int64_t)((uint64_t)x * (uint64_t)y) : x;
    case GB_POW:
        return power(x, y, gb_int_is_signed(ints));
    case GB_AND:
        return x && y;
    case GB_OR:
        return x || y;
    case GB_XOR:
        return !x != !y;
    }
    return 0;
}

// An operation that divides by y: a negative power does, too.
static bool divides(gb_binary_kind kind, int64_t x, int64_t y, gb_int ints)
{
    return ((kind == GB_DIV || kind == GB_MOD || kind == GB_FMOD) && y == 0) ||
           (kind == GB_POW && x == 0 && y < 0 && gb_int_is_signed(ints));
}

GB_REF(gb_ref_binary)
{
    gb_binary b;
    int err = gb_binary_read(node, &b);
    if (err < 0)
        return err;
    const gb_tensor *y = out[0];
    const int rank = y->shape.rank;
    const int64_t count = gb_shape_count(&y->shape);
    bool ints = true;
    for (int k = 0; k < node->n_in; k++)
        ints = ints && gb_ref_is_int(in[k]);
    const gb_int width = in[node->n_in - 1]->ints; // Pow's exponent may be of another than its base
    int64_t at[GB_MAX_RANK] = {0};
    for (int64_t i = 0; i < count; i++, gb_ref_next(&y->shape, at)) {
        const int64_t first = gb_ref_at_broadcast(&in[0]->shape, at, rank);
        double v = gb_tensor_get(in[0], first);
        int64_t n = gb_tensor_int(in[0], first);
        for (int k = 1; k < node->n_in; k++) {
            const int64_t next = gb_ref_at_broadcast(&in[k]->shape, at, rank);
            if (!ints) {
                v = of_floats(b.kind, v, gb_tensor_get(in[k], next));
                continue;
            }
            const int64_t other = gb_tensor_int(in[k], next);
            if (divides(b.kind, n, other, width))
                return gb_fail(GB_ERR_NUMERIC, "%s: divides an integer by zero",
                               gb_node_text(node));
            n = of_ints(b.kind, n, other, width);
        }
        if (ints)
            ((int64_t *)out[0]->data)[i] = b.mean ? n / node->n_in : n;
        else
            gb_tensor_set(out[0], i, b.mean ? v / node->n_in : v);
    }
    return 0;
}

GB_REF(gb_ref_where)
{
    (void)node;
    const gb_shape *shape = &out[0]->shape;
    const int64_t count = gb_shape_count(shape);
    int64_t at[GB_MAX_RANK] = {0};
    for (int64_t i = 0; i < count; i++, gb_ref_next(shape, at)) {
        const bool yes = gb_tensor_int(in[0], gb_ref_at_broadcast(&in[0]->shape, at, shape->rank));
        const gb_tensor *from = in[yes ? 1 : 2];
        gb_ref_move(out[0], i, from, gb_ref_at_broadcast(&from->shape, at, shape->rank));
    }
    return 0;
}
