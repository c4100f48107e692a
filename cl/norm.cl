// Layer normalisation of rows and instance normalisation of images.

// One row: mean and 1 / sqrt(var + eps) go to stats[2 row], [2 row + 1]; gamma and beta (or NULL)
// are [columns]. Operands 0: y, 1: x, both contiguous along a row.
kernel void layer_norm(global const int *table, int n_row, int count, int per, int columns,
                       global float *y, int y0, int ys, global const float *x, int x0, int xs,
                       global const float *gamma, int g0, global const float *beta, int b0,
                       float eps, global float *stats)
{
    ROW_SCRATCH;
    FOR_ROWS (r, count, per) {
        int4 at = nd_row(table, n_row, r);
        global float *yr = y + y0 + at.s0;
        global const float *xr = x + x0 + at.s1;
        vf v = (vf)(0.0f);
        FOR_COLUMNS (k, n, columns)
            v += vload_first(xr + k, n);
        float mean = row_join(v, true, scratch) / columns;
        v = (vf)(0.0f);
        FOR_COLUMNS (k, n, columns) {
            vf d = nd_get(xr + k, 1, n) - mean;
            v = vfirst(n, fma(d, d, v), v);
        }
        float rate = 1.0f / sqrt(row_join(v, true, scratch) / columns + eps);
        FOR_COLUMNS (k, n, columns) {
            vf scaled = (nd_get(xr + k, 1, n) - mean) * rate * nd_get(gamma + g0 + k, 1, n);
            if (beta)
                scaled += nd_get(beta + b0 + k, 1, n);
            nd_put(scaled, yr + k, 1, n);
        }
        if (ROW_LANE == 0) {
            stats[2 * r] = mean;
            stats[2 * r + 1] = rate;
        }
    }
}

// With g = dy gamma and h = (x - mean) rate: dx = rate (g - mean(g) - h mean(g h)). Operands 0: dx,
// 1: dy, 2: x.
kernel void layer_norm_grad(global const int *table, int n_row, int count, int per, int columns,
                            global float *dx, int dx0, int dxs, global const float *dy, int dy0,
                            int dys, global const float *x, int x0, int xs,
                            global const float *gamma, int g0, global const float *stats, int add)
{
    ROW_SCRATCH;
    FOR_ROWS (r, count, per) {
        int4 at = nd_row(table, n_row, r);
        global float *dxr = dx + dx0 + at.s0;
        global const float *dyr = dy + dy0 + at.s1, *xr = x + x0 + at.s2, *gr = gamma + g0;
        float mean = stats[2 * r], rate = stats[2 * r + 1];
        vf sum = (vf)(0.0f), sum_h = (vf)(0.0f);
        FOR_COLUMNS (k, n, columns) {
            vf g = vload_first(dyr + k, n) * vload_first(gr + k, n);
            sum += g;
            sum_h = fma(g, (vload_first(xr + k, n) - mean) * rate, sum_h);
        }
        float mean_g = row_join(sum, true, scratch) / columns;
        float mean_gh = row_join(sum_h, true, scratch) / columns;
        FOR_COLUMNS (k, n, columns) {
            vf h = (nd_get(xr + k, 1, n) - mean) * rate;
            vf g = nd_get(dyr + k, 1, n) * nd_get(gr + k, 1, n);
            g = (g - mean_g - h * mean_gh) * rate;
            if (add)
                g += nd_get(dxr + k, 1, n);
            nd_put(g, dxr + k, 1, n);
        }
    }
}

// Mean of (x - center) (z - other) over the pixels of an image for VW channels.
static vf pixel_mean(global const float *x, int x_pitch, vf center, global const float *z,
                     int z_pitch, vf other, int pixels, int n)
{
    vf total = (vf)(0.0f);
    for (int p = 0; p < pixels;) {
        vf part = (vf)(0.0f);
        for (int end = min(p + 64, pixels); p < end; p++) { // blocks, against rounding
            vf v = nd_get(x + p * x_pitch, 1, n) - center;
            part += z ? v * (nd_get(z + p * z_pitch, 1, n) - other) : v;
        }
        total += part;
    }
    return total / pixels;
}

// One work-item: VW channels of an image of `pixels` rows. stats[image][0: mean, 1: rate][channel].
kernel void instance_norm(global float *y, int y0, int y_pitch, global const float *x, int x0,
                          int x_pitch, int pixels, int channels, global const float *gamma, int g0,
                          global const float *beta, int b0, float eps, global float *stats)
{
    int c = get_global_id(0) * VW, image = get_global_id(1), n = channels - c;
    vf zero = (vf)(0.0f);
    x += x0 + (size_t)image * pixels * x_pitch + c;
    y += y0 + (size_t)image * pixels * y_pitch + c;
    stats += image * 2 * channels + c;
    vf mean = pixel_mean(x, x_pitch, zero, 0, 0, zero, pixels, n);
    vf var = pixel_mean(x, x_pitch, mean, x, x_pitch, mean, pixels, n);
    vf rate = 1.0f / sqrt(var + eps);
    nd_put(mean, stats, 1, n);
    nd_put(rate, stats + channels, 1, n);
    vf scale = rate * nd_get(gamma + g0 + c, 1, n), shift = nd_get(beta + b0 + c, 1, n);
    for (int p = 0; p < pixels; p++)
        nd_put(fma(nd_get(x + p * x_pitch, 1, n) - mean, scale, shift), y + p * y_pitch, 1, n);
}

// With h = (x - mean) rate: dx = gamma rate (dy - mean(dy) - h mean(dy h)).
kernel void instance_norm_grad(global float *dx, int dx0, int dx_pitch, global const float *dy,
                               int dy0, int dy_pitch, global const float *x, int x0, int x_pitch,
                               int pixels, int channels, global const float *gamma, int g0,
                               global const float *stats, int add)
{
    int c = get_global_id(0) * VW, image = get_global_id(1), n = channels - c;
    vf zero = (vf)(0.0f);
    x += x0 + (size_t)image * pixels * x_pitch + c;
    dy += dy0 + (size_t)image * pixels * dy_pitch + c;
    dx += dx0 + (size_t)image * pixels * dx_pitch + c;
    stats += image * 2 * channels + c;
    vf mean = nd_get(stats, 1, n), rate = nd_get(stats + channels, 1, n);
    vf scale = rate * nd_get(gamma + g0 + c, 1, n);
    vf mean_g = pixel_mean(dy, dy_pitch, zero, 0, 0, zero, pixels, n);
    vf bend = pixel_mean(dy, dy_pitch, zero, x, x_pitch, mean, pixels, n) * rate * rate;
    for (int p = 0; p < pixels; p++) {
        vf g = nd_get(dy + p * dy_pitch, 1, n) - mean_g;
        g = scale * fma(nd_get(x + p * x_pitch, 1, n) - mean, -bend, g);
        if (add)
            g += nd_get(dx + p * dx_pitch, 1, n);
        nd_put(g, dx + p * dx_pitch, 1, n);
    }
}
