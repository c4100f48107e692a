// What training does besides the network: perturbing a batch, and counting without asking the host.
// Images x, x0 are (n, d) floats as they lie in a session's input.

// A random start, keyed by seed, image and epoch: x + radius * U(-1,1), or normal numbers, in the
// box. Noise is numbered in (C,H,W) order; a pixel's `channels` values are neighbours in memory.
kernel void perturb_start(global float *x, global const int *ids, uint epoch, uint seed0,
                          uint seed1, int d, int channels, int normal, float radius)
{
    int e = get_global_id(0), n = get_global_id(1);
    int chw = e % channels * (d / channels) + e / channels;
    size_t i = (size_t)n * d + e;
    uint4 bits = philox4x32((uint4)((uint)chw >> 1, (uint)ids[n], epoch, 0x7EA1), seed0, seed1);
    uint2 own = chw & 1 ? bits.hi : bits.lo;
    float v = 2.0f * uniform01(own.x) - 1.0f;
    if (normal) // Box and Muller
        v = sqrt(-2.0f * log(uniform01(own.x))) * cos(6.2831853f * uniform01(own.y));
    x[i] = clamp(x[i] + radius * v, 0.0f, 1.0f);
}

// x + a sign(grad), in the Linf ball around x0, at most `beyond` out of the box; the sign is at
// least `least`.
kernel void perturb_step(global float *x, global const float *x0, global const float *grad, float a,
                         float eps, float least, float beyond)
{
    size_t i = get_global_id(0);
    float g = grad[i], y = x[i] + a * fmax((float)((g > 0.0f) - (g < 0.0f)), least);
    x[i] = clamp(x0[i] + clamp(y - x0[i], -eps, eps), -beyond, 1.0f + beyond);
}

// sum[i] += (weight * loss, 1 where the largest logit is the label's) for row i of logits (n,
// classes); rows of weight 0 are padding.
kernel void tally(global const float *logits, global const float *losses,
                  global const float *weights, global const int *labels, int classes,
                  global float2 *sum)
{
    int i = get_global_id(0), best = 0;
    global const float *z = logits + (size_t)i * classes;
    if (weights[i] == 0.0f)
        return;
    for (int k = 1; k < classes; k++)
        if (z[k] > z[best])
            best = k;
    sum[i] += (float2)(weights[i] * losses[i], best == labels[i] ? 1.0f : 0.0f);
}
