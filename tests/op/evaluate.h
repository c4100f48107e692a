// Whole graphs by the naive evaluators.
#ifndef GB_TEST_EVALUATE_H
#define GB_TEST_EVALUATE_H

#include "ir/ir.h"

// Takes every input for a constant and evaluates node after node; afterwards each value has data.
// Results are in double where a node's inputs are.
int evaluate_graph(gb_graph *graph, gb_tensor *const *in);

#endif
