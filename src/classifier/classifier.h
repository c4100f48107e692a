// What a model is as a classifier of pictures, and the model in the one form that the rest takes.
//
// Files differ: pictures come channels first or last, flat, as whole numbers, without a batch; one
// of several outputs holds the classes. gb_classifier_open finds out, by what the user says, by the
// graph, then by sizes, and changes the model: it then has one float32 input (N,C,H,W) of pixels in
// [0,1] (before preprocessing) and one output, and only the nodes that this needs.
#ifndef GB_CLASSIFIER_CLASSIFIER_H
#define GB_CLASSIFIER_CLASSIFIER_H

#include "ir/ir.h"

typedef enum gb_layout { GB_LAYOUT_FIND, GB_LAYOUT_NCHW, GB_LAYOUT_NHWC, GB_LAYOUT_FLAT } gb_layout;

extern const char *const gb_layout_names[]; // "nchw", "nhwc", "flat", NULL

typedef struct gb_classifier_options {
    gb_layout layout;   // of the file's input; flat: C,H,W in a row
    int height, width;  // of its pictures where the file leaves them open or flat; 0: not given
    const char *output; // the output that holds the classes; NULL: found
    size_t names;       // how many classes have names, 0: unknown
} gb_classifier_options;

typedef struct gb_classifier {
    gb_layout layout;
    bool batched;         // false: the file's input has no dimension for the batch
    bool whole;           // the file's input holds whole numbers from 0 to 255
    gb_value *file;       // the file's input
    char input[200];      // what was found, for people; "" where the file has the usual (N,C,H,W)
    char output[300];     // the same of the output; "" where it is the only one
    size_t front;         // nodes at the front of the model that lead to `file`
} gb_classifier;

// Changes the model in place. GB_ERR_UNSUPPORTED: it is no classifier of pictures, or the choice is
// the user's; GB_ERR_ARG: what the user says does not fit.
int gb_classifier_open(gb_classifier *out, gb_graph *model, const gb_classifier_options *options);

// Gives the model the file's input again, to be saved, and returns the one that it had, for
// gb_classifier_wrap to give it back.
gb_value *gb_classifier_unwrap(const gb_classifier *c, gb_graph *model);
void gb_classifier_wrap(const gb_classifier *c, gb_graph *model, gb_value *input);

// GB_LAYOUT_FIND for NULL; GB_ERR_ARG lists the names.
int gb_layout_find(gb_layout *out, const char *name);

// --- the folder's own ---

// Leaves the model the one output that holds the classes (classifier/output.c).
int gb_choose_output(gb_classifier *c, gb_graph *model, const gb_classifier_options *options);
// Puts the nodes in front of the model that make its input of (N,C,H,W) (classifier/input.c).
int gb_adapt_input(gb_classifier *c, gb_graph *model, const gb_classifier_options *options);

#endif
