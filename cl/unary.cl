// Functions of one element, their derivatives (functions.cl), and activations that leave a one-bit
// derivative.
// y = f(x); operands 0: y, 1: x.
kernel void unary_map(global const int *table, int n_outer, int inner, int outer, int chunk,
                      int rows, global float *y, int y0, int ys, global const float *x, int x0,
                      int xs, int kind, float a, float b)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(table, n_outer, r);
        global float *yr = y + y0 + at.s0;
        global const float *xr = x + x0 + at.s1;
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            nd_put(unary(kind, nd_get(xr + i * xs, xs, n), a, b), yr + i * ys, ys, n);
        }
    }
}

// dx = dy f'(v), or dx += that; operands 0: dx, 1: dy, 2: v.
kernel void unary_grad(global const int *table, int n_outer, int inner, int outer, int chunk,
                       int rows, global float *dx, int dx0, int dxs, global const float *dy,
                       int dy0, int dys, global const float *v, int v0, int vs, int kind, float a,
                       float b, int add)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(table, n_outer, r);
        global float *dxr = dx + dx0 + at.s0;
        global const float *dyr = dy + dy0 + at.s1, *vr = v + v0 + at.s2;
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            vf g = nd_get(dyr + i * dys, dys, n) * slope(kind, nd_get(vr + i * vs, vs, n), a, b);
            if (add)
                g += nd_get(dxr + i * dxs, dxs, n);
            nd_put(g, dxr + i * dxs, dxs, n);
        }
    }
}

// Relu, LeakyRelu and Clip over rows of channels (inner: words of 32 channels, outer: pixels), with
// a bit of mask for each element whose derivative is 1.
kernel void unary_mask(int inner, int outer, int chunk, int rows, global float *y, int y0,
                       int y_pitch, global const float *x, int x0, int x_pitch, int channels,
                       global uint *mask, int kind, float a, float b)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int p = s.r0; p < s.r1; p++)
        for (int w = s.i0; w < s.i1; w++) {
            global float *yr = y + y0 + (size_t)p * y_pitch;
            global const float *xr = x + x0 + (size_t)p * x_pitch;
            uint bits = 0;
            for (int c = w * 32; c < min(channels, w * 32 + 32); c += VW) {
                vf v = nd_get(xr + c, 1, channels - c);
                vi out = kind == CLIP ? (v <= a) | (v >= b) : v <= 0.0f;
                bits |= vbits(out) << (c & 31);
                nd_put(unary(kind, v, a, b), yr + c, 1, channels - c);
            }
            mask[(size_t)p * inner + w] = ~bits;
        }
}
