// Row tables: where a window's taps lie, for kernels that gather.
#ifndef GB_OP_TABLES_H
#define GB_OP_TABLES_H

#include "op/emit.h"
#include "op/window.h"

// Forward: [taps][out points], the input pixel that tap t of an output point reads, -1 outside.
// malloc'ed; NULL (and the recorder has failed) when it would be too large.
int32_t *gb_table_forward(gb_emit *e, const gb_window *w);

// Transposed: [taps][in points], the output pixel that reads an input point at tap t, or -1.
int32_t *gb_table_transposed(gb_emit *e, const gb_window *w);

// 0, 1, 2, ...
int32_t *gb_table_identity(gb_emit *e, int64_t count);

// The input points whose valid taps are the same: those with one residue of (i + pad) modulo the
// stride in each dimension. A convolution's input gradient is a stride-1 convolution over each
// class.
typedef struct gb_phase {
    int64_t taps, points;
    int64_t *tap;    // [taps]: index of the tap in the kernel
    int32_t *points_at; // [points]: input pixel
    int32_t *rows;   // [taps][points]: output pixel or -1
} gb_phase;

// The class of residue r[] (0 <= r < stride). Empty classes have points 0. Freed by the caller with
// gb_phase_finish.
int gb_phase_init(gb_phase *phase, const gb_window *w, const int64_t r[GB_MAX_SPATIAL]);
void gb_phase_finish(gb_phase *phase);

// Where x of a phase and its taps: iterates r over all residues; false after the last.
bool gb_phase_next(const gb_window *w, int64_t r[GB_MAX_SPATIAL]);

#endif
