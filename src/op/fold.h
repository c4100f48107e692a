// Reductions of terms: out = scale * (term + term + ...) over some dimensions, the one mechanism
// behind ReduceSum and its family, global pools, and the gradient of every broadcast operand.
#ifndef GB_OP_FOLD_H
#define GB_OP_FOLD_H

#include "op/nd.h"

// How terms are joined.
typedef enum gb_fold_by { GB_FOLD_SUM, GB_FOLD_MAX, GB_FOLD_MIN, GB_FOLD_PROD } gb_fold_by;

// What is joined, of up to three inputs p, q, r at each element.
typedef enum gb_term {
    GB_TERM_P,
    GB_TERM_MINUS_P,
    GB_TERM_SQUARE,      // p p
    GB_TERM_TIES,        // p == q ? 1 : 0
    GB_TERM_MUL,         // p q
    GB_TERM_OVER,        // p / q
    GB_TERM_IF,          // q != 0 ? p : 0
    GB_TERM_UNLESS,      // q != 0 ? 0 : p
    GB_TERM_MUL_MUL,     // p q r
    GB_TERM_DIV_DIVISOR, // -p (q / r) / r, of q / r
    GB_TERM_MOD_DIVISOR, // -p floor(q / r)
    GB_TERM_FMOD_DIVISOR, // -p trunc(q / r)
    GB_TERM_POW_BASE,    // p r q^(r - 1), of q^r
    GB_TERM_POW_POWER,   // p q^r log q
    GB_TERM_MIN,         // q < r ? p : q == r ? p / 2 : 0
    GB_TERM_MAX,         // q > r ? p : q == r ? p / 2 : 0
    GB_TERM_PRELU_X,     // q > 0 ? p : p r
    GB_TERM_PRELU_SLOPE, // q > 0 ? 0 : p q
    GB_TERM_IF_EQUAL,    // q == r ? p : 0
    GB_TERM_NORM         // r == 0 ? 0 : p q / r, of the Euclidean norm r
} gb_term;

typedef struct gb_fold {
    gb_fold_by by;
    gb_term term;
    float scale;
} gb_fold;

// Folds over the dimensions of `shape` where over[d]; all views have strides for these dimensions,
// the output's being ignored in those. `add`: out += instead of out =. Nothing is folded over where
// `over` is all false: then this is a map. The order of summation depends on the sizes alone.
void gb_emit_fold(gb_emit *e, const gb_shape *shape, const bool *over, const gb_fold *fold,
                  const gb_view *out, bool add, const gb_view *const *in, int n_in);

#endif
