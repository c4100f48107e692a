// The two ceilings of a device: fused multiply-adds in registers, and copies in memory.
#ifndef GB_ENGINE_PEAK_H
#define GB_ENGINE_PEAK_H

#include "device/device.h"

typedef struct gb_peak {
    double flops; // a second, of all cores, 2 for each fused multiply-add
    double bytes; // a second, read and written, of a copy much larger than the caches
} gb_peak;

// The best of several rounds of each, a fraction of a second in all. Leaves profiling on, and 0
// where it fails.
int gb_peak_measure(gb_peak *out, gb_device *dev);

// The least seconds that so many operations and bytes can take.
static inline double gb_peak_seconds(const gb_peak *peak, double flops, double bytes)
{
    double compute = flops / peak->flops, memory = bytes / peak->bytes;
    return compute > memory ? compute : memory;
}

#endif
