// The gathered GEMM, one kernel for every dense convolution, dense layer and input gradient:
//
//     y[outs[m]][n] = sum over taps t, channels k of x[rows[t][m]][k] * w[t][k][n]
//
// with an epilogue (bias, residual, activation and its mask, accumulation). Padding, stride and
// dilation live in the tables. The sum runs over t, then k, in blocks of at least SUM_BLOCK terms
// (cl/vectors.cl) whatever the tile sizes, so a result does not depend on the batch or on the form
// of the kernel.
#ifndef GB_OP_GATHERED_H
#define GB_OP_GATHERED_H

#include "op/pack.h"

// Pieces of b that hold a; both positive.
static inline int64_t gb_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

// Weight of group g, output channel n, input channel k at tap t: scale * value[i] for
// i = g*sg + n*sn + k*sk + tap[t], or scale * value[index[i]] (index -1: zero).
typedef struct gb_gathered_weights {
    gb_value *value;
    const int32_t *index; // NULL: none
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
    gb_value *bias;           // times bias_scale: [groups * n], or one for all
    float bias_scale;
    const gb_pixels *residual;
    bool add;                 // + y
    gb_act act;
    gb_store *act_mask;       // written: the activation's bits (NULL: not kept)
    gb_store *act_slopes;     // or its derivatives
    gb_store *mask;           // read: multiplies by 1 or mask_slope
    float mask_slope;
    bool mask_first;          // the mask is of the sum alone, y is added behind it
    gb_store *slopes;         // read: multiplies
    const char *what;
} gb_gathered;

void gb_gathered_record(gb_emit *e, const gb_gathered *g);

// Adds the gradients of the weights and the bias, those that need one, given y's: the transposed
// product, dW[t][k][n] = sum over m of x[rows[t][m]][k] * dy[m][n]. g describes the forward
// product; its outs are 0, 1, 2, ..., its bias one number a channel.
void gb_gathered_weights_record(gb_emit *e, const gb_gathered *g, const gb_pixels *dy);

// The same of a depthwise convolution, each channel a group; puts its weights: [tap][pitch].
void gb_depthwise_weights_record(gb_emit *e, const gb_gathered *g, const gb_pixels *dy);
void gb_depthwise_pack(gb_pack *p, const gb_gathered *g, int64_t pitch);

// The channels of a tile: what a row of packed weights holds; and how many groups are taken
// together as one.
int gb_gathered_columns(const gb_device_info *info, int64_t n);
int64_t gb_gathered_merge(int64_t groups, int64_t k, int64_t n);
// Put the weights, [group][block][tap][k][nr], and the bias, [group][block][nr], `merged` groups
// being one.
void gb_gathered_pack(gb_pack *p, const gb_gathered *g, int64_t merged, int nr);
void gb_gathered_pack_bias(gb_pack *p, const gb_gathered *g, int64_t merged, int nr);

// Puts the node's activation into the epilogue, and what its gradient needs.
void gb_gathered_act(gb_emit *e, gb_gathered *g, const gb_node *node);
// Appends the epilogue's arguments, the same for every kernel that has one (cl/epilogue.cl), and
// the options that such a kernel's program needs for its activation.
void gb_put_epilogue(gb_emit *e, const gb_gathered *g);
const char *gb_epilogue_options(gb_emit *e, const gb_gathered *g);

// The ways to compute one (op/choice.h) that `gibbon tune` compares on a device; ends with NULL.
const char *const *gb_gathered_ways(const gb_device_info *info);

// True if an epilogue can write and apply mask words: each group's outputs fill whole words, or
// there is one group.
bool gb_gathered_masks(int64_t groups, int64_t k, int64_t n);

#endif
