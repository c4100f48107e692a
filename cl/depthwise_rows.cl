// Depthwise convolution without dilation for processors, forward and (BACKWARD) to data: one
// work-item computes a row of y and every get_global_size(0)-th 32 channels, PX pixels at a time,
// of which each row of taps reads COLUMNS pixels of x once. w[tap][w_pitch].

// Pixel i of a tile meets column FIRST + i * SX + kx of x forward; to data FIRST + (i - kx) / SX +
// BEHIND where that is whole: tiles start where x's column is.
#define BEHIND ((KW - 1) / SX)
#if BACKWARD
#define STEP SY
#define COLUMNS ((PX - 1) / SX + BEHIND + 1)
#define MEETS(i, kx) (((i) - (kx) + KW * SX) % SX == 0)
#define COLUMN(i, kx) (((i) - (kx) + BEHIND * SX) / SX)
#else
#define STEP 1
#define COLUMNS ((PX - 1) * SX + KW)
#define MEETS(i, kx) 1
#define COLUMN(i, kx) ((i) * SX + (kx))
#endif

#define FOR_TILE(i) _Pragma("unroll") for (int i = 0; i < PX; i++)

// Pixels of a row of x, of which `whole` says that all are there, with all VW channels; else zeros
// are outside.
static void load_row(vf *v, global const float *x, int x_pitch, int first, int x_w, int n,
                     bool whole)
{
#pragma unroll
    for (int q = 0; q < COLUMNS; q++)
        v[q] = whole ? VLOAD(x + (long)q * x_pitch)
               : (uint)(first + q) >= (uint)x_w ? VBROADCAST(0.0f)
               : n >= VW                        ? VLOAD(x + (long)q * x_pitch)
                                                : vload_first(x + (long)q * x_pitch, n);
}

kernel void depthwise_rows(global const float *restrict x, int x0, int x_pitch, int x_h, int x_w,
                           int y_h, int y_w, int pad_y, int pad_x,
                           global const float *restrict w, int w_pitch, int channels,
                           global const float *restrict bias, global float *y, int y0, int y_pitch,
                           global const float *res, int r0, int r_pitch, int add,
                           int act, float lo, float hi, float slope, global uint *act_mask,
                           global const uint *mask, float mask_slope,
                           global float *act_slopes, global const float *slopes)
{
    int image = get_global_id(1) / y_h, row = get_global_id(1) - image * y_h;
    int words = (channels + 31) / 32;
    for (int m0 = BACKWARD ? -(pad_x % SX) : 0; m0 < y_w; m0 += PX) {
        int first = BACKWARD ? (m0 + pad_x) / SX - BEHIND : m0 * SX - pad_x;
        bool inside = first >= 0 && first + COLUMNS <= x_w;
        for (int c0 = get_global_id(0) * 32; c0 < channels; c0 += get_global_size(0) * 32) {
            uint kept[PX] = {0};
            for (int c = c0; c < min(c0 + 32, channels); c += VW) {
                vf acc[PX];
                FOR_TILE (i)
                    acc[i] = VLOAD(bias + c);
                // What the next tile's epilogue will touch comes from far away.
                size_t next = (size_t)(image * y_h + row) * y_w + m0 + PX;
                FOR_TILE (i) {
                    PREFETCH(y + y0 + (next + i) * y_pitch + c);
                    if (slopes)
                        PREFETCH(slopes + (next + i) * channels + c);
                }
                for (int ky = 0; ky < KH; ky++) {
                    int r = BACKWARD ? row + pad_y - ky : row * SY - pad_y + ky;
                    if (r < 0 || r % STEP || r / STEP >= x_h)
                        continue;
                    global const float *from =
                        x + x0 + ((long)(image * x_h + r / STEP) * x_w + first) * x_pitch + c;
                    vf v[COLUMNS];
                    if (inside && c + VW <= channels)
                        load_row(v, from, x_pitch, first, x_w, channels - c, true);
                    else if (c + VW <= channels)
                        load_row(v, from, x_pitch, first, x_w, VW, false);
                    else
                        load_row(v, from, x_pitch, first, x_w, channels - c, false);
#pragma unroll
                    for (int kx = 0; kx < KW; kx++) {
                        vf f = VLOAD(w + (ky * KW + kx) * w_pitch + c);
                        FOR_TILE (i)
                            if (MEETS(i, kx))
                                acc[i] = fma(v[COLUMN(i, kx)], f, acc[i]);
                    }
                }
                size_t q0 = (size_t)(image * y_h + row) * y_w + m0;
                if (m0 >= 0 && m0 + PX <= y_w && c + VW <= channels) {
                    global float *to = y + y0 + q0 * y_pitch + c;
                    EPILOGUE_OF_TILE(FOR_TILE(i), acc[i], to + i * y_pitch,
                                     res + r0 + (q0 + i) * r_pitch + c, kept[i], c - c0,
                                     mask[(q0 + i) * words + c0 / 32] >> (c - c0),
                                     slopes + (q0 + i) * channels + c)
#ifdef SMOOTH
                    vf d[PX];
                    FOR_TILE (i)
                        acc[i] = smooth(acc[i], lo, hi, &d[i]);
                    if (act_slopes)
                        FOR_TILE (i)
                            store_far(d[i], act_slopes + (q0 + i) * channels + c);
#endif
                    FOR_TILE (i)
                        VSTORE(acc[i], to + i * y_pitch);
                    continue;
                }
                FOR_TILE (i) {
                    if (m0 + i < 0 || m0 + i >= y_w)
                        continue;
                    size_t q = q0 + i;
                    uint bits = mask ? mask[q * words + c0 / 32] : 0;
                    epilogue(acc[i], min(channels - c, VW), y + y0 + q * y_pitch + c, add,
                             res ? res + r0 + q * r_pitch + c : 0, act, lo, hi, slope, &kept[i],
                             c - c0, mask != 0, bits >> (c - c0), mask_slope,
                             slopes ? slopes + q * channels + c : 0);
#ifdef SMOOTH
                    smooth_row(y + y0 + q * y_pitch + c,
                               act_slopes ? act_slopes + q * channels + c : 0,
                               min(channels - c, VW), lo, hi);
#endif
                }
            }
            for (int i = 0; i < PX && act_mask; i++)
                if (m0 + i >= 0 && m0 + i < y_w)
                    act_mask[((size_t)(image * y_h + row) * y_w + m0 + i) * words + c0 / 32] =
                        kept[i];
        }
    }
}
