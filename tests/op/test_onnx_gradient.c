// Gradients of the ONNX project's operator cases on the device, against central differences of the
// naive evaluators in double.
#include "support/device.h"

#include "op/evaluate.h"
#include "op/onnx_session.h"

#include "base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    PROBES = 24,       // elements of an input that are tried
    MAX_ELEMENTS = 100000 // in an input or output; differences take their time
};

// Weights in [-1, 1] for the sum that is differentiated.
static void fill_seed(gb_tensor *t)
{
    const int64_t count = gb_shape_count(&t->shape);
    for (int64_t i = 0; i < count; i++)
        gb_tensor_set(t, i,
                      2 * gb_uniform(gb_philox4x32((gb_philox){{(uint32_t)i}}, 7, 0).v[0]) - 1);
}

// The weighted sum of output 0, in double.
static int weighted(double *sum, onnx_case *c, gb_tensor *const *in, const gb_tensor *seed)
{
    int err = evaluate_graph(c->graph, in);
    if (err < 0)
        return err;
    *sum = 0;
    const int64_t count = gb_shape_count(&seed->shape);
    for (int64_t i = 0; i < count; i++)
        *sum += gb_tensor_get(seed, i) * gb_tensor_get(c->graph->out[0]->data, i);
    return 0;
}

// The derivative by one element; NaN at a kink, where the two sides disagree, and at a jump.
static int differentiate(double *slope, onnx_case *c, gb_tensor *const *in, const gb_tensor *seed,
                         gb_tensor *by, int64_t at)
{
    const double x = gb_tensor_get(by, at), h = 1e-5 * fmax(1, fabs(x));
    double here, above, below;
    int err = 0;
    GB_TRY(weighted(&here, c, in, seed));
    gb_tensor_set(by, at, x + h);
    GB_TRY(weighted(&above, c, in, seed));
    gb_tensor_set(by, at, x - h);
    GB_TRY(weighted(&below, c, in, seed));
    gb_tensor_set(by, at, x);
    const double left = (here - below) / h, right = (above - here) / h;
    const bool kink = fabs(left - right) > 1e-2 * (fabs(left) + fabs(right)) + 1e-3;
    *slope = kink || fabs(above - below) > 0.1 ? NAN : (above - below) / (2 * h);
fail:
    return err;
}

// Compares the gradient of one input at some of its elements.
static onnx_verdict check_input(onnx_case *c, gb_tensor *const *in, const gb_tensor *seed, size_t k,
                                const gb_tensor *got, int *probed, char *why, size_t size)
{
    const int64_t count = gb_shape_count(&got->shape);
    const int64_t step = count > PROBES ? count / PROBES : 1;
    double largest = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(gb_tensor_get(got, i)));
    for (int64_t i = 0; i < count; i += step) {
        double slope;
        if (differentiate(&slope, c, in, seed, in[k], i) < 0) {
            snprintf(why, size, "%s", gb_last_error());
            return ONNX_FAIL;
        }
        if (!isfinite(slope))
            continue;
        ++*probed;
        const double g = gb_tensor_get(got, i);
        if (!(fabs(g - slope) <= 1e-3 * fabs(slope) + 1e-4 * fmin(largest, 1e3) + 1e-6)) {
            snprintf(why, size, "gradient of input %zu at %lld is %.7g, not %.7g", k, (long long)i,
                     g, slope);
            return ONNX_FAIL;
        }
    }
    return ONNX_PASS;
}

// Runs the session's gradient and reads dL/d(input i) for each of its inputs into got[].
static int gradients(gb_session *s, const gb_tensor *seed, gb_tensor **got, gb_arena *arena)
{
    int err = 0;
    GB_TRY(gb_session_upload(s, gb_session_seed(s), seed->data));
    GB_TRY(gb_session_gradient(s));
    for (size_t i = 0; i < gb_session_inputs(s); i++) {
        const gb_io *io = gb_session_grad(s, i);
        got[i] = gb_tensor_create(arena, GB_F32, &io->shape);
        if (!got[i])
            return GB_ERR_NOMEM;
        GB_TRY(gb_session_download(s, io, got[i]->data));
    }
fail:
    return err;
}

static onnx_verdict check(onnx_case *c, gb_session *s, const bool *free_input, gb_arena *arena,
                          char *why, size_t size)
{
    gb_tensor *seed = gb_tensor_create(arena, GB_F32, &c->want[0]->shape);
    gb_tensor *got[ONNX_CASE_MAX], *in[ONNX_CASE_MAX];
    size_t next = 0;
    int probed = 0;
    assert_non_null(seed);
    fill_seed(seed);
    if (gb_session_inputs(s) > ONNX_CASE_MAX || gradients(s, seed, got, arena) < 0) {
        snprintf(why, size, "%s", gb_last_error());
        return ONNX_FAIL;
    }
    for (size_t k = 0; k < c->n_in; k++) {
        in[k] = c->in[k];
        if (!free_input[k])
            continue;
        in[k] = gb_tensor_create(arena, GB_F64, &c->in[k]->shape);
        assert_non_null(in[k]);
        for (int64_t i = 0; i < gb_shape_count(&in[k]->shape); i++)
            gb_tensor_set(in[k], i, gb_tensor_get(c->in[k], i));
    }
    for (size_t k = 0; k < c->n_in; k++) {
        if (!free_input[k])
            continue;
        onnx_verdict verdict = check_input(c, in, seed, k, got[next++], &probed, why, size);
        if (verdict != ONNX_PASS)
            return verdict;
    }
    snprintf(why, size, "kinks everywhere");
    return probed ? ONNX_PASS : ONNX_SKIP;
}

static onnx_verdict run(void *user, onnx_case *c, char *why, size_t size)
{
    (void)user;
    gb_arena arena = {0};
    gb_session *s = NULL;
    bool free_input[ONNX_CASE_MAX], any = false;
    int64_t largest = gb_shape_count(&c->want[0]->shape);
    onnx_verdict verdict = ONNX_SKIP;
    for (size_t i = 0; i < c->n_in; i++) {
        const int64_t count = gb_shape_count(&c->in[i]->shape);
        any = any || c->in[i]->type == GB_F32;
        largest = count > largest ? count : largest;
    }
    if (c->want[0]->type != GB_F32 || !any || largest > MAX_ELEMENTS) {
        snprintf(why, size, largest > MAX_ELEMENTS ? "over 100000 elements" : "integers alone");
        return ONNX_SKIP;
    }
    int err = onnx_session(&s, test_device(), c, c->graph->out[0]->name, free_input);
    if (err < 0)
        onnx_reason(why, size);
    if (err < 0 && err != GB_ERR_UNSUPPORTED)
        verdict = ONNX_FAIL;
    if (!err)
        verdict = check(c, s, free_input, &arena, why, size);
    gb_session_free(s);
    gb_arena_finish(&arena);
    return verdict;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONNX_GROUP("node", run),
        ONNX_GROUP("pytorch-operator", run),
        ONNX_GROUP("pytorch-converted", run),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
