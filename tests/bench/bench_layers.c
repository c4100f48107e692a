// Times every launch of a model's schedule, its best round: milliseconds and GFLOP/s, beside the
// device's FMA peak.
//
//     bench_layers MODEL [BATCH [forward]]
#include "engine/internal.h"
#include "onnx/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 10 };

// GFLOP/s of independent fused multiply-adds in registers: cl/peak.cl.
static int peak(double *gflops, gb_device *dev)
{
    const gb_device_info *info = gb_device_get_info(dev);
    gb_kernel *kernel = NULL;
    gb_buf *out = NULL;
    const int loops = 400000;
    const size_t items = (size_t)info->compute_units * (info->type == GB_DEVICE_GPU ? 2048 : 8);
    double best = 0;
    int err = 0;
    GB_TRY(gb_buf_create(&out, dev, items * 16 * sizeof(float)));
    GB_TRY(gb_kernel_create(&kernel, dev, "peak", "peak", ""));
    GB_TRY(gb_kernel_arg_buf(kernel, 0, out));
    GB_TRY(gb_kernel_arg(kernel, 1, sizeof loops, &loops));
    // Alone in its group, so that every core gets some.
    const size_t one = info->type == GB_DEVICE_GPU ? 0 : 1;
    GB_TRY(gb_kernel_size(kernel, (const size_t[3]){items, 1, 1}, (const size_t[3]){one, 1, 1}));
    for (int round = 0; round < ROUNDS; round++) {
        GB_TRY(gb_device_profile(dev, true));
        GB_TRY(gb_kernel_run(kernel));
        GB_TRY(gb_device_finish(dev));
        double flops = 2.0 * 16 * loops * (double)items * info->vector_width;
        if (flops / gb_kernel_seconds(kernel) > best)
            best = flops / gb_kernel_seconds(kernel);
    }
    *gflops = best * 1e-9;
fail:
    gb_kernel_free(kernel);
    gb_buf_free(out);
    return err;
}

static int bench(gb_device *dev, const gb_graph *model, int64_t batch, bool gradient)
{
    gb_session *s = NULL;
    double *best = NULL;
    double total = 0, flops = 0, most = 0;
    const gb_session_options options = {.batch = batch, .grad = gradient,
                                        .seed = gradient ? model->out[0]->name : NULL};
    int err = 0;
    GB_TRY(peak(&most, dev));
    GB_TRY(gb_session_create(&s, dev, model, &options));
    GB_TRY(gb_session_gradient(s)); // compiles
    GB_TRY(gb_device_finish(dev));
    best = calloc(s->emit.n_launch, sizeof *best);
    if (!best) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
        goto fail;
    }
    for (int round = 0; round < ROUNDS; round++) {
        GB_TRY(gb_device_profile(dev, true));
        GB_TRY(gb_session_gradient(s));
        GB_TRY(gb_device_finish(dev));
        for (size_t i = 0; i < s->emit.n_launch; i++) {
            double seconds = gb_kernel_seconds(s->emit.launch[i]->ready);
            if (round == 0 || seconds < best[i])
                best[i] = seconds;
        }
    }
    for (size_t i = 0; i < s->emit.n_launch; i++) {
        const gb_launch *l = s->emit.launch[i];
        double ms = best[i] * 1e3;
        double work = l->flops * (double)s->chunks;
        printf("%4zu %s %-14s %8.3f ms", i, l->backward ? "B" : "F", l->kernel, ms);
        if (work > 0)
            printf(" %7.1f GFLOP/s %3.0f %%", work / ms * 1e-6, work / ms * 1e-4 / most);
        else
            printf("%22s", "");
        printf("  %s\n", l->node ? gb_node_text(l->node) : "");
        total += ms;
        flops += work;
    }
    printf("%.2f ms, %.1f GFLOP/s of %.1f: %.0f %%\n", total, flops / total * 1e-6, most,
           flops / total * 1e-4 / most);
fail:
    free(best);
    gb_session_free(s);
    return err;
}

int main(int argc, char **argv)
{
    gb_device *dev = NULL;
    gb_graph *model = NULL;
    int err = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_layers MODEL [BATCH [forward]]\n");
        return 2;
    }
    GB_TRY(gb_onnx_load(&model, argv[1]));
    GB_TRY(gb_device_open(&dev, NULL, NULL));
    GB_TRY(bench(dev, model, argc > 2 ? atoll(argv[2]) : 1,
                 !(argc > 3 && strcmp(argv[3], "forward") == 0)));
fail:
    if (err < 0)
        fprintf(stderr, "bench_layers: %s\n", gb_last_error());
    gb_graph_free(model);
    gb_device_close(dev);
    return err < 0;
}
