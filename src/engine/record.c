// Records a session's schedule: forward, losses, and backward to the inputs.
#include "engine/internal.h"
#include "op/op.h"

#include <string.h>

void gb_mark_gradients(gb_graph *g)
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

int gb_record_forward(gb_session *s, bool grad)
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
