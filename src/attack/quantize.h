// Rounding to 8 bits without leaving the ball, and distances between pictures as saved.
#ifndef GB_ATTACK_QUANTIZE_H
#define GB_ATTACK_QUANTIZE_H

#include "gibbon.h"
#include "image/image.h"

// gb_quantize (gibbon.h) for pictures: adversarial is (C,H,W); out has the original's size.
int gb_quantize_image(gb_image *out, const float *adversarial, const gb_image *original,
                      gb_norm norm, float eps);

// Where there are two opinions of what the original is: moves `image`, which lies in the ball
// around `original`, into the one around `other` too. It stays as it is where that takes it out of
// the first one: never for Linf from 1/255 on if they differ by a level; for L2 where they are
// farther apart than eps.
int gb_quantize_between(gb_image *image, const gb_image *original, const gb_image *other,
                        gb_norm norm, float eps);

// Distances of two pictures of the same size in the [0,1] range; GB_ERR_ARG where sizes differ.
int gb_image_distance(double *linf, double *l2, const gb_image *a, const gb_image *b);

// The same for floats.
void gb_distance(double *linf, double *l2, const float *a, const float *b, size_t count);

// True if a distance is inside the ball, with the slack (1e-6) that float rounding needs.
bool gb_in_ball(double linf, double l2, gb_norm norm, float eps);

#endif
