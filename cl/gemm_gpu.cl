// The gathered GEMM for graphics processors: a work-group computes a tile of MR pixels x NR
// channels, TM x TN in each work-item, from slices of KS channels in local memory. While one slice
// is multiplied the next one is fetched into registers and then put beside it, so a slice costs one
// barrier. Arguments as in gemm.cl. Each sum runs over taps, then channels, in blocks, as there.
// VEC: offsets, pitches and channels are multiples of four, so that pixels are moved as float4.
#define KS 16
#define ITEMS (MR * NR / (TM * TN))
#define QUADS (KS / 4)                  // float4s of a pixel in a slice
#define X_LOADS (MR * QUADS / ITEMS)    // float4s that a work-item fetches of x
#define W_LOADS (NR * QUADS / ITEMS)    // and of w
#define NQ (TN / 4)                     // float4s of channels in a work-item's tile
#define FOR(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)

// Work-items 0 to 31 make up 4 x 8 of the tile's: what they read at a time are whole lines.
#define LX ((int)get_local_id(0) % 8 + (int)get_local_id(0) / 32 % (NR / TN / 8) * 8)
#define LY ((int)get_local_id(0) % 32 / 8 + (int)get_local_id(0) / 32 / (NR / TN / 8) * 4)
// Where this item's pixel i and its four channels j are in the tile.
#define ROW(i) ((i) / 4 * (MR * 4 / TM) + LY * 4 + (i) % 4)
#define COLUMN(j) ((j) * (NR / NQ) + LX * 4)

// A slice in local memory: x[k][pixel], the pixels of four k turned by 8 places for each four, so
// that neither putting nor getting them meets a bank twice; then w[k][channel].
#define TURNED(k, pixel) ((k) * MR + ((pixel) ^ ((k) / 4 % 4 * 8)))

static float4 get4(global const float *p, int left)
{
#ifdef VEC
    return left > 0 ? *(global const float4 *)p : (float4)(0.0f);
#else
    return (float4)(left > 0 ? p[0] : 0.0f, left > 1 ? p[1] : 0.0f, left > 2 ? p[2] : 0.0f,
                    left > 3 ? p[3] : 0.0f);
#endif
}

static void put4(float4 v, global float *p, int left)
{
#ifdef VEC
    *(global float4 *)p = v;
#else
    p[0] = v.x;
    if (left > 1)
        p[1] = v.y;
    if (left > 2)
        p[2] = v.z;
    if (left > 3)
        p[3] = v.w;
#endif
}

static void multiply(float4 acc[TM][NQ], local const float *tile)
{
    local const float *w = tile + KS * MR;
#pragma unroll 8 // all of it takes more registers
    for (int k = 0; k < KS; k++) {
        float4 b[NQ];
        float s[TM];
        FOR(j, NQ)
            b[j] = *(local const float4 *)(w + k * NR + COLUMN(j));
        FOR(i, TM / 4)
            vstore4(*(local const float4 *)(tile + TURNED(k, ROW(i * 4))), i, s);
        FOR(i, TM)
            FOR(j, NQ)
                acc[i][j] = fma((float4)(s[i]), b[j], acc[i][j]);
    }
}

kernel __attribute__((reqd_work_group_size(ITEMS, 1, 1)))
void gemm(global const float *restrict x, int x0, int x_pitch, int x_image,
          global const int *restrict rows, global const int *restrict outs, int taps,
          int points, int count, global const float *restrict w, int k_count, int n_count,
          global const float *restrict zeros, global const float *restrict bias,
          global float *y, int y0, int y_pitch, int y_image,
          global const float *res, int r0, int r_pitch, int add,
          int act, float lo, float hi, float slope, global uint *act_mask,
          global const uint *mask, float mask_slope, global float *act_slopes,
          global const float *slopes)
{
    local float4 tiles[2][(MR + NR) * QUADS];
    int id = get_local_id(0), m0 = get_group_id(0) * MR;
    int block = get_group_id(1), group = get_group_id(2);
    int blocks = get_num_groups(1), groups = get_num_groups(2);
    int c0 = group * n_count + block * NR, n = min(n_count - block * NR, NR);
    w += ((size_t)group * blocks + block) * taps * k_count * NR;
    bias += ((size_t)group * blocks + block) * NR;
    x += x0 + group * k_count;

    float4 sum[TM][NQ], acc[TM][NQ];
    FOR(i, TM)
        FOR(j, NQ) {
            sum[i][j] = *(global const float4 *)(bias + COLUMN(j));
            acc[i][j] = 0.0f;
        }

    // This item fetches four channels, from lk on, of these pixels.
    int lk = id % QUADS * 4, first[X_LOADS], point[X_LOADS], row[X_LOADS];
    global const float *a[X_LOADS];
    FOR(i, X_LOADS) {
        int m = min(m0 + id / QUADS + i * (ITEMS / QUADS), count - 1);
        first[i] = m / points * x_image;
        point[i] = m % points;
        row[i] = taps ? rows[point[i]] : -1;
    }
    int t = 0, k = 0, terms = 0;
    bool ready = false, whole = false; // a slice lies in local memory; it ends a block of the sum
    for (int side = 0;; side ^= 1) {
        bool more = t < taps, ends = false;
        float4 next_x[X_LOADS], next_w[W_LOADS];
        if (more) {
            if (k == 0) // the rows of the next tap are fetched a tap ahead
                FOR(i, X_LOADS) {
                    a[i] = row[i] < 0 ? zeros : x + (size_t)(first[i] + row[i]) * x_pitch;
                    row[i] = t + 1 < taps ? rows[(t + 1) * points + point[i]] : -1;
                }
            FOR(i, X_LOADS)
                next_x[i] = get4(a[i] + k + lk, k_count - k - lk);
            FOR(i, W_LOADS) {
                int at = (id + i * ITEMS) * 4;
                next_w[i] = 0.0f;
                if (k + at / NR < k_count)
                    next_w[i] = *(global const float4 *)(w + ((size_t)t * k_count + k) * NR + at);
            }
            int end = min(k + KS, k_count);
            terms += end - k;
            ends = terms >= SUM_BLOCK && (end % SUM_BLOCK == 0 || end == k_count);
            terms = ends ? 0 : terms;
            k = end == k_count ? 0 : end;
            t += end == k_count;
        }
        if (ready)
            multiply(acc, (local const float *)tiles[side]);
        if (whole)
            FOR(i, TM)
                FOR(j, NQ) {
                    sum[i][j] += acc[i][j];
                    acc[i][j] = 0.0f;
                }
        if (!more)
            break;
        local float *tile = (local float *)tiles[side ^ 1];
        FOR(i, X_LOADS)
            FOR(q, 4)
                tile[TURNED(lk + q, id / QUADS + i * (ITEMS / QUADS))] = ((float *)&next_x[i])[q];
        FOR(i, W_LOADS)
            *(local float4 *)(tile + KS * MR + (id + i * ITEMS) * 4) = next_w[i];
        barrier(CLK_LOCAL_MEM_FENCE);
        ready = true;
        whole = ends;
    }

    local uchar *nibble = (local uchar *)tiles; // [MR][NR / 4]: bits for act_mask
    int words = (groups * n_count + 31) / 32;
    if (act_mask)
        barrier(CLK_LOCAL_MEM_FENCE);
    FOR(i, TM) {
        int m = min(m0 + ROW(i), count - 1), image = m / points;
        size_t q = image * y_image + outs[m - image * points];
        FOR(j, NQ) {
            int c = COLUMN(j), left = m0 + ROW(i) < count ? n - c : 0;
            uint kept = 0;
            if (left > 0) {
                global float *to = y + y0 + q * y_pitch + c0 + c;
                float4 v = sum[i][j] + acc[i][j];
                if (res)
                    v += get4(res + r0 + q * r_pitch + c0 + c, left);
                if (add == 1)
                    v += get4(to, left);
                if (act)
                    FOR(l, 4) {
                        float *e = (float *)&v + l;
                        kept |= (uint)(*e > lo && *e < hi) << l;
                        *e = act_apply1(*e, lo, hi, slope);
                    }
                if (mask) {
                    uint bits = mask[q * words + (c0 + c) / 32] >> (c0 + c) % 32;
                    v *= (float4)(bits & 1 ? 1.0f : mask_slope, bits & 2 ? 1.0f : mask_slope,
                                  bits & 4 ? 1.0f : mask_slope, bits & 8 ? 1.0f : mask_slope);
                }
                if (slopes)
                    v *= get4(slopes + q * groups * n_count + c0 + c, left);
                if (add == 2)
                    v += get4(to, left);
#ifdef SMOOTH
                float4 d;
                FOR(l, 4)
                    ((float *)&v)[l] = smooth(((float *)&v)[l], lo, hi, (float *)&d + l);
                if (act_slopes)
                    put4(d, act_slopes + q * groups * n_count + c0 + c, left);
#endif
                put4(v, to, left);
            }
            if (act_mask)
                nibble[ROW(i) * (NR / 4) + c / 4] = kept;
        }
    }
    if (!act_mask)
        return;
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int at = id; at < MR * (NR / 32); at += ITEMS) {
        int r = at / (NR / 32), word = at % (NR / 32), m = m0 + r;
        if (m < count && word * 32 < n) {
            size_t q = m / points * y_image + outs[m % points];
            uint bits = 0;
            FOR(l, 8)
                bits |= (uint)nibble[at * 8 + l] << (l * 4);
            act_mask[q * words + c0 / 32 + word] = bits;
        }
    }
}
