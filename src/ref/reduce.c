// Reductions over axes, and the softmax.
#include "ref/arithmetic.h"
#include "op/reduce.h"
#include "op/softmax.h"

#include <math.h>

// The result for no elements at all: of booleans, the largest of none is false.
static double start(gb_reduce_kind kind, gb_dtype type)
{
    switch (kind) {
    case GB_REDUCE_MAX:
        return type == GB_BOOL ? 0 : -INFINITY;
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
    int64_t base[GB_MAX_RANK] = {0};
    for (int64_t y = 0; y < count; y++, gb_ref_next(&r.kept, base)) {
        double sum = start(r.kind, in[0]->type);
        int64_t step[GB_MAX_RANK] = {0}, at[GB_MAX_RANK];
        for (int64_t i = 0; i < r.count; i++, gb_ref_next(&span, step)) {
            for (int d = 0; d < span.rank; d++)
                at[d] = base[d] + step[d];
            sum = join(r.kind, sum, gb_tensor_get(in[0], gb_ref_at(&in[0]->shape, at)));
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
