// Packs weights on the host or on the device, and takes their gradients back.
#include "op/pack.h"

#include "op/nd.h"
#include "op/op.h"

#include <stdlib.h>
#include <string.h>

bool gb_is_weight(const gb_value *v)
{
    while (!v->data && !v->param && v->producer && v->producer->op->is_view)
        v = v->producer->in[0];
    return v->data || v->param;
}

void gb_pack_begin(gb_pack *p, gb_emit *e, const gb_value *value, size_t count, float scale)
{
    const bool constant = !value || value->data;
    const size_t places = count ? count : 1;
    *p = (gb_pack){.value = value, .count = places, .scale = scale};
    if (e->status)
        return;
    if (constant) {
        p->from = value ? value->data->data : NULL;
        p->data = gb_alloc_aligned(places * sizeof *p->data);
    } else {
        p->table = malloc(places * sizeof *p->table);
        for (size_t i = 0; p->table && i < places; i++)
            p->table[i] = -1;
    }
    if (!p->data && !p->table)
        gb_emit_fail(e, gb_fail(GB_ERR_NOMEM, "out of memory for weights of %zu numbers", count));
}

// The table's elements become offsets in the store where the value lies.
static void locate(gb_emit *e, int32_t *table, size_t count, const gb_view *view,
                   const gb_shape *shape)
{
    for (size_t i = 0; i < count; i++) {
        int64_t rest = table[i], at = view->offset;
        if (rest < 0)
            continue;
        for (int d = shape->rank - 1; d >= 0; d--) {
            at += rest % shape->dim[d] * view->stride[d];
            rest /= shape->dim[d];
        }
        if (at > INT32_MAX)
            gb_put_i32(e, at); // says that there are too many
        table[i] = (int32_t)at;
    }
}

// Pieces of so many floats, a processor's work-item each.
enum { PIECE = 2048 };

static void set_items(gb_emit *e, gb_launch *l, size_t count)
{
    const bool wide = e->info->wide;
    const size_t piece = wide ? 1 : PIECE;
    l->global[0] = (count + piece - 1) / piece;
    l->local[0] = l->local[1] = l->local[2] = wide ? 0 : 1;
}

static void record(gb_emit *e, gb_store *index, gb_store *from, float scale, gb_store *to,
                   size_t count)
{
    gb_launch *l = gb_emit_launch(e, "pack", "pack", "%s", "");
    gb_put_store(e, index);
    gb_put_store(e, from);
    gb_put_f32(e, scale);
    gb_put_store(e, to);
    gb_put_i32(e, (int64_t)count);
    if (l)
        set_items(e, l, count);
}

// Appends a table to the launch that packs all parameters.
static gb_store *append(gb_emit *e, gb_pack *p, const char *what)
{
    gb_packing *all = &e->packing;
    const size_t align = e->info->align > 64 ? e->info->align / sizeof(float) : 16;
    const size_t start = all->count, end = start + gb_align(p->count, align);
    int err = gb_grow(&all->table, &all->cap, end, sizeof *all->table);
    if (err < 0) {
        gb_emit_fail(e, err);
        return NULL;
    }
    memcpy(all->table + start, p->table, p->count * sizeof *p->table);
    for (size_t i = start + p->count; i < end; i++)
        all->table[i] = -1;
    all->count = end;
    return gb_emit_part(e, all->packed, start * sizeof(float), p->count * sizeof(float), what);
}

gb_store *gb_pack_end(gb_pack *p, gb_emit *e, const char *what)
{
    const size_t bytes = p->count * sizeof(float);
    gb_store *to = NULL;
    if (e->status) {
        free(p->data);
    } else if (p->data) {
        return gb_emit_const_take(e, p->data, bytes, what);
    } else if (!p->value->view.store) {
        gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "%s: input '%s' has no place on the device",
                                gb_node_text(e->node), p->value->name));
    } else {
        const gb_view *view = &p->value->view;
        locate(e, p->table, p->count, view, &p->value->shape);
        if (view->store == e->params && e->packing.launch && p->scale == 1) {
            to = append(e, p, what);
        } else {
            to = gb_emit_temp(e, bytes, what);
            gb_store *index = gb_emit_const(e, p->table, p->count * sizeof *p->table, "places");
            record(e, index, view->store, p->scale, to, p->count);
        }
    }
    free(p->table);
    return to;
}

gb_pack *gb_unpack_value(gb_unpacking *u, gb_emit *e, gb_value *value, size_t count, float scale)
{
    gb_pack *p = &u->pack[u->n];
    u->value[u->n++] = value;
    gb_pack_begin(p, e, value, count, scale);
    return p;
}

// Takes the table over.
static void record_unpack(gb_emit *e, const gb_unpacking *u, int32_t *table, size_t first,
                          size_t count, float scale, gb_store *to, bool add)
{
    gb_store *index = gb_emit_const_take(e, table, count * sizeof *table, "places");
    gb_launch *l = gb_emit_launch(e, "pack", "unpack", "%s", "");
    gb_put_store(e, index);
    gb_put_store(e, u->partial);
    gb_put_i32(e, (int64_t)first);
    gb_put_i32(e, u->stride);
    gb_put_i32(e, u->parts);
    gb_put_f32(e, scale);
    gb_put_store(e, to);
    gb_put_i32(e, add);
    gb_put_i32(e, (int64_t)count);
    if (l)
        set_items(e, l, count);
}

void gb_unpack(gb_unpacking *u, gb_emit *e)
{
    gb_target target[2];
    for (int i = 0; i < u->n; i++) {
        target[i] = gb_emit_target(e, u->value[i]);
        if (!e->status)
            locate(e, u->pack[i].table, u->pack[i].count, &target[i].view, &u->value[i]->shape);
    }
    if (u->n == 2 && !e->status && target[0].view.store == target[1].view.store &&
        target[0].add == target[1].add && u->pack[0].scale == u->pack[1].scale) {
        size_t a = u->pack[0].count, b = u->pack[1].count;
        int32_t *both = realloc(u->pack[0].table, (a + b) * sizeof *both);
        if (both) {
            memcpy(both + a, u->pack[1].table, b * sizeof *both);
            free(u->pack[1].table);
            u->pack[0].table = both;
            u->pack[0].count = a + b;
            u->n = 1;
        }
    }
    for (int i = 0; i < u->n; i++) {
        if (e->status)
            free(u->pack[i].table);
        else
            record_unpack(e, u, u->pack[i].table, i ? u->pack[0].count : 0, u->pack[i].count,
                          u->pack[i].scale, target[i].view.store, target[i].add);
    }
}

void gb_packing_begin(gb_emit *e)
{
    gb_packing *all = &e->packing;
    const size_t at = e->n_launch;
    all->index = gb_emit_const_take(e, calloc(1, 1), 0, "places");
    all->packed = gb_emit_io(e, 0, "packed weights");
    record(e, all->index, e->params, 1, all->packed, 0);
    all->launch = e->status ? NULL : e->launch[at];
}

void gb_packing_end(gb_emit *e)
{
    gb_packing *all = &e->packing;
    if (e->status || !all->launch)
        return;
    if (!all->table && !(all->table = calloc(1, sizeof *all->table))) {
        gb_emit_fail(e, gb_fail(GB_ERR_NOMEM, "out of memory for the packing of weights"));
        return;
    }
    const size_t bytes = (all->count ? all->count : 1) * sizeof(float);
    gb_store_drop_data(all->index);
    all->index->data = all->table;
    all->index->bytes = bytes;
    all->packed->bytes = bytes;
    all->table = NULL;
    all->launch->arg[4].i = (int32_t)all->count;
    set_items(e, all->launch, all->count ? all->count : 1);
}
