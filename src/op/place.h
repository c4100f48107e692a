// What the recorder's files share about where values lie.
#ifndef GB_OP_PLACE_H
#define GB_OP_PLACE_H

#include "op/emit.h"

// True if the value is all there is in its store.
bool gb_fills_store(const gb_value *value);

// A dense view in a store of its own.
void gb_view_temp(gb_emit *e, gb_view *out, const gb_shape *shape, gb_order order);

// The memory order in which `axis` holds the channels of pixels.
gb_order gb_pixel_order(const gb_shape *shape, int axis);

// Records the products that wait for a store's gradient, if any, times `slopes` (NULL: 1), whose
// elements lie as the store's do.
void gb_emit_products(gb_emit *e, gb_store *store, gb_store *slopes);

#endif
