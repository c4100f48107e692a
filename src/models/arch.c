// The architectures: small CNNs for Fashion-MNIST, residual networks for 32x32 pictures.
#include "models/arch.h"

#include "base/name.h"
#include "models/net.h"

#include <stdio.h>
#include <string.h>

enum { OPSET = 17, IR = 8 }; // old enough for every ONNX user

const char *const gb_arch_activations[] = {"relu", "gelu", "silu", "softplus", NULL};

static void cnn_a(net *n, const gb_arch *arch, int classes)
{
    (void)arch;
    net_conv(n, "conv1", 32, 3, 2, NET_SAME, true);
    net_act(n);
    net_max_pool(n, 2);
    net_conv(n, "conv2", 62, 3, 2, NET_SAME, true);
    net_act(n);
    net_max_pool(n, 2);
    net_dense(n, "dense1", 256); // without an activation: so it was published
    net_dense(n, "logits", classes);
}

static void cnn_b(net *n, const gb_arch *arch, int classes)
{
    (void)arch;
    net_conv(n, "conv1", 32, 3, 1, NET_VALID, true);
    net_act(n);
    net_max_pool(n, 2);
    net_conv(n, "conv2", 64, 3, 1, NET_VALID, true);
    net_act(n);
    net_max_pool(n, 2);
    net_conv(n, "conv3", 64, 3, 1, NET_VALID, true);
    net_act(n);
    net_dense(n, "dense1", 64);
    net_act(n);
    net_dense(n, "logits", classes);
}

// "stage2.0.conv1"; returns buf.
static const char *part_name(char buf[48], int stage, int block, const char *part)
{
    snprintf(buf, 48, "stage%d.%d.%s", stage, block, part);
    return buf;
}

// He et al. 2016, section 4.2: depth 6n + 2, three stages of n blocks with 16, 32 and 64 channels.
// Where a stage begins, the shortcut is their option B, a 1x1 convolution (and its normalization):
// their option A, zeros for the new channels, saves 1 % of the weights and costs copies.
static void resnet(net *n, const gb_arch *arch, int classes)
{
    char name[48];
    net_conv(n, "conv1", 16, 3, 1, NET_HALF, false);
    net_norm(n, "norm1");
    net_act(n);
    for (int stage = 1; stage <= 3; stage++) {
        for (int block = 0; block < (arch->depth - 2) / 6; block++) {
            const int stride = stage > 1 && block == 0 ? 2 : 1, out = 16 << (stage - 1);
            const net in = *n;
            net_conv(n, part_name(name, stage, block, "conv1"), out, 3, stride, NET_HALF, false);
            net_norm(n, part_name(name, stage, block, "norm1"));
            net_act(n);
            net_conv(n, part_name(name, stage, block, "conv2"), out, 3, 1, NET_HALF, false);
            net_norm(n, part_name(name, stage, block, "norm2"));
            gb_value *residual = n->x;
            if (stride > 1) {
                n->x = in.x, n->c = in.c, n->h = in.h, n->w = in.w;
                net_conv(n, part_name(name, stage, block, "shortcut"), out, 1, stride, NET_VALID,
                         false);
                net_norm(n, part_name(name, stage, block, "shortcut_norm"));
                net_add(n, residual);
            } else {
                net_add(n, in.x);
            }
            net_act(n);
        }
    }
    net_average(n);
    net_dense(n, "logits", classes);
}

// Zagoruyko & Komodakis 2016: depth 6n + 4, normalization and activation in front of each
// convolution, 16, 32 and 64 channels times the width. A new number of channels reaches the
// shortcut's 1x1 convolution through the block's first activation.
static void wide_resnet(net *n, const gb_arch *arch, int classes)
{
    char name[48];
    net_conv(n, "conv1", 16, 3, 1, NET_HALF, false);
    for (int stage = 1; stage <= 3; stage++) {
        for (int block = 0; block < (arch->depth - 4) / 6; block++) {
            const int stride = stage > 1 && block == 0 ? 2 : 1, out = arch->width * 8 << stage;
            gb_value *shortcut = n->x;
            net_norm(n, part_name(name, stage, block, "norm1"));
            net_act(n);
            const net in = *n;
            net_conv(n, part_name(name, stage, block, "conv1"), out, 3, stride, NET_HALF, false);
            net_norm(n, part_name(name, stage, block, "norm2"));
            net_act(n);
            net_conv(n, part_name(name, stage, block, "conv2"), out, 3, 1, NET_HALF, false);
            if (in.c != out) {
                gb_value *residual = n->x;
                n->x = in.x, n->c = in.c, n->h = in.h, n->w = in.w;
                net_conv(n, part_name(name, stage, block, "shortcut"), out, 1, stride, NET_VALID,
                         false);
                shortcut = residual;
            }
            net_add(n, shortcut);
        }
    }
    net_norm(n, "norm");
    net_act(n);
    net_average(n);
    net_dense(n, "logits", classes);
}

static const gb_arch archs[] = {
    {.name = "cnn-a", .summary = "2 convolutions of stride 2, 2 dense layers; 85 thousand weights",
     .defaults = {1, 28, 28, 10, "relu"}, .layers = cnn_a},
    {.name = "cnn-b", .summary = "3 convolutions, 2 dense layers; 93 thousand weights",
     .defaults = {1, 28, 28, 10, "relu"}, .layers = cnn_b},
    {.name = "resnet-20", .summary = "residual network, 20 layers; 0.27 million weights",
     .defaults = {3, 32, 32, 10, "relu"}, .depth = 20, .layers = resnet, .he = true},
    {.name = "resnet-56", .summary = "residual network, 56 layers; 0.86 million weights",
     .defaults = {3, 32, 32, 10, "relu"}, .depth = 56, .layers = resnet, .he = true},
    {.name = "wrn-28-10", .summary = "wide residual network, 28 layers; 36.5 million weights",
     .defaults = {3, 32, 32, 10, "relu"}, .depth = 28, .width = 10, .layers = wide_resnet,
     .he = true},
};

const gb_arch *gb_arch_all(size_t *count)
{
    *count = GB_COUNT(archs);
    return archs;
}

int gb_arch_find(const gb_arch **out, const char *name)
{
    int i = gb_name_find("architecture", name, &archs[0].name, sizeof *archs, GB_COUNT(archs));
    if (i >= 0)
        *out = &archs[i];
    return i < 0 ? i : 0;
}

static int settle(gb_arch_options *out, const gb_arch *arch, const gb_arch_options *given)
{
    const gb_arch_options *own = &arch->defaults;
    *out = (gb_arch_options){.channels = given->channels ? given->channels : own->channels,
                             .height = given->height ? given->height : own->height,
                             .width = given->width ? given->width : own->width,
                             .classes = given->classes ? given->classes : own->classes,
                             .activation = given->activation ? given->activation : own->activation,
                             .seed = given->seed};
    if (out->channels < 1 || out->height < 1 || out->width < 1 || out->classes < 2)
        return gb_fail(GB_ERR_ARG, "%s: no network for %d classes of pictures of %dx%dx%d",
                       arch->name, out->classes, out->channels, out->height, out->width);
    int i = gb_name_among("activation", out->activation, gb_arch_activations);
    if (i >= 0)
        out->activation = gb_arch_activations[i];
    return i < 0 ? i : 0;
}

int gb_arch_build(gb_graph **out, const gb_arch *arch, const gb_arch_options *options)
{
    gb_arch_options o;
    gb_graph *graph = NULL;
    int err = 0;
    GB_TRY(settle(&o, arch, options));
    graph = gb_graph_create();
    gb_value *pixels = graph ? gb_graph_value(graph, "pixels") : NULL;
    if (!pixels) {
        err = GB_ERR_NOMEM;
        goto fail;
    }
    graph->opset = OPSET;
    graph->ir_version = IR;
    graph->producer = "gibbon";
    pixels->shape = (gb_shape){4, {-1, o.channels, o.height, o.width}};
    GB_TRY(gb_graph_add_input(graph, pixels));
    net n = {.graph = graph, .x = pixels, .c = o.channels, .h = o.height, .w = o.width,
             .activation = o.activation, .init = arch->he ? NET_HE : NET_GLOROT, .seed = o.seed};
    arch->layers(&n, arch, o.classes);
    if (n.err < 0) {
        err = gb_fail_in(n.err, "%s for pictures of %dx%d", arch->name, o.height, o.width);
        goto fail;
    }
    n.x->shape = (gb_shape){2, {-1, o.classes}};
    GB_TRY(gb_graph_add_output(graph, n.x));
    GB_TRY(gb_graph_sort(graph));
    GB_TRY(gb_graph_prune(graph));
    *out = graph;
    return 0;
fail:
    gb_graph_free(graph);
    return err;
}
