// Every operator's descriptor: gb_op_NAME, defined in the file of its family.
#ifndef GB_OP_LIST_H
#define GB_OP_LIST_H

#include "op/op.h"

// One line a file of src/op, by ONNX's names: arithmetic, then shapes and indices.
#define GB_OPS_ARITHMETIC(X) \
    X(Conv) \
    X(Gemm) \
    X(MatMul) \
    X(MaxPool) X(AveragePool) X(GlobalMaxPool) X(GlobalAveragePool) \
    X(Relu) X(LeakyRelu) X(Elu) X(Selu) X(Celu) X(ThresholdedRelu) X(Sigmoid) X(HardSigmoid) \
    X(HardSwish) X(Tanh) X(Softplus) X(Softsign) X(Gelu) X(Mish) X(Swish) X(Erf) X(Clip) X(Exp) \
    X(Log) \
    X(Sqrt) X(Abs) X(Neg) X(Reciprocal) X(Floor) X(Ceil) X(Round) X(Sign) X(Sin) X(Cos) X(Not) \
    X(Add) X(Sub) X(Mul) X(Div) X(Pow) X(Mod) X(PRelu) X(Min) X(Max) X(Sum) X(Mean) \
    X(Equal) X(Less) X(LessOrEqual) X(Greater) X(GreaterOrEqual) X(And) X(Or) X(Xor) \
    X(Where) \
    X(Softmax) X(LogSoftmax) \
    X(ReduceSum) X(ReduceMean) X(ReduceMax) X(ReduceMin) X(ReduceProd) X(ReduceL2) \
    X(BatchNormalization) X(InstanceNormalization) X(LayerNormalization) \
    X(LRN)

#define GB_OPS_SHAPE(X) \
    X(Slice) X(Split) X(Pad) X(Gather) X(Tile) X(Expand) X(Resize) X(Upsample) \
    X(Concat) \
    X(DepthToSpace) X(SpaceToDepth) \
    X(Reshape) X(Flatten) X(Squeeze) X(Unsqueeze) X(Transpose) X(Identity) X(Dropout) X(Cast) \
    X(Shape) X(Size) X(ConstantOfShape) X(Range) X(NonZero) X(ScatterND)

#define GB_OPS(X) GB_OPS_ARITHMETIC(X) GB_OPS_SHAPE(X)

#define GB_OP_DECLARE(name) extern const gb_op gb_op_##name;
GB_OPS(GB_OP_DECLARE)

// Opens a descriptor: GB_OP(Relu, .since = 1, ...)
#define GB_OP(op_name, ...) const gb_op gb_op_##op_name = {.name = #op_name, __VA_ARGS__}

#endif
