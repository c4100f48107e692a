// The gradient of depthwise weights and biases:
//     dw[tap][c] = sum over m of x[rows[tap][m]][c] * dy[m][c],   db[c] = sum over m of dy[m][c]
// A work-item takes NV vectors of channels and the rows m of one part, TT taps at a time.

// A vector of channels at p[at]; `room` floats may be read, of which `left` here are channels.
static vf load_at(global const float *p, long at, int room, int left)
{
    return at + VW <= room ? VLOAD(p + at) : vload_first(p + at, clamp(left, 0, VW));
}

kernel void depthwise_weights(global const float *restrict x, int x0, int x_pitch, int x_image,
                              global const int *restrict rows, int taps, int points, int count,
                              int channels, global const float *restrict dy, int dy0, int dy_pitch,
                              int x_room, int dy_room, global float *restrict partial, int stride,
                              int bias_at, int part_rows, int pitch, int has_weights, int has_bias)
{
    int c0 = get_global_id(0) * NV * VW, part = get_global_id(1);
    int first = part * part_rows, end = min(first + part_rows, count);
    partial += (size_t)part * stride + c0;
    for (int t0 = 0; t0 < taps; t0 += TT) {
        vf acc[TT][NV], sum[NV];
#pragma unroll
        for (int j = 0; j < NV; j++) {
            sum[j] = (vf)(0.0f);
#pragma unroll
            for (int t = 0; t < TT; t++)
                acc[t][j] = (vf)(0.0f);
        }
        int image = first / points, point = first - image * points;
        for (int m = first; m < end; m++) {
            vf d[NV];
#pragma unroll
            for (int j = 0; j < NV; j++) {
                d[j] = load_at(dy, dy0 + (long)m * dy_pitch + c0 + j * VW, dy_room,
                               channels - c0 - j * VW);
                sum[j] += d[j];
            }
#pragma unroll
            for (int t = 0; t < TT; t++) {
                int r = t0 + t < taps ? rows[(t0 + t) * points + point] : -1;
                if (r < 0)
                    continue;
                long at = x0 + (long)(image * x_image + r) * x_pitch + c0;
#pragma unroll
                for (int j = 0; j < NV; j++)
                    acc[t][j] = fma(load_at(x, at + j * VW, x_room, channels - c0 - j * VW), d[j],
                                    acc[t][j]);
            }
            if (++point == points) {
                point = 0;
                image++;
            }
        }
#pragma unroll
        for (int j = 0; j < NV; j++) {
#pragma unroll
            for (int t = 0; t < TT; t++)
                if (has_weights && t0 + t < taps)
                    VSTORE(acc[t][j], partial + (t0 + t) * pitch + j * VW);
            if (has_bias && t0 == 0)
                VSTORE(sum[j], partial + bias_at + j * VW);
        }
    }
}
