// Records a session's schedule: forward, losses, and backward to the inputs.
#include "engine/internal.h"
#include "op/norm.h"
#include "op/op.h"
#include "op/pack.h"
#include "op/place.h"

#include <string.h>

void gb_mark_gradients(gb_graph *g, const gb_params *params)
{
    for (size_t i = 0; i < g->n_in && !params; i++)
        g->in[i]->needs_grad = g->in[i]->type == GB_F32;
    for (size_t i = 0; i < g->n_value && params; i++) {
        int k = g->value[i]->param;
        g->value[i]->needs_grad = k && params->param[k - 1].trainable;
    }
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

// What the loss reads and writes, a buffer each.
static void make_loss(gb_session *s)
{
    gb_emit *e = &s->emit;
    gb_loss_spec *l = &s->loss;
    size_t n = (size_t)s->graph->batch;
    if (l->kind == GB_LOSS_NONE || e->status)
        return;
    l->losses = gb_emit_io(e, n * sizeof(float), "losses");
    l->weights = gb_emit_io(e, n * sizeof(float), "weights");
    if (l->kind != GB_LOSS_KL)
        l->labels = gb_emit_io(e, n * sizeof(int32_t), "labels");
    if (l->kind == GB_LOSS_PAIR)
        l->seconds = gb_emit_io(e, n * sizeof(int32_t), "second labels");
    if (l->kind == GB_LOSS_KL)
        l->targets = gb_emit_io(e, (size_t)gb_shape_count(&s->graph->out[0]->shape) * sizeof(float),
                                "targets");
}

// The statistics that a BatchNormalization makes from those among the parameters.
static void place_state(gb_session *s, gb_node *node)
{
    bool live = strcmp(node->type, "BatchNormalization") == 0 && gb_batch_norm_is_live(node);
    for (int i = 1; live && i < 3 && i < node->n_out; i++) {
        int k = node->in[i + 2]->param;
        if (!k || !node->out[i] || s->params->param[k - 1].trainable || s->new_state[k - 1])
            continue;
        s->new_state[k - 1] = true;
        node->out[i]->view = (gb_view){
            .store = s->state, .stride = {1},
            .offset = (int64_t)(s->params->param[k - 1].offset - s->params->trainable)};
    }
}

// Places the parameters; packing them comes first.
static void record_params(gb_session *s)
{
    gb_emit *e = &s->emit;
    const gb_params *p = s->params;
    e->params = gb_emit_extern(e, p->value, p->total * sizeof(float), "parameters");
    if (s->train && !e->status)
        e->params->grad = gb_emit_io(e, p->trainable * sizeof(float), "d parameters");
    if (s->train && p->total > p->trainable)
        s->state = gb_emit_io(e, (p->total - p->trainable) * sizeof(float), "new state");
    s->new_state = gb_arena_array(&e->arena, p->n_param, sizeof *s->new_state);
    if (!s->new_state || e->status) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return;
    }
    e->params = gb_record_norms(e, p, e->params);
    gb_packing_begin(e);
    s->n_once = e->n_launch;
    for (size_t i = 0; i < s->graph->n_value; i++) {
        gb_value *v = s->graph->value[i];
        if (!v->param)
            continue;
        v->view = (gb_view){.store = e->params,
                            .offset = (int64_t)p->param[v->param - 1].offset};
        gb_view_dense(&v->view, &v->shape, GB_ORDER_PLAIN);
    }
    for (size_t i = 0; i < s->graph->n_node && s->train; i++)
        place_state(s, s->graph->node[i]);
}

int gb_record_forward(gb_session *s, bool grad)
{
    gb_emit *e = &s->emit;
    gb_graph *g = s->graph;
    int err = 0;
    if (s->params)
        record_params(s);
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
        if (g->out[i]->data && g->out[i]->type == GB_I64) { // exact where it is
            s->out[i] = (gb_io){.name = g->out[i]->name, .shape = g->out[i]->shape};
            continue;
        }
        make_io(e, &s->out[i], g->out[i]->name, &g->out[i]->shape, GB_ORDER_PLAIN);
        const gb_view *view = gb_emit_in(e, g->out[i], GB_ORDER_PLAIN);
        gb_emit_copy(e, &g->out[i]->shape, &s->out[i].view, view, false);
    }
    make_loss(s);
    gb_loss_forward(e, &s->loss, g->out[0]);
    err = e->status;
fail:
    return err;
}

int gb_record_backward(gb_session *s, const char *seed)
{
    gb_emit *e = &s->emit;
    gb_graph *g = s->graph;
    int err = 0;
    gb_emit_begin_backward(e);
    if (s->loss.kind != GB_LOSS_NONE) {
        gb_loss_backward(e, &s->loss, g->out[0]);
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
                                  gb_emit_has_grad(e, node->out[j]));
        if (reached)
            GB_TRY(record_node(e, node, true));
    }
    for (size_t i = 0; i < g->n_in && !e->status; i++) {
        gb_store *store = g->in[i]->view.store;
        gb_emit_products(e, store, NULL);
        if (store->grad && !store->grad_written)
            gb_emit_fill(e, store->grad, 0);
    }
    if (e->params)
        gb_emit_products(e, e->params, NULL);
    if (e->params && e->params->grad && !e->params->grad_written)
        gb_emit_fill(e, e->params->grad, 0);
    err = e->status;
fail:
    return err;
}

// New running statistics lie where the old ones do, in a twin of the parameters' buffer: those that
// follow each other are copied at once.
int gb_record_commit(gb_session *s)
{
    gb_emit *e = &s->emit;
    const gb_params *p = s->params;
    for (size_t i = 0; i < p->n_param && e->status == 0; i++) {
        gb_view view = {.stride = {1}};
        int64_t first = (int64_t)p->param[i].offset, end = first;
        for (; i < p->n_param && s->new_state[i]; i++)
            end = (int64_t)(p->param[i].offset + p->param[i].count);
        if (end == first)
            continue;
        gb_view from = view;
        view.store = e->params;
        view.offset = first;
        from.store = s->state;
        from.offset = first - (int64_t)p->trainable;
        gb_emit_copy(e, &(gb_shape){1, {end - first}}, &view, &from, false);
    }
    return e->status;
}
