// Matrix products.
#include "ref/arithmetic.h"
#include "op/gemm.h"

GB_REF(gb_ref_gemm)
{
    gb_gemm g;
    int err = gb_gemm_read(node, &g);
    if (err < 0)
        return err;
    const gb_tensor *c = node->n_in > 2 ? in[2] : NULL;
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
                for (int64_t k = 0; k < g.k; k++)
                    sum += gb_tensor_get(in[0], a_base + m * g.k + k) *
                           gb_tensor_get(in[1], b_base + k * g.n + n);
                gb_tensor_set(out[0], y++, sum);
            }
        }
    }
    return 0;
}
