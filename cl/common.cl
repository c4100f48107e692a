// Goes in front of every program: vectors of the device's width, Philox, fused activations.
// VW (floats per vector: 4, 8 or 16 on CPUs, 1 on GPUs) and GB_CPU or GB_GPU come as options.

// Long sums are added up in blocks of so many terms, then the blocks: rounding grows with the root
// of 64 plus the root of their number instead of the root of all terms, and fewer rectifiers land
// on the wrong side of zero.
#define SUM_BLOCK 64

// A product and a sum become one rounding only where fma() says so, on every compiler.
#pragma OPENCL FP_CONTRACT OFF

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

#if VW == 1
typedef float vf;
typedef int vi;
#define VLOAD(p) (*(p))
#define VSTORE(v, p) (*(p) = (v))
#define VLOAD_INT(p) (*(p))
#else
typedef CAT(float, VW) vf;
typedef CAT(int, VW) vi; // of comparisons: -1 where true (1 where VW is 1)
// PoCL's vload16 and vstore16 become several moves; a vector type with a float's alignment is
// moved at once.
typedef vf vf_anywhere __attribute__((aligned(4)));
#define VECTOR_MOVES(space)                                                     \
    static vf __attribute__((overloadable)) VLOAD(const space float *p)         \
    {                                                                           \
        return *(const space vf_anywhere *)p;                                   \
    }                                                                           \
    static void __attribute__((overloadable)) VSTORE(vf v, space float *p)      \
    {                                                                           \
        *(space vf_anywhere *)p = v;                                            \
    }
VECTOR_MOVES(global)
VECTOR_MOVES(local)
VECTOR_MOVES(private)
typedef vi vi_anywhere __attribute__((aligned(4)));
#define VLOAD_INT(p) (*(global const vi_anywhere *)(p))
#endif
#define VBROADCAST(x) ((vf)(x))

// OpenCL's prefetch() does nothing in PoCL, so the compiler's is used where it is known to work.
#if defined(GB_CPU) && (defined(__x86_64__) || defined(__aarch64__))
#define PREFETCH(p) __builtin_prefetch((const void *)(size_t)(p))
#else
#define PREFETCH(p)
#endif

// Lane numbers.
#if VW == 1
#define VLANES 0
#elif VW == 4
#define VLANES ((vi)(0, 1, 2, 3))
#elif VW == 8
#define VLANES ((vi)(0, 1, 2, 3, 4, 5, 6, 7))
#elif VW == 16
#define VLANES ((vi)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15))
#endif

// The first n of VW floats, 0 in the other lanes; memory behind them is not touched. x86 has an
// instruction for that, too, and one that stores them.
#if VW == 16 && defined(__AVX512F__)
#define LOAD_FIRST(p, n) \
    __builtin_ia32_loadups512_mask((const void *)(size_t)(p), (vf)(0.0f), lanes_below(n))
#define STORE_FIRST(v, p, n) \
    __builtin_ia32_storeups512_mask((void *)(size_t)(p), v, lanes_below(n))
static ushort lanes_below(int n)
{
    return (1u << clamp(n, 0, VW)) - 1;
}
#elif VW == 8 && defined(__AVX__)
#define LOAD_FIRST(p, n) __builtin_ia32_maskloadps256((const void *)(size_t)(p), VLANES < (vi)(n))
#define STORE_FIRST(v, p, n) \
    __builtin_ia32_maskstoreps256((void *)(size_t)(p), VLANES < (vi)(n), v)
#endif

static vf vload_first(global const float *p, int n)
{
    if (n >= VW)
        return VLOAD(p);
#ifdef LOAD_FIRST
    return LOAD_FIRST(p, n);
#else
    float t[VW];
    for (int i = 0; i < VW; i++)
        t[i] = i < n ? p[i] : 0.0f;
    return VLOAD(t);
#endif
}

static void vstore_first(vf v, global float *p, int n)
{
    if (n >= VW) {
        VSTORE(v, p);
        return;
    }
#ifdef STORE_FIRST
    STORE_FIRST(v, p, n);
#else
    float t[VW];
    VSTORE(v, t);
    for (int i = 0; i < n; i++)
        p[i] = t[i];
#endif
}

// p[at] in every lane.
static vf vgather(global const float *p, vi at)
{
#if VW == 1
    return p[at];
#elif VW == 16 && defined(__AVX512F__)
    return __builtin_ia32_gathersiv16sf((vf)(0.0f), (const void *)(size_t)p, at, 0xffff, 4);
#elif VW == 8 && defined(__AVX2__)
    return __builtin_ia32_gatherd_ps256((vf)(0.0f), (const void *)(size_t)p, at,
                                        as_float8((vi)(-1)), 4);
#else
    union {
        vi v;
        int s[VW];
    } u = {at};
    float t[VW];
    for (int i = 0; i < VW; i++)
        t[i] = p[u.s[i]];
    return VLOAD(t);
#endif
}

static float vsum(vf v) // lanes in order, so that the result is the same everywhere
{
    float t[VW], sum = 0.0f;
    VSTORE(v, t);
    for (int i = 0; i < VW; i++)
        sum += t[i];
    return sum;
}

// The fused activation (gb_act): x < lo ? lo + slope * (x - lo) : min(x, hi). NaN stays NaN, and
// slope 0 gives lo for -inf too.
static float act_apply1(float x, float lo, float hi, float slope)
{
    float below = slope == 0.0f ? lo : fma(slope, x - lo, lo);
    return x < lo ? below : x > hi ? hi : x;
}

static vf act_apply(vf x, float lo, float hi, float slope)
{
    vf vlo = VBROADCAST(lo), vhi = VBROADCAST(hi);
    vf below = slope == 0.0f ? vlo : fma(VBROADCAST(slope), x - vlo, vlo);
    return select(select(x, vhi, x > vhi), below, x < vlo);
}

// Lanes of a below n, of b from there on.
static vf vfirst(int n, vf a, vf b)
{
    return select(b, a, VLANES < n);
}

// Bit i of the result: lane i of a comparison is true. x86 has an instruction for that.
static uint vbits(vi c)
{
#if VW == 1
    return c != 0;
#elif VW == 16 && defined(__AVX512DQ__)
    return (ushort)__builtin_ia32_cvtd2mask512(c);
#elif VW == 8 && defined(__AVX__)
    return (uchar)__builtin_ia32_movmskps256(as_float8(c));
#elif VW == 4
    int4 b = c & (int4)(1, 2, 4, 8);
    return b.x | b.y | b.z | b.w;
#else
#if VW == 16
    int8 lo = c.lo & 1, hi = c.hi & 0x100, h = lo | hi;
#else
    int8 h = c & 1;
#endif
    h <<= (int8)(0, 1, 2, 3, 4, 5, 6, 7);
    int4 q = h.lo | h.hi;
    int2 d = q.lo | q.hi;
    return d.x | d.y;
#endif
}

// Philox 4x32-10, the twin of src/base/rng.h.
static uint4 philox4x32(uint4 c, uint k0, uint k1)
{
    for (int round = 0; round < 10; round++) {
        c = (uint4)(mul_hi(0xCD9E8D57u, c.z) ^ c.y ^ k0, 0xCD9E8D57u * c.z,
                    mul_hi(0xD2511F53u, c.x) ^ c.w ^ k1, 0xD2511F53u * c.x);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return c;
}

// A number in (0,1), never 0 or 1 (gb_uniform).
static float uniform01(uint bits)
{
    return ((float)(bits >> 9) + 0.5f) * 0x1p-23f;
}

// --- loop nests (the host's half: src/op/nd.c) ---

typedef struct nd_range {
    int i0, i1, r0, r1; // elements of the inner dimension, rows
} nd_range;

// This work-item's share of inner x outer elements; chunk 0: one element each.
static nd_range nd_item(int inner, int outer, int chunk, int rows)
{
    nd_range s;
    int x = get_global_id(0), y = get_global_id(1);
    if (chunk == 0) {
        s.r0 = x / inner;
        s.r1 = min(s.r0 + 1, outer);
        s.i0 = x - s.r0 * inner;
        s.i1 = s.i0 + 1;
    } else {
        s.i0 = x * chunk;
        s.i1 = min(s.i0 + chunk, inner);
        s.r0 = y * rows;
        s.r1 = min(s.r0 + rows, outer);
    }
    return s;
}

// Where operands are in row `row`: the first four (which 1), or in y, z and w the three more (0).
// `table` has a line of 8 for each of n dimensions: size, the strides of three more operands, those
// of the first four.
static int4 nd_half(global const int *table, int n, int row, int which)
{
    int4 at = 0;
    for (int d = 0; d < n; d++, table += 8) {
        int up = d + 1 < n ? row / table[0] : 0;
        at += (row - up * table[0]) * vload4(which, table);
        row = up;
    }
    return at;
}

static int4 nd_row(global const int *table, int n, int row)
{
    return nd_half(table, n, row, 1);
}

// The next n elements along a stride, at most VW; the other lanes repeat the last one.
static vf nd_get(global const float *p, int stride, int n)
{
    if (stride == 0)
        return (vf)(p[0]);
    if (stride == 1)
        return n >= VW ? VLOAD(p) : vfirst(n, vload_first(p, n), (vf)(p[n - 1]));
    return vgather(p, min(VLANES, n - 1) * stride);
}

static void nd_put(vf v, global float *p, int stride, int n)
{
    if (stride == 1) {
        vstore_first(v, p, n);
        return;
    }
    float t[VW];
    VSTORE(v, t);
    for (int i = 0; i < min(n, VW); i++)
        p[i * stride] = t[i];
}

// Bits of the lanes where the fused activation has derivative 1: lo < v < hi.
static uint act_bits(vf v, float lo, float hi)
{
    return vbits(v > lo && v < hi);
}

// 1 in the lanes whose bit is set, `or_else` in the others.
static vf bits_select(uint bits, float or_else)
{
#if VW == 1
    return bits & 1 ? 1.0f : or_else;
#else
    vi set = ((vi)((int)bits) & ((vi)(1) << VLANES)) != 0;
    return select(VBROADCAST(or_else), VBROADCAST(1.0f), set);
#endif
}

// What follows a sum, for the first `left` lanes at y: residual (res not NULL), accumulation,
// activation (its bits go to *kept from `bit` on), mask (bit i of `bits`: lane i) or slopes (not
// NULL). add 1: all of that is for the sum with y; 2: for the sum alone, to which y comes last.
static void epilogue(vf v, int left, global float *y, int add, global const float *res, int act,
                     float lo, float hi, float slope, uint *kept, int bit, int masked, uint bits,
                     float mask_slope, global const float *slopes)
{
    if (res)
        v += vload_first(res, left);
    if (add == 1)
        v += vload_first(y, left);
    if (act) {
        *kept |= act_bits(v, lo, hi) << bit;
        v = act_apply(v, lo, hi, slope);
    }
    if (masked)
        v *= bits_select(bits, mask_slope);
    if (slopes)
        v *= vload_first(slopes, left);
    if (add == 2)
        v += vload_first(y, left);
    vstore_first(v, y, left);
}

// --- rows: reductions whose elements are neighbours (the host's half: src/op/rows.c) ---
// A work-group takes a row on a GPU, its items every ROW_LANES-th element; an item takes `per`
// whole rows, in vectors, on a CPU. ROW_SCRATCH goes at the top of the kernel.

#ifdef GB_CPU
#define ROW_LANES 1
#define ROW_LANE 0
#define ROW_SCRATCH local float *scratch = 0
#else
#define ROW_LANES 64
#define ROW_LANE ((int)get_local_id(0))
#define ROW_SCRATCH local float scratch[ROW_LANES]
#endif
#define FOR_ROWS(r, count, per) \
    for (int r = get_group_id(0) * per, r##_end = min(r + per, count); r < r##_end; r++)
// The elements k of this item, in pieces of n <= VW.
#define FOR_COLUMNS(k, n, count) \
    for (int k = ROW_LANE * VW, n; n = count - k, k < count; k += ROW_LANES * VW)

// The sum (or the maximum) of all lanes of a row's items; the same bits in every item.
static float row_join(vf v, bool sum, local float *scratch)
{
#ifdef GB_CPU
    float t[VW];
    VSTORE(v, t);
    for (int width = VW / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            t[i] = sum ? t[i] + t[i + width] : fmax(t[i], t[i + width]);
    return t[0];
#else
    barrier(CLK_LOCAL_MEM_FENCE);
    scratch[ROW_LANE] = v;
    for (int width = ROW_LANES / 2; width > 0; width /= 2) {
        barrier(CLK_LOCAL_MEM_FENCE);
        if (ROW_LANE < width) {
            float a = scratch[ROW_LANE], b = scratch[ROW_LANE + width];
            scratch[ROW_LANE] = sum ? a + b : fmax(a, b);
        }
    }
    barrier(CLK_LOCAL_MEM_FENCE);
    return scratch[0];
#endif
}
