// Reductions over axes, and the softmax.
#include "ref/arithmetic.h"
#include "op/reduce.h"
#include "op/softmax.h"

#include <math.h>

// The result for no elements at all.
static double start(gb_reduce_kind kind)
{
    switch (kind) {
    case GB_REDUCE_MAX:
        return -INFINITY;
    case GB_REDUCE_MIN:
        return INFINITY;
    case GB_REDUCE_PROD:
        return 1;
    default:
        return 0;
    }
}

static double join(gb_reduce_kind kind, double sum, double x)
{
    switch (kind) {
    case GB_REDUCE_MAX:
        return x > sum || isnan(x) ? x : sum;
    case GB_REDUCE_MIN:
        return x < sum || isnan(x) ? x : sum;
    case GB_REDUCE_PROD:
        return sum * x;
    case GB_REDUCE_L2:
        return sum + x * x;
    default:
        return sum + x;
    }
}

// The same of integers, where a sum or product wraps: the largest of none is the smallest there is.
static int64_t start_int(gb_reduce_kind kind, const gb_tensor *t)
{
    const bool is_signed = t->type == GB_I64 && gb_int_is_signed(t->ints);
    const int bits = t->type == GB_BOOL ? 1 : gb_int_bits(t->ints);
    const uint64_t all = UINT64_MAX >> (64 - bits); // ones
    switch (kind) {
    case GB_REDUCE_MAX:
        return is_signed ? -(int64_t)(all >> 1) - 1 : 0;
    case GB_REDUCE_MIN:
        return (int64_t)(is_signed ? all >> 1 : all);
    case GB_REDUCE_PROD:
        return 1;
    default:
        return 0;
    }
}

static int64_t join_int(gb_reduce_kind kind, int64_t sum, int64_t x, bool is_unsigned)
{
    const bool less = is_unsigned ? (uint64_t)x < (uint64_t)sum : x < sum;
    switch (kind) {
    case GB_REDUCE_MAX:
        return less ? sum : x;
    case GB_REDUCE_MIN:
        return less ? x : sum;
    case GB_REDUCE_PROD:
        return (int64_t)((uint64_t)sum * (uint64_t)x);
    case GB_REDUCE_L2:
        return (int64_t)((uint64_t)sum + (uint64_t)x * (uint64_t)x);
    default:
        return (int64_t)((uint64_t)sum + (uint64_t)x);
    }
}

// A mean is cut off toward zero, as integers divide.
static int64_t end_int(const gb_reduce *r, int64_t sum, const gb_tensor *out)
{
    sum = out->type == GB_I64 ? gb_int_wrap(sum, out->ints) : sum;
    const bool is_unsigned = out->type == GB_I64 && out->ints == GB_UINT64;
    if (r->kind == GB_REDUCE_MEAN)
        return is_unsigned ? (int64_t)((uint64_t)sum / (uint64_t)r->count) : sum / r->count;
    if (r->kind == GB_REDUCE_L2)
        return (int64_t)sqrt(is_unsigned ? (double)(uint64_t)sum : fmax(0, (double)sum));
    return sum;
}

GB_REF(gb_ref_reduce)
{
    gb_reduce r;
    int err = gb_reduce_read(node, &r);
    if (err < 0)
        return err;
    gb_shape span = in[0]->shape; // of the elements that meet in one
    for (int d = 0; d < span.rank; d++)
        span.dim[d] = r.over[d] ? span.dim[d] : 1;
    const int64_t count = gb_shape_count(&r.kept);
    const bool ints = gb_ref_is_int(in[0]);
    const bool is_unsigned = in[0]->type == GB_I64 && in[0]->ints == GB_UINT64;
    int64_t base[GB_MAX_RANK] = {0};
    if (ints && r.kind == GB_REDUCE_MEAN && r.count == 0 && count)
        return gb_fail(GB_ERR_NUMERIC, "%s: the mean of no integers", gb_node_text(node));
    for (int64_t y = 0; y < count; y++, gb_ref_next(&r.kept, base)) {
        double sum = start(r.kind);
        int64_t n = start_int(r.kind, in[0]);
        int64_t step[GB_MAX_RANK] = {0}, at[GB_MAX_RANK];
        for (int64_t i = 0; i < r.count; i++, gb_ref_next(&span, step)) {
            for (int d = 0; d < span.rank; d++)
                at[d] = base[d] + step[d];
            const int64_t x = gb_ref_at(&in[0]->shape, at);
            if (ints)
                n = join_int(r.kind, n, gb_tensor_int(in[0], x), is_unsigned);
            else
                sum = join(r.kind, sum, gb_tensor_get(in[0], x));
        }
        if (ints) {
            ((int64_t *)out[0]->data)[y] = end_int(&r, n, out[0]);
            continue;
        }
        if (r.kind == GB_REDUCE_MEAN)
            sum /= (double)r.count;
        gb_tensor_set(out[0], y, r.kind == GB_REDUCE_L2 ? sqrt(sum) : sum);
    }
    return 0;
}

GB_REF(gb_ref_softmax)
{
    gb_softmax s;
    int err = gb_softmax_read(node, &s);
    if (err < 0)
        return err;
    for (int64_t o = 0; o < s.outer; o++) {
        for (int64_t i = 0; i < s.inner; i++) {
            const int64_t base = o * s.count * s.inner + i;
            double top = -INFINITY, sum = 0;
            for (int64_t c = 0; c < s.count; c++)
                top = fmax(top, gb_tensor_get(in[0], base + c * s.inner));
            for (int64_t c = 0; c < s.count; c++)
                sum += exp(gb_tensor_get(in[0], base + c * s.inner) - top);
            for (int64_t c = 0; c < s.count; c++) {
                const double x = gb_tensor_get(in[0], base + c * s.inner) - top;
                gb_tensor_set(out[0], base + c * s.inner, s.log ? x - log(sum) : exp(x) / sum);
            }
        }
    }
    return 0;
}
