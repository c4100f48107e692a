// What a word of the user's stands for in a table.
#ifndef GB_BASE_NAME_H
#define GB_BASE_NAME_H

#include <stdbool.h>
#include <stddef.h>

// Letters of ASCII alone are folded, and the same in every locale.
char gb_lower(char c);
bool gb_same_word(const char *a, const char *b);           // in any case
bool gb_begins_with(const char *text, const char *piece); // in any case

// The index of `name`, in any case, among `count` names: the first pointer lies at `first`, each
// other one `stride` bytes behind the one before, as a field of a table's rows. GB_ERR_ARG:
// "unknown WHAT 'NAME'; it is one of" all of them.
int gb_name_find(const char *what, const char *name, const void *first, size_t stride,
                 size_t count);
// The same in a list that NULL ends.
int gb_name_among(const char *what, const char *name, const char *const *list);

#endif
