// Optimisers: rules that move a flat buffer of floats along its gradient, on the device. Training
// moves a model's parameters with them, attacks may move perturbations.
#ifndef GB_OPTIM_OPTIM_H
#define GB_OPTIM_OPTIM_H

#include "base/setting.h"
#include "device/device.h"

// Fill it with gb_optim_default; a rule reads the fields that its params name.
typedef struct gb_optim_config {
    const char *name;   // "adam"; not copied
    double lr;           // the step's length before the schedule
    double momentum;      // sgd, rmsprop
    int nesterov;       // sgd: look ahead along the momentum
    double beta1, beta2; // adam: how slowly the averages of g and g^2 forget
    double alpha;        // rmsprop: how slowly the average of g^2 forgets
    double eps;          // added to the denominator
    double weight_decay; // adam's and sgd's is part of the gradient, adamw's shrinks the weights
    double lr_decay;     // adagrad: step t is lr / (1 + (t - 1) lr_decay)
    double accumulator;  // adagrad, ftrl: the sum of g^2 begins with it
    double lr_power;     // ftrl: the step falls as sum^lr_power
    double l1, l2;       // ftrl's penalties
    int ascend;         // go up the gradient instead of down
} gb_optim_config;

enum { GB_OPTIM_STATES = 2 }; // state buffers that a rule has at most

typedef struct gb_optimizer {
    const char *name, *title;
    const char *const *params; // NULL-terminated names of the settings that it reads
    gb_optim_config defaults;
    int states; // floats that it remembers for each parameter
    // The kernel's coefficients (cl/optim.cl says which) for step 1, 2, ... of that lr.
    void (*coefficients)(double k[8], const gb_optim_config *config, double lr, int64_t step);
} gb_optimizer;

// "sgd", "adam", "adamw", "rmsprop", "adagrad", "ftrl".
const gb_optimizer *gb_optimizer_all(size_t *count);
int gb_optimizer_find(const gb_optimizer **out, const char *name); // GB_ERR_ARG lists the names
int gb_optim_default(gb_optim_config *config, const char *name);
// Every setting of every optimiser, fields of gb_optim_config.
const gb_setting *gb_optim_settings(size_t *count);
int gb_optim_check(const gb_optim_config *config);

typedef struct gb_optim gb_optim;

// `count` floats of value move along as many of grad; both must outlive it. The state is fresh.
int gb_optim_create(gb_optim **out, gb_device *dev, const gb_optim_config *config, gb_buf *value,
                    gb_buf *grad, size_t count);
void gb_optim_free(gb_optim *optim);

// Queues one step; lr: of this step, config's unless a schedule says otherwise.
int gb_optim_step(gb_optim *optim, double lr);
int gb_optim_reset(gb_optim *optim); // as created

// What a checkpoint keeps: gb_optim_state_count floats, and the number of steps taken.
size_t gb_optim_state_count(const gb_optim *optim);
int64_t gb_optim_steps(const gb_optim *optim);
int gb_optim_download(const gb_optim *optim, float *state);
int gb_optim_upload(gb_optim *optim, const float *state, int64_t steps);

#endif
