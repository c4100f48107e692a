// Functions of two or more broadcast elements.
#ifndef GB_OP_BINARY_H
#define GB_OP_BINARY_H

#include "ir/ir.h"

typedef enum gb_binary_kind {
    GB_ADD,
    GB_SUB,
    GB_MUL,
    GB_DIV, // of integers: rounds toward zero
    GB_POW,
    GB_MOD,  // the sign of the divisor
    GB_FMOD, // the sign of the dividend
    GB_PRELU, // x < 0 ? y x : x
    GB_MIN,
    GB_MAX,
    GB_EQUAL,
    GB_LESS,
    GB_LESS_EQUAL,
    GB_GREATER,
    GB_GREATER_EQUAL,
    GB_AND,
    GB_OR,
    GB_XOR
} gb_binary_kind;

// Sum and Mean are GB_ADD, Min and Max their own, all of any number of inputs, taken from the left.
typedef struct gb_binary {
    gb_binary_kind kind;
    bool variadic;
    bool mean;    // divide by the number of inputs at the end
    bool logical; // the result is GB_BOOL
} gb_binary;

int gb_binary_read(const gb_node *node, gb_binary *b);

#endif
