// Loop nests over strided operands: dimensions are dropped, sorted and merged here, and split among
// work-items.
#include "op/nd.h"

#include <string.h>

void gb_nd_add(gb_nd *nd, int64_t size, const int64_t stride[GB_ND_OPERANDS])
{
    if (size == 1)
        return;
    nd->size[nd->n_dim] = size;
    memcpy(nd->stride[nd->n_dim++], stride, sizeof nd->stride[0]);
}

static int64_t magnitude(int64_t stride)
{
    return stride < 0 ? -stride : stride;
}

// True if dimension a belongs outside dimension b: by the first operand whose strides differ; one
// that stands still in either dimension has no say.
static bool outside(const gb_nd *nd, int a, int b)
{
    for (int i = 0; i < nd->n_operand; i++) {
        int64_t sa = magnitude(nd->stride[a][i]), sb = magnitude(nd->stride[b][i]);
        if (sa && sb && sa != sb)
            return sa > sb;
    }
    return false;
}

void gb_nd_swap(gb_nd *nd, int a, int b)
{
    int64_t size = nd->size[a], stride[GB_ND_OPERANDS];
    memcpy(stride, nd->stride[a], sizeof stride);
    nd->size[a] = nd->size[b];
    memcpy(nd->stride[a], nd->stride[b], sizeof stride);
    nd->size[b] = size;
    memcpy(nd->stride[b], stride, sizeof stride);
}

void gb_nd_merge(gb_nd *nd)
{
    int n = 0;
    for (int i = 0; i < nd->n_dim; i++) {
        bool merges = n > 0;
        for (int k = 0; merges && k < nd->n_operand; k++)
            merges = nd->stride[i][k] == nd->stride[n - 1][k] * nd->size[n - 1];
        if (merges) {
            nd->size[n - 1] *= nd->size[i];
            continue;
        }
        gb_nd_swap(nd, n++, i);
    }
    nd->n_dim = n;
    if (n == 0) {
        nd->n_dim = 1;
        nd->size[0] = 1;
        for (int k = 0; k < GB_ND_OPERANDS; k++)
            nd->stride[0][k] = 1;
    }
}

void gb_nd_finish(gb_nd *nd)
{
    for (int i = 1; i < nd->n_dim; i++)
        for (int j = i; j > 0 && outside(nd, j - 1, j); j--)
            gb_nd_swap(nd, j - 1, j);
    gb_nd_merge(nd);
}

gb_nd gb_nd_views(const gb_shape *shape, const gb_view *const *view, int n)
{
    gb_nd nd = {.n_operand = n};
    for (int d = shape->rank - 1; d >= 0; d--) {
        int64_t stride[GB_ND_OPERANDS] = {0};
        for (int i = 0; i < n; i++)
            stride[i] = view[i]->stride[d];
        gb_nd_add(&nd, shape->dim[d], stride);
    }
    gb_nd_finish(&nd);
    return nd;
}

int64_t gb_nd_outer(const gb_nd *nd)
{
    int64_t n = 1;
    for (int d = 1; d < nd->n_dim; d++)
        n *= nd->size[d];
    return n;
}

int64_t gb_nd_count(const gb_nd *nd)
{
    return nd->size[0] * gb_nd_outer(nd);
}

gb_view gb_view_broadcast(const gb_view *view, const gb_shape *from, const gb_shape *to)
{
    gb_view wide = {.store = view->store, .offset = view->offset};
    int skip = to->rank - from->rank;
    for (int d = skip; d < to->rank; d++)
        if (from->dim[d - skip] != 1)
            wide.stride[d] = view->stride[d - skip];
    return wide;
}

// The kernels count in ints.
static void check_reach(gb_emit *e, const gb_nd *nd)
{
    for (int i = 0; i < nd->n_operand; i++) {
        int64_t reach = 0;
        for (int d = 0; d < nd->n_dim; d++)
            reach += (nd->size[d] - 1) * magnitude(nd->stride[d][i]);
        if (reach > INT32_MAX)
            gb_emit_fail(e, gb_fail(GB_ERR_DEVICE_MEM,
                                    "%s: over 2^31 elements in one tensor; use a smaller batch",
                                    e->node ? gb_node_text(e->node) : "copy"));
    }
}

void gb_put_nd(gb_emit *e, const gb_nd *nd, int first)
{
    int32_t table[GB_ND_MAX][8] = {{0}};
    int n = 0;
    check_reach(e, nd);
    for (int d = first; d < nd->n_dim; d++, n++) {
        table[n][0] = (int32_t)nd->size[d];
        for (int i = 0; i < GB_ND_OPERANDS; i++)
            table[n][i < 4 ? 4 + i : i - 3] = (int32_t)nd->stride[d][i];
    }
    gb_put_store(e, n ? gb_emit_const(e, table, (size_t)n * sizeof table[0], "strides") : NULL);
    gb_put_i32(e, n);
}

void gb_put_operand(gb_emit *e, const gb_nd *nd, int i, const gb_view *view)
{
    gb_put_view(e, view);
    gb_put_i32(e, nd->stride[0][i]);
}

void gb_put_split(gb_emit *e, int64_t inner, int64_t outer, int64_t depth, int64_t cost)
{
    enum { LEAST = 512, MOST = 8192 }; // copied elements that a work-item is worth
    int64_t chunk = 0, rows = 1;
    size_t gx = (size_t)(inner * outer), gy = 1;
    if (e->status)
        return;
    // On a GPU one element each: neighbours touch neighbours. On a CPU a few items per thread, each
    // large enough to be worth its start.
    if (!e->info->wide) {
        int64_t units = e->info->compute_units > 0 ? e->info->compute_units : 1;
        int64_t want = inner * outer * depth / (8 * units);
        want = want < LEAST / cost ? LEAST / cost : want > MOST / cost ? MOST / cost : want;
        want = want < 16 ? 16 : want / 16 * 16;
        int64_t pieces = (inner + want - 1) / want;
        chunk = pieces > 1 ? (int64_t)gb_align((size_t)((inner + pieces - 1) / pieces), 16) : inner;
        rows = pieces > 1 ? 1 : want / inner;
        gx = (size_t)((inner + chunk - 1) / chunk);
        gy = (size_t)((outer + rows - 1) / rows);
    }
    gb_put_i32(e, inner);
    gb_put_i32(e, outer);
    gb_put_i32(e, chunk);
    gb_put_i32(e, rows);
    gb_emit_size(e, gx, gy, (size_t)depth);
}
