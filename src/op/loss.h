// Losses of logits with labels, one number per image, and their gradients; gibbon.h names them.
#ifndef GB_OP_LOSS_H
#define GB_OP_LOSS_H

#include "op/emit.h"

// Records losses[n] = loss(logits[n, :], labels[n]) and, on the backward side, its gradient (seed 1
// for every image) into gb_emit_target(logits). logits: [N,K]; labels: int32 [N], each in [0,K);
// losses: float [N]. The margin needs K >= 2, DLR K >= 3.
void gb_loss_forward(gb_emit *e, gb_loss loss, gb_value *logits, gb_store *labels,
                     gb_store *losses);
void gb_loss_backward(gb_emit *e, gb_loss loss, gb_value *logits, gb_store *labels);

#endif
