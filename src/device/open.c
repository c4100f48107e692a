// Opens and closes a device: context, in-order queue, limits, profiling mode.
#include "device/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

// $GIBBON_MEMORY_LIMIT: bytes, or with a suffix K, M or G (powers of 1024).
static int apply_memory_limit(gb_device_info *info)
{
    const char *text = getenv("GIBBON_MEMORY_LIMIT");
    if (!text || !*text)
        return 0;
    char *end;
    unsigned long long limit = strtoull(text, &end, 10);
    int shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (shift)
        end++;
    if (*text < '0' || *text > '9' || *end || !limit || limit > SIZE_MAX >> shift)
        return gb_fail(GB_ERR_ARG, "GIBBON_MEMORY_LIMIT '%s' is not a size in bytes", text);
    if (limit << shift < info->memory)
        info->memory = limit << shift;
    if (info->max_alloc > info->memory)
        info->max_alloc = info->memory;
    return 0;
}

// $GIBBON_KERNEL_FORM: runs the GPU form of the kernels on a CPU device, or the other way round, or
// the CPU form with vectors of another width.
static int apply_kernel_form(gb_device_info *info)
{
    const char *text = getenv("GIBBON_KERNEL_FORM");
    if (!text || !*text)
        return 0;
    static const struct {
        const char *name;
        gb_device_type type;
        int vector_width;
    } forms[] = {{"gpu", GB_DEVICE_GPU, 1}, {"cpu4", GB_DEVICE_CPU, 4},
                 {"cpu8", GB_DEVICE_CPU, 8}, {"cpu16", GB_DEVICE_CPU, 16}};
    for (size_t i = 0; i < GB_COUNT(forms); i++) {
        if (!strcmp(text, forms[i].name)) {
            info->type = forms[i].type;
            info->vector_width = forms[i].vector_width;
            info->form_asked = true;
            return 0;
        }
    }
    return gb_fail(GB_ERR_ARG, "GIBBON_KERNEL_FORM '%s' is not gpu, cpu4, cpu8 or cpu16", text);
}

static int read_gemm(gb_device_info *info)
{
    const char *text = getenv("GIBBON_GEMM");
    info->clblast = text && !strcmp(text, "clblast");
    if (text && *text && !info->clblast && strcmp(text, "own") != 0)
        return gb_fail(GB_ERR_ARG, "GIBBON_GEMM '%s' is not own or clblast", text);
    return 0;
}

static const char pocl[] = "Portable Computing Language";

// PoCL and NVIDIA keep compiled kernels themselves (asking PoCL for a binary even compiles a second
// one); oclgrind has nothing worth keeping. $GIBBON_CACHE=on|off overrules.
static bool wants_binary_cache(const gb_device_info *info)
{
    static const char *const own[] = {pocl, "NVIDIA CUDA", "Oclgrind"};
    const char *text = getenv("GIBBON_CACHE");
    if (text && *text)
        return strcmp(text, "off") != 0;
    for (size_t i = 0; i < GB_COUNT(own); i++)
        if (!strcmp(info->platform_name, own[i]))
            return false;
    return true;
}

static int open_queue(gb_device *dev)
{
    cl_int code;
    dev->queue = clCreateCommandQueue(dev->context, dev->id,
                                      dev->profile ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
    return dev->queue ? 0 : gb_cl_fail(code, "%s: clCreateCommandQueue", dev->info.name);
}

int gb_device_open(gb_device **out, const char *spec, const gb_log *log)
{
    gb_found_device *found = NULL;
    gb_device_info *list = NULL;
    gb_device *dev = NULL;
    size_t count = 0, index = 0;
    int err = 0;
    if (!out)
        return gb_fail(GB_ERR_ARG, "gb_device_open: an argument is NULL");
    GB_TRY(gb_find_devices(&found, &count, log));
    list = calloc(count + 1, sizeof *list);
    dev = calloc(1, sizeof *dev);
    if (!list || !dev) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for %zu devices", count);
        goto fail;
    }
    for (size_t i = 0; i < count; i++)
        list[i] = found[i].info;
    GB_TRY(gb_device_choose(&index, list, count, spec));
    dev->info = list[index];
    dev->id = found[index].id;
    if (log)
        dev->log = *log;
    pthread_mutex_init(&dev->program_lock, NULL);

    int major = 0, minor = 0;
    if (sscanf(dev->info.version, "OpenCL C %d.%d", &major, &minor) == 2 &&
        major * 10 + minor < 12) {
        err = gb_fail(GB_ERR_DEVICE, "%s speaks %s; gibbon needs OpenCL C 1.2", dev->info.name,
                      dev->info.version);
        goto fail;
    }
    GB_TRY(apply_memory_limit(&dev->info));
    GB_TRY(apply_kernel_form(&dev->info));
    GB_TRY(read_gemm(&dev->info));
    dev->binary_cache = wants_binary_cache(&dev->info);
    dev->compiles_late = !strcmp(dev->info.platform_name, pocl);

    cl_int code;
    const cl_context_properties properties[] = {
        CL_CONTEXT_PLATFORM, (cl_context_properties)found[index].platform, 0};
    dev->context = clCreateContext(properties, 1, &dev->id, NULL, NULL, &code);
    if (!dev->context) {
        err = gb_cl_fail(code, "%s: clCreateContext", dev->info.name);
        goto fail;
    }
    GB_TRY(open_queue(dev));
    *out = dev;
    dev = NULL;
fail:
    gb_device_close(dev);
    free(found);
    free(list);
    return err;
}

void gb_device_close(gb_device *dev)
{
    if (!dev)
        return;
    if (dev->queue) {
        clFinish(dev->queue);
        for (size_t i = 0; i < dev->n_timing; i++)
            clReleaseEvent(dev->timing[i].event);
        clReleaseCommandQueue(dev->queue);
    }
    free(dev->timing);
    gb_ahead_free(dev->ahead);
    gb_programs_free(dev);
    if (dev->context)
        clReleaseContext(dev->context);
    free(dev);
}

int gb_device_allow_precision(gb_device *dev, gb_precision precision)
{
    enum { COMPUTE_CAPABILITY_MAJOR_NV = 0x4000 }; // cl_nv_device_attribute_query
    const gb_device_info *info = &dev->info;
    const bool emulated = info->form_asked && info->type == GB_DEVICE_GPU;
    cl_uint major = 0;
    if (precision == GB_FLOAT32 || emulated) {
        dev->info.precision = precision;
        return 0;
    }
    if (info->form_asked || info->type != GB_DEVICE_GPU || info->vendor_id != GB_VENDOR_NVIDIA)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: precision %s needs the tensor cores of an NVIDIA "
                       "GPU; use float32, the default", info->name, gb_precision_names[precision]);
    if (clGetDeviceInfo(dev->id, COMPUTE_CAPABILITY_MAJOR_NV, sizeof major, &major, NULL) ==
            CL_SUCCESS && major < 8)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: precision %s needs tensor cores of compute "
                       "capability 8.0 or later (Ampere); use float32, the default", info->name,
                       gb_precision_names[precision]);
    dev->info.precision = precision;
    return 0;
}

const gb_device_info *gb_device_get_info(const gb_device *dev)
{
    return &dev->info;
}

const gb_log *gb_device_get_log(const gb_device *dev)
{
    return &dev->log;
}

void gb_device_watch(gb_device *dev, void (*building)(void *user, bool on), void *user)
{
    dev->building = dev->compiles_late ? building : NULL;
    dev->building_user = user;
}

void gb_device_rehearse(gb_device *dev)
{
    dev->rehearses = true;
}

bool gb_device_rehearses(const gb_device *dev)
{
    return dev->rehearses;
}

double gb_device_compile_seconds(const gb_device *dev)
{
    return dev->compile_seconds;
}

int gb_device_flush(gb_device *dev)
{
    cl_int code = clFlush(dev->queue);
    return code == CL_SUCCESS ? 0 : gb_cl_fail(code, "%s: clFlush", dev->info.name);
}

int gb_device_finish(gb_device *dev)
{
    cl_int code = clFinish(dev->queue);
    if (code != CL_SUCCESS)
        return gb_cl_fail(code, "%s: clFinish", dev->info.name);
    return gb_timing_collect(dev);
}

// Whether launches are timed is a property of the queue, so the queue changes.
int gb_device_profile(gb_device *dev, bool on)
{
    int err = gb_device_finish(dev);
    if (err < 0)
        return err;
    dev->profile_round += on;
    if (dev->profile == on)
        return 0;
    cl_command_queue before = dev->queue;
    dev->profile = on;
    err = open_queue(dev);
    if (err < 0) {
        dev->queue = before;
        dev->profile = !on;
        return err;
    }
    clReleaseCommandQueue(before);
    return 0;
}
