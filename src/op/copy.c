// Strided copies and fills of stores.
#include "op/nd.h"

void gb_emit_copy(gb_emit *e, const gb_shape *shape, const gb_view *dst, const gb_view *src,
                  bool add)
{
    if (e->status || gb_shape_count(shape) == 0)
        return;
    gb_nd nd = gb_nd_views(shape, (const gb_view *[]){dst, src}, 2);
    gb_emit_launch(e, "copy", "copy", "%s", "");
    gb_put_nd(e, &nd, 1);
    gb_put_split(e, nd.size[0], gb_nd_outer(&nd), 1, 1);
    gb_put_operand(e, &nd, 0, dst);
    gb_put_operand(e, &nd, 1, src);
    gb_put_i32(e, add);
}

void gb_emit_fill(gb_emit *e, gb_store *store, float v)
{
    if (e->status)
        return;
    int64_t count = (int64_t)(store->bytes / sizeof(float));
    gb_emit_launch(e, "copy", "fill", "%s", "");
    gb_put_store(e, store);
    gb_put_f32(e, v);
    gb_put_split(e, count, 1, 1, 1);
}
