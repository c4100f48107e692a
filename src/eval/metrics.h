// What an evaluation counts: accuracies and their intervals, by class, and what is taken for what.
#ifndef GB_EVAL_METRICS_H
#define GB_EVAL_METRICS_H

#include "base/mem.h"
#include "base/status.h"

// What became of one picture. From `adversarial` on: with an attack only.
typedef struct gb_eval_row {
    int64_t item;        // its number in the data set
    int64_t stamp;       // of its file (gb_dataset_stamp)
    int32_t label, clean; // the true class, and the one the model sees
    float probability;   // that the model gives to the latter
    int32_t adversarial; // the class seen after the attack; `clean` where that was wrong already
    int32_t robust;      // classified correctly before the attack and after it
    int32_t robust_8bit; // and when the attacked picture is rounded to 8 bits (with eight_bit)
    int32_t iterations;  // steps until the first success; all without one; 0: not attacked
    int32_t zero_gradients;
    float linf, l2;      // how far the attacked picture is from the original, in [0,1] pixels
} gb_eval_row;

// A picture that could not be read: it has no row and counts nowhere.
typedef struct gb_eval_bad {
    int64_t item;
    char why[504];
} gb_eval_bad;

// A share of `total` and its 95 % interval after Wilson (1927): unlike the normal approximation it
// stays in [0,1] and holds for small counts and shares near 0 and 1. NaN where total is 0.
typedef struct gb_rate {
    size_t count, total;
    double value, low, high;
} gb_rate;

gb_rate gb_wilson(size_t count, size_t total);

// Which classes are taken for which. Of many classes most pairs never come: what is zero is left
// out. Sorted by the true class, then by the one seen.
typedef struct gb_confusion_cell {
    int32_t label, seen;
    size_t count;
} gb_confusion_cell;

typedef struct gb_confusion {
    gb_confusion_cell *cell;
    size_t n;
} gb_confusion;

size_t gb_confusion_at(const gb_confusion *c, int label, int seen);

typedef struct gb_metrics {
    bool attack, eight_bit; // which of the following mean something
    size_t images;
    int classes;
    gb_rate accuracy, robust, robust_8bit;     // of all pictures
    gb_rate *class_accuracy, *class_robust;    // [classes]
    gb_confusion confusion, confusion_adversarial;
    size_t attacked, broken;                   // were classified correctly; and no longer were
    size_t zero_gradient;                      // had steps with a gradient of zeros
    double mean_iterations, mean_linf, mean_l2; // over the broken ones; 0 without
    size_t most; // rows that there is room for
    gb_arena arena;
} gb_metrics;

// All the memory that counting takes, asked for before hours of work: classes + rows. A zeroed
// gb_metrics is empty and valid.
int gb_metrics_reserve(gb_metrics *out, int classes, size_t rows);
// Once, after gb_metrics_reserve. GB_ERR_ARG: a row names a class that there is not, or there are
// more rows.
int gb_metrics_count(gb_metrics *m, const gb_eval_row *row, size_t n, bool attack, bool eight_bit);
void gb_metrics_finish(gb_metrics *m);

#endif
