// Matrix products.
#include "ref/arithmetic.h"
#include "op/gemm.h"

// The sum of `count` products of elements that lie a_step and b_step apart. Of integers it wraps.
static int64_t sum_int(const gb_tensor *a, int64_t at_a, int64_t a_step, const gb_tensor *b,
                       int64_t at_b, int64_t b_step, int64_t count)
{
    uint64_t sum = 0;
    for (int64_t k = 0; k < count; k++)
        sum += (uint64_t)gb_tensor_int(a, at_a + k * a_step) *
               (uint64_t)gb_tensor_int(b, at_b + k * b_step);
    return (int64_t)sum;
}

// Without factors, as integers have them.
static int gemm_int(const gb_node *node, const gb_gemm *g, const gb_tensor *const *in,
                    const gb_tensor *c, gb_tensor *out)
{
    if (g->alpha != 1 || (c && g->beta != 1))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: alpha and beta of integers", gb_node_text(node));
    for (int64_t m = 0; m < g->m; m++) {
        for (int64_t n = 0; n < g->n; n++) {
            const int64_t at[2] = {m, n};
            int64_t sum = sum_int(in[0], g->trans_a ? m : m * g->k, g->trans_a ? g->m : 1, in[1],
                                  g->trans_b ? n * g->k : n, g->trans_b ? 1 : g->n, g->k);
            int64_t more = c ? gb_tensor_int(c, gb_ref_at_broadcast(&c->shape, at, 2)) : 0;
            ((int64_t *)out->data)[m * g->n + n] = (int64_t)((uint64_t)sum + (uint64_t)more);
        }
    }
    return 0;
}

GB_REF(gb_ref_gemm)
{
    gb_gemm g;
    int err = gb_gemm_read(node, &g);
    if (err < 0)
        return err;
    const gb_tensor *c = node->n_in > 2 ? in[2] : NULL;
    if (gb_ref_is_int(in[0]))
        return gemm_int(node, &g, in, c, out[0]);
    for (int64_t m = 0; m < g.m; m++) {
        for (int64_t n = 0; n < g.n; n++) {
            const int64_t at[2] = {m, n};
            double sum = 0;
            for (int64_t k = 0; k < g.k; k++)
                sum += gb_tensor_get(in[0], g.trans_a ? k * g.m + m : m * g.k + k) *
                       gb_tensor_get(in[1], g.trans_b ? n * g.k + k : k * g.n + n);
            sum *= g.alpha;
            if (c)
                sum += g.beta * gb_tensor_get(c, gb_ref_at_broadcast(&c->shape, at, 2));
            gb_tensor_set(out[0], m * g.n + n, sum);
        }
    }
    return 0;
}

GB_REF(gb_ref_matmul)
{
    gb_matmul g;
    int err = gb_matmul_read(node, &g);
    if (err < 0)
        return err;
    gb_shape a = g.a, b = g.b; // of the leading dimensions
    a.rank -= 2;
    b.rank -= 2;
    const int64_t count = gb_shape_count(&g.batch);
    int64_t at[GB_MAX_RANK] = {0}, y = 0;
    for (int64_t i = 0; i < count; i++, gb_ref_next(&g.batch, at)) {
        const int64_t a_base = gb_ref_at_broadcast(&a, at, g.batch.rank) * g.m * g.k;
        const int64_t b_base = gb_ref_at_broadcast(&b, at, g.batch.rank) * g.k * g.n;
        for (int64_t m = 0; m < g.m; m++) {
            for (int64_t n = 0; n < g.n; n++) {
                double sum = 0;
                if (gb_ref_is_int(in[0])) {
                    ((int64_t *)out[0]->data)[y++] =
                        sum_int(in[0], a_base + m * g.k, 1, in[1], b_base + n, g.n, g.k);
                    continue;
                }
                for (int64_t k = 0; k < g.k; k++)
                    sum += gb_tensor_get(in[0], a_base + m * g.k + k) *
                           gb_tensor_get(in[1], b_base + k * g.n + n);
                gb_tensor_set(out[0], y++, sum);
            }
        }
    }
    return 0;
}
