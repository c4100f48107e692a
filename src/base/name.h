// What a word of the user's stands for in a table.
#ifndef GB_BASE_NAME_H
#define GB_BASE_NAME_H

#include <stddef.h>

// The index of `name`, in any case, among `count` names: the first pointer lies at `first`, each
// other one `stride` bytes behind the one before, as a field of a table's rows. GB_ERR_ARG:
// "unknown WHAT 'NAME'; it is one of" all of them.
int gb_name_find(const char *what, const char *name, const void *first, size_t stride,
                 size_t count);
// The same in a list that NULL ends.
int gb_name_among(const char *what, const char *name, const char *const *list);

#endif
