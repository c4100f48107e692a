// Looks up how a layer is to be computed.
#include "op/choice.h"

#include "base/number.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static gb_choice_key make_key(const gb_emit *e, int64_t taps, int64_t k, int64_t n, int64_t groups,
                              int64_t points, int64_t from)
{
    gb_choice_key key;
    int length = snprintf(key.text, sizeof key.text, "%c %lldx%lld>%lld at %lld of %lld",
                          e->backward ? 'B' : 'F', (long long)taps, (long long)k, (long long)n,
                          (long long)points, (long long)from);
    if (groups > 1)
        snprintf(key.text + length, sizeof key.text - (size_t)length, " in %lld",
                 (long long)groups);
    return key;
}

gb_choice_key gb_choice_gathered(const gb_emit *e, const gb_gathered *g)
{
    // Dense layers call every row an image.
    int64_t batch = e->graph->batch, rows = g->images;
    rows = batch > 0 && rows % batch == 0 ? rows / batch : 1;
    return make_key(e, g->taps, g->k, g->n, g->groups, rows * g->points, rows * g->x_image);
}

gb_choice_key gb_choice_window(const gb_emit *e, const gb_window *w, bool backward)
{
    int64_t in = gb_window_in(w), out = gb_window_out(w), c_in = w->c_in / w->groups;
    int64_t c_out = w->c_out / w->groups;
    return make_key(e, gb_window_taps(w), backward ? c_out : c_in, backward ? c_in : c_out,
                    w->groups, backward ? in : out, backward ? out : in);
}

// Without leading dimensions, rows or columns may be the images themselves.
gb_choice_key gb_choice_product(const gb_emit *e, const gb_shape *batch, const char *lie,
                                int64_t m, int64_t k, int64_t n)
{
    gb_choice_key key = {""};
    const int64_t images = e->graph->batch, count = gb_shape_count(batch);
    if (batch->rank > 0 && images > 0 && count % images == 0)
        snprintf(key.text, sizeof key.text, "%c product %s %lldx%lldx%lld in %lld",
                 e->backward ? 'B' : 'F', lie, (long long)m, (long long)k, (long long)n,
                 (long long)(count / images));
    return key;
}

const char *gb_choices_find(const gb_choices *choices, const char *key)
{
    for (size_t i = 0; choices && i < choices->count; i++)
        if (!strcmp(choices->entry[i].key, key))
            return choices->entry[i].way;
    return NULL;
}

const char *gb_emit_way(const gb_emit *e, const gb_choice_key *key)
{
    return gb_choices_find(e->choices, key->text);
}

void gb_emit_note_way(gb_emit *e, const gb_choice_key *key, const char *way_format, ...)
{
    char way[64];
    va_list args;
    if (e->status)
        return;
    va_start(args, way_format);
    gb_vformat(way, sizeof way, way_format, args);
    va_end(args);
    gb_launch *l = e->launch[e->n_launch - 1];
    l->key = *key->text ? gb_arena_strdup(&e->arena, key->text) : NULL;
    l->way = gb_arena_strdup(&e->arena, way);
    if ((*key->text && !l->key) || !l->way)
        gb_emit_fail(e, GB_ERR_NOMEM);
}
