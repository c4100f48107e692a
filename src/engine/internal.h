// What a session consists of, for the files of this folder.
#ifndef GB_ENGINE_INTERNAL_H
#define GB_ENGINE_INTERNAL_H

#include "engine/plan.h"
#include "engine/session.h"

struct gb_session {
    gb_device *dev;
    gb_graph *graph;
    gb_emit emit;
    gb_plan plan;
    gb_session_stats stats;
    gb_loss loss;
    size_t n_in, n_out, n_forward; // launches before n_forward are the forward ones
    gb_io *in, *out, *grad, seed;
    gb_store *labels, *losses;
    bool has_seed, has_grad;
    void *staging; // for uploads and downloads
};

// The instance after passes; *out is set even on failure, the caller frees it.
int gb_prepare(gb_graph **out, const gb_graph *model, const gb_session_options *options);

// Marks the values that a gradient with respect to the float inputs passes through.
void gb_mark_gradients(gb_graph *g);
int gb_record_forward(gb_session *s, bool grad);
// From the loss, or from the output `seed` whose gradient the caller uploads.
int gb_record_backward(gb_session *s, const char *seed);

#endif
