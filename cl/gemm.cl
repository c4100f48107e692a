// The gathered GEMM for processors: one work-item computes MR output pixels x NR channels in
// registers, with no local memory and no barrier. NR, 8, 16 or 32, is a multiple of VW.
//   x[pixel * x_pitch + channel], rows[tap * points + point], w[group][block][tap][k][NR]
// Work-items are tiles of a strip of pixels x (strips x blocks) x groups: a strip stays in a near
// cache until all blocks of weights have gone past it.
// PLAIN: pixels follow one another in x and in y (dense layers, 1x1 at stride 1): no tables.
//
// A product of 64 channels is a few hundred cycles, so what surrounds it counts: the tile stays in
// registers to the end, and what the epilogue may do is asked once a tile, not once a vector.
#define NV (NR / VW)

#if NR == 32
typedef uint mask_t;
#elif NR == 16
typedef ushort mask_t;
#else
typedef uchar mask_t;
#endif

static global const float *gathered(global const float *x, global const float *zeros, int row,
                                    int first, int pitch)
{
    return row < 0 ? zeros : x + (size_t)(first + row) * pitch;
}

#define PREFETCH_TILE(p, pitch)                           \
    _Pragma("unroll") for (int i = 0; i < MR; i++)        \
        _Pragma("unroll") for (int j = 0; j < NR; j += 16) \
            PREFETCH((p) + q[i] * (pitch) + j)
#define FOR_TILE(i, j)                                    \
    _Pragma("unroll") for (int i = 0; i < MR; i++)        \
        _Pragma("unroll") for (int j = 0; j < NV; j++)

kernel void gemm(global const float *restrict x, int x0, int x_pitch, int x_image,
                 global const int *restrict rows, global const int *restrict outs, int taps,
                 int points, int count, global const float *restrict w, int k_count, int n_count,
                 global const float *restrict zeros, global const float *restrict bias,
                 global float *y, int y0, int y_pitch, int y_image,
                 global const float *res, int r0, int r_pitch, int add,
                 int act, float lo, float hi, float slope, global mask_t *act_mask,
                 global const mask_t *mask, float mask_slope, global float *act_slopes,
                 global const float *slopes)
{
    uint blocks = (uint)(n_count + NR - 1) / NR, row = get_global_id(1);
    int strip = row / blocks, block = row - strip * blocks, group = get_global_id(2);
    int m0 = (strip * get_global_size(0) + get_global_id(0)) * MR;
    if (m0 >= count)
        return;
    int c0 = group * n_count + block * NR, n = min(n_count - block * NR, NR);
    bool whole = m0 + MR <= count && n == NR;
    w += ((size_t)group * blocks + block) * taps * k_count * NR;
    bias += ((size_t)group * blocks + block) * NR;
    x += x0 + group * k_count;
    y += y0 + c0;
    if (res)
        res += r0 + c0;
    int words = (get_global_size(2) * n_count + 31) / 32 * (32 / NR); // mask_t's of a pixel
    if (act_mask)
        act_mask += c0 / NR;
    if (mask)
        mask += c0 / NR;
    int channels = get_global_size(2) * n_count; // of act_slopes and slopes
    if (act_slopes)
        act_slopes += c0;
    if (slopes)
        slopes += c0;

    size_t q[MR]; // pixels of y
#ifdef PLAIN
#define X_PIXEL(i, t) (x + q[i] * x_pitch)
#pragma unroll
    for (int i = 0; i < MR; i++)
        q[i] = min(m0 + i, count - 1);
#else
    int image[MR], point[MR];
    image[0] = m0 / points;
    point[0] = m0 - image[0] * points;
#pragma unroll
    for (int i = 1; i < MR; i++) {
        bool more = m0 + i < count, wrap = point[i - 1] + 1 == points;
        image[i] = image[i - 1] + (more && wrap);
        point[i] = more ? wrap ? 0 : point[i - 1] + 1 : point[i - 1];
    }
#pragma unroll
    for (int i = 0; i < MR; i++)
        q[i] = image[i] * y_image + outs[point[i]];
#define X_PIXEL(i, t) gathered(x, zeros, rows[t * points + point[i]], image[i] * x_image, x_pitch)
#endif
    // What the epilogue will touch comes from far away; it is fetched meanwhile.
    PREFETCH_TILE(y, y_pitch);
    if (res)
        PREFETCH_TILE(res, r_pitch);
    if (slopes)
        PREFETCH_TILE(slopes, channels);

    vf sum[MR][NV], acc[MR][NV];
    FOR_TILE(i, j)
        acc[i][j] = (vf)(0);
    bool summed = false;
    int terms = 0;
    for (int t = 0; t < taps; t++) {
        global const float *a[MR];
#pragma unroll
        for (int i = 0; i < MR; i++)
            a[i] = X_PIXEL(i, t);
        for (int k = 0; k < k_count;) {
            if (terms >= SUM_BLOCK) {
                FOR_TILE(i, j) {
                    sum[i][j] = (summed ? sum[i][j] : VLOAD(bias + j * VW)) + acc[i][j];
                    acc[i][j] = (vf)(0);
                }
                summed = true;
                terms = 0;
            }
            int end = min(k + SUM_BLOCK, k_count);
            terms += end - k;
            for (; k < end; k++, w += NR) {
                vf b[NV];
#pragma unroll
                for (int j = 0; j < NV; j++)
                    b[j] = VLOAD(w + j * VW);
#pragma unroll
                for (int i = 0; i < MR; i++) {
                    vf s = (vf)(a[i][k]);
#pragma unroll
                    for (int j = 0; j < NV; j++)
                        acc[i][j] = fma(s, b[j], acc[i][j]);
                }
            }
        }
    }
    FOR_TILE(i, j)
        acc[i][j] += summed ? sum[i][j] : VLOAD(bias + j * VW);

    if (!whole) {
        float tile[MR][NR];
        int at[MR];
        FOR_TILE(i, j)
            VSTORE(acc[i][j], tile[i] + j * VW);
#pragma unroll
        for (int i = 0; i < MR; i++)
            at[i] = q[i];
        for (int i = 0; i < min(MR, count - m0); i++) {
            size_t p = at[i];
            uint bits = mask ? mask[p * words] : 0, kept = 0;
            for (int j = 0; j < NR; j += VW)
                epilogue(VLOAD(tile[i] + j), clamp(n - j, 0, VW), y + p * y_pitch + j, add,
                         res ? res + p * r_pitch + j : 0, act, lo, hi, slope, &kept, j,
                         mask != 0, bits >> j, mask_slope, slopes ? slopes + p * channels + j : 0);
            if (act_mask)
                act_mask[p * words] = kept;
#ifdef SMOOTH
            smooth_row(y + p * y_pitch, act_slopes ? act_slopes + p * channels : 0, n, lo, hi);
#endif
        }
        return;
    }
    uint kept[MR] = {0};
    EPILOGUE_OF_TILE(FOR_TILE(i, j), acc[i][j], y + q[i] * y_pitch + j * VW,
                     res + q[i] * r_pitch + j * VW, kept[i], j * VW,
                     (uint)mask[q[i] * words] >> j * VW, slopes + q[i] * channels + j * VW)
    if (act_mask)
#pragma unroll
        for (int i = 0; i < MR; i++)
            act_mask[q[i] * words] = kept[i];
    FOR_TILE(i, j)
        VSTORE(acc[i][j], y + q[i] * y_pitch + j * VW);
#ifdef SMOOTH
    for (int i = 0; i < MR; i++)
        smooth_row(y + q[i] * y_pitch, act_slopes ? act_slopes + q[i] * channels : 0, NR, lo, hi);
#endif
}
