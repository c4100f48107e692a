// Layers as ONNX nodes, and their initial weights.
#include "models/net.h"

#include "base/hash.h"
#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME = 96 };

static void fail_memory(net *n)
{
    n->err = gb_fail(GB_ERR_NOMEM, "out of memory for a network");
}

// --- weights ---

// Four numbers of the distribution: uniform in (-1,1), or normal by Box and Muller's transform. The
// counter is the place in the tensor, the key the seed and the tensor's name, so that a layer's
// weights do not depend on the layers before it.
static void draw(float out[4], net_init init, uint64_t seed, uint64_t name, uint64_t block)
{
    const double tau = 6.283185307179586;
    gb_philox r = gb_philox4x32(
        (gb_philox){{(uint32_t)block, (uint32_t)(block >> 32), (uint32_t)name,
                     (uint32_t)(name >> 32)}},
        (uint32_t)seed, (uint32_t)(seed >> 32));
    for (int i = 0; i < 4; i++)
        out[i] = gb_uniform(r.v[i]);
    for (int i = 0; i < 4; i += 2) {
        double length = sqrt(-2 * log((double)out[i])), angle = tau * (double)out[i + 1];
        out[i] = init == NET_HE ? (float)(length * cos(angle)) : 2 * out[i] - 1;
        out[i + 1] = init == NET_HE ? (float)(length * sin(angle)) : 2 * out[i + 1] - 1;
    }
}

// An initializer LAYER.PART, all its values `fill`.
static gb_value *parameter(net *n, const char *layer, const char *part, const gb_shape *shape,
                           float fill)
{
    char name[NAME];
    snprintf(name, sizeof name, "%s.%s", layer, part);
    gb_tensor *t = gb_tensor_create(&n->graph->arena, GB_F32, shape);
    gb_value *value = t ? gb_graph_constant(n->graph, name, t) : NULL;
    int64_t count = gb_shape_count(shape);
    for (int64_t i = 0; value && fill != 0 && i < count; i++)
        ((float *)t->data)[i] = fill;
    if (!value)
        fail_memory(n);
    return value;
}

static gb_value *weights(net *n, const char *layer, const gb_shape *shape, int64_t fan_in,
                         int64_t fan_out)
{
    gb_value *value = parameter(n, layer, "weight", shape, 0);
    if (!value)
        return NULL;
    const double scale = n->init == NET_HE ? sqrt(2.0 / (double)fan_in)
                                           : sqrt(6.0 / (double)(fan_in + fan_out));
    const uint64_t name = gb_hash(GB_HASH_INIT, value->name, strlen(value->name));
    const int64_t count = gb_shape_count(shape);
    float *data = value->data->data, four[4];
    for (int64_t i = 0; i < count; i++) {
        if (i % 4 == 0)
            draw(four, n->init, n->seed, name, (uint64_t)i / 4);
        data[i] = (float)(scale * (double)four[i % 4]);
    }
    return value;
}

// --- nodes ---

// A node behind the network's end, that reads the end first; its output, named as the node is, is
// the new end. name NULL: made up from the type.
static gb_node *add_node(net *n, const char *type, const char *name, int n_in, int n_attr)
{
    if (n->err < 0)
        return NULL;
    gb_node *node = gb_graph_node(n->graph, type, name, n_in, 1, n_attr);
    gb_value *out = node ? gb_graph_value(n->graph, node->name) : NULL;
    if (!out) {
        fail_memory(n);
        return NULL;
    }
    node->in[0] = n->x;
    node->out[0] = n->x = out;
    return node;
}

static void attr_int(net *n, gb_node *node, int index, const char *name, int64_t value)
{
    gb_attr *attr = &node->attr[index];
    *attr = (gb_attr){.name = gb_arena_strdup(&n->graph->arena, name), .kind = GB_ATTR_INT,
                      .i = value};
    if (!attr->name)
        fail_memory(n);
}

static void attr_ints(net *n, gb_node *node, int index, const char *name, size_t count,
                      const int64_t *values)
{
    gb_attr *attr = &node->attr[index];
    int64_t *copy = gb_arena_array(&n->graph->arena, count, sizeof *copy);
    *attr = (gb_attr){.name = gb_arena_strdup(&n->graph->arena, name), .kind = GB_ATTR_INTS,
                      .count = count, .ints = copy};
    if (!copy || !attr->name)
        fail_memory(n);
    else
        memcpy(copy, values, count * sizeof *copy);
}

// The window's outputs along a side, and its padding before and after.
static int64_t window(int64_t in, int kernel, int stride, net_pad pad, int64_t pads[2])
{
    pads[0] = pads[1] = pad == NET_HALF ? kernel / 2 : 0;
    if (pad == NET_SAME) {
        int64_t total = ((in + stride - 1) / stride - 1) * stride + kernel - in;
        total = total > 0 ? total : 0;
        pads[0] = total / 2;
        pads[1] = total - pads[0];
    }
    int64_t room = in + pads[0] + pads[1] - kernel;
    return room < 0 ? 0 : room / stride + 1;
}

static bool shrink(net *n, int kernel, int stride, net_pad pad, int64_t pads[4])
{
    int64_t across[2], down[2];
    if (n->err < 0)
        return false;
    n->h = window(n->h, kernel, stride, pad, down);
    n->w = window(n->w, kernel, stride, pad, across);
    pads[0] = down[0];
    pads[1] = across[0];
    pads[2] = down[1];
    pads[3] = across[1];
    if (n->h < 1 || n->w < 1)
        n->err = gb_fail(GB_ERR_ARG, "too small: nothing is left of them after %zu layers",
                         n->graph->n_node);
    return n->err == 0;
}

void net_conv(net *n, const char *name, int64_t out, int kernel, int stride, net_pad pad, bool bias)
{
    const int64_t taps = (int64_t)kernel * kernel, strides[2] = {stride, stride};
    const gb_shape shape = {4, {out, n->c, kernel, kernel}}, vector = {1, {out}};
    int64_t pads[4];
    gb_node *node = shrink(n, kernel, stride, pad, pads)
                        ? add_node(n, "Conv", name, bias ? 3 : 2, 3)
                        : NULL;
    if (!node)
        return;
    attr_ints(n, node, 0, "kernel_shape", 2, &shape.dim[2]);
    attr_ints(n, node, 1, "strides", 2, strides);
    attr_ints(n, node, 2, "pads", 4, pads);
    node->in[1] = weights(n, name, &shape, taps * n->c, taps * out);
    if (bias)
        node->in[2] = parameter(n, name, "bias", &vector, 0);
    n->c = out;
}

void net_norm(net *n, const char *name)
{
    static const char *const part[4] = {"weight", "bias", "running_mean", "running_var"};
    const gb_shape shape = {1, {n->c}};
    gb_node *node = add_node(n, "BatchNormalization", name, 5, 0);
    for (int i = 0; node && i < 4; i++)
        node->in[1 + i] = parameter(n, name, part[i], &shape, i % 3 == 0 ? 1 : 0);
}

static gb_value *scalar(net *n, const char *name, float v)
{
    const gb_shape shape = {0, {0}};
    return parameter(n, n->x->name, name, &shape, v);
}

// x/2 (1 + erf(x / sqrt 2)), in operators that every opset has since 9.
static void add_gelu(net *n)
{
    gb_value *x = n->x, *half = scalar(n, "half", 0.5f), *root = scalar(n, "rsqrt2", 0.70710678f),
             *one = scalar(n, "one", 1);
    gb_node *scaled = add_node(n, "Mul", NULL, 2, 0), *erf = add_node(n, "Erf", NULL, 1, 0),
            *sum = add_node(n, "Add", NULL, 2, 0);
    n->x = x;
    gb_node *halved = add_node(n, "Mul", NULL, 2, 0), *product = add_node(n, "Mul", NULL, 2, 0);
    if (!scaled || !erf || !sum || !halved || !product)
        return;
    scaled->in[1] = root;
    sum->in[1] = one;
    halved->in[1] = half;
    product->in[1] = sum->out[0];
}

void net_act(net *n)
{
    gb_value *x = n->x;
    if (n->err < 0)
        return;
    if (!strcmp(n->activation, "gelu")) {
        add_gelu(n);
    } else if (!strcmp(n->activation, "silu")) {
        gb_node *sigmoid = add_node(n, "Sigmoid", NULL, 1, 0), *product;
        if (sigmoid && (product = add_node(n, "Mul", NULL, 2, 0)))
            product->in[1] = x;
    } else {
        add_node(n, !strcmp(n->activation, "softplus") ? "Softplus" : "Relu", NULL, 1, 0);
    }
}

void net_max_pool(net *n, int size)
{
    const int64_t side[2] = {size, size};
    int64_t pads[4];
    gb_node *node = shrink(n, size, size, NET_VALID, pads) ? add_node(n, "MaxPool", NULL, 1, 2)
                                                           : NULL;
    if (!node)
        return;
    attr_ints(n, node, 0, "kernel_shape", 2, side);
    attr_ints(n, node, 1, "strides", 2, side);
}

void net_average(net *n)
{
    add_node(n, "GlobalAveragePool", NULL, 1, 0);
    n->h = n->w = 1;
}

void net_dense(net *n, const char *name, int64_t out)
{
    const int64_t in = n->c * n->h * n->w;
    const gb_shape shape = {2, {out, in}}, vector = {1, {out}};
    if (!n->flat)
        add_node(n, "Flatten", NULL, 1, 0);
    gb_node *node = add_node(n, "Gemm", name, 3, 1);
    if (!node)
        return;
    attr_int(n, node, 0, "transB", 1);
    node->in[1] = weights(n, name, &shape, in, out);
    node->in[2] = parameter(n, name, "bias", &vector, 0);
    n->c = out;
    n->h = n->w = 1;
    n->flat = true;
}

void net_add(net *n, gb_value *other)
{
    gb_node *node = add_node(n, "Add", NULL, 2, 0);
    if (node)
        node->in[1] = other;
}
