// The graph: values, nodes and host tensors, as ONNX describes them, free of any device.
//
// A gb_graph is either a *model* (as loaded: input shapes may hold unknown dimensions) or an
// *instance* (every shape known for one batch size, constants folded). Everything a graph holds
// lives in its arena.
#ifndef GB_IR_IR_H
#define GB_IR_IR_H

#include "base/mem.h"
#include "base/status.h"

enum { GB_MAX_RANK = 8 };

// Storage classes of host tensors. Loaders widen: fp16 and bf16 to F32, double to F32 (gibbon
// computes in fp32), every integer type to I64; booleans are I64 storage holding 0 or 1.
// F64 exists for the reference evaluator only.
typedef enum gb_dtype { GB_F32, GB_F64, GB_I64, GB_BOOL } gb_dtype;

// Which integers GB_I64 stores: those of fewer bits wrap around as the model's own do. Those of
// GB_UINT64 are stored as their bits.
typedef enum gb_int { GB_INT64, GB_INT32, GB_INT16, GB_INT8, GB_UINT64, GB_UINT32, GB_UINT16,
                      GB_UINT8 } gb_int;

typedef struct gb_shape {
    int rank;
    int64_t dim[GB_MAX_RANK]; // -1: unknown (only in models)
} gb_shape;

// A dense host tensor in ONNX's row-major order. gb_tensor_bytes gives the size of data.
typedef struct gb_tensor {
    gb_dtype type;
    gb_int ints; // where type is GB_I64
    gb_shape shape;
    void *data; // float, double or int64_t
} gb_tensor;

typedef struct gb_graph gb_graph;
typedef struct gb_node gb_node;
struct gb_op;    // op/op.h
struct gb_store; // op/emit.h

// Where a value lies on the device: element (i0,i1,...) is at offset + sum(i * stride), counted in
// elements of a store. Transposes, reshapes, slices and splits are other views of the same store.
typedef struct gb_view {
    struct gb_store *store; // NULL: not placed yet
    int64_t offset;
    int64_t stride[GB_MAX_RANK];
} gb_view;

// Which image of the batch each element of an instance's value is of: element e, counted in
// row-major order, is of image e / inside % batch, whatever the shape. So what only renames
// elements changes nothing. In an instance for one image there is nothing to tell: NONE.
typedef struct gb_images {
    enum {
        GB_IMAGES_NONE,    // depends on no image
        GB_IMAGES_COUNTED, // nor does this, but on how many there are
        GB_IMAGES_APART,   // each element on one
        GB_IMAGES_MIXED    // on several, or on an image's place in the batch
    } kind;
    int64_t inside; // of GB_IMAGES_APART
} gb_images;

typedef struct gb_value {
    const char *name;
    gb_dtype type;
    gb_int ints; // where type is GB_I64
    gb_shape shape;
    gb_tensor *data;   // not NULL: a constant
    gb_node *producer; // NULL: a graph input or a constant
    int uses;          // how many node inputs and graph outputs read it (gb_graph_prune)
    int id;            // index in graph->values
    gb_images images;  // op/images.h
    int param;         // an instance in training: 1 + its index among the parameters; 0: none

    // Filled while kernels are recorded (op/emit.h):
    gb_view view;
    bool needs_grad;
    struct gb_store *mask; // bits of the piecewise-linear activation that made the value, or NULL
    float mask_slope;      // its derivative where the bit is 0
    struct gb_store *slopes; // the derivative of another activation at each element, or NULL
    struct gb_value *source;   // not NULL: the value is act(source_scale[c] source + shift[c]), and
    const float *source_scale; // its gradient may go on to source at once
} gb_value;

typedef enum gb_attr_kind { GB_ATTR_INT, GB_ATTR_FLOAT, GB_ATTR_STRING, GB_ATTR_INTS,
                            GB_ATTR_FLOATS, GB_ATTR_TENSOR } gb_attr_kind;

typedef struct gb_attr {
    const char *name;
    gb_attr_kind kind;
    int64_t i;
    float f;
    const char *s;
    size_t count; // of ints or floats
    const int64_t *ints;
    const float *floats;
    gb_tensor *tensor;
} gb_attr;

// An activation fused behind a node: y = x < lo ? lo + slope_lo * (x - lo) : min(x, hi).
// Its derivative is one bit per element (1 inside, slope_lo below, 0 above). Relu is lo 0, hi inf,
// slope 0. Other functions of one element leave their derivative as numbers.
typedef struct gb_act {
    bool on;
    float lo, hi, slope;
    int smooth; // not 0: y = f(x; lo, hi), the function 1 + its gb_unary_kind (op/unary.h)
} gb_act;

struct gb_node {
    const char *type; // ONNX operator name
    const char *name; // the model's, or made up from type and index
    int opset;        // version of the default domain that the model imports
    int n_in, n_out;
    gb_value **in;  // an omitted optional input is NULL
    gb_value **out; // an omitted optional output is NULL
    int n_attr;
    gb_attr *attr;
    const struct gb_op *op; // found by gb_graph_resolve
    gb_graph *graph;

    // Set by fusion passes (engine/passes.c), honoured by Conv, Gemm and MatMul:
    gb_act act;         // and by BatchNormalization with constant parameters
    gb_value *residual; // added before the activation; same shape as out[0]
    gb_node *norm;      // its scale goes into the weights at every run, its shift is in[2]; its
                        // own in[0] is the bias that the layer had, or NULL

    size_t place; // where it stands in the list of nodes, while a pass needs to know
    void *state; // the operator's own, between its forward and its backward recording
};

struct gb_graph {
    gb_arena arena;
    int opset, ir_version;
    const char *producer; // "pytorch 2.1", or ""
    size_t n_value, n_node, n_in, n_out;
    size_t cap_value, cap_node, cap_in, cap_out;
    gb_value **value; // every value, inputs and constants included
    gb_node **node;   // in topological order
    gb_value **in;    // inputs that the caller supplies (initializers are not among them)
    gb_value **out;
    size_t n_meta, cap_meta; // ONNX metadata_props
    const char **meta_key, **meta_value;
    // An instance only:
    int64_t batch;          // the leading dimension of the inputs
    int64_t batch_in_model; // the fixed leading dimension that the file had, 0 if symbolic
    const char *mixes; // why its outputs are not those of each image alone, NULL: they are
};

// --- shapes and tensors (ir/shape.c, ir/tensor.c) ---

// Number of elements; -1 if a dimension is unknown or the product overflows.
int64_t gb_shape_count(const gb_shape *shape);
bool gb_shape_equal(const gb_shape *a, const gb_shape *b);
// "2x3x224x224", "scalar"; unknown dimensions as "?". Returns buf.
char *gb_shape_text(char *buf, size_t size, const gb_shape *shape);
// Numpy broadcasting of a and b; GB_ERR_ARG where they do not fit.
int gb_shape_broadcast(gb_shape *out, const gb_shape *a, const gb_shape *b);

// "float32", "int64", "uint8", "bool"; ints counts for GB_I64 alone.
const char *gb_type_name(gb_dtype type, gb_int ints);
size_t gb_dtype_size(gb_dtype type);
int gb_int_bits(gb_int ints);
bool gb_int_is_signed(gb_int ints);
// The low bits of v as such an integer.
int64_t gb_int_wrap(int64_t v, gb_int ints);
size_t gb_tensor_bytes(const gb_tensor *t);
// A zeroed tensor in the arena, its size checked for overflow (and against an absurd 2^40 bytes).
gb_tensor *gb_tensor_create(gb_arena *arena, gb_dtype type, const gb_shape *shape);
// The same of malloc'ed data that the arena takes over, also in failure; NULL: zeros.
gb_tensor *gb_tensor_adopt(gb_arena *arena, gb_dtype type, const gb_shape *shape, void *data);
// One element as a number, whatever the type; and back (rounded toward zero for integers).
double gb_tensor_get(const gb_tensor *t, int64_t i);
void gb_tensor_set(gb_tensor *t, int64_t i, double v);
int64_t gb_tensor_int(const gb_tensor *t, int64_t i);
// Wraps the elements that an evaluator has computed in 64 bits to what t->ints holds.
void gb_tensor_wrap(gb_tensor *t);

// --- building and reading graphs (ir/graph.c) ---

gb_graph *gb_graph_create(void);
void gb_graph_free(gb_graph *graph);
gb_value *gb_graph_value(gb_graph *graph, const char *name); // NULL when out of memory
gb_value *gb_graph_constant(gb_graph *graph, const char *name, gb_tensor *data);
// The same of numbers, as many as the shape has; v is not kept.
gb_value *gb_graph_numbers(gb_graph *graph, const char *name, gb_dtype type, const gb_shape *shape,
                           const double *v);
// A node at the end of the list with room for n_in, n_out and n_attr; the caller fills them in.
gb_node *gb_graph_node(gb_graph *graph, const char *type, const char *name, int n_in, int n_out,
                       int n_attr);
int gb_graph_add_input(gb_graph *graph, gb_value *value);
int gb_graph_add_output(gb_graph *graph, gb_value *value);
int gb_graph_add_meta(gb_graph *graph, const char *key, const char *value);
// The same, in place of what the key had.
int gb_graph_set_meta(gb_graph *graph, const char *key, const char *value);
const char *gb_graph_meta(const gb_graph *graph, const char *key); // NULL: absent
// Sets every value's `producer` and sorts the nodes topologically, changing nothing where they are
// sorted already; GB_ERR_FORMAT on a cycle, an input nobody produces or one that two nodes do.
int gb_graph_sort(gb_graph *graph);
// Sets every value's `uses`, drops nodes whose outputs nobody reads. The graph must be sorted.
int gb_graph_prune(gb_graph *graph);
// Which nodes read each value, as the graph is now: node[first[id]] up to node[first[id + 1]], in
// order, once for each time that a node reads it.
typedef struct gb_readers {
    size_t *first;
    gb_node **node;
} gb_readers;
int gb_graph_readers(gb_readers *readers, const gb_graph *graph);
void gb_readers_free(gb_readers *readers);
// Elements of the constants of floats: initializers, and what ConstantOfShape makes of a constant.
int64_t gb_graph_parameters(const gb_graph *graph);
// How many elements of the constants are NaN or infinite, *first the first constant that holds some
// (or NULL). An infinity that stands alone is not counted: it is the bound of a Clip or a fill.
int64_t gb_graph_nonfinite(const gb_graph *graph, const gb_value **first);
// One line a value and a node, for tests and --verbose. Returns a malloc'ed text.
char *gb_graph_dump(const gb_graph *graph);
// Of the graph's text, attributes and constants, exactly: tells models apart. GB_ERR_NOMEM.
int gb_graph_hash(uint64_t *hash, const gb_graph *graph);

// --- attributes (ir/attr.c): absent means the given default ---
const gb_attr *gb_attr_find(const gb_node *node, const char *name);
int64_t gb_attr_int(const gb_node *node, const char *name, int64_t or_else);
float gb_attr_float(const gb_node *node, const char *name, float or_else);
const char *gb_attr_string(const gb_node *node, const char *name, const char *or_else);
// Copies up to `max` integers; returns how many there are, -1 if absent.
int gb_attr_ints(const gb_node *node, const char *name, int64_t *out, int max);

// ONNX moved many attributes to inputs over time. These read attribute `name` or, if the node has
// it, the constant input `index`, whichever is there. *count = -1: neither. GB_ERR_UNSUPPORTED if
// the input is there but is not a constant.
int gb_arg_ints(const gb_node *node, const char *name, int index, int64_t *out, int max,
                int *count);
int gb_arg_float(const gb_node *node, const char *name, int index, float or_else, float *out);

// Wraps a negative axis; GB_ERR_ARG outside [-rank, rank).
int gb_axis(const gb_node *node, int64_t axis, int rank, int *out);

// "Conv 'layer1.0.conv1'" for messages; in a static thread-local buffer.
const char *gb_node_text(const gb_node *node);

#endif
