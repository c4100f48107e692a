// The table of operators, from the list in op/list.h.
#include "op/list.h"

#include <string.h>

#define ADDRESS(name) &gb_op_##name,
static const gb_op *const table[] = {GB_OPS(ADDRESS) NULL};

const gb_op *gb_op_find(const char *name)
{
    for (size_t i = 0; table[i]; i++)
        if (!strcmp(table[i]->name, name))
            return table[i];
    return NULL;
}

const gb_op *const *gb_op_all(size_t *count)
{
    *count = GB_COUNT(table) - 1;
    return table;
}
