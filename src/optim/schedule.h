// Learning rates over time.
#ifndef GB_OPTIM_SCHEDULE_H
#define GB_OPTIM_SCHEDULE_H

#include "base/setting.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct gb_schedule_config {
    const char *name;     // "cosine"; not copied
    int lr_step;          // step: epochs between falls
    double lr_gamma;      // step: what the rate falls to, as a factor
    double lr_min;        // cosine: the last rate
    double lr_warmup;     // one-cycle: the part of all steps in which the rate rises
    double lr_start_div;  // one-cycle: begins at lr / this
    double lr_end_div;    // one-cycle: ends at the beginning's rate / this
} gb_schedule_config;

typedef struct gb_schedule {
    const char *name, *title;
    const char *const *params;
    gb_schedule_config defaults;
    // The rate of step 0, 1, ..., total - 1, `epoch` steps an epoch.
    double (*rate)(const gb_schedule_config *config, double lr, int64_t step, int64_t epoch,
                   int64_t total);
    bool needs_total; // the rate depends on how many steps there will be
} gb_schedule;

// "constant", "step", "cosine", "one-cycle"; as PyTorch's StepLR, stepped every epoch, and its
// CosineAnnealingLR and OneCycleLR (without its cycle of the momentum), stepped every batch.
const gb_schedule *gb_schedule_all(size_t *count);
int gb_schedule_find(const gb_schedule **out, const char *name); // GB_ERR_ARG lists the names
int gb_schedule_default(gb_schedule_config *config, const char *name);
const gb_setting *gb_schedule_settings(size_t *count);
int gb_schedule_check(const gb_schedule_config *config);

#endif
