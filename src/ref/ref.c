// Counters and addresses for the naive evaluators.
#include "ref/ref.h"

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
