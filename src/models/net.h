// Inside src/models: a network put together layer by layer, each reading what the last one made.
#ifndef GB_MODELS_NET_H
#define GB_MODELS_NET_H

#include "ir/ir.h"

typedef enum net_pad {
    NET_VALID, // none
    NET_SAME,  // Keras' "same": ceil(in / stride) outputs, an odd pixel of padding comes last
    NET_HALF   // half the kernel on every side, as PyTorch's users write it
} net_pad;

typedef enum net_init {
    NET_GLOROT, // uniform, +-sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio 2010), Keras' default
    NET_HE      // normal, deviation sqrt(2 / fan_in) (He et al. 2015)
} net_init;

// The first failure stays in err, with its message, and every later call does nothing.
typedef struct net {
    gb_graph *graph;
    gb_value *x;        // what the next layer reads
    int64_t c, h, w;    // its channels and size
    bool flat;          // it is a vector already, h = w = 1
    const char *activation;
    net_init init;
    uint64_t seed;
    int err;
} net;

// Without padding, a convolution that does not fit is an error: the pictures are too small.
void net_conv(net *n, const char *name, int64_t out, int kernel, int stride, net_pad pad,
              bool bias);
void net_norm(net *n, const char *name); // BatchNormalization, at first the identity
void net_act(net *n);                    // the network's activation
void net_max_pool(net *n, int size);     // without padding, stride `size`
void net_average(net *n);                // over the picture
void net_dense(net *n, const char *name, int64_t out); // flattens; with bias
void net_add(net *n, gb_value *other);

#endif
