// ModelProto -> gb_graph.
#ifndef GB_ONNX_LOAD_H
#define GB_ONNX_LOAD_H

#include "ir/ir.h"

// Reads an ONNX file: IR version 3 and later, opset 7 to 21, dense tensors of every ONNX number
// type in raw, typed or external storage (external paths are relative to the file's folder and may
// not leave it). Initializers that are also listed as inputs are constants, and `Constant` nodes
// become constants. Symbolic dimensions are -1. A node of a foreign domain has the type
// "domain:Name". The result is sorted and pruned; operators are not checked against the table yet
// (gb_model_unsupported does).
int gb_onnx_load(gb_graph **out, const char *path);

// The same from memory; `folder` resolves external data, NULL forbids it. `name` is for messages.
int gb_onnx_decode(gb_graph **out, const void *bytes, size_t size, const char *name,
                   const char *folder);

// A single TensorProto (.pb), as in ONNX's test data. The tensor lives in the arena.
int gb_onnx_decode_tensor(gb_tensor **out, gb_arena *arena, const void *bytes, size_t size,
                          const char *name);

#endif
