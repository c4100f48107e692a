// Depthwise convolution, forward and (with the transposed table) to data: one work-item computes PX
// points and every get_global_size(0)-th 32 channels.  w[tap][w_pitch], rows[tap * points + point].
#define NV (32 / VW)

kernel void depthwise(global const float *restrict x, int x0, int x_pitch, int x_image,
                      global const int *restrict rows, int points, int count, int y_image,
                      global const float *restrict w, int w_pitch, int channels,
                      global const float *restrict bias, global float *y, int y0, int y_pitch,
                      global const float *res, int r0, int r_pitch, int add,
                      int act, float lo, float hi, float slope, global uint *act_mask,
                      global const uint *mask, float mask_slope, global float *act_slopes,
                      global const float *slopes)
{
    int m0 = get_global_id(1) * PX, words = (channels + 31) / 32;
    x += x0;
    int image[PX], point[PX];
#pragma unroll
    for (int i = 0; i < PX; i++) {
        int m = min(m0 + i, count - 1);
        image[i] = m / points;
        point[i] = m - image[i] * points;
    }
    long at[TAPS][PX]; // where the taps lie, -1 outside
    for (int t = 0; t < TAPS; t++)
#pragma unroll
        for (int i = 0; i < PX; i++) {
            int r = rows[t * points + point[i]];
            at[t][i] = r < 0 ? -1 : (long)(image[i] * x_image + r) * x_pitch;
        }
    for (int c0 = get_global_id(0) * 32; c0 < channels; c0 += get_global_size(0) * 32) {
        vf acc[PX][NV];
#pragma unroll
        for (int i = 0; i < PX; i++)
#pragma unroll
            for (int j = 0; j < NV; j++)
                acc[i][j] = VLOAD(bias + c0 + j * VW);
        for (int t = 0; t < TAPS; t++) {
            vf b[NV];
#pragma unroll
            for (int j = 0; j < NV; j++)
                b[j] = VLOAD(w + t * w_pitch + c0 + j * VW);
#pragma unroll
            for (int i = 0; i < PX; i++) {
                if (at[t][i] < 0)
                    continue;
                global const float *a = x + at[t][i] + c0;
#pragma unroll
                for (int j = 0; j < NV; j++)
                    if (c0 + j * VW < channels)
                        acc[i][j] = fma(vload_first(a + j * VW, channels - c0 - j * VW), b[j],
                                        acc[i][j]);
            }
        }
#pragma unroll
        for (int i = 0; i < PX; i++) {
            if (m0 + i >= count)
                break;
            size_t q = image[i] * y_image + point[i];
            uint bits = mask ? mask[q * words + c0 / 32] : 0, kept = 0;
#pragma unroll
            for (int j = 0; j < NV; j++) {
                size_t c = c0 + j * VW;
                epilogue(acc[i][j], clamp(channels - (int)c, 0, VW), y + y0 + q * y_pitch + c, add,
                         res ? res + r0 + q * r_pitch + c : 0, act, lo, hi, slope, &kept, j * VW,
                         mask != 0, bits >> (j * VW), mask_slope,
                         slopes ? slopes + q * channels + c : 0);
            }
            if (act_mask)
                act_mask[q * words + c0 / 32] = kept;
#ifdef SMOOTH
            smooth_row(y + y0 + q * y_pitch + c0, act_slopes ? act_slopes + q * channels + c0 : 0,
                   min(channels - c0, 32), lo, hi);
#endif
        }
    }
}
