// Gemm.
#include "op/gemm.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/record.h"
#include "ref/arithmetic.h"

#include <math.h>

int gb_gemm_read(const gb_node *node, gb_gemm *g)
{
    const gb_shape *a = &node->in[0]->shape, *b = &node->in[1]->shape;
    if (a->rank != 2 || b->rank != 2)
        return gb_fail(GB_ERR_FORMAT, "%s: multiplies tensors of rank %d and %d, not matrices",
                       gb_node_text(node), a->rank, b->rank);
    *g = (gb_gemm){.trans_a = gb_attr_int(node, "transA", 0),
                   .trans_b = gb_attr_int(node, "transB", 0),
                   .alpha = gb_attr_float(node, "alpha", 1),
                   .beta = gb_attr_float(node, "beta", 1)};
    g->m = a->dim[g->trans_a];
    g->k = a->dim[!g->trans_a];
    g->n = b->dim[!g->trans_b];
    if (b->dim[g->trans_b] != g->k)
        return gb_fail(GB_ERR_FORMAT, "%s: matrices of %lldx%lld and %lldx%lld do not fit",
                       gb_node_text(node), (long long)g->m, (long long)g->k,
                       (long long)b->dim[g->trans_b], (long long)g->n);
    return 0;
}

static int infer(gb_node *node)
{
    gb_gemm g;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 2, 3));
    GB_TRY(gb_gemm_read(node, &g));
    const gb_shape shape = {.rank = 2, .dim = {g.m, g.n}};
    if (gb_input(node, 2))
        GB_TRY(gb_infer_broadcasts_to(node, 2, &shape));
    gb_infer_like(node, 0, node->in[0], &shape);
fail:
    return err;
}

// Rows of A' and columns of B' may be images; what is summed over may not.
static int64_t images(const gb_node *node, int k)
{
    const gb_shape *y = &node->out[k]->shape;
    const int64_t batch = node->graph->batch;
    gb_images_place at;
    gb_gemm g;
    int64_t inside = 0;
    if (gb_gemm_read(node, &g) < 0 ||
        !(gb_holds_images(node->in[0]) || gb_holds_images(node->in[1])))
        return 0;
    const int along[2] = {g.trans_a ? 1 : 0, g.trans_b ? 0 : 1};
    for (int i = 0; i < node->n_in; i++) {
        const gb_value *v = node->in[i];
        int64_t here;
        if (gb_counts_images(v))
            return 0;
        if (!gb_holds_images(v))
            continue;
        if (i == 2)
            here = gb_images_broadcast(node, i, y);
        else if (!gb_images_find(&at, &v->shape, v->images.inside, batch) || at.axis != along[i])
            return 0;
        else
            here = at.inner * gb_images_step(y, i);
        if (here == 0 || (inside && here != inside))
            return 0;
        inside = here;
    }
    const gb_value *c = gb_input(node, 2);
    return !c || gb_holds_images(c) || gb_images_same(node, 2, y, inside) ? inside : 0;
}

static double work(const gb_node *node)
{
    gb_gemm g;
    return gb_gemm_read(node, &g) < 0 ? INFINITY
                                      : 2 * (double)g.m * (double)g.n * (double)(g.k + 4);
}

GB_OP(Gemm, .since = 7, .infer = infer, .eval = gb_ref_gemm, .work = work,
      .forward = gb_gemm_forward, .backward = gb_gemm_backward, .images = images);
