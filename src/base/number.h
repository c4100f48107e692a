// Numbers as text: with a decimal point, whatever the locale of the host program says. Nothing else
// in the library prints or reads numbers that have a fraction; tests/check_style.py sees to that.
#ifndef GB_BASE_NUMBER_H
#define GB_BASE_NUMBER_H

#include <locale.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

// strtod and strtof.
double gb_number(const char *text, char **end);
float gb_number_float(const char *text, char **end);

// fprintf, snprintf and vsnprintf. Nine digits (%.9g) bring a float back as it was, 17 a double.
int gb_print(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
int gb_format(char *buf, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int gb_vformat(char *buf, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

// Between the two, this thread is in the "C" locale: for libraries that read and print numbers.
locale_t gb_plain_begin(void);
void gb_plain_end(locale_t before);

#endif
