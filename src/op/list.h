// Every operator's descriptor: gb_op_NAME, defined in the file of its family.
#ifndef GB_OP_LIST_H
#define GB_OP_LIST_H

#include "op/op.h"

// One line a file of src/op, by ONNX's names: arithmetic, then shapes and indices.
#define GB_OPS_ARITHMETIC(X) \
    X(Conv) \
    X(Gemm) \
    X(MatMul) \
    X(MaxPool) X(AveragePool) X(GlobalMaxPool) X(GlobalAveragePool)

#define GB_OPS_SHAPE(X)

#define GB_OPS(X) GB_OPS_ARITHMETIC(X) GB_OPS_SHAPE(X)

#define GB_OP_DECLARE(name) extern const gb_op gb_op_##name;
GB_OPS(GB_OP_DECLARE)

// Opens a descriptor: GB_OP(Relu, .since = 1, ...)
#define GB_OP(op_name, ...) const gb_op gb_op_##op_name = {.name = #op_name, __VA_ARGS__}

#endif
