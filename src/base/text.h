// Text for people. Names out of models, labels and folders may hold anything; printed by these
// functions they cannot control a terminal, hide letters or begin a line of their own.
//
// Every %s is escaped: control characters (C0, DEL, C1), marks that change the direction of the
// text, line and paragraph separators and what is not UTF-8 become \x1b or \u{202e}. The format
// itself is printed as it is. Text that was escaped before stays the same. Numbers have a decimal
// point in every locale.
#ifndef GB_BASE_TEXT_H
#define GB_BASE_TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

// To a stream, or standard output, as fprintf and printf. Return the bytes that were printed.
int gb_text(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
int gb_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
int gb_text_args(FILE *out, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
// A text of several lines; its newlines stay.
void gb_put_lines(FILE *out, const char *text);
// A piece of JSON, as jansson hands it to a callback: with escapes of JSON for what terminals mind
// and JSON does not. 0, or -1 where it could not be written.
int gb_put_json(const char *json, size_t size, void *stream);

// To a buffer: cut, and ended with a 0, where it is too long. Allocates nothing.
void gb_text_buffer(char *buf, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void gb_text_buffer_args(char *buf, size_t size, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
