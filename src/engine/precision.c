// Lets products be computed with rounded factors, once a small one has come out right.
#include "base/name.h"
#include "base/rng.h"
#include "engine/session.h"
#include "op/choice.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 48, TERMS = 72, COLUMNS = 40 }; // no multiples of a tile; several steps of an mma

typedef struct probe {
    float x[ROWS * TERMS], w[TERMS * COLUMNS], y[ROWS * COLUMNS];
} probe;

static void fill(float *v, size_t count, uint32_t stream)
{
    for (size_t i = 0; i < count; i++) {
        gb_philox r = gb_philox4x32((gb_philox){{(uint32_t)i, stream, 0, 0}}, 3, 4);
        v[i] = 2 * gb_uniform(r.v[0]) - 1;
    }
}

// y = x w as a model.
static int make_graph(gb_graph **out, const float *w)
{
    gb_graph *g = gb_graph_create();
    gb_value *x = g ? gb_graph_value(g, "x") : NULL, *y = g ? gb_graph_value(g, "y") : NULL;
    gb_node *node = g ? gb_graph_node(g, "MatMul", "probe", 2, 1, 0) : NULL;
    gb_tensor *t = g ? gb_tensor_create(&g->arena, GB_F32, &(gb_shape){2, {TERMS, COLUMNS}}) : NULL;
    int err = GB_ERR_NOMEM;
    *out = g;
    if (!x || !y || !node || !t)
        return gb_fail(err, "out of memory");
    g->opset = 13;
    memcpy(t->data, w, TERMS * COLUMNS * sizeof *w);
    x->type = GB_F32;
    x->shape = (gb_shape){2, {ROWS, TERMS}};
    node->opset = g->opset;
    node->in[0] = x;
    node->in[1] = gb_graph_constant(g, "w", t);
    node->out[0] = y;
    if (!node->in[1])
        return gb_fail(err, "out of memory");
    GB_TRY(gb_graph_add_input(g, x));
    GB_TRY(gb_graph_add_output(g, y));
    GB_TRY(gb_graph_sort(g));
    GB_TRY(gb_graph_prune(g));
fail:
    return err;
}

// The largest error of what sums in float32 allow, each addition cutting off what exceeds 24 bits:
// the factors are rounded here as there.
static double worst(const probe *p, gb_precision precision)
{
    double most = 0;
    for (int m = 0; m < ROWS; m++) {
        for (int n = 0; n < COLUMNS; n++) {
            double sum = 0, size = 0;
            for (int k = 0; k < TERMS; k++) {
                double term = (double)gb_precision_round(precision, p->x[m * TERMS + k]) *
                              gb_precision_round(precision, p->w[k * COLUMNS + n]);
                sum += term;
                size += fabs(term);
            }
            double error = fabs(p->y[m * COLUMNS + n] - sum) / (TERMS * FLT_EPSILON * size);
            most = error <= most ? most : isfinite(error) ? error : INFINITY;
        }
    }
    return most;
}

static int try_product(gb_device *dev, gb_precision precision)
{
    const gb_choices none = {0};
    const gb_session_options options = {.choices = &none};
    gb_graph *graph = NULL;
    gb_session *s = NULL;
    probe *p = calloc(1, sizeof *p);
    int err = 0;
    if (!p)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    fill(p->x, GB_COUNT(p->x), 0);
    fill(p->w, GB_COUNT(p->w), 1);
    GB_TRY(make_graph(&graph, p->w));
    GB_TRY(gb_session_create(&s, dev, graph, &options));
    GB_TRY(gb_session_upload(s, gb_session_input(s, 0), p->x));
    GB_TRY(gb_session_forward(s));
    GB_TRY(gb_session_download(s, gb_session_output(s, 0), p->y));
    if (worst(p, precision) > 1)
        err = gb_fail(GB_ERR_NUMERIC, "a small product is off by %.2g times what rounding allows",
                      worst(p, precision));
fail:
    gb_session_free(s);
    gb_graph_free(graph);
    free(p);
    return err;
}

int gb_device_set_precision(gb_device *dev, const char *name)
{
    if (!dev || !name)
        return gb_fail(GB_ERR_ARG, "gb_device_set_precision: an argument is NULL");
    int precision = gb_name_among("precision", name, gb_precision_names);
    int err = precision < 0 ? precision : gb_device_allow_precision(dev, (gb_precision)precision);
    if (err < 0 || precision == GB_FLOAT32)
        return err;
    err = try_product(dev, (gb_precision)precision);
    if (err < 0) {
        gb_device_allow_precision(dev, GB_FLOAT32);
        gb_fail_in(err, "%s: precision %s does not work here (use float32, the default, or another "
                   "driver)", gb_device_get_info(dev)->name, gb_precision_names[precision]);
    }
    return err;
}
