// Small checks that most shape inferences share.
#ifndef GB_OP_INFER_H
#define GB_OP_INFER_H

#include "ir/ir.h"

// Checks the number of inputs: the first `min` are present, there are at most `max` (-1: any
// number) and there is at least one output. GB_ERR_FORMAT with the node's name otherwise.
int gb_infer_arity(const gb_node *node, int min, int max);

// The input, NULL where it is omitted or beyond the node's list.
gb_value *gb_input(const gb_node *node, int i);

// Sets type and shape of output i where it is present; integers are of 64 bits.
void gb_infer_out(gb_node *node, int i, gb_dtype type, const gb_shape *shape);
// The same with the elements of `like`, whatever integers those are.
void gb_infer_like(gb_node *node, int i, const gb_value *like, const gb_shape *shape);

// Input i must be of floats.
int gb_infer_float(const gb_node *node, int i);

// Input i must broadcast to `shape` without changing it.
int gb_infer_broadcasts_to(const gb_node *node, int i, const gb_shape *shape);

// Fails if any output after the first is asked for; `what` says which those are.
int gb_infer_single(const gb_node *node, const char *what);

#endif
