// Strided copies and fills of stores.
#include "op/nd.h"

#include <stdlib.h>

// How many of the innermost dimensions make a run: memory of operand 0 without gaps, of a length
// for which a table of operand 1's order is small.
static int run_dims(const gb_nd *nd, int64_t *run)
{
    enum { LONGEST = 4096 };
    int n = 0;
    *run = 1;
    while (n < nd->n_dim && nd->stride[n][0] == *run && *run * nd->size[n] <= LONGEST)
        *run *= nd->size[n++];
    return n;
}

// Where element i of a run of `n` dimensions lies in operand 1; the last one again up to a whole
// vector behind the run.
static gb_store *run_order(gb_emit *e, const gb_nd *nd, int n, int64_t run)
{
    const int64_t count = run + e->info->vector_width - 1;
    int32_t *order = malloc((size_t)count * sizeof *order);
    for (int64_t i = 0; order && i < count; i++) {
        int64_t at = 0, rest = i < run ? i : run - 1;
        for (int d = 0; d < n; d++) {
            at += rest % nd->size[d] * nd->stride[d][1];
            rest /= nd->size[d];
        }
        order[i] = (int32_t)at;
    }
    return gb_emit_const_take(e, order, (size_t)count * sizeof *order, "order");
}

// Copies of elements that both sides have side by side are loops of vectors; where they are few, a
// processor does better with whole runs of the destination.
static bool copy_permuted(gb_emit *e, const gb_nd *nd, const gb_view *dst, const gb_view *src,
                          bool add)
{
    int64_t run;
    int n = run_dims(nd, &run);
    if (e->info->wide || n < 2 || nd->size[0] >= 32)
        return false;
    gb_emit_launch(e, "copy", "copy_permuted", "%s", "");
    gb_put_nd(e, nd, n);
    gb_put_split(e, run, gb_nd_count(nd) / run, 1, 2);
    gb_put_view(e, dst);
    gb_put_view(e, src);
    gb_put_store(e, run_order(e, nd, n, run));
    gb_put_i32(e, add);
    return true;
}

// Copies whose vectors on one side are columns on the other go by square blocks on processors: an
// element is near where it is read and where it is written.
static bool copy_turned(gb_emit *e, gb_nd nd, const gb_view *dst, const gb_view *src)
{
    enum { MOST_COLUMNS = 256 }; // of a work-item
    const int64_t vw = e->info->vector_width;
    int d = 1;
    while (d < nd.n_dim && nd.stride[d][1] != 1)
        d++;
    if (e->info->wide || d == nd.n_dim || nd.stride[0][0] != 1 ||
        nd.stride[0][1] == 0 || nd.stride[0][1] == 1 || nd.size[0] < vw || nd.size[d] < vw)
        return false;
    gb_nd_swap(&nd, 1, d);
    const int64_t columns = nd.size[1] < MOST_COLUMNS ? nd.size[1] : MOST_COLUMNS;
    gb_emit_launch(e, "copy", "copy_turned", "%s", "");
    gb_put_nd(e, &nd, 2);
    gb_put_i32(e, nd.size[0]);
    gb_put_i32(e, nd.size[1]);
    gb_put_i32(e, columns);
    gb_put_view(e, dst);
    gb_put_i32(e, nd.stride[1][0]);
    gb_put_view(e, src);
    gb_put_i32(e, nd.stride[0][1]);
    gb_emit_size(e, (size_t)((nd.size[0] + vw - 1) / vw),
                 (size_t)((nd.size[1] + columns - 1) / columns),
                 (size_t)(gb_nd_outer(&nd) / nd.size[1]));
    return true;
}

void gb_emit_copy(gb_emit *e, const gb_shape *shape, const gb_view *dst, const gb_view *src,
                  bool add)
{
    if (e->status || gb_shape_count(shape) == 0)
        return;
    gb_nd nd = gb_nd_views(shape, (const gb_view *[]){dst, src}, 2);
    if ((!add && copy_turned(e, nd, dst, src)) || copy_permuted(e, &nd, dst, src, add))
        return;
    gb_emit_launch(e, "copy", "copy", "%s", "");
    gb_put_nd(e, &nd, 1);
    gb_put_split(e, nd.size[0], gb_nd_outer(&nd), 1, 1);
    gb_put_operand(e, &nd, 0, dst);
    gb_put_operand(e, &nd, 1, src);
    gb_put_i32(e, add);
}

void gb_emit_fill(gb_emit *e, gb_store *store, float v)
{
    if (e->status)
        return;
    int64_t count = (int64_t)(store->bytes / sizeof(float));
    gb_emit_launch(e, "copy", "fill", "%s", "");
    gb_put_store(e, store);
    gb_put_f32(e, v);
    gb_put_split(e, count, 1, 1, 1);
}
