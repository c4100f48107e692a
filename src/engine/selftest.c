// Runs the cases: the device's outputs and vector-Jacobian products against the host reference.
#include "engine/selftest.h"

#include "base/rng.h"
#include "engine/session.h"
#include "op/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Gradients of small inputs are checked one by one. Of large ones, this many elements are, and the
// directional derivative along DIRECTIONS random vectors of signs, which no element escapes.
enum { ALL_ELEMENTS = 80, SOME_ELEMENTS = 40, DIRECTIONS = 3 };
static const double step = 1e-5; // the reference computes in double; its kinks are farther away

// The reference's values of every value of the graph, in double.
typedef struct reference {
    const gb_graph *graph;
    gb_arena arena;
    gb_tensor **value; // [value id]
    gb_tensor *seed;   // dL/d(the output under test)
    size_t output;
    double slack;      // what a lower precision adds to the tolerances
} reference;

static size_t count_nodes(const gb_graph *g, const char *const *types)
{
    size_t count = 0;
    for (size_t i = 0; i < g->n_node; i++)
        for (const char *const *type = types; *type; type++)
            count += !strcmp(g->node[i]->type, *type);
    return count;
}

// What a lower precision of products adds to the tolerances: each of their terms is off by two
// units at most, and as much again is left for the few that a small sum has of its largest terms.
static double slack_of(const gb_graph *g, gb_precision precision)
{
    static const char *const products[] = {"Conv", "ConvTranspose", "Gemm", "MatMul", NULL};
    return precision ? 4 * gb_precision_unit(precision) * (double)count_nodes(g, products) : 0;
}

// Whether no derivative is taken at a point that rounding has moved: how far that takes it depends
// on the function and the size of the sums, not on the rounding alone.
static bool is_linear(const gb_graph *g)
{
    static const char *const bent[] = {
        "Relu", "LeakyRelu", "PRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "Gelu", "Swish",
        "Mish", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus", "Softsign", "Clip",
        "Abs", "Erf", "Exp", "Log", "Sqrt", "Pow", "Div", "Max", "Min", "MaxPool", "Softmax",
        "LogSoftmax", "LayerNormalization", "InstanceNormalization", "GroupNormalization", "LRN",
        NULL
    };
    return count_nodes(g, bent) == 0;
}

static int reference_init(reference *r, const gb_graph *graph, gb_precision precision)
{
    *r = (reference){.graph = graph, .slack = slack_of(graph, precision)};
    r->value = gb_arena_array(&r->arena, graph->n_value, sizeof *r->value);
    if (!r->value)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < graph->n_value; i++) {
        const gb_value *v = graph->value[i];
        gb_dtype type = v->type == GB_F32 ? GB_F64 : v->type;
        r->value[i] = gb_tensor_create(&r->arena, type, &v->shape);
        if (!r->value[i])
            return GB_ERR_NOMEM;
        if (v->data)
            for (int64_t k = 0; k < gb_shape_count(&v->shape); k++)
                gb_tensor_set(r->value[i], k, gb_tensor_get(v->data, k));
    }
    for (size_t i = 0; i < graph->n_in; i++)
        gb_case_fill(r->value[graph->in[i]->id], graph, i);
    return 0;
}

static int reference_run(const reference *r)
{
    for (size_t i = 0; i < r->graph->n_node; i++) {
        const gb_node *node = r->graph->node[i];
        const gb_tensor *in[16] = {0};
        gb_tensor *out[16] = {0};
        for (int k = 0; k < node->n_in && k < 16; k++)
            in[k] = node->in[k] ? r->value[node->in[k]->id] : NULL;
        for (int k = 0; k < node->n_out && k < 16; k++)
            out[k] = node->out[k] ? r->value[node->out[k]->id] : NULL;
        int err = node->op->eval(node, in, out);
        if (err < 0)
            return err;
    }
    return 0;
}

static const gb_tensor *reference_output(const reference *r, size_t i)
{
    return r->value[r->graph->out[i]->id];
}

static double dot(const gb_tensor *a, const gb_tensor *b)
{
    double sum = 0;
    for (int64_t i = 0; i < gb_shape_count(&a->shape); i++)
        sum += gb_tensor_get(a, i) * gb_tensor_get(b, i);
    return sum;
}

// The derivative of <seed, output> along `direction`, or along element `one` where that is NULL.
static int derivative(double *out, const reference *r, gb_tensor *x, const signed char *direction,
                      int64_t one)
{
    const int64_t first = direction ? 0 : one;
    const int64_t end = direction ? gb_shape_count(&x->shape) : one + 1;
    double *v = x->data, loss[2];
    double *before = malloc((size_t)(end - first) * sizeof *before);
    int err = 0;
    if (!before)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a self-test");
    memcpy(before, v + first, (size_t)(end - first) * sizeof *before);
    for (int side = 0; side < 2; side++) {
        for (int64_t i = first; i < end; i++)
            v[i] = before[i - first] + (side ? step : -step) * (direction ? direction[i] : 1);
        GB_TRY(reference_run(r));
        loss[side] = dot(r->seed, reference_output(r, r->output));
    }
    *out = (loss[1] - loss[0]) / (2 * step);
fail:
    memcpy(v + first, before, (size_t)(end - first) * sizeof *before);
    free(before);
    return err;
}

static int differs(const char *what, const gb_shape *shape, int64_t i, double got, double want)
{
    char at[96] = "";
    int64_t index[GB_MAX_RANK] = {0}, rest = i;
    for (int d = shape->rank - 1; d >= 0; d--) {
        index[d] = rest % shape->dim[d];
        rest /= shape->dim[d];
    }
    for (int d = 0; d < shape->rank; d++)
        snprintf(at + strlen(at), sizeof at - strlen(at), "%s%lld", d ? "," : "",
                 (long long)index[d]);
    return gb_fail(GB_ERR_NUMERIC, "%s[%s] is %.8g, not %.8g", what, at, got, want);
}

// A NaN equals a NaN only, an infinity itself.
static bool close_to(double got, double want, double tolerance)
{
    if (isnan(want) || isinf(want))
        return isnan(want) ? isnan(got) : got == want;
    return fabs(got - want) <= tolerance;
}

static int compare_output(const float *got, const gb_tensor *want, const char *name,
                          double slack)
{
    char what[80];
    double largest = 1e-3;
    const int64_t n = gb_shape_count(&want->shape);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(gb_tensor_get(want, i)))
            largest = fmax(largest, fabs(gb_tensor_get(want, i)));
    snprintf(what, sizeof what, "output %s", name);
    for (int64_t i = 0; i < n; i++)
        if (!close_to(got[i], gb_tensor_get(want, i),
                      (GB_CASE_FORWARD_TOLERANCE + slack) * largest))
            return differs(what, &want->shape, i, got[i], gb_tensor_get(want, i));
    return 0;
}

// The gradient of <seed, output> by one value.
static int compare_gradient(const reference *r, const gb_value *value, const float *got)
{
    gb_tensor *x = r->value[value->id];
    const int64_t n = gb_shape_count(&x->shape), each = n <= ALL_ELEMENTS ? n : SOME_ELEMENTS;
    const double tolerance = GB_CASE_GRADIENT_TOLERANCE + r->slack;
    double largest = 1e-3, want[ALL_ELEMENTS];
    int64_t at[ALL_ELEMENTS];
    char what[80];
    int err = 0;
    signed char *direction = malloc((size_t)n + 1);
    if (!direction)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a self-test");
    snprintf(what, sizeof what, "gradient of %s", value->name);
    for (int64_t i = 0; i < n; i++)
        if (isfinite(got[i]))
            largest = fmax(largest, fabs(got[i]));
    for (int64_t i = 0; i < each; i++) {
        gb_philox random = gb_philox4x32((gb_philox){{(uint32_t)i, 0, 1, 0}}, 3, 5);
        at[i] = each == n ? i : random.v[0] % n;
        GB_TRY(derivative(&want[i], r, x, NULL, at[i]));
    }
    // The device's largest value must not widen its own tolerance by much.
    double honest = 1e-3;
    for (int64_t i = 0; i < each; i++)
        honest = fmax(honest, fabs(want[i]));
    largest = fmin(largest, 10 * honest);
    for (int64_t i = 0; i < each; i++) {
        if (!close_to(got[at[i]], want[i], tolerance * largest)) {
            err = differs(what, &x->shape, at[i], got[at[i]], want[i]);
            goto fail;
        }
    }
    for (int d = 0; each < n && d < DIRECTIONS; d++) {
        double sum = 0, along = 0, magnitude = 0;
        for (int64_t i = 0; i < n; i++) {
            gb_philox random = gb_philox4x32((gb_philox){{(uint32_t)i, 0, 2, (uint32_t)d}}, 3, 5);
            direction[i] = random.v[0] & 1 ? 1 : -1;
            sum += direction[i] * (double)got[i];
            magnitude += (double)got[i] * got[i];
        }
        GB_TRY(derivative(&along, r, x, direction, 0));
        magnitude = fmax(1e-3, fmin(sqrt(magnitude), honest * sqrt((double)n)));
        if (!close_to(sum, along, tolerance * magnitude)) {
            err = gb_fail(GB_ERR_NUMERIC, "%s along direction %d is %.8g, not %.8g", what, d, sum,
                          along);
            goto fail;
        }
    }
fail:
    free(direction);
    return err;
}

static int upload(gb_session *s, const gb_io *io, const gb_tensor *t, float *host)
{
    for (int64_t i = 0; i < gb_shape_count(&t->shape); i++)
        host[i] = (float)gb_tensor_get(t, i);
    return gb_session_upload(s, io, host);
}

static int make_seed(reference *r, size_t output)
{
    const gb_tensor *y = reference_output(r, output);
    r->output = output;
    r->seed = gb_tensor_create(&r->arena, GB_F64, &y->shape);
    if (!r->seed)
        return GB_ERR_NOMEM;
    for (int64_t i = 0; i < gb_shape_count(&y->shape); i++) {
        gb_philox random = gb_philox4x32((gb_philox){{(uint32_t)i, 0, 3, 0}}, 3, 5);
        gb_tensor_set(r->seed, i, 2 * gb_uniform(random.v[0]) - 1);
    }
    return 0;
}

static int compare_parameters(const reference *r, const gb_session *s, const gb_params *params)
{
    float *got = malloc(params->trainable * sizeof *got);
    int err = 0;
    if (!got)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a self-test");
    GB_TRY(gb_buf_read(gb_session_param_grad(s), 0, got, params->trainable * sizeof *got));
    for (size_t i = 0; i < r->graph->n_value; i++) {
        const gb_param *p = params->of_value[i] ? &params->param[params->of_value[i] - 1] : NULL;
        if (!p || !p->trainable)
            continue;
        GB_TRY(compare_gradient(r, r->graph->value[i], got + p->offset));
        GB_TRY(reference_run(r)); // differences have left their last point behind
    }
fail:
    free(got);
    return err;
}

// One session: forward alone (output < 0), or the gradient of that output too.
static int run_session(gb_device *dev, reference *r, int output, const gb_params *params,
                       bool train, float *host)
{
    const gb_graph *g = r->graph;
    gb_session *s = NULL;
    int err = 0;
    const gb_session_options options = {.grad = output >= 0, .params = params, .train = train,
                                        .seed = output >= 0 ? g->out[output]->name : NULL};
    GB_TRY(gb_session_create(&s, dev, g, &options));
    if (gb_session_inputs(s) != g->n_in || gb_session_outputs(s) != g->n_out) {
        err = gb_fail(GB_ERR_ARG, "the session has %zu inputs and %zu outputs, not %zu and %zu",
                      gb_session_inputs(s), gb_session_outputs(s), g->n_in, g->n_out);
        goto fail;
    }
    for (size_t i = 0; i < g->n_in; i++)
        GB_TRY(upload(s, gb_session_input(s, i), r->value[g->in[i]->id], host));
    if (output >= 0) {
        GB_TRY(make_seed(r, (size_t)output));
        GB_TRY(upload(s, gb_session_seed(s), r->seed, host));
    }
    GB_TRY(output >= 0 ? gb_session_gradient(s) : gb_session_forward(s));
    for (size_t i = 0; i < g->n_out; i++) {
        GB_TRY(gb_session_download(s, gb_session_output(s, i), host));
        GB_TRY(compare_output(host, reference_output(r, i), g->out[i]->name, r->slack));
    }
    for (size_t i = 0; output >= 0 && !train && i < g->n_in; i++) {
        GB_TRY(gb_session_download(s, gb_session_grad(s, i), host));
        GB_TRY(compare_gradient(r, g->in[i], host));
        GB_TRY(reference_run(r));
    }
    if (output >= 0 && train)
        GB_TRY(compare_parameters(r, s, params));
fail:
    gb_session_free(s);
    return err;
}

// In training a BatchNormalization with running statistics computes something else than the
// reference; cases of their own have it in training mode.
static bool can_train(const gb_graph *g)
{
    for (size_t i = 0; i < g->n_node; i++)
        if (strcmp(g->node[i]->type, "BatchNormalization") == 0)
            return false;
    return true;
}

int gb_case_run(gb_device *dev, const gb_case *c, gb_case_form form)
{
    gb_graph *g = NULL;
    reference r = {0};
    gb_params *params = NULL;
    float *host = NULL;
    char text[200];
    int err = 0;
    size_t most = 1;
    GB_TRY(gb_case_graph(&g, c, form));
    GB_TRY(reference_init(&r, g, gb_device_get_info(dev)->precision));
    GB_TRY(reference_run(&r));
    for (size_t i = 0; i < g->n_value; i++) {
        size_t n = (size_t)gb_shape_count(&g->value[i]->shape);
        most = n > most ? n : most;
    }
    host = malloc(most * sizeof *host);
    if (!host) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a self-test");
        goto fail;
    }
    if (form == GB_CASE_PARAMETERS)
        GB_TRY(gb_params_create(&params, dev, g));
    const bool gradient = !c->forward_only && (r.slack == 0 || is_linear(g));
    // A session without gradients records other kernels (no masks, nothing kept).
    if (form == GB_CASE_PLAIN || !gradient)
        GB_TRY(run_session(dev, &r, -1, params, false, host));
    for (size_t i = 0; gradient && i < g->n_out; i++)
        GB_TRY(run_session(dev, &r, (int)i, params, false, host));
    for (size_t i = 0; gradient && params && can_train(g) && i < g->n_out; i++)
        GB_TRY(run_session(dev, &r, (int)i, params, true, host));
fail:
    if (err < 0)
        gb_fail_in(err, "%s (%s)", gb_case_text(text, sizeof text, c), gb_case_form_name[form]);
    free(host);
    gb_params_free(params);
    gb_arena_finish(&r.arena);
    gb_graph_free(g);
    return err;
}

int gb_selftest(gb_selftest_totals *totals, gb_device *dev, const char *only,
                gb_selftest_done *done, void *user)
{
    *totals = (gb_selftest_totals){0};
    for (size_t i = 0; i < gb_case_count; i++) {
        const gb_case *c = &gb_cases[i];
        if (only && strcmp(only, c->op))
            continue;
        for (gb_case_form form = 0; form < GB_CASE_FORMS; form++) {
            if (!gb_case_has_form(c, form))
                continue;
            int status = gb_case_run(dev, c, form);
            totals->run++;
            totals->failed += status < 0;
            if (done && !done(user, c, form, status))
                return gb_fail(GB_ERR_CANCELLED, "the self-test was stopped");
        }
    }
    if (!totals->run)
        return gb_fail(GB_ERR_ARG, "no case tests the operator '%s'", only ? only : "");
    return totals->failed ? gb_fail(GB_ERR_NUMERIC, "%zu of %zu cases failed", totals->failed,
                                    totals->run)
                          : 0;
}
