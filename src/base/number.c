// Numbers as text, in the "C" locale.
#include "base/number.h"

#include <stdlib.h>

// The C library has this locale ready, so that it costs next to nothing and cannot fail.
locale_t gb_plain_begin(void)
{
    return uselocale(newlocale(LC_ALL_MASK, "C", (locale_t)0));
}

void gb_plain_end(locale_t before)
{
    freelocale(uselocale(before));
}

double gb_number(const char *text, char **end)
{
    const locale_t before = gb_plain_begin();
    const double value = strtod(text, end);
    gb_plain_end(before);
    return value;
}

float gb_number_float(const char *text, char **end)
{
    const locale_t before = gb_plain_begin();
    const float value = strtof(text, end);
    gb_plain_end(before);
    return value;
}

int gb_print(FILE *file, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const locale_t before = gb_plain_begin();
    const int length = vfprintf(file, format, args);
    gb_plain_end(before);
    va_end(args);
    return length;
}

int gb_vformat(char *buf, size_t size, const char *format, va_list args)
{
    const locale_t before = gb_plain_begin();
    const int length = vsnprintf(buf, size, format, args);
    gb_plain_end(before);
    return length;
}

int gb_format(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = gb_vformat(buf, size, format, args);
    va_end(args);
    return length;
}
