// Functions of one element and their derivatives, where FUNCTIONS is defined. The numbers are those
// of gb_unary_kind (src/op/unary.h), where the formulas are.
#ifdef FUNCTIONS
enum {
    RELU, LEAKY_RELU, ELU, SELU, CELU, THRESHOLDED_RELU, SIGMOID, HARD_SIGMOID, HARD_SWISH, TANH,
    SOFTPLUS, SOFTSIGN, GELU, GELU_TANH, MISH, SWISH, ERF, CLIP, EXP, LOG, SQRT, ABS, NEG,
    RECIPROCAL, FLOOR, CEIL, ROUND, SIGN, SIN, COS, NOT
};

#define PICK(condition, yes, no) select((vf)(no), (vf)(yes), condition)

// erf(x), given e = exp(-x * x), which its derivative shares: minimax fits of erf(x)/x in x^2 on
// [0,1] and of erfc(x) exp(x^2) on [1,4]; beyond 4 erf is 1 in single precision.
static vf erf_given(vf x, vf e)
{
    vf t = fabs(x), s = x * x;
    vf p = fma(fma(fma(fma(fma(fma((vf)(7.8891193e-05f), s, (vf)(-0.000802084163f)), s,
        (vf)(0.00518953521f)), s, (vf)(-0.0268544443f)), s, (vf)(0.112836003f)), s,
        (vf)(-0.37612626f)), s, (vf)(1.12837911f));
    vf u = fmin(t, (vf)(4.0f));
    vf q = fma(fma(fma(fma(fma(fma(fma((vf)(-0.000388883141f), u, (vf)(0.00600511322f)), u,
        (vf)(-0.0409980979f)), u, (vf)(0.164133428f)), u, (vf)(-0.431679214f)), u,
        (vf)(0.792594374f)), u, (vf)(-1.04821039f)), u, (vf)(0.986127208f));
    return PICK(t > 1.0f, copysign(fma(-e, q, (vf)(1.0f)), x), x * p);
}

// Beyond these, where e^-x and e^(-x^2/2) are 0 in single precision, functions have reached their
// limits, and factors go no further: infinity times 0 is NaN.
#define FAR 104.0f
#define FAR_SQUARED 14.5f

// x Phi(x), Phi being the normal distribution's, and its derivative.
static vf gelu(vf x, vf *d)
{
    x = PICK(x < -FAR_SQUARED, -FAR_SQUARED, x);
    vf z = x * M_SQRT1_2_F, e = exp(-z * z), phi = fma((vf)(0.5f), erf_given(z, e), (vf)(0.5f));
    vf near = PICK(x > FAR_SQUARED, FAR_SQUARED, x);
    *d = fma(near * e, (vf)(0.5f * M_2_SQRTPI_F * M_SQRT1_2_F), phi);
    return x * phi;
}

static vf sigmoid(vf x)
{
    return 1.0f / (1.0f + exp(-x));
}

// Without overflow: max(x, 0) + log(1 + e^-|x|); NaN stays.
static vf softplus(vf x)
{
    return PICK(x < 0.0f, 0.0f, x) + log1p(exp(-fabs(x)));
}

// x / (1 + e^(-a x)), and its derivative.
static vf swish(vf x, float a, vf *d)
{
    vf z = a * x, near = PICK(z < -FAR, -FAR, PICK(z > FAR, FAR, z)), s = sigmoid(near);
    *d = fma(near * s, 1.0f - s, s);
    return PICK(z < -FAR, 0.0f, x * s);
}

// Some drivers' tanh stays a little below 1 for ever; from 9.02 on it rounds to 1.
static vf tanh_of(vf x)
{
    return PICK(fabs(x) > 9.02f, copysign((vf)(1.0f), x), tanh(x));
}

#define SQRT_2_PI 0.797884561f // sqrt(2 / pi)
#define TANH_FAR 10.0f         // from here on the tanh in GELU is 1 or -1 by far

// PoCL's vectors of sines are wrong in the lanes beside an angle beyond 2^23, whose quadrant is
// found in another way; its single ones are right.
static vf wave(vf x, bool is_cos)
{
    if (vbits(fabs(x) > 1e6f) == 0)
        return is_cos ? cos(x) : sin(x);
    float t[VW];
    VSTORE(x, t);
    for (int i = 0; i < VW; i++)
        t[i] = is_cos ? cos(t[i]) : sin(t[i]);
    return VLOAD(t);
}

static vf unary(int kind, vf x, float a, float b)
{
    vf d;
    switch (kind) {
    case RELU: return PICK(x < 0.0f, 0.0f, x);
    case LEAKY_RELU: return PICK(x < 0.0f, a * x, x);
    case ELU: return PICK(x < 0.0f, a * expm1(x), x);
    case SELU: return b * PICK(x < 0.0f, a * expm1(x), x);
    case CELU: return PICK(x < 0.0f, a * expm1(x / a), x);
    case THRESHOLDED_RELU: return PICK(x <= a, 0.0f, x);
    case SIGMOID: return sigmoid(x);
    case HARD_SIGMOID: x = fma(x, (vf)(a), (vf)(b)); a = 0.0f; b = 1.0f; // and CLIP
    case CLIP: x = PICK(x < a, a, x); return PICK(x > b, b, x);
    case HARD_SWISH: return PICK(x <= -3.0f, 0.0f, PICK(x >= 3.0f, x, x * (x / 6.0f + 0.5f)));
    case TANH: return tanh_of(x);
    case SOFTPLUS: return softplus(x);
    case SOFTSIGN: return PICK(fabs(x) > 0x1p100f, copysign((vf)(1.0f), x), x / (1.0f + fabs(x)));
    case GELU: return gelu(x, &d);
    case GELU_TANH:
        return PICK(x < -TANH_FAR, 0.0f, 0.5f * x * (1.0f + tanh_of(
            SQRT_2_PI * x * (1.0f + 0.044715f * x * x))));
    case MISH: return PICK(x < -FAR, 0.0f, x * tanh_of(softplus(x)));
    case SWISH: return swish(x, a, &d);
    case ERF: return erf_given(x, exp(-x * x));
    case EXP: return exp(x);
    case LOG: return log(x);
    case SQRT: return sqrt(x);
    case ABS: return fabs(x);
    case NEG: return -x;
    case RECIPROCAL: return 1.0f / x;
    case FLOOR: return floor(x);
    case CEIL: return ceil(x);
    case ROUND: return rint(x);
    case SIGN: return PICK(x > 0.0f, 1.0f, PICK(x < 0.0f, -1.0f, x));
    case SIN: return wave(x, false);
    case COS: return wave(x, true);
    case NOT: return PICK(x == 0.0f, 1.0f, 0.0f);
    default: return x;
    }
}

// dy/dx from x, or from y where gb_unary_of_output says so.
static vf slope(int kind, vf v, float a, float b)
{
    vf one = (vf)(1.0f), t;
    switch (kind) {
    case RELU: return PICK(v <= 0.0f, 0.0f, one); // of y
    case LEAKY_RELU: return PICK(v <= 0.0f, a, one);
    case ELU: return PICK(v <= 0.0f, a * exp(v), one);
    case SELU: return b * PICK(v <= 0.0f, a * exp(v), one);
    case CELU: return PICK(v <= 0.0f, exp(v / a), one);
    case THRESHOLDED_RELU: return PICK(v <= a, 0.0f, one);
    case SIGMOID: return v * (1.0f - v);                             // of y
    case HARD_SIGMOID: return PICK((v <= 0.0f) | (v >= 1.0f), 0.0f, (vf)(a)); // of y
    case CLIP: return PICK((v <= a) | (v >= b), 0.0f, one); // as PyTorch's ReLU6 at the ends
    case HARD_SWISH:
        return PICK(v <= -3.0f, 0.0f, PICK(v >= 3.0f, one, v / 3.0f + 0.5f));
    case TANH: return 1.0f - v * v; // of y
    case SOFTPLUS: return sigmoid(v);
    case SOFTSIGN: t = 1.0f + fabs(v); return 1.0f / (t * t);
    case GELU: gelu(v, &t); return t;
    case GELU_TANH:
        v = PICK(fabs(v) > TANH_FAR, copysign((vf)(TANH_FAR), v), v);
        t = tanh_of(SQRT_2_PI * v * (1.0f + 0.044715f * v * v));
        return 0.5f * (1.0f + t) +
               0.5f * v * (1.0f - t * t) * SQRT_2_PI * (1.0f + 3.0f * 0.044715f * v * v);
    case SWISH: swish(v, a, &t); return t;
    case MISH:
        t = tanh_of(softplus(v));
        return PICK(fabs(v) > FAR, t, fma(v * sigmoid(v), 1.0f - t * t, t));
    case ERF: return M_2_SQRTPI_F * exp(-v * v);
    case EXP: return v; // of y
    case LOG: return 1.0f / v;
    case SQRT: return 0.5f / v;         // of y
    case RECIPROCAL: return -v * v;     // of y
    case ABS: return PICK(v > 0.0f, one, PICK(v < 0.0f, -one, v));
    case NEG: return -one;
    case SIN: return wave(v, true);
    case COS: return -wave(v, false);
    default: return (vf)(0.0f);
    }
}

#ifdef SMOOTH
// Stores what nobody reads before the backward half: past the caches, where the processor can.
static void store_far(vf v, global float *p)
{
#if VW > 1 && (defined(__x86_64__) || defined(__aarch64__))
    if (((size_t)p & (sizeof(vf) - 1)) == 0) {
        __builtin_nontemporal_store(v, (global vf *)p);
        return;
    }
#endif
    VSTORE(v, p);
}

// A fused activation that has no one-bit derivative: its value, and its derivative in *d.
// OF_OUTPUT: slope() wants the output.
static vf smooth(vf x, float a, float b, vf *d)
{
    if (SMOOTH == SWISH)
        return swish(x, a, d);
    if (SMOOTH == GELU)
        return gelu(x, d);
    vf y = unary(SMOOTH, x, a, b);
    *d = slope(SMOOTH, OF_OUTPUT ? y : x, a, b);
    return y;
}

// Applies it to n elements in place; the derivatives go to `slopes` (not NULL).
static void smooth_row(global float *y, global float *slopes, int n, float a, float b)
{
    for (int i = 0; i < n; i += VW) {
        vf d, v = smooth(vload_first(y + i, n - i), a, b, &d);
        vstore_first(v, y + i, n - i);
        if (slopes && n - i >= VW)
            store_far(d, slopes + i);
        else if (slopes)
            vstore_first(d, slopes + i, n - i);
    }
}
#endif
#endif
