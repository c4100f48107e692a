// Functions of one element far out: at 0, denormals, from 1e-8 to 1e30, infinity and NaN, alone and
// fused behind a layer, the value and the derivative against double precision and exact limits.
#include "support/device.h"

#include "engine/session.h"
#include "onnx/load.h"
#include "support/onnx_builder.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Single precision, with room for 1 - s near s = 1.
#define TOLERANCE 2e-6

typedef struct function {
    const char *type;
    float alpha; // 0: none
    const char *form;
    double (*f)(double x), (*d)(double x); // d NULL: not differentiable everywhere
    double high, d_high, low, d_low;       // at infinity and -infinity
} function;

// --- formulas that keep their digits ---

static double sigmoid(double x) { return x < 0 ? exp(x) / (1 + exp(x)) : 1 / (1 + exp(-x)); }
static double d_sigmoid(double x) { return sigmoid(x) * sigmoid(-x); }
static double softplus(double x) { return fmax(x, 0) + log1p(exp(-fabs(x))); }
static double sech2(double x) { return fabs(x) > 300 ? 0 : 1 / cosh(x) / cosh(x); }
static double softsign(double x) { return x / (1 + fabs(x)); }
static double d_softsign(double x) { return 1 / (1 + fabs(x)) / (1 + fabs(x)); }
static double phi(double x) { return erfc(-x / M_SQRT2) / 2; }
static double gelu(double x) { return x * phi(x); }
static double d_gelu(double x) { return phi(x) + x * exp(-x * x / 2) / sqrt(2 * M_PI); }
static double bent(double x) { return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x); }
static double half_tanh(double u) { return sigmoid(2 * u); } // (1 + tanh u) / 2
static double gelu_tanh(double x) { return x * half_tanh(bent(x)); }
static double d_gelu_tanh(double x)
{
    double curve = fabs(x) > 100 ? 0
        : x / 2 * sech2(bent(x)) * sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    return half_tanh(bent(x)) + curve;
}
static double mish(double x) { return x * tanh(softplus(x)); }
static double d_mish(double x)
{
    return tanh(softplus(x)) + x * sigmoid(x) * sech2(softplus(x));
}
static double swish(double x) { return x * sigmoid(x); }
static double d_swish(double x) { return sigmoid(x) + x * d_sigmoid(x); }
static double swish2(double x) { return x * sigmoid(2 * x); }
static double d_swish2(double x) { return sigmoid(2 * x) + 2 * x * d_sigmoid(2 * x); }
static double d_erf(double x) { return M_2_SQRTPI * exp(-x * x); }
static double elu2(double x) { return x < 0 ? 2 * expm1(x) : x; }
static double d_elu2(double x) { return x <= 0 ? 2 * exp(x) : 1; }
static const double selu_a = 1.67326319217681884765625f, selu_b = 1.05070102214813232421875f;
static double selu(double x) { return selu_b * (x < 0 ? selu_a * expm1(x) : x); }
static double d_selu(double x) { return selu_b * (x <= 0 ? selu_a * exp(x) : 1); }
static double celu(double x) { return x < 0 ? 0.75 * expm1(x / 0.75) : x; }
static double d_celu(double x) { return x <= 0 ? exp(x / 0.75) : 1; }
static double hard_swish(double x) { return x <= -3 ? 0 : x >= 3 ? x : x * (x / 6 + 0.5); }
static double d_hard_swish(double x) { return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5; }
static double hard_sigmoid(double x) { return fmin(fmax(x / 4 + 0.5, 0), 1); }
static double relu(double x) { return fmax(x, 0); }
static double d_relu(double x) { return x > 0; }
static double leaky(double x) { return x < 0 ? 0.25 * x : x; }
static double d_leaky(double x) { return x <= 0 ? 0.25 : 1; }
static double d_log(double x) { return 1 / x; }
static double d_sqrt(double x) { return 0.5 / sqrt(x); }
static double reciprocal(double x) { return 1 / x; }
static double d_reciprocal(double x) { return -1 / x / x; }
static double d_cos(double x) { return -sin(x); }
static double d_abs(double x) { return (x > 0) - (x < 0); }

static const function functions[] = {
    {"Relu", 0, NULL, relu, d_relu, INFINITY, 1, 0, 0},
    {"LeakyRelu", 0.25f, NULL, leaky, d_leaky, INFINITY, 1, -INFINITY, 0.25},
    {"Elu", 2, NULL, elu2, d_elu2, INFINITY, 1, -2, 0},
    {"Selu", 0, NULL, selu, d_selu, INFINITY, 1.05070102214813232421875f,
     -1.67326319217681884765625 * 1.05070102214813232421875, 0},
    {"Celu", 0.75f, NULL, celu, d_celu, INFINITY, 1, -0.75, 0},
    {"Sigmoid", 0, NULL, sigmoid, d_sigmoid, 1, 0, 0, 0},
    {"HardSigmoid", 0.25f, NULL, hard_sigmoid, NULL, 1, 0, 0, 0},
    {"HardSwish", 0, NULL, hard_swish, d_hard_swish, INFINITY, 1, 0, 0},
    {"Tanh", 0, NULL, tanh, sech2, 1, 0, -1, 0},
    {"Softplus", 0, NULL, softplus, sigmoid, INFINITY, 1, 0, 0},
    {"Softsign", 0, NULL, softsign, d_softsign, 1, 0, -1, 0},
    {"Gelu", 0, NULL, gelu, d_gelu, INFINITY, 1, 0, 0},
    {"Gelu", 0, "tanh", gelu_tanh, d_gelu_tanh, INFINITY, 1, 0, 0},
    {"Mish", 0, NULL, mish, d_mish, INFINITY, 1, 0, 0},
    {"Swish", 0, NULL, swish, d_swish, INFINITY, 1, 0, 0},
    {"Swish", 2, NULL, swish2, d_swish2, INFINITY, 1, 0, 0},
    {"Erf", 0, NULL, erf, d_erf, 1, 0, -1, 0},
    {"Exp", 0, NULL, exp, exp, INFINITY, INFINITY, 0, 0},
    {"Log", 0, NULL, log, d_log, INFINITY, 0, NAN, 0},
    {"Sqrt", 0, NULL, sqrt, d_sqrt, INFINITY, 0, NAN, NAN},
    {"Reciprocal", 0, NULL, reciprocal, d_reciprocal, 0, 0, 0, 0},
    {"Abs", 0, NULL, fabs, d_abs, INFINITY, 1, INFINITY, -1},
    {"Sin", 0, NULL, sin, cos, NAN, NAN, NAN, NAN},
    {"Cos", 0, NULL, cos, d_cos, NAN, NAN, NAN, NAN},
};

// --- the arguments ---

enum { MOST = 160 };

static int fill(float *x, bool finite)
{
    static const float special[] = {0.25f, 0.5f, 0.9999f, 1.0001f, 2.5f, 2.99f, 3.01f, 4, 4.9f, 5,
                                    5.6f, 6, 7, 8.5f, 8.9f, 9.01f, 9.02f, 10.01f, 14.49f, 14.51f,
                                    17, 20, 60, 88, 89, 103.9f, 104, 104.1f, 1e30f, 3e38f};
    int n = 0;
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int e = -8; e <= 4; e++)
            x[n++] = (float)(sign * pow(10, e));
        for (size_t i = 0; i < GB_COUNT(special); i++)
            x[n++] = (float)sign * special[i];
        x[n++] = (float)sign * 0.0f;
        x[n++] = (float)sign * 1e-40f;
        if (!finite)
            x[n++] = (float)sign * INFINITY;
    }
    if (!finite)
        x[n++] = NAN;
    return n;
}

static double expected(const function *f, double x, bool derivative)
{
    if (isnan(x))
        return NAN;
    if (isinf(x))
        return derivative ? (x > 0 ? f->d_high : f->d_low) : x > 0 ? f->high : f->low;
    return derivative ? f->d(x) : f->f(x);
}

// --- the device ---

static gb_graph *model_of(const function *f, int n, bool fused)
{
    onnx_builder b;
    gb_graph *g = NULL;
    size_t size;
    const int64_t one[] = {1, 1, 1, 1}, dims[] = {n, 1, 1, 1};
    onnx_init(&b, 20);
    onnx_input(&b, "x", fused ? 4 : 1, dims);
    onnx_init_f32(&b, "w", 4, one, (float[]){1});
    if (fused)
        onnx_node(&b, "Conv", "x,w", "h");
    Onnx__NodeProto *node = onnx_node(&b, f->type, fused ? "h" : "x", fused ? "a" : "y");
    if (f->alpha != 0)
        onnx_attr_float(&b, node, "alpha", f->alpha);
    if (f->form)
        onnx_attr_string(&b, node, "approximate", f->form);
    if (fused) // a layer that applies the derivative to its gradient
        onnx_node(&b, "Conv", "a,w", "y");
    onnx_output(&b, "y", 0, NULL);
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_ok(gb_onnx_decode(&g, bytes, size, "test", NULL));
    free(bytes);
    onnx_finish(&b);
    return g;
}

static int compare(const function *f, bool derivative, int n, const float *x, const float *got)
{
    int wrong = 0;
    for (int i = 0; i < n; i++) {
        // Bits of a piecewise function's mask, and what is not continuous at 0.
        bool piecewise =
            derivative && isnan(x[i]) && strstr("LeakyRelu Elu Selu Celu", f->type);
        bool pole = derivative && fabsf(x[i]) < FLT_MIN && strstr("Log Sqrt Reciprocal", f->type);
        if (piecewise || pole)
            continue;
        double want = (double)(float)expected(f, (double)x[i], derivative), v = (double)got[i];
        bool same = isnan(want) ? isnan(v)
                                : v == want || fabs(v - want) <= TOLERANCE * fmax(1, fabs(want));
        // A driver may take a denormal for 0.
        if (!same && fabsf(x[i]) < FLT_MIN && !isnan(v))
            same = v == (double)(float)expected(f, 0 * (double)x[i], derivative);
        wrong += !same;
        if (!same)
            print_error("%s%s %s(%.9g) = %.9g, expected %.9g\n", f->type, f->form ? f->form : "",
                        derivative ? "derivative" : "", (double)x[i], v, want);
    }
    return wrong;
}

static int check(const function *f, bool fused)
{
    float x[MOST], y[MOST], dx[MOST], one[MOST];
    const int n = fill(x, fused);
    gb_graph *model = model_of(f, n, fused);
    gb_session *s = NULL;
    for (int i = 0; i < n; i++)
        one[i] = 1;
    assert_ok(gb_session_create(&s, test_device(), model,
                                &(gb_session_options){.seed = "y", .grad = true}));
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
    assert_ok(gb_session_upload(s, gb_session_seed(s), one));
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_session_download(s, gb_session_output(s, 0), y));
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), dx));
    int wrong = compare(f, false, n, x, y);
    if (f->d)
        wrong += compare(f, true, n, x, dx);
    gb_session_free(s);
    gb_graph_free(model);
    return wrong;
}

static void alone(void **state)
{
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < GB_COUNT(functions); i++)
        wrong += check(&functions[i], false);
    assert_int_equal(0, wrong);
}

static void behind_a_layer(void **state)
{
    int wrong = 0;
    (void)state;
    for (size_t i = 0; i < GB_COUNT(functions); i++)
        wrong += check(&functions[i], true);
    assert_int_equal(0, wrong);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alone),
        cmocka_unit_test(behind_a_layer),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
