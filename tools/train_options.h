// The options of a training run, made of the tables of src/train and src/optim.
#ifndef TOOLS_TRAIN_OPTIONS_H
#define TOOLS_TRAIN_OPTIONS_H

#include "settings.h"

#include "train/train.h"

enum { TRAIN_GROUPS = 4 }; // the run's own, optimiser, schedule, adversary

typedef struct train_values {
    settings_values part[TRAIN_GROUPS];
} train_values;

// Fills groups[0..TRAIN_GROUPS); one without entries is out of memory.
void train_options(option_group *group, gb_arena *arena, train_values *values);

// The configuration that the user's options ask for; the seed is the caller's.
int train_configure(gb_train_config *config, const train_values *values);

// A line for GB_SUMMARY_META: what was trained, how, and how much of what was held out it gets
// right after `epochs` epochs, whose last is *last.
void train_summary(char *buf, size_t size, const char *model, const gb_train_config *config,
                   const gb_epoch *last, size_t epochs);

#endif
