// Optimisers' steps over flat buffers: p moves along its gradient g, s and t are the rule's state.
// Coefficients k (src/optim/rules.c): 0 the rate, corrected; 1 weight decay; others as each rule
// says. up: -1 to ascend. An item takes `per` elements of n.

#define RULE(name) \
    kernel void name(global float *p0, global const float *g0, global float *s0, \
                     global float *t0, int n, int per, float up, float8 k)

#define FOR_ELEMENTS(i, left) \
    for (int i = get_global_id(0) * per, end_ = min(i + per, n), left; left = end_ - i, left > 0; \
         i += VW)

// The gradient, with the pull toward zero that `decay` makes.
static vf slope(global const float *g, vf p, int left, float up, float decay)
{
    vf v = up * vload_first(g, left);
    return decay == 0.0f ? v : v + decay * p;
}

// k2: momentum, k3: 1 for Nesterov's. s: the velocity.
RULE(sgd)
{
    FOR_ELEMENTS (i, left) {
        vf p = vload_first(p0 + i, left), g = slope(g0 + i, p, left, up, k.s1);
        if (k.s2 != 0.0f) {
            vf v = k.s2 * vload_first(s0 + i, left) + g;
            vstore_first(v, s0 + i, left);
            g = k.s3 != 0.0f ? g + k.s2 * v : v;
        }
        vstore_first(p - k.s0 * g, p0 + i, left);
    }
}

// k2 k3: beta1, 1 - beta1; k4 k5: beta2, 1 - beta2; k6: sqrt(1 - beta2^t); k7: epsilon.
// s and t: the averages of g and g^2.
static void moments(global float *p0, vf p, vf g, global float *s0, global float *t0, int left,
                    float8 k)
{
    vf m = vload_first(s0, left), v = vload_first(t0, left);
    m = k.s2 * m + k.s3 * g;
    v = k.s4 * v + k.s5 * (g * g);
    vstore_first(m, s0, left);
    vstore_first(v, t0, left);
    vstore_first(p - k.s0 * (m / (sqrt(v) / k.s6 + k.s7)), p0, left);
}

RULE(adam)
{
    FOR_ELEMENTS (i, left) {
        vf p = vload_first(p0 + i, left);
        moments(p0 + i, p, slope(g0 + i, p, left, up, k.s1), s0 + i, t0 + i, left, k);
    }
}

// k1: 1 - lr * weight decay.
RULE(adamw)
{
    FOR_ELEMENTS (i, left) {
        vf p = k.s1 * vload_first(p0 + i, left);
        moments(p0 + i, p, slope(g0 + i, p, left, up, 0.0f), s0 + i, t0 + i, left, k);
    }
}

// k2 k3: alpha, 1 - alpha; k4: momentum; k7: epsilon. s: the average of g^2, t: the velocity.
RULE(rmsprop)
{
    FOR_ELEMENTS (i, left) {
        vf p = vload_first(p0 + i, left), g = slope(g0 + i, p, left, up, k.s1);
        vf v = k.s2 * vload_first(s0 + i, left) + k.s3 * (g * g);
        vstore_first(v, s0 + i, left);
        vf d = g / (sqrt(v) + k.s7);
        if (k.s4 != 0.0f) {
            d += k.s4 * vload_first(t0 + i, left);
            vstore_first(d, t0 + i, left);
        }
        vstore_first(p - k.s0 * d, p0 + i, left);
    }
}

// k7: epsilon. s: the sum of g^2.
RULE(adagrad)
{
    FOR_ELEMENTS (i, left) {
        vf p = vload_first(p0 + i, left), g = slope(g0 + i, p, left, up, k.s1);
        vf v = vload_first(s0 + i, left) + g * g;
        vstore_first(v, s0 + i, left);
        vstore_first(p - k.s0 * (g / (sqrt(v) + k.s7)), p0 + i, left);
    }
}

// k0: 1 / lr; k2: minus the power; k3: l1; k4: 2 l2. s: the sum of g^2, t: the linear term z of
// which p is the minimiser.
RULE(ftrl)
{
    FOR_ELEMENTS (i, left) {
        vf p = vload_first(p0 + i, left), g = slope(g0 + i, p, left, up, 0.0f);
        vf old = vload_first(s0 + i, left), sum = old + g * g;
        vf before = k.s2 == 0.5f ? sqrt(old) : pow(old, (vf)(k.s2));
        vf now = k.s2 == 0.5f ? sqrt(sum) : pow(sum, (vf)(k.s2));
        vf z = vload_first(t0 + i, left) + g - (now - before) * k.s0 * p;
        vstore_first(sum, s0 + i, left);
        vstore_first(z, t0 + i, left);
        // Soft thresholding: z - clamp(z) is 0 where |z| <= l1. A lane that never saw a gradient
        // has nothing to divide by.
        vf below = now * k.s0 + k.s4;
        vf rest = clamp(z, -k.s3, k.s3) - z;
        vstore_first(rest / select(below, (vf)(1.0f), below == 0.0f), p0 + i, left);
    }
}
