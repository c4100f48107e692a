// Rounds to formats of fewer bits.
#include "base/precision.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

const char *const gb_precision_names[] = {"float32", "tf32", "bf16", "fp16", NULL};

static const struct {
    int bits;            // of the significand, the first one included
    int least_exponent;  // of a normal number 0.5 * 2^exponent <= |x|
    double largest;
} format[] = {{24, -125, FLT_MAX}, {11, -125, FLT_MAX}, {8, -125, FLT_MAX}, {11, -13, 65504}};

double gb_precision_unit(gb_precision precision)
{
    return ldexp(1, -format[precision].bits);
}

float gb_precision_round(gb_precision precision, float x)
{
    int exponent;
    if (x == 0 || !isfinite(x))
        return x;
    frexp(x, &exponent);
    if (exponent < format[precision].least_exponent)
        exponent = format[precision].least_exponent;
    const double step = ldexp(1, exponent - format[precision].bits), q = x / step;
    const double y = (precision == GB_TF32 ? round(q) : nearbyint(q)) * step;
    return fabs(y) > format[precision].largest ? copysignf(INFINITY, x) : (float)y;
}
