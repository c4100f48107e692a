// Weights into the order in which kernels read them, and their gradients back (src/op/pack.h).
#ifdef GB_CPU
#define PIECE 2048 // floats of a work-item, as in src/op/pack.c
#else
#define PIECE 1
#endif

kernel void pack(global const int *restrict table, global const float *restrict x, float scale,
                 global float *restrict y, int count)
{
    int i0 = get_global_id(0) * PIECE, end = min(i0 + PIECE, count);
    for (int i = i0; i < end; i++) {
        int at = table[i];
        y[i] = at < 0 ? 0.0f : scale * x[at];
    }
}

// Each element stands at one place at most, so that no two work-items meet.
kernel void unpack(global const int *restrict table, global const float *restrict partial,
                   int first, int stride, int parts, float scale, global float *y, int add,
                   int count)
{
    int i0 = get_global_id(0) * PIECE, end = min(i0 + PIECE, count);
    partial += first;
    for (int i = i0; i < end; i += VW) {
        int n = min(end - i, VW);
        vf sum = vload_first(partial + i, n);
        for (int p = 1; p < parts; p++)
            sum += vload_first(partial + (size_t)p * stride + i, n);
        float t[VW];
        VSTORE(scale * sum, t);
        for (int j = 0; j < n; j++) {
            int at = table[i + j];
            if (at >= 0)
                y[at] = add ? y[at] + t[j] : t[j];
        }
    }
}
