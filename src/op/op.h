// The operator contract: what the rest of gibbon needs to know about one ONNX operator.
//
// src/op/NAME.c holds one operator or one close family; src/op/table.c lists them all. infer and
// eval know no device; forward and backward record kernels through op/emit.h.
#ifndef GB_OP_OP_H
#define GB_OP_OP_H

#include "ir/ir.h"
#include "op/emit.h"

typedef struct gb_op {
    const char *name; // ONNX's, case-sensitive
    int since, until; // opset range that is implemented; until 0: up to the newest known

    // Checks attributes and inputs, sets type and shape of every present output. Input shapes are
    // known; constant inputs have data. The message names the node (gb_node_text).
    int (*infer)(gb_node *node);

    // The naive evaluation on the host, in double where the tensors are floats (ref/ref.h): in[i]
    // may be NULL where the input is omitted; out[] are created with the inferred types and shapes,
    // F64 in place of F32 when the inputs are F64. Folds constants, and is the permanent reference
    // of tests and `gibbon selftest`. Input shapes and constants are read from node->in as well.
    int (*eval)(const gb_node *node, const gb_tensor *const *in, gb_tensor *const *out);

    // About how many nanoseconds eval takes, where that is not linear in the elements of inputs and
    // outputs (windows, sums of products); NULL: it is. Inference has succeeded.
    double (*work)(const gb_node *node);

    // Records the kernels that compute the outputs. NULL: the operator exists at fold time only.
    int (*forward)(gb_emit *e, gb_node *node);

    // Records the kernels that add to the gradients of those inputs whose needs_grad is set, from
    // the gradients of the outputs. NULL: not differentiable (an error when a session needs it).
    int (*backward)(gb_emit *e, gb_node *node);

    // Where images lie in output k: gb_images.inside, or 0 where what comes of an image depends on
    // the rest of its batch (op/images.h). NULL: it always does.
    int64_t (*images)(const gb_node *node, int k);

    bool shape_only; // eval reads the inputs' shapes, never their data (Shape, Size)
    bool is_view;    // forward places outputs as views of in[0]; nothing is left for backward
} gb_op;

// NULL: unknown.
const gb_op *gb_op_find(const char *name);
// Every operator, for `gibbon info --operators` and the tests; *count of them.
const gb_op *const *gb_op_all(size_t *count);

#endif
