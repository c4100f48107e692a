// Losses of logits with labels and their gradients; a row is an image. The numbers are those of
// gb_loss (src/op/loss.h).
// KIND is one of these: a compiler that would see them all takes five times as long.
enum { NONE, CE, MARGIN, DLR, PAIR, KL, TRADES };
// Variables, as clang warns of constants beside && and ||.
#define IS_KIND bool ce = KIND == CE, kl = KIND == KL, trades = KIND == TRADES

#define PICK(condition, yes, no) select((vf)(no), (vf)(yes), condition)

#ifdef GB_CPU
#define INDEX_SCRATCH local int *places = 0
#else
#define INDEX_SCRATCH local int places[ROW_LANES]
#endif

// Which of `count` elements along a stride is the largest, a and b left out: the first of equals;
// NaN counts as largest.
static int row_argmax(global const float *z, int stride, int count, int a, int b,
                      local float *scratch, local int *places)
{
    float best = -INFINITY;
    int at = -1;
    for (int k = ROW_LANE; k < count; k += ROW_LANES)
        if (k != a && k != b) {
            float v = z[k * stride];
            if (at < 0 || v > best || (v != v && best == best)) {
                best = v;
                at = k;
            }
        }
#ifndef GB_CPU
    barrier(CLK_LOCAL_MEM_FENCE);
    scratch[ROW_LANE] = best;
    places[ROW_LANE] = at;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < ROW_LANES; i++) {
        float v = scratch[i];
        int p = places[i];
        if (p < 0)
            continue;
        bool same = v == best || (v != v && best != best);
        if (at < 0 || (same ? p < at : v > best || v != v)) {
            best = v;
            at = p;
        }
    }
#endif
    return at;
}

// The sum of e^(z - most) over all but element `skip`.
static float row_powers(global const float *z, int stride, int count, float most, int skip,
                        local float *scratch)
{
    vf sum = (vf)(0.0f);
    FOR_COLUMNS (k, n, count) {
        vf power = exp(nd_get(z + k * stride, stride, n) - most);
        sum += vfirst(n, PICK(k + VLANES == skip, 0.0f, power), (vf)(0.0f));
    }
    return row_join(sum, true, scratch);
}

// A row of logits and what its softmax needs.
typedef struct logits {
    global const float *z;
    int stride;
    float most, log_sum; // the largest, and the logarithm of the sum of e^(z - most)
} logits;

static logits row_softmax(global const float *z, int stride, int count, local float *scratch,
                          local int *places)
{
    logits r = {z, stride, z[row_argmax(z, stride, count, -1, -1, scratch, places) * stride], 0.0f};
    r.log_sum = log(row_powers(z, stride, count, r.most, -1, scratch));
    return r;
}

// log softmax of elements k, k + 1, ...
static vf log_probability(const logits *r, int k, int n)
{
    return nd_get(r->z + k * r->stride, r->stride, n) - r->most - r->log_sum;
}

// KL(p || q) as the sum of p u - p + q with u = log p - log q: no term is negative. Where p and q
// are close, p (u + e^-u - 1) keeps its digits.
static float row_divergence(const logits *a, const logits *b, int count, local float *scratch)
{
    vf sum = (vf)(0.0f);
    FOR_COLUMNS (k, n, count) {
        vf log_p = log_probability(a, k, n), log_q = log_probability(b, k, n);
        vf p = exp(log_p), u = log_p - log_q;
        vf term = PICK(fabs(u) < 1.0f, p * (u + expm1(-u)), p * u - p + exp(log_q));
        term = PICK(p == 0.0f, exp(log_q), term); // p u is 0 then, with logits of -infinity, too
        sum += vfirst(n, term, (vf)(0.0f));
    }
    return row_join(sum, true, scratch);
}

// The mean of (most - z), for label smoothing.
static float row_depth(global const float *z, int stride, int count, float most,
                       local float *scratch)
{
    vf sum = (vf)(0.0f);
    FOR_COLUMNS (k, n, count)
        sum += vfirst(n, most - nd_get(z + k * stride, stride, n), (vf)(0.0f));
    return row_join(sum, true, scratch) / count;
}

// z and dz: a stride from row to row, one from class to class. targets: (count, classes), dense.
// half_count: TRADES' x and x' are that many rows apart.
kernel void loss(int count, int per, global const float *z, int z0, int pitch, int step,
                 int classes, global const int *labels, global const int *seconds,
                 global const float *targets, int half_count, float smoothing,
                 global float *losses)
{
    ROW_SCRATCH;
    INDEX_SCRATCH;
    IS_KIND;
    FOR_ROWS (r, count, per) {
        global const float *zr = z + z0 + r * pitch;
        float value;
        if (kl || (trades && r >= half_count)) {
            logits b = row_softmax(zr, step, classes, scratch, places);
            logits a = kl ? row_softmax(targets + (size_t)r * classes, 1, classes, scratch, places)
                          : row_softmax(zr - half_count * pitch, step, classes, scratch, places);
            value = row_divergence(&a, &b, classes, scratch);
        } else {
            int y = labels[r], first = row_argmax(zr, step, classes, -1, -1, scratch, places);
            float zy = zr[y * step], most = zr[first * step];
            if (ce || trades) {
                // The logarithm near 1 keeps its digits where the label is all but certain.
                float others = row_powers(zr, step, classes, most, y, scratch);
                float log_sum = log(others + exp(zy - most));
                value = first == y ? log1p(others) : log_sum + (most - zy);
                if (smoothing != 0.0f) {
                    float depth = row_depth(zr, step, classes, most, scratch);
                    value = (1.0f - smoothing) * value + smoothing * (log_sum + depth);
                }
            } else if (KIND == PAIR) {
                value = zr[seconds[r] * step] - zy + 0.0f * most; // NaN wherever it is
            } else {
                value = zr[row_argmax(zr, step, classes, y, -1, scratch, places) * step] - zy;
                if (KIND == DLR) {
                    int second = row_argmax(zr, step, classes, first, -1, scratch, places);
                    int third = row_argmax(zr, step, classes, first, second, scratch, places);
                    value /= most - zr[third * step] + 1e-12f;
                }
            }
        }
        if (ROW_LANE == 0)
            losses[r] = value;
    }
}

kernel void loss_grad(int count, int per, global const float *z, int z0, int pitch, int step,
                      int classes, global const int *labels, global const int *seconds,
                      global const float *targets, int half_count, float smoothing,
                      global const float *weights, global float *dz, int dz0, int dz_pitch,
                      int dz_step, int add)
{
    ROW_SCRATCH;
    INDEX_SCRATCH;
    IS_KIND;
    FOR_ROWS (r, count, per) {
        global const float *zr = z + z0 + r * pitch;
        global float *dzr = dz + dz0 + r * dz_pitch;
        bool labelled = !kl && (!trades || r < half_count), power = false;
        int y = -1, first = -1, other = -1, third = -1;
        float most = 0.0f, rate = 1.0f, bend = 0.0f, at_y = -1.0f, spread = 0.0f;
        float weight = weights ? weights[r] : 1.0f, weight_p = 0.0f, divergence = 0.0f;
        logits a = {zr, step, 0.0f, 0.0f}, b = a;
        if (labelled) {
            y = labels[r];
            first = row_argmax(zr, step, classes, -1, -1, scratch, places);
            float zy = zr[y * step];
            most = zr[first * step];
            power = ce || trades;
            if (power) {
                float others = row_powers(zr, step, classes, most, y, scratch);
                rate = 1.0f / (others + exp(zy - most));
                spread = smoothing / classes;
                at_y = smoothing - others * rate;
            } else {
                other = KIND == PAIR ? seconds[r]
                                     : row_argmax(zr, step, classes, y, -1, scratch, places);
            }
            if (KIND == DLR) {
                int second = row_argmax(zr, step, classes, first, -1, scratch, places);
                third = row_argmax(zr, step, classes, first, second, scratch, places);
                rate = 1.0f / (most - zr[third * step] + 1e-12f);
                bend = (zr[other * step] - zy) * rate * rate;
                at_y = -rate;
            }
        }
        if (kl || trades) { // a and b, of KL(softmax(a) || softmax(b))
            int other_half = labelled ? half_count * pitch : -half_count * pitch;
            logits mine = row_softmax(zr, step, classes, scratch, places);
            logits theirs =
                kl ? row_softmax(targets + (size_t)r * classes, 1, classes, scratch, places)
                   : row_softmax(zr + other_half, step, classes, scratch, places);
            a = labelled ? mine : theirs;
            b = labelled ? theirs : mine;
            if (labelled) {
                weight_p = weights ? weights[r + half_count] : 1.0f;
                divergence = row_divergence(&a, &b, classes, scratch);
            }
        }
        FOR_COLUMNS (k, n, classes) {
            vi at = k + VLANES;
            vf g;
            if (power)
                g = exp(nd_get(zr + k * step, step, n) - most) * rate;
            else
                g = PICK(at == other, rate, 0.0f);
            g = PICK(at == y, at_y, g) - spread;
            g -= PICK(at == first, bend, 0.0f);
            g += PICK(at == third, bend, 0.0f);
            if (kl || trades) {
                vf log_p = log_probability(&a, k, n), log_q = log_probability(&b, k, n);
                vf p = exp(log_p), u = log_p - log_q;
                if (labelled)
                    g = weight * g + weight_p * PICK(p == 0.0f, 0.0f, p * (u - divergence));
                else
                    g = weight * PICK(fabs(u) < 1.0f, p * expm1(-u), exp(log_q) - p);
            } else {
                g *= weight;
            }
            if (add)
                g += nd_get(dzr + k * dz_step, dz_step, n);
            nd_put(g, dzr + k * dz_step, dz_step, n);
        }
    }
}
