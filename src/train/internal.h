// What the files of this folder share; nobody else includes it.
#ifndef GB_TRAIN_INTERNAL_H
#define GB_TRAIN_INTERNAL_H

#include "train/train.h"

// Sums over batches on the device, one per row of a session's batch (cl/train.cl).
typedef struct gb_tally {
    gb_kernel *kernel;
    gb_buf *sum; // float2 [rows]: weighted losses, correct answers
    float *host; // the same, after gb_tally_read
    size_t rows;
} gb_tally;

int gb_tally_init(gb_tally *tally, gb_session *session);
void gb_tally_finish(gb_tally *tally);
int gb_tally_reset(gb_tally *tally);
int gb_tally_count(gb_tally *tally); // queues the counting of what the session has computed
int gb_tally_read(gb_tally *tally);  // waits
// Column 0 (losses) or 1 (correct) over rows [first, end).
double gb_tally_sum(const gb_tally *tally, size_t first, size_t end, int column);

struct gb_trainer {
    gb_train_task task;
    gb_train_config config;
    const gb_schedule *schedule;
    gb_device *dev;
    gb_ranks ranks;
    size_t n, rows, pixels; // images of a batch here; rows of `learn`: n, or 2 n with both kinds
    gb_params *params;
    gb_session *learn; // [rows]: gradients of the parameters
    gb_session *judge; // [n], over the parameters: evaluation, and cross-entropy's input gradient
    gb_session *own;   // [n]: of the adversary, where judge does not do
    gb_perturb *perturb;         // NULL: training is clean
    gb_perturb *fgsm, *pgd;      // probes of robustness, on judge; with an adversary
    gb_optim *optim;
    gb_loader *loader, *held, *first; // first: the images that robustness is probed with
    gb_upload *upload[2];
    int turn;
    gb_tally learned, judged;
    float *host;   // [params->total + 1]
    float *summed; // [2 rows]: the tally of all ranks
    uint64_t model_hash, data_hash;
    char *settings;
    // Position, and what was found:
    int64_t epoch, next, batches, stepped; // stepped: batches since this process began
    double spent;                          // seconds in this epoch before `since`
    double since;
    double first_step;                     // when the second batch of this process began
    gb_epoch *history;
    size_t n_history, cap_history;
};

// step.c: one step of training at that rate, and the two kinds of measurement. *stop: in, whether
// this rank wants to stop; out, whether one of them does.
int gb_train_step(gb_trainer *t, double lr, bool *stop);
int gb_train_evaluate(gb_trainer *t, gb_epoch *result);
int gb_train_probe(gb_trainer *t, gb_epoch *result);

// run.c: warns of a network that has learned to fool the one step it was trained with, and nothing
// else: FGSM no longer finds what PGD finds (Wong et al. 2020). Returns whether it has.
bool gb_train_watch(const gb_log *log, int64_t epoch, const gb_epoch *e);

// config.c: lines of "name value", what a checkpoint compares. malloc'ed.
char *gb_train_describe(const gb_train_config *config);

// save.c: writes task.checkpoint; a full disk is told to the log and training goes on. Collective,
// right after the tally was read.
int gb_train_save(gb_trainer *t);
int gb_train_hash(gb_trainer *t); // the hashes of model and data, and more lines of settings
int gb_train_fail_numeric(const gb_trainer *t, const char *what);

#endif
