// Kernels over rows, of which each is reduced as a whole (softmax, layer normalisation, losses).
#ifndef GB_OP_ROWS_H
#define GB_OP_ROWS_H

#include "op/nd.h"

// The dimensions of `shape` where across[d] make the columns, the others the rows; both stay in
// their logical order.
typedef struct gb_rows {
    gb_nd rows, columns;
    int64_t count; // of rows
} gb_rows;

// False where the columns have no single stride in every view.
bool gb_rows_of(gb_rows *out, const gb_shape *shape, const bool *across,
                const gb_view *const *view, int n);
// Appends the arguments (table, n_row, count, per, columns) and sets the sizes. `passes`: how often
// a row is gone through.
void gb_put_rows(gb_emit *e, const gb_rows *rows, int passes);
// The same for `count` rows without strides: appends (count, per).
void gb_put_row_split(gb_emit *e, int64_t count, int64_t columns, int passes);
// Appends (pointer, offset, stride along the columns) of view i.
void gb_put_row_view(gb_emit *e, const gb_rows *rows, int i, const gb_view *view);

#endif
