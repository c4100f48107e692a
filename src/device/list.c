// Lists the devices of every platform and chooses among them.
#include "device/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char gb_pocl_name[] = "Portable Computing Language";

static void text_of(cl_device_id id, cl_device_info what, char *out, size_t size)
{
    char text[4096] = "";
    size_t got = 0;
    out[0] = 0;
    if (clGetDeviceInfo(id, what, sizeof text - 1, text, &got) != CL_SUCCESS)
        return;
    const char *from = text;
    while (isspace((unsigned char)*from))
        from++;
    size_t length = strlen(from);
    while (length && isspace((unsigned char)from[length - 1]))
        length--;
    snprintf(out, size, "%.*s", (int)length, from);
}

// An integer property, 0 if the device does not tell.
static uint64_t number_of(cl_device_id id, cl_device_info what)
{
    union {
        cl_uint u32;
        cl_ulong u64;
    } v = {0};
    size_t got = 0;
    if (clGetDeviceInfo(id, what, sizeof v, &v, &got) != CL_SUCCESS)
        return 0;
    return got == sizeof(cl_uint) ? v.u32 : v.u64;
}

static bool has_extension(cl_device_id id, const char *name)
{
    bool found = false;
    size_t size = 0;
    if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, 0, NULL, &size) != CL_SUCCESS || !size)
        return false;
    char *text = calloc(size + 1, 1);
    if (!text)
        return false;
    if (clGetDeviceInfo(id, CL_DEVICE_EXTENSIONS, size, text, NULL) == CL_SUCCESS) {
        char *rest = NULL;
        for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
            found |= !strcmp(word, name);
    }
    free(text);
    return found;
}

// Whether the device says no to that; silence is no no.
static bool denies(cl_device_id id, cl_device_info what)
{
    cl_bool value = CL_TRUE;
    return clGetDeviceInfo(id, what, sizeof value, &value, NULL) == CL_SUCCESS && !value;
}

static void find_fault(gb_device_info *info, cl_device_id id)
{
    static const uint16_t one = 1;
    const bool little = *(const uint8_t *)&one == 1;
    int major = 0, minor = 0;
    const char *why = "";
    if (denies(id, CL_DEVICE_AVAILABLE))
        why = "its driver says that it is not available";
    else if (denies(id, CL_DEVICE_COMPILER_AVAILABLE))
        why = "its driver compiles no OpenCL C";
    else if (denies(id, CL_DEVICE_ENDIAN_LITTLE) == little)
        why = "its numbers have another order of bytes than the host's";
    else if (sscanf(info->version, "OpenCL C %d.%d", &major, &minor) == 2 &&
             major * 10 + minor < 12)
        why = "its driver compiles no OpenCL C 1.2, which gibbon needs";
    snprintf(info->unusable, sizeof info->unusable, "%s", why);
}

static void describe(gb_device_info *info, cl_device_id id)
{
    cl_device_type type = number_of(id, CL_DEVICE_TYPE);
    text_of(id, CL_DEVICE_NAME, info->name, sizeof info->name);
    text_of(id, CL_DEVICE_VENDOR, info->vendor, sizeof info->vendor);
    text_of(id, CL_DRIVER_VERSION, info->driver, sizeof info->driver);
    text_of(id, CL_DEVICE_OPENCL_C_VERSION, info->version, sizeof info->version);
    // A simulator may claim to be several types at once; it is a CPU then.
    info->type = type & CL_DEVICE_TYPE_CPU   ? GB_DEVICE_CPU
                 : type & CL_DEVICE_TYPE_GPU ? GB_DEVICE_GPU
                                             : GB_DEVICE_OTHER;
    info->integrated = number_of(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
    info->fp16 = has_extension(id, "cl_khr_fp16");
    info->fp64 = has_extension(id, "cl_khr_fp64");
    info->subgroups = has_extension(id, "cl_khr_subgroups") ||
                      has_extension(id, "cl_intel_subgroups");
    info->vendor_id = (unsigned)number_of(id, CL_DEVICE_VENDOR_ID);
    info->compute_units = (int)number_of(id, CL_DEVICE_MAX_COMPUTE_UNITS);
    info->clock_mhz = (int)number_of(id, CL_DEVICE_MAX_CLOCK_FREQUENCY);
    int width = (int)number_of(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT);
    info->vector_width = width >= 16 ? 16 : width >= 8 ? 8 : 4;
    info->memory = number_of(id, CL_DEVICE_GLOBAL_MEM_SIZE);
    info->max_alloc = number_of(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
    info->cache = number_of(id, CL_DEVICE_GLOBAL_MEM_CACHE_SIZE);
    info->local_memory = number_of(id, CL_DEVICE_LOCAL_MEM_SIZE);
    info->max_work_group = number_of(id, CL_DEVICE_MAX_WORK_GROUP_SIZE);
    info->align = number_of(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN) / 8;
    if (info->align < 64) // a cache line, and float16 loads
        info->align = 64;
    find_fault(info, id);
}

int gb_find_devices(gb_found_device **list, size_t *count, const gb_log *log)
{
    gb_found_device *found = NULL;
    cl_platform_id *platform = NULL;
    cl_device_id *id = NULL;
    size_t n = 0, cap = 0;
    cl_uint n_platform = 0;
    char empty[1200] = "", homeless[1000] = ""; // platforms without a device; PoCL's trouble
    int err = 0;
    if (gb_prepare_pocl(log) < 0)
        snprintf(homeless, sizeof homeless, "%s", gb_last_error());
    // Without any driver the loader answers with an error of its own (-1001): an empty list.
    if (clGetPlatformIDs(0, NULL, &n_platform) != CL_SUCCESS)
        n_platform = 0;
    platform = calloc(n_platform + 1, sizeof *platform);
    if (!platform) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for %u platforms", n_platform);
        goto fail;
    }
    if (n_platform && clGetPlatformIDs(n_platform, platform, NULL) != CL_SUCCESS)
        n_platform = 0;
    for (cl_uint p = 0; p < n_platform; p++) {
        char name[sizeof found->info.platform_name] = "";
        clGetPlatformInfo(platform[p], CL_PLATFORM_NAME, sizeof name - 1, name, NULL);
        const char *why = strcmp(name, gb_pocl_name) ? "" : homeless;
        cl_uint n_id = 0;
        cl_int code = clGetDeviceIDs(platform[p], CL_DEVICE_TYPE_ALL, 0, NULL, &n_id);
        if (code == CL_SUCCESS && n_id) {
            free(id);
            id = calloc(n_id, sizeof *id);
            if (!id) {
                err = gb_fail(GB_ERR_NOMEM, "out of memory for %u devices", n_id);
                goto fail;
            }
            code = clGetDeviceIDs(platform[p], CL_DEVICE_TYPE_ALL, n_id, id, NULL);
        }
        if (code != CL_SUCCESS || !n_id) {
            const bool none = code == CL_DEVICE_NOT_FOUND || code == CL_SUCCESS;
            gb_log_level level = none && !*why ? GB_LOG_DEBUG : GB_LOG_WARN;
            if (!*why)
                why = none ? "shows no device" : gb_cl_name(code);
            gb_log_line(log, level,
                        "platform %u (%s) has no usable device: %s", p, name, why);
            const size_t used = strlen(empty);
            snprintf(empty + used, sizeof empty - used, "%s%s: %s", used ? "; " : "", name, why);
            continue;
        }
        GB_TRY(gb_grow(&found, &cap, n + n_id, sizeof *found));
        for (cl_uint d = 0; d < n_id; d++) {
            gb_found_device *f = &found[n++];
            *f = (gb_found_device){.platform = platform[p], .id = id[d]};
            f->info.platform = (int)p;
            f->info.device = (int)d;
            snprintf(f->info.platform_name, sizeof f->info.platform_name, "%s", name);
            describe(&f->info, id[d]);
        }
    }
    if (!n)
        gb_say_no_device(empty);
    *list = found;
    *count = n;
    found = NULL;
fail:
    free(found);
    free(platform);
    free(id);
    return err;
}

int gb_device_list(gb_device_info **list, size_t *count, const gb_log *log)
{
    gb_found_device *found = NULL;
    size_t n = 0;
    int err = gb_find_devices(&found, &n, log);
    if (err < 0)
        return err;
    gb_device_info *info = calloc(n + 1, sizeof *info);
    if (!info) {
        free(found);
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu devices", n);
    }
    for (size_t i = 0; i < n; i++)
        info[i] = found[i].info;
    free(found);
    *list = info;
    *count = n;
    return 0;
}

const char *gb_device_type_name(gb_device_type type)
{
    return type == GB_DEVICE_CPU ? "CPU" : type == GB_DEVICE_GPU ? "GPU" : "other";
}
