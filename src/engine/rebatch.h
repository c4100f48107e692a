// Running a model that was exported for one batch at another one.
//
// Where the images of the batch lie in each value is known (op/images.h). Constants in which the
// old batch is written down (shapes given to Reshape, Expand and Resize; class tokens that Concat
// joins) are replaced by what they would have been.
#ifndef GB_ENGINE_REBATCH_H
#define GB_ENGINE_REBATCH_H

#include "ir/ir.h"

typedef struct gb_rebatch {
    int64_t from, to;    // batches
    // [id in the model], at batch `from`:
    const gb_shape *old;
    const gb_images *images;
} gb_rebatch;

// Replaces constants of an instance's node before its inference. `original`: the model's node.
int gb_rebatch_adapt(const gb_rebatch *r, gb_node *node, const gb_node *original);
// After inference: checks that each output holds `to` images where it held `from`.
int gb_rebatch_check(const gb_rebatch *r, const gb_node *node, const gb_node *original);
// An output of the model: its leading dimension must be the batch.
int gb_rebatch_check_output(const gb_rebatch *r, const gb_value *value, int original_id);

// Sets g->mixes where an output is not a list of one entry for each image, each made of that image
// alone (engine/mixing.c).
int gb_find_mixing(gb_graph *g);

#endif
