// Functions of one element: which one, and its two numbers.
#ifndef GB_OP_UNARY_H
#define GB_OP_UNARY_H

#include "op/emit.h"

// The formulas, with a and b as gb_unary holds them.
typedef enum gb_unary_kind {
    GB_RELU,             // max(x, 0)
    GB_LEAKY_RELU,       // x < 0 ? a x : x
    GB_ELU,              // x < 0 ? a (e^x - 1) : x
    GB_SELU,             // b (x < 0 ? a (e^x - 1) : x)
    GB_CELU,             // x < 0 ? a (e^(x/a) - 1) : x
    GB_THRESHOLDED_RELU, // x > a ? x : 0
    GB_SIGMOID,          // 1 / (1 + e^-x)
    GB_HARD_SIGMOID,     // min(max(a x + b, 0), 1)
    GB_HARD_SWISH,       // x min(max(x / 6 + 1/2, 0), 1)
    GB_TANH,
    GB_SOFTPLUS,   // log(1 + e^x)
    GB_SOFTSIGN,   // x / (1 + |x|)
    GB_GELU,       // x/2 (1 + erf(x / sqrt 2))
    GB_GELU_TANH,  // x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
    GB_MISH,       // x tanh(log(1 + e^x))
    GB_SWISH,      // x / (1 + e^(-a x))
    GB_ERF,
    GB_CLIP, // min(max(x, a), b); infinite where there is no limit
    GB_EXP,
    GB_LOG,
    GB_SQRT,
    GB_ABS,
    GB_NEG,
    GB_RECIPROCAL,
    GB_FLOOR,
    GB_CEIL,
    GB_ROUND, // halves to even
    GB_SIGN,
    GB_SIN,
    GB_COS,
    GB_NOT
} gb_unary_kind;

typedef struct gb_unary {
    gb_unary_kind kind;
    float a, b;
} gb_unary;

// GB_ERR_UNSUPPORTED where Clip's limits are no constants.
int gb_unary_read(const gb_node *node, gb_unary *u);

// An activation that bends, so that its derivative is no single bit.
bool gb_unary_is_smooth(gb_unary_kind kind);
// The derivative is a function of the output for these, of the input for the others.
bool gb_unary_of_output(gb_unary_kind kind);

// Records y = f(x) for views of one shape; y may be x.
void gb_emit_unary(gb_emit *e, const gb_shape *shape, const gb_view *y, const gb_view *x,
                   const gb_unary *u);
int gb_unary_forward(gb_emit *e, gb_node *node);
int gb_unary_backward(gb_emit *e, gb_node *node);

#endif
