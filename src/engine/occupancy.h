// Which addresses of an arena are taken at which times.
#ifndef GB_ENGINE_OCCUPANCY_H
#define GB_ENGINE_OCCUPANCY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct gb_occupancy gb_occupancy;

// Times are 0 to n_time - 1. NULL (with a recorded error) when out of memory.
gb_occupancy *gb_occupancy_create(size_t n_time);
void gb_occupancy_free(gb_occupancy *o);
// The lowest address from which so many bytes are free at every time from first to last. Where that
// is above `most`, any address above it; where it takes too long to find, one above all that is
// taken at these times.
size_t gb_occupancy_lowest(const gb_occupancy *o, size_t first, size_t last, size_t bytes,
                           size_t most);
// Takes the addresses from `begin` to before `end` for these times.
int gb_occupancy_take(gb_occupancy *o, size_t first, size_t last, size_t begin, size_t end);

#endif
