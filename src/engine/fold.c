// Constant folding within its budget.
#include "engine/fold.h"

#include "op/op.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

// Large constants decide no shape.
enum { MAX_FOR_SHAPES = 1 << 16 };

// VGG-19 whose 143 million weights are made by ConstantOfShape takes 1.2 s and 550 MiB of these.
#define MAX_WORK 0x1p31               // nanoseconds
#define MAX_BYTES ((int64_t)768 << 20)

void gb_folding_begin(gb_folding *f, gb_graph *graph, double work, bool shapes_only)
{
    *f = (gb_folding){.graph = graph, .work = work > 0 ? 1e9 * work : MAX_WORK,
                      .bytes = MAX_BYTES, .shapes_only = shapes_only};
}

// Most operators read each element of their inputs about once for each element of their outputs.
static double work_of(const gb_node *node)
{
    enum { PER_ELEMENT = 8 };
    double elements = 0;
    if (node->op->work)
        return node->op->work(node);
    for (int i = 0; i < node->n_in && !node->op->shape_only; i++)
        elements += node->in[i] ? (double)gb_shape_count(&node->in[i]->shape) : 0;
    for (int i = 0; i < node->n_out; i++)
        elements += node->out[i] ? (double)gb_shape_count(&node->out[i]->shape) : 0;
    return PER_ELEMENT * elements;
}

// Integers stay exact on the host only.
static bool device_can(const gb_node *node)
{
    bool floats = node->op->forward != NULL;
    for (int i = 0; i < node->n_out; i++)
        floats = floats && (!node->out[i] || node->out[i]->type == GB_F32);
    return floats;
}

static int64_t bytes_of(const gb_value *v)
{
    int64_t bytes;
    return __builtin_mul_overflow(gb_shape_count(&v->shape), (int64_t)gb_dtype_size(v->type),
                                  &bytes) ? INT64_MAX : bytes;
}

// Decides whether a node is evaluated here, and takes from the budget what its results need.
static int admit(gb_folding *f, const gb_node *node, bool *folds)
{
    const double work = work_of(node);
    int64_t bytes = f->bytes;
    *folds = work <= f->work;
    for (int i = 0; i < node->n_out; i++) {
        if (!node->out[i])
            continue;
        const int64_t count = gb_shape_count(&node->out[i]->shape), need = bytes_of(node->out[i]);
        if (f->shapes_only && count > MAX_FOR_SHAPES)
            *folds = false;
        else if (need > bytes && !f->shapes_only)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: makes a constant of %" PRId64 " elements, too "
                           "many: the constants that nodes make may take %" PRId64 " MiB at a time",
                           gb_node_text(node), count, MAX_BYTES >> 20);
        bytes -= need;
    }
    if (f->shapes_only)
        bytes = f->bytes;
    else if (!*folds && !device_can(node))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: the results of constants up to here would take "
                       "more than %.0f s beforehand, and the device does not compute this one; "
                       "export the model with its constants folded", gb_node_text(node),
                       1e-9 * MAX_WORK);
    f->bytes = bytes;
    return 0;
}

static int evaluate(gb_folding *f, gb_node *node, const gb_tensor **in, gb_tensor **out)
{
    int err = 0;
    for (int i = 0; i < node->n_in; i++)
        in[i] = node->in[i] ? node->in[i]->data : NULL;
    for (int i = 0; i < node->n_out; i++) {
        const gb_value *v = node->out[i];
        if (!v)
            continue;
        const size_t old = f->cap;
        GB_TRY(gb_grow(&f->made, &f->cap, (size_t)v->id + 1, sizeof *f->made));
        memset(f->made + old, 0, (f->cap - old) * sizeof *f->made);
        gb_tensor *t = gb_arena_alloc(&f->graph->arena, sizeof *t);
        void *data = f->made[v->id] = gb_alloc_aligned((size_t)bytes_of(v));
        if (!t || !data) {
            err = gb_fail(GB_ERR_NOMEM, "%s: out of memory for its result", gb_node_text(node));
            goto fail;
        }
        *t = (gb_tensor){.type = v->type, .ints = v->ints, .shape = v->shape, .data = data};
        out[i] = t;
    }
    GB_TRY(node->op->eval(node, in, out));
    for (int i = 0; i < node->n_out; i++) {
        if (!node->out[i])
            continue;
        gb_tensor_wrap(out[i]);
        node->out[i]->data = out[i];
        node->out[i]->producer = NULL;
    }
fail:
    return err;
}

int gb_fold(gb_folding *f, gb_node *node, bool *folded)
{
    int err = admit(f, node, folded);
    if (err < 0 || !*folded)
        return err;
    f->work -= work_of(node);
    const gb_tensor **in = calloc((size_t)node->n_in + 1, sizeof *in);
    gb_tensor **out = calloc((size_t)node->n_out + 1, sizeof *out);
    err = in && out ? evaluate(f, node, in, out) : gb_fail(GB_ERR_NOMEM, "out of memory");
    free(in);
    free(out);
    return err;
}

void gb_fold_release(gb_folding *f, gb_value *value)
{
    if (--value->uses != 0 || (size_t)value->id >= f->cap || !f->made[value->id])
        return;
    f->bytes += bytes_of(value);
    free(f->made[value->id]);
    f->made[value->id] = NULL;
    value->data = NULL;
}

int gb_folding_end(gb_folding *f)
{
    int err = 0;
    for (size_t i = 0; i < f->cap; i++)
        if (f->made[i] && !gb_arena_adopt(&f->graph->arena, f->made[i]))
            err = GB_ERR_NOMEM;
    free(f->made);
    *f = (gb_folding){0};
    return err;
}
