// The parameters of a model in training, on a device: initializers that are no constants of a
// session but values it reads anew in every run, and whose gradients it may compute.
#ifndef GB_ENGINE_PARAMS_H
#define GB_ENGINE_PARAMS_H

#include "device/device.h"
#include "ir/ir.h"

typedef struct gb_param {
    const char *name; // the model's
    gb_shape shape;
    size_t offset, count; // floats in the flat buffer, in ONNX order
    bool trainable;       // else state: running mean or variance of a BatchNormalization
} gb_param;

// One flat buffer of floats: the trainable ones first, in the model's order, then the state.
// Trainable are weights, biases, scales and shifts of layers and normalizations, slopes of PRelu,
// what is added to or multiplied with activations (but for single numbers), and tokens joined to
// them; also where a Reshape, Transpose or the like stands in between.
typedef struct gb_params {
    gb_device *dev;
    const gb_graph *model; // not owned, outlives this
    gb_buf *value;         // float [total]
    size_t n_param, trainable, total; // trainable, total: floats
    gb_param *param;
    int *of_value; // [value id in the model]: 1 + index of its parameter, 0: none
} gb_params;

// Whether there is anything to train.
bool gb_params_any(const gb_graph *model);
// Values from the model's initializers. GB_ERR_ARG where it has nothing to train.
int gb_params_create(gb_params **out, gb_device *dev, const gb_graph *model);
void gb_params_free(gb_params *p);
// float [total]; both wait.
int gb_params_download(const gb_params *p, float *host);
int gb_params_upload(gb_params *p, const float *host);

#endif
