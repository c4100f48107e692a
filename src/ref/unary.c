// Functions of one element, by the formulas of op/unary.h.
#include "ref/arithmetic.h"
#include "op/unary.h"

#include <math.h>

// Without overflow for large x.
static double softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

// Comparisons are arranged so that NaN goes through.
static double clip(double x, double lo, double hi)
{
    x = x < lo ? lo : x;
    return x > hi ? hi : x;
}

static double apply(const gb_unary *u, double x)
{
    const double a = u->a, b = u->b;
    switch (u->kind) {
    case GB_RELU:
        return x < 0 ? 0 : x;
    case GB_LEAKY_RELU:
        return x < 0 ? a * x : x;
    case GB_ELU:
        return x < 0 ? a * expm1(x) : x;
    case GB_SELU:
        return b * (x < 0 ? a * expm1(x) : x);
    case GB_CELU:
        return x < 0 ? a * expm1(x / a) : x;
    case GB_THRESHOLDED_RELU:
        return x <= a ? 0 : x;
    case GB_SIGMOID:
        return 1 / (1 + exp(-x));
    case GB_HARD_SIGMOID:
        return clip(a * x + b, 0, 1);
    case GB_HARD_SWISH:
        return x * clip(x / 6 + 0.5, 0, 1);
    case GB_TANH:
        return tanh(x);
    case GB_SOFTPLUS:
        return softplus(x);
    case GB_SOFTSIGN:
        return x / (1 + fabs(x));
    case GB_GELU:
        return x / 2 * (1 + erf(x / M_SQRT2));
    case GB_GELU_TANH:
        return x / 2 * (1 + tanh(M_2_SQRTPI / M_SQRT2 * (x + 0.044715 * x * x * x)));
    case GB_MISH:
        return x * tanh(softplus(x));
    case GB_SWISH:
        return x / (1 + exp(-a * x));
    case GB_ERF:
        return erf(x);
    case GB_CLIP:
        return clip(x, a, b);
    case GB_EXP:
        return exp(x);
    case GB_LOG:
        return log(x);
    case GB_SQRT:
        return sqrt(x);
    case GB_ABS:
        return fabs(x);
    case GB_NEG:
        return -x;
    case GB_RECIPROCAL:
        return 1 / x;
    case GB_FLOOR:
        return floor(x);
    case GB_CEIL:
        return ceil(x);
    case GB_ROUND:
        return rint(x);
    case GB_SIGN:
        return x > 0 ? 1 : x < 0 ? -1 : x;
    case GB_SIN:
        return sin(x);
    case GB_COS:
        return cos(x);
    case GB_NOT:
        return x == 0;
    }
    return NAN;
}

static int64_t limit(const gb_tensor *t, int64_t or_else)
{
    return t ? gb_tensor_int(t, 0) : or_else;
}

// The functions that are defined on integers (op/unary.c lets no other pass), exactly.
static int of_ints(const gb_node *node, gb_unary_kind kind, const gb_tensor *const *in,
                   gb_tensor *out)
{
    const int64_t count = gb_shape_count(&in[0]->shape);
    const bool is_unsigned = in[0]->type == GB_BOOL || !gb_int_is_signed(in[0]->ints);
    const int64_t lo = limit(node->n_in > 1 ? in[1] : NULL, is_unsigned ? 0 : INT64_MIN);
    const int64_t hi = limit(node->n_in > 2 ? in[2] : NULL, is_unsigned ? -1 : INT64_MAX);
    int64_t *y = out->data;
    for (int64_t i = 0; i < count; i++) {
        const int64_t x = gb_tensor_int(in[0], i);
        const bool negative = !is_unsigned && x < 0;
        switch (kind) {
        case GB_CLIP:
            y[i] = (is_unsigned ? (uint64_t)x < (uint64_t)lo : x < lo) ? lo : x;
            y[i] = (is_unsigned ? (uint64_t)y[i] > (uint64_t)hi : y[i] > hi) ? hi : y[i];
            break;
        case GB_ABS:
            y[i] = negative ? (int64_t)(0 - (uint64_t)x) : x;
            break;
        case GB_NEG:
            y[i] = (int64_t)(0 - (uint64_t)x);
            break;
        case GB_SIGN:
            y[i] = negative ? -1 : x != 0;
            break;
        case GB_NOT:
            y[i] = x == 0;
            break;
        default: // GB_RELU
            y[i] = negative ? 0 : x;
        }
    }
    return 0;
}

GB_REF(gb_ref_unary)
{
    gb_unary u;
    int err = gb_unary_read(node, &u);
    if (err < 0)
        return err;
    if (gb_ref_is_int(in[0]))
        return of_ints(node, u.kind, in, out[0]);
    const int64_t count = gb_shape_count(&in[0]->shape);
    for (int64_t i = 0; i < count; i++)
        gb_tensor_set(out[0], i, apply(&u, gb_tensor_get(in[0], i)));
    return 0;
}
