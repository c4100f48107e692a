// The naive reference: each operator on the host, one obvious loop nest, in double where tensors
// are floats. Constant folding, tests and `gibbon selftest` use it; it is never optimised.
//
// Every function has the signature of gb_op.eval (see op/op.h): inputs in[], results into the
// created tensors out[]. Floats are read and written with gb_tensor_get and gb_tensor_set, integers
// with gb_tensor_int and in 64 bits, where overflow wraps; gb_tensor_wrap comes after that.
#ifndef GB_REF_REF_H
#define GB_REF_REF_H

#include "ir/ir.h"

#define GB_REF(name) \
    int name(const gb_node *node, const gb_tensor *const *in, gb_tensor *const *out)

// Integers or booleans.
bool gb_ref_is_int(const gb_tensor *t);
// out[o] = in[i]: bits where the types agree, so that integers beyond 2^53 survive.
void gb_ref_move(gb_tensor *out, int64_t o, const gb_tensor *in, int64_t i);

// Row-major counters over a shape, for loops of any rank: start with zeros, false after the last.
bool gb_ref_next(const gb_shape *shape, int64_t *index);
// Linear element index of `index` in a dense row-major tensor of that shape.
int64_t gb_ref_at(const gb_shape *shape, const int64_t *index);
// The same where size-1 dimensions and missing leading ones broadcast; `rank` is of index.
int64_t gb_ref_at_broadcast(const gb_shape *shape, const int64_t *index, int rank);

#endif
