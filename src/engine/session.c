// Sessions: from a model to kernels with their arguments set.
#include "engine/internal.h"
#include "engine/tune.h"

#include "op/pack.h"

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

// --- kernels ---

int gb_make_kernel(gb_session *s, gb_launch *l)
{
    int err = 0;
    if (l->gather)
        return 0;
    if (l->gemm)
        return gb_kernel_create_gemm(&l->ready, s->dev, l->arg[0].store->buf, l->arg[1].store->buf,
                                     l->arg[2].store->buf, l->gemm);
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
        GB_TRY(gb_make_kernel(s, e->launch[i]));
fail:
    return err;
}

static void add_port(gb_session *s, gb_store *store, gb_io *io, bool in, bool backward)
{
    if (store)
        s->port[s->n_port++] = (gb_port){.store = store, .io = io, .in = in, .backward = backward};
}

// The caller's tensors: where there are several chunks, buffers for the whole batch beside those
// that the schedule works on.
static int make_ports(gb_session *s)
{
    int err = 0;
    s->port = gb_arena_array(&s->graph->arena, 2 * s->n_in + s->n_out + 6, sizeof *s->port);
    if (!s->port)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < s->n_in; i++) {
        add_port(s, s->in[i].view.store, &s->in[i], true, false);
        add_port(s, s->grad[i].view.store, &s->grad[i], false, true);
    }
    for (size_t i = 0; i < s->n_out; i++)
        add_port(s, s->out[i].view.store, &s->out[i], false, false);
    add_port(s, s->seed.view.store, &s->seed, true, false);
    add_port(s, s->loss.labels, NULL, true, false);
    add_port(s, s->loss.seconds, NULL, true, false);
    add_port(s, s->loss.targets, NULL, true, false);
    add_port(s, s->loss.weights, NULL, true, true);
    add_port(s, s->loss.losses, NULL, false, false);
    for (size_t i = 0; i < s->n_port; i++) {
        gb_port *p = &s->port[i];
        p->whole = p->store->buf;
        if (s->chunks > 1) {
            size_t bytes = p->store->bytes * (size_t)s->chunks;
            p->whole = NULL;
            GB_TRY(gb_buf_create(&p->whole, s->dev, bytes));
            GB_TRY(gb_buf_fill(p->whole, 0, bytes, 0));
            s->stats.io_bytes += bytes;
        }
        if (p->io) {
            p->io->buf = p->whole;
            p->io->shape.dim[0] *= s->chunks;
        }
    }
fail:
    return err;
}

static gb_buf *whole(const gb_session *s, const gb_store *store)
{
    for (size_t i = 0; i < s->n_port; i++)
        if (store && s->port[i].store == store)
            return s->port[i].whole;
    return NULL;
}

static void count_stats(gb_session *s)
{
    gb_session_stats *t = &s->stats;
    gb_emit *e = &s->emit;
    t->launches_forward = s->n_forward;
    t->launches_backward = s->n_backward - s->n_forward;
    for (size_t i = 0; i < e->n_launch; i++)
        *(i < s->n_forward ? &t->flops_forward : &t->flops_backward) +=
            e->launch[i]->flops * (double)s->chunks;
    t->weight_bytes = s->plan.weight_bytes;
    t->io_bytes += s->plan.io_bytes;
    t->naive_bytes = s->plan.naive_bytes;
    for (int a = 0; a < s->plan.arenas; a++)
        t->arena_bytes += s->plan.arena_bytes[a];
}

// Refuses a batch that is out of the question before anything is done for each image of it.
static int check_batch(const gb_session *s, const gb_graph *model,
                       const gb_session_options *options)
{
    const size_t memory = gb_device_get_info(s->dev)->memory;
    double bytes = 0; // of the inputs, those that are bound left out
    for (size_t i = 0; i < model->n_in; i++) {
        const gb_shape *shape = &model->in[i]->shape;
        double count = (double)options->batch * sizeof(float);
        bool given = false;
        for (size_t k = 0; k < options->n_binding; k++)
            given = given || !strcmp(options->binding[k].name, model->in[i]->name);
        for (int d = 1; d < shape->rank; d++)
            count *= shape->dim[d] > 0 ? (double)shape->dim[d] : 1;
        bytes += given || !shape->rank ? 0 : count;
    }
    if (bytes > (double)memory)
        return options->batch > 1
                   ? gb_fail(GB_ERR_DEVICE_MEM, "the images of a batch of %lld are more than the "
                             "device's memory of %zu MB; use a smaller batch",
                             (long long)options->batch, memory >> 20)
                   : gb_fail(GB_ERR_DEVICE_MEM, "the model's input is too large for the device's "
                             "memory of %zu MB", memory >> 20);
    return 0;
}

// The graph for a chunk of the batch.
static int prepare_chunk(gb_session *s, const gb_graph *model, const gb_session_options *options)
{
    gb_session_options part = *options;
    int err = check_batch(s, model, options);
    if (err == 0)
        err = gb_prepare(&s->graph, &s->head, model, options);
    s->chunks = 1;
    if (err < 0)
        return err;
    s->batch = s->graph->batch;
    part.batch = options->chunk ? options->chunk
                                : gb_choose_chunk(s->graph, gb_device_get_info(s->dev));
    if (part.batch >= s->batch || s->batch % part.batch || options->keep_all || s->train ||
        s->graph->mixes)
        return 0;
    gb_graph *graph = NULL;
    gb_head head;
    part.log = NULL;
    if (gb_prepare(&graph, &head, model, &part) < 0 || graph->batch != part.batch) {
        gb_graph_free(graph); // it only runs whole
        return 0;
    }
    gb_graph_free(s->graph);
    s->graph = graph;
    s->head = head; // whose texts are in the graph
    s->chunks = s->batch / part.batch;
    return 0;
}

static int create(gb_session **out, gb_device *dev, const gb_graph *model,
                  const gb_session_options *options)
{
    int err = 0;
    double start = now();
    bool grad = options->grad || options->seed;
    gb_session *s = calloc(1, sizeof *s);
    if (!s)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a session");
    s->dev = dev;
    gb_program_ahead(dev, "copy", ""); // nearly every session needs it; meanwhile the graph is made
    s->loss = (gb_loss_spec){.kind = options->loss, .smoothing = options->label_smoothing};
    s->has_grad = grad;
    s->params = options->params;
    s->ranks = options->ranks;
    s->train = options->params && options->train;
    if (s->params && (s->params->model != model || s->params->dev != dev)) {
        err = gb_fail(GB_ERR_ARG, "the parameters are of another model or device");
        goto fail;
    }
    GB_TRY(prepare_chunk(s, model, options));
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
        gb_mark_gradients(s->graph, s->train ? s->params : NULL);
    GB_TRY(gb_emit_init(&s->emit, dev, s->graph, grad));
    if (!options->choices)
        GB_TRY(gb_tuned_choices(&s->tuned, dev));
    s->emit.choices = options->choices ? options->choices : &s->tuned;
    s->emit.train = s->train;
    s->emit.ranks = s->ranks ? s->ranks->size : 1;
    GB_TRY(gb_record_forward(s, grad));
    s->n_forward = s->emit.n_launch;
    if (grad)
        GB_TRY(gb_record_backward(s, options->seed));
    s->n_backward = s->emit.n_launch;
    if (s->train)
        GB_TRY(gb_record_commit(s));
    gb_packing_end(&s->emit);
    GB_TRY(s->emit.status);
    GB_TRY(gb_plan_create(&s->plan, &s->emit, options->keep_all));
    s->stats.plan_seconds = now() - start;
    if (!gb_device_rehearses(dev))
        GB_TRY(make_kernels(s));
    GB_TRY(make_ports(s));
    if (s->loss.weights) {
        const float one = 1;
        uint32_t bits;
        memcpy(&bits, &one, sizeof bits);
        GB_TRY(gb_buf_fill(whole(s, s->loss.weights), 0, (size_t)s->batch * sizeof bits, bits));
    }
    s->stats.parameters = gb_graph_parameters(model);
    count_stats(s);
    *out = s;
    return 0;
fail:
    gb_session_free(s);
    return err;
}

int gb_session_create(gb_session **out, gb_device *dev, const gb_graph *model,
                      const gb_session_options *options)
{
    gb_session_options told = *options;
    gb_session *s = NULL;
    int err = create(&s, dev, model, options);
    if (err == 0 && s->head.unsure && s->n_in == 1 && !s->train && !gb_device_rehearses(dev)) {
        GB_TRY(gb_probe_scores(&told.scores, s));
        told.batch = s->batch; // of what was said, nothing twice
        if (told.scores == GB_SCORES_PROBABILITIES) {
            gb_session_free(s);
            s = NULL;
            err = create(&s, dev, model, &told);
        }
    }
fail:
    if (err < 0)
        gb_session_free(s);
    else
        *out = s;
    return err;
}

void gb_session_free(gb_session *s)
{
    if (!s)
        return;
    for (size_t i = s->emit.n_launch; i-- > 0;) // PoCL looks for a kernel from the newest on
        gb_kernel_free(s->emit.launch[i]->ready);
    for (size_t i = 0; i < s->n_port && s->chunks > 1; i++)
        gb_buf_free(s->port[i].whole);
    gb_plan_finish(&s->plan, &s->emit);
    gb_emit_finish(&s->emit);
    gb_choices_free(&s->tuned);
    gb_graph_free(s->graph);
    free(s->staging);
    free(s);
}

// --- running ---

// Moves chunk c of the tensors that the schedule reads (in) or has written into place.
static int move(gb_session *s, int64_t c, bool in, bool backward)
{
    int err = 0;
    for (size_t i = 0; i < s->n_port && s->chunks > 1; i++) {
        const gb_port *p = &s->port[i];
        size_t bytes = p->store->bytes, at = bytes * (size_t)c;
        if (p->in != in || (p->backward && !backward))
            continue;
        GB_TRY(in ? gb_buf_copy(p->store->buf, 0, p->whole, at, bytes)
                  : gb_buf_copy(p->whole, at, p->store->buf, 0, bytes));
    }
fail:
    return err;
}

static int run(gb_session *s, bool backward)
{
    size_t count = backward ? s->n_backward : s->n_forward;
    int err = 0;
    if (gb_device_rehearses(s->dev))
        return gb_rehearse(s, count);
    for (int64_t c = 0; c < s->chunks; c++) {
        GB_TRY(move(s, c, true, backward));
        for (size_t i = c ? s->n_once : 0; i < count; i++)
            GB_TRY(gb_run_launch(s, s->emit.launch[i]));
        GB_TRY(move(s, c, false, backward));
    }
    GB_TRY(gb_device_flush(s->dev));
fail:
    return err;
}

int gb_session_forward(gb_session *s)
{
    return run(s, false);
}

int gb_session_gradient(gb_session *s)
{
    return run(s, true);
}

int gb_session_commit(gb_session *s)
{
    int err = 0;
    for (size_t i = s->n_backward; i < s->emit.n_launch; i++)
        GB_TRY(gb_run_launch(s, s->emit.launch[i]));
    GB_TRY(gb_device_flush(s->dev));
fail:
    return err;
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
    return whole(s, s->loss.labels);
}

gb_buf *gb_session_losses(const gb_session *s)
{
    return whole(s, s->loss.losses);
}

gb_buf *gb_session_seconds(const gb_session *s)
{
    return whole(s, s->loss.seconds);
}

gb_buf *gb_session_targets(const gb_session *s)
{
    return whole(s, s->loss.targets);
}

gb_buf *gb_session_weights(const gb_session *s)
{
    return whole(s, s->loss.weights);
}

gb_buf *gb_session_param_grad(const gb_session *s)
{
    return s->train && s->has_grad ? s->emit.params->grad->buf : NULL;
}

gb_device *gb_session_device(const gb_session *s)
{
    return s->dev;
}

const gb_head *gb_session_head(const gb_session *s)
{
    return &s->head;
}

int64_t gb_session_batch(const gb_session *s)
{
    return s->batch;
}

const gb_session_stats *gb_session_get_stats(const gb_session *s)
{
    return &s->stats;
}

const gb_graph *gb_session_graph(const gb_session *s)
{
    return s->graph;
}
