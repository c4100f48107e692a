// Transfer: do adversarial examples made against one model fool others?
#ifndef GB_EVAL_TRANSFER_H
#define GB_EVAL_TRANSFER_H

#include "attack/attack.h"
#include "base/ranks.h"
#include "data/data.h"

typedef struct gb_transfer_options {
    const char *const *name; // [n] of the models, for messages
    size_t limit;  // how many pictures, drawn with the seed; 0: all of the data set
    uint64_t seed; // of the draw
    const gb_ranks *ranks; // that share the pictures; NULL: one process
    // Now and then, at picture `done` of this rank's `total`; source: the model that is attacked, n
    // while the unchanged pictures are classified. Not 0 ends the run with GB_ERR_CANCELLED. May be
    // NULL.
    int (*look)(void *user, size_t source, size_t done, size_t total);
    void *user;
} gb_transfer_options;

// A picture counts for a pair of models if both classify it correctly as it is: what they get wrong
// anyway says nothing about the attack.
typedef struct gb_transfer {
    size_t models, images;
    size_t *correct; // [models]: pictures classified correctly as they are
    size_t *both;    // [source][target]: those that both classify correctly
    size_t *fooled;  // [source][target]: of these, what target gets wrong as changed by source's
                     // attack; the diagonal is the attack's own success
} gb_transfer;

// attack: n of them, made ready for models of the same input size and classes as ds. A zeroed
// gb_transfer is empty and valid. What is counted is this rank's share of the pictures.
int gb_transfer_run(gb_transfer *out, gb_attack *const *attack, size_t n, const gb_dataset *ds,
                    const gb_transfer_options *options);
// Collective: the counts of all ranks together.
int gb_transfer_join(gb_transfer *t, const gb_ranks *ranks);
void gb_transfer_finish(gb_transfer *t);

#endif
