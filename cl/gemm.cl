// The gathered GEMM for processors: one work-item computes MR output pixels x NR channels in
// registers, with no local memory and no barrier. NR, 8, 16 or 32, is a multiple of VW.
//   x[pixel * x_pitch + channel], rows[tap * points + point], w[group][block][tap][k][NR]
#define NV (NR / VW)

#if NR == 32
typedef uint mask_t;
#elif NR == 16
typedef ushort mask_t;
#else
typedef uchar mask_t;
#endif

kernel void gemm(global const float *restrict x, int x0, int x_pitch, int x_image,
                 global const int *restrict rows, global const int *restrict outs, int taps,
                 int points, int count, global const float *restrict w, int k_count, int n_count,
                 global const float *restrict zeros, global const float *restrict bias,
                 global float *y, int y0, int y_pitch, int y_image,
                 global const float *res, int r0, int r_pitch, int add,
                 int act, float lo, float hi, float slope, global mask_t *act_mask,
                 global const mask_t *mask, float mask_slope)
{
    int m0 = get_global_id(0) * MR, block = get_global_id(1), group = get_global_id(2);
    int blocks = get_global_size(1);
    w += ((size_t)group * blocks + block) * taps * k_count * NR;
    bias += ((size_t)group * blocks + block) * NR;
    x += x0 + group * k_count;

    int image[MR], point[MR];
#pragma unroll
    for (int i = 0; i < MR; i++) {
        int m = min(m0 + i, count - 1);
        image[i] = m / points;
        point[i] = m - image[i] * points;
    }
    vf sum[MR][NV], acc[MR][NV];
#pragma unroll
    for (int i = 0; i < MR; i++)
#pragma unroll
        for (int j = 0; j < NV; j++) {
            sum[i][j] = VLOAD(bias + j * VW);
            acc[i][j] = (vf)(0);
        }

    // What the epilogue will touch comes from far away; it is fetched meanwhile.
    int c0 = group * n_count + block * NR, n = min(n_count - block * NR, NR);
    for (int i = 0; i < MR; i++) {
        size_t q = image[i] * y_image + outs[point[i]];
        for (int j = 0; j < n; j += 16) {
            PREFETCH(y + y0 + q * y_pitch + c0 + j);
            if (res)
                PREFETCH(res + r0 + q * r_pitch + c0 + j);
        }
    }
    int terms = 0;
    for (int t = 0; t < taps; t++) {
        global const float *a[MR];
#pragma unroll
        for (int i = 0; i < MR; i++) {
            int r = rows[t * points + point[i]];
            a[i] = r < 0 ? zeros : x + (size_t)(image[i] * x_image + r) * x_pitch;
        }
        for (int k = 0; k < k_count;) {
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
            if (terms >= SUM_BLOCK) {
                terms = 0;
#pragma unroll
                for (int i = 0; i < MR; i++)
#pragma unroll
                    for (int j = 0; j < NV; j++) {
                        sum[i][j] += acc[i][j];
                        acc[i][j] = (vf)(0);
                    }
            }
        }
    }

    int y_words = (get_global_size(2) * n_count + 31) / 32 * (32 / NR); // mask_t's of a pixel
#pragma unroll
    for (int i = 0; i < MR; i++) {
        if (m0 + i >= count)
            break;
        size_t q = image[i] * y_image + outs[point[i]];
        uint bits = mask ? mask[q * y_words + c0 / NR] : 0, kept = 0;
#pragma unroll
        for (int j = 0; j < NV; j++) {
            size_t c = c0 + j * VW;
            epilogue(sum[i][j] + acc[i][j], clamp(n - j * VW, 0, VW), y + y0 + q * y_pitch + c,
                     add, res ? res + r0 + q * r_pitch + c : 0, act, lo, hi, slope, &kept,
                     j * VW, mask != 0, bits >> (j * VW), mask_slope);
        }
        if (act_mask)
            act_mask[q * y_words + c0 / NR] = kept;
    }
}
