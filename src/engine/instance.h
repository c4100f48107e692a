// Instances: a model for one batch size, every shape known, constants folded.
#ifndef GB_ENGINE_INSTANCE_H
#define GB_ENGINE_INSTANCE_H

#include "engine/session.h"

// Clones the model's topology for a batch (0: the model's own, or 1 where that is symbolic); bound
// inputs become constants. Constants share their data with the model, which outlives the instance.
// GB_ERR_UNSUPPORTED where operators are missing (all of them are listed), where a dimension other than
// the first is symbolic, or where the model runs at its own fixed batch only.
int gb_graph_instantiate(gb_graph **out, const gb_graph *model, int64_t batch,
                         const gb_binding *binding, size_t n_binding);

#endif
