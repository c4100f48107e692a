// Splits operands into rows and columns, and rows among work-items.
#include "op/rows.h"

bool gb_rows_of(gb_rows *out, const gb_shape *shape, const bool *across,
                const gb_view *const *view, int n)
{
    *out = (gb_rows){.rows = {.n_operand = n}, .columns = {.n_operand = n}};
    for (int d = shape->rank - 1; d >= 0; d--) {
        int64_t stride[GB_ND_OPERANDS] = {0};
        for (int i = 0; i < n; i++)
            stride[i] = view[i]->stride[d];
        gb_nd_add(across[d] ? &out->columns : &out->rows, shape->dim[d], stride);
    }
    gb_nd_merge(&out->rows);
    gb_nd_merge(&out->columns);
    out->count = gb_nd_count(&out->rows);
    return out->columns.n_dim == 1;
}

void gb_put_row_split(gb_emit *e, int64_t count, int64_t columns, int passes)
{
    enum { WORTH = 16384, LANES = 64 }; // elements an item is worth; ROW_LANES of cl/rows.cl
    int64_t per = 1;
    if (e->status)
        return;
    if (!e->info->wide) {
        int64_t units = e->info->compute_units > 0 ? e->info->compute_units : 1;
        int64_t most = count / (4 * units), want = WORTH / (columns * passes + 1);
        per = want < most ? want : most;
        per = per < 1 ? 1 : per;
    }
    gb_put_i32(e, count);
    gb_put_i32(e, per);
    if (!e->info->wide) {
        gb_emit_size(e, (size_t)((count + per - 1) / per), 1, 1);
    } else {
        gb_emit_size(e, (size_t)count * LANES, 1, 1);
        gb_emit_local(e, LANES, 1, 1);
    }
}

void gb_put_rows(gb_emit *e, const gb_rows *rows, int passes)
{
    int64_t columns = rows->columns.size[0];
    gb_put_nd(e, &rows->rows, 0);
    gb_put_row_split(e, rows->count, columns, passes);
    gb_put_i32(e, columns);
}

void gb_put_row_view(gb_emit *e, const gb_rows *rows, int i, const gb_view *view)
{
    gb_put_operand(e, &rows->columns, i, view);
}
