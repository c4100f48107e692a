// Takes BatchNormalizations by running statistics into the layers before them where both have
// parameters that other sessions may change: by a launch, in front of the packing of weights.
#include "engine/internal.h"
#include "engine/passes.h"
#include "op/infer.h"

#include <stdlib.h>
#include <string.h>

// As cl/batch_norm.cl reads them.
typedef struct channel {
    int32_t scale, shift, mean, var, bias; // places among the parameters; bias -1: there is none
    float epsilon;
} channel;

// Channels of the output come first in the layer's weights.
static bool takes(const gb_node *layer)
{
    const bool conv = strcmp(layer->type, "Conv") == 0;
    return conv || (strcmp(layer->type, "Gemm") == 0 && gb_attr_int(layer, "transB", 0) == 1 &&
                    gb_attr_float(layer, "alpha", 1) == 1 && gb_attr_float(layer, "beta", 1) == 1);
}

// A parameter of so many floats (0: any number) that nobody else reads.
static bool is_own(const gb_value *v, int64_t count)
{
    return v->param && v->uses == 1 && (count == 0 || gb_shape_count(&v->shape) == count);
}

bool gb_fold_norm(gb_node *layer, gb_node *norm)
{
    gb_value *bias = gb_input(layer, 2);
    if (!takes(layer) || strcmp(norm->type, "BatchNormalization") || layer->residual ||
        layer->act.on || norm->in[0] != layer->out[0] || gb_attr_int(norm, "training_mode", 0))
        return false;
    const int64_t channels = gb_shape_count(&norm->in[1]->shape);
    if (!is_own(layer->in[1], 0) || !is_own(norm->in[2], channels) ||
        (bias && !is_own(bias, channels)))
        return false;
    for (int i = 1; i < 5; i++)
        if (!norm->in[i]->param)
            return false;
    gb_value **in = gb_arena_array(&layer->graph->arena, 3, sizeof *in);
    if (!in)
        return false;
    in[0] = layer->in[0];
    in[1] = layer->in[1];
    in[2] = norm->in[2];
    layer->in = in;
    layer->n_in = 3;
    layer->norm = norm;
    norm->in[0] = bias;
    return true;
}

static int32_t place(const gb_params *p, const gb_value *v)
{
    return v ? (int32_t)p->param[v->param - 1].offset : -1;
}

// Adds a layer's channels; of[i]: the channel of parameter i, 0: none, -1: it is written by itself.
static void add(channel *list, int32_t *count, int32_t *of, const gb_params *p,
                const gb_node *layer)
{
    gb_value *const *in = layer->norm->in;
    const gb_param *w = &p->param[layer->in[1]->param - 1];
    const int32_t n = (int32_t)gb_shape_count(&in[1]->shape);
    for (int32_t c = 0; c < n; c++, ++*count) {
        list[*count] = (channel){place(p, in[1]) + c, place(p, in[2]) + c, place(p, in[3]) + c,
                                 place(p, in[4]) + c, in[0] ? place(p, in[0]) + c : -1,
                                 gb_attr_float(layer->norm, "epsilon", 1e-5f)};
        of[place(p, in[2]) + c] = -1;
        for (size_t i = 0; i < w->count / (size_t)n; i++)
            of[w->offset + (size_t)c * (w->count / (size_t)n) + i] = *count;
    }
}

gb_store *gb_record_norms(gb_emit *e, const gb_params *p, gb_store *value)
{
    size_t most = 1;
    int32_t count = 1; // channel 0 has the scale 1
    for (size_t i = 0; i < e->graph->n_node; i++)
        if (e->graph->node[i]->norm)
            most += (size_t)gb_shape_count(&e->graph->node[i]->norm->in[1]->shape);
    if (e->status || most == 1)
        return value;
    channel *list = calloc(most, sizeof *list);
    int32_t *of = calloc(p->total, sizeof *of);
    for (size_t i = 0; i < e->graph->n_node && list && of; i++)
        if (e->graph->node[i]->norm)
            add(list, &count, of, p, e->graph->node[i]);
    gb_store *channels = gb_emit_const_take(e, list, most * sizeof *list, "channels");
    gb_store *places = gb_emit_const_take(e, of, p->total * sizeof *of, "places");
    gb_store *scale = gb_emit_temp(e, most * sizeof(float), "scales");
    gb_store *folded = gb_emit_io(e, p->total * sizeof(float), "normalized parameters");

    gb_emit_launch(e, "batch_norm", "fold_channels", "%s", "");
    gb_put_store(e, value);
    gb_put_store(e, channels);
    gb_put_store(e, scale);
    gb_put_store(e, folded);
    gb_emit_size(e, most, 1, 1);

    gb_emit_launch(e, "batch_norm", "fold_weights", "%s", "");
    gb_put_store(e, value);
    gb_put_store(e, places);
    gb_put_store(e, scale);
    gb_put_store(e, folded);
    gb_put_i32(e, (int64_t)p->total);
    const int64_t piece = e->info->wide ? 1 : 2048;
    gb_put_i32(e, piece);
    gb_emit_size(e, (p->total + (size_t)piece - 1) / (size_t)piece, 1, 1);
    return folded;
}
