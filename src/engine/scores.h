// What the numbers of a classifier's output are, and the graph that ends in scores for a loss.
//
// A loss reads scores [N,K] whose softmax gives the probabilities. Models end in many ways: in
// logits, in a softmax that is cast, sliced, transposed or clipped, in a mean of softmaxes, in a
// sigmoid for each class, in one number for two classes. To attack probabilities as if they were
// logits is to put a second softmax after the first, whose gradients vanish.
#ifndef GB_ENGINE_SCORES_H
#define GB_ENGINE_SCORES_H

#include "ir/ir.h"

typedef enum gb_scores {
    GB_SCORES_RAW,               // no classifier: outputs stay as they are
    GB_SCORES_FIND,              // as the graph tells
    GB_SCORES_LOGITS,            // a softmax makes probabilities of them
    GB_SCORES_LOG_PROBABILITIES, // their exponentials are probabilities
    GB_SCORES_PROBABILITIES,     // numbers in [0,1] that sum to one
    GB_SCORES_SIGMOIDS           // a number in [0,1] for each class alone
} gb_scores;

extern const char *const gb_scores_names[]; // by the values above, without RAW; NULL-terminated

// GB_SCORES_FIND for NULL; GB_ERR_ARG lists the names.
int gb_scores_find(gb_scores *out, const char *name);

// The scores that a graph ends in, after gb_pass_scores.
typedef struct gb_head {
    gb_scores kind; // what makes probabilities of a row: LOGITS a softmax, LOG_PROBABILITIES exp,
                    // SIGMOIDS a sigmoid for each class
    gb_scores holds; // what the output holds: LOGITS, ..., SIGMOIDS
    gb_scores asked; // what gb_pass_scores was told: other sessions of the model are to be, too
    bool binary;    // the model has one unit; the scores are of two classes, 1 where it is above
                    // one half (a logit: above 0)
    bool unsure;    // the graph does not tell whether the output holds logits or probabilities
    const char *output; // its name in the model
    const char *how; // what was found, for people; "" where the output holds logits
} gb_head;

// Makes output 0 of an instance a list of scores [N,K]. scores: what the output holds;
// GB_SCORES_FIND where the graph is to tell. class_axis: the output's axis that counts the classes,
// scores being means over its other axes; 0: the output has one number for each class.
// GB_ERR_UNSUPPORTED: it has not.
int gb_pass_scores(gb_head *head, gb_graph *g, gb_scores scores, int class_axis);

// Probabilities of a row of K scores, in place.
void gb_probabilities(float *row, size_t classes, gb_scores kind);

#endif
