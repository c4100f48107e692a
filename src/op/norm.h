// Normalisations.
#ifndef GB_OP_NORM_H
#define GB_OP_NORM_H

#include "op/emit.h"

// BatchNormalization: y = (x - mean[c]) / sqrt(var[c] + epsilon) * scale[c] + bias[c], channel axis
// 1; inputs x, scale, bias, mean, var. In training mode (opset 14) with the batch's own mean and
// variance; outputs 1 and 2 are then the new running ones, momentum * old + (1 - momentum) * batch.
// InstanceNormalization: the same with mean and variance of each (n, c) over the spatial elements;
// inputs x, scale, bias.
// LayerNormalization: mean and variance over the axes from `axis` on, y = (x - mean) * inv_std *
// scale + bias, where scale and the optional bias broadcast to x; outputs y, mean, inv_std.
// The variance is the biased one. x is [outer, channels, inner] for the first two, with outer = N;
// [outer, inner] with channels 1 for the third.
typedef struct gb_norm_args {
    float epsilon;
    int axis;          // LayerNormalization
    bool training;     // BatchNormalization, with what follows
    bool unbiased;     // the running variance is a sample's (count - 1): PyTorch's, not ONNX's
    float momentum;
    int64_t outer, channels, inner;
} gb_norm_args;
int gb_norm_read(const gb_node *node, gb_norm_args *n);

// Puts a BatchNormalization into training mode, the running variance unbiased; it gets outputs 1
// and 2 where it has none. Its attributes become its graph's own.
int gb_batch_norm_train(gb_node *node);
// In training mode, or with parameters that are no constants (op/batch_norm_live.c).
bool gb_batch_norm_is_live(const gb_node *node);

int gb_batch_norm_forward(gb_emit *e, gb_node *node);
int gb_batch_norm_backward(gb_emit *e, gb_node *node);
int gb_batch_norm_live_forward(gb_emit *e, gb_node *node);
int gb_batch_norm_live_backward(gb_emit *e, gb_node *node);
int gb_instance_norm_forward(gb_emit *e, gb_node *node);
int gb_instance_norm_backward(gb_emit *e, gb_node *node);
int gb_layer_norm_forward(gb_emit *e, gb_node *node);
int gb_layer_norm_backward(gb_emit *e, gb_node *node);

// LRN: y = x / (bias + alpha / size * s)^beta with s the sum of squares over the channels
// c - before .. c + after that exist.
typedef struct gb_lrn {
    float alpha, beta, bias;
    int64_t size, before, after;
    int64_t outer, channels, inner;
} gb_lrn;
int gb_lrn_read(const gb_node *node, gb_lrn *l);
int gb_lrn_forward(gb_emit *e, gb_node *node);
int gb_lrn_backward(gb_emit *e, gb_node *node);

#endif
