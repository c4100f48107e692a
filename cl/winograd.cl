// 3x3 convolutions of stride 1 by Winograd's minimal filtering, for processors. A work-item takes
// `span` tiles of TILE x TILE output pixels and some blocks of NR output channels:
//   V = B' d B   of every tile and input channel, into local memory: v[xi][tile][channel]
//   M = V U      for each of EDGE * EDGE points xi: a product over channels, MR tiles at a time
//   Y = A' M A   and the epilogue
// The points are 0, a, -a (, b, -b) and infinity; src/op/winograd.c transforms the weights:
// u[chunk of k][block][xi][k][NR]. What a tile becomes depends on nothing but its own pixels.
#define EDGE (TILE + 2)
#define POINTS (EDGE * EDGE)
#define NV (NR / VW)

// Weights stream from a cache farther away than the processor's own prefetching covers: 8 kB ahead.
#define AHEAD 2048

#if NR == 32
typedef uint mask_t;
#elif NR == 16
typedef ushort mask_t;
#else
typedef uchar mask_t;
#endif

// One dimension of B' d: EDGE inputs.
static void transform_input(vf *out, const vf *d)
{
#if TILE == 2
    out[0] = d[2] - d[0];
    out[1] = d[2] + d[1];
    out[2] = d[2] - d[1];
    out[3] = d[3] - d[1];
#else
    const float a = POINT_A, b = POINT_B, aa = a * a, bb = b * b;
    vf d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3], d4 = d[4];
    vf even_a = fma((vf)(-bb), d2, d4), odd_a = fma((vf)(-bb), d1, d3);
    vf even_b = fma((vf)(-aa), d2, d4), odd_b = fma((vf)(-aa), d1, d3);
    out[0] = fma((vf)(aa * bb), d0, fma((vf)(-aa - bb), d2, d4));
    out[1] = fma((vf)(a), odd_a, even_a);
    out[2] = fma((vf)(-a), odd_a, even_a);
    out[3] = fma((vf)(b), odd_b, even_b);
    out[4] = fma((vf)(-b), odd_b, even_b);
    out[5] = fma((vf)(aa * bb), d1, fma((vf)(-aa - bb), d3, d[5]));
#endif
}

// One dimension of A' m: TILE outputs.
static void transform_output(vf *out, const vf *m)
{
#if TILE == 2
    out[0] = m[0] + m[1] + m[2];
    out[1] = m[1] - m[2] + m[3];
#else
    const float a = POINT_A, b = POINT_B;
    vf sum_a = m[1] + m[2], sum_b = m[3] + m[4];
    vf dif_a = m[1] - m[2], dif_b = m[3] - m[4];
    out[0] = m[0] + sum_a + sum_b;
    out[1] = fma((vf)(b), dif_b, dif_a * a);
    out[2] = fma((vf)(b * b), sum_b, sum_a * (a * a));
    out[3] = fma((vf)(b * b * b), dif_b, fma((vf)(a * a * a), dif_a, m[5]));
#endif
}

// Fetches `rows` x TILE pixels from (top, left) on, which are somewhere in memory or nowhere.
static void fetch(global const float *x, int pitch, int width, int rows, int top, int left,
                  int channels)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < TILE; j++)
            for (int c = 0; c < channels; c += 16)
                PREFETCH(x + ((long)(top + i) * width + left + j) * pitch + c);
}

// V of one tile, whose first pixel is (top, left) of the image at x.
static void gather_tile(global const float *x, int x_pitch, int x_h, int x_w, int top, int left,
                        global const float *zeros, int k_count, local float *v, int v_plane)
{
    global const float *at[POINTS];
    fetch(x, x_pitch, x_w, EDGE, top, left + 2 * TILE + 2, k_count); // what the next but one adds
    for (int i = 0; i < EDGE; i++)
        for (int j = 0; j < EDGE; j++) {
            bool inside = top + i >= 0 && top + i < x_h && left + j >= 0 && left + j < x_w;
            at[i * EDGE + j] = inside ? x + (size_t)((top + i) * x_w + left + j) * x_pitch : zeros;
        }
    for (int kk = 0; kk < k_count; kk += VW) {
        int k = min(kk, k_count - VW); // the last vector may overlap the one before
        vf half_done[POINTS];
#pragma unroll
        for (int j = 0; j < EDGE; j++) {
            vf d[EDGE], o[EDGE];
#pragma unroll
            for (int i = 0; i < EDGE; i++)
                d[i] = VLOAD(at[i * EDGE + j] + k);
            transform_input(o, d);
#pragma unroll
            for (int i = 0; i < EDGE; i++)
                half_done[i * EDGE + j] = o[i];
        }
#pragma unroll
        for (int i = 0; i < EDGE; i++) {
            vf o[EDGE];
            transform_input(o, half_done + i * EDGE);
#pragma unroll
            for (int j = 0; j < EDGE; j++)
                VSTORE(o[j], v + (i * EDGE + j) * v_plane + k);
        }
    }
}

// MR tiles x NR channels of one point.
static void multiply(const local float *v, int v_pitch, global const float *u, int k_count,
                     local float *m, int add)
{
    for (int k = 0; k < k_count;) {
        int end = min(k + SUM_BLOCK, k_count);
        vf acc[MR][NV];
#pragma unroll
        for (int i = 0; i < MR; i++)
#pragma unroll
            for (int j = 0; j < NV; j++)
                acc[i][j] = (vf)(0);
        for (; k < end; k++, u += NR) {
            vf b[NV];
#pragma unroll
            for (int j = 0; j < NV; j++) {
                PREFETCH(u + AHEAD + j * VW);
                b[j] = VLOAD(u + j * VW);
            }
#pragma unroll
            for (int i = 0; i < MR; i++) {
                vf s = (vf)(v[i * v_pitch + k]);
#pragma unroll
                for (int j = 0; j < NV; j++)
                    acc[i][j] = fma(s, b[j], acc[i][j]);
            }
        }
#pragma unroll
        for (int i = 0; i < MR; i++)
#pragma unroll
            for (int j = 0; j < NV; j++)
                VSTORE(add ? acc[i][j] + VLOAD(m + i * NR + j * VW) : acc[i][j],
                       m + i * NR + j * VW);
        add = 1;
    }
}

// The output pixels of one tile and vector of channels, into out[pixel][j].
static void finish_tile(vf (*out)[NV], int j, const local float *m, int m_plane, vf bias)
{
    vf half_done[TILE * EDGE];
#pragma unroll
    for (int i = 0; i < EDGE; i++) {
        vf d[EDGE], o[TILE];
#pragma unroll
        for (int q = 0; q < EDGE; q++)
            d[q] = VLOAD(m + (q * EDGE + i) * m_plane + j * VW);
        transform_output(o, d);
#pragma unroll
        for (int q = 0; q < TILE; q++)
            half_done[q * EDGE + i] = o[q];
    }
#pragma unroll
    for (int i = 0; i < TILE; i++) {
        vf o[TILE];
        transform_output(o, half_done + i * EDGE);
#pragma unroll
        for (int q = 0; q < TILE; q++)
            out[i * TILE + q][j] = o[q] + bias;
    }
}

kernel void winograd(global const float *restrict x, int x0, int x_pitch, int x_h, int x_w,
                     int pad_y, int pad_x, int tiles_x, int tiles_image, int count, int span,
                     global const float *restrict u, int k_count, int k_chunk, int n_count,
                     int n_blocks,
                     global const float *restrict zeros, global const float *restrict bias,
                     global float *y, int y0, int y_pitch, int y_h, int y_w,
                     local float *v, int v_pitch, int v_plane,
                     global const float *res, int r0, int r_pitch, int add,
                     int act, float lo, float hi, float slope, global mask_t *act_mask,
                     global const mask_t *mask, float mask_slope, global float *act_slopes,
                     global const float *slopes)
{
    int t0 = get_global_id(0) * span, tiles = min(span, count - t0);
    int blocks = (n_count + NR - 1) / NR;
    int first = get_global_id(1) * n_blocks, last = min(first + n_blocks, blocks);
    local float *m = v + POINTS * v_plane;
    int m_plane = span * NR;
    x += x0;
    for (int k = 0; k < k_count; k += k_chunk) {
        int kn = min(k_count - k, k_chunk);
        for (int t = 0; t < (tiles + MR - 1) / MR * MR; t++) {
            int tile = min(t0 + t, count - 1), image = tile / tiles_image;
            int at = tile - image * tiles_image, ty = at / tiles_x;
            gather_tile(x + (size_t)image * x_h * x_w * x_pitch + k, x_pitch, x_h, x_w,
                        ty * TILE - pad_y, (at - ty * tiles_x) * TILE - pad_x, zeros, kn,
                        v + t * v_pitch, v_plane);
        }
        // What the epilogue will touch comes from far away; it is fetched during the products.
        for (int t = 0; t < tiles && k + kn == k_count; t++) {
            int image = (t0 + t) / tiles_image, at = t0 + t - image * tiles_image;
            int top = image * y_h + at / tiles_x * TILE, left = at % tiles_x * TILE;
            int n = min(n_count, last * NR) - first * NR;
            fetch(y + y0 + first * NR, y_pitch, y_w, TILE, top, left, n);
            if (res)
                fetch(res + r0 + first * NR, r_pitch, y_w, TILE, top, left, n);
        }
        for (int block = first; block < last; block++) {
            global const float *panel = u + POINTS * NR * ((size_t)k * blocks + (size_t)block * kn);
            local float *sums = m + (block - first) * POINTS * m_plane;
            for (int xi = 0; xi < POINTS; xi++)
                for (int t = 0; t < tiles; t += MR)
                    multiply(v + xi * v_plane + t * v_pitch, v_pitch, panel + (size_t)xi * kn * NR,
                             kn, sums + xi * m_plane + t * NR, k > 0);
        }
    }
    int y_words = (n_count + 31) / 32 * (32 / NR); // mask_t's of a pixel
    for (int block = first; block < last; block++) {
        int c0 = block * NR, n = min(n_count - c0, NR);
        for (int t = 0; t < tiles; t++) {
            int image = (t0 + t) / tiles_image, at = t0 + t - image * tiles_image;
            int top = at / tiles_x * TILE, left = at % tiles_x * TILE;
            vf out[TILE * TILE][NV];
            for (int j = 0; j < NV; j++)
                finish_tile(out, j, m + ((block - first) * POINTS * span + t) * NR, m_plane,
                            VLOAD(bias + c0 + j * VW));
            for (int i = 0; i < TILE * TILE; i++) {
                int row = top + i / TILE, column = left + i % TILE;
                if (row >= y_h || column >= y_w)
                    continue;
                size_t q = ((size_t)image * y_h + row) * y_w + column;
                uint bits = mask ? mask[q * y_words + block] : 0, kept = 0;
                for (int j = 0; j < NV; j++) {
                    size_t c = c0 + j * VW;
                    epilogue(out[i][j], clamp(n - j * VW, 0, VW), y + y0 + q * y_pitch + c, add,
                             res ? res + r0 + q * r_pitch + c : 0, act, lo, hi, slope, &kept,
                             j * VW, mask != 0, bits >> (j * VW), mask_slope,
                             slopes ? slopes + q * n_count + c : 0);
                }
                if (act_mask)
                    act_mask[q * y_words + block] = kept;
#ifdef SMOOTH
                smooth_row(y + y0 + q * y_pitch + c0,
                           act_slopes ? act_slopes + q * n_count + c0 : 0, n, lo, hi);
#endif
            }
        }
    }
}
