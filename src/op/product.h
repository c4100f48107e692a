// Batched products of two activations, with any strides: attention's q k' and p v.
#ifndef GB_OP_PRODUCT_H
#define GB_OP_PRODUCT_H

#include "op/emit.h"

// out[0][batch][m][n] = scale * sum_k A[batch][m][k] * B[batch][k][n], A and B being in[0] and
// in[1], their last two dimensions swapped where trans_* says so; leading dimensions broadcast to
// `batch`.
typedef struct gb_product {
    int64_t m, n, k;
    float scale;
    bool trans_a, trans_b;
    gb_shape batch;
} gb_product;

int gb_product_forward(gb_emit *e, gb_node *node, const gb_product *p);
int gb_product_backward(gb_emit *e, gb_node *node, const gb_product *p);

// Our ways to compute one (op/choice.h) that `gibbon tune` compares; the first is the usual one,
// NULL the last.
const char *const *gb_product_ways(const gb_device_info *info);

#endif
