// Programs: compiled once per name and options on a device, or taken from the disk cache.
#include "base/hash.h"
#include "device/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// What the compiler said, its first lines joined by " | ".
static void build_log(char *out, size_t size, cl_program program, cl_device_id id)
{
    size_t length = 0, used = 0;
    snprintf(out, size, "no build log");
    clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, 0, NULL, &length);
    char *text = calloc(length + 1, 1);
    if (!text)
        return;
    clGetProgramBuildInfo(program, id, CL_PROGRAM_BUILD_LOG, length, text, NULL);
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line && used + 8 < size;
         line = strtok_r(NULL, "\r\n", &rest)) {
        int n = snprintf(out + used, size - used, "%s%s", used ? " | " : "", line);
        used += n > 0 ? (size_t)n : 0;
    }
    free(text);
}

static int build(cl_program program, gb_device *dev, const char *name, const char *options,
                 const gb_log *log_to)
{
    char log[700];
    if (dev->building)
        dev->building(dev->building_user, true);
    cl_int code = clBuildProgram(program, 1, &dev->id, options, NULL, NULL);
    if (dev->building)
        dev->building(dev->building_user, false);
    if (code == CL_SUCCESS)
        return 0;
    build_log(log, sizeof log, program, dev->id);
    gb_log_line(log_to, GB_LOG_DEBUG, "options of %s.cl: %s", name, options);
    return gb_cl_fail(code, "%s: clBuildProgram of %s.cl: %s", dev->info.name, name, log);
}

// A program from a cached binary; NULL if there is none that the driver takes.
static cl_program from_cache(gb_device *dev, const char *key, const char *options)
{
    void *data;
    size_t size;
    cl_int code, status;
    gb_cache_load(&data, &size, dev->binary_cache, key);
    if (!data)
        return NULL;
    const unsigned char *bytes = data;
    cl_program program = clCreateProgramWithBinary(dev->context, 1, &dev->id, &size, &bytes,
                                                   &status, &code);
    free(data);
    if (program && clBuildProgram(program, 1, &dev->id, options, NULL, NULL) != CL_SUCCESS) {
        clReleaseProgram(program);
        program = NULL;
    }
    return program;
}

static void to_cache(const gb_device *dev, cl_program program, const char *key)
{
    size_t size = 0;
    if (clGetProgramInfo(program, CL_PROGRAM_BINARY_SIZES, sizeof size, &size, NULL) !=
            CL_SUCCESS ||
        !size)
        return;
    unsigned char *bytes = malloc(size);
    if (bytes &&
        clGetProgramInfo(program, CL_PROGRAM_BINARIES, sizeof bytes, &bytes, NULL) == CL_SUCCESS)
        gb_cache_store(dev->binary_cache, key, bytes, size);
    free(bytes);
}

// The program, built unless it has been; holds dev->building_one.
static int get(gb_program **out, gb_device *dev, const char *name, const char *options,
               const gb_log *log)
{
    char *source = NULL, *all = NULL, *key = NULL;
    gb_program *p = NULL;
    double start = now();
    int err = 0;
    cl_int code;
    for (p = dev->programs; p; p = p->next) {
        if (!strcmp(p->name, name) && !strcmp(p->options, options)) {
            *out = p;
            return 0;
        }
    }
    GB_TRY(gb_program_source(&source, name, log));
    p = calloc(1, sizeof *p);
    if (!p || !(p->name = strdup(name)) || !(p->options = strdup(options)) ||
        asprintf(&all, "-cl-std=CL1.2 -D %s -D VW=%d %s",
                 dev->info.wide ? "GB_GPU" : "GB_CPU", dev->info.vector_width, options) < 0) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for program %s", name);
        goto fail;
    }
    if (dev->binary_cache) {
        if (asprintf(&key, "%s|%s|%s|%s|%s|%016" PRIx64, dev->info.platform_name, dev->info.name,
                     dev->info.driver, name, all,
                     gb_hash(GB_HASH_INIT, source, strlen(source))) < 0) {
            err = gb_fail(GB_ERR_NOMEM, "out of memory for program %s", name);
            goto fail;
        }
        p->program = from_cache(dev, key, all);
    }
    if (!p->program) {
        const char *text = source;
        p->program = clCreateProgramWithSource(dev->context, 1, &text, NULL, &code);
        if (!p->program) {
            err = gb_cl_fail(code, "%s: clCreateProgramWithSource of %s.cl", dev->info.name, name);
            goto fail;
        }
        GB_TRY(build(p->program, dev, name, all, log));
        if (key)
            to_cache(dev, p->program, key);
    }
    p->seconds = now() - start;
    dev->compile_seconds += p->seconds;
    p->next = dev->programs;
    dev->programs = p;
    *out = p;
    p = NULL;
fail:
    if (p) {
        if (p->program)
            clReleaseProgram(p->program);
        free(p->name);
        free(p->options);
        free(p);
    }
    free(source);
    free(all);
    free(key);
    return err;
}

int gb_program_get(cl_program *out, gb_device *dev, const char *name, const char *options,
                   const gb_log *log)
{
    gb_program *p = NULL;
    if (!options)
        options = "";
    name = gb_program_group(name, options);
    pthread_mutex_lock(&dev->program_lock);
    int err = get(&p, dev, name, options, log);
    if (!err && log && !p->told) {
        gb_log_line(log, GB_LOG_DEBUG, "compiled %s.cl %s in %.3f s", name, options, p->seconds);
        p->told = true;
    }
    pthread_mutex_unlock(&dev->program_lock);
    if (!err)
        *out = p->program;
    return err;
}

void gb_programs_free(gb_device *dev)
{
    while (dev->programs) {
        gb_program *p = dev->programs;
        dev->programs = p->next;
        clReleaseProgram(p->program);
        free(p->name);
        free(p->options);
        free(p);
    }
}
