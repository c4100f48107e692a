// Steps of gradient attacks. Images x, x0, best, grad are (n, d) floats as they lie in the
// session's input; one image never reads another's numbers, and every sum has a fixed order. Each
// image walks on its own: its state tells at which step of which restart it is.

#define PARTS 256 // partial sums an image; src/attack/kernels.h knows it too

typedef struct { // the twin of gb_image_state in src/attack/steps.h
    int frozen, early, restart, step, move, take, success, ever, steps, zero, bad, predicted;
    float best;
} image_state;

// Noise is numbered in (C,H,W) order, so the memory's order does not matter; a pixel's `channels`
// values are neighbours in memory.
static uint4 noise(int chw, int id, int restart, uint stream, uint seed0, uint seed1)
{
    return philox4x32((uint4)((uint)chw >> 2, (uint)id, (uint)restart << 8 | stream, 0), seed0,
                      seed1);
}

static uint lane(uint4 v, int i)
{
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

static bool starts(global const image_state *state, int n)
{
    return !state[n].frozen && state[n].step == 0;
}

// mode 0: x = x0. 1: x0 + U(-eps, eps), in the box. 2: x = standard normal numbers (Box and
// Muller); attack_place makes a start of them.
kernel void attack_start(global float *x, global const float *x0, global const image_state *state,
                         global const int *ids, uint seed0, uint seed1, int d, int channels,
                         int mode, float eps)
{
    int e = get_global_id(0), n = get_global_id(1);
    size_t i = (size_t)n * d + e;
    if (!starts(state, n))
        return;
    float y = x0[i];
    if (mode) {
        int chw = e % channels * (d / channels) + e / channels;
        uint4 bits = noise(chw, ids[n], state[n].restart, 0, seed0, seed1);
        if (mode == 1) {
            y = clamp(y + eps * (2.0f * uniform01(lane(bits, chw & 3)) - 1.0f), 0.0f, 1.0f);
        } else {
            float u = uniform01(lane(bits, chw & 2)), turn = uniform01(lane(bits, (chw & 2) + 1));
            float angle = 6.2831853f * turn;
            y = sqrt(-2.0f * log(u)) * (chw & 1 ? sin(angle) : cos(angle));
        }
    }
    x[i] = y;
}

// A uniform point of the ball: a direction times eps U^(1/d).
kernel void attack_place(global float *x, global const float *x0, global const float *norm,
                         global const image_state *state, global const int *ids, uint seed0,
                         uint seed1, int d, float eps)
{
    int e = get_global_id(0), n = get_global_id(1);
    size_t i = (size_t)n * d + e;
    if (!starts(state, n))
        return;
    float u = uniform01(noise(0, ids[n], state[n].restart, 1, seed0, seed1).x);
    float scale = eps * pow(u, 1.0f / d) / fmax(norm[n], 1e-12f);
    x[i] = clamp(x0[i] + x[i] * scale, 0.0f, 1.0f);
}

// partial[n, p] = sum of squares and largest magnitude of a, or a - b, over elements p + k PARTS.
kernel void attack_partial(global const float *a, global const float *b, global float2 *partial,
                           int d, int minus)
{
    int p = get_global_id(0), n = get_global_id(1);
    float sum = 0.0f, most = 0.0f;
    for (int e = p; e < d; e += PARTS) {
        size_t i = (size_t)n * d + e;
        float v = minus ? a[i] - b[i] : a[i];
        sum += v * v;
        most = fmax(most, fabs(v));
    }
    partial[n * PARTS + p] = (float2)(sum, most);
}

static float2 total(global const float2 *partial, int n)
{
    float2 t = partial[n * PARTS];
    for (int p = 1; p < PARTS; p++) {
        float2 v = partial[n * PARTS + p];
        t = (float2)(t.x + v.x, fmax(t.y, v.y));
    }
    return t;
}

kernel void attack_norm(global const float2 *partial, global float *norm)
{
    int n = get_global_id(0);
    norm[n] = sqrt(total(partial, n).x);
}

// The gradient's norm, and what there is to tell about a step about to be taken.
kernel void attack_count(global const float2 *partial, global float *norm,
                         global image_state *state)
{
    int n = get_global_id(0);
    image_state s = state[n];
    float2 t = total(partial, n);
    norm[n] = sqrt(t.x);
    if (!s.move)
        return;
    s.step++;
    s.steps += !s.ever;
    s.zero += t.y == 0.0f;
    if (isnan(t.x) || isinf(t.y)) {
        s.bad = s.frozen = 1;
        s.move = 0;
    }
    state[n] = s;
}

// x + a sign(grad), in the Linf ball, in the box; a < 0 descends. brighten: upward only.
kernel void attack_step_linf(global float *x, global const float *x0, global const float *grad,
                             global const image_state *state, int d, float a, float eps,
                             int brighten)
{
    int e = get_global_id(0), n = get_global_id(1);
    size_t i = (size_t)n * d + e;
    if (!state[n].move)
        return;
    float g = grad[i], step = a * (float)((g > 0.0f) - (g < 0.0f));
    float y = x[i] + (brighten ? fmax(step, 0.0f) : step);
    x[i] = clamp(x0[i] + clamp(y - x0[i], -eps, eps), 0.0f, 1.0f);
}

// x + a grad / |grad|; attack_project follows.
kernel void attack_step_l2(global float *x, global const float *grad, global const float *norm,
                           global const image_state *state, int d, float a)
{
    int e = get_global_id(0), n = get_global_id(1);
    size_t i = (size_t)n * d + e;
    if (state[n].move)
        x[i] += a * (grad[i] / fmax(norm[n], 1e-12f));
}

enum { RULE_SIGN, RULE_SGD, RULE_ADAM, RULE_RMSPROP, RULE_ADAGRAD, RULE_FTRL }; // gb_step_rule

// Step t = 1, 2, ... of p down the gradient g, by the formulas and defaults of Keras 2: betas 0.9
// and 0.999, rho 0.9, epsilon 1e-7, accumulators that begin with 0.1. s0, q0: a rule's memory.
static float optimise(int rule, float p, float g, float rate, int t, global float *s0,
                      global float *q0)
{
    if (rule == RULE_SGD)
        return p - rate * g;
    float s = t == 1 ? (rule >= RULE_ADAGRAD ? 0.1f : 0.0f) : *s0, q = t == 1 ? 0.0f : *q0;
    float old = s;
    switch (rule) {
    case RULE_ADAM: // 1 - 0.9^t and 1 - 0.999^t make up for averages that begin with 0
        q = 0.9f * q + 0.1f * g;
        s = 0.999f * s + 0.001f * (g * g);
        rate *= sqrt(-expm1(-1.0005003336e-3f * t)) / -expm1(-0.1053605157f * t);
        p -= rate * q / (sqrt(s) + 1e-7f);
        break;
    case RULE_RMSPROP:
        s = 0.9f * s + 0.1f * (g * g);
        p -= rate * g / (sqrt(s) + 1e-7f);
        break;
    case RULE_ADAGRAD:
        s += g * g;
        p -= rate * g / (sqrt(s) + 1e-7f);
        break;
    default: // FTRL: p is the minimiser of a sum of linear and quadratic terms
        s += g * g;
        q += g - (sqrt(s) - sqrt(old)) / rate * p;
        p = -q * rate / sqrt(s);
    }
    *s0 = s;
    *q0 = q;
    return p;
}

enum { CLIP_NOT, CLIP_BALL, CLIP_TUTORIAL }; // src/attack/kernels.c

// A step of an optimiser on the perturbation, counted in 1 / unit of the pixel range (rate and eps
// are, too); down: 1 descends the loss, -1 ascends. p0 keeps the perturbation, as x would round it,
// unless it is going to be projected: the tutorial doubles what is small, rounding included.
kernel void attack_step_rule(global float *x, global const float *x0, global const float *grad,
                             global const image_state *state, global float *s, global float *q,
                             global float *p0, int d, int rule, int down, float rate, float eps,
                             float unit, int clip)
{
    int e = get_global_id(0), n = get_global_id(1);
    size_t i = (size_t)n * d + e;
    if (!state[n].move)
        return;
    int t = state[n].step;
    float p = clip == CLIP_NOT || t == 1 ? (x[i] - x0[i]) * unit : p0[i];
    p = optimise(rule, p, down * grad[i] / unit, rate, t, s + i, q + i);
    if (clip == CLIP_NOT) {
        x[i] = x0[i] + p / unit;
        return;
    }
    if (clip == CLIP_BALL)
        p = clamp(p, fmax(-eps, -x0[i] * unit), fmin(eps, (1.0f - x0[i]) * unit));
    else
        p += clamp(p, -eps, eps);
    p0[i] = p;
    x[i] = clamp(x0[i] + p / unit, 0.0f, 1.0f);
}

// Onto the L2 ball (norm is that of x - x0), then the box.
kernel void attack_project(global float *x, global const float *x0, global const float *norm,
                           global const image_state *state, int d, float eps)
{
    int e = get_global_id(0), n = get_global_id(1);
    size_t i = (size_t)n * d + e;
    if (!state[n].move)
        return;
    float scale = fmin(1.0f, eps / fmax(norm[n], 1e-12f));
    x[i] = clamp(x0[i] + (x[i] - x0[i]) * scale, 0.0f, 1.0f);
}

// Is x what we look for, is it the best so far, and what comes next: a step, another restart where
// the kept iterate is no success, or rest? direction: 1 ascends the loss, -1 descends.
kernel void attack_judge(global const float *logits, global const int *labels,
                         global const float *losses, global image_state *state, int classes,
                         int direction, int steps, int restarts, int keep_best)
{
    int n = get_global_id(0);
    image_state s = state[n];
    float most = -INFINITY, value = direction * losses[n];
    int predicted = 0, bad = !isfinite(value);
    for (int k = 0; k < classes; k++) {
        float v = logits[(size_t)n * classes + k];
        bad |= !isfinite(v);
        if (v > most) {
            most = v;
            predicted = k;
        }
    }
    int success = direction < 0 ? predicted == labels[n] : predicted != labels[n];
    s.take = s.move = 0;
    if (!s.frozen && bad) {
        s.bad = s.frozen = 1;
    } else if (!s.frozen) {
        s.take = !keep_best || success > s.success || (success == s.success && value > s.best);
        if (s.take) {
            s.success = success;
            s.predicted = predicted;
            s.best = value;
        }
        s.ever |= success;
        s.frozen = s.early && success;
        if (s.step < steps) {
            s.move = !s.frozen;
        } else {
            s.step = 0;
            s.restart++;
            s.frozen |= s.success || s.restart == restarts;
        }
    }
    state[n] = s;
}

kernel void attack_keep(global float *best, global const float *x,
                        global const image_state *state, int d)
{
    int e = get_global_id(0), n = get_global_id(1);
    size_t i = (size_t)n * d + e;
    if (state[n].take)
        best[i] = x[i];
}
