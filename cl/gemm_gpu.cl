// The gathered GEMM for graphics processors: a work-group of 16x16 computes 64 pixels x 64
// channels, 4x4 in each work-item, from tiles in local memory. Arguments as in gemm.cl; NR is 64.
// Each sum runs over taps, then channels, as there.
#define TM 64
#define TK 16

kernel __attribute__((reqd_work_group_size(16, 16, 1)))
void gemm(global const float *restrict x, int x0, int x_pitch, int x_image,
          global const int *restrict rows, global const int *restrict outs, int taps,
          int points, int count, global const float *restrict w, int k_count, int n_count,
          global const float *restrict zeros, global const float *restrict bias,
          global float *y, int y0, int y_pitch, int y_image,
          global const float *res, int r0, int r_pitch, int add,
          int act, float lo, float hi, float slope, global uint *act_mask,
          global const uint *mask, float mask_slope)
{
    local float xt[TK][TM + 4], wt[TK][NR];
    local uchar nibble[TM][NR / 4];
    int lx = get_local_id(0), ly = get_local_id(1), id = ly * 16 + lx;
    int m0 = get_group_id(0) * TM, block = get_group_id(1), group = get_group_id(2);
    int blocks = get_num_groups(1), groups = get_num_groups(2);
    w += ((size_t)group * blocks + block) * taps * k_count * NR;
    bias += ((size_t)group * blocks + block) * NR;
    x += x0 + group * k_count;

    // This work-item loads 4 channels of pixel id / 4 into xt, and 4 floats of row id / 16 into wt.
    int lm = id / 4, lk = id % 4 * 4;
    int m = min(m0 + lm, count - 1), image = m / points, point = m - image * points;
    float4 sum[4], acc[4];
    for (int i = 0; i < 4; i++) {
        sum[i] = vload4(lx, bias);
        acc[i] = 0.0f;
    }

    int terms = 0;
    for (int t = 0; t < taps; t++) {
        int r = rows[t * points + point];
        global const float *a = r < 0 ? zeros : x + (size_t)(image * x_image + r) * x_pitch;
        for (int k = 0; k < k_count; k += TK) {
            for (int i = 0; i < 4; i++)
                xt[lk + i][lm] = k + lk + i < k_count ? a[k + lk + i] : 0.0f;
            float4 row = 0.0f;
            if (k + id / 16 < k_count)
                row = vload4(id, w + ((size_t)t * k_count + k) * NR);
            vstore4(row, id % 16, wt[id / 16]);
            barrier(CLK_LOCAL_MEM_FENCE);
            for (int kk = 0; kk < TK; kk++) {
                float4 b = vload4(lx, wt[kk]), s = vload4(ly, xt[kk]);
                acc[0] = fma((float4)(s.x), b, acc[0]);
                acc[1] = fma((float4)(s.y), b, acc[1]);
                acc[2] = fma((float4)(s.z), b, acc[2]);
                acc[3] = fma((float4)(s.w), b, acc[3]);
            }
            barrier(CLK_LOCAL_MEM_FENCE);
            int end = min(k + TK, k_count);
            terms += end - k;
            if (terms >= SUM_BLOCK && (end % SUM_BLOCK == 0 || end == k_count)) {
                terms = 0;
                for (int i = 0; i < 4; i++) {
                    sum[i] += acc[i];
                    acc[i] = 0.0f;
                }
            }
        }
    }

    int c0 = group * n_count + block * NR, n = min(n_count - block * NR, NR);
    int words = (groups * n_count + 31) / 32;
    for (int i = 0; i < 4; i++) {
        int mi = m0 + ly * 4 + i;
        uint kept = 0;
        if (mi < count && lx * 4 < n) {
            int im = mi / points;
            size_t q = im * y_image + outs[mi - im * points];
            float v[4];
            vstore4(sum[i] + acc[i], 0, v);
            for (int j = 0; j < 4 && lx * 4 + j < n; j++) {
                int c = c0 + lx * 4 + j;
                global float *yp = y + y0 + q * y_pitch + c;
                if (res)
                    v[j] += res[r0 + q * r_pitch + c];
                if (add == 1)
                    v[j] += *yp;
                if (act) {
                    kept |= (uint)(v[j] > lo && v[j] < hi) << j;
                    v[j] = act_apply1(v[j], lo, hi, slope);
                }
                if (mask)
                    v[j] *= mask[q * words + c / 32] >> (c % 32) & 1 ? 1.0f : mask_slope;
                if (add == 2)
                    v[j] += *yp;
                *yp = v[j];
            }
        }
        nibble[ly * 4 + i][lx] = kept;
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    int mm = m0 + id / 2, word = id % 2; // 2 words of 32 channels for each of 64 pixels
    if (act_mask && id < 2 * TM && mm < count && word * 32 < n) {
        int im = mm / points;
        size_t q = im * y_image + outs[mm - im * points];
        uint bits = 0;
        for (int i = 0; i < 8; i++)
            bits |= (uint)nibble[id / 2][word * 8 + i] << (i * 4);
        act_mask[q * words + c0 / 32 + word] = bits;
    }
}
