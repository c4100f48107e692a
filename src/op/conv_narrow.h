// Convolutions of few channels (pictures): taps or neighbouring pixels along the last axis become
// channels, so that the gathered GEMM's vectors and inner loops are filled.
#ifndef GB_OP_CONV_NARROW_H
#define GB_OP_CONV_NARROW_H

#include "op/gathered.h"
#include "op/tables.h"

// What a rewritten gathered GEMM points to; everything is the caller's to free with _finish.
typedef struct gb_narrow {
    int64_t *tap;
    int32_t *rows, *outs;
    int32_t *index; // of the rewritten weights in the value
} gb_narrow;

void gb_narrow_finish(gb_narrow *narrow);

// Forward: the taps of a row read kernel[2] * c_in neighbouring floats once the picture's rows are
// padded, so one tap of that many channels replaces kernel[2] taps. Copies the input into padded
// rows and rewrites g (which describes the plain convolution). False: not applicable, g unchanged.
bool gb_narrow_forward(gb_emit *e, const gb_window *w, gb_gathered *g,
                       gb_narrow *narrow);

// To data: `merge` neighbouring pixels of a row are merge * c_in contiguous floats, so one launch
// computes them all as channels; the phases of the other axes stay. 0: not worthwhile.
int64_t gb_narrow_merge(const gb_window *w, const gb_pixel_target *t);
// Rewrites g for the phase r (of axes 0 and 1; r[2] is not looked at).
int gb_narrow_backward(const gb_window *w, const int64_t r[GB_MAX_SPATIAL], int64_t merge,
                       gb_gathered *g, gb_narrow *narrow);

#endif
