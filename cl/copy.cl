// Strided copies and fills.

// y = x, or y += x; operands 0: y, 1: x.
kernel void copy(global const int *table, int n_outer, int inner, int outer, int chunk, int rows,
                 global float *y, int y0, int ys, global const float *x, int x0, int xs, int add)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(table, n_outer, r);
        global float *yr = y + y0 + at.s0;
        global const float *xr = x + x0 + at.s1;
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            vf v = nd_get(xr + i * xs, xs, n);
            if (add)
                v += nd_get(yr + i * ys, ys, n);
            nd_put(v, yr + i * ys, ys, n);
        }
    }
}

// The same for runs of y's memory that x has in another order: element i of a run is x[order[i]].
// The table goes on for a vector less one behind the run.
// Operands 0: y, 1: x, of the loops over runs.
kernel void copy_permuted(global const int *table, int n_outer, int inner, int outer, int chunk,
                          int rows, global float *restrict y, int y0,
                          global const float *restrict x, int x0,
                          global const int *restrict order, int add)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(table, n_outer, r);
        global float *yr = y + y0 + at.s0;
        global const float *xr = x + x0 + at.s1;
        for (int i = s.i0; i < s.i1; i += VW) {
            // The last vector ends with the run: elements that are behind it already stay.
            int first = max(min(i, s.i1 - VW), s.i0), n = s.i1 - first;
            vf v = vgather(xr, VLOAD_INT(order + first));
            if (add)
                v = vfirst(i - first, (vf)(0.0f), v) + nd_get(yr + first, 1, n);
            nd_put(v, yr + first, 1, n);
        }
    }
}

// y = x where neighbours in x are columns in y, y[j * ys + i] = x[i * xs + j], block by block: a
// work-item takes VW of `inner` i, `columns` of n_columns j, and one row.
// Operands 0: y, 1: x, of the loops over rows.
kernel void copy_turned(global const int *table, int n_outer, int inner, int n_columns, int columns,
                        global float *restrict y, int y0, int ys, global const float *restrict x,
                        int x0, int xs)
{
    int i0 = get_global_id(0) * VW, n = min(inner - i0, VW);
    int first = get_global_id(1) * columns, end = min(first + columns, n_columns);
    int4 at = nd_row(table, n_outer, get_global_id(2));
    y += y0 + at.s0 + i0;
    x += x0 + at.s1 + (long)i0 * xs;
    for (int j0 = first; j0 < end; j0 += VW) {
        float block[VW * VW];
        for (int i = 0; i < VW; i++)
            VSTORE(vload_first(x + (long)min(i, n - 1) * xs + j0, end - j0), block + i * VW);
        for (int j = 0; j < min(end - j0, VW); j++)
            vstore_first(vgather(block + j, VLANES * VW), y + (long)(j0 + j) * ys, n);
    }
}

kernel void fill(global float *y, float v, int inner, int outer, int chunk, int rows)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int i = s.i0; i < s.i1; i += VW)
        nd_put((vf)(v), y + i, 1, s.i1 - i);
}
