// Kernels: arguments, sizes, launches, and how long they took.
#include "device/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_TIMING = 4096 }; // events a queue holds before their times are read

int gb_kernel_create(gb_kernel **out, gb_device *dev, const char *program, const char *kernel,
                     const char *options)
{
    cl_program built = NULL;
    gb_kernel *k = NULL;
    int err = 0;
    cl_int code;
    GB_TRY(gb_program_get(&built, dev, program, options, &dev->log));
    k = calloc(1, sizeof *k);
    if (!k || asprintf(&k->name, "%s.%s", program, kernel) < 0) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
        goto fail;
    }
    k->dev = dev;
    k->kernel = clCreateKernel(built, kernel, &code);
    if (!k->kernel) {
        err = gb_cl_fail(code, "%s: clCreateKernel of %s", dev->info.name, k->name);
        goto fail;
    }
    *out = k;
    return 0;
fail:
    gb_kernel_free(k);
    return err;
}

void gb_kernel_free(gb_kernel *k)
{
    if (!k)
        return;
    if (k->dev && k->dev->n_timing)
        gb_timing_collect(k->dev);
    if (k->kernel)
        clReleaseKernel(k->kernel);
    gb_gemm_free(k->gemm);
    free(k->name);
    free(k);
}

int gb_kernel_arg(gb_kernel *k, int index, size_t bytes, const void *value)
{
    cl_int code = clSetKernelArg(k->kernel, (cl_uint)index, bytes, value);
    return code == CL_SUCCESS ? 0 : gb_cl_fail(code, "%s: argument %d of %zu bytes", k->name, index,
                                               bytes);
}

int gb_kernel_arg_buf(gb_kernel *k, int index, gb_buf *buf)
{
    return gb_kernel_arg(k, index, sizeof(cl_mem), buf ? &buf->mem : NULL);
}

int gb_kernel_size(gb_kernel *k, const size_t global[3], const size_t local[3])
{
    size_t items = 1;
    k->any_local = !local || !local[0];
    for (int i = 0; i < 3; i++) {
        k->global[i] = global[i];
        k->local[i] = k->any_local ? 0 : local[i];
        if (k->any_local)
            continue;
        if (!local[i] || global[i] % local[i])
            return gb_fail(GB_ERR_ARG, "%s: local size %zu does not divide global size %zu",
                           k->name, local[i], global[i]);
        items *= local[i];
    }
    if (items > k->dev->info.max_work_group)
        return gb_fail(GB_ERR_DEVICE, "%s: work-groups of %zu; %s takes up to %zu", k->name, items,
                       k->dev->info.name, k->dev->info.max_work_group);
    k->sized = true;
    return 0;
}

static void add_seconds(gb_kernel *k, double seconds)
{
    if (k->profile_round != k->dev->profile_round) {
        k->profile_round = k->dev->profile_round;
        k->seconds = 0;
    }
    k->seconds += seconds;
}

// CLBlast's product is a few launches and copies, and its event tells of the last one only: where
// time matters, the host's clock takes it.
static int run_gemm(gb_kernel *k)
{
    gb_device *dev = k->dev;
    struct timespec start, end;
    int err = 0;
    if (!dev->profile)
        return gb_gemm_enqueue(k);
    GB_TRY(gb_device_finish(dev));
    clock_gettime(CLOCK_MONOTONIC, &start);
    GB_TRY(gb_gemm_enqueue(k));
    GB_TRY(gb_device_finish(dev));
    clock_gettime(CLOCK_MONOTONIC, &end);
    add_seconds(k, (double)(end.tv_sec - start.tv_sec) +
                       1e-9 * (double)(end.tv_nsec - start.tv_nsec));
fail:
    return err;
}

static int enqueue(gb_kernel *k, cl_event *event)
{
    gb_device *dev = k->dev;
    cl_int code = clEnqueueNDRangeKernel(dev->queue, k->kernel, 3, NULL, k->global,
                                         k->any_local ? NULL : k->local, 0, NULL, event);
    return code == CL_SUCCESS ? 0 : gb_cl_fail(code, "%s: launch of %zux%zux%zu on %s", k->name,
                                               k->global[0], k->global[1], k->global[2],
                                               dev->info.name);
}

int gb_kernel_run(gb_kernel *k)
{
    gb_device *dev = k->dev;
    cl_event event = NULL;
    if (!k->sized)
        return gb_fail(GB_ERR_ARG, "%s: launched without a size", k->name);
    if (!k->global[0] || !k->global[1] || !k->global[2])
        return 0;
    if (k->gemm)
        return run_gemm(k);
    if (dev->profile) {
        int err = 0;
        if (dev->n_timing == MAX_TIMING)
            err = gb_device_finish(dev);
        if (!err)
            err = gb_grow(&dev->timing, &dev->cap_timing, dev->n_timing + 1, sizeof *dev->timing);
        if (err < 0)
            return err;
    }
    int err = enqueue(k, dev->profile ? &event : NULL);
    if (err < 0)
        return err;
    if (event)
        dev->timing[dev->n_timing++] = (gb_timing){k, event};
    return 0;
}

int gb_timing_collect(gb_device *dev)
{
    cl_int code = CL_SUCCESS;
    for (size_t i = 0; i < dev->n_timing; i++) {
        gb_timing *t = &dev->timing[i];
        gb_kernel *k = t->kernel;
        cl_ulong start = 0, end = 0;
        cl_int got = clWaitForEvents(1, &t->event);
        if (got == CL_SUCCESS)
            got = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_START, sizeof start,
                                          &start, NULL);
        if (got == CL_SUCCESS)
            got = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_END, sizeof end, &end,
                                          NULL);
        add_seconds(k, got == CL_SUCCESS && end > start ? 1e-9 * (double)(end - start) : 0);
        if (got != CL_SUCCESS)
            code = got;
        clReleaseEvent(t->event);
    }
    dev->n_timing = 0;
    return code == CL_SUCCESS ? 0 : gb_cl_fail(code, "%s: a launch's time", dev->info.name);
}

double gb_kernel_seconds(const gb_kernel *k)
{
    return k->profile_round == k->dev->profile_round ? k->seconds : 0;
}
