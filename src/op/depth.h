// DepthToSpace and SpaceToDepth as one renaming of six axes.
#ifndef GB_OP_DEPTH_H
#define GB_OP_DEPTH_H

#include "op/emit.h"

// Both tensors seen in the same shape (N, b, b, C, H, W): the deep one has b*b*C channels of HxW
// pixels, the wide one C channels of bH x bW. Strides become those of the two views.
typedef struct gb_depth {
    gb_shape shape;
    gb_view deep, wide;
} gb_depth;

void gb_depth_split(gb_depth *out, const gb_node *node, const gb_view *in, const gb_view *result);

#endif
