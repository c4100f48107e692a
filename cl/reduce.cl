// Reductions of terms (src/op/fold.h), along vectors of kept elements or along the reduced ones.
enum { SUM, MAX, MIN, PROD };
enum {
    P, MINUS_P, SQUARE, TIES, MUL, OVER, IF, UNLESS, MUL_MUL, DIV_DIVISOR, MOD_DIVISOR,
    FMOD_DIVISOR, POW_BASE, POW_POWER, TERM_MIN, TERM_MAX, PRELU_X, PRELU_SLOPE, IF_EQUAL, NORM
};

#define PICK(condition, yes, no) select((vf)(no), (vf)(yes), condition)

static vf term_of(int term, vf p, vf q, vf r)
{
    vf zero = (vf)(0.0f);
    switch (term) {
    case P: return p;
    case MINUS_P: return -p;
    case SQUARE: return p * p;
    case TIES: return PICK(p == q, 1.0f, zero);
    case MUL: return p * q;
    case OVER: return p / q;
    case IF: return PICK(q != 0.0f, p, zero);
    case UNLESS: return PICK(q != 0.0f, zero, p);
    case MUL_MUL: return p * q * r;
    case DIV_DIVISOR: return -p * (q / r) / r;
    case MOD_DIVISOR: return -p * floor(q / r);
    case FMOD_DIVISOR: return -p * trunc(q / r);
    case POW_BASE: return PICK(r == 0.0f, zero, p * r * pow(q, r - 1.0f));
    case POW_POWER: return PICK((q == 0.0f) & (r >= 0.0f), zero, p * pow(q, r) * log(q));
    case TERM_MIN: return PICK(q < r, p, PICK(q == r, 0.5f * p, zero));
    case TERM_MAX: return PICK(q > r, p, PICK(q == r, 0.5f * p, zero));
    case PRELU_X: return PICK(q > 0.0f, p, p * r);
    case PRELU_SLOPE: return PICK(q > 0.0f, zero, p * q);
    case IF_EQUAL: return PICK(q == r, p, zero);
    case NORM: return PICK(r == 0.0f, zero, p * q / r);
    default: return p;
    }
}

static vf join(int by, vf a, vf b)
{
    switch (by) {
    case SUM: return a + b;
    case PROD: return a * b;
    case MAX: return PICK((a > b) | (a != a), a, b); // NaN from either side
    default: return PICK((a < b) | (a != a), a, b);
    }
}

static vf nothing(int by)
{
    return (vf)(by == SUM ? 0.0f : by == PROD ? 1.0f : by == MAX ? -INFINITY : INFINITY);
}

// The commonest reductions are compiled on their own (-DBY=... -DTERM=...).
#ifndef TERM
#define BY by
#define TERM term
#endif

// Partial results of so many terms are joined first: rounding grows like a root.
enum { BLOCK = 64 };

// The reduced dimensions: r_outer rows (r_table) of r_inner elements, of which segment
// get_global_id(2) takes seg_size; its results go out_seg elements further on. Operands 0: out,
// then the inputs, each with its strides in the inner kept and the inner reduced dimension.
#define ARGUMENTS \
    global const int *k_table, int k_n, int inner, int outer, int chunk, int rows, \
    global const int *r_table, int r_n, int r_outer, int r_inner, int seg_size, int out_seg, \
    global float *out, int out0, int os, global const float *p, int p0, int ps, int prs, \
    global const float *q, int q0, int qs, int qrs, global const float *r, int r0, int rs, \
    int rrs, int n_in, int by, int term, float scale, int add

// Nothing to reduce: out = scale * term.
kernel void fold_map(ARGUMENTS)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int row = s.r0; row < s.r1; row++) {
        int4 at = nd_row(k_table, k_n, row);
        global float *to = out + out0 + at.s0;
        global const float *pr = p + p0 + at.s1;
        global const float *qr = n_in > 1 ? q + q0 + at.s2 : p, *rr = n_in > 2 ? r + r0 + at.s3 : p;
        vf vq = (vf)(0.0f), vr = (vf)(0.0f);
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            if (n_in > 1)
                vq = nd_get(qr + i * qs, qs, n);
            if (n_in > 2)
                vr = nd_get(rr + i * rs, rs, n);
            vf v = scale * term_of(TERM, nd_get(pr + i * ps, ps, n), vq, vr);
            if (add)
                v += nd_get(to + i * os, os, n);
            nd_put(v, to + i * os, os, n);
        }
    }
}

kernel void fold_across(ARGUMENTS)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    int seg = get_global_id(2), k0 = seg * seg_size, k1 = min(k0 + seg_size, r_inner);
    for (int row = s.r0; row < s.r1; row++) {
        int4 at = nd_row(k_table, k_n, row);
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            vf total = nothing(BY);
            for (int j = 0; j < r_outer; j++) {
                int4 to = at + nd_row(r_table, r_n, j);
                global const float *pj = p + p0 + to.s1 + i * ps;
                global const float *qj = n_in > 1 ? q + q0 + to.s2 + i * qs : p;
                global const float *rj = n_in > 2 ? r + r0 + to.s3 + i * rs : p;
                for (int k = k0; k < k1;) {
                    vf part = nothing(BY), vq = (vf)(0.0f), vr = (vf)(0.0f);
                    for (int end = min(k + BLOCK, k1); k < end; k++) {
                        if (n_in > 1)
                            vq = nd_get(qj + k * qrs, qs, n);
                        if (n_in > 2)
                            vr = nd_get(rj + k * rrs, rs, n);
                        part = join(BY, part, term_of(TERM, nd_get(pj + k * prs, ps, n), vq, vr));
                    }
                    total = join(BY, total, part);
                }
            }
            total *= scale;
            global float *to = out + out0 + at.s0 + seg * out_seg + i * os;
            if (add)
                total += nd_get(to, os, n);
            nd_put(total, to, os, n);
        }
    }
}

kernel void fold_along(ARGUMENTS)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    int seg = get_global_id(2), k0 = seg * seg_size, k1 = min(k0 + seg_size, r_inner);
    for (int row = s.r0; row < s.r1; row++) {
        int4 at = nd_row(k_table, k_n, row);
        for (int i = s.i0; i < s.i1; i++) {
            vf total = nothing(BY), vq = (vf)(0.0f), vr = (vf)(0.0f);
            for (int j = 0; j < r_outer; j++) {
                int4 to = at + nd_row(r_table, r_n, j);
                global const float *pj = p + p0 + to.s1 + i * ps;
                global const float *qj = n_in > 1 ? q + q0 + to.s2 + i * qs : p;
                global const float *rj = n_in > 2 ? r + r0 + to.s3 + i * rs : p;
                for (int k = k0; k < k1;) {
                    vf part = nothing(BY);
                    for (int end = min(k + BLOCK * VW, k1); k < end; k += VW) {
                        int n = end - k;
                        if (n_in > 1)
                            vq = nd_get(qj + k * qrs, qrs, n);
                        if (n_in > 2)
                            vr = nd_get(rj + k * rrs, rrs, n);
                        vf t = term_of(TERM, nd_get(pj + k * prs, prs, n), vq, vr);
                        part = vfirst(n, join(BY, part, t), part);
                    }
                    total = join(BY, total, part);
                }
            }
            float lane[VW];
            VSTORE(total, lane);
            total = (vf)(lane[0]);
            for (int l = 1; l < VW; l++)
                total = join(BY, total, (vf)(lane[l]));
            total *= scale;
            global float *to = out + out0 + at.s0 + seg * out_seg + i * os;
            if (add)
                total += nd_get(to, 0, 1);
            nd_put(total, to, 1, 1);
        }
    }
}

// dx = dy at the first of the reduced elements (the count of r_table's dimensions) where x is y, 0
// at the others; operands 0: dx, 1: dy, 2: x, 3: y.
kernel void first_grad(global const int *k_table, int k_n, int inner, int outer, int chunk,
                       int rows, global const int *r_table, int r_n, int count, global float *dx,
                       int dx0, int dxs, global const float *dy, int dy0, int dys,
                       global const float *x, int x0, int xs, global const float *y, int y0,
                       int ys, int add)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int row = s.r0; row < s.r1; row++)
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            int4 at = nd_row(k_table, k_n, row) + (int4)(dx0, dy0, x0, y0) +
                      i * (int4)(dxs, dys, xs, ys);
            vf most = nd_get(y + at.s3, ys, n), left = nd_get(dy + at.s1, dys, n);
            for (int k = 0; k < count; k++) {
                int4 to = at + nd_row(r_table, r_n, k);
                vi found = nd_get(x + to.s2, xs, n) == most;
                vf g = PICK(found, left, 0.0f);
                left = PICK(found, 0.0f, left);
                if (add)
                    g += nd_get(dx + to.s0, dxs, n);
                nd_put(g, dx + to.s0, dxs, n);
            }
        }
}
