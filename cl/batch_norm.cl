// Batch normalisation of pixels, by the batch's statistics or by given ones. A pixel has `channels`
// neighbouring floats; stats[0][c] is a mean, stats[1][c] is 1 / sqrt(variance + eps).

// Joins count, mean and sum of squared deviations of b's values to a's (Chan et al. 1979).
static void join_moments(vf *mean, vf *squares, float count, vf mean_b, vf squares_b, float count_b)
{
    float share = count_b / (count + count_b);
    vf apart = mean_b - *mean;
    *mean = fma(apart, (vf)(share), *mean);
    *squares += squares_b + apart * apart * (count * share);
}

// parts[segment][0: mean, 1: sum of squared deviations][channel] of `segment` pixels each, for VW
// channels. Blocks that stay in the first cache are gone through twice: no cancellation.
kernel void batch_moments(global const float *x, int x0, int pitch, int count, int channels,
                          int segment, global float *parts)
{
    int c = get_global_id(0) * VW, s = get_global_id(1), n = channels - c;
    int p0 = s * segment, p1 = min(p0 + segment, count);
    vf mean = (vf)(0.0f), squares = (vf)(0.0f);
    x += x0 + c;
    for (int p = p0; p < p1; p += 32) {
        int end = min(p + 32, p1);
        vf sum = (vf)(0.0f), part = (vf)(0.0f);
        for (int i = p; i < end; i++)
            sum += nd_get(x + (size_t)i * pitch, 1, n);
        vf middle = sum / (float)(end - p);
        for (int i = p; i < end; i++) {
            vf d = nd_get(x + (size_t)i * pitch, 1, n) - middle;
            part = fma(d, d, part);
        }
        join_moments(&mean, &squares, p - p0, middle, part, end - p);
    }
    parts += (size_t)s * 2 * channels + c;
    nd_put(mean, parts, 1, n);
    nd_put(squares, parts + channels, 1, n);
}

// The parts of `count` pixels together.
static void join_parts(vf *mean, vf *squares, global const float *parts, int segments, int segment,
                       int count, int channels, int n)
{
    *mean = nd_get(parts, 1, n);
    *squares = nd_get(parts + channels, 1, n);
    for (int s = 1; s < segments; s++) {
        global const float *part = parts + (size_t)s * 2 * channels;
        join_moments(mean, squares, s * segment, nd_get(part, 1, n), nd_get(part + channels, 1, n),
                     min(segment, count - s * segment));
    }
}

// As one part.
kernel void batch_join(global const float *parts, int segments, int segment, int count,
                       int channels, global float *whole)
{
    int c = get_global_id(0) * VW, n = channels - c;
    vf mean, squares;
    join_parts(&mean, &squares, parts + c, segments, segment, count, channels, n);
    nd_put(mean, whole + c, 1, n);
    nd_put(squares, whole + channels + c, 1, n);
}

// new = momentum old + (1 - momentum) v.
static void put_running(global float *to, int stride, global const float *old, int old_stride,
                        float momentum, vf v, int n)
{
    vf before = nd_get(old, old_stride, n);
    nd_put(fma(before - v, (vf)(momentum), v), to, stride, n);
}

// The parts together: stats, and the running mean and variance where they are asked for; the
// variance there is multiplied by `unbias`.
kernel void batch_stats(global const float *parts, int segments, int segment, int count,
                        int channels, float eps, global float *stats, float momentum, float unbias,
                        global const float *old_mean, int m0, int ms,
                        global const float *old_var, int v0, int vs, global float *new_mean,
                        int nm0, int nms, global float *new_var, int nv0, int nvs)
{
    int c = get_global_id(0) * VW, n = channels - c;
    vf mean, squares;
    join_parts(&mean, &squares, parts + c, segments, segment, count, channels, n);
    vf var = squares / (float)count;
    nd_put(mean, stats + c, 1, n);
    nd_put(1.0f / sqrt(var + eps), stats + channels + c, 1, n);
    if (new_mean)
        put_running(new_mean + nm0 + c * nms, nms, old_mean + m0 + c * ms, ms, momentum, mean, n);
    if (new_var)
        put_running(new_var + nv0 + c * nvs, nvs, old_var + v0 + c * vs, vs, momentum,
                    var * unbias, n);
}

// stats from a given mean and variance.
kernel void given_stats(global const float *mean, int m0, int ms, global const float *var, int v0,
                        int vs, int channels, float eps, global float *stats)
{
    int c = get_global_id(0) * VW, n = channels - c;
    nd_put(nd_get(mean + m0 + c * ms, ms, n), stats + c, 1, n);
    nd_put(1.0f / sqrt(nd_get(var + v0 + c * vs, vs, n) + eps), stats + channels + c, 1, n);
}

enum { TALL = 16 }; // pixels of a work-item at most

// y = (x - mean) rate gamma + beta, a residual, an activation and its mask. One work-item: `per` <=
// TALL pixels, the 32 channels of one mask word.
kernel void batch_apply(global float *restrict y, int y0, int y_pitch, global const float *x,
                        int x0, int x_pitch, int count, int channels, int per,
                        global const float *stats, global const float *gamma, int g0,
                        global const float *beta, int b0, global const float *res, int r0,
                        int r_pitch, int act, float lo, float hi, float slope,
                        global uint *restrict mask)
{
    int word = get_global_id(0), words = (channels + 31) / 32, c1 = min(channels, word * 32 + 32);
    int p0 = get_global_id(1) * per, rows = min(per, count - p0);
    uint bits[TALL];
    for (int i = 0; i < rows; i++)
        bits[i] = 0;
    for (int c = word * 32; c < c1; c += VW) {
        int n = c1 - c;
        vf mean = nd_get(stats + c, 1, n), shift = nd_get(beta + b0 + c, 1, n);
        vf scale = nd_get(stats + channels + c, 1, n) * nd_get(gamma + g0 + c, 1, n);
        for (int i = 0; i < rows; i++) {
            size_t p = p0 + i;
            vf v = fma(nd_get(x + x0 + p * x_pitch + c, 1, n) - mean, scale, shift);
            if (res)
                v += nd_get(res + r0 + p * r_pitch + c, 1, n);
            if (act) {
                bits[i] |= act_bits(v, lo, hi) << (c & 31);
                v = act_apply(v, lo, hi, slope);
            }
            nd_put(v, y + y0 + p * y_pitch + c, 1, n);
        }
    }
    for (int i = 0; i < rows && mask; i++)
        mask[(size_t)(p0 + i) * words + word] = bits[i];
}

// dx = gamma rate (dy - mean(dy) - h mean(dy h)) with h = (x - mean) rate; sums[0][c] is the sum of
// dy, sums[1][c] that of dy h, over `whole` pixels: these, and those of other ranks. NULL sums: the
// statistics were given, dx = gamma rate dy. A mask multiplies the result, which adds to what is
// there if `add`. Items as those of batch_apply.
kernel void batch_grad(global float *restrict dx, int dx0, int dx_pitch, global const float *dy,
                       int dy0, int dy_pitch, global const float *x, int x0, int x_pitch,
                       int count, int channels, int per, global const float *stats,
                       global const float *gamma, int g0, global const float *sums,
                       float whole, int add, global const uint *restrict mask, float slope)
{
    int word = get_global_id(0), words = (channels + 31) / 32, c1 = min(channels, word * 32 + 32);
    int p0 = get_global_id(1) * per, rows = min(per, count - p0);
    for (int c = word * 32; c < c1; c += VW) {
        int n = c1 - c;
        vf rate = nd_get(stats + channels + c, 1, n), scale = rate * nd_get(gamma + g0 + c, 1, n);
        vf mean = (vf)(0.0f), level = mean, bend = mean;
        if (sums) {
            mean = nd_get(stats + c, 1, n);
            level = nd_get(sums + c, 1, n) / whole;
            bend = rate * nd_get(sums + channels + c, 1, n) / whole;
        }
        for (int i = 0; i < rows; i++) {
            size_t p = p0 + i;
            global float *to = dx + dx0 + p * dx_pitch + c;
            vf g = nd_get(dy + dy0 + p * dy_pitch + c, 1, n);
            if (sums)
                g = fma(nd_get(x + x0 + p * x_pitch + c, 1, n) - mean, -bend, g - level);
            g *= scale;
            if (add)
                g += nd_get(to, 1, n);
            if (mask)
                g *= bits_select(mask[p * words + word] >> (c & 31), slope);
            nd_put(g, to, 1, n);
        }
    }
}

// A channel of a layer that a normalization by given statistics goes into; places in `value`.
typedef struct {
    int scale, shift, mean, var, bias;
    float eps;
} folded_channel;

// scale[c] of a channel's weights, and in place of its shift the layer's bias. Channel 0 is none.
kernel void fold_channels(global const float *value, global const folded_channel *channel,
                          global float *scale, global float *folded)
{
    int c = get_global_id(0);
    folded_channel f = channel[c];
    if (c == 0) {
        scale[c] = 1;
        return;
    }
    float s = value[f.scale] / sqrt(value[f.var] + f.eps);
    float apart = (f.bias < 0 ? 0 : value[f.bias]) - value[f.mean];
    scale[c] = s;
    folded[f.shift] = fma(apart, s, value[f.shift]);
}

// A piece of all parameters; of[i] < 0: fold_channels has written it.
kernel void fold_weights(global const float *restrict value, global const int *restrict of,
                         global const float *restrict scale, global float *restrict folded,
                         int count, int piece)
{
    int i0 = get_global_id(0) * piece, end = min(i0 + piece, count);
    for (int i = i0; i < end; i++)
        if (of[i] >= 0)
            folded[i] = scale[of[i]] * value[i];
}
