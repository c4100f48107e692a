// What gradient attacks are made of: start, judge, step and project, queued on the device.
//
// A gb_steps holds one batch. Its calls queue kernels (cl/attack.cl) and read nothing back, but for
// gb_steps_sync, which looks at the state of each image.
#ifndef GB_ATTACK_STEPS_H
#define GB_ATTACK_STEPS_H

#include "attack/attack.h"

// Of one image, on the device; the twin of image_state in cl/attack.cl.
typedef struct gb_image_state {
    int32_t frozen;    // does not change any more: broken with early stop, bad, or padding
    int32_t take;      // the iterate is the best so far: kept
    int32_t success;   // of the kept iterate
    int32_t ever;      // some iterate was a success
    int32_t steps;     // taken until then
    int32_t zero;      // of them with a gradient of zeros
    int32_t bad;       // NaN or Inf in logits, loss or gradient
    int32_t predicted; // class of the kept iterate
    float best;        // objective (the loss; targeted: minus the loss) of the kept iterate
} gb_image_state;

typedef struct gb_steps gb_steps;

int gb_steps_create(gb_steps **out, gb_session *session, const gb_attack_config *config);
void gb_steps_free(gb_steps *steps);
const gb_attack_config *gb_steps_config(const gb_steps *steps);

// The next batch: images (batch,C,H,W), labels, ids and whether to attack that image (batch); NULL
// active: all of them.
int gb_steps_load(gb_steps *steps, const float *images, const int32_t *labels, const uint32_t *ids,
                  const bool *active);
// Whether images rest at their first success; as the configuration says until this is called.
int gb_steps_early_stop(gb_steps *steps, bool on);
// The kept iterates and what became of them; arrays of the whole batch.
int gb_steps_result(gb_steps *steps, float *images, gb_image_state *state);

// How far the job is, for gb_steps_sync to tell; NULL progress: nobody listens.
void gb_steps_tell(gb_steps *steps, const gb_progress *progress, size_t done, size_t total);

int gb_steps_start(gb_steps *steps, int restart); // x = a start for every image not broken yet
int gb_steps_forward(gb_steps *steps);            // logits and losses of x; judges and keeps x
int gb_steps_gradient(gb_steps *steps);           // the same, and the gradient
int gb_steps_move(gb_steps *steps);               // one step and the projection
// Now and then, at most every tenth of a second unless `force`: waits, tells the progress, and sets
// *open to the number of images that still change. GB_ERR_CANCELLED if the listener says so.
int gb_steps_sync(gb_steps *steps, int step, bool force, size_t *open);

#endif
