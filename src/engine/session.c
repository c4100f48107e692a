// Sessions: from a model to kernels with their arguments set.
#include "engine/internal.h"

#include "engine/instance.h"
#include "engine/passes.h"
#include "engine/patterns.h"
#include "op/op.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// --- the graph ---

static gb_value *channel_constant(gb_graph *g, const char *name, const float *v, int64_t channels)
{
    gb_shape shape = {.rank = 1, .dim = {channels}};
    gb_tensor *t = gb_tensor_create(&g->arena, GB_F32, &shape);
    if (!t)
        return NULL;
    memcpy(t->data, v, (size_t)channels * sizeof *v);
    return gb_graph_constant(g, name, t);
}

// Puts a node in front of every reader of the first input: afterwards they read its output.
static gb_node *insert_behind_input(gb_graph *g, const char *type, int n_in, int n_attr)
{
    gb_value *input = g->in[0], *out = gb_graph_value(g, type);
    gb_node *node = out ? gb_graph_node(g, type, "preprocess", n_in, 1, n_attr) : NULL;
    if (!node)
        return NULL;
    for (size_t i = 0; i + 1 < g->n_node; i++)
        for (int j = 0; j < g->node[i]->n_in; j++)
            if (g->node[i]->in[j] == input)
                g->node[i]->in[j] = out;
    memmove(&g->node[1], &g->node[0], (g->n_node - 1) * sizeof *g->node);
    g->node[0] = node;
    node->op = gb_op_find(type);
    node->in[0] = input;
    node->out[0] = out;
    out->producer = node;
    out->type = GB_F32;
    out->shape = input->shape;
    return node;
}

// Preprocessing is part of the graph: (pixel * range - mean) / std is a BatchNormalization with
// mean 0 and variance 1, the reversal of channels a Gather.
static int add_normalize(gb_graph *g, const gb_normalize *n)
{
    const float zeros[4] = {0}, ones[4] = {1, 1, 1, 1};
    float scale[4], shift[4];
    const gb_shape *shape = &g->in[0]->shape;
    int64_t channels = shape->rank > 1 ? shape->dim[1] : 0;
    if (channels < 1 || channels > 4)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "preprocessing is for inputs of 1 to 4 channels; '%s' has %lld",
                       g->in[0]->name, (long long)channels);
    for (int c = 0; c < 4; c++) {
        scale[c] = n->range / n->std[c];
        shift[c] = -n->mean[c] / n->std[c];
    }
    gb_node *affine = insert_behind_input(g, "BatchNormalization", 5, 1);
    if (!affine)
        return GB_ERR_NOMEM;
    affine->attr[0] = (gb_attr){.name = "epsilon", .kind = GB_ATTR_FLOAT, .f = 0};
    affine->in[1] = channel_constant(g, "normalize.scale", scale, channels);
    affine->in[2] = channel_constant(g, "normalize.shift", shift, channels);
    affine->in[3] = channel_constant(g, "normalize.mean", zeros, channels);
    affine->in[4] = channel_constant(g, "normalize.var", ones, channels);
    for (int i = 1; i < 5; i++)
        if (!affine->in[i])
            return GB_ERR_NOMEM;
    if (!n->bgr)
        return 0;
    gb_node *reverse = insert_behind_input(g, "Gather", 2, 1);
    gb_shape list = {.rank = 1, .dim = {channels}};
    gb_tensor *order = reverse ? gb_tensor_create(&g->arena, GB_I64, &list) : NULL;
    if (!order)
        return GB_ERR_NOMEM;
    for (int64_t c = 0; c < channels; c++)
        gb_tensor_set(order, c, (double)(channels - 1 - c));
    reverse->attr[0] = (gb_attr){.name = "axis", .kind = GB_ATTR_INT, .i = 1};
    reverse->in[1] = gb_graph_constant(g, "normalize.order", order);
    return reverse->in[1] ? 0 : GB_ERR_NOMEM;
}

// A loss reads [N,K]; logits of shape [N,K,1,1] or [N,1,K] are flattened.
static int flatten_logits(gb_graph *g)
{
    gb_value *logits = g->out[0];
    int64_t count = gb_shape_count(&logits->shape);
    if (logits->shape.rank == 2)
        return 0;
    if (logits->shape.rank < 2 || logits->shape.dim[0] != g->batch) {
        char text[160];
        return gb_fail(GB_ERR_UNSUPPORTED, "output '%s' of shape %s is no list of logits for each "
                       "image", logits->name, gb_shape_text(text, sizeof text, &logits->shape));
    }
    gb_value *flat = gb_graph_value(g, logits->name);
    gb_node *node = flat ? gb_graph_node(g, "Flatten", "logits", 1, 1, 0) : NULL;
    if (!node)
        return GB_ERR_NOMEM;
    node->op = gb_op_find("Flatten");
    node->in[0] = logits;
    node->out[0] = flat;
    flat->producer = node;
    flat->type = GB_F32;
    flat->shape = (gb_shape){.rank = 2, .dim = {g->batch, count / g->batch}};
    g->out[0] = flat;
    return 0;
}

static int prepare(gb_session *s, const gb_graph *model, const gb_session_options *o)
{
    int err = 0;
    bool losing = o->loss != GB_LOSS_NONE;
    GB_TRY(gb_graph_instantiate(&s->graph, model, o->batch, o->binding, o->n_binding));
    gb_graph *g = s->graph;
    if (losing && (g->n_in != 1 || g->n_out < 1)) {
        err = gb_fail(GB_ERR_UNSUPPORTED, "an attack needs a model with one input and an output of "
                      "logits; this one has %zu and %zu", g->n_in, g->n_out);
        goto fail;
    }
    if (losing || o->at_logits)
        GB_TRY(gb_pass_at_logits(g, 0));
    if (losing)
        GB_TRY(flatten_logits(g));
    if (o->normalize.on)
        GB_TRY(add_normalize(g, &o->normalize));
    GB_TRY(gb_graph_prune(g));
    if (!o->no_fusion) {
        GB_TRY(gb_pass_patterns(g));
        GB_TRY(gb_pass_fuse(g));
    }
fail:
    return err;
}

// --- recording ---

static void mark_gradients(gb_graph *g)
{
    for (size_t i = 0; i < g->n_in; i++)
        g->in[i]->needs_grad = g->in[i]->type == GB_F32;
    for (size_t i = 0; i < g->n_node; i++) {
        gb_node *node = g->node[i];
        bool needs = node->residual && node->residual->needs_grad;
        for (int j = 0; j < node->n_in; j++)
            needs = needs || (node->in[j] && node->in[j]->needs_grad);
        for (int j = 0; j < node->n_out; j++)
            if (node->out[j])
                node->out[j]->needs_grad = needs && node->out[j]->type == GB_F32;
    }
}

static void make_io(gb_emit *e, gb_io *io, const char *name, const gb_shape *shape, gb_order order)
{
    size_t bytes = (size_t)gb_shape_count(shape) * sizeof(float);
    *io = (gb_io){.name = name, .shape = *shape};
    gb_view_dense(&io->view, shape, order);
    io->view.store = gb_emit_io(e, bytes ? bytes : sizeof(float), name);
}

static int record_node(gb_emit *e, gb_node *node, bool backward)
{
    int (*record)(gb_emit *, gb_node *) = backward ? node->op->backward : node->op->forward;
    e->node = node;
    int err = record ? record(e, node) : 0;
    if (!record && !node->op->is_view)
        err = gb_fail(GB_ERR_UNSUPPORTED, backward ? "%s: gibbon has no gradient for this operator"
                                                   : "%s: needs constant inputs",
                      gb_node_text(node));
    e->node = NULL;
    return err < 0 ? err : e->status;
}

static int record_forward(gb_session *s, bool grad)
{
    gb_emit *e = &s->emit;
    gb_graph *g = s->graph;
    int err = 0;
    for (size_t i = 0; i < g->n_in; i++) {
        make_io(e, &s->in[i], g->in[i]->name, &g->in[i]->shape, GB_ORDER_CHANNELS_LAST);
        g->in[i]->view = s->in[i].view;
        if (!grad || !g->in[i]->needs_grad || e->status)
            continue;
        make_io(e, &s->grad[i], gb_arena_printf(&e->arena, "d %s", g->in[i]->name),
                &g->in[i]->shape, GB_ORDER_CHANNELS_LAST);
        g->in[i]->view.store->grad = s->grad[i].view.store;
    }
    for (size_t i = 0; i < g->n_node; i++)
        GB_TRY(record_node(e, g->node[i], false));
    for (size_t i = 0; i < g->n_out; i++) {
        make_io(e, &s->out[i], g->out[i]->name, &g->out[i]->shape, GB_ORDER_PLAIN);
        const gb_view *view = gb_emit_in(e, g->out[i], GB_ORDER_PLAIN);
        gb_emit_copy(e, &g->out[i]->shape, &s->out[i].view, view, false);
    }
    if (s->loss != GB_LOSS_NONE && !e->status) {
        size_t n = (size_t)g->batch;
        s->labels = gb_emit_io(e, n * sizeof(int32_t), "labels");
        s->losses = gb_emit_io(e, n * sizeof(float), "losses");
        gb_loss_forward(e, s->loss, g->out[0], s->labels, s->losses);
    }
    err = e->status;
fail:
    return err;
}

static int record_backward(gb_session *s, const char *seed)
{
    gb_emit *e = &s->emit;
    gb_graph *g = s->graph;
    int err = 0;
    gb_emit_begin_backward(e);
    if (s->loss != GB_LOSS_NONE) {
        gb_loss_backward(e, s->loss, g->out[0], s->labels);
    } else if (seed) {
        size_t i = 0;
        while (i < g->n_out && strcmp(g->out[i]->name, seed) != 0)
            i++;
        if (i == g->n_out) {
            err = gb_fail(GB_ERR_ARG, "the model has no output '%s'", seed);
            goto fail;
        }
        make_io(e, &s->seed, seed, &g->out[i]->shape, GB_ORDER_PLAIN);
        s->has_seed = true;
        if (!e->status && g->out[i]->needs_grad) {
            gb_target target = gb_emit_target(e, g->out[i]);
            gb_emit_copy(e, &g->out[i]->shape, &target.view, &s->seed.view, target.add);
        }
    }
    for (size_t i = g->n_node; i-- > 0 && !e->status;) {
        gb_node *node = g->node[i];
        bool reached = false;
        for (int j = 0; j < node->n_out; j++)
            reached = reached || (node->out[j] && node->out[j]->needs_grad &&
                                  gb_emit_grad_of(e, node->out[j]).store);
        if (reached)
            GB_TRY(record_node(e, node, true));
    }
    for (size_t i = 0; i < g->n_in && !e->status; i++) {
        gb_store *store = g->in[i]->view.store;
        if (store->grad && !store->grad_written)
            gb_emit_fill(e, store->grad, 0);
    }
    err = e->status;
fail:
    return err;
}

// --- kernels ---

static int make_kernel(gb_session *s, gb_launch *l)
{
    int err = 0;
    GB_TRY(gb_kernel_create(&l->ready, s->dev, l->program, l->kernel, l->options));
    for (int i = 0; i < l->n_arg; i++) {
        const gb_arg *a = &l->arg[i];
        if (a->kind == GB_ARG_STORE)
            GB_TRY(gb_kernel_arg_buf(l->ready, i, a->store ? a->store->buf : NULL));
        else if (a->kind == GB_ARG_LOCAL)
            GB_TRY(gb_kernel_arg(l->ready, i, a->local_bytes, NULL));
        else
            GB_TRY(gb_kernel_arg(l->ready, i, 4, a->kind == GB_ARG_I32 ? (const void *)&a->i
                                                                       : (const void *)&a->f));
    }
    GB_TRY(gb_kernel_size(l->ready, l->global, l->local));
fail:
    return err < 0 ? gb_fail_in(err, "%s", l->node ? gb_node_text(l->node) : l->kernel) : 0;
}

static int make_kernels(gb_session *s)
{
    gb_emit *e = &s->emit;
    int err = 0;
    for (size_t i = 0; i < e->n_launch; i++)
        GB_TRY(make_kernel(s, e->launch[i]));
    for (size_t i = 0; i < s->n_in; i++) {
        s->in[i].buf = s->in[i].view.store->buf;
        if (s->has_grad && s->grad[i].view.store)
            s->grad[i].buf = s->grad[i].view.store->buf;
    }
    for (size_t i = 0; i < s->n_out; i++)
        s->out[i].buf = s->out[i].view.store->buf;
    if (s->has_seed)
        s->seed.buf = s->seed.view.store->buf;
fail:
    return err;
}

static void count_stats(gb_session *s)
{
    gb_session_stats *t = &s->stats;
    gb_emit *e = &s->emit;
    t->launches_forward = s->n_forward;
    t->launches_backward = e->n_launch - s->n_forward;
    for (size_t i = 0; i < e->n_launch; i++)
        *(i < s->n_forward ? &t->flops_forward : &t->flops_backward) += e->launch[i]->flops;
    t->weight_bytes = s->plan.weight_bytes;
    t->io_bytes = s->plan.io_bytes;
    t->naive_bytes = s->plan.naive_bytes;
    for (int a = 0; a < s->plan.arenas; a++)
        t->arena_bytes += s->plan.arena_bytes[a];
}

int gb_session_create(gb_session **out, gb_device *dev, const gb_graph *model,
                      const gb_session_options *options)
{
    int err = 0;
    double start = now();
    bool grad = options->grad || options->seed;
    gb_session *s = calloc(1, sizeof *s);
    if (!s)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a session");
    s->dev = dev;
    s->loss = options->loss;
    s->has_grad = grad;
    GB_TRY(prepare(s, model, options));
    s->n_in = s->graph->n_in;
    s->n_out = s->graph->n_out;
    gb_arena *arena = &s->graph->arena;
    s->in = gb_arena_array(arena, s->n_in + 1, sizeof *s->in);
    s->out = gb_arena_array(arena, s->n_out + 1, sizeof *s->out);
    s->grad = gb_arena_array(arena, s->n_in + 1, sizeof *s->grad);
    if (!s->in || !s->out || !s->grad) {
        err = GB_ERR_NOMEM;
        goto fail;
    }
    if (grad)
        mark_gradients(s->graph);
    GB_TRY(gb_emit_init(&s->emit, dev, s->graph, grad));
    GB_TRY(record_forward(s, grad));
    s->n_forward = s->emit.n_launch;
    if (grad)
        GB_TRY(record_backward(s, options->seed));
    GB_TRY(gb_plan_create(&s->plan, &s->emit, options->keep_all));
    s->stats.plan_seconds = now() - start;
    GB_TRY(make_kernels(s));
    for (size_t i = 0; i < model->n_value; i++)
        if (model->value[i]->data && model->value[i]->type == GB_F32)
            s->stats.parameters += gb_shape_count(&model->value[i]->shape);
    count_stats(s);
    *out = s;
    return 0;
fail:
    gb_session_free(s);
    return err;
}

void gb_session_free(gb_session *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->emit.n_launch; i++)
        gb_kernel_free(s->emit.launch[i]->ready);
    gb_plan_finish(&s->plan, &s->emit);
    gb_emit_finish(&s->emit);
    gb_graph_free(s->graph);
    free(s->staging);
    free(s);
}

// --- running ---

static int run(gb_session *s, size_t from, size_t to)
{
    int err = 0;
    for (size_t i = from; i < to; i++)
        GB_TRY(gb_kernel_run(s->emit.launch[i]->ready));
    GB_TRY(gb_device_flush(s->dev));
fail:
    return err;
}

int gb_session_forward(gb_session *s)
{
    return run(s, 0, s->n_forward);
}

int gb_session_gradient(gb_session *s)
{
    return run(s, 0, s->emit.n_launch);
}

// Copies between a dense ONNX-order array and the io's memory order.
static void reorder(float *dst, const int64_t *dst_stride, const float *src,
                    const int64_t *src_stride, const gb_shape *shape, int dim)
{
    int64_t n = dim < shape->rank ? shape->dim[dim] : 1;
    if (dim >= shape->rank) {
        *dst = *src;
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (dim == shape->rank - 1)
            dst[i * dst_stride[dim]] = src[i * src_stride[dim]];
        else
            reorder(dst + i * dst_stride[dim], dst_stride, src + i * src_stride[dim], src_stride,
                    shape, dim + 1);
    }
}

static int staging(gb_session *s, const gb_io *io, gb_view *plain, size_t *bytes)
{
    *bytes = (size_t)gb_shape_count(&io->shape) * sizeof(float);
    gb_view_dense(plain, &io->shape, GB_ORDER_PLAIN);
    void *room = realloc(s->staging, *bytes ? *bytes : 1);
    if (!room)
        return gb_fail(GB_ERR_NOMEM, "out of memory to move '%s'", io->name);
    s->staging = room;
    return 0;
}

int gb_session_upload(gb_session *s, const gb_io *io, const float *data)
{
    gb_view plain;
    size_t bytes;
    int err = staging(s, io, &plain, &bytes);
    if (err < 0 || !bytes)
        return err;
    reorder(s->staging, io->view.stride, data, plain.stride, &io->shape, 0);
    return gb_buf_write(io->buf, 0, s->staging, bytes);
}

int gb_session_download(gb_session *s, const gb_io *io, float *data)
{
    gb_view plain;
    size_t bytes;
    int err = staging(s, io, &plain, &bytes);
    if (err < 0 || !bytes)
        return err;
    err = gb_buf_read(io->buf, 0, s->staging, bytes);
    if (err == 0)
        reorder(data, plain.stride, s->staging, io->view.stride, &io->shape, 0);
    return err;
}

// --- what a caller can ask for ---

size_t gb_session_inputs(const gb_session *s)
{
    return s->n_in;
}

size_t gb_session_outputs(const gb_session *s)
{
    return s->n_out;
}

const gb_io *gb_session_input(const gb_session *s, size_t i)
{
    return i < s->n_in ? &s->in[i] : NULL;
}

const gb_io *gb_session_output(const gb_session *s, size_t i)
{
    return i < s->n_out ? &s->out[i] : NULL;
}

const gb_io *gb_session_grad(const gb_session *s, size_t i)
{
    return s->has_grad && i < s->n_in && s->grad[i].buf ? &s->grad[i] : NULL;
}

const gb_io *gb_session_seed(const gb_session *s)
{
    return s->has_seed ? &s->seed : NULL;
}

gb_buf *gb_session_labels(const gb_session *s)
{
    return s->labels ? s->labels->buf : NULL;
}

gb_buf *gb_session_losses(const gb_session *s)
{
    return s->losses ? s->losses->buf : NULL;
}

gb_device *gb_session_device(const gb_session *s)
{
    return s->dev;
}

int64_t gb_session_batch(const gb_session *s)
{
    return s->graph->batch;
}

const gb_session_stats *gb_session_get_stats(const gb_session *s)
{
    return &s->stats;
}

const gb_graph *gb_session_graph(const gb_session *s)
{
    return s->graph;
}
