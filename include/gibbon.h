/* gibbon: adversarial examples for ONNX image classifiers on any OpenCL device.
 *
 * Every call returns 0 or a negative gb_status and leaves one line for gb_last_error(). Out
 * parameters come first. Each *_free(NULL) does nothing. Images are float32 in [0,1], dense, in
 * (N,C,H,W) order at the model's size; eps and step sizes are fractions of that pixel range. An
 * object may be used by one thread at a time; a device must outlive what was made on it. */
#ifndef GIBBON_H
#define GIBBON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GB_API __attribute__((visibility("default")))
#else
#define GB_API
#endif

typedef enum gb_status {
    GB_OK = 0,
    GB_ERR_ARG = -1,         /* an argument is wrong: name, range, shape, label */
    GB_ERR_NOMEM = -2,       /* out of host memory */
    GB_ERR_IO = -3,          /* a file cannot be read or written */
    GB_ERR_FORMAT = -4,      /* a file is not what it claims to be */
    GB_ERR_UNSUPPORTED = -5, /* valid, but not something gibbon does */
    GB_ERR_NO_DEVICE = -6,   /* no OpenCL device, or none that matches */
    GB_ERR_AMBIGUOUS = -7,   /* a device name that matches several */
    GB_ERR_DEVICE = -8,      /* the OpenCL driver failed */
    GB_ERR_DEVICE_MEM = -9,  /* out of device memory: a smaller batch may fit */
    GB_ERR_CANCELLED = -10,  /* the progress callback said stop */
    GB_ERR_NUMERIC = -11     /* NaN or Inf where numbers were expected */
} gb_status;

/* The last error's text on this thread; "" before the first. Valid until the next failing call. */
GB_API const char *gb_last_error(void);

/* Frees a text that a call below handed out; NULL is fine. */
GB_API void gb_text_free(char *text);

typedef enum gb_log_level { GB_LOG_ERROR, GB_LOG_WARN, GB_LOG_INFO, GB_LOG_DEBUG } gb_log_level;

/* Where messages go. A NULL gb_log, or a NULL write, is silence. */
typedef struct gb_log {
    void (*write)(void *user, gb_log_level level, const char *line); /* line has no '\n' */
    void *user;
    gb_log_level level; /* the most verbose level that is passed on */
} gb_log;

/* Called now and then while an attack runs, on the calling thread. `done` of `total` images are
 * finished, those under way have taken `step` of at most `steps` steps. Not 0: stop; the call then
 * returns GB_ERR_CANCELLED, and finished images are kept. NULL gb_progress or call: not called. */
typedef struct gb_progress {
    int (*call)(void *user, size_t done, size_t total, int step, int steps);
    void *user;
} gb_progress;

/* ---- devices ---- */

typedef struct gb_device gb_device;

/* Opens a device. spec: "platform:device" indices, "cpu", "gpu", "any", what a driver is called
 * ("pocl", "rusticl", "cuda" ...), or a piece of a platform's or device's name; NULL:
 * $GIBBON_DEVICE, else "any". log: may be NULL; must outlive the device. Where PoCL's cache cannot
 * be written (no home, say) it sets $POCL_CACHE_DIR to a private folder: PoCL has no device
 * without one. */
GB_API int gb_device_open(gb_device **out, const char *spec, const gb_log *log);
GB_API void gb_device_close(gb_device *dev);

/* Computes the products of convolutions and dense layers, in sessions opened from then on, with
 * factors rounded to "tf32", "bf16" or "fp16" by the tensor cores of an NVIDIA GPU (compute
 * capability 8.0 or later), sums in float32; "float32", the default, rounds nothing. A small
 * product is compared with the host's first; GB_ERR_NUMERIC: it is wrong. GB_ERR_UNSUPPORTED: there
 * are no such cores. On failure products stay in float32. */
GB_API int gb_device_set_precision(gb_device *dev, const char *name);

/* One line about an open device; one line for each device of the machine, "" if there is none. The
 * caller frees *text with gb_text_free. */
GB_API int gb_device_describe(char **text, const gb_device *dev);
GB_API int gb_device_describe_all(char **text);

/* ---- models ---- */

typedef struct gb_model gb_model;

/* Reads an ONNX image classifier, or "builtin:NAME", one that the library brings (`gibbon models`
 * lists them). How it takes pictures (channels first or last, flat, whole numbers), which of its
 * outputs holds the classes and what that holds (logits, probabilities, sigmoids, one number for
 * two classes) is found out; gb_model_describe tells. A file whose metadata holds gibbon's
 * preprocessing uses it; others take pixels as they are until gb_model_set_preprocess. */
GB_API int gb_model_load(gb_model **out, const char *path);

/* What a file does not make plain. A zeroed struct leaves everything to be found out. */
typedef struct gb_model_options {
    const char *input_layout; /* "nchw", "nhwc" or "flat" (C,H,W in a row); NULL: found */
    int height, width;        /* of its pictures, where the file leaves them open or flat */
    const char *output;       /* the output that holds the classes; NULL: found */
    int class_axis;           /* the axis of it that counts the classes; the scores are means over
                                 its other axes. 0: it has one number for each class */
    const char *scores;       /* what it holds: "logits", "log-probabilities", "probabilities",
                                 "sigmoids"; NULL or "find": found */
} gb_model_options;
GB_API int gb_model_load_as(gb_model **out, const char *path,
                            const gb_model_options *options);
GB_API void gb_model_free(gb_model *model);

/* What happens between a pixel and the model's input, by a preset's name ("imagenet", "inception",
 * "caffe", "unit", "cifar10") or the path of a JSON file. Normalisation becomes part of the
 * attacked network, so images and eps stay in the [0,1] range. */
GB_API int gb_model_set_preprocess(gb_model *model, const char *preset_or_path);

/* The size of the model's images, whatever the layout of its file. Where the file leaves it open,
 * the preprocessing decides. */
GB_API int gb_model_size(int *channels, int *height, int *width, const gb_model *model);

/* Inputs, outputs and preprocessing in a few lines. The caller frees *text with gb_text_free. */
GB_API int gb_model_describe(char **text, const gb_model *model);

/* Reads a JPEG or PNG of at most 100 million pixels, resized (as Pillow up to 12.1 does) and
 * cropped as the preprocessing says; image: (C,H,W) floats. A picture that has the model's size
 * already is taken as it is. */
GB_API int gb_model_read_image(float *image, const gb_model *model, const char *path);

/* ---- classifying ---- */

typedef struct gb_session gb_session; /* a model on a device at one batch size */

/* Plans, packs and uploads; batch: images per pass, 1 or more. A model in which what comes of an
 * image depends on the others in its batch takes one at a time, with a warning in the device's log.
 * The model may be freed afterwards. */
GB_API int gb_session_open(gb_session **out, gb_device *dev, const gb_model *model, int64_t batch);
GB_API void gb_session_free(gb_session *session);
GB_API int64_t gb_session_classes(const gb_session *session); /* negative: a gb_status */

/* probability: (n, classes) floats, the model's: of logits the softmax. images: (n,C,H,W); n need
 * not be a multiple of the batch. */
GB_API int gb_classify(float *probability, gb_session *session, const float *images, size_t n);

/* ---- attacking ---- */

typedef enum gb_norm { GB_NORM_LINF, GB_NORM_L2 } gb_norm;

typedef enum gb_loss {
    GB_LOSS_NONE,
    GB_LOSS_CE,     /* cross-entropy of the logits with the label */
    GB_LOSS_MARGIN, /* max_{i != y} z_i - z_y (Carlini & Wagner 2017, f6 without the hinge) */
    GB_LOSS_DLR,    /* difference of logits ratio (Croce & Hein 2020) */
    GB_LOSS_PAIR,   /* cross-entropy with the target minus that with the class to leave: targeted */
    /* Not for gb_attack_config: */
    GB_LOSS_KL,     /* KL(softmax(targets) || softmax(logits)), the target logits constant */
    GB_LOSS_TRADES  /* of a batch [x; x']: cross-entropy of x, KL(f(x) || f(x')) of x' (Zhang et
                       al. 2019) */
} gb_loss;

/* What becomes of a gradient: the step that belongs to the ball (its sign, or for L2 its
 * direction), or the step of an optimiser with Keras's defaults on the perturbation, step_size its
 * rate. */
typedef enum gb_step_rule {
    GB_STEP_SIGN,
    GB_STEP_SGD,
    GB_STEP_ADAM,
    GB_STEP_RMSPROP,
    GB_STEP_ADAGRAD,
    GB_STEP_FTRL
} gb_step_rule;

/* Whose habits are followed where they differ from what is right. */
typedef enum gb_compat {
    GB_COMPAT_NONE,
    GB_COMPAT_TUTORIAL /* fgsm only brightens; pgd starts at the image, adds the perturbation
                          clipped to eps to itself, so eps is no bound, and returns the last
                          iterate; its optimisers count in levels of 0 to 255 */
} gb_compat;

/* An attack's settings. Fill it with gb_attack_default, then change what you like. */
typedef struct gb_attack_config {
    const char *method; /* "fgsm" or "pgd"; not copied, must outlive the config's use */
    gb_norm norm;       /* the ball around each image */
    gb_loss loss;       /* what is ascended (targeted: descended) */
    float eps;          /* the ball's radius; NaN: 8/255 for Linf, 1 for L2 */
    float step_size;    /* NaN: 2.5 eps / steps; eps for FGSM */
    int steps;          /* gradients per restart */
    int restarts;       /* runs with fresh random starts on images not broken yet, 1 or more */
    int random_start;   /* start uniformly within the ball */
    int targeted;       /* labels are the classes to reach instead of those to leave */
    int early_stop;     /* an image rests at its first success; else all steps are taken */
    int keep_best;      /* return the iterate with success, then the best loss; else the last one */
    int eight_bit;      /* with early_stop: an image whose first success is lost in rounding to 8
                           bits inside the ball takes all its steps after all */
    gb_step_rule optimizer;
    gb_compat compat;
    uint64_t seed;      /* same seed, same result for an image, whatever batch it is in */
} gb_attack_config;

/* The defaults of a method: "fgsm" (one step of eps) or "pgd" (10 steps, random start). */
GB_API int gb_attack_default(gb_attack_config *config, const char *method);

/* What became of one image. */
typedef struct gb_attack_result {
    int done;           /* 0: the run was cancelled before this image was finished */
    int label;          /* the class to leave, or with `targeted` to reach */
    int success;        /* the returned floats are misclassified (targeted: as the target) */
    int success_8bit;   /* with eight_bit: they still are when rounded to 8 bits inside the ball */
    int predicted;      /* class of the returned floats */
    int iterations;     /* steps until the first success, over all restarts; all without one */
    int zero_gradients; /* steps whose gradient was zero everywhere: masked or saturated */
    float loss;         /* of the returned floats */
    double linf, l2;    /* distances from the input, in the [0,1] range */
} gb_attack_result;

typedef struct gb_attack gb_attack; /* a method made ready for a model, a device and a batch size */

/* Makes an attack ready. batch: images at once; halved, with a warning in the device's log, while
 * they do not fit into the device's memory; 1, as gb_session_open says, where images would depend
 * on each other. The model and config may be freed afterwards. */
GB_API int gb_attack_open(gb_attack **out, gb_device *dev, const gb_model *model, int64_t batch,
                          const gb_attack_config *config);
GB_API void gb_attack_free(gb_attack *attack);

/* Attacks n images (any n). adversarial: (n,C,H,W), may be `images` itself; result: n of them, or
 * NULL. labels: n classes to leave, or with `targeted` to reach; NULL (not with `targeted`): what
 * the model sees in each image. An image whose logits are NaN or infinite ends the run with
 * GB_ERR_NUMERIC. Saving as 8 bits: see gb_attack_write_png. */
GB_API int gb_attack_images(float *adversarial, gb_attack_result *result, gb_attack *attack,
                            const float *images, const int *labels, size_t n,
                            const gb_progress *progress);

/* The classes that the attacked model sees in n images. */
GB_API int gb_attack_classify(int *classes, gb_attack *attack, const float *images, size_t n);

/* Writes an attacked image as a PNG that lies inside the attack's ball around the original, rounded
 * to nearest where that is inside; both (C,H,W), the original a picture's (multiples of 1/255).
 * Read the file again and classify it to know whether it still is a success. */
GB_API int gb_attack_write_png(const char *path, const gb_attack *attack, const float *adversarial,
                               const float *original);

/* The rounding alone: `count` values each, in the same order; out may be `original`. */
GB_API int gb_quantize(uint8_t *out, const float *adversarial, const uint8_t *original,
                       size_t count, gb_norm norm, float eps);

#ifdef __cplusplus
}
#endif
#endif
