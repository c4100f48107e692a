// Plans and allocates the stores of a recorded schedule.
#include "engine/plan.h"

#include "engine/occupancy.h"

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

// The store in whose place s lies; those on the way there are told.
static gb_store *place_of(gb_store *s)
{
    gb_store *place = s;
    while (place->over)
        place = place->over;
    while (s->over) {
        gb_store *next = s->over;
        s->over = place;
        s = next;
    }
    return place;
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

// The stores that the arenas hold, each at its times.
typedef struct layout {
    gb_store **temp; // the largest first
    int *arena;      // of each
    size_t n;
    int *start;      // how many launches up to each one are the first of a store
    gb_occupancy *taken[GB_MAX_ARENAS];
} layout;

// Time is counted in launches at which stores begin: two that meet do so at one of these.
static size_t begin_of(const layout *l, const gb_store *s)
{
    return (size_t)l->start[s->first] - 1;
}

static size_t end_of(const layout *l, const gb_store *s)
{
    return (size_t)l->start[s->until] - 1;
}

static int find_times(layout *l, size_t n_launch)
{
    l->start = calloc(n_launch + 1, sizeof *l->start);
    if (!l->start)
        return gb_fail(GB_ERR_NOMEM, "out of memory for the memory plan");
    for (size_t i = 0; i < l->n; i++)
        l->start[l->temp[i]->first] = 1;
    for (size_t i = 1; i <= n_launch; i++)
        l->start[i] += l->start[i - 1];
    return 0;
}

// Gives store i an arena, and the lowest offset there that is free for its whole life.
static int place(layout *l, size_t i, size_t n_launch, size_t limit, size_t align)
{
    gb_store *s = l->temp[i];
    int arena = 0, err = 0;
    const size_t size = gb_align(s->bytes, align);
    for (; arena < GB_MAX_ARENAS; arena++) {
        if (!l->taken[arena] &&
            !(l->taken[arena] = gb_occupancy_create((size_t)l->start[n_launch])))
            return GB_ERR_NOMEM;
        s->offset = gb_occupancy_lowest(l->taken[arena], begin_of(l, s), end_of(l, s), size,
                                        limit - s->bytes);
        if (s->offset <= limit - s->bytes)
            break;
    }
    if (arena == GB_MAX_ARENAS)
        return gb_fail(GB_ERR_DEVICE_MEM,
                       "the plan needs more than %d buffers of %zu MB; use a smaller batch",
                       GB_MAX_ARENAS, limit >> 20);
    l->arena[i] = arena;
    GB_TRY(gb_occupancy_take(l->taken[arena], begin_of(l, s), end_of(l, s), s->offset,
                             s->offset + size));
fail:
    return err;
}

// Gives each of the sorted temporaries an arena and an offset.
static int lay_out(gb_plan *plan, layout *l, const gb_emit *e, bool separate)
{
    const size_t limit = e->info->max_alloc ? e->info->max_alloc : SIZE_MAX;
    const size_t align = e->info->align > 64 ? e->info->align : 64;
    int err = 0;
    GB_TRY(find_times(l, e->n_launch));
    for (size_t i = 0; i < l->n; i++) {
        gb_store *s = l->temp[i];
        plan->naive_bytes += gb_align(s->bytes, align);
        if (s->bytes > limit)
            return gb_fail(GB_ERR_DEVICE_MEM, "%s needs %zu MB, more than the %zu MB that this "
                           "device allows in one piece; use a smaller batch", s->what,
                           s->bytes >> 20, limit >> 20);
        if (separate)
            continue;
        GB_TRY(place(l, i, e->n_launch, limit, align));
        const int arena = l->arena[i];
        if (arena >= plan->arenas)
            plan->arenas = arena + 1;
        size_t end = gb_align(s->offset + s->bytes, align);
        if (end > plan->arena_bytes[arena])
            plan->arena_bytes[arena] = end;
    }
fail:
    return err;
}

static int place_temporaries(gb_plan *plan, gb_emit *e, bool separate)
{
    int err = 0;
    layout l = {.temp = calloc(e->n_store + 1, sizeof *l.temp),
                .arena = calloc(e->n_store + 1, sizeof *l.arena)};
    if (!l.temp || !l.arena) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for the memory plan");
        goto fail;
    }
    for (size_t i = 0; i < e->n_store; i++)
        if (e->store[i]->kind == GB_STORE_TEMP && e->store[i]->first >= 0 && !e->store[i]->over)
            l.temp[l.n++] = e->store[i];
    qsort(l.temp, l.n, sizeof *l.temp, by_size);
    GB_TRY(lay_out(plan, &l, e, separate));
    for (int a = 0; a < plan->arenas; a++)
        GB_TRY(gb_buf_create(&plan->arena[a], e->dev, plan->arena_bytes[a]));
    for (size_t i = 0; i < l.n; i++) {
        gb_store *s = l.temp[i];
        if (separate)
            GB_TRY(gb_buf_create(&s->buf, e->dev, s->bytes));
        else
            GB_TRY(gb_buf_slice(&s->buf, plan->arena[l.arena[i]], s->offset, s->bytes));
    }
    for (size_t i = 0; i < e->n_store; i++) {
        gb_store *s = e->store[i], *place = place_of(s);
        if (s == place)
            continue;
        s->offset = place->offset;
        s->buf = place->buf; // overlapping sub-buffers would be undefined
    }
fail:
    for (int a = 0; a < GB_MAX_ARENAS; a++)
        gb_occupancy_free(l.taken[a]);
    free(l.temp);
    free(l.arena);
    free(l.start);
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
