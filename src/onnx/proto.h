// Inside src/onnx: the pieces that load.c is put together from.
#ifndef GB_ONNX_PROTO_H
#define GB_ONNX_PROTO_H

#include "ir/ir.h"
#include "onnx/onnx.pb-c.h"

// TensorProto.DataType, by its published numbers.
enum {
    GB_ONNX_FLOAT = 1, GB_ONNX_UINT8, GB_ONNX_INT8, GB_ONNX_UINT16, GB_ONNX_INT16, GB_ONNX_INT32,
    GB_ONNX_INT64, GB_ONNX_STRING, GB_ONNX_BOOL, GB_ONNX_FLOAT16, GB_ONNX_DOUBLE, GB_ONNX_UINT32,
    GB_ONNX_UINT64, GB_ONNX_COMPLEX64, GB_ONNX_COMPLEX128, GB_ONNX_BFLOAT16
};

// AttributeProto.AttributeType.
enum {
    GB_ONNX_ATTR_FLOAT = 1, GB_ONNX_ATTR_INT, GB_ONNX_ATTR_STRING, GB_ONNX_ATTR_TENSOR,
    GB_ONNX_ATTR_GRAPH, GB_ONNX_ATTR_FLOATS, GB_ONNX_ATTR_INTS
};

// What stores an ONNX element type; GB_ERR_UNSUPPORTED for strings, complex and the like.
int gb_onnx_dtype(gb_dtype *out, gb_int *ints, int32_t code);
// The element type that stores it without loss.
int32_t gb_onnx_code(gb_dtype type, gb_int ints);

// Converts a tensor. `folder` resolves external data, NULL forbids it. The proto's raw bytes
// become the tensor's or are freed, as weights would otherwise be held twice.
int gb_onnx_tensor(gb_tensor **out, gb_arena *arena, Onnx__TensorProto *proto, const char *folder);

// Reads the `need` bytes of a tensor that lie in another file; *bytes is malloc'ed.
int gb_onnx_external(unsigned char **bytes, size_t need, const Onnx__TensorProto *proto,
                     const char *folder);

// Values by name. A zeroed gb_names is empty and valid; the names are the values' own.
typedef struct gb_names {
    size_t n, cap; // cap: a power of two
    gb_value **slot;
} gb_names;
gb_value *gb_names_find(const gb_names *names, const char *name); // NULL: absent
int gb_names_add(gb_names *names, gb_value *value); // must be absent
void gb_names_finish(gb_names *names);

#endif
