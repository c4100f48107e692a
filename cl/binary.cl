// Functions of two and three broadcast elements; their derivatives are terms of cl/reduce.cl.
// The numbers are those of gb_binary_kind (src/op/binary.h), then those of src/op/binary_record.h.
enum {
    ADD, SUB, MUL, DIV, POW, MOD, FMOD, PRELU, MIN, MAX, EQUAL, LESS, LESS_EQUAL, GREATER,
    GREATER_EQUAL, AND, OR, XOR
};
enum { WHERE, MUL_ADD };

#define PICK(condition, yes, no) select((vf)(no), (vf)(yes), condition)
#define TRUTH(condition) PICK(condition, 1.0f, 0.0f)

static vf binary(int kind, vf a, vf b)
{
    switch (kind) {
    case ADD: return a + b;
    case SUB: return a - b;
    case MUL: return a * b;
    case DIV: return a / b;
    case POW: return pow(a, b);
    case MOD: {
        vf r = fmod(a, b);
        return PICK((r != 0.0f) & ((r < 0.0f) != (b < 0.0f)), r + b, r);
    }
    case FMOD: return fmod(a, b);
    case PRELU: return PICK(a < 0.0f, a * b, a);
    case MIN: return PICK((a < b) | (a != a), a, b); // NaN from either side
    case MAX: return PICK((a > b) | (a != a), a, b);
    case EQUAL: return TRUTH(a == b);
    case LESS: return TRUTH(a < b);
    case LESS_EQUAL: return TRUTH(a <= b);
    case GREATER: return TRUTH(a > b);
    case GREATER_EQUAL: return TRUTH(a >= b);
    case AND: return TRUTH((a != 0.0f) & (b != 0.0f));
    case OR: return TRUTH((a != 0.0f) | (b != 0.0f));
    case XOR: return TRUTH((a != 0.0f) != (b != 0.0f));
    default: return a;
    }
}

// y = f(a, b); operands 0: y, 1: a, 2: b. y may be a.
kernel void binary_map(global const int *table, int n_outer, int inner, int outer, int chunk,
                       int rows, global float *y, int y0, int ys, global const float *a, int a0,
                       int as, global const float *b, int b0, int bs, int kind)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(table, n_outer, r);
        global float *yr = y + y0 + at.s0;
        global const float *ar = a + a0 + at.s1, *br = b + b0 + at.s2;
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            vf v = binary(kind, nd_get(ar + i * as, as, n), nd_get(br + i * bs, bs, n));
            nd_put(v, yr + i * ys, ys, n);
        }
    }
}

// y = c ? a : b, or y = c * a + b; operands 0: y, 1: c, 2: a, 3: b.
kernel void ternary_map(global const int *table, int n_outer, int inner, int outer, int chunk,
                        int rows, global float *y, int y0, int ys, global const float *c, int c0,
                        int cs, global const float *a, int a0, int as, global const float *b,
                        int b0, int bs, int kind)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(table, n_outer, r);
        global float *yr = y + y0 + at.s0;
        global const float *cr = c + c0 + at.s1, *ar = a + a0 + at.s2, *br = b + b0 + at.s3;
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            vf vc = nd_get(cr + i * cs, cs, n), va = nd_get(ar + i * as, as, n);
            vf vb = nd_get(br + i * bs, bs, n);
            nd_put(kind == WHERE ? PICK(vc != 0.0f, va, vb) : fma(vc, va, vb), yr + i * ys, ys, n);
        }
    }
}

// y = ab a b + cd c d, times e; b, c, d and e may be NULL, which is a 1 (but c: then there is no
// second product). Operands in this order.
kernel void products(global const int *table, int n_outer, int inner, int outer, int chunk,
                     int rows, global float *y, int y0, int ys, global const float *a, int a0,
                     int as, global const float *b, int b0, int bs, global const float *c, int c0,
                     int cs, global const float *d, int d0, int ds, global const float *e, int e0,
                     int es, float ab, float cd)
{
    nd_range s = nd_item(inner, outer, chunk, rows);
    for (int r = s.r0; r < s.r1; r++) {
        int4 at = nd_row(table, n_outer, r), more = nd_half(table, n_outer, r, 0);
        for (int i = s.i0; i < s.i1; i += VW) {
            int n = s.i1 - i;
            vf v = ab * nd_get(a + a0 + at.s1 + i * as, as, n);
            if (b)
                v *= nd_get(b + b0 + at.s2 + i * bs, bs, n);
            if (c) {
                vf w = cd * nd_get(c + c0 + at.s3 + i * cs, cs, n);
                if (d)
                    w *= nd_get(d + d0 + more.s1 + i * ds, ds, n);
                v += w;
            }
            if (e)
                v *= nd_get(e + e0 + more.s2 + i * es, es, n);
            nd_put(v, y + y0 + at.s0 + i * ys, ys, n);
        }
    }
}
