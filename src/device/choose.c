// Chooses a device from a list by what a user typed.
#include "base/name.h"
#include "base/number.h"
#include "device/device.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The default's order: a discrete GPU before an integrated one before a CPU before the rest, and
// last what cannot be used.
static int rank(const gb_device_info *d)
{
    if (d->unusable[0])
        return -1;
    switch (d->type) {
    case GB_DEVICE_GPU: return d->integrated ? 2 : 3;
    case GB_DEVICE_CPU: return 1;
    default: return 0;
    }
}

// Units x clock. Some drivers tell no clock: that of the fastest of its kind then.
static int64_t power(const gb_device_info *d, const gb_device_info *list, size_t count)
{
    int clock = d->clock_mhz;
    for (size_t i = 0; i < count && d->clock_mhz <= 0; i++)
        if (rank(&list[i]) == rank(d) && list[i].clock_mhz > clock)
            clock = list[i].clock_mhz;
    return (int64_t)d->compute_units * (clock > 0 ? clock : 1);
}

static bool is_better(const gb_device_info *a, const gb_device_info *b, const gb_device_info *list,
                      size_t count)
{
    int ra = rank(a), rb = rank(b);
    return ra != rb ? ra > rb : power(a, list, count) > power(b, list, count);
}

static bool has_piece(const char *text, const char *piece)
{
    for (; *text; text++)
        if (gb_begins_with(text, piece))
            return true;
    return false;
}

// What people call the drivers, and a piece of the name of such a driver's platform.
static const struct {
    const char *called, *platform;
} drivers[] = {
    {"pocl", "Portable Computing Language"},
    {"mesa", "rusticl"},
    {"mesa", "Clover"},
    {"intel", "Intel"},
    {"neo", "Intel(R) OpenCL HD Graphics"},
    {"neo", "Intel(R) OpenCL Graphics"},
    {"beignet", "Intel Gen OCL"},
    {"amd", "AMD Accelerated Parallel Processing"},
    {"rocm", "AMD Accelerated Parallel Processing"},
    {"nvidia", "NVIDIA"},
    {"cuda", "NVIDIA"},
    {"arm", "ARM Platform"},
    {"mali", "ARM Platform"},
    {"qualcomm", "QUALCOMM"},
    {"adreno", "QUALCOMM"},
    {"imagination", "PowerVR"},
    {"vc4cl", "VideoCore"},
};

static bool is_called(const gb_device_info *d, const char *spec)
{
    for (size_t i = 0; i < GB_COUNT(drivers); i++)
        if (gb_same_word(spec, drivers[i].called) &&
            has_piece(d->platform_name, drivers[i].platform))
            return true;
    return false;
}

// How well words without a meaning of their own name a device; 0: not at all.
static int likeness(const gb_device_info *d, const char *spec)
{
    if (gb_same_word(d->name, spec) || gb_same_word(d->platform_name, spec))
        return 3;
    if (is_called(d, spec))
        return 2;
    return has_piece(d->name, spec) || has_piece(d->platform_name, spec);
}

static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    va_start(args, format);
    gb_vformat(text + used, size - used, format, args);
    va_end(args);
}

// "0:0 NVIDIA RTX (NVIDIA CUDA), 1:0 ..." of those in match, or of all where match is NULL.
static void names(char *text, size_t size, const gb_device_info *list, size_t count,
                  const int *match)
{
    text[0] = 0;
    for (size_t i = 0; i < count; i++)
        if (!match || match[i])
            append(text, size, "%s%d:%d %s (%s)", text[0] ? ", " : "", list[i].platform,
                   list[i].device, list[i].name, list[i].platform_name);
}

// "P:D" and nothing else.
static bool parse_index(const char *spec, long *p, long *d)
{
    char *end;
    if (*spec < '0' || *spec > '9')
        return false;
    *p = strtol(spec, &end, 10);
    if (*end != ':' || end[1] < '0' || end[1] > '9')
        return false;
    *d = strtol(end + 1, &end, 10);
    return *end == 0;
}

int gb_device_choose(size_t *index, const gb_device_info *list, size_t count, const char *spec)
{
    char text[800];
    long p, d;
    const char *from = "";
    if (!spec) {
        spec = getenv("GIBBON_DEVICE");
        from = " (from $GIBBON_DEVICE)";
    }
    if (!spec || !*spec) {
        spec = "any";
        from = "";
    }
    if (!count)
        return gb_fail(GB_ERR_NO_DEVICE,
                       "no OpenCL device found; install a driver, for example pocl-opencl-icd for "
                       "the CPU, or your GPU vendor's (`gibbon devices` lists the packages)");

    int *match = calloc(count, sizeof *match);
    if (!match)
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu devices", count);
    bool any = gb_same_word(spec, "any"), cpu = gb_same_word(spec, "cpu");
    bool gpu = gb_same_word(spec, "gpu"), numbered = parse_index(spec, &p, &d);
    size_t matches = 0, best = 0;
    int closest = 1, err = 0;
    for (size_t i = 0; i < count; i++) {
        const gb_device_info *o = &list[i];
        if (any || cpu || gpu)
            match[i] = any || o->type == (cpu ? GB_DEVICE_CPU : GB_DEVICE_GPU);
        else if (numbered)
            match[i] = o->platform == p && o->device == d;
        else
            match[i] = likeness(o, spec);
        closest = match[i] > closest ? match[i] : closest;
    }
    for (size_t i = 0; i < count; i++) {
        match[i] = match[i] == closest;
        if (match[i] && (!matches++ || is_better(&list[i], &list[best], list, count)))
            best = i;
    }
    if (!matches) {
        names(text, sizeof text, list, count, NULL);
        err = gb_fail(GB_ERR_NO_DEVICE, "no device matches '%s'%s; there is %s", spec, from, text);
    } else if (matches > 1 && !any && !cpu && !gpu) {
        names(text, sizeof text, list, count, match);
        err = gb_fail(GB_ERR_AMBIGUOUS, "'%s'%s matches several devices: %s; give its index P:D",
                      spec, from, text);
    } else {
        *index = best;
    }
    free(match);
    return err;
}
