// Graph passes: rewrites of an instance that keep what it computes.
#ifndef GB_ENGINE_PASSES_H
#define GB_ENGINE_PASSES_H

#include "ir/ir.h"

// Removes a final Softmax or LogSoftmax in front of output i: the output becomes the logits, a new
// value that keeps the output's name.
int gb_pass_at_logits(gb_graph *g, size_t output);

// Folds BatchNormalization, per-channel Mul and Add into the convolution or dense layer before
// them, and fuses residual additions and piecewise-linear activations (Relu, LeakyRelu, Clip) into
// its epilogue. Uses must be counted; the graph is pruned and counted again.
int gb_pass_fuse(gb_graph *g);

// A part of it, for layers whose weights are parameters: `norm`, a BatchNormalization by running
// statistics that is the only reader of `layer`, becomes layer->norm; the caller takes its output.
bool gb_fold_norm(gb_node *layer, gb_node *norm);

#endif
