// Losses of logits with labels, one number per image, and their gradients; gibbon.h names them.
#ifndef GB_OP_LOSS_H
#define GB_OP_LOSS_H

#include "op/emit.h"

typedef struct gb_loss_spec {
    gb_loss kind;
    float smoothing;   // of CE and of TRADES' CE: the share of the target spread over all classes
    gb_store *labels;  // int32 [N], each in [0,K); TRADES reads the first half, KL none
    gb_store *seconds; // PAIR: int32 [N]
    gb_store *targets; // KL: float [N,K]
    gb_store *weights; // float [N], the factor of each image's loss in the gradient; NULL: 1
    gb_store *losses;  // float [N], written by the forward: loss(logits[n, :], labels[n])
} gb_loss_spec;

// Records the losses of logits [N,K] and, on the backward side, the gradient of sum(weights *
// losses) into gb_emit_target(logits). MARGIN and PAIR need K >= 2, DLR K >= 3, TRADES an even N.
void gb_loss_forward(gb_emit *e, const gb_loss_spec *loss, gb_value *logits);
void gb_loss_backward(gb_emit *e, const gb_loss_spec *loss, gb_value *logits);

#endif
