// Loop nests over strided operands: the host's half of every elementwise kernel and reduction.
//
// A nest is a set of dimensions, each with a size and one stride per operand (0 where the operand
// broadcasts). Finished, it has as few dimensions as the strides allow, sorted so that operand 0
// moves the least in dimension 0, which the kernels run along with vectors.
#ifndef GB_OP_ND_H
#define GB_OP_ND_H

#include "op/emit.h"

enum { GB_ND_OPERANDS = 7, GB_ND_MAX = GB_MAX_RANK + 1 };

typedef struct gb_nd {
    int n_operand, n_dim;
    int64_t size[GB_ND_MAX];
    int64_t stride[GB_ND_MAX][GB_ND_OPERANDS];
} gb_nd;

// Appends a dimension; those of size 1 are dropped.
void gb_nd_add(gb_nd *nd, int64_t size, const int64_t stride[GB_ND_OPERANDS]);
// Sorts and merges; afterwards n_dim >= 1 (of size 1 where nothing was added).
void gb_nd_finish(gb_nd *nd);
// Merges only: the order of elements stays that of the calls, the first dimension innermost.
void gb_nd_merge(gb_nd *nd);
// Exchanges two dimensions.
void gb_nd_swap(gb_nd *nd, int a, int b);
// The nest over `shape` of n operands whose views have strides for exactly these dimensions.
gb_nd gb_nd_views(const gb_shape *shape, const gb_view *const *view, int n);
// Product of all sizes, and of all but the first.
int64_t gb_nd_count(const gb_nd *nd);
int64_t gb_nd_outer(const gb_nd *nd);

// The view of a tensor of shape `from` as one of shape `to`, to which it broadcasts (stride 0).
gb_view gb_view_broadcast(const gb_view *view, const gb_shape *from, const gb_shape *to);

// Appends the arguments (global const int *table, int n) of nd_row and nd_half (cl/loops.cl):
// where the operands are in a row, which is the loops over all dimensions from `first` on.
void gb_put_nd(gb_emit *e, const gb_nd *nd, int first);
// Appends (pointer, offset, stride in dimension 0) of operand i.
void gb_put_operand(gb_emit *e, const gb_nd *nd, int i, const gb_view *view);

// Splits inner x outer elements among work-items: appends the arguments (inner, outer, chunk, rows)
// of nd_item and sets the global size, its third dimension to `depth`. An element's work is that of
// `cost` copied elements.
void gb_put_split(gb_emit *e, int64_t inner, int64_t outer, int64_t depth, int64_t cost);

#endif
