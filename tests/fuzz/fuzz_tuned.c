// The tuner's database: what is sound has entries that are whole.
#include "engine/tune.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    gb_tuned_list list;
    bool sound = gb_tuned_decode(&list, data, size, "fuzz");
    if (!sound && (list.entry || list.count))
        abort();
    for (size_t i = 0; i < list.count; i++) {
        const gb_tuned *t = &list.entry[i];
        if (!t->key || !t->way || !t->usual)
            abort();
        for (size_t k = 0; k < i; k++)
            if (!strcmp(t->key, list.entry[k].key))
                abort();
    }
    gb_tuned_free(&list);
    return 0;
}
