// A run's history as a table.
#ifndef GB_TRAIN_LOG_H
#define GB_TRAIN_LOG_H

#include "train/checkpoint.h"

// Writes one line an epoch as CSV, below a line of names; what was not measured is left empty.
int gb_train_log(const char *path, const gb_epoch *history, size_t count);

#endif
