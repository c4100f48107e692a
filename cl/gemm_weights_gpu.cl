// The gradient of weights and bias for graphics processors: a work-group of SIDE x SIDE sums TILE
// channels of x times TILE of dy at one tap over the rows of one part, 4x4 in each work-item, from
// tiles in local memory. TILE divides NR. Layout of `partial` as in gemm_weights.cl.
#define SIDE (TILE / 4) // work-items, and rows at a time

kernel __attribute__((reqd_work_group_size(SIDE, SIDE, 1)))
void gemm_weights(global const float *restrict x, int x0, int x_pitch, int x_image,
                  global const int *restrict rows, int taps, int points, int count, int k_count,
                  int n_count, global const float *restrict dy, int dy0, int dy_pitch,
                  global float *restrict partial, int stride, int bias_at, int part_rows,
                  int blocks, int has_weights, int has_bias)
{
    local float xt[SIDE][TILE], dt[SIDE][TILE];
    int lx = get_local_id(0), ly = get_local_id(1), lc = lx * 4;
    int k_tiles = (k_count + TILE - 1) / TILE, tile = get_group_id(0);
    int t = tile / k_tiles % taps, k0 = tile % k_tiles * TILE, n0 = tile / (taps * k_tiles) * TILE;
    int part = get_group_id(1), group = get_group_id(2), block = n0 / NR;
    int end = min(part * part_rows + part_rows, count), left = n_count - n0;
    bool sums = has_bias && t == 0 && k0 == 0 && ly == 0;
    partial += (size_t)part * stride + n0 % NR;
    x += x0 + group * k_count;
    dy += dy0 + group * n_count + n0;

    // This work-item loads 4 channels of row ly of both.
    float4 acc[4] = {0.0f, 0.0f, 0.0f, 0.0f}, sum = 0.0f;
    for (int m0 = part * part_rows; m0 < end; m0 += SIDE) {
        int m = m0 + ly, image = m / points, r = m < end ? rows[t * points + m % points] : -1;
        global const float *a = x + (long)(image * x_image + max(r, 0)) * x_pitch;
        global const float *d = dy + (long)m * dy_pitch;
        for (int i = 0; i < 4; i++) {
            xt[ly][lc + i] = r >= 0 && k0 + lc + i < k_count ? a[k0 + lc + i] : 0.0f;
            dt[ly][lc + i] = m < end && lc + i < left ? d[lc + i] : 0.0f;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
        for (int mm = 0; mm < SIDE; mm++) {
            float4 b = vload4(lx, dt[mm]), s = vload4(ly, xt[mm]);
            acc[0] = fma((float4)(s.x), b, acc[0]);
            acc[1] = fma((float4)(s.y), b, acc[1]);
            acc[2] = fma((float4)(s.z), b, acc[2]);
            acc[3] = fma((float4)(s.w), b, acc[3]);
            if (sums)
                sum += b;
        }
        barrier(CLK_LOCAL_MEM_FENCE);
    }
    size_t at = (((size_t)group * blocks + block) * taps + t) * k_count;
    for (int i = 0; i < 4 && has_weights; i++)
        if (k0 + ly * 4 + i < k_count)
            vstore4(acc[i], lx, partial + (at + k0 + ly * 4 + i) * NR);
    if (sums)
        vstore4(sum, lx, partial + bias_at + ((size_t)group * blocks + block) * NR);
}
