// Maximum and average over windows.
#include "ref/arithmetic.h"
#include "op/window.h"

#include <math.h>

static int pool(const gb_node *node, const gb_tensor *x, gb_tensor *y, bool max)
{
    gb_window w;
    int err = gb_window_read(node, &w);
    if (err < 0)
        return err;
    const gb_shape x_shape = {5, {w.batch, w.c_in, w.in[0], w.in[1], w.in[2]}};
    const gb_shape y_shape = {5, {w.batch, w.c_out, w.out[0], w.out[1], w.out[2]}};
    const gb_shape taps = {3, {w.kernel[0], w.kernel[1], w.kernel[2]}};
    const int64_t count = gb_shape_count(&y_shape);
    int64_t at[5] = {0};
    for (int64_t o = 0; o < count; o++, gb_ref_next(&y_shape, at)) {
        double sum = 0, top = -INFINITY;
        int64_t divisor = 0, k[3] = {0};
        do {
            int64_t x_at[5] = {at[0], at[1]};
            bool inside = true, padded = true;
            for (int d = 0; d < 3; d++) {
                int64_t i = at[2 + d] * w.stride[d] + k[d] * w.dilation[d] - w.pad_begin[d];
                inside = inside && i >= 0 && i < w.in[d];
                padded = padded && i < w.in[d] + w.pad_end[d];
                x_at[2 + d] = i;
            }
            divisor += w.count_include_pad ? padded : inside;
            if (!inside)
                continue;
            double v = gb_tensor_get(x, gb_ref_at(&x_shape, x_at));
            sum += v;
            top = v > top || isnan(v) ? v : top;
        } while (gb_ref_next(&taps, k));
        gb_tensor_set(y, o, max ? top : sum / (double)divisor);
    }
    return 0;
}

GB_REF(gb_ref_max_pool)
{
    return pool(node, in[0], out[0], true);
}

GB_REF(gb_ref_average_pool)
{
    return pool(node, in[0], out[0], false);
}
