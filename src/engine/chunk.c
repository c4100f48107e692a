// How many images of a batch a processor should take through the network at a time.
#include "engine/internal.h"
#include "op/op.h"

#include <string.h>

static int64_t bytes_of(const gb_value *v)
{
    return v && !v->data ? gb_shape_count(&v->shape) * (int64_t)sizeof(float) : 0;
}

// Whether every input and output is a list of one entry for each image, and no image sees another.
static bool splits(const gb_graph *g)
{
    bool ok = true;
    for (size_t i = 0; i < g->n_node; i++)
        ok = ok && (strcmp(g->node[i]->type, "BatchNormalization") ||
                    !gb_attr_int(g->node[i], "training_mode", 0));
    for (size_t i = 0; i < g->n_in; i++)
        ok = ok && g->in[i]->shape.rank > 0 && g->in[i]->shape.dim[0] == g->batch;
    for (size_t i = 0; i < g->n_out; i++)
        ok = ok && g->out[i]->shape.rank > 0 && g->out[i]->shape.dim[0] == g->batch;
    return ok;
}

int64_t gb_choose_chunk(const gb_graph *g, const gb_device_info *info)
{
    int64_t most = 0, total = 0, weights = 0;
    if (info->type != GB_DEVICE_CPU || !info->cache || g->batch < 2 || !splits(g))
        return g->batch;
    for (size_t i = 0; i < g->n_node; i++) {
        const gb_node *node = g->node[i];
        int64_t live = bytes_of(node->residual), made = 0;
        for (int j = 0; j < node->n_in; j++) {
            live += bytes_of(node->in[j]);
            if (node->in[j] && node->in[j]->data)
                weights += (int64_t)gb_tensor_bytes(node->in[j]->data);
        }
        for (int j = 0; j < node->n_out; j++)
            made += bytes_of(node->out[j]);
        most = live + made > most ? live + made : most;
        total += node->op->is_view ? 0 : made;
    }
    // The largest part of the batch whose values stay in the last-level cache between two layers,
    // unless reading the weights once more for each part costs more than that saves.
    for (int64_t n = g->batch; n > 0; n--) {
        if (g->batch % n || most / g->batch * n > (int64_t)info->cache)
            continue;
        return weights / n <= 2 * total / g->batch ? n : g->batch;
    }
    return g->batch;
}
