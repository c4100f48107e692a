// Fusions as passes over the graph, not as flags in operators.
#include "engine/passes.h"

#include "op/infer.h"
#include "op/norm.h"
#include "op/pack.h"
#include "op/record.h"
#include "op/unary.h"

#include <math.h>
#include <string.h>

static bool is(const gb_node *node, const char *type)
{
    return node && strcmp(node->type, type) == 0;
}

// Node n computes what `value` was; n's own output disappears.
static void take_output(gb_node *n, gb_node *from)
{
    gb_value *value = from->out[0];
    n->out[0] = value;
    value->producer = n;
    from->n_out = 0; // swept by remove_dead
}

static void remove_dead(gb_graph *g)
{
    size_t kept = 0;
    for (size_t i = 0; i < g->n_node; i++)
        if (g->node[i]->n_out > 0)
            g->node[kept++] = g->node[i];
    g->n_node = kept;
}

// --- folding a per-channel scale and shift into the layer before it ---

// The constant read as [channels] floats along `axis` of `shape`, if it varies along nothing else.
static bool per_channel(float *out, const gb_value *v, const gb_shape *shape, int axis)
{
    if (!v->data || v->shape.rank > shape->rank || v->type != GB_F32)
        return false;
    int64_t count = gb_shape_count(&v->shape), channels = shape->dim[axis];
    int at = axis - (shape->rank - v->shape.rank);
    if (count != 1 && (at < 0 || v->shape.dim[at] != count || count != channels))
        return false;
    for (int64_t c = 0; c < channels; c++)
        out[c] = (float)gb_tensor_get(v->data, count == 1 ? 0 : c);
    return true;
}

// The node computes x * scale + shift per channel; false if it is no such thing. axis: of x's
// channels.
static bool as_affine(const gb_node *node, const gb_value *x, int axis, float *scale, float *shift)
{
    const gb_shape *shape = &node->out[0]->shape;
    bool first = node->in[0] == x;
    int64_t channels = shape->dim[axis];
    if (is(node, "BatchNormalization") && axis == 1 && first && !gb_batch_norm_is_live(node)) {
        const gb_value *const *p = (const gb_value *const *)node->in + 1; // scale, B, mean, var
        double eps = gb_attr_float(node, "epsilon", 1e-5f);
        for (int64_t c = 0; c < channels; c++) {
            double s = gb_tensor_get(p[0]->data, c) / sqrt(gb_tensor_get(p[3]->data, c) + eps);
            scale[c] = (float)s;
            shift[c] = (float)(gb_tensor_get(p[1]->data, c) - gb_tensor_get(p[2]->data, c) * s);
        }
        return true;
    }
    bool mul = is(node, "Mul") || is(node, "Div"), add = is(node, "Add") || is(node, "Sub");
    if ((!mul && !add) || (!first && (is(node, "Div") || is(node, "Sub"))) ||
        !gb_shape_equal(&x->shape, shape) ||
        !per_channel(mul ? scale : shift, node->in[first], shape, axis))
        return false;
    for (int64_t c = 0; c < channels; c++) {
        if (is(node, "Div"))
            scale[c] = 1 / scale[c];
        if (is(node, "Sub"))
            shift[c] = -shift[c];
        *(mul ? &shift[c] : &scale[c]) = mul ? 0 : 1;
    }
    return true;
}

int gb_layer_axis(const gb_node *node)
{
    if (is(node, "BatchNormalization") && gb_batch_norm_is_live(node))
        return 1;
    if (!node || node->n_in < 2 || !node->in[1] || node->in[0]->data)
        return -1;
    if (is(node, "Conv"))
        return 1;
    if (!gb_is_weight(node->in[1]))
        return -1;
    if (is(node, "Gemm"))
        return gb_gemm_is_layer(node) ? 1 : -1;
    if (is(node, "MatMul") && node->in[1]->shape.rank == 2 && node->in[0]->shape.rank >= 2)
        return node->out[0]->shape.rank - 1;
    return -1;
}

static bool is_constant(const gb_node *layer)
{
    const gb_value *bias = gb_input(layer, 2);
    return layer->in[1]->data && (!bias || bias->data);
}

// w and bias of the layer become scale * w and scale * bias + shift.
static int fold_affine(gb_node *layer, int axis, const float *scale, const float *shift)
{
    gb_graph *g = layer->graph;
    gb_value *w = layer->in[1], *old_bias = gb_input(layer, 2);
    int64_t channels = layer->out[0]->shape.dim[axis], count = gb_shape_count(&w->shape);
    gb_shape bias_shape = {.rank = 1, .dim = {channels}};
    gb_tensor *weights = gb_tensor_create(&g->arena, GB_F32, &w->shape);
    gb_tensor *bias = gb_tensor_create(&g->arena, GB_F32, &bias_shape);
    if (!weights || !bias)
        return GB_ERR_NOMEM;
    bool columns = is(layer, "MatMul") || (is(layer, "Gemm") && !gb_attr_int(layer, "transB", 0));
    const float *from = w->data->data;
    float *to = weights->data, *b = bias->data;
    for (int64_t i = 0; i < count; i++)
        to[i] = from[i] * scale[columns ? i % channels : i / (count / channels)];
    int64_t old_count = old_bias ? gb_shape_count(&old_bias->shape) : 1;
    for (int64_t c = 0; c < channels; c++) {
        double v = old_bias ? gb_tensor_get(old_bias->data, old_count == 1 ? 0 : c) : 0;
        b[c] = (float)(v * scale[c] + shift[c]);
    }
    gb_value *new_w = gb_graph_constant(g, w->name, weights);
    gb_value *new_bias = gb_graph_constant(g, old_bias ? old_bias->name : "bias", bias);
    gb_value **in = gb_arena_array(&g->arena, 3, sizeof *in);
    if (!new_w || !new_bias || !in)
        return GB_ERR_NOMEM;
    in[0] = layer->in[0];
    in[1] = new_w;
    in[2] = new_bias;
    layer->in = in;
    layer->n_in = 3;
    return 0;
}

static bool bias_is_simple(const gb_node *layer, int axis)
{
    const gb_value *bias = gb_input(layer, 2);
    int64_t channels = layer->out[0]->shape.dim[axis];
    if (is(layer, "BatchNormalization"))
        return false;
    if (is(layer, "Gemm") && (gb_attr_float(layer, "beta", 1) != 1 ||
                              gb_attr_float(layer, "alpha", 1) != 1))
        return false;
    return !bias || gb_shape_count(&bias->shape) == 1 ||
           (gb_shape_count(&bias->shape) == channels &&
            bias->shape.dim[bias->shape.rank - 1] == channels);
}

// --- what may follow ---

// A graph whose nodes are being fused. Those that are gone keep their places until the end.
typedef struct fusing {
    gb_graph *g;
    gb_readers readers; // as they were before
} fusing;

static int fusing_begin(fusing *f, gb_graph *g)
{
    f->g = g;
    for (size_t i = 0; i < g->n_node; i++)
        g->node[i]->place = i;
    return gb_graph_readers(&f->readers, g);
}

static void fusing_end(fusing *f)
{
    remove_dead(f->g);
    gb_readers_free(&f->readers);
}

gb_node *gb_only_reader(const gb_readers *readers, const gb_value *value)
{
    if (value->uses != 1)
        return NULL;
    for (size_t i = readers->first[value->id]; i < readers->first[value->id + 1]; i++) {
        gb_node *node = readers->node[i];
        for (int k = 0; k < node->n_in && node->n_out > 0; k++)
            if (node->in[k] == value)
                return node;
    }
    return NULL;
}

static bool fuse_residual(gb_graph *g, gb_node *layer, gb_node *add)
{
    gb_value *y = layer->out[0];
    if (!is(add, "Add") || layer->residual || layer->act.on)
        return false;
    // A Gemm's C that differs from row to row is added as the residual is (op/dense_record.c).
    const gb_value *c = is(layer, "Gemm") ? gb_input(layer, 2) : NULL;
    if (c && c->shape.rank == 2 && c->shape.dim[0] > 1)
        return false;
    gb_value *other = add->in[0] == y ? add->in[1] : add->in[0];
    if (other == y || other->data || !gb_shape_equal(&other->shape, &y->shape) ||
        !gb_shape_equal(&other->shape, &add->out[0]->shape))
        return false;
    layer->residual = other;
    take_output(layer, add);
    // The sum runs where the addition stood if the other operand is later than the layer.
    if (other->producer && other->producer->place > layer->place) {
        const size_t here = layer->place;
        layer->place = add->place;
        add->place = here;
        g->node[layer->place] = layer;
        g->node[here] = add;
    }
    return true;
}

// An activation whose derivative is no single bit, behind a layer with an epilogue.
static bool read_smooth(const gb_node *layer, const gb_node *next, gb_act *act)
{
    gb_unary u;
    if (is(layer, "BatchNormalization") || gb_unary_read(next, &u) < 0 ||
        !gb_unary_is_smooth(u.kind))
        return false;
    *act = (gb_act){.on = true, .lo = u.a, .hi = u.b, .smooth = 1 + (int)u.kind};
    return true;
}

static bool fuse_activation(gb_node *layer, gb_node *next)
{
    gb_act act = {.on = true, .hi = INFINITY};
    if (layer->act.on)
        return false;
    if (is(next, "LeakyRelu"))
        act.slope = gb_attr_float(next, "alpha", 0.01f);
    else if (is(next, "Clip")) {
        gb_unary clip;
        if (gb_unary_read(next, &clip) < 0 || !(clip.a <= clip.b))
            return false;
        act.lo = clip.a;
        act.hi = clip.b;
    } else if (!is(next, "Relu") && !read_smooth(layer, next, &act))
        return false;
    layer->act = act;
    take_output(layer, next);
    return true;
}

// BatchNormalizations that have no layer before them to go into take at least the activation.
static void fuse_norms(fusing *f)
{
    gb_graph *g = f->g;
    for (size_t i = 0; i < g->n_node; i++) {
        gb_node *norm = g->node[i];
        bool fixed = norm->n_out > 0 && is(norm, "BatchNormalization") && norm->n_in == 5 &&
                     !norm->in[0]->data && (norm->n_out == 1 || !norm->out[1]);
        for (int k = 1; fixed && k < 5; k++)
            fixed = norm->in[k] && norm->in[k]->data;
        gb_node *next = fixed ? gb_only_reader(&f->readers, norm->out[0]) : NULL;
        if (next && next->n_out == 1)
            fuse_activation(norm, next);
    }
}

// A layer takes what follows it, as long as it can.
static int fuse_layer(fusing *f, gb_node *layer, int axis)
{
    gb_graph *g = f->g;
    const int64_t channels = layer->out[0]->shape.dim[axis];
    int err = 0;
    float *scale = gb_arena_array(&g->arena, (size_t)channels * 2, sizeof *scale);
    if (!scale)
        return GB_ERR_NOMEM;
    for (;;) {
        gb_node *next = gb_only_reader(&f->readers, layer->out[0]);
        if (!next || next->n_out != 1)
            break;
        if (!layer->residual && !layer->act.on && is_constant(layer) &&
            bias_is_simple(layer, axis) &&
            as_affine(next, layer->out[0], axis, scale, scale + channels)) {
            GB_TRY(fold_affine(layer, axis, scale, scale + channels));
            take_output(layer, next);
        } else if (gb_fold_norm(layer, next)) {
            take_output(layer, next);
        } else if (!fuse_residual(g, layer, next) && !fuse_activation(layer, next)) {
            break;
        }
    }
fail:
    return err;
}

int gb_pass_fuse(gb_graph *g)
{
    fusing f = {0};
    int err = 0;
    GB_TRY(fusing_begin(&f, g));
    for (size_t i = 0; i < g->n_node; i++) {
        gb_node *layer = g->node[i];
        int axis = layer->n_out > 0 ? gb_layer_axis(layer) : -1;
        if (axis >= 0)
            GB_TRY(fuse_layer(&f, layer, axis));
    }
    fuse_norms(&f);
    fusing_end(&f);
    GB_TRY(gb_graph_prune(g));
fail:
    gb_readers_free(&f.readers);
    return err;
}
