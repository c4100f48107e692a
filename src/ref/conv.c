// Convolution, from its definition.
#include "ref/arithmetic.h"
#include "op/window.h"

// One output element: the sum over the group's channels and the taps that lie inside.
static double one(const gb_window *w, const gb_tensor *x, const gb_tensor *weight, int64_t n,
                  int64_t m, const int64_t *o)
{
    const int64_t per_group = w->c_in / w->groups;
    const int64_t first = m / (w->c_out / w->groups) * per_group;
    const gb_shape x_shape = {5, {w->batch, w->c_in, w->in[0], w->in[1], w->in[2]}};
    const gb_shape w_shape = {5, {w->c_out, per_group, w->kernel[0], w->kernel[1], w->kernel[2]}};
    const gb_shape taps = {4, {per_group, w->kernel[0], w->kernel[1], w->kernel[2]}};
    int64_t k[4] = {0};
    double sum = 0;
    do {
        int64_t i[3];
        bool inside = true;
        for (int d = 0; d < 3; d++) {
            i[d] = o[d] * w->stride[d] + k[d + 1] * w->dilation[d] - w->pad_begin[d];
            inside = inside && i[d] >= 0 && i[d] < w->in[d];
        }
        if (!inside)
            continue;
        int64_t x_at[5] = {n, first + k[0], i[0], i[1], i[2]};
        int64_t w_at[5] = {m, k[0], k[1], k[2], k[3]};
        sum += gb_tensor_get(x, gb_ref_at(&x_shape, x_at)) *
               gb_tensor_get(weight, gb_ref_at(&w_shape, w_at));
    } while (gb_ref_next(&taps, k));
    return sum;
}

GB_REF(gb_ref_conv)
{
    gb_window w;
    int err = gb_window_read(node, &w);
    if (err < 0)
        return err;
    const gb_tensor *bias = node->n_in > 2 ? in[2] : NULL;
    const gb_shape shape = {5, {w.batch, w.c_out, w.out[0], w.out[1], w.out[2]}};
    const int64_t count = gb_shape_count(&shape);
    int64_t at[5] = {0};
    for (int64_t y = 0; y < count; y++, gb_ref_next(&shape, at)) {
        double sum = one(&w, in[0], in[1], at[0], at[1], at + 2);
        gb_tensor_set(out[0], y, sum + (bias ? gb_tensor_get(bias, at[1]) : 0));
    }
    return 0;
}
