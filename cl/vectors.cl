// Goes in front of every program: vectors of the device's width.
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
#if VW == 1
#define GATHER(p, at) (p)[at]
#elif VW == 16 && defined(__AVX512F__)
#define GATHER(p, at) \
    __builtin_ia32_gathersiv16sf((vf)(0.0f), (const void *)(size_t)(p), at, 0xffff, 4)
#elif VW == 8 && defined(__AVX2__)
#define GATHER(p, at) \
    __builtin_ia32_gatherd_ps256((vf)(0.0f), (const void *)(size_t)(p), at, as_float8((vi)(-1)), 4)
#endif
#ifdef GATHER
#define VGATHER(space)                                                           \
    static vf __attribute__((overloadable)) vgather(const space float *p, vi at) \
    {                                                                            \
        return GATHER(p, at);                                                    \
    }
#else
#define VGATHER(space)                                                           \
    static vf __attribute__((overloadable)) vgather(const space float *p, vi at) \
    {                                                                            \
        int where[VW];                                                           \
        float t[VW];                                                             \
        CAT(vstore, VW)(at, 0, where);                                           \
        for (int i = 0; i < VW; i++)                                             \
            t[i] = p[where[i]];                                                  \
        return VLOAD(t);                                                         \
    }
#endif
VGATHER(global)
VGATHER(private)

static float vsum(vf v) // lanes in order, so that the result is the same everywhere
{
    float t[VW], sum = 0.0f;
    VSTORE(v, t);
    for (int i = 0; i < VW; i++)
        sum += t[i];
    return sum;
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
