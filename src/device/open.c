// Opens and closes a device: context, in-order queue, limits, profiling mode.
#include "device/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

// The form of the kernels, decided here and nowhere else. The wide one asks for work-groups of 64
// and for the local memory of the smallest tile of cl/gemm_gpu.cl; the other asks for nothing, so
// every device that may have less, or is no GPU, gets it. $GIBBON_KERNEL_FORM overrules.
static int choose_form(gb_device_info *info)
{
    enum { ITEMS = 64, LOCAL_BYTES = 8 << 10 };
    static const struct {
        const char *name;
        bool wide;
        int vector_width;
    } forms[] = {{"gpu", true, 1}, {"cpu4", false, 4}, {"cpu8", false, 8}, {"cpu16", false, 16}};
    const char *text = getenv("GIBBON_KERNEL_FORM");
    if (!text || !*text) {
        info->wide = info->type == GB_DEVICE_GPU && info->max_work_group >= ITEMS &&
                     info->local_memory >= LOCAL_BYTES;
        if (info->wide)
            info->vector_width = 1;
        return 0;
    }
    for (size_t i = 0; i < GB_COUNT(forms); i++) {
        if (!strcmp(text, forms[i].name)) {
            info->wide = forms[i].wide;
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

// PoCL and NVIDIA keep compiled kernels themselves (asking PoCL for a binary even compiles a second
// one); oclgrind has nothing worth keeping. $GIBBON_CACHE=on|off overrules.
static bool wants_binary_cache(const gb_device_info *info)
{
    static const char *const own[] = {gb_pocl_name, "NVIDIA CUDA", "Oclgrind"};
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
    if (!count) {
        err = GB_ERR_NO_DEVICE; // the reason is recorded
        goto fail;
    }
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

    if (dev->info.unusable[0]) {
        err = gb_fail(GB_ERR_DEVICE, "%s: %s", dev->info.name, dev->info.unusable);
        goto fail;
    }
    GB_TRY(apply_memory_limit(&dev->info));
    GB_TRY(choose_form(&dev->info));
    GB_TRY(read_gemm(&dev->info));
    char folder[3072];
    if (wants_binary_cache(&dev->info) && gb_cache_folder(folder, sizeof folder) == 0)
        dev->binary_cache = strdup(folder); // NULL does no harm
    dev->compiles_late = !strcmp(dev->info.platform_name, gb_pocl_name);

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
    free(dev->binary_cache);
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
    const bool emulated = info->form_asked && info->wide;
    cl_uint major = 0;
    if (precision == GB_FLOAT32 || emulated) {
        dev->info.precision = precision;
        return 0;
    }
    if (info->form_asked || !info->wide || info->vendor_id != GB_VENDOR_NVIDIA)
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
