// What is UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF.
#include "base/utf8.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

size_t gb_utf8_size(char first)
{
    const unsigned char b = (unsigned char)first;
    return b < 0x80 ? 1 : b >> 5 == 6 ? 2 : b >> 4 == 14 ? 3 : b >> 3 == 30 ? 4 : 0;
}

size_t gb_utf8_take(uint32_t *code, const char *s, size_t left)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *b = (const unsigned char *)s;
    const size_t n = left ? gb_utf8_size(*s) : 0;
    if (n == 0 || n > left)
        return 0;
    *code = n == 1 ? b[0] : b[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if (b[i] >> 6 != 2)
            return 0;
        *code = *code << 6 | (b[i] & 0x3F);
    }
    const bool sound = *code >= least[n] && *code >> 11 != 0x1B && *code <= 0x10FFFF;
    return sound ? n : 0;
}

size_t gb_utf8_length(const char *s)
{
    uint32_t code;
    return gb_utf8_take(&code, s, strnlen(s, 4));
}

char *gb_utf8_clean(const char *s)
{
    static const char unknown[] = "\xef\xbf\xbd";
    char *out = malloc(3 * strlen(s) + 1), *to = out;
    while (out && *s) {
        const size_t n = gb_utf8_length(s);
        memcpy(to, n ? s : unknown, n ? n : 3);
        to += n ? n : 3;
        s += n ? n : 1;
    }
    if (out)
        *to = 0;
    return out;
}
