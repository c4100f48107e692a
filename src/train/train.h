// Training: a model's parameters moved along the gradient of its loss on a data set.
#ifndef GB_TRAIN_TRAIN_H
#define GB_TRAIN_TRAIN_H

#include "base/ranks.h"
#include "data/data.h"
#include "engine/params.h"
#include "engine/session.h"
#include "optim/optim.h"
#include "optim/schedule.h"
#include "train/adversary.h"
#include "train/checkpoint.h"

typedef struct gb_train_config {
    gb_optim_config optim;
    gb_schedule_config schedule;
    gb_adversary_config adversary;
    int batch;              // over all ranks; an epoch's last images that fill none are left out
    int epochs;
    double label_smoothing; // the share of the target that is spread over all classes
    int flip;               // mirror every other image
    int crop;               // shift by up to this many pixels, black coming in; 0: not at all
    uint64_t seed;          // of the order, the augmentation and the attacks' noise
} gb_train_config;

// Adam, a constant rate, 10 epochs, batches of 64.
gb_train_config gb_train_default(void);
// "batch", "epochs", "label-smoothing", "flip", "crop": fields of gb_train_config.
const gb_setting *gb_train_settings(size_t *count);
int gb_train_resolve(gb_train_config *config); // checks; fills in what is NaN

// Everything is the caller's and outlives the trainer.
typedef struct gb_train_task {
    const gb_graph *model;
    const gb_graph *source; // what the static adversary perturbs against; NULL: model as it is now
    gb_scores scores;       // what the models' output holds; RAW: as the graph tells
    int class_axis;         // of that output; 0: found
    gb_normalize normalize;
    const gb_dataset *data;
    const gb_dataset *held; // measured after every epoch; NULL: none
    const gb_ranks *ranks;  // NULL: one process
    const char *checkpoint; // a file, written after every epoch; NULL: none
    int checkpoint_every;   // and after that many batches; 0: after epochs alone
    const gb_log *log;
} gb_train_task;

typedef struct gb_train_now {
    int epoch, epochs;       // epoch: from 0
    int64_t batch, batches;  // done in this epoch
    double loss, accuracy;   // since the epoch began
    double images_per_second; // all ranks'
    double seconds_left;     // an estimate; NaN at first
} gb_train_now;

typedef struct gb_train_listener { // calls may be NULL
    void *user;
    bool (*stop)(void *user); // asked after every batch; all ranks stop where one says so
    void (*now)(void *user, const gb_train_now *now);                 // every half second
    void (*epoch)(void *user, const gb_epoch *history, size_t count); // the last one has ended
} gb_train_listener;

typedef struct gb_trainer gb_trainer;

// GB_ERR_ARG: model and data do not go together, or fewer images than a batch.
int gb_trainer_create(gb_trainer **out, gb_device *dev, const gb_train_task *task,
                      const gb_train_config *config);
void gb_trainer_free(gb_trainer *trainer);
// Continues where the checkpoint was made; what follows has the same bits as without interruption.
int gb_trainer_resume(gb_trainer *trainer, const char *path);
// Trains to the last epoch's end. GB_ERR_CANCELLED: a listener said stop; GB_ERR_NUMERIC: the
// loss became NaN. Both leave the last checkpoint, a stop a fresh one.
int gb_trainer_run(gb_trainer *trainer, const gb_train_listener *listener);

const gb_params *gb_trainer_params(const gb_trainer *trainer);
const gb_epoch *gb_trainer_history(const gb_trainer *trainer, size_t *count);
size_t gb_trainer_parameters(const gb_trainer *trainer); // trainable floats

#endif
