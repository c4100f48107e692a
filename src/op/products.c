// Contributions to gradients that wait: a sum of products, and the derivative of the activation
// behind it, are one launch.
#include "op/fold.h"
#include "op/place.h"

#include <string.h>

enum { MOST = 2 };

struct gb_products {
    gb_shape shape;
    gb_view out;
    int n;
    float scale[MOST];
    gb_view factor[2 * MOST]; // two a product, the second one's store may be NULL
};

void gb_emit_products(gb_emit *e, gb_store *store, gb_store *slopes)
{
    struct gb_products *p = store->products;
    if (e->status || !p)
        return;
    store->products = NULL;
    gb_view view[GB_ND_OPERANDS - 1] = {p->out}, with = p->out;
    const gb_view *each[GB_ND_OPERANDS - 1];
    for (int i = 0; i < 2 * p->n; i++)
        view[1 + i] = p->factor[i];
    with.store = slopes;
    view[1 + 2 * MOST] = with;
    for (size_t i = 0; i < GB_COUNT(view); i++)
        each[i] = &view[i];
    gb_nd nd = gb_nd_views(&p->shape, each, (int)GB_COUNT(view));
    if (gb_nd_count(&nd) == 0)
        return;
    gb_emit_launch(e, "binary", "products", "%s", "");
    gb_put_nd(e, &nd, 1);
    gb_put_split(e, nd.size[0], gb_nd_outer(&nd), 1, 1);
    for (size_t i = 0; i < GB_COUNT(view); i++)
        gb_put_operand(e, &nd, (int)i, &view[i]);
    for (int i = 0; i < MOST; i++)
        gb_put_f32(e, p->scale[i]);
}

void gb_emit_grad_product(gb_emit *e, gb_value *value, float scale, const gb_view *p,
                          const gb_view *q)
{
    gb_store *store = value->view.store;
    struct gb_products *waiting = e->status ? NULL : store->products;
    if (waiting && waiting->n < MOST && gb_shape_equal(&waiting->shape, &value->shape) &&
        !memcmp(waiting->out.stride, value->view.stride,
                sizeof(int64_t) * (size_t)value->shape.rank)) {
        store->grad_pending--;
    } else {
        gb_target target = gb_emit_target(e, value);
        if (e->status)
            return;
        if (target.add || !gb_fills_store(value)) {
            gb_fold fold = {GB_FOLD_SUM, q ? GB_TERM_MUL : GB_TERM_P, scale};
            gb_emit_fold(e, &value->shape, (bool[GB_MAX_RANK]){0}, &fold, &target.view, target.add,
                         (const gb_view *[]){p, q}, q ? 2 : 1);
            return;
        }
        waiting = gb_arena_alloc(&e->arena, sizeof *waiting);
        if (!waiting)
            return gb_emit_fail(e, GB_ERR_NOMEM);
        *waiting = (struct gb_products){.shape = value->shape, .out = target.view};
        store->products = waiting;
    }
    waiting->scale[waiting->n] = scale;
    waiting->factor[2 * waiting->n] = *p;
    if (q)
        waiting->factor[2 * waiting->n + 1] = *q;
    waiting->n++;
}
