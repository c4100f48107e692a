// The gathered GEMM for graphics processors: a work-group computes a tile of MR pixels x NR
// channels, TM x TN in each work-item, from slices of KS channels in local memory. While one slice
// is multiplied the next one is fetched into registers and then put beside it, so a slice costs one
// barrier. Arguments as in gemm.cl. Each sum runs over taps, then channels, in blocks, as there.
// VEC: offsets, pitches and channels are multiples of four, so that pixels are moved as float4.
// TF32, BF16, FP16: products of numbers rounded to that, by NVIDIA's tensor cores (PTX) or done as
// they would; sums in float32, over taps, then steps of 8 or 16 channels, in one block.
#define FOR(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)
#if defined(BF16) || defined(FP16)
#define PER 2 // numbers in a word
#else
#define PER 1
#endif
#define WORDS 16                        // of a pixel or of a channel in a slice
#define KS (WORDS * PER)
#define ITEMS (MR * NR / (TM * TN))
#define QUADS (KS / 4)                  // float4s of a pixel in a slice
#define X_LOADS (MR * QUADS / ITEMS)    // float4s that a work-item fetches of x
#define W_LOADS (NR * QUADS / ITEMS)    // and of w
#define X_PIXEL(i) (ID / QUADS + (i) * (ITEMS / QUADS)) // four channels, from X_K on, of this pixel
#define X_K (ID % QUADS * 4)
#define NQ (TN / 4)                     // float4s of channels in a work-item's tile
#define ID ((int)get_local_id(0))

#if defined(TF32) || PER == 2
#define BLOCKS false
// A warp has 8 TM pixels x 4 TN channels, in the fragments of mma.m16n8k8 (TF32) or m16n8k16: item
// 4 g + t of 32 has rows g and g + 8 of 16 pixels, and of 16 channels, those of two mma, four.
#define WARPS_N (NR / (TN * 4))
#define WARP_ROW (ID / 32 / WARPS_N * (TM * 8))
#define WARP_COLUMN (ID / 32 % WARPS_N * (TN * 4))
#define G (ID % 32 / 4)
#define T (ID % 4)
#define ROW(i) (WARP_ROW + (i) * 8 + G)
#define COLUMN(j) (WARP_COLUMN + (j) * 16 + T * 4)
// Each item fetches a word of one channel and its neighbours.
#define W_K(i) (ID % WORDS * PER + (i) % PER)
#define W_COLUMN(i) ((ID / WORDS + (i) / PER * (ITEMS / WORDS)) * 4)
// A slice in local memory: words of each pixel, then of each channel in the order of the fragments,
// placed so that neither putting nor getting them meets a bank twice. Which of a step's channels an
// mma takes for which of its k is free: item t has 2 t and 2 t + 1, words that are neighbours.
#define PLACE(row, word) (((row) ^ ((row) >> 1 & 1)) * WORDS + ((word) ^ ((row) & 2) << 2))
#define CHANNEL_ROW(c) ((c) / 16 * 16 + (c) / 2 % 2 * 8 + (c) % 16 / 4 * 2 + (c) % 2)

#ifdef PTX

static uint to_word(float lo, float hi)
{
    uint d;
#if defined(TF32)
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(d) : "f"(lo));
#elif defined(BF16)
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(hi), "f"(lo));
#else
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(d) : "f"(hi), "f"(lo));
#endif
    return d;
}

#if defined(TF32)
#define MMA "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"
#elif defined(BF16)
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"
#else
#define MMA "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"
#endif

// c += a b for 16 x 8 of c: *top is this item's in row g, *low in row g + 8. `free`: local memory
// that nobody uses.
static void mma(float2 *top, float2 *low, const uint *a, uint2 b, local uint *free)
{
    asm volatile(MMA " {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(top->x), "+f"(top->y), "+f"(low->x), "+f"(low->y)
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
}

#else // the same for any device, to test all but the instruction

static uint to_half(float x) // to nearest, even
{
#ifdef FP16
    ushort h;
    vstore_half_rte(x, 0, (half *)&h);
    return h;
#else
    uint u = as_uint(x);
    return isnan(x) ? 0x7fff : (u + 0x7fff + (u >> 16 & 1)) >> 16;
#endif
}

static uint to_word(float lo, float hi)
{
#ifdef TF32
    return isnan(lo) ? 0x7fffe000 : (as_uint(lo) + 0x1000) & ~0x1fffu; // to nearest, away from 0
#else
    return to_half(lo) | to_half(hi) << 16;
#endif
}

static float part(uint word, int which)
{
#if defined(TF32)
    return as_float(word);
#elif defined(BF16)
    return as_float(which ? word & 0xffff0000 : word << 16);
#else
    return vload_half(which, (const half *)&word);
#endif
}

static void mma(float2 *top, float2 *low, const uint *a, uint2 b, local uint *free)
{
    for (int i = 0; i < 4; i++)
        free[ID * 6 + i] = a[i];
    free[ID * 6 + 4] = b.x;
    free[ID * 6 + 5] = b.y;
    barrier(CLK_LOCAL_MEM_FENCE);
    local const uint *warp = free + ID / 32 * 32 * 6;
    float c[4] = {top->x, top->y, low->x, low->y};
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 8; k++) {
            uint va = warp[(G * 4 + k % 4) * 6 + i / 2 + k / 4 * 2];
            uint vb = warp[((T * 2 + i % 2) * 4 + k % 4) * 6 + 4 + k / 4];
            for (int e = 0; e < PER; e++)
                c[i] = fma(part(va, e), part(vb, e), c[i]);
        }
    *top = (float2)(c[0], c[1]);
    *low = (float2)(c[2], c[3]);
    barrier(CLK_LOCAL_MEM_FENCE);
}

#endif

static void put(local uint *tile, const float4 *x, const float4 *w)
{
    FOR(i, X_LOADS) {
        local uint *to = tile + PLACE(X_PIXEL(i), X_K / PER);
#if PER == 1
        *(local uint4 *)to = (uint4)(to_word(x[i].x, 0), to_word(x[i].y, 0), to_word(x[i].z, 0),
                                     to_word(x[i].w, 0));
#else
        *(local uint2 *)to = (uint2)(to_word(x[i].x, x[i].y), to_word(x[i].z, x[i].w));
#endif
    }
    tile += MR * WORDS;
    FOR(i, W_LOADS / PER) {
        float4 lo = w[i * PER], hi = w[i * PER + PER - 1];
        int row = CHANNEL_ROW(W_COLUMN(i * PER)), word = ID % WORDS;
        tile[PLACE(row, word)] = to_word(lo.x, hi.x);
        tile[PLACE(row + 1, word)] = to_word(lo.y, hi.y);
        tile[PLACE(row + 8, word)] = to_word(lo.z, hi.z);
        tile[PLACE(row + 9, word)] = to_word(lo.w, hi.w);
    }
}

static void multiply(float4 acc[TM][NQ], local const uint *tile, local uint *free)
{
    FOR(step, WORDS / 8) {
        uint a[TM / 2][4];
        FOR(i, TM) {
            uint2 v = *(local const uint2 *)(tile + PLACE(ROW(i), step * 8 + T * 2));
            a[i / 2][i % 2] = v.x;
            a[i / 2][i % 2 + 2] = v.y;
        }
        FOR(j, NQ * 2) {
            int row = WARP_COLUMN + j * 8 + G;
            uint2 b = *(local const uint2 *)(tile + MR * WORDS + PLACE(row, step * 8 + T * 2));
            FOR(i, TM / 2)
                mma((float2 *)&acc[i * 2][j / 2] + j % 2, (float2 *)&acc[i * 2 + 1][j / 2] + j % 2,
                    a[i], b, free);
        }
    }
}

#else // float32

#define BLOCKS true
// Work-items 0 to 31 make up 4 x 8 of the tile's: what they read at a time are whole lines.
#define LX (ID % 8 + ID / 32 % (NR / TN / 8) * 8)
#define LY (ID % 32 / 8 + ID / 32 / (NR / TN / 8) * 4)
// Where this item's pixel i and its four channels j are in the tile.
#define ROW(i) ((i) / 4 * (MR * 4 / TM) + LY * 4 + (i) % 4)
#define COLUMN(j) ((j) * (NR / NQ) + LX * 4)
// Where the four channels that it fetches of w are in a slice.
#define W_K(i) ((ID + (i) * ITEMS) * 4 / NR)
#define W_COLUMN(i) ((ID + (i) * ITEMS) * 4 % NR)
// A slice in local memory: x[k][pixel], the pixels of four k turned by 8 places for each four, so
// that neither putting nor getting them meets a bank twice; then w[k][channel].
#define TURNED(k, pixel) ((k) * MR + ((pixel) ^ ((k) / 4 % 4 * 8)))

static void put(local uint *words, const float4 *x, const float4 *w)
{
    local float *tile = (local float *)words;
    FOR(i, X_LOADS) {
        tile[TURNED(X_K, X_PIXEL(i))] = x[i].x;
        tile[TURNED(X_K + 1, X_PIXEL(i))] = x[i].y;
        tile[TURNED(X_K + 2, X_PIXEL(i))] = x[i].z;
        tile[TURNED(X_K + 3, X_PIXEL(i))] = x[i].w;
    }
    FOR(i, W_LOADS)
        *(local float4 *)(tile + KS * MR + W_K(i) * NR + W_COLUMN(i)) = w[i];
}

static void multiply(float4 acc[TM][NQ], local const uint *words, local uint *free)
{
    local const float *x = (local const float *)words, *w = x + KS * MR;
#pragma unroll 8 // all of it takes more registers
    for (int k = 0; k < KS; k++) {
        float4 b[NQ];
        float s[TM];
        FOR(j, NQ)
            b[j] = *(local const float4 *)(w + k * NR + COLUMN(j));
        FOR(i, TM / 4)
            vstore4(*(local const float4 *)(x + TURNED(k, ROW(i * 4))), i, s);
        FOR(i, TM)
            FOR(j, NQ)
                acc[i][j] = fma((float4)(s[i]), b[j], acc[i][j]);
    }
}

#endif

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
    local uint4 tiles[2][(MR + NR) * WORDS / 4];
    int m0 = get_group_id(0) * MR;
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

    int first[X_LOADS], point[X_LOADS], row[X_LOADS]; // of the pixels that this item fetches
    global const float *a[X_LOADS];
    FOR(i, X_LOADS) {
        int m = min(m0 + X_PIXEL(i), count - 1);
        first[i] = m / points * x_image;
        point[i] = m % points;
        row[i] = taps ? rows[point[i]] : -1;
    }
    // Slice s is fetched while the one before is multiplied.
    const int slices = taps * ((k_count + KS - 1) / KS);
    int t = 0, k = 0, terms = 0;
    bool whole = false; // the slice in local memory ends a block of the sum
    for (int s = 0; s <= slices; s++) {
        bool ends = false;
        float4 next_x[X_LOADS], next_w[W_LOADS];
        if (s < slices) {
            if (k == 0) // the rows of the next tap are fetched a tap ahead
                FOR(i, X_LOADS) {
                    a[i] = row[i] < 0 ? zeros : x + (size_t)(first[i] + row[i]) * x_pitch;
                    row[i] = t + 1 < taps ? rows[(t + 1) * points + point[i]] : -1;
                }
            FOR(i, X_LOADS)
                next_x[i] = get4(a[i] + k + X_K, k_count - k - X_K);
            FOR(i, W_LOADS) {
                size_t from = (size_t)t * k_count + k + W_K(i);
                next_w[i] = 0.0f;
                if (k + W_K(i) < k_count)
                    next_w[i] = *(global const float4 *)(w + from * NR + W_COLUMN(i));
            }
            int end = min(k + KS, k_count);
            terms += end - k;
            ends = BLOCKS && terms >= SUM_BLOCK && (end % SUM_BLOCK == 0 || end == k_count);
            terms = ends ? 0 : terms;
            k = end == k_count ? 0 : end;
            t += end == k_count;
        }
        if (s > 0)
            multiply(acc, (local const uint *)tiles[s & 1 ^ 1], (local uint *)tiles[s & 1]);
        if (whole)
            FOR(i, TM)
                FOR(j, NQ) {
                    sum[i][j] += acc[i][j];
                    acc[i][j] = 0.0f;
                }
        if (s < slices)
            put((local uint *)tiles[s & 1], next_x, next_w);
        whole = ends;
        barrier(CLK_LOCAL_MEM_FENCE);
    }

    local uchar *nibble = (local uchar *)tiles; // [MR][NR / 4]: bits for act_mask
    int words = (groups * n_count + 31) / 32;
    FOR(i, TM) {
        int m = min(m0 + ROW(i), count - 1), image = m / points;
        size_t q = image * y_image + outs[m - image * points];
        FOR(j, NQ) {
            int c = COLUMN(j), left = m0 + ROW(i) < count ? n - c : 0;
            uint kept = 0;
            if (left > 0) {
                global float *to = y + y0 + q * y_pitch + c0 + c;
                float4 v = acc[i][j] + (BLOCKS ? sum[i][j] : *(global const float4 *)(bias + c));
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
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int at = ID; act_mask && at < MR * (NR / 32); at += ITEMS) {
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
