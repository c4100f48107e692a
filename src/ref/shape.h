// The naive reference of the shape and index operators.
#ifndef GB_REF_SHAPE_H
#define GB_REF_SHAPE_H

#include "ref/ref.h"

GB_REF(gb_ref_copy);    // Reshape, Flatten, Squeeze, Unsqueeze, Identity, Dropout
GB_REF(gb_ref_cast);
GB_REF(gb_ref_index);   // the operators of op/index.h
GB_REF(gb_ref_depth);   // DepthToSpace, SpaceToDepth
GB_REF(gb_ref_concat);
GB_REF(gb_ref_transpose);
GB_REF(gb_ref_shape);
GB_REF(gb_ref_size);
GB_REF(gb_ref_constant_of_shape);
GB_REF(gb_ref_range);
GB_REF(gb_ref_nonzero);
GB_REF(gb_ref_scatter_nd);

#endif
