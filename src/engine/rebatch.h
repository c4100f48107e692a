// Running a model that was exported for one batch at another one.
//
// Shapes at the model's own batch are compared with those at the new one: the axis that differs
// carries the images. Constants in which the old batch is written down (shapes given to Reshape,
// Expand and Resize; class tokens that Concat joins) are replaced by what they would have been.
#ifndef GB_ENGINE_REBATCH_H
#define GB_ENGINE_REBATCH_H

#include "ir/ir.h"

typedef struct gb_rebatch {
    int64_t from, to;     // batches
    const gb_shape *old;  // [id in the model]: shapes at batch `from`
    // [id in the model]: how many old elements of the axis that carries the images lie outside one
    // batch index: 1 where the axis is image by image, L where it is L x batch (transformers that
    // keep the sequence first).
    int64_t *outside;
} gb_rebatch;

// Replaces constants of an instance's node before its inference. `original`: the model's node.
int gb_rebatch_adapt(const gb_rebatch *r, gb_node *node, const gb_node *original);
// After inference: checks that each output holds `to` images where it held `from`, and that the
// operator keeps images apart; notes `outside`.
int gb_rebatch_check(const gb_rebatch *r, const gb_node *node, const gb_node *original);
// An output of the model: its leading dimension must be the batch.
int gb_rebatch_check_output(const gb_rebatch *r, const gb_value *value, int original_id);

#endif
