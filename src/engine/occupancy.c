// A segment tree over time. Each node knows two sets of addresses: `over` are those that something
// takes for all of the node's times, and that its parent does not know to be so; `some` are those
// that anything takes at any of its times. A range of times is O(log n) nodes, and what is free in
// it is outside of their `some` and of the `over` of the nodes above. Sets are joined spans: as
// arenas are filled from below, there are few in each.
#include "engine/occupancy.h"

#include "base/mem.h"
#include "base/status.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct span {
    size_t begin, end;
} span;

typedef struct set { // of addresses; its spans are in order and do not touch
    span *at;
    size_t n, cap;
} set;

struct gb_occupancy {
    size_t n_time; // a power of two
    set *over, *some; // [2 n_time]: node 1 is the root, the children of i are 2 i and 2 i + 1
};

// The times in question.
typedef struct range {
    size_t first, last;
} range;

static bool covers(const range *when, size_t begin, size_t count)
{
    return when->first <= begin && when->last >= begin + count - 1;
}

static bool meets(const range *when, size_t begin, size_t count)
{
    return when->last >= begin && when->first < begin + count;
}

gb_occupancy *gb_occupancy_create(size_t n_time)
{
    gb_occupancy *o = calloc(1, sizeof *o);
    size_t n = 1;
    while (n < n_time)
        n *= 2;
    if (o) {
        o->n_time = n;
        o->over = calloc(2 * n, sizeof *o->over);
        o->some = calloc(2 * n, sizeof *o->some);
    }
    if (!o || !o->over || !o->some) {
        gb_fail(GB_ERR_NOMEM, "out of memory for the memory plan");
        gb_occupancy_free(o);
        return NULL;
    }
    return o;
}

void gb_occupancy_free(gb_occupancy *o)
{
    if (!o)
        return;
    for (size_t i = 0; o->over && o->some && i < 2 * o->n_time; i++) {
        free(o->over[i].at);
        free(o->some[i].at);
    }
    free(o->over);
    free(o->some);
    free(o);
}

// The first span that ends behind an address.
static size_t find(const set *s, size_t address)
{
    size_t low = 0, high = s->n;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (s->at[middle].end > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static int join(set *s, span new)
{
    size_t i = find(s, new.begin), j;
    if (i > 0 && s->at[i - 1].end == new.begin)
        i--;
    for (j = i; j < s->n && s->at[j].begin <= new.end; j++) {
        new.begin = s->at[j].begin < new.begin ? s->at[j].begin : new.begin;
        new.end = s->at[j].end > new.end ? s->at[j].end : new.end;
    }
    if (j == i) {
        if (s->n == s->cap) {
            const size_t cap = s->cap ? 2 * s->cap : 1;
            span *at = realloc(s->at, cap * sizeof *at);
            if (!at)
                return gb_fail(GB_ERR_NOMEM, "out of memory for the memory plan");
            s->at = at;
            s->cap = cap;
        }
        memmove(s->at + i + 1, s->at + i, (s->n - i) * sizeof *s->at);
        s->n++;
    } else {
        memmove(s->at + i + 1, s->at + j, (s->n - j) * sizeof *s->at);
        s->n -= j - i - 1;
    }
    s->at[i] = new;
    return 0;
}

// Node i is of `count` times from `begin` on.
static int take(gb_occupancy *o, size_t i, size_t begin, size_t count, const range *when, span new)
{
    int err = 0;
    if (!meets(when, begin, count))
        return 0;
    GB_TRY(join(&o->some[i], new));
    if (covers(when, begin, count))
        return join(&o->over[i], new);
    GB_TRY(take(o, 2 * i, begin, count / 2, when, new));
    GB_TRY(take(o, 2 * i + 1, begin + count / 2, count / 2, when, new));
fail:
    return err;
}

int gb_occupancy_take(gb_occupancy *o, size_t first, size_t last, size_t begin, size_t end)
{
    return take(o, 1, 0, o->n_time, &(range){first, last}, (span){begin, end});
}

typedef struct search {
    range when;
    size_t at, bytes; // bytes from `at` on are wanted
    int probes;       // of sets and their spans, so far
} search;

// The end of the highest span of the sets.
static size_t top_of(const gb_occupancy *o, const range *when, size_t i, size_t begin, size_t count)
{
    const bool all = covers(when, begin, count);
    const set *s = all ? &o->some[i] : &o->over[i];
    size_t top = s->n ? s->at[s->n - 1].end : 0;
    for (size_t k = 0; k < 2 && !all; k++) {
        const size_t from = begin + k * count / 2;
        const size_t part =
            meets(when, from, count / 2) ? top_of(o, when, 2 * i + k, from, count / 2) : 0;
        top = part > top ? part : top;
    }
    return top;
}

// The first of its spans that is in the way; s->n: none.
static size_t obstacle(const search *f, const set *s)
{
    const size_t i = find(s, f->at);
    return i < s->n && s->at[i].begin < f->at + f->bytes ? i : s->n;
}

// Raises f->at to where the wanted bytes are outside of the set.
static void pass(search *f, const set *s)
{
    f->probes++;
    for (size_t i = obstacle(f, s); i < s->n && s->at[i].begin < f->at + f->bytes; i++) {
        f->at = s->at[i].end;
        f->probes++;
    }
}

static void pass_all(search *f, const gb_occupancy *o, size_t i, size_t begin, size_t count)
{
    if (covers(&f->when, begin, count)) {
        pass(f, &o->some[i]);
        return;
    }
    if (!meets(&f->when, begin, count) || obstacle(f, &o->some[i]) == o->some[i].n)
        return;
    pass(f, &o->over[i]);
    pass_all(f, o, 2 * i, begin, count / 2);
    pass_all(f, o, 2 * i + 1, begin + count / 2, count / 2);
}

size_t gb_occupancy_lowest(const gb_occupancy *o, size_t first, size_t last, size_t bytes,
                           size_t most)
{
    enum { PATIENCE = 1 << 14 }; // probes: many more than networks of a few thousand layers take
    search f = {.when = {first, last}, .bytes = bytes};
    size_t before;
    do { // until no set is in the way of what the others allow
        before = f.at;
        pass_all(&f, o, 1, 0, o->n_time);
        if (f.probes > PATIENCE)
            return top_of(o, &f.when, 1, 0, o->n_time);
    } while (f.at > before && f.at <= most);
    return f.at;
}
