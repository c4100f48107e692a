// Softmax and LogSoftmax of rows along any stride.

// Operands 0: y, 1: x.
kernel void softmax(global const int *table, int n_row, int count, int per, int columns,
                    global float *y, int y0, int ys, global const float *x, int x0, int xs,
                    int take_log)
{
    ROW_SCRATCH;
    FOR_ROWS (r, count, per) {
        int4 at = nd_row(table, n_row, r);
        global float *yr = y + y0 + at.s0;
        global const float *xr = x + x0 + at.s1;
        vf v = (vf)(-INFINITY);
        FOR_COLUMNS (k, n, columns)
            v = fmax(v, nd_get(xr + k * xs, xs, n));
        float most = row_join(v, false, scratch);
        v = (vf)(0.0f);
        FOR_COLUMNS (k, n, columns) {
            vf shifted = nd_get(xr + k * xs, xs, n) - most, power = exp(shifted);
            v += vfirst(n, power, (vf)(0.0f));
            nd_put(take_log ? shifted : power, yr + k * ys, ys, n);
        }
        float sum = row_join(v, true, scratch), log_sum = log(sum);
        FOR_COLUMNS (k, n, columns) {
            v = nd_get(yr + k * ys, ys, n);
            nd_put(take_log ? v - log_sum : v / sum, yr + k * ys, ys, n);
        }
    }
}

// dx = y (dy - sum(dy y)), or of the logarithm dy - e^y sum(dy); operands 0: dx, 1: dy, 2: y.
kernel void softmax_grad(global const int *table, int n_row, int count, int per, int columns,
                         global float *dx, int dx0, int dxs, global const float *dy, int dy0,
                         int dys, global const float *y, int y0, int ys, int take_log, int add)
{
    ROW_SCRATCH;
    FOR_ROWS (r, count, per) {
        int4 at = nd_row(table, n_row, r);
        global float *dxr = dx + dx0 + at.s0;
        global const float *dyr = dy + dy0 + at.s1, *yr = y + y0 + at.s2;
        vf v = (vf)(0.0f);
        FOR_COLUMNS (k, n, columns) {
            vf g = nd_get(dyr + k * dys, dys, n);
            if (!take_log)
                g *= nd_get(yr + k * ys, ys, n);
            v += vfirst(n, g, (vf)(0.0f));
        }
        float sum = row_join(v, true, scratch);
        FOR_COLUMNS (k, n, columns) {
            vf g = nd_get(dyr + k * dys, dys, n), p = nd_get(yr + k * ys, ys, n);
            g = take_log ? g - exp(p) * sum : p * (g - sum);
            if (add)
                g += nd_get(dxr + k * dxs, dxs, n);
            nd_put(g, dxr + k * dxs, dxs, n);
        }
    }
}
