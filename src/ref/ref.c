// Counters, addresses and moves for the naive evaluators.
#include "ref/ref.h"

#include <string.h>

bool gb_ref_is_int(const gb_tensor *t)
{
    return t->type == GB_I64 || t->type == GB_BOOL;
}

void gb_ref_move(gb_tensor *out, int64_t o, const gb_tensor *in, int64_t i)
{
    size_t size = gb_dtype_size(in->type);
    char *to = (char *)out->data + (size_t)o * size;
    if (out->type == in->type)
        memcpy(to, (const char *)in->data + (size_t)i * size, size);
    else
        gb_tensor_set(out, o, gb_tensor_get(in, i));
}

bool gb_ref_next(const gb_shape *shape, int64_t *index)
{
    for (int d = shape->rank - 1; d >= 0; d--) {
        if (++index[d] < shape->dim[d])
            return true;
        index[d] = 0;
    }
    return false;
}

int64_t gb_ref_at(const gb_shape *shape, const int64_t *index)
{
    int64_t at = 0;
    for (int d = 0; d < shape->rank; d++)
        at = at * shape->dim[d] + index[d];
    return at;
}

int64_t gb_ref_at_broadcast(const gb_shape *shape, const int64_t *index, int rank)
{
    int64_t at = 0;
    for (int d = 0; d < shape->rank; d++)
        at = at * shape->dim[d] + (shape->dim[d] == 1 ? 0 : index[rank - shape->rank + d]);
    return at;
}
