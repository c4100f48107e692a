// Winograd's weights, G w G' for each pair of channels, on the device (src/op/winograd_weights.c).
// A work-item takes CHANNELS input channels k and NR output channels n; w[n * sn + k * sk + tap].
#define NV (NR / VW)

// to[i] = the sum over r of g[i][r] * in[r].
static void combine(vf to[EDGE], global const float *g, vf a, vf b, vf c)
{
#pragma unroll
    for (int i = 0; i < EDGE; i++)
        to[i] = fma(VBROADCAST(g[3 * i + 2]), c,
                    fma(VBROADCAST(g[3 * i + 1]), b, VBROADCAST(g[3 * i]) * a));
}

kernel void winograd_weights(global const float *restrict w, int w0, int sn, int sk,
                             global const int *restrict tap, global const float *restrict g,
                             int k_count, int n_count, int chunk, global float *restrict y)
{
    int block = get_global_id(1), blocks = get_global_size(1), first = get_global_id(0) * CHANNELS;
    for (int k = first; k < min(first + CHANNELS, k_count); k++) {
        int k0 = k / chunk * chunk, kn = min(chunk, k_count - k0);
        global float *to =
            y + (size_t)NR * (EDGE * EDGE * ((size_t)k0 * blocks + block * kn) + k - k0);
        for (int j = 0; j < NV; j++) {
            float t[9][VW];
            vf rows[3][EDGE], points[EDGE];
            for (int c = 0; c < VW; c++) {
                int n = block * NR + j * VW + c;
                global const float *from = w + w0 + (long)n * sn + (long)k * sk;
                for (int i = 0; i < 9; i++)
                    t[i][c] = n < n_count ? from[tap[i]] : 0.0f;
            }
#pragma unroll
            for (int i = 0; i < 3; i++)
                combine(rows[i], g, VLOAD(t[i]), VLOAD(t[3 + i]), VLOAD(t[6 + i]));
#pragma unroll
            for (int i = 0; i < EDGE; i++) {
                combine(points, g, rows[0][i], rows[1][i], rows[2][i]);
#pragma unroll
                for (int p = 0; p < EDGE; p++)
                    VSTORE(points[p], to + (size_t)(i * EDGE + p) * kn * NR + j * VW);
            }
        }
    }
}
