// Choices: a layer that several kernels can compute is looked up by what it computes, and done in
// the way that was found fastest on this device (engine/tune.h); where none was, a heuristic
// decides.
#ifndef GB_OP_CHOICE_H
#define GB_OP_CHOICE_H

#include "op/gathered.h"
#include "op/window.h"

// "F 9x64>64 at 3136 of 3136": direction (F forward, B to data), taps, input and output channels of
// a group, output and input pixels of one image; " in 32" groups. Never the batch: a way may change
// the order of a sum, and an image's result does not depend on its batch.
typedef struct gb_choice_key {
    char text[96];
} gb_choice_key;

// A way: "gemm 14x32" (pixels x channels of a tile), "gemm_gpu 64x64 8x4" (of a work-group, of a
// work-item in it), "product 14x32", "winograd 2", "winograd 4", "clblast".
#define GB_WAY_CLBLAST "clblast"
typedef struct gb_choice {
    char *key, *way;
} gb_choice;

typedef struct gb_choices {
    gb_choice *entry; // any order
    size_t count;
} gb_choices;

gb_choice_key gb_choice_gathered(const gb_emit *e, const gb_gathered *g);
gb_choice_key gb_choice_window(const gb_emit *e, const gb_window *w, bool backward);
gb_choice_key gb_choice_product(const gb_emit *e, const gb_shape *batch, const char *lie,
                                int64_t m, int64_t k, int64_t n);

// The way chosen for a key; NULL: none.
const char *gb_choices_find(const gb_choices *choices, const char *key);
const char *gb_emit_way(const gb_emit *e, const gb_choice_key *key);

// Notes at the last launch what it was looked up by and how it is computed.
void gb_emit_note_way(gb_emit *e, const gb_choice_key *key, const char *way_format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
