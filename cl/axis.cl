// One axis of an index operator: gathers, paddings and interpolations, forward and backward.

// y[.., o, ..] = sum of weight[t] * x[.., tap[t], ..] over t in [start[o], start[o + 1]), or the
// fill value where there is no t; += where `add`. table: start[0..n_out], then tap[]. The nest is
// over the other dimensions (operands 0: y, 1: x); global dimension 2 is o.
kernel void axis_map(global const int *nest, int n_nest, int inner, int outer, int chunk, int rows,
                     global float *y, int y0, int ys, global const float *x, int x0, int xs,
                     int y_axis, int x_axis, global const int *table, int n_out,
                     global const float *weight, float fill, int add)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    int o = get_global_id(2);
    int begin = table[o], end = table[o + 1];
    global const int *tap = table + n_out + 1;
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(nest, n_nest, r);
        global float *yr = y + y0 + at.s0 + o * y_axis;
        global const float *xr = x + x0 + at.s1;
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            vf v = (vf)(begin == end ? fill : 0.0f);
            for (int t = begin; t < end; t++)
                v = fma((vf)(weight[t]), nd_get(xr + tap[t] * x_axis + i * xs, xs, n), v);
            if (add)
                v += nd_get(yr + i * ys, ys, n);
            nd_put(v, yr + i * ys, ys, n);
        }
    }
}
