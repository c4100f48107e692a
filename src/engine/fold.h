// Evaluates nodes whose inputs are constants, within a budget of work and of memory: a file of a
// few bytes can ask for hours and terabytes.
#ifndef GB_ENGINE_FOLD_H
#define GB_ENGINE_FOLD_H

#include "ir/ir.h"

typedef struct gb_folding {
    gb_graph *graph;
    bool shapes_only; // only what can decide a shape is of interest
    double work;      // nanoseconds that are left, as gb_op.work counts them
    int64_t bytes;    // that are left for results at any one time
    void **made;      // [value id]: the elements of a result that the graph does not own yet
    size_t cap;
} gb_folding;

// work: seconds; 0: the usual budget.
void gb_folding_begin(gb_folding *f, gb_graph *graph, double work, bool shapes_only);
// Evaluates a node whose inputs are all constants. What is beyond the budget stays a node, for the
// device to compute, where its results are floats and the device can; *folded is false then.
// GB_ERR_UNSUPPORTED: neither is possible.
int gb_fold(gb_folding *f, gb_node *node, bool *folded);
// Says that one of the `uses` of a value is over: the elements of a result go with the last one.
void gb_fold_release(gb_folding *f, gb_value *value);
// Hands the results that are left to the graph. Call it once, also after a failure.
int gb_folding_end(gb_folding *f);

#endif
