// What is UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF.
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

size_t gb_utf8_length(const char *s)
{
    const unsigned char *b = (const unsigned char *)s;
    size_t n = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3
             : b[0] < 0xf5 ? 4 : 0;
    // the second byte's range is narrower after some first ones
    unsigned char low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (b[0] == 0)
        return 0;
    for (size_t i = 1; i < n; i++, low = 0x80, high = 0xbf)
        if (b[i] < low || b[i] > high)
            return 0;
    return n;
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
