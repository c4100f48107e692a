// The tuner: compares the ways to compute each layer of a model on this machine's device (op/
// choice.h) and keeps the fastest in a database that later sessions read. Nobody has to tune: a
// layer that is not in the database is computed as the heuristics say.
#ifndef GB_ENGINE_TUNE_H
#define GB_ENGINE_TUNE_H

#include "device/device.h"
#include "ir/ir.h"
#include "op/choice.h"

#include <stdio.h>

// --- the database: a file for each device, driver, form of the kernels and version of them ---

typedef struct gb_tuned {
    char *key;
    char *way, *usual;   // the fastest; the heuristics'
    double ms, usual_ms; // of the layer alone, the best of several runs
} gb_tuned;

typedef struct gb_tuned_list {
    gb_tuned *entry;
    size_t count, capacity;
} gb_tuned_list;

// What the database is for, one line: "platform|device|driver|form|kernels".
int gb_tuned_identity(char **out, const gb_device *dev);
// $XDG_CACHE_HOME/gibbon/tuned-HASH.json. GB_ERR_IO where no such folder can be named.
int gb_tuned_path(char **out, const char *identity);
// The file's contents; false, and an empty list: it is damaged, or another device's.
bool gb_tuned_decode(gb_tuned_list *out, const void *text, size_t size, const char *identity);
// An absent file is an empty list; so is a damaged or foreign one, with a warning.
int gb_tuned_load(gb_tuned_list *out, const char *identity, const gb_log *log);
// Replaces or adds an entry (copied).
int gb_tuned_put(gb_tuned_list *list, const gb_tuned *entry);
int gb_tuned_save(const gb_tuned_list *list, const char *identity); // whole or not at all
void gb_tuned_free(gb_tuned_list *list);

// The choices for a device; none under $GIBBON_TUNE=off. The caller frees them.
int gb_tuned_choices(gb_choices *out, const gb_device *dev);
void gb_choices_free(gb_choices *choices);

// --- tuning ---

typedef struct gb_tune_layer {
    gb_tuned tuned; // way NULL: not tuned (yet)
    int launches;   // of the model that it stands for
    bool fresh;     // measured in this run
} gb_tune_layer;

typedef struct gb_tune_rejected {
    char *key, *way, *why;
} gb_tune_rejected;

typedef struct gb_tune_result {
    char *identity, *path; // of the database
    gb_tune_layer *layer;
    size_t count, cap_layer;
    gb_tune_rejected *rejected; // ways that were wrong, crashed or hung
    size_t n_rejected, cap_rejected;
} gb_tune_result;

typedef struct gb_tune_options {
    const gb_graph *model;
    int64_t batch;  // that layers are measured at
    double limit;   // seconds that a way may take before it counts as hung
    bool again;     // measure what the database has, too
    // Opens the device, in a child process; `first` is false where another one died.
    int (*open)(gb_device **out, void *user, bool first);
    // Told before each trial. May be NULL.
    void (*progress)(void *user, const gb_tune_result *so_far, const char *key, const char *way);
    bool (*stop)(void); // asked now and then; may be NULL
    void *user;
} gb_tune_options;

// Tunes; the calling process must not have opened a device. Every layer is stored when it is done,
// so an interrupted run loses nothing. *out is filled in as far as it went, even on failure.
// GB_ERR_CANCELLED: stopped.
int gb_tune(gb_tune_result *out, const gb_tune_options *options);
void gb_tune_result_free(gb_tune_result *result);

// --- the part in the child process (engine/tune_graph.c, engine/tune_trial.c) ---

// A node as a model of its own, with a residual and a ReLU behind it where it has any: another
// activation costs more, but as much in every way. *out is set even on failure.
int gb_tune_graph(gb_graph **out, const gb_node *node);

// Measures what `so_far` lacks and prints a line for each step, its fields separated by tabs:
//     database IDENTITY | layer KEY LAUNCHES | try KEY WAY | wrong KEY WAY WHY |
//     best KEY WAY MS USUAL USUAL_MS | error TEXT
int gb_tune_trials(const gb_tune_options *options, const gb_tune_result *so_far, bool first,
                   FILE *lines);

#endif
