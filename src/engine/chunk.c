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
    bool ok = !g->mixes;
    for (size_t i = 0; i < g->n_node; i++)
        ok = ok && (strcmp(g->node[i]->type, "BatchNormalization") ||
                    !gb_attr_int(g->node[i], "training_mode", 0));
    for (size_t i = 0; i < g->n_in; i++)
        ok = ok && g->in[i]->shape.rank > 0 && g->in[i]->shape.dim[0] == g->batch;
    for (size_t i = 0; i < g->n_out; i++)
        ok = ok && g->out[i]->shape.rank > 0 && g->out[i]->shape.dim[0] == g->batch;
    return ok;
}

// What the values read and written by a node take, and what weights it reads.
static int64_t live_bytes(const gb_node *node, int64_t *weights)
{
    int64_t live = bytes_of(node->residual);
    for (int j = 0; j < node->n_in; j++) {
        live += bytes_of(node->in[j]);
        if (node->in[j] && node->in[j]->data)
            *weights += (int64_t)gb_tensor_bytes(node->in[j]->data);
    }
    for (int j = 0; j < node->n_out; j++)
        live += bytes_of(node->out[j]);
    return live;
}

// Bytes that come from memory because the batch goes through in parts of n images: each part reads
// the weights and costs launches, in whose time memory would have delivered LAUNCH_BYTES, and
// values that do not stay in the cache from one layer to the next come from memory, too. Half of
// the last-level cache is counted on: it holds older values, weights and other people's as well.
static int64_t traffic(const gb_graph *g, int64_t cache, int64_t n)
{
    enum { LAUNCH_BYTES = 1 << 19 };
    int64_t each = 0, spilled = 0;
    for (size_t i = 0; i < g->n_node; i++) {
        int64_t live = live_bytes(g->node[i], &each);
        if (g->node[i]->op->is_view)
            continue;
        each += LAUNCH_BYTES;
        if (live / g->batch * n > cache / 2)
            spilled += live;
    }
    return g->batch / n * each + spilled;
}

int64_t gb_choose_chunk(const gb_graph *g, const gb_device_info *info)
{
    int64_t best = g->batch, least = INT64_MAX;
    bool up = true; // through the numbers of parts up to the root of the batch, then through sizes
    if (info->wide || !info->cache || g->batch < 2 || !splits(g))
        return g->batch;
    for (int64_t d = 1; d > 0; d += up ? 1 : -1) {
        if (up && d > g->batch / d) {
            up = false;
            continue;
        }
        const int64_t n = up ? g->batch / d : d; // from the largest to the smallest
        const int64_t bytes = g->batch % d ? INT64_MAX : traffic(g, (int64_t)info->cache, n);
        if (bytes < least) {
            least = bytes;
            best = n;
        }
    }
    return best;
}
