// The end of a classifier's graph: from its output back to the softmax or sigmoid, through all that
// only moves, scales or clips probabilities. Changes nothing.
#ifndef GB_ENGINE_TAIL_H
#define GB_ENGINE_TAIL_H

#include "ir/ir.h"

enum { GB_TAIL_MOST = 32 };

typedef struct gb_tail {
    gb_node *softmax;   // NULL where it is written in parts, or a sigmoid
    gb_value *logits;   // what the softmax or sigmoid reads
    bool sigmoid, log;  // log: the output holds logarithms
    bool dressed;       // by more than changes of its shape
    bool part;          // some of the classes are left out
    int n;              // nodes that the logits take in place of what they took before
    gb_node *move[GB_TAIL_MOST]; // the output's first
} gb_tail;

// False: no softmax over all numbers of an image, no sigmoid, or more than such nodes in between.
bool gb_find_tail(gb_tail *t, gb_value *output);

// p and 1 - p joined, p a sigmoid: its logit, and which of the two p is; NULL: something else.
gb_value *gb_find_pair(gb_value *output, int *positive);

// True if the graph shows that an image's numbers are probabilities that sum to one: a mixture of
// softmaxes, or classes joined into others.
bool gb_is_distribution(const gb_value *output);

// True if the output is a layer's, whatever is added or averaged afterwards: logits.
bool gb_is_plain(const gb_value *output);

#endif
