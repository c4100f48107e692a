// Recording of functions of two and three broadcast elements.
#ifndef GB_OP_BINARY_RECORD_H
#define GB_OP_BINARY_RECORD_H

#include "op/binary.h"
#include "op/fold.h"

typedef enum gb_ternary_kind {
    GB_WHERE,  // c ? a : b
    GB_MUL_ADD // c a + b
} gb_ternary_kind;

// y = f(a, b), or f(c, a, b): views with strides for every dimension of `shape`
// (gb_view_broadcast). y may be a.
void gb_emit_binary(gb_emit *e, const gb_shape *shape, const gb_view *y, const gb_view *a,
                    const gb_view *b, gb_binary_kind kind);
void gb_emit_ternary(gb_emit *e, const gb_shape *shape, const gb_view *y, const gb_view *c,
                     const gb_view *a, const gb_view *b, gb_ternary_kind kind);

// Places inputs and output of a broadcasting node: the output in the memory order of an input that
// has its shape, constants to match. GB_ERR_UNSUPPORTED for integers.
int gb_place_broadcast(gb_emit *e, gb_node *node);
// Input i as a view of the output's shape.
gb_view gb_input_wide(const gb_node *node, int i);
// Adds the sum of `term` over the dimensions in which input i broadcasts to its gradient, if it
// needs one.
void gb_emit_grad_term(gb_emit *e, gb_node *node, int i, gb_term term, float scale,
                       const gb_view *const *in, int n_in);

int gb_binary_forward(gb_emit *e, gb_node *node);
int gb_binary_backward(gb_emit *e, gb_node *node);
int gb_where_forward(gb_emit *e, gb_node *node);
int gb_where_backward(gb_emit *e, gb_node *node);

#endif
