// The gradient of convolutions with respect to few channels, a picture's, on processors.
#ifndef GB_OP_CONV_THIN_H
#define GB_OP_CONV_THIN_H

#include "op/record.h"
#include "op/window.h"

// Records dx into t from dy, with these weights (c_out, c_in, kernel ...). The output's gradient is
// made planar, so that lanes are pixels. False: it does not suit, nothing was recorded.
bool gb_thin_backward(gb_emit *e, const gb_window *w, gb_value *weights, const gb_pixels *dy,
                      const gb_pixel_target *t, const char *what);

#endif
