// Views: the same elements under another shape, and copies where strides do not allow that.
#ifndef GB_OP_VIEW_H
#define GB_OP_VIEW_H

#include "op/emit.h"

// The view of shape `from` seen as shape `to` (equal counts); false where no strides can say that.
bool gb_view_reshape(gb_view *out, const gb_shape *to, const gb_view *view, const gb_shape *from);

// The coarsest shape that both a and b (equal counts) merge dimensions of: 6x4 and 2x12 refine to
// 2x3x4. False where there is none (6x4 and 4x6) or its rank is too high.
bool gb_shape_refine(gb_shape *out, const gb_shape *a, const gb_shape *b);

// Strides without gaps, dimensions in the memory order of `like` (a view of the same rank).
void gb_view_dense_like(gb_view *view, const gb_shape *shape, const gb_view *like);

// Copies row-major element by element between views of different shapes; adds where `add`.
void gb_emit_copy_reshape(gb_emit *e, const gb_view *dst, const gb_shape *to, const gb_view *src,
                          const gb_shape *from, bool add);

// The permutation of a Transpose: output axis d is input axis perm[d]. GB_ERR_FORMAT.
int gb_transpose_perm(const gb_node *node, int *perm);

// The memory order that suits what makes and reads a value: channels last where it holds pixels.
gb_order gb_order_for(const gb_emit *e, const gb_value *value);

#endif
