// What gradient attacks are made of: start, judge, step and project, queued on the device.
//
// A gb_steps holds a batch of places. The image in each walks on its own, from its first start to
// its rest, so that others can take the place of those that rest (attack/stream.c). Calls queue
// kernels (cl/attack.cl) and read nothing back, but for gb_steps_look, gb_steps_result and
// gb_steps_logits.
#ifndef GB_ATTACK_STEPS_H
#define GB_ATTACK_STEPS_H

#include "attack/attack.h"

// Of one image, on the device; the twin of image_state in cl/attack.cl.
typedef struct gb_image_state {
    int32_t frozen;    // rests: broken with early stop, all restarts done, bad, or an empty place
    int32_t early;     // is to rest at its first success
    int32_t restart;   // which one it is in,
    int32_t step;      // and how many steps it has taken there
    int32_t move;      // takes a step now
    int32_t take;      // the iterate is the best so far: kept
    int32_t success;   // of the kept iterate
    int32_t ever;      // some iterate was a success
    int32_t steps;     // taken until then, over all restarts
    int32_t zero;      // of all steps those with a gradient of zeros
    int32_t bad;       // NaN or Inf in logits, loss or gradient
    int32_t predicted; // class of the kept iterate
    float best;        // objective (the loss; targeted: minus the loss) of the kept iterate
} gb_image_state;

typedef struct gb_steps gb_steps;

// All places are empty at first.
int gb_steps_create(gb_steps **out, gb_session *session, const gb_attack_config *config);
void gb_steps_free(gb_steps *steps);

// Puts an image (C,H,W) into a place, right after a look or at the beginning. source: the class to
// leave, where the loss knows it beside the label.
int gb_steps_load(gb_steps *steps, size_t place, const float *image, int32_t label, int32_t source,
                  uint32_t id, bool early_stop);
void gb_steps_clear(gb_steps *steps); // empties every place

int gb_steps_start(gb_steps *steps);    // x = a start for every image at the begin of a restart
int gb_steps_forward(gb_steps *steps);  // logits and losses of x; judges and keeps x
int gb_steps_gradient(gb_steps *steps); // the same, and the gradient
int gb_steps_move(gb_steps *steps);     // one step and the projection, where there is one to take

// Waits, and reads the states of all places; they are valid until the next call.
int gb_steps_look(gb_steps *steps, const gb_image_state **state);
int gb_steps_result(gb_steps *steps, size_t place, float *image); // the kept iterate, (C,H,W)

// gb_session_logits on the steps' session, leaving the images in their places as they are.
int gb_steps_logits(gb_steps *steps, float *logits, const float *images, size_t n);

#endif
