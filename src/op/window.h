// The sliding window that convolutions and pools share: sizes, strides, dilations and pads read
// from a node's attributes and resolved for its input's shape.
#ifndef GB_OP_WINDOW_H
#define GB_OP_WINDOW_H

#include "ir/ir.h"

enum { GB_MAX_SPATIAL = 3 };

// Always three spatial dimensions, right-aligned: a 2-D window has kernel, in and out 1 in [0], so
// one loop nest over [0], [1], [2] serves 1-D, 2-D and 3-D. Output o and tap k meet at input
//     i = o * stride + k * dilation - pad_begin,   inside where 0 <= i < in.
typedef struct gb_window {
    int rank; // of the spatial dimensions: 1 to 3
    int64_t batch;
    int64_t c_in, c_out; // channels; equal for pools
    int64_t groups;      // Conv; 1 for pools
    int64_t in[GB_MAX_SPATIAL], out[GB_MAX_SPATIAL];
    int64_t kernel[GB_MAX_SPATIAL], stride[GB_MAX_SPATIAL], dilation[GB_MAX_SPATIAL];
    int64_t pad_begin[GB_MAX_SPATIAL], pad_end[GB_MAX_SPATIAL];
    bool ceil_mode;
    bool count_include_pad; // AveragePool: divide by the taps inside [-pad_begin, in + pad_end)
} gb_window;

// Reads Conv (kernel from the weights' shape if not given), MaxPool, AveragePool and the Global
// pools (the window is the whole input). The shapes of the inputs are known.
int gb_window_read(const gb_node *node, gb_window *w);

// N, c_out and the `rank` output sizes.
void gb_window_shape(const gb_window *w, gb_shape *out);

// Elements of in, out and kernel.
int64_t gb_window_in(const gb_window *w);
int64_t gb_window_out(const gb_window *w);
int64_t gb_window_taps(const gb_window *w);

#endif
