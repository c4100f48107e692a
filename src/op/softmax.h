// Softmax and LogSoftmax: which elements are normalised together.
#ifndef GB_OP_SOFTMAX_H
#define GB_OP_SOFTMAX_H

#include "op/emit.h"

// Element (o, c, i) of [outer, count, inner]; each (o, i) is normalised over c. Since opset 13
// `count` is one axis (default: the last); before, the input is a matrix cut at the axis (default
// 1), so everything from it on is normalised together and inner is 1.
typedef struct gb_softmax {
    int64_t outer, count, inner;
    bool log;
} gb_softmax;

int gb_softmax_read(const gb_node *node, gb_softmax *s);

int gb_softmax_forward(gb_emit *e, gb_node *node);
int gb_softmax_backward(gb_emit *e, gb_node *node);

#endif
