// Text from outside (file names, class names, names in models) as UTF-8.
#ifndef GB_BASE_UTF8_H
#define GB_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

// The bytes of a character by its first one; 0: no character begins so.
size_t gb_utf8_size(char first);
// The bytes of the character at s, 1 to 4, and its code; 0 where none begins there: of the `left`
// bytes none is left, the character is cut off, or they are not UTF-8.
size_t gb_utf8_take(uint32_t *code, const char *s, size_t left);
// The same of a text that a 0 ends.
size_t gb_utf8_length(const char *s);

// A malloc'ed copy with U+FFFD for each byte that is no part of a character; NULL: out of memory.
char *gb_utf8_clean(const char *s);

#endif
