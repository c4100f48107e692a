// One evaluation: what it is of, what it has found, and how it goes on where it was interrupted.
#ifndef TOOLS_EVAL_TASK_H
#define TOOLS_EVAL_TASK_H

#include "pictures.h"

#include "eval/eval.h"
#include "eval/record.h"

enum { EVAL_SETTINGS = 16 };

typedef struct eval_task {
    cli *cli;
    gb_device *dev;
    gb_graph *model;
    gb_attack *attack;        // NULL: no attack
    gb_session *session;      // without an attack
    gb_attack_config config;  // resolved; method NULL: no attack
    bool data_classes;
    int64_t limit;            // 0: all pictures
    pictures p;
    gb_dataset *data;
    size_t *item, n_item;     // the pictures chosen, over all ranks
    size_t *todo, n_todo;     // this rank's, of those that are not done yet
    size_t earlier;           // of the chosen, done before
    gb_eval_rows rows;        // at first those done before, then this rank's, then all; rank 0's
    gb_eval_setting setting[EVAL_SETTINGS];
    size_t n_setting;
    const char **class_name;  // [classes]; rank 0's
    int32_t *stamp;           // [n_item]: of the chosen pictures' files, before they are read
    gb_eval_bad *bad;         // pictures that could not be read: this rank's, then all; rank 0's
    size_t n_bad, cap_bad;
    gb_part part;
    double start, told;       // seconds
    size_t finished, correct, robust; // by this rank, now
    gb_arena arena;
} eval_task;

// The model is loaded, device and data are open: chooses the pictures, takes up what the output
// folder holds (collective) and shares what is left to do among the ranks.
int eval_prepare(eval_task *t);
// Evaluates them; at the end rank 0 has all rows of the chosen pictures, and images.csv is written.
// Collective. GB_ERR_CANCELLED at Ctrl-C: what is finished is kept.
int eval_work(eval_task *t);
void eval_finish(eval_task *t);

#endif
