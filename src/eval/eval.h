// Evaluates a classifier over a data set: what it sees in each picture, and in each that it
// classifies correctly after an attack.
//
// Clean pictures are classified in full batches; those that are right wait for a place in the
// attack's stream, those that are wrong are done.
#ifndef GB_EVAL_EVAL_H
#define GB_EVAL_EVAL_H

#include "attack/attack.h"
#include "data/data.h"
#include "eval/metrics.h"

typedef struct gb_eval_job {
    const gb_dataset *data;  // fitted to the model
    gb_attack *attack;       // NULL: only what the model sees
    gb_session *session;     // used where there is no attack
    const size_t *item;      // the pictures to evaluate, by number
    size_t count;
    bool data_classes;       // the model may only choose among classes that the data has; without
                             // an attack
    void *user;
    // A picture is done, in no particular order. A negative status ends the run.
    int (*row)(void *user, const gb_eval_row *row);
    // A picture cannot be read; the run goes on without it. NULL: it ends the run.
    int (*bad)(void *user, size_t item, const char *why);
    int (*look)(void *user); // now and then; not 0 ends the run with GB_ERR_CANCELLED; may be NULL
} gb_eval_job;

// GB_ERR_NUMERIC names a picture whose logits, loss or gradient are NaN or infinite.
int gb_eval_run(const gb_eval_job *job);

#endif
