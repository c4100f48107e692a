// Losses of logits with labels and their gradients; a row is an image. The numbers are those of
// gb_loss (src/op/loss.h).
enum { NONE, CE, MARGIN, DLR };

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

// z and dz: a stride from row to row, one from class to class.
kernel void loss(int count, int per, global const float *z, int z0, int pitch, int step,
                 int classes, global const int *labels, int kind, global float *losses)
{
    ROW_SCRATCH;
    INDEX_SCRATCH;
    FOR_ROWS (r, count, per) {
        global const float *zr = z + z0 + r * pitch;
        int y = labels[r], first = row_argmax(zr, step, classes, -1, -1, scratch, places);
        float value, zy = zr[y * step], most = zr[first * step];
        if (kind == CE) {
            // The logarithm near 1 keeps its digits where the label is all but certain.
            float others = row_powers(zr, step, classes, most, y, scratch);
            value = first == y ? log1p(others) : log(others + exp(zy - most)) + (most - zy);
        } else {
            value = zr[row_argmax(zr, step, classes, y, -1, scratch, places) * step] - zy;
            if (kind == DLR) {
                int second = row_argmax(zr, step, classes, first, -1, scratch, places);
                int third = row_argmax(zr, step, classes, first, second, scratch, places);
                value /= most - zr[third * step] + 1e-12f;
            }
        }
        if (ROW_LANE == 0)
            losses[r] = value;
    }
}

kernel void loss_grad(int count, int per, global const float *z, int z0, int pitch, int step,
                      int classes, global const int *labels, int kind, global float *dz, int dz0,
                      int dz_pitch, int dz_step, int add)
{
    ROW_SCRATCH;
    INDEX_SCRATCH;
    FOR_ROWS (r, count, per) {
        global const float *zr = z + z0 + r * pitch;
        global float *dzr = dz + dz0 + r * dz_pitch;
        int y = labels[r], first = row_argmax(zr, step, classes, -1, -1, scratch, places);
        int other = y, third = first;
        float zy = zr[y * step], most = zr[first * step], rate = 1.0f, bend = 0.0f, at_y = -1.0f;
        if (kind == CE) {
            float others = row_powers(zr, step, classes, most, y, scratch);
            rate = 1.0f / (others + exp(zy - most));
            at_y = -others * rate;
        } else {
            other = row_argmax(zr, step, classes, y, -1, scratch, places);
        }
        if (kind == DLR) {
            int second = row_argmax(zr, step, classes, first, -1, scratch, places);
            third = row_argmax(zr, step, classes, first, second, scratch, places);
            rate = 1.0f / (most - zr[third * step] + 1e-12f);
            bend = (zr[other * step] - zy) * rate * rate;
            at_y = -rate;
        }
        FOR_COLUMNS (k, n, classes) {
            vi at = k + VLANES;
            vf g;
            if (kind == CE)
                g = exp(nd_get(zr + k * step, step, n) - most) * rate;
            else
                g = PICK(at == other, rate, 0.0f);
            g = PICK(at == y, at_y, g);
            g -= PICK(at == first, bend, 0.0f);
            g += PICK(at == third, bend, 0.0f);
            if (add)
                g += nd_get(dzr + k * dz_step, dz_step, n);
            nd_put(g, dzr + k * dz_step, dz_step, n);
        }
    }
}
