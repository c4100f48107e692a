// Text from outside (file names, class names, names in models) as UTF-8.
#ifndef GB_BASE_UTF8_H
#define GB_BASE_UTF8_H

#include <stddef.h>

// The bytes of the character at s, 1 to 4; 0 where none begins there: s ends, or is not UTF-8.
size_t gb_utf8_length(const char *s);

// A malloc'ed copy with U+FFFD for each byte that is no part of a character; NULL: out of memory.
char *gb_utf8_clean(const char *s);

#endif
