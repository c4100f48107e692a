// Losses of logits with labels, one number per image, and their gradients.
#ifndef GB_OP_LOSS_H
#define GB_OP_LOSS_H

#include "op/emit.h"

typedef enum gb_loss {
    GB_LOSS_NONE,
    GB_LOSS_CE,     // cross-entropy of the logits with the label
    GB_LOSS_MARGIN, // max_{i != y} z_i - z_y (Carlini & Wagner 2017, f6 without the hinge)
    GB_LOSS_DLR     // difference of logits ratio (Croce & Hein 2020)
} gb_loss;

// Records losses[n] = loss(logits[n, :], labels[n]) and, on the backward side, its gradient (seed 1
// for every image) into gb_emit_target(logits). logits: [N,K]; labels: int32 [N], each in [0,K);
// losses: float [N]. The margin needs K >= 2, DLR K >= 3.
void gb_loss_forward(gb_emit *e, gb_loss loss, gb_value *logits, gb_store *labels,
                     gb_store *losses);
void gb_loss_backward(gb_emit *e, gb_loss loss, gb_value *logits, gb_store *labels);

#endif
