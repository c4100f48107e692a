// Plans and allocates the stores of a recorded schedule.
#include "engine/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The store that an argument lies in; NULL: it is none.
static gb_store *touched(const gb_arg *arg)
{
    gb_store *s = arg->kind == GB_ARG_STORE ? arg->store : NULL;
    return s && s->kind == GB_STORE_PART ? s->parent : s;
}

static void find_lives(gb_emit *e)
{
    for (size_t l = 0; l < e->n_launch; l++) {
        const gb_launch *launch = e->launch[l];
        for (int a = 0; a < launch->n_arg; a++) {
            gb_store *s = touched(&launch->arg[a]);
            if (!s)
                continue;
            if (s->first < 0)
                s->first = (int)l;
            s->last = s->until = (int)l;
        }
    }
}

// Whether s may begin where `in` ends: at one launch that reads `in` as one argument only.
static bool follows(const gb_emit *e, const gb_store *s, const gb_store *in)
{
    int uses = 0;
    if (s->kind != GB_STORE_TEMP || in->kind != GB_STORE_TEMP || s->bytes != in->bytes ||
        s->first < 0 || s->first != in->last)
        return false;
    const gb_launch *l = e->launch[s->first];
    for (int a = 0; a < l->n_arg; a++)
        uses += touched(&l->arg[a]) == in;
    return uses == 1;
}

static gb_store *place_of(gb_store *s)
{
    while (s->over)
        s = s->over;
    return s;
}

static void share_places(gb_emit *e, bool separate)
{
    for (size_t i = 0; i < e->n_store; i++) {
        gb_store *s = e->store[i];
        if (s->over && (separate || !follows(e, s, s->over)))
            s->over = NULL;
    }
    for (size_t i = 0; i < e->n_store; i++) {
        gb_store *s = e->store[i], *place = place_of(s);
        if (s->last > place->until)
            place->until = s->last;
    }
}

static int by_size(const void *a, const void *b)
{
    const gb_store *x = *(gb_store *const *)a, *y = *(gb_store *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->id - y->id;
}

static int by_offset(const void *a, const void *b)
{
    const gb_store *x = *(gb_store *const *)a, *y = *(gb_store *const *)b;
    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

// The lowest offset of arena `arena` where `s` fits beside those that live at the same time. `busy`
// is scratch.
static size_t lowest(const gb_store *s, gb_store *const *placed, const int *arena_of, size_t n,
                     int arena, size_t align, gb_store **busy)
{
    size_t n_busy = 0, offset = 0;
    for (size_t i = 0; i < n; i++)
        if (arena_of[i] == arena && placed[i]->first <= s->until && placed[i]->until >= s->first)
            busy[n_busy++] = placed[i];
    qsort(busy, n_busy, sizeof *busy, by_offset);
    for (size_t i = 0; i < n_busy; i++) {
        if (busy[i]->offset >= offset + s->bytes)
            break;
        size_t end = gb_align(busy[i]->offset + busy[i]->bytes, align);
        offset = end > offset ? end : offset;
    }
    return offset;
}

// Gives each of the sorted temporaries an arena and an offset.
static int lay_out(gb_plan *plan, const gb_device_info *info, gb_store **temp, int *arena_of,
                   gb_store **busy, size_t n, bool separate)
{
    size_t limit = info->max_alloc ? info->max_alloc : SIZE_MAX;
    size_t align = info->align > 64 ? info->align : 64;
    for (size_t i = 0; i < n; i++) {
        gb_store *s = temp[i];
        plan->naive_bytes += gb_align(s->bytes, align);
        if (s->bytes > limit)
            return gb_fail(GB_ERR_DEVICE_MEM, "%s needs %zu MB, more than the %zu MB that this "
                           "device allows in one piece; use a smaller batch", s->what,
                           s->bytes >> 20, limit >> 20);
        int arena = -1;
        while (!separate && ++arena < GB_MAX_ARENAS) {
            s->offset = lowest(s, temp, arena_of, i, arena, align, busy);
            if (s->offset + s->bytes <= limit)
                break;
        }
        if (arena == GB_MAX_ARENAS)
            return gb_fail(GB_ERR_DEVICE_MEM,
                           "the plan needs more than %d buffers of %zu MB; use a smaller batch",
                           GB_MAX_ARENAS, limit >> 20);
        arena_of[i] = arena;
        if (separate)
            continue;
        if (arena >= plan->arenas)
            plan->arenas = arena + 1;
        size_t end = gb_align(s->offset + s->bytes, align);
        if (end > plan->arena_bytes[arena])
            plan->arena_bytes[arena] = end;
    }
    return 0;
}

static int place_temporaries(gb_plan *plan, gb_emit *e, bool separate)
{
    int err = 0;
    size_t n = 0;
    gb_store **temp = calloc(e->n_store + 1, sizeof *temp), **busy = calloc(e->n_store + 1,
                                                                            sizeof *busy);
    int *arena_of = calloc(e->n_store + 1, sizeof *arena_of);
    if (!temp || !busy || !arena_of) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for the memory plan");
        goto fail;
    }
    for (size_t i = 0; i < e->n_store; i++)
        if (e->store[i]->kind == GB_STORE_TEMP && e->store[i]->first >= 0 && !e->store[i]->over)
            temp[n++] = e->store[i];
    qsort(temp, n, sizeof *temp, by_size);
    GB_TRY(lay_out(plan, e->info, temp, arena_of, busy, n, separate));
    for (int a = 0; a < plan->arenas; a++)
        GB_TRY(gb_buf_create(&plan->arena[a], e->dev, plan->arena_bytes[a]));
    for (size_t i = 0; i < n; i++) {
        gb_store *s = temp[i];
        if (separate)
            GB_TRY(gb_buf_create(&s->buf, e->dev, s->bytes));
        else
            GB_TRY(gb_buf_slice(&s->buf, plan->arena[arena_of[i]], s->offset, s->bytes));
    }
    for (size_t i = 0; i < e->n_store; i++) {
        gb_store *s = e->store[i], *place = place_of(s);
        if (s == place)
            continue;
        s->offset = place->offset;
        s->buf = place->buf; // overlapping sub-buffers would be undefined
    }
fail:
    free(temp);
    free(busy);
    free(arena_of);
    return err;
}

int gb_plan_create(gb_plan *plan, gb_emit *e, bool separate)
{
    int err = 0;
    *plan = (gb_plan){0};
    find_lives(e);
    share_places(e, separate);
    for (size_t i = 0; i < e->n_store; i++) {
        gb_store *s = e->store[i];
        bool made = s->kind == GB_STORE_IO || (s->kind == GB_STORE_CONST && s->first >= 0);
        if (!made)
            continue;
        *(s->kind == GB_STORE_CONST ? &plan->weight_bytes : &plan->io_bytes) += s->bytes;
        if (s->kind == GB_STORE_CONST) {
            GB_TRY(gb_buf_adopt(&s->buf, e->dev, s->data, s->bytes));
            s->data = NULL;
        } else {
            GB_TRY(gb_buf_create(&s->buf, e->dev, s->bytes));
            GB_TRY(gb_buf_fill(s->buf, 0, s->bytes, 0));
        }
    }
    GB_TRY(place_temporaries(plan, e, separate));
    for (size_t i = 0; i < e->n_store; i++) {
        gb_store *s = e->store[i];
        if (s->kind == GB_STORE_PART && s->parent->buf)
            GB_TRY(gb_buf_slice(&s->buf, s->parent->buf, s->offset, s->bytes));
    }
fail:
    return err;
}

void gb_plan_finish(gb_plan *plan, gb_emit *e)
{
    for (size_t i = e->n_store; i-- > 0;) { // parts before what they are parts of
        if (e->store[i]->kind != GB_STORE_EXTERN && !e->store[i]->over)
            gb_buf_free(e->store[i]->buf);
        e->store[i]->buf = NULL;
    }
    for (int a = 0; a < plan->arenas; a++)
        gb_buf_free(plan->arena[a]);
    *plan = (gb_plan){0};
}
