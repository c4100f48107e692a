// Recording: operators describe their kernel launches here; nothing runs yet.
//
// A schedule is a straight list of launches. Each launch names the stores it touches, so the
// planner (engine/plan.c) knows when each store lives without being told what an operator "saves":
// what the backward launches read is kept, and nothing else.
//
// Errors are sticky: after the first one every call does nothing and e->status holds it, so
// operators record without checking each call and `return e->status`.
#ifndef GB_OP_EMIT_H
#define GB_OP_EMIT_H

#include "ir/ir.h"
#include "device/device.h"

typedef enum gb_store_kind {
    GB_STORE_TEMP,  // lives in the planned arena from first to last touching launch
    GB_STORE_CONST, // uploaded once when the session is made
    GB_STORE_IO,    // a buffer of its own, for the session's caller (inputs, outputs, gradients)
    GB_STORE_PART,  // a piece of another store
    GB_STORE_EXTERN // somebody else's buffer: the parameters
} gb_store_kind;

typedef struct gb_store gb_store;
struct gb_store {
    const char *what; // for the memory plan's listing
    gb_store_kind kind;
    size_t bytes;
    void *data;        // CONST: malloc'ed host data, freed once it is uploaded
    uint64_t hash;     // CONST: of data
    gb_store *next;    // CONST: the one before of the same bucket
    gb_store *grad;    // the gradient's store: same geometry, made on first use
    bool grad_written; // during recording: every element of the gradient is defined
    int grad_pending;  // contributions to the gradient that may still come
    struct gb_products *products; // contributions to the gradient that wait (gb_emit_grad_product)
    gb_store *mask;    // bits of the activation whose output fills this store (see gb_emit_mask)
    float mask_slope;  // the derivative where the bit is 0
    gb_store *slopes;  // the derivatives themselves, of another activation (see gb_emit_slopes)
    int64_t mask_channels; // of mask or slopes
    int first, last;   // launches that touch it (-1: none)
    gb_store *over;    // lies in this one's place (before planning: may lie), or NULL
    // After planning:
    gb_buf *buf;      // EXTERN: from the start
    gb_store *parent; // PART: of this store
    size_t offset;    // bytes into the arena (TEMP) or the parent (PART)
    int until;        // the last launch that touches what lies in its place
    int id;
};

typedef enum gb_arg_kind { GB_ARG_STORE, GB_ARG_I32, GB_ARG_F32, GB_ARG_LOCAL } gb_arg_kind;

typedef struct gb_arg {
    gb_arg_kind kind;
    gb_store *store;
    int32_t i;
    float f;
    size_t local_bytes;
} gb_arg;

enum { GB_MAX_ARGS = 40 };

typedef struct gb_launch {
    const char *program; // cl/PROGRAM.cl
    const char *kernel;
    const char *options; // "-DMR=8 ..."; few variants, shapes are arguments
    const gb_node *node; // NULL: the engine's own
    bool backward;
    size_t global[3], local[3]; // local[0] 0: the driver's choice
    int n_arg;
    gb_arg arg[GB_MAX_ARGS];
    gb_gemm_call *gemm; // not NULL: CLBlast computes arguments 2 = 0 x 1 instead
    bool gather;        // no kernel: the host collects argument 0 of all ranks in argument 1
    double flops; // useful floating-point operations, for `bench` and `info`
    const char *key, *way; // what was looked up and how it is computed (op/choice.h), or NULL
    gb_kernel *ready; // after planning
} gb_launch;

// What the one launch that packs the parameters does: packed[i] = parameter[table[i]] (op/pack.h).
typedef struct gb_packing {
    gb_launch *launch; // NULL: there are no parameters
    int32_t *table;
    size_t count, cap;
    gb_store *index, *packed;
} gb_packing;

typedef struct gb_emit {
    int status; // sticky
    gb_device *dev;
    const gb_device_info *info;
    gb_graph *graph;
    gb_arena arena;
    gb_launch **launch;
    size_t n_launch, cap_launch;
    gb_store **store;
    size_t n_store, cap_store;
    gb_store **bucket; // [n_bucket]: the last constant of each remainder of the hash
    size_t n_bucket, n_const;
    gb_node *node; // being recorded
    bool backward;
    bool want_grad;   // a backward schedule will follow: forward launches may write masks
    const struct gb_choices *choices; // how layers are to be computed (op/choice.h), or NULL
    gb_readers readers; // of each value
    gb_node **concat; // [value id]: the Concat whose store holds the value, or NULL,
    int64_t *concat_start; // and from which element of its axis on
    gb_store *params; // not NULL: the parameters' flat buffer, where values with `param` lie
    bool train;       // BatchNormalization uses the statistics of the batch
    int ranks;        // processes that have a part each of the batch; 1: all of it is here
    gb_packing packing; // of parameters, in one launch in front of all others
} gb_emit;

// Prepares recording of a graph whose uses are counted; gb_emit_finish frees what it recorded.
int gb_emit_init(gb_emit *e, gb_device *dev, gb_graph *graph, bool want_grad);
void gb_emit_finish(gb_emit *e);
// Between forward and backward: counts the contributions that each gradient may get.
void gb_emit_begin_backward(gb_emit *e);

// --- launches ---

// Starts a launch; the following gb_put_* calls append its arguments in the kernel's order.
gb_launch *gb_emit_launch(gb_emit *e, const char *program, const char *kernel,
                          const char *options_format, ...) __attribute__((format(printf, 4, 5)));
void gb_emit_size(gb_emit *e, size_t gx, size_t gy, size_t gz); // local size: 1x1x1 on a CPU,
                                                                // the driver's choice on a GPU
void gb_emit_local(gb_emit *e, size_t lx, size_t ly, size_t lz); // explicit; divides global
// The product c = a b by CLBlast, instead of a kernel; the offsets in the call are kept.
gb_launch *gb_emit_gemm(gb_emit *e, const gb_gemm_call *call, gb_store *a, gb_store *b,
                        gb_store *c);
// What `mine` holds at this point on every rank, [ranks][its bytes]: an exchange between launches.
gb_store *gb_emit_gather(gb_emit *e, gb_store *mine);
void gb_put_store(gb_emit *e, gb_store *store);              // global pointer; NULL store allowed
void gb_put_view(gb_emit *e, const gb_view *view);           // global pointer, then int offset
void gb_put_i32(gb_emit *e, int64_t v);                      // checked to fit an int
void gb_put_f32(gb_emit *e, float v);
void gb_put_local(gb_emit *e, size_t bytes);                 // local memory
void gb_emit_fail(gb_emit *e, int status);                   // keeps the first failure

// --- stores ---

gb_store *gb_emit_temp(gb_emit *e, size_t bytes, const char *what);
gb_store *gb_emit_io(gb_emit *e, size_t bytes, const char *what);
// A constant, copied unless the same bytes are already there.
gb_store *gb_emit_const(gb_emit *e, const void *data, size_t bytes, const char *what);
// The same for malloc'ed data that the recorder takes over; NULL data is out of memory.
gb_store *gb_emit_const_take(gb_emit *e, void *data, size_t bytes, const char *what);
void gb_store_drop_data(gb_store *store);

// `bytes` of another store from an offset that is a multiple of the device's alignment.
gb_store *gb_emit_part(gb_emit *e, gb_store *parent, size_t offset, size_t bytes,
                       const char *what);
// Somebody else's buffer, which outlives the schedule.
gb_store *gb_emit_extern(gb_emit *e, gb_buf *buf, size_t bytes, const char *what);

// --- values ---

// Memory orders of fresh outputs. CHANNELS_LAST moves axis 1 behind the others (NHWC); for rank
// <= 2 the two are the same.
typedef enum gb_order { GB_ORDER_PLAIN, GB_ORDER_CHANNELS_LAST } gb_order;

// Places an output value: into its slice of a Concat's store where it has one coming, else into a
// new store, dense in that order. Returns the view to write to.
const gb_view *gb_emit_out(gb_emit *e, gb_value *value, gb_order order);
// The same, dense in the memory order of another view of the same shape (elementwise operators).
const gb_view *gb_emit_out_like(gb_emit *e, gb_value *value, const gb_view *like);
// Where an input lies; constants are uploaded (dense, in the order asked for) at their first use.
const gb_view *gb_emit_in(gb_emit *e, gb_value *value, gb_order order);

// A strided copy src -> dst of a shape (dst += src when add); the general fallback.
void gb_emit_copy(gb_emit *e, const gb_shape *shape, const gb_view *dst, const gb_view *src,
                  bool add);
void gb_emit_fill(gb_emit *e, gb_store *store, float v);
// For a launch that writes each element of `out` after the last use of the same element of `in`,
// and lets no other work-item see either: the planner may give both one place.
void gb_emit_over(gb_emit *e, gb_store *out, gb_store *in);
// An input as dense memory in that order: its own view if it already is, else a temporary copy.
gb_view gb_emit_dense(gb_emit *e, gb_value *value, gb_order order);

bool gb_view_is_dense(const gb_view *view, const gb_shape *shape); // in any order, no gaps
void gb_view_dense(gb_view *view, const gb_shape *shape, gb_order order); // fills the strides

// Pixels: (N, C, D...) as a matrix of N*D... rows ("pixels") and C contiguous channels, row r at
// offset + r * pitch. `axis` is the channel axis (1 for convolutions, the last for dense layers).
typedef struct gb_pixels {
    gb_store *store;
    int64_t offset, pitch;
    int64_t count, channels; // count: of pixels, batch included
} gb_pixels;
// Appends its global pointer, offset and pitch.
void gb_put_pixels(gb_emit *e, const gb_pixels *pixels);
// True if the view is such a matrix.
bool gb_view_pixels(gb_pixels *out, const gb_view *view, const gb_shape *shape, int axis);
// An input as pixels; copied into a temporary where it is not.
gb_pixels gb_emit_pixels(gb_emit *e, gb_value *value, int axis);
// An output as pixels.
gb_pixels gb_emit_out_pixels(gb_emit *e, gb_value *value, int axis);

// --- gradients (backward only) ---

// Whether anybody has contributed to the gradient of a value.
bool gb_emit_has_grad(const gb_emit *e, const gb_value *value);
// The gradient of an output, complete; NULL store if nobody contributed (then there is nothing to
// do). The same geometry as the value's view.
gb_view gb_emit_grad_of(gb_emit *e, gb_value *value);

// Where to write a contribution to an input's gradient, and how. The first writer stores, later
// ones add. Each backward asks at most once for each of its inputs.
typedef struct gb_target {
    gb_view view; // same geometry as value->view
    bool add;     // dx += ..., else dx = ...
} gb_target;
gb_target gb_emit_target(gb_emit *e, gb_value *value);

// Contributes scale * p * q, or scale * p where q is NULL, at each element: views of the value's
// shape. Such products wait for each other and for the activation's derivative, so that one launch
// does it all; p and q must not change any more.
void gb_emit_grad_product(gb_emit *e, gb_value *value, float scale, const gb_view *p,
                          const gb_view *q);

// The same as pixels, for kernels that write every element once; a temporary where the value is
// no such matrix, copied back by gb_emit_target_done. applies: what the kernel can apply; if `mask`
// is not NULL then it must multiply its final sum, by 1 where the bit is set, else by mask_slope;
// if `slopes` is not NULL, by these.
enum { GB_APPLIES_MASK = 1, GB_APPLIES_SLOPES = 2 };
typedef struct gb_pixel_target {
    gb_pixels pixels;
    bool add;
    gb_store *mask;
    float mask_slope;
    bool mask_first;    // the mask is of the sum alone, before it is added
    gb_store *slopes;
    const float *scale; // not NULL: what is written must be scaled by scale[channel]
    gb_value *value;
    gb_target back; // store not NULL: where a temporary goes
} gb_pixel_target;
gb_pixel_target gb_emit_target_pixels(gb_emit *e, gb_value *value, int axis, int applies);
// The same for a `value` made by a scale, shift and activation of a source and read by nobody else:
// its gradient is never there, the contribution goes to the source's, times mask and scale. Both
// are then for the kernel to apply. False where that is not possible.
bool gb_emit_target_source(gb_emit *e, gb_pixel_target *out, gb_value *value, int axis);
void gb_emit_target_done(gb_emit *e, gb_pixel_target *target, int axis);

// Contributes dy itself to the gradient of `value` (y = value + ...): takes the store of dy over
// where that is possible, else copies or adds. The last thing that a backward does with dy.
void gb_emit_target_give(gb_emit *e, gb_value *value, gb_value *y);
// Whether that takes the store over: then a kernel may as well work on it in place before.
bool gb_emit_target_takes(gb_emit *e, gb_value *value, gb_value *y);

// --- masks: one bit per element of a piecewise-linear activation's output ---

// Bits of pixel p: ceil(channels / 32) words from p * that; channel c is bit c & 31 of word c >> 5.
// Makes the mask of a node's output for its forward to write; NULL where no backward will read it.
gb_store *gb_emit_mask(gb_emit *e, gb_value *value, const gb_pixels *pixels, float slope);
// The same for an activation whose derivative is a number: that of channel c of pixel p at
// p * channels + c.
gb_store *gb_emit_slopes(gb_emit *e, gb_value *value, const gb_pixels *pixels);
// y = act(scale[c] x + shift[c]), with a mask; NULL scale and shift are 1 and 0.
void gb_emit_affine(gb_emit *e, gb_value *value, const gb_pixels *y, const gb_pixels *x,
                    gb_store *scale, gb_store *shift, const gb_act *act);
// Applies an activation in place to an output that has been computed, and writes its mask.
void gb_emit_act(gb_emit *e, gb_value *value, const gb_pixels *pixels, const gb_act *act);
// Multiplies the gradient of `value` by its mask or slopes, in place, unless the last writer has
// done so.
void gb_emit_mask_apply(gb_emit *e, gb_value *value, int axis);

#endif
