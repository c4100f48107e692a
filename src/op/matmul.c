// MatMul.
#include "op/gemm.h"
#include "op/infer.h"
#include "op/list.h"
#include "op/record.h"
#include "ref/arithmetic.h"

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

GB_OP(MatMul, .since = 7, .infer = infer, .eval = gb_ref_matmul, .forward = gb_matmul_forward,
      .backward = gb_matmul_backward);
