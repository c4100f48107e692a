// Adversarial training: what perturbs the images of a batch, and what is then minimised.
#ifndef GB_TRAIN_ADVERSARY_H
#define GB_TRAIN_ADVERSARY_H

#include "base/setting.h"
#include "engine/session.h"

typedef enum gb_train_compat {
    GB_TRAIN_COMPAT_NONE,
    GB_TRAIN_COMPAT_TUTORIAL, // the gradient's sign is clipped to [0,1]: it only makes brighter
    GB_TRAIN_COMPAT_NSL       // pixels may leave [0,1]: TensorFlow's Neural Structured Learning
} gb_train_compat;

typedef struct gb_adversary_config {
    const char *name; // "pgd"; "none" trains on clean images; not copied
    float eps;        // radius of the Linf ball
    float step_size;  // NaN: see gb_adversary_resolve
    int steps;
    double lambda;    // the loss is L(clean) + lambda L(adversarial); NaN: L(adversarial) alone
    int compat;       // a gb_train_compat
    double beta;      // TRADES: the loss is L(clean) + beta KL(f(x) || f(x'))
} gb_adversary_config;

typedef struct gb_adversary {
    const char *name, *title;
    const char *const *params;
    gb_adversary_config defaults;
    float step_factor; // step_size, where not set, is step_factor * eps / steps
    bool perturbs;     // false: "none"
    bool random_start; // uniformly in the ball
    bool trades;       // climbs KL from a Gaussian start
    bool fixed;        // against a fixed model, not the weights of the moment
} gb_adversary;

// "none", "fgsm", "fgsm-rs", "pgd", "trades", "static".
const gb_adversary *gb_adversary_all(size_t *count);
int gb_adversary_find(const gb_adversary **out, const char *name); // GB_ERR_ARG lists the names
int gb_adversary_default(gb_adversary_config *config, const char *name);
const gb_setting *gb_adversary_settings(size_t *count);
// Checks the configuration and fills in what is NaN from eps and steps.
int gb_adversary_resolve(gb_adversary_config *config);

// Whether a batch for the model holds the clean images in front of the perturbed ones.
bool gb_adversary_doubles(const gb_adversary_config *config);

typedef struct gb_perturb gb_perturb;

// Perturbs batches of `session` (over the weights to attack; with the input's gradient and
// gb_adversary_loss); the seed and an image's id and epoch decide about its noise.
int gb_perturb_create(gb_perturb **out, gb_session *session, const gb_adversary_config *config,
                      uint64_t seed);
void gb_perturb_free(gb_perturb *perturb);
gb_buf *gb_perturb_ids(const gb_perturb *perturb); // uint32 [batch], to be filled by the caller
// Queues the perturbation of the images that the session's input holds, with its labels; in place.
int gb_perturb_run(gb_perturb *perturb, size_t epoch);
gb_loss gb_adversary_loss(const gb_adversary_config *config);

#endif
