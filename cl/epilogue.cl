// What follows a sum: the fused activation, its bits, the epilogue of every kernel of products.

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

// The same for all vectors of a tile that is whole, with each question asked once: FOR goes through
// the tile, the others say for one vector of it what epilogue's arguments say; what holds for all
// of them (res, add, act, ...) is the kernel's own, by these names.
#define EPILOGUE_OF_TILE(FOR, v, y, res_at, kept, bit, bits, slopes_at) \
    if (res)                                                            \
        FOR v += VLOAD(res_at);                                         \
    if (add == 1)                                                       \
        FOR v += VLOAD(y);                                              \
    if (act)                                                            \
        FOR {                                                           \
            kept |= act_bits(v, lo, hi) << (bit);                       \
            v = act_apply(v, lo, hi, slope);                            \
        }                                                               \
    if (mask)                                                           \
        FOR v *= bits_select(bits, mask_slope);                         \
    if (slopes)                                                         \
        FOR v *= VLOAD(slopes_at);                                      \
    if (add == 2)                                                       \
        FOR v += VLOAD(y);
