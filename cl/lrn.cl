// Local response normalisation across the channels of a pixel: y = x d^-beta with
// d = bias + rate * (sum of squares over channels c - before .. c + after), rate = alpha / size.
// Work: inner, words of 16 channels of outer pixels (nd_item).

// The sum of x z (or of x) over channels c - before .. c + after that exist, for n channels from c.
// `inside`: there are rows of memory around this one, so that its neighbours may be loaded too.
static vf window_sum(global const float *x, global const float *z, int c, int n, int channels,
                     int before, int after, bool inside)
{
    vf sum = (vf)(0.0f);
    if (inside) {
        for (int j = c - before; j <= c + after; j++) {
            vf v = z ? VLOAD(x + j) * VLOAD(z + j) : VLOAD(x + j);
            vi at = j + VLANES;
            sum += select((vf)(0.0f), v, at >= 0 && at < channels);
        }
        return sum;
    }
    float t[VW];
    VSTORE(sum, t);
    for (int i = 0; i < min(n, VW); i++)
        for (int j = max(c + i - before, 0); j <= min(c + i + after, channels - 1); j++)
            t[i] += z ? x[j] * z[j] : x[j];
    return VLOAD(t);
}

static bool is_inside(int p, int pixels, int pitch, int before, int after)
{
    return p > 0 && p < pixels - 1 && pitch >= VW + before + after;
}

static vf inverse_power(vf d, float beta)
{
    return exp(-beta * log(d));
}

#define EACH_CHANNEL(c, n) \
    for (int c = w * 16, n; n = channels - c, c < min(channels, w * 16 + 16); c += VW)

kernel void lrn(int inner, int outer, int chunk, int rows, global float *y, int y0, int y_pitch,
                global const float *x, int x0, int x_pitch, int channels, int before, int after,
                float bias, float rate, float beta)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int p = s.r0; p < s.r1; p++)
        for (int w = s.i0; w < s.i1; w++) {
            global const float *xr = x + x0 + (size_t)p * x_pitch;
            bool inside = is_inside(p, outer, x_pitch, before, after);
            EACH_CHANNEL (c, n) {
                vf d = bias + rate * window_sum(xr, xr, c, n, channels, before, after, inside);
                nd_put(nd_get(xr + c, 1, n) * inverse_power(d, beta),
                       y + y0 + (size_t)p * y_pitch + c, 1, n);
            }
        }
}

// First half of the gradient: a = dy d^-beta, b = dy x d^(-beta - 1), both dense.
kernel void lrn_parts(int inner, int outer, int chunk, int rows, global float *a, global float *b,
                      global const float *dy, int dy0, int dy_pitch, global const float *x, int x0,
                      int x_pitch, int channels, int before, int after, float bias, float rate,
                      float beta)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int p = s.r0; p < s.r1; p++)
        for (int w = s.i0; w < s.i1; w++) {
            global const float *xr = x + x0 + (size_t)p * x_pitch;
            bool inside = is_inside(p, outer, x_pitch, before, after);
            EACH_CHANNEL (c, n) {
                vf d = bias + rate * window_sum(xr, xr, c, n, channels, before, after, inside);
                vf g = nd_get(dy + dy0 + (size_t)p * dy_pitch + c, 1, n) * inverse_power(d, beta);
                size_t at = (size_t)p * channels + c;
                nd_put(g, a + at, 1, n);
                nd_put(g * nd_get(xr + c, 1, n) / d, b + at, 1, n);
            }
        }
}

// Second half: dx = a - 2 beta rate x (the sum of b over the channels whose window holds c).
kernel void lrn_grad(int inner, int outer, int chunk, int rows, global float *dx, int dx0,
                     int dx_pitch, global const float *a, global const float *b,
                     global const float *x, int x0, int x_pitch, int channels, int before,
                     int after, float bend, int add)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int p = s.r0; p < s.r1; p++)
        for (int w = s.i0; w < s.i1; w++) {
            global float *dxr = dx + dx0 + (size_t)p * dx_pitch;
            global const float *xr = x + x0 + (size_t)p * x_pitch;
            size_t at = (size_t)p * channels;
            bool inside = is_inside(p, outer, channels, before, after);
            EACH_CHANNEL (c, n) {
                vf sum = window_sum(b + at, 0, c, n, channels, after, before, inside);
                vf g = fma(-bend * nd_get(xr + c, 1, n), sum, nd_get(a + at + c, 1, n));
                if (add)
                    g += nd_get(dxr + c, 1, n);
                nd_put(g, dxr + c, 1, n);
            }
        }
}
