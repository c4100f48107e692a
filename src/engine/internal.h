// What a session consists of, for the files of this folder.
#ifndef GB_ENGINE_INTERNAL_H
#define GB_ENGINE_INTERNAL_H

#include "engine/plan.h"
#include "engine/session.h"
#include "op/choice.h"

// A tensor of the session's caller. The schedule works on the store, which holds one chunk of the
// batch; `whole` holds all of it (the store's own buffer where there is one chunk).
typedef struct gb_port {
    gb_store *store;
    gb_buf *whole;
    gb_io *io;     // NULL: what the loss reads and writes for each image
    bool in;       // read by the schedule, else written
    bool backward; // written by the backward half
} gb_port;

struct gb_session {
    gb_device *dev;
    gb_graph *graph;
    gb_emit emit;
    gb_choices tuned; // how layers are computed, where the options do not say
    gb_plan plan;
    gb_session_stats stats;
    gb_head head;      // of the first output
    gb_loss_spec loss; // its stores are made while recording
    size_t n_in, n_out;
    // Launches: those for the first chunk only, forward, backward, commit, each up to its end.
    size_t n_once, n_forward, n_backward;
    const gb_params *params;
    const gb_ranks *ranks; // NULL: one
    bool train;
    gb_store *state; // training: the new values of the params' state, from offset `trainable` on
    bool *new_state; // [params->n_param]: it is made anew in every run
    gb_io *in, *out, *grad, seed;
    int64_t batch, chunks;  // the graph is one for batch / chunks images
    gb_port *port;
    size_t n_port;
    bool has_seed, has_grad;
    void *staging; // for uploads and downloads
};

// The images of a batch that should go through the network at a time: a divisor of g->batch.
int64_t gb_choose_chunk(const gb_graph *g, const gb_device_info *info);

// The instance after passes, and what its scores are (RAW: it was not asked for any). *out is set
// even on failure, the caller frees it.
int gb_prepare(gb_graph **out, gb_head *head, const gb_graph *model,
               const gb_session_options *options);

// Whether scores, of which the graph does not tell, are probabilities for pictures of noise.
int gb_probe_scores(gb_scores *found, gb_session *s);

// Marks the values that a gradient with respect to the float inputs passes through, or, where
// params are given, with respect to those that are trainable.
void gb_mark_gradients(gb_graph *g, const gb_params *params);
// The parameters as this session's layers read them: `value`, or a store of its own where
// normalizations go into layers (node->norm).
gb_store *gb_record_norms(gb_emit *e, const gb_params *p, gb_store *value);
int gb_record_forward(gb_session *s, bool grad);
// From the loss, or from the output `seed` whose gradient the caller uploads.
int gb_record_backward(gb_session *s, const char *seed);
int gb_record_commit(gb_session *s);
// A launch's kernel, its arguments set; nothing for an exchange.
int gb_make_kernel(gb_session *s, gb_launch *launch);
// Makes and runs the first `count` launches, the last one first.
int gb_rehearse(gb_session *s, size_t count);
// Runs a launch, or makes the exchange that stands in its place; waits for that.
int gb_run_launch(gb_session *s, const gb_launch *launch);

#endif
