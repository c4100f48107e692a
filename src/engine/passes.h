// Graph passes: rewrites of an instance that keep what it computes.
#ifndef GB_ENGINE_PASSES_H
#define GB_ENGINE_PASSES_H

#include "ir/ir.h"

// Folds BatchNormalization, per-channel Mul and Add into the convolution or dense layer before
// them, and fuses residual additions and piecewise-linear activations (Relu, LeakyRelu, Clip) into
// its epilogue. Uses must be counted; the graph is pruned and counted again.
int gb_pass_fuse(gb_graph *g);

// Behind that pass: moves what is done to every element (Add, Sub, Mul, Div) from behind the
// Transpose of a layer's output to in front of it, and fuses it there.
int gb_pass_hoist(gb_graph *g);

// The node that reads `value` as an input and is alone in doing so; NULL where there is none or the
// graph hands the value out. The graph may have changed since its readers were listed, as long as
// nobody new reads the value.
gb_node *gb_only_reader(const gb_readers *readers, const gb_value *value);

// The output channels' axis of a layer that can take what follows it; -1 if the node is none.
int gb_layer_axis(const gb_node *node);

// A part of gb_pass_fuse, for layers whose weights are parameters: `norm`, a BatchNormalization by
// running statistics that is the only reader of `layer`, becomes layer->norm; the caller takes its
// output.
bool gb_fold_norm(gb_node *layer, gb_node *norm);

#endif
