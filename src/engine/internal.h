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

#endif
