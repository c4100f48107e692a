// Shapes: counting without overflow, comparing, printing, broadcasting.
#include "ir/ir.h"

#include <inttypes.h>
#include <stdio.h>

int64_t gb_shape_count(const gb_shape *shape)
{
    int64_t count = 1;
    for (int i = 0; i < shape->rank; i++)
        if (shape->dim[i] < 0 || __builtin_mul_overflow(count, shape->dim[i], &count))
            return -1;
    return count;
}

bool gb_shape_equal(const gb_shape *a, const gb_shape *b)
{
    if (a->rank != b->rank)
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dim[i] != b->dim[i])
            return false;
    return true;
}

char *gb_shape_text(char *buf, size_t size, const gb_shape *shape)
{
    size_t used = 0;
    if (size == 0)
        return buf;
    buf[0] = 0;
    if (shape->rank == 0)
        snprintf(buf, size, "scalar");
    for (int i = 0; i < shape->rank && used < size; i++) {
        const char *times = i ? "x" : "";
        int n = shape->dim[i] < 0
                    ? snprintf(buf + used, size - used, "%s?", times)
                    : snprintf(buf + used, size - used, "%s%" PRId64, times, shape->dim[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return buf;
}

int gb_shape_broadcast(gb_shape *out, const gb_shape *a, const gb_shape *b)
{
    gb_shape result = {.rank = a->rank > b->rank ? a->rank : b->rank};
    for (int i = 0; i < result.rank; i++) {
        int ia = i - (result.rank - a->rank), ib = i - (result.rank - b->rank);
        int64_t da = ia < 0 ? 1 : a->dim[ia], db = ib < 0 ? 1 : b->dim[ib];
        // An unknown dimension gives way to a known one other than 1: the two must be equal then.
        if (da == db || db == 1 || (db < 0 && da != 1)) {
            result.dim[i] = da;
        } else if (da == 1 || da < 0) {
            result.dim[i] = db;
        } else {
            char ta[160], tb[160];
            return gb_fail(GB_ERR_ARG, "shapes %s and %s do not broadcast",
                           gb_shape_text(ta, sizeof ta, a), gb_shape_text(tb, sizeof tb, b));
        }
    }
    *out = result;
    return 0;
}
