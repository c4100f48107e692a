// The gradient of a convolution with respect to few channels (a picture's), for processors, whose
// lanes are pixels of a row: few channels leave a vector of them empty. A work-item takes `rows`
// rows. First it makes the output's gradient that they need planar, in local memory:
//   g[row][channel][g_pitch]: LEAD zeros and the row, zeros behind
// Then it computes, of each row, V vectors of every SX-th pixel at a time, for each of the SX
// pixels that they may start at. w[ky][channel][kx][CI].
// Loops that gain nothing by being unrolled stay loops: they halve the time to compile this.
#define ONCE _Pragma("clang loop unroll(disable)")

enum { BLOCK = SUM_BLOCK / ((KW + SX - 1) / SX) }; // channels of a block of sums

// Exchanges rows and columns: interleaving the first half of the rows with the second, once for
// each bit of a row's number.
static void transpose(vf row[VW])
{
    ONCE
    for (int bit = 1; bit < VW; bit *= 2) {
        vf next[VW];
#pragma unroll
        for (int i = 0; i < VW / 2; i++) {
            next[2 * i].even = row[i].lo;
            next[2 * i].odd = row[i + VW / 2].lo;
            next[2 * i + 1].even = row[i].hi;
            next[2 * i + 1].odd = row[i + VW / 2].hi;
        }
#pragma unroll
        for (int i = 0; i < VW; i++)
            row[i] = next[i];
    }
}

// One row of the output's gradient.
static void planar(global const float *dy, int dy_pitch, int width, int channels, local float *g,
                   int g_pitch)
{
    for (int i = 0; i < g_pitch; i += VW)
        for (int c = 0; c < channels; c += VW) {
            vf row[VW];
            int x = i - LEAD, left = channels - c;
            global const float *from = dy + x * dy_pitch + c;
            if (x >= 0 && x + VW <= width && left >= VW)
#pragma unroll
                for (int j = 0; j < VW; j++, from += dy_pitch)
                    row[j] = VLOAD(from);
            else
                ONCE
                for (int j = 0; j < VW; j++, from += dy_pitch)
                    row[j] = x + j >= 0 && x + j < width ? vload_first(from, left)
                                                         : VBROADCAST(0.0f);
            transpose(row);
#pragma unroll
            for (int j = 0; j < VW; j++)
                if (j < left)
                    VSTORE(row[j], g + (c + j) * g_pitch + i);
        }
}

#define FOR_SUMS(c, j)                                   \
    _Pragma("unroll") for (int c = 0; c < CI; c++)       \
        _Pragma("unroll") for (int j = 0; j < V; j++)

// Pixels i0 * SX and on of row y of the picture; g begins with row g0 of g_h.
static void row_part(const local float *g, int g0, int g_h, int channels, int g_pitch,
                     global const float *w, global float *to, int y, int i0, int width, int add)
{
    float line[CI][SX][V * VW];
    ONCE
    for (int p = 0; p < SX; p++) {
        vf sum[CI][V], acc[CI][V];
        FOR_SUMS (c, j)
            sum[c][j] = acc[c][j] = VBROADCAST(0.0f);
        for (int ky = 0; ky < KH; ky++) {
            int at = y + PAD_Y - ky, row = at / SY;
            if (at < 0 || at % SY || row >= g_h)
                continue;
            const local float *from = g + (row - g0) * channels * g_pitch + i0 + LEAD;
            global const float *u = w + ky * channels * KW * CI;
            for (int k = 0; k < channels;) {
                int end = min(k + BLOCK, channels);
                for (; k < end; k++, from += g_pitch, u += KW * CI) {
                    ONCE
                    for (int kx = (p + PAD_X) % SX; kx < KW; kx += SX) {
                        vf d[V];
#pragma unroll
                        for (int j = 0; j < V; j++)
                            d[j] = VLOAD(from + (p + PAD_X - kx) / SX + j * VW);
                        FOR_SUMS (c, j)
                            acc[c][j] = fma(VBROADCAST(u[kx * CI + c]), d[j], acc[c][j]);
                    }
                }
                FOR_SUMS (c, j) {
                    sum[c][j] += acc[c][j];
                    acc[c][j] = VBROADCAST(0.0f);
                }
            }
        }
        FOR_SUMS (c, j)
            VSTORE(sum[c][j], line[c][p] + j * VW);
    }
    // Element by element: of three channels no vectors come about but by scattering.
#pragma clang loop vectorize(disable)
    for (int i = 0; i < V * VW; i++)
#pragma unroll
        for (int p = 0; p < SX; p++)
            if ((i0 + i) * SX + p < width)
#pragma unroll
                for (int c = 0; c < CI; c++) {
                    global float *pixel = to + ((i0 + i) * SX + p) * CI + c;
                    *pixel = line[c][p][i] + (add ? *pixel : 0.0f);
                }
}

kernel void thin_gradient(global const float *restrict dy, int dy0, int dy_pitch, int g_h, int g_w,
                          int channels, local float *g, int g_pitch,
                          global const float *restrict w, global float *x, int x0, int height,
                          int width, int rows, int add)
{
    int y0 = get_global_id(0) * rows, y1 = min(y0 + rows, height), image = get_global_id(1);
    int first = max(0, y0 + PAD_Y - KH + SY) / SY, last = min((y1 - 1 + PAD_Y) / SY, g_h - 1);
    for (int r = first; r <= last; r++)
        planar(dy + dy0 + ((size_t)image * g_h + r) * g_w * dy_pitch, dy_pitch, g_w, channels,
               g + (r - first) * channels * g_pitch, g_pitch);
    for (int y = y0; y < y1; y++)
        for (int i = 0; i * SX < width; i += V * VW)
            row_part(g, first, g_h, channels, g_pitch, w,
                     x + x0 + ((size_t)image * height + y) * width * CI, y, i, width, add);
}
