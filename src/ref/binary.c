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

// Integers beyond 2^53 stay exact; overflow wraps.
static int64_t of_ints(gb_binary_kind kind, int64_t x, int64_t y)
{
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
        return x < 0 ? of_ints(GB_MUL, x, y) : x;
    case GB_POW:
    case GB_AND:
    case GB_OR:
    case GB_XOR:
        break;
    }
    double v = of_floats(kind, (double)x, (double)y);
    return v >= 0x1p63 ? INT64_MAX : v <= -0x1p63 || isnan(v) ? INT64_MIN : (int64_t)v;
}

static bool is_int(const gb_tensor *t)
{
    return t->type == GB_I64 || t->type == GB_BOOL;
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
        ints = ints && is_int(in[k]);
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
            const int64_t divisor = gb_tensor_int(in[k], next);
            if (!divisor && (b.kind == GB_DIV || b.kind == GB_MOD || b.kind == GB_FMOD))
                return gb_fail(GB_ERR_NUMERIC, "%s: divides an integer by zero",
                               gb_node_text(node));
            n = of_ints(b.kind, n, divisor);
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
        const int64_t k = gb_ref_at_broadcast(&from->shape, at, shape->rank);
        gb_tensor_set(out[0], i, gb_tensor_get(from, k));
    }
    return 0;
}
