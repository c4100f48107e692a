// Small ONNX models for tests, built in a few lines and edited at will through `model` before they
// are packed. Running out of memory ends the test program.
#ifndef ONNX_BUILDER_H
#define ONNX_BUILDER_H

#include "base/mem.h"
#include "onnx/onnx.pb-c.h"

typedef struct onnx_builder {
    gb_arena arena;
    Onnx__ModelProto model; // IR 8, one default-domain opset
    Onnx__GraphProto graph;
} onnx_builder;

void onnx_init(onnx_builder *b, int opset);
void onnx_finish(onnx_builder *b);

// A float32 input or output; dimension -1 is symbolic.
void onnx_input(onnx_builder *b, const char *name, int rank, const int64_t *dims);
void onnx_output(onnx_builder *b, const char *name, int rank, const int64_t *dims);

// Initializers in raw storage. onnx_tensor is the general one: `bytes` of any ONNX element type; it
// returns the message, to be hung where it belongs with onnx_add_init or onnx_attr_tensor.
Onnx__TensorProto *onnx_tensor(onnx_builder *b, const char *name, int32_t type, int rank,
                               const int64_t *dims, const void *data, size_t bytes);
void onnx_add_init(onnx_builder *b, Onnx__TensorProto *tensor);
void onnx_init_f32(onnx_builder *b, const char *name, int rank, const int64_t *dims,
                   const float *data);
void onnx_init_i64(onnx_builder *b, const char *name, int rank, const int64_t *dims,
                   const int64_t *data);

// inputs and outputs: names with commas between, "" (or nothing between two commas) omits one.
Onnx__NodeProto *onnx_node(onnx_builder *b, const char *type, const char *inputs,
                           const char *outputs);
Onnx__AttributeProto *onnx_attr(onnx_builder *b, Onnx__NodeProto *node, const char *name,
                                int32_t type);
void onnx_attr_int(onnx_builder *b, Onnx__NodeProto *node, const char *name, int64_t v);
void onnx_attr_float(onnx_builder *b, Onnx__NodeProto *node, const char *name, float v);
void onnx_attr_string(onnx_builder *b, Onnx__NodeProto *node, const char *name, const char *v);
void onnx_attr_ints(onnx_builder *b, Onnx__NodeProto *node, const char *name, size_t n,
                    const int64_t *v);
void onnx_attr_floats(onnx_builder *b, Onnx__NodeProto *node, const char *name, size_t n,
                      const float *v);
void onnx_attr_tensor(onnx_builder *b, Onnx__NodeProto *node, const char *name,
                      Onnx__TensorProto *v);
void onnx_add_opset(onnx_builder *b, const char *domain, int64_t version);
void onnx_add_meta(onnx_builder *b, const char *key, const char *value);
void onnx_add_external(onnx_builder *b, Onnx__TensorProto *tensor, const char *key,
                       const char *value);

// The packed model, malloc'ed.
uint8_t *onnx_pack(onnx_builder *b, size_t *size);
int onnx_save(onnx_builder *b, const char *path); // 0 or a gb_status

#endif
