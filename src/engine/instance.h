// From a model to an instance: every shape known for one batch, constants folded, no-ops gone.
#ifndef GB_ENGINE_INSTANCE_H
#define GB_ENGINE_INSTANCE_H

#include "engine/session.h"

// Instantiates a model for a batch (0: the model's own, or 1 where that is symbolic). Bound inputs
// become constants (copied). The instance shares the model's constants: the model must outlive it.
// A fixed leading dimension is replaced by the batch where that is safe; GB_ERR_UNSUPPORTED says so
// where it is not (the model runs at its own batch then, or its images would mix), or lists every
// unsupported operator. At the model's own batch, or where that is open, an instance may mix its
// images: gb_graph.mixes.
int gb_graph_instantiate(gb_graph **out, const gb_graph *model, int64_t batch,
                         const gb_binding *binding, size_t n_binding);
// The same where the initializers among params (NULL: none) are values without data, their `param`
// set. fold_seconds: for the folding of constants (engine/fold.h); 0: as usual.
int gb_graph_instantiate_with(gb_graph **out, const gb_graph *model, int64_t batch,
                              const gb_binding *binding, size_t n_binding,
                              const gb_params *params, double fold_seconds);

// Why the images of a batch cannot go through the model together (gb_graph.mixes); NULL: they can.
// malloc'ed. Errors are those of instantiating the model for that batch.
int gb_graph_mixes(char **why, const gb_graph *model, int64_t batch, const gb_binding *binding,
                   size_t n_binding);

#endif
