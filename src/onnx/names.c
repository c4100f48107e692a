// A hash table from names to values: open addressing, half full at most.
#include "onnx/proto.h"

#include <stdlib.h>
#include <string.h>

// FNV-1a, 64 bits.
static uint64_t hash(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    return h ^ h >> 32;
}

// The slot that holds `name`, or the free one where it belongs.
static size_t slot_of(const gb_names *names, const char *name)
{
    size_t i = hash(name) & (names->cap - 1);
    while (names->slot[i] && strcmp(names->slot[i]->name, name) != 0)
        i = (i + 1) & (names->cap - 1);
    return i;
}

gb_value *gb_names_find(const gb_names *names, const char *name)
{
    return names->cap ? names->slot[slot_of(names, name)] : NULL;
}

int gb_names_add(gb_names *names, gb_value *value)
{
    if (names->n >= names->cap / 2) {
        gb_names bigger = {.n = names->n, .cap = names->cap ? names->cap * 2 : 256};
        bigger.slot = calloc(bigger.cap, sizeof *bigger.slot);
        if (!bigger.slot)
            return gb_fail(GB_ERR_NOMEM, "out of memory for %zu names", bigger.cap);
        for (size_t i = 0; i < names->cap; i++)
            if (names->slot[i])
                bigger.slot[slot_of(&bigger, names->slot[i]->name)] = names->slot[i];
        free(names->slot);
        *names = bigger;
    }
    names->slot[slot_of(names, value->name)] = value;
    names->n++;
    return 0;
}

void gb_names_finish(gb_names *names)
{
    free(names->slot);
    *names = (gb_names){0};
}
