// What Slice, Split, Pad, Gather, Tile, Expand, Resize and Upsample do, axis by axis.
//
// Each is the same sum along one axis after another: out[.., o, ..] = sum of weight[t] *
// in[.., tap[t], ..] over the taps t of output o, or the fill value where o has no tap. Inference,
// evaluation and kernels all read these maps.
#ifndef GB_OP_INDEX_H
#define GB_OP_INDEX_H

#include "ir/ir.h"

typedef struct gb_axis_map {
    int64_t n_in, n_out;
    // Either affine: output o is input first + step * o;
    bool affine;
    int64_t first, step;
    // or a table: the taps of output o are tap[start[o]] up to tap[start[o + 1]].
    int32_t *start, *tap;
    double *weight;
} gb_axis_map;

typedef struct gb_index {
    gb_shape in;     // of the input, with leading ones up to the rank of `mapped`
    gb_shape mapped; // n_out of each axis
    gb_shape out;    // the same elements, as ONNX shapes them (Gather's indices may have any rank)
    gb_axis_map axis[GB_MAX_RANK];
    double fill;
} gb_index;

// Reads what output `k` of a node needs; tables lie in the arena.
int gb_index_read(gb_index *x, gb_arena *arena, const gb_node *node, int k);

// The same maps for the gradient: n_in and n_out change places, taps keep their weights. An affine
// map becomes a table.
int gb_axis_map_transpose(gb_axis_map *out, gb_arena *arena, const gb_axis_map *map);

// A table with room for `taps` taps per output, counted by hand: start[0] is 0.
int gb_axis_map_table(gb_axis_map *map, gb_arena *arena, const gb_node *node, int64_t n_out,
                      int64_t taps);

// GB_ERR_ARG where axes of these sizes hold more elements than any memory; asked before there is a
// table for each.
int gb_index_room(const gb_node *node, int rank, const double *out);

// Resize and Upsample (resize.c).
int gb_index_resize(gb_index *x, gb_arena *arena, const gb_node *node);

#endif
