// Checkpoints: everything that a run needs to go on as if it had never stopped.
#ifndef GB_TRAIN_CHECKPOINT_H
#define GB_TRAIN_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

// What an epoch came to; NaN: not measured.
typedef struct gb_epoch {
    double lr;                           // of its last step
    double loss, accuracy, adv_accuracy; // in training: of clean and of perturbed images
    double held_loss, held_accuracy;
    double fgsm_accuracy, pgd_accuracy; // of held images under attack
    double images, seconds; // trained on (not perturbed copies); without the held-out set's time
} gb_epoch;

// Arrays are the caller's; of a checkpoint that was read, malloc'ed and freed by
// gb_checkpoint_finish.
typedef struct gb_checkpoint {
    uint64_t model_hash, data_hash;
    char *settings;      // lines of "name value"
    int64_t epoch, next; // of the next batch: its epoch and number
    int64_t steps;       // that the optimiser has taken
    double seconds;      // spent in this epoch so far
    size_t n_param, n_state, n_tally, n_history;
    float *param;      // the model's
    float *state;      // the optimiser's
    float *tally;      // sums over this epoch
    gb_epoch *history; // of the epochs that are done
} gb_checkpoint;

// The file appears whole or not at all.
int gb_checkpoint_write(const char *path, const gb_checkpoint *checkpoint);
// GB_ERR_FORMAT: no checkpoint, cut off or damaged. GB_ERR_UNSUPPORTED: another version's.
int gb_checkpoint_read(gb_checkpoint *out, const char *path);
int gb_checkpoint_decode(gb_checkpoint *out, const void *bytes, size_t size, const char *path);
void gb_checkpoint_finish(gb_checkpoint *checkpoint);
// Whether `found`, read from `path`, belongs to the run that `want` describes: its hashes, settings
// and sizes. GB_ERR_ARG says what differs.
int gb_checkpoint_match(const gb_checkpoint *found, const gb_checkpoint *want, const char *path);

#endif
