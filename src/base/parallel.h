// Loops whose turns do not depend on each other, shared out among the host's processors.
#ifndef GB_BASE_PARALLEL_H
#define GB_BASE_PARALLEL_H

#include <stddef.h>

// Calls `work` for pieces [first, end) of [0, count), each turn in exactly one of them, from
// several threads at once; returns when all are done. What a turn does must not depend on the
// pieces, so that neither do results. grain: turns that are worth a thread (some 0.1 ms).
void gb_parallel(size_t count, size_t grain, void (*work)(void *user, size_t first, size_t end),
                 void *user);

#endif
