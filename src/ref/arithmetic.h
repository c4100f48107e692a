// The evaluators of operators that compute; ref/ref.h says what an evaluator is.
#ifndef GB_REF_ARITHMETIC_H
#define GB_REF_ARITHMETIC_H

#include "ref/ref.h"

// conv.c
GB_REF(gb_ref_conv);

// pool.c
GB_REF(gb_ref_max_pool);     // MaxPool, GlobalMaxPool
GB_REF(gb_ref_average_pool); // AveragePool, GlobalAveragePool

// gemm.c
GB_REF(gb_ref_gemm);
GB_REF(gb_ref_matmul);

// unary.c
GB_REF(gb_ref_unary); // every operator of op/unary.c

// binary.c
GB_REF(gb_ref_binary); // every operator of op/binary.c
GB_REF(gb_ref_where);

// reduce.c
GB_REF(gb_ref_reduce); // every operator of op/reduce.c
GB_REF(gb_ref_softmax);

// norm.c
GB_REF(gb_ref_batch_norm);
GB_REF(gb_ref_instance_norm);
GB_REF(gb_ref_layer_norm);
GB_REF(gb_ref_lrn);

#endif
