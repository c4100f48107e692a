// Winograd's minimal filtering F(2x2,3x3) and F(4x4,3x3): 3x3 convolutions of stride 1 and their
// input gradients with 2.25 and 4 times fewer products than the gathered GEMM.
#ifndef GB_OP_WINOGRAD_H
#define GB_OP_WINOGRAD_H

#include "op/gathered.h"
#include "op/window.h"

// The tile for a convolution (or for its input gradient): 2 or 4 output pixels square, 0: the
// gathered GEMM is faster or there is no choice. $GIBBON_WINOGRAD=off|2|4 overrides it wherever
// the algorithm applies, and so does a way that was chosen for the layer (op/choice.h), or NULL.
int gb_winograd_choose(const gb_device_info *info, const char *way, const gb_window *w,
                       bool backward);

enum { GB_WINOGRAD_TAPS = 3 };
// The finite points of F(4x4); the last one is infinity. With these its error is twice that of the
// direct sum; with the customary 0, +-1, +-2 it is four times that.
extern const double gb_winograd_points4[5];

// Whether the weights can be transformed where they lie.
bool gb_winograd_packs(const gb_value *weights);
// The transformed weights, [chunk of k][block][point][k][nr], zero where n ends.
gb_store *gb_winograd_pack(gb_emit *e, const gb_gathered *g, int tile, int nr, int64_t chunk);

// Records what gb_gathered_record would, for the whole window: g's taps are the 9 of the kernel in
// row order, as the output meets them; its points and tables are not looked at.
void gb_winograd_record(gb_emit *e, const gb_gathered *g, const gb_window *w, bool backward,
                        int tile);

#endif
