// The transposed gathered GEMM for processors, the gradient of weights and bias:
//     dw[tap][k][n] = sum over m of x[rows[tap][m]][k] * dy[m][n],   db[n] = sum over m of dy[m][n]
// A tile is TT taps x MR channels of x x NR channels of dy, in registers. A work-item takes `per`
// tiles and the rows m of one part; it goes through them `block_rows` at a time, so that these rows
// stay in its cache for all its tiles and rounding grows like a root, and leaves the part's sums in
// `partial`.
#define NV (NR / VW)

typedef struct rows_of {
    global const float *x; // the image that row m lies in
    global const float *dy;
    int point;
} rows_of;

// The rows [m0, m1), from `at` on. `left`: channels of dy there are, NR where lanes beyond them may
// be read (what they sum up is not used).
static void add_rows(vf acc[TT * MR][NV], rows_of *at, int m0, int m1, int left,
                     global const int *restrict rows, int points, int x_pitch, int x_image,
                     int dy_pitch)
{
    global const float *x = at->x, *dy = at->dy;
    int point = at->point;
    for (int m = m0; m < m1; m++, dy += dy_pitch) {
        vf b[NV];
#pragma unroll
        for (int j = 0; j < NV; j++)
            b[j] = left == NR ? VLOAD(dy + j * VW)
                              : vload_first(dy + j * VW, clamp(left - j * VW, 0, VW));
#pragma unroll
        for (int t = 0; t < TT; t++) {
            int r = rows[t * points + point];
            if (r < 0)
                continue;
            global const float *a = x + (long)r * x_pitch;
#pragma unroll
            for (int i = 0; i < MR; i++) {
                vf s = (vf)(a[i]);
#pragma unroll
                for (int j = 0; j < NV; j++)
                    acc[t * MR + i][j] = fma(s, b[j], acc[t * MR + i][j]);
            }
        }
        if (++point == points) {
            point = 0;
            x += (long)x_image * x_pitch;
        }
    }
    at->x = x;
    at->dy = dy;
    at->point = point;
}

kernel void gemm_weights(global const float *restrict x, int x0, int x_pitch, int x_image,
                         global const int *restrict rows, int taps, int points, int count,
                         int k_count, int n_count, global const float *restrict dy, int dy0,
                         int dy_pitch, int safe, global float *restrict partial, int stride,
                         int bias_at, int part_rows, int block_rows, int blocks, int tiles,
                         int bias_tiles, int per)
{
    int part = get_global_id(1), group = get_global_id(2);
    int first = get_global_id(0) * per, last = min(first + per, tiles + bias_tiles);
    int k_tiles = (k_count + MR - 1) / MR, t_tiles = (taps + TT - 1) / TT;
    int end = min(part * part_rows + part_rows, count);
    partial += (size_t)part * stride;
    x += x0 + group * k_count;
    dy += dy0 + group * n_count;

    for (int m0 = part * part_rows; m0 < end; m0 += block_rows) {
        int m1 = min(m0 + block_rows, end), middle = clamp(safe, m0, m1);
        bool fresh = m0 == part * part_rows;
        int image = m0 / points;
        rows_of start = {x + (long)image * x_image * x_pitch, dy + (long)m0 * dy_pitch,
                         m0 - image * points};
        for (int tile = first; tile < last; tile++) {
            if (tile >= tiles) {
                int block = tile - tiles, left = n_count - block * NR;
                global float *to = partial + bias_at + (group * blocks + block) * NR;
                global const float *d = start.dy + block * NR;
                vf acc[NV];
#pragma unroll
                for (int j = 0; j < NV; j++)
                    acc[j] = (vf)(0.0f);
                for (int m = m0; m < m1; m++, d += dy_pitch)
#pragma unroll
                    for (int j = 0; j < NV; j++)
                        acc[j] += m < middle ? VLOAD(d + j * VW)
                                             : vload_first(d + j * VW, clamp(left - j * VW, 0, VW));
#pragma unroll
                for (int j = 0; j < NV; j++)
                    VSTORE(fresh ? acc[j] : VLOAD(to + j * VW) + acc[j], to + j * VW);
                continue;
            }
            // The last tile of an axis is moved back into it; what is another's is not stored.
            int block = tile / (t_tiles * k_tiles), rest = tile - block * t_tiles * k_tiles;
            int t_own = rest / k_tiles * TT, k_own = rest % k_tiles * MR;
            int t0 = min(t_own, taps - TT), k0 = min(k_own, k_count - MR);
            int left = min(n_count - block * NR, NR);
            global float *to = partial +
                (((size_t)group * blocks + block) * taps + t0) * k_count * NR + k0 * NR;
            vf acc[TT * MR][NV];
#pragma unroll
            for (int t = 0; t < TT; t++)
#pragma unroll
                for (int i = 0; i < MR; i++)
#pragma unroll
                    for (int j = 0; j < NV; j++)
                        acc[t * MR + i][j] = (vf)(0.0f);
            rows_of at = start;
            at.x += k0;
            at.dy += block * NR;
            add_rows(acc, &at, m0, middle, NR, rows + t0 * points, points, x_pitch, x_image,
                     dy_pitch);
            if (middle < m1)
                add_rows(acc, &at, middle, m1, left, rows + t0 * points, points, x_pitch, x_image,
                         dy_pitch);
#pragma unroll
            for (int t = 0; t < TT; t++)
#pragma unroll
                for (int i = 0; i < MR; i++)
#pragma unroll
                    for (int j = 0; j < NV; j++) {
                        global float *sum = to + (t * k_count + i) * NR + j * VW;
                        if (t0 + t >= t_own && k0 + i >= k_own)
                            VSTORE(fresh ? acc[t * MR + i][j] : VLOAD(sum) + acc[t * MR + i][j],
                                   sum);
                    }
        }
    }
}
