// Goes in front of every program: vectors of the device's width, Philox, fused activations.
// VW (floats per vector: 4, 8 or 16 on CPUs, 1 on GPUs) and GB_CPU or GB_GPU come as options.

// A product and a sum become one rounding only where fma() says so, on every compiler.
#pragma OPENCL FP_CONTRACT OFF

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

#if VW == 1
typedef float vf;
typedef int vi;
#define VLOAD(p) (*(p))
#define VSTORE(v, p) (*(p) = (v))
#else
typedef CAT(float, VW) vf;
typedef CAT(int, VW) vi; // of comparisons: -1 where true (1 where VW is 1)
#define VLOAD(p) CAT(vload, VW)(0, p)
#define VSTORE(v, p) CAT(vstore, VW)(v, 0, p)
#endif
#define VBROADCAST(x) ((vf)(x))

// The first n of VW floats, 0 in the other lanes; memory behind them is not touched.
static vf vload_first(global const float *p, int n)
{
    if (n >= VW)
        return VLOAD(p);
    float t[VW];
    for (int i = 0; i < VW; i++)
        t[i] = i < n ? p[i] : 0.0f;
    return VLOAD(t);
}

static void vstore_first(vf v, global float *p, int n)
{
    if (n >= VW) {
        VSTORE(v, p);
        return;
    }
    float t[VW];
    VSTORE(v, t);
    for (int i = 0; i < n; i++)
        p[i] = t[i];
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

// A number in (0,1), never 0 or 1: 23 bits and a half, since 24 and a half would round to 1 (gb_uniform).
static float uniform01(uint bits)
{
    return ((float)(bits >> 9) + 0.5f) * 0x1p-23f;
}
