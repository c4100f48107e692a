// What the gradients of scale and bias of every normalisation are: sums over its pixels.
#ifndef GB_OP_NORM_SUMS_H
#define GB_OP_NORM_SUMS_H

#include "op/emit.h"

// h = (x - mean) rate, where mean and rate of channel c in pixels [g per, (g + 1) per) are stats[i]
// and stats[i + rate_at], i = g step + c channel_step.
typedef struct gb_norm_sums {
    gb_pixels dy, x;
    gb_store *stats;
    int64_t per, step, channel_step, rate_at;
    gb_value *scale, *bias; // their gradients are written where they need one; bias may be NULL
    gb_shape row;           // the channels' dimensions, to which scale and bias broadcast
} gb_norm_sums;

// Records the sums and the gradients made of them. Returns the sums, [0: dy, 1: dy h][channel].
// Pixels are summed in segments that depend on their number alone.
gb_store *gb_emit_norm_sums(gb_emit *e, const gb_norm_sums *s);

// Those sums over the pixels of all ranks; `sums` itself where there is one.
gb_store *gb_emit_norm_sums_of_ranks(gb_emit *e, gb_store *sums, int64_t channels);

// Pixels of a segment that one work-item sums; for the batch's statistics too.
int64_t gb_norm_segment(int64_t pixels);

// Sets the last launch's size: an item for each vector of channels in each of `depth` parts.
void gb_norm_items(gb_emit *e, int64_t channels, int64_t depth);

#endif
