// The gradients of a normalisation's scale and bias: over all pixels, sums of dy h and of dy, with
// h = (x - mean) rate. Mean and rate of channel c in pixels [g per, (g + 1) per) are stats[i] and
// stats[i + rate_at], i = g step + c channel_step.

enum { BLOCK = 64 }; // so many terms are joined first: rounding grows like a root

// parts[segment][0: dy, 1: dy h][channel] of `segment` pixels each, for VW channels.
kernel void norm_sums(global const float *dy, int dy0, int dy_pitch, global const float *x, int x0,
                      int x_pitch, int count, int channels, int segment,
                      global const float *stats, int per, int step, int channel_step, int rate_at,
                      global float *parts)
{
    int c = get_global_id(0) * VW, s = get_global_id(1), n = channels - c;
    int p = s * segment, p1 = min(p + segment, count);
    vf total = (vf)(0.0f), total_h = (vf)(0.0f);
    dy += dy0 + c;
    x += x0 + c;
    stats += c * channel_step;
    while (p < p1) {
        int group = p / per, stop = min((group + 1) * per, p1);
        vf mean = nd_get(stats + group * step, channel_step, n);
        vf rate = nd_get(stats + group * step + rate_at, channel_step, n);
        while (p < stop) {
            vf part = (vf)(0.0f), part_h = (vf)(0.0f);
            for (int end = min(p + BLOCK, stop); p < end; p++) {
                vf g = nd_get(dy + (size_t)p * dy_pitch, 1, n);
                part += g;
                part_h = fma(g, nd_get(x + (size_t)p * x_pitch, 1, n) - mean, part_h);
            }
            total += part;
            total_h = fma(part_h, rate, total_h);
        }
    }
    parts += (size_t)s * 2 * channels + c;
    nd_put(total, parts, 1, n);
    nd_put(total_h, parts + channels, 1, n);
}

static void give(vf sum, global float *to, int add, int n)
{
    if (to)
        nd_put(add ? sum + nd_get(to, 1, n) : sum, to, 1, n);
}

// sums[0: dy, 1: dy h][channel], and where they are asked for the two as gradients.
kernel void norm_sums_join(global const float *parts, int segments, int channels,
                           global float *sums, global float *scale, int s0, int add_scale,
                           global float *bias, int b0, int add_bias)
{
    int c = get_global_id(0) * VW, n = channels - c;
    vf total[2];
    for (int k = 0; k < 2; k++) {
        total[k] = (vf)(0.0f);
        for (int s = 0; s < segments;) {
            vf part = (vf)(0.0f);
            for (int end = min(s + BLOCK, segments); s < end; s++)
                part += nd_get(parts + ((size_t)s * 2 + k) * channels + c, 1, n);
            total[k] += part;
        }
        nd_put(total[k], sums + k * channels + c, 1, n);
    }
    give(total[1], scale ? scale + s0 + c : 0, add_scale, n);
    give(total[0], bias ? bias + b0 + c : 0, add_bias, n);
}
