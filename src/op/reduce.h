// Reductions over axes.
#ifndef GB_OP_REDUCE_H
#define GB_OP_REDUCE_H

#include "op/emit.h"

typedef enum gb_reduce_kind {
    GB_REDUCE_SUM,
    GB_REDUCE_MEAN,
    GB_REDUCE_MAX,
    GB_REDUCE_MIN,
    GB_REDUCE_PROD,
    GB_REDUCE_L2
} gb_reduce_kind;

typedef struct gb_reduce {
    gb_reduce_kind kind;
    bool over[GB_MAX_RANK]; // axes that go
    gb_shape kept;          // the input's rank, with 1 for each of them
    gb_shape out;           // kept, or without those ones where keepdims is 0
    int64_t count;          // elements reduced to one
} gb_reduce;

// The axes come from the attribute or, in later opsets, from input 1.
int gb_reduce_read(const gb_node *node, gb_reduce *r);

// Also of GlobalAveragePool and GlobalMaxPool.
int gb_reduce_forward(gb_emit *e, gb_node *node);
int gb_reduce_backward(gb_emit *e, gb_node *node);

#endif
