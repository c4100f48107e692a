// The memory plan: which launches touch a store, and where it lies in the arena.
#ifndef GB_ENGINE_PLAN_H
#define GB_ENGINE_PLAN_H

#include "op/emit.h"

enum { GB_MAX_ARENAS = 64 };

typedef struct gb_plan {
    int arenas; // one, unless the device limits the size of a buffer
    size_t arena_bytes[GB_MAX_ARENAS];
    gb_buf *arena[GB_MAX_ARENAS];
    size_t naive_bytes; // what the temporaries would take without reuse
    size_t weight_bytes, io_bytes;
} gb_plan;

// Finds each store's life, lays the temporaries out (largest first, each at the lowest offset that
// is free for its whole life; one that may lie over another does), allocates, uploads the constants
// and drops their host copies. separate: a buffer for each temporary, nothing reused.
// GB_ERR_DEVICE_MEM where it does not fit.
int gb_plan_create(gb_plan *plan, gb_emit *e, bool separate);
void gb_plan_finish(gb_plan *plan, gb_emit *e);

#endif
