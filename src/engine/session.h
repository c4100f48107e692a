// A session: one model, one batch size, one device, everything planned, packed and uploaded. Its
// calls only queue kernels; reading a buffer waits.
#ifndef GB_ENGINE_SESSION_H
#define GB_ENGINE_SESSION_H

#include "base/ranks.h"
#include "engine/params.h"
#include "engine/scores.h"
#include "op/loss.h"

// What happens between pixels in [0,1] and the model's input, as nodes in front of the model:
// x = (pixel[c] * range - mean[c]) / std[c], channels reversed first if bgr (mean and std are in
// the model's channel order).
typedef struct gb_normalize {
    bool on, bgr;
    float range;
    float mean[4], std[4];
} gb_normalize;

typedef struct gb_binding { // an input of the model that is fixed for the session's life
    const char *name;
    const gb_tensor *data;
} gb_binding;

typedef struct gb_session_options {
    int64_t batch;          // 0: the model's own, or 1 where that is symbolic. With a loss or
                            // scores: 1 where images would depend on each other
    bool grad;              // plan the gradient of every float input
    gb_loss loss;           // with a loss the model needs one input and an output of scores
    float label_smoothing;  // of GB_LOSS_CE and GB_LOSS_TRADES, in [0,1)
    gb_scores scores;       // what the first output holds, if that is a classifier's: the session's
                            // is then a list of scores [N,K]. With a loss RAW means FIND
    int class_axis;         // of that output; 0: found (gb_pass_scores)
    gb_normalize normalize; // applied to the first input
    const char *seed;       // output whose gradient the caller supplies (run --grad); no loss then
    const gb_binding *binding;
    size_t n_binding;
    int64_t chunk;          // images that go through the network at a time, a divisor of the batch;
                            // 0: as many as a processor's cache holds, all of them on a GPU
    const gb_params *params; // the model's: weights are read from here at every run, not packed
                             // once; several sessions may share them, and they outlive these
    bool train;             // with params: BatchNormalization by the statistics of the batch, which
                            // goes through the network as one chunk; and where there are gradients
                            // (`grad` or `seed`), they are the parameters', not the inputs'
    const gb_ranks *ranks;  // each of which has such a session, for its part of one batch, all as
                            // large: runs are collective, and BatchNormalization in training mode
                            // sums over all parts. NULL: the whole batch is this session's
    bool keep_all;          // no memory reuse: every value stays readable (debugging, oclgrind)
    const struct gb_choices *choices; // how layers are computed (op/choice.h); NULL: as
                                      // the tuner found (engine/tune.h)
    double fold_seconds;    // for what the host computes of constants alone beforehand, the rest is
                            // the device's or refused; 0: as usual
    bool no_fusion;         // run the graph as it is (tests of the passes)
    const gb_log *log;
} gb_session_options;

typedef struct gb_session gb_session;

// GB_ERR_DEVICE_MEM: the batch does not fit. GB_ERR_UNSUPPORTED: lists every unsupported operator,
// or names the operator without a gradient.
// On a device that rehearses (gb_device_rehearse) a run computes nothing: it compiles kernels, from
// the last to the first, for the sake of another process that makes the same session, begins at the
// other end, and finds these in the driver's cache.
int gb_session_create(gb_session **out, gb_device *dev, const gb_graph *model,
                      const gb_session_options *options);
void gb_session_free(gb_session *s);

// A tensor of the session on the device: float32, dense. Images (rank 4) are NHWC there.
typedef struct gb_io {
    const char *name;
    gb_shape shape; // logical, ONNX order (N,C,H,W)
    gb_view view;   // physical strides
    gb_buf *buf;
} gb_io;

size_t gb_session_inputs(const gb_session *s);
size_t gb_session_outputs(const gb_session *s);
const gb_io *gb_session_input(const gb_session *s, size_t i);
const gb_io *gb_session_output(const gb_session *s, size_t i); // with a loss: 0 is the logits;
        // constant integers have no buffer, as they are exact in gb_session_graph(s)->out[i]->data
const gb_io *gb_session_grad(const gb_session *s, size_t i);   // dL/d(input i); NULL without grad
const gb_io *gb_session_seed(const gb_session *s);             // upload dL/d(output) here
// What a loss reads, for the caller to write; NULL where there is none of it.
gb_buf *gb_session_labels(const gb_session *s);  // int32 [batch]
gb_buf *gb_session_seconds(const gb_session *s); // int32 [batch], the other class of GB_LOSS_PAIR
gb_buf *gb_session_targets(const gb_session *s); // float [batch,K], target logits of GB_LOSS_KL
gb_buf *gb_session_weights(const gb_session *s); // float [batch], what each image's loss counts in
                                                 // the gradient; 1 until it is written
gb_buf *gb_session_losses(const gb_session *s); // float [batch], one per image; gradients are of
                                                // the sum, so no image sees its batch
gb_buf *gb_session_param_grad(const gb_session *s); // float [params->trainable], the twin of
                                                    // params->value; with train
gb_device *gb_session_device(const gb_session *s);
const gb_head *gb_session_head(const gb_session *s); // what the scores are; RAW without scores
int64_t gb_session_batch(const gb_session *s);

// Host arrays are dense in ONNX order (NCHW).
int gb_session_upload(gb_session *s, const gb_io *io, const float *data);
int gb_session_download(gb_session *s, const gb_io *io, float *data);

int gb_session_forward(gb_session *s);  // outputs, and losses with a loss
int gb_session_gradient(gb_session *s); // forward, then backward
// With train, after a forward or gradient: what the batch changes in the state of the params (the
// running statistics of BatchNormalization).
int gb_session_commit(gb_session *s);

// --- classifying any number of images (engine/classify.c) ---

// The first output of n images, split into batches: scores (n,classes).
// GB_ERR_ARG where so many images cannot lie in any memory.
int gb_check_images(const gb_session *s, size_t n);
int gb_session_logits(gb_session *s, float *logits, const float *images, size_t n);
// gb_session_classes (gibbon.h) tells how many classes there are.
int64_t gb_session_pixels(const gb_session *s); // floats an image: C*H*W
int gb_argmax(const float *v, size_t count); // the first of equals
bool gb_all_finite(const float *v, size_t count);

// --- what `info` and `bench` tell ---
typedef struct gb_session_stats {
    size_t weight_bytes, arena_bytes, io_bytes, naive_bytes; // naive: without reuse
    size_t launches_forward, launches_backward;
    double flops_forward, flops_backward; // per batch, useful ones (2 per multiply-add)
    int64_t parameters;
    double plan_seconds;
} gb_session_stats;
const gb_session_stats *gb_session_get_stats(const gb_session *s);
const gb_graph *gb_session_graph(const gb_session *s); // the instance after passes
// A launch of the schedule. Bytes are estimated: each value or constant that it touches, once.
typedef struct gb_launch_info {
    const gb_node *node; // NULL: the engine's own
    const char *how;     // "gemm 14x32", "winograd 4" or the kernel's name
    const char *key;     // what it is tuned by (op/choice.h), NULL: nothing
    bool backward;
    double flops, bytes; // of the whole batch, like
    double seconds;      // of all its runs since gb_device_profile(dev, true)
} gb_launch_info;
gb_launch_info gb_session_launch(const gb_session *s, size_t i);
// A store of the memory plan.
typedef struct gb_store_info {
    const char *what;
    int kind;          // gb_store_kind (op/emit.h)
    const char *group; // constants: "forward", "to data", "forward, Winograd", ..., "tables"
    size_t bytes;
    int first, last;   // launches that touch it; -1: none, then it takes no memory
} gb_store_info;
size_t gb_session_stores(const gb_session *s);
gb_store_info gb_session_store(const gb_session *s, size_t i);
// What the bits of a session's results depend on, beside its model and input: on the device and its
// driver, which compiles the kernels; on the sources of those and the algorithm that each layer is
// computed by, which the tuner may change. Not on the batch, nor on tiles.
typedef struct gb_session_identity {
    const char *precision;
    char device[512];  // platform, name, driver, form of the kernels
    char program[128]; // version, kernels, algorithms
} gb_session_identity;
int gb_session_identify(gb_session_identity *out, const gb_session *s);
// One line a launch or a store, for people. malloc'ed.
char *gb_session_plan_text(const gb_session *s);

// True if gibbon has the node's operator at its opset.
bool gb_node_supported(const gb_node *node);
// Operators of the model that gibbon does not have, as "Foo, Bar (opset 3)"; NULL text: none.
int gb_model_unsupported(char **text, const gb_graph *model);

#endif
