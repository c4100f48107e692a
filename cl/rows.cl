// Rows: reductions whose elements are neighbours (the host's half: src/op/rows.c).
// A work-group takes a row on a GPU, its items every ROW_LANES-th element; an item takes `per`
// whole rows, in vectors, on a CPU. ROW_SCRATCH goes at the top of the kernel.

#ifdef GB_CPU
#define ROW_LANES 1
#define ROW_LANE 0
#define ROW_SCRATCH local float *scratch = 0
#else
#define ROW_LANES 64
#define ROW_LANE ((int)get_local_id(0))
#define ROW_SCRATCH local float scratch[ROW_LANES]
#endif
#define FOR_ROWS(r, count, per) \
    for (int r = get_group_id(0) * per, r##_end = min(r + per, count); r < r##_end; r++)
// The elements k of this item, in pieces of n <= VW.
#define FOR_COLUMNS(k, n, count) \
    for (int k = ROW_LANE * VW, n; n = count - k, k < count; k += ROW_LANES * VW)

// The sum (or the maximum) of all lanes of a row's items; the same bits in every item.
static float row_join(vf v, bool sum, local float *scratch)
{
#ifdef GB_CPU
    float t[VW];
    VSTORE(v, t);
    for (int width = VW / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            t[i] = sum ? t[i] + t[i + width] : fmax(t[i], t[i + width]);
    return t[0];
#else
    barrier(CLK_LOCAL_MEM_FENCE);
    scratch[ROW_LANE] = v;
    for (int width = ROW_LANES / 2; width > 0; width /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (ROW_LANE < width) {
            float a = scratch[ROW_LANE], b = scratch[ROW_LANE + width];
            scratch[ROW_LANE] = sum ? a + b : fmax(a, b);
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return scratch[0];
#endif
}
