// Architectures: networks that gibbon can make from nothing, with initial weights from a seed.
#ifndef GB_MODELS_ARCH_H
#define GB_MODELS_ARCH_H

#include "ir/ir.h"

struct net; // models/net.h

typedef struct gb_arch_options {
    int channels, height, width, classes; // 0: the architecture's own
    const char *activation;               // one of gb_arch_activations; NULL: the architecture's
    uint64_t seed;
} gb_arch_options;

typedef struct gb_arch {
    const char *name, *summary;
    gb_arch_options defaults;
    int depth, width; // what a family is parameterised by, 0: nothing
    void (*layers)(struct net *n, const struct gb_arch *arch, int classes);
    bool he; // initial weights: He's normal, else Glorot's uniform distribution
} gb_arch;

const gb_arch *gb_arch_all(size_t *count);
int gb_arch_find(const gb_arch **out, const char *name); // GB_ERR_ARG lists them
extern const char *const gb_arch_activations[]; // "relu", ...; ends with NULL

// Builds the model: input "pixels" (batch,C,H,W), output "logits" (batch,classes), opset 17. The
// same seed gives the same weights. GB_ERR_ARG: an unknown activation, or pictures too small.
int gb_arch_build(gb_graph **out, const gb_arch *arch, const gb_arch_options *options);

#endif
