// Loop nests over strided operands (the host's half: src/op/nd.c).

typedef struct nd_range {
    int i0, i1, r0, r1; // elements of the inner dimension, rows
} nd_range;

// This work-item's share of inner x outer elements; chunk 0: one element each.
static nd_range nd_item(int inner, int outer, int chunk, int rows)
{
    nd_range s;
    int x = get_global_id(0), y = get_global_id(1);
    if (chunk == 0) {
        s.r0 = x / inner;
        s.r1 = min(s.r0 + 1, outer);
        s.i0 = x - s.r0 * inner;
        s.i1 = s.i0 + 1;
    } else {
        s.i0 = x * chunk;
        s.i1 = min(s.i0 + chunk, inner);
        s.r0 = y * rows;
        s.r1 = min(s.r0 + rows, outer);
    }
    return s;
}

// Where operands are in row `row`: the first four (which 1), or in y, z and w the three more (0).
// `table` has a line of 8 for each of n dimensions: size, the strides of three more operands, those
// of the first four.
static int4 nd_half(global const int *table, int n, int row, int which)
{
    int4 at = 0;
    for (int d = 0; d < n; d++, table += 8) {
        int up = d + 1 < n ? row / table[0] : 0;
        at += (row - up * table[0]) * vload4(which, table);
        row = up;
    }
    return at;
}

static int4 nd_row(global const int *table, int n, int row)
{
    return nd_half(table, n, row, 1);
}

// The next n elements along a stride, at most VW; the other lanes repeat the last one.
static vf nd_get(global const float *p, int stride, int n)
{
    if (stride == 0)
        return (vf)(p[0]);
    if (stride == 1)
        return n >= VW ? VLOAD(p) : vfirst(n, vload_first(p, n), (vf)(p[n - 1]));
    return vgather(p, min(VLANES, (vi)(n - 1)) * stride);
}

static void nd_put(vf v, global float *p, int stride, int n)
{
    if (stride == 1) {
        vstore_first(v, p, n);
        return;
    }
    float t[VW];
    VSTORE(v, t);
    for (int i = 0; i < min(n, VW); i++)
        p[i * stride] = t[i];
}
