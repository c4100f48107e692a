// MatMul.
#include "op/gemm.h"
#include "op/images.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/record.h"
#include "ref/arithmetic.h"

#include <math.h>

// The leading dimensions of a matrix.
static gb_shape leading(const gb_shape *shape)
{
    gb_shape s = *shape;
    s.rank -= 2;
    return s;
}

int gb_matmul_read(const gb_node *node, gb_matmul *g)
{
    const gb_shape *a = &node->in[0]->shape, *b = &node->in[1]->shape;
    if (a->rank < 1 || b->rank < 1)
        return gb_fail(GB_ERR_FORMAT, "%s: multiplies a scalar", gb_node_text(node));
    *g = (gb_matmul){.a = *a, .b = *b};
    if (a->rank == 1)
        g->a = (gb_shape){.rank = 2, .dim = {1, a->dim[0]}};
    if (b->rank == 1)
        g->b = (gb_shape){.rank = 2, .dim = {b->dim[0], 1}};
    const int64_t *a_dim = g->a.dim + g->a.rank - 2, *b_dim = g->b.dim + g->b.rank - 2;
    g->m = a_dim[0];
    g->k = a_dim[1];
    g->n = b_dim[1];
    const gb_shape a_batch = leading(&g->a), b_batch = leading(&g->b);
    if (b_dim[0] != g->k || gb_shape_broadcast(&g->batch, &a_batch, &b_batch) < 0) {
        char a_text[160], b_text[160];
        return gb_fail(GB_ERR_FORMAT, "%s: shapes %s and %s do not multiply", gb_node_text(node),
                       gb_shape_text(a_text, sizeof a_text, a),
                       gb_shape_text(b_text, sizeof b_text, b));
    }
    g->out = g->batch;
    if (a->rank > 1)
        g->out.dim[g->out.rank++] = g->m;
    if (b->rank > 1)
        g->out.dim[g->out.rank++] = g->n;
    return 0;
}

static int infer(gb_node *node)
{
    gb_matmul g;
    int err = 0;
    GB_TRY(gb_infer_arity(node, 2, 2));
    GB_TRY(gb_matmul_read(node, &g));
    gb_infer_like(node, 0, node->in[0], &g.out);
fail:
    return err;
}

// Rows of A, columns of B and leading dimensions may be images; what is summed over may not.
static int64_t images(const gb_node *node, int k)
{
    const int64_t batch = node->graph->batch;
    gb_images_place at;
    gb_matmul g;
    int64_t inside = 0;
    (void)k;
    if (gb_matmul_read(node, &g) < 0)
        return 0;
    gb_shape whole = g.batch; // the product with the vectors made matrices
    whole.dim[whole.rank++] = g.m;
    whole.dim[whole.rank++] = g.n;
    for (int i = 0; i < 2; i++) {
        const gb_shape *shape = i ? &g.b : &g.a;
        if (gb_counts_images(node->in[i]))
            return 0;
        if (!gb_holds_images(node->in[i]))
            continue;
        if (!gb_images_find(&at, shape, node->in[i]->images.inside, batch) ||
            at.axis == shape->rank - (i ? 2 : 1))
            return 0;
        int64_t here = at.inner * gb_images_step(&whole, at.axis + whole.rank - shape->rank);
        if (inside && here != inside)
            return 0;
        inside = here;
    }
    for (int i = 0; i < 2; i++)
        if (!gb_holds_images(node->in[i]) && gb_images_find(&at, &whole, inside, batch) &&
            at.axis < g.batch.rank && !gb_images_same(node, i, &whole, inside))
            return 0;
    return inside;
}

static double work(const gb_node *node)
{
    gb_matmul g;
    return gb_matmul_read(node, &g) < 0
               ? INFINITY : 2 * (double)gb_shape_count(&g.out) * (double)(g.k + 4);
}

GB_OP(MatMul, .since = 7, .infer = infer, .eval = gb_ref_matmul, .work = work,
      .forward = gb_matmul_forward, .backward = gb_matmul_backward, .images = images);
