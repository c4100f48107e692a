// gb_graph -> ModelProto.
#ifndef GB_ONNX_SAVE_H
#define GB_ONNX_SAVE_H

#include "ir/ir.h"

// New values for a float initializer, in its own order and number.
typedef struct gb_onnx_weight {
    const char *name;
    const float *data;
} gb_onnx_weight;

// Writes a model (as loaded or built, not an instance) as an ONNX file: its opset, nodes,
// attributes, names, metadata and open dimensions (the first is called "batch"), the initializers
// that some node reads, and `weight` in place of their values. The file appears whole or not at
// all.
//
// What loading widened stays so: fp16, bf16 and double are saved as float32, integers as int64, and
// a Cast that led to one of them leads to the wide type. Subgraphs and lists of strings among the
// attributes, which gibbon does not read, are not saved. GB_ERR_ARG: a weight that the model does
// not have. GB_ERR_UNSUPPORTED: over 2 GiB, which the format does not hold in one file.
int gb_onnx_save(const char *path, const gb_graph *model, const gb_onnx_weight *weight,
                 size_t n_weight);

// The same into memory; *bytes is malloc'ed. `name` is for messages.
int gb_onnx_encode(void **bytes, size_t *size, const gb_graph *model, const gb_onnx_weight *weight,
                   size_t n_weight, const char *name);

#endif
