// LD_PRELOADed: makes an OpenCL device say that it is another one, and ends the program where a
// call goes beyond what it said. GIBBON_TEST_LIMITS is a list of NAME=NUMBER: type (bits of
// CL_DEVICE_TYPE), group (work-items of a work-group), local, alloc, memory, cache, constant,
// parameter (bytes), units, clock (MHz), align, address (bits).
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The function that is hidden here: `real` is it.
#define REAL(name)                        \
    static __typeof__(name) *real;        \
    if (!real)                            \
    *(void **)&real = dlsym(RTLD_NEXT, #name)

static bool limit(unsigned long long *out, const char *name)
{
    const char *text = getenv("GIBBON_TEST_LIMITS");
    const size_t length = strlen(name);
    while (text && *text) {
        if (!strncmp(text, name, length) && text[length] == '=') {
            *out = strtoull(text + length + 1, NULL, 0);
            return true;
        }
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return false;
}

// What a call asks for of what the device has.
static void check(const char *name, const char *what, unsigned long long asked)
{
    unsigned long long most;
    if (!limit(&most, name) || asked <= most)
        return;
    fprintf(stderr, "limits: %s: %llu; %s is %llu\n", what, asked, name, most);
    abort();
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t size, void *out,
                       size_t *got)
{
    static const struct {
        cl_device_info what;
        const char *name;
        size_t size;
    } known[] = {
        {CL_DEVICE_TYPE, "type", sizeof(cl_device_type)},
        {CL_DEVICE_MAX_WORK_GROUP_SIZE, "group", sizeof(size_t)},
        {CL_DEVICE_LOCAL_MEM_SIZE, "local", sizeof(cl_ulong)},
        {CL_DEVICE_MAX_MEM_ALLOC_SIZE, "alloc", sizeof(cl_ulong)},
        {CL_DEVICE_GLOBAL_MEM_SIZE, "memory", sizeof(cl_ulong)},
        {CL_DEVICE_GLOBAL_MEM_CACHE_SIZE, "cache", sizeof(cl_ulong)},
        {CL_DEVICE_MAX_CONSTANT_BUFFER_SIZE, "constant", sizeof(cl_ulong)},
        {CL_DEVICE_MAX_PARAMETER_SIZE, "parameter", sizeof(size_t)},
        {CL_DEVICE_MAX_COMPUTE_UNITS, "units", sizeof(cl_uint)},
        {CL_DEVICE_MAX_CLOCK_FREQUENCY, "clock", sizeof(cl_uint)},
        {CL_DEVICE_MEM_BASE_ADDR_ALIGN, "align", sizeof(cl_uint)},
        {CL_DEVICE_ADDRESS_BITS, "address", sizeof(cl_uint)},
    };
    REAL(clGetDeviceInfo);
    cl_int code = real(device, what, size, out, got);
    for (size_t i = 0; code == CL_SUCCESS && out && i < sizeof known / sizeof *known; i++) {
        unsigned long long value;
        if (known[i].what == what && limit(&value, known[i].name))
            memcpy(out, &value, known[i].size); // little-endian
    }
    return code;
}

cl_int clEnqueueNDRangeKernel(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                              const size_t *offset, const size_t *global, const size_t *local,
                              cl_uint n_wait, const cl_event *wait, cl_event *event)
{
    REAL(clEnqueueNDRangeKernel);
    char name[128] = "";
    cl_device_id device = NULL;
    cl_ulong local_bytes = 0;
    size_t items = 1;
    clGetKernelInfo(kernel, CL_KERNEL_FUNCTION_NAME, sizeof name - 1, name, NULL);
    clGetCommandQueueInfo(queue, CL_QUEUE_DEVICE, sizeof device, &device, NULL);
    clGetKernelWorkGroupInfo(kernel, device, CL_KERNEL_LOCAL_MEM_SIZE, sizeof local_bytes,
                             &local_bytes, NULL);
    for (cl_uint i = 0; i < dimensions; i++) {
        unsigned long long bits;
        items *= local ? local[i] : 1;
        if (limit(&bits, "address") && bits == 32 && global[i] > UINT32_MAX) {
            fprintf(stderr, "limits: %s: %zu work-items in 32 bits\n", name, global[i]);
            abort();
        }
        if (local && global[i] % local[i]) {
            fprintf(stderr, "limits: %s: work-groups of %zu do not divide %zu\n", name, local[i],
                    global[i]);
            abort();
        }
    }
    check("group", name, items);
    check("local", name, local_bytes);
    return real(queue, kernel, dimensions, offset, global, local, n_wait, wait, event);
}

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code)
{
    REAL(clCreateBuffer);
    check("alloc", "clCreateBuffer", size);
    return real(context, flags, size, host, code);
}

cl_mem clCreateSubBuffer(cl_mem buffer, cl_mem_flags flags, cl_buffer_create_type type,
                         const void *info, cl_int *code)
{
    REAL(clCreateSubBuffer);
    const cl_buffer_region *region = info;
    unsigned long long align;
    if (limit(&align, "align") && region->origin % (align / 8)) {
        fprintf(stderr, "limits: clCreateSubBuffer at %zu; align is %llu\n", region->origin, align);
        abort();
    }
    return real(buffer, flags, type, info, code);
}
