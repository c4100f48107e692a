// The gathered GEMM, one kernel for every dense convolution, dense layer and input gradient:
//
//     y[outs[m]][n] = sum over taps t, channels k of x[rows[t][m]][k] * w[t][k][n]
//
// with an epilogue (bias, residual, activation and its mask, accumulation). Padding, stride and
// dilation live in the tables. The sum runs over t, then k, in that order whatever the tile sizes,
// so a result does not depend on the batch or on the form of the kernel.
#ifndef GB_OP_GATHERED_H
#define GB_OP_GATHERED_H

#include "op/emit.h"

// Weight of group g, output channel n, input channel k at tap t:
// scale * data[g*sg + n*sn + k*sk + tap[t]].
typedef struct gb_gathered_weights {
    const gb_tensor *data;
    int64_t sg, sn, sk;
    const int64_t *tap; // [taps]
    float scale;
} gb_gathered_weights;

typedef struct gb_gathered {
    gb_pixels x, y;           // batch included; channels of all groups
    int64_t x_image, y_image; // pixels of one image
    int64_t images;
    int64_t taps, points;     // points: output pixels of one image that this launch computes
    const int32_t *rows;      // [taps][points]: a pixel of x's image, -1: zeros
    const int32_t *outs;      // [points]: a pixel of y's image
    int64_t groups, k, n;     // k, n: channels of one group
    gb_gathered_weights w;
    // Epilogue, in this order; absent where NULL or off.
    const float *bias;        // [groups * n]
    const gb_pixels *residual;
    bool add;                 // + y
    gb_act act;
    gb_store *act_mask;       // written: the activation's bits (NULL: not kept)
    gb_store *mask;           // read: multiplies by 1 or mask_slope
    float mask_slope;
    bool mask_first;          // the mask is of the sum alone, y is added behind it
    const char *what;
} gb_gathered;

void gb_gathered_record(gb_emit *e, const gb_gathered *g);

// Appends the epilogue's arguments, the same for every kernel that has one (cl/common.cl).
void gb_put_epilogue(gb_emit *e, const gb_gathered *g);

// The ways to compute one (op/choice.h) that `gibbon tune` compares on a device; ends with NULL.
const char *const *gb_gathered_ways(const gb_device_info *info);

// True if an epilogue can write and apply mask words: each group's outputs fill whole words, or
// there is one group.
bool gb_gathered_masks(int64_t groups, int64_t k, int64_t n);

#endif
