// A batch of places, as the files that make and run its kernels see it.
#ifndef GB_ATTACK_KERNELS_H
#define GB_ATTACK_KERNELS_H

#include "attack/steps.h"

enum { GB_ATTACK_PARTS = 256 }; // of sums over an image; cl/attack.cl

enum {
    GB_K_START, GB_K_PLACE, GB_K_PARTIAL_NOISE, GB_K_PARTIAL_GRAD, GB_K_PARTIAL_DELTA, GB_K_NORM,
    GB_K_COUNT, GB_K_STEP_LINF, GB_K_STEP_L2, GB_K_STEP_RULE, GB_K_PROJECT, GB_K_JUDGE, GB_K_KEEP,
    GB_KERNELS
};

struct gb_steps {
    gb_session *session;
    gb_attack_config config;
    size_t batch, pixels, channels; // pixels: floats an image
    gb_buf *x;                      // the session's input
    gb_buf *x0, *best, *hold, *state, *ids, *norm, *partial; // hold: x during gb_steps_logits
    gb_buf *memory[3]; // as large as x: what the optimiser remembers, and the perturbation
    gb_kernel *kernel[GB_KERNELS];
    // What the device has, or gets before the next kernel where `changed`; [batch] each.
    gb_image_state *host;
    int32_t *label, *source;
    uint32_t *id;
    bool changed;
    float *image; // [pixels]: one, as it lies on the device
};

// Makes the kernels of a session and its buffers, every argument set.
int gb_steps_make_kernels(gb_steps *s);

#endif
