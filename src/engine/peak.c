// Measures what a device can do at most (cl/peak.cl).
#include "engine/peak.h"

enum { ROUNDS = 8, CHAINS = 16 };

static const double worth_timing = 0.004; // seconds

// The fewest seconds of a launch in some rounds.
static int fastest(double *seconds, gb_kernel *kernel, gb_device *dev, int rounds)
{
    int err = 0;
    for (int i = 0; i < rounds; i++) {
        GB_TRY(gb_device_profile(dev, true));
        GB_TRY(gb_kernel_run(kernel));
        GB_TRY(gb_device_finish(dev));
        double s = gb_kernel_seconds(kernel);
        *seconds = i == 0 || s < *seconds ? s : *seconds;
    }
fail:
    return err;
}

static int measure_flops(double *out, gb_device *dev)
{
    const gb_device_info *info = gb_device_get_info(dev);
    const bool wide = info->wide;
    // Eight a core, each alone in its group, so that every core gets some.
    const size_t items = (size_t)info->compute_units * (wide ? 2048 : 8);
    gb_kernel *kernel = NULL;
    gb_buf *sums = NULL;
    double seconds = 0;
    int loops = 500, err = 0;
    GB_TRY(gb_buf_create(&sums, dev, items * sizeof(float)));
    GB_TRY(gb_kernel_create(&kernel, dev, "peak", "peak", ""));
    GB_TRY(gb_kernel_arg_buf(kernel, 0, sums));
    GB_TRY(gb_kernel_size(kernel, (const size_t[3]){items, 1, 1},
                          (const size_t[3]){wide ? 0 : 1, 1, 1}));
    while (seconds < worth_timing && loops < 1 << 28) {
        loops *= 2;
        GB_TRY(gb_kernel_arg(kernel, 1, sizeof loops, &loops));
        GB_TRY(fastest(&seconds, kernel, dev, 2)); // the first one may compile
    }
    GB_TRY(fastest(&seconds, kernel, dev, ROUNDS));
    if (seconds > 0)
        *out = 2.0 * CHAINS * loops * (double)items * info->vector_width / seconds;
fail:
    gb_kernel_free(kernel);
    gb_buf_free(sums);
    return err;
}

static int measure_bytes(double *out, gb_device *dev)
{
    const gb_device_info *info = gb_device_get_info(dev);
    const bool wide = info->wide;
    const size_t vector = (size_t)info->vector_width * sizeof(float);
    size_t bytes = 4 * info->cache > (64 << 20) ? 4 * info->cache : 64 << 20;
    gb_kernel *kernel = NULL;
    gb_buf *from = NULL, *to = NULL;
    double seconds = 0;
    int err = 0;
    if (info->memory && bytes > info->memory / 8)
        bytes = info->memory / 8;
    if (info->max_alloc && bytes > info->max_alloc)
        bytes = info->max_alloc;
    const int count = (int)(bytes / vector), per = wide ? 0 : 4096 / (int)vector;
    const size_t items = wide ? (size_t)info->compute_units * 2048
                             : (size_t)((count + per - 1) / per);
    bytes = (size_t)count * vector;
    GB_TRY(gb_buf_create(&from, dev, bytes));
    GB_TRY(gb_buf_create(&to, dev, bytes));
    GB_TRY(gb_buf_fill(from, 0, bytes, 0));
    GB_TRY(gb_buf_fill(to, 0, bytes, 0));
    GB_TRY(gb_kernel_create(&kernel, dev, "peak", "copy", ""));
    GB_TRY(gb_kernel_arg_buf(kernel, 0, from));
    GB_TRY(gb_kernel_arg_buf(kernel, 1, to));
    GB_TRY(gb_kernel_arg(kernel, 2, sizeof count, &count));
    GB_TRY(gb_kernel_arg(kernel, 3, sizeof per, &per));
    GB_TRY(gb_kernel_size(kernel, (const size_t[3]){items, 1, 1},
                          (const size_t[3]){wide ? 0 : 1, 1, 1}));
    GB_TRY(fastest(&seconds, kernel, dev, ROUNDS));
    if (seconds > 0)
        *out = 2.0 * (double)bytes / seconds;
fail:
    gb_kernel_free(kernel);
    gb_buf_free(from);
    gb_buf_free(to);
    return err;
}

int gb_peak_measure(gb_peak *out, gb_device *dev)
{
    *out = (gb_peak){0};
    int err = measure_flops(&out->flops, dev);
    return err < 0 ? err : measure_bytes(&out->bytes, dev);
}
