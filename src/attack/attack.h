// Attacks: methods found by name, their parameters as data, and the run over any number of images.
#ifndef GB_ATTACK_ATTACK_H
#define GB_ATTACK_ATTACK_H

#include "base/setting.h"
#include "engine/session.h"

// --- methods and parameters (attack/method.c, attack/param.c) ---

// `targeted` and `seed` of gb_attack_config are not parameters of a method: they follow from what
// the user asks of the whole run.

struct gb_steps; // attack/steps.h

typedef struct gb_method {
    const char *name;  // "pgd"
    const char *title; // "projected gradient descent (Madry et al. 2018)"
    const char *const *params;  // NULL-terminated names of the parameters that it reads
    gb_attack_config defaults;  // eps and step_size may be NaN: see gb_attack_resolve
    float step_factor; // step_size, where not set, is step_factor * eps / steps
    void (*tutorial)(gb_attack_config *config);   // with GB_COMPAT_TUTORIAL; may be NULL
    int (*check)(const gb_attack_config *config); // what ranges alone cannot say; may be NULL
    int (*move)(struct gb_steps *steps); // queues what follows a gradient: a step for every image
} gb_method;

const gb_method *const *gb_method_all(size_t *count);
int gb_method_find(const gb_method **out, const char *name); // GB_ERR_ARG lists the names
// Every parameter of every method, fields of gb_attack_config; a method's own are those it lists.
const gb_setting *gb_attack_settings(size_t *count);
// GB_ERR_ARG: no such parameter, or not one of this method; lists the method's.
int gb_attack_setting(const gb_setting **out, const gb_method *method, const char *name);

// The radius of the ball that results lie in: eps, but the whole pixel range where a compatible
// attack enforces none.
float gb_attack_radius(const gb_attack_config *config);

// Checks the whole configuration and fills in what is NaN from norm, eps and steps.
int gb_attack_resolve(gb_attack_config *config);

// --- running (attack/attack.c, attack/stream.c) ---

// Makes an attack ready: its session has base's batch, normalisation, bindings and log, the
// gradient and config's loss. On GB_ERR_DEVICE_MEM the batch is halved, with a warning, down to 1.
int gb_attack_create(gb_attack **out, gb_device *dev, const gb_graph *model,
                     const gb_session_options *base, const gb_attack_config *config);
// The session, good for gb_session_logits too; its batch may be smaller than asked for.
gb_session *gb_attack_session(const gb_attack *attack);
const gb_attack_config *gb_attack_get_config(const gb_attack *attack); // resolved

// One image of a stream.
typedef struct gb_attack_item {
    size_t number;      // the caller's; in messages about images without a name
    const float *image; // (C,H,W) in [0,1]
    int label;          // the class to leave, or the target
    int source;         // with GB_LOSS_PAIR: the class to leave
    const uint32_t *id; // key of the random numbers; NULL: gb_image_id of the pixels
    const char *name;   // for messages, valid until the image is done; NULL: "image 3"
} gb_attack_item;

// Where images come from and where they go.
typedef struct gb_attack_feed {
    void *user;
    // 1: *item is the next image, its pixels valid until the next call; 0: none follows; negative:
    // a status that ends the run. It may call gb_attack_logits. Items are such as gb_attack_check
    // lets pass.
    int (*next)(void *user, gb_attack_item *item);
    // An image is finished, in no particular order; adversarial and item->image are (C,H,W), valid
    // during the call. A negative status ends the run.
    int (*done)(void *user, const gb_attack_item *item, const float *adversarial,
                const gb_attack_result *result);
    // Now and then, with the steps that the longest under way has taken; not 0 ends the run with
    // GB_ERR_CANCELLED. May be NULL.
    int (*look)(void *user, int step, int steps);
} gb_attack_feed;

// Attacks images as they come: one that rests makes room for the next, so batches stay full. An
// image's result has the same bits whatever else is in the stream and whatever the batch.
// GB_ERR_NUMERIC names the first image whose logits, loss or gradient are NaN or infinite, after
// those under way are done.
int gb_attack_stream(gb_attack *attack, const gb_attack_feed *feed);
// GB_ERR_ARG: the label is no class of the model, or pixels are outside [0,1].
int gb_attack_check(const gb_attack *attack, const gb_attack_item *item);
// Logits (n,classes) of n images by the attacked model, from a feed's calls or outside of a run.
int gb_attack_logits(gb_attack *attack, float *logits, const float *images, size_t n);

// n images and what to do with them. Arrays of n; images (n,C,H,W) in [0,1].
typedef struct gb_attack_job {
    size_t n;
    const float *images;
    const int *labels;        // classes to leave, or targets
    const int *sources;       // classes to leave, with GB_LOSS_PAIR; NULL: what the model sees
    const uint32_t *ids;      // keys of the random numbers; NULL: gb_image_id of the pixels
    const char *const *names; // for messages; NULL: "image 3"
    const gb_progress *progress; // may be NULL
} gb_attack_job;

// gb_attack_stream over arrays. adversarial: n images, may be job->images itself; result: n, or
// NULL. On GB_ERR_CANCELLED the images that were finished have result.done set and are in
// `adversarial`.
int gb_attack_run(gb_attack *attack, float *adversarial, gb_attack_result *result,
                  const gb_attack_job *job);

// An iteration from its end to its beginning, on a device that rehearses (engine/session.h).
int gb_attack_rehearse(gb_attack *attack);

// A hash of the pixels: what keys the noise of an image whatever batch and place it has.
uint32_t gb_image_id(const float *pixels, size_t count);

// --- classifying (attack/classify.c) ---

// The first output of any number of images, split into batches: logits (n,classes).
// GB_ERR_ARG where so many images cannot lie in any memory.
int gb_check_images(const gb_session *s, size_t n);
int gb_session_logits(gb_session *s, float *logits, const float *images, size_t n);
// gb_session_classes (gibbon.h) tells how many classes there are.
int64_t gb_session_pixels(const gb_session *s); // floats an image: C*H*W
void gb_softmax(float *probability, const float *logits, size_t classes); // may be in place
int gb_argmax(const float *v, size_t count); // the first of equals

#endif
