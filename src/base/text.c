// A printf whose strings cannot control a terminal.
#include "base/text.h"

#include "base/number.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// Where the text goes: a stream, or a buffer with `left` bytes and a 0 behind them.
typedef struct sink {
    FILE *stream;
    char *at;
    size_t left, printed;
} sink;

// A buffer takes a piece whole or is full, so that no character is cut.
static void put(sink *to, const char *bytes, size_t size)
{
    if (to->stream) {
        to->printed += fwrite(bytes, 1, size, to->stream);
        return;
    }
    if (size > to->left)
        to->left = size = 0;
    memcpy(to->at, bytes, size);
    to->at += size;
    to->left -= size;
}

// Controls, U+2028 to U+202E (separators, direction) and U+2066 to U+2069 (direction).
static bool is_control(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

// Writes the first character of the text as it is printed to `out`, its bytes to *shown; returns
// how many bytes of the text it was.
static size_t show_char(char out[16], size_t *shown, const char *text, size_t left)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t code = *p;
    size_t size = gb_utf8_take(&code, text, left);
    if (size && !is_control(code)) {
        memcpy(out, text, size);
        *shown = size;
        return size;
    }
    *shown = (size_t)snprintf(out, 16, size > 1 ? "\\u{%x}" : "\\x%02x", size ? code : *p);
    return size ? size : 1;
}

// Returns the bytes of the escaped text; to NULL: only measures them.
static size_t put_escaped(sink *to, const char *text, size_t length)
{
    size_t sum = 0, shown;
    char one[16];
    while (length) {
        size_t taken = show_char(one, &shown, text, length);
        if (to)
            put(to, one, shown);
        sum += shown;
        text += taken;
        length -= taken;
    }
    return sum;
}

// One conversion of a format, its '*' replaced by the numbers they stand for.
typedef struct conversion {
    char flags[8], type[4]; // type: the length modifier and the letter
    int width, precision;   // -1: none
} conversion;

static int take_number(const char **at, va_list *args)
{
    int n = 0;
    if (**at == '*') {
        ++*at;
        return va_arg(*args, int);
    }
    for (; **at >= '0' && **at <= '9'; ++*at)
        n = 10 * n + (**at - '0');
    return n;
}

static const char *parse(conversion *c, const char *at, va_list *args)
{
    size_t n = strspn(at, "-+ #0");
    *c = (conversion){.precision = -1};
    memcpy(c->flags, at, n < sizeof c->flags ? n : 0);
    at += n;
    c->width = take_number(&at, args);
    if (*at == '.') {
        at++;
        c->precision = take_number(&at, args);
    }
    n = strspn(at, "hlzjtL");
    if (n < sizeof c->type - 1) {
        memcpy(c->type, at, n);
        c->type[n] = at[n];
    }
    return at[n] ? at + n + 1 : at + n;
}

// How much of the text is printed: a precision does not end within a character.
static size_t string_length(const char *text, int precision)
{
    if (precision < 0)
        return strlen(text);
    size_t length = strnlen(text, (size_t)precision);
    for (size_t back = 1; length == (size_t)precision && back < 4 && back <= length; back++)
        if (gb_utf8_size(text[length - back]) > back)
            return length - back;
    return length;
}

static void put_string(sink *to, const conversion *c, const char *text)
{
    static const char blank[] = "                                                                ";
    text = text ? text : "(null)";
    size_t length = string_length(text, c->precision);
    size_t width = (size_t)(c->width < 0 ? -(long)c->width : c->width);
    size_t shown = width ? put_escaped(NULL, text, length) : 0;
    size_t pad = width > shown ? width - shown : 0;
    bool left = c->width < 0 || strchr(c->flags, '-');
    if (left)
        put_escaped(to, text, length);
    for (size_t n; pad; pad -= n) {
        n = pad < sizeof blank - 1 ? pad : sizeof blank - 1;
        put(to, blank, n);
    }
    if (!left)
        put_escaped(to, text, length);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static void put_value(sink *to, const conversion *c, va_list *args)
{
    enum { MOST = 512 }; // digits: 1e308 has 309
    char format[32], text[MOST];
    int n, width = c->width, precision = c->precision;
    snprintf(format, sizeof format, "%%%s*.*%s", c->flags, c->type);
    const char letter = c->type[strlen(c->type) - 1];
    if (strchr("feEgGaA", letter))
        n = gb_format(text, sizeof text, format, width, precision, va_arg(*args, double));
    else if (letter == 'p')
        n = snprintf(text, sizeof text, "%p", va_arg(*args, void *));
    else if (c->type[0] == 'l' && c->type[1] == 'l')
        n = snprintf(text, sizeof text, format, width, precision, va_arg(*args, long long));
    else if (strchr("lzjt", c->type[0])) // as wide as a pointer
        n = snprintf(text, sizeof text, format, width, precision, va_arg(*args, long));
    else
        n = snprintf(text, sizeof text, format, width, precision, va_arg(*args, int));
    put(to, text, n < MOST ? (size_t)n : MOST - 1);
}
#pragma GCC diagnostic pop

static void print(sink *to, const char *format, va_list *args)
{
    while (*format) {
        conversion c;
        size_t plain = strcspn(format, "%");
        put(to, format, plain);
        format += plain;
        if (!*format)
            break;
        format = parse(&c, format + 1, args);
        if (!strcmp(c.type, "%"))
            put(to, "%", 1);
        else if (!strcmp(c.type, "s"))
            put_string(to, &c, va_arg(*args, const char *));
        else if (!strcmp(c.type, "c"))
            put_string(to, &c, (char[]){(char)va_arg(*args, int), 0});
        else if (*c.type)
            put_value(to, &c, args);
    }
}

int gb_text_args(FILE *out, const char *format, va_list args)
{
    sink to = {.stream = out};
    va_list own;
    va_copy(own, args);
    print(&to, format, &own);
    va_end(own);
    return (int)to.printed;
}

int gb_text(FILE *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int printed = gb_text_args(out, format, args);
    va_end(args);
    return printed;
}

int gb_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int printed = gb_text_args(stdout, format, args);
    va_end(args);
    return printed;
}

void gb_put_lines(FILE *out, const char *text)
{
    sink to = {.stream = out};
    while (*text) {
        size_t length = strcspn(text, "\n");
        put_escaped(&to, text, length);
        text += length;
        if (*text)
            put(&to, text++, 1);
    }
}

int gb_put_json(const char *json, size_t size, void *stream)
{
    const unsigned char *p = (const unsigned char *)json;
    size_t plain = 0; // where what needs no escape began
    for (size_t i = 0, n; i < size; i += n) {
        uint32_t code = 0;
        n = gb_utf8_take(&code, json + i, size - i);
        n = n ? n : 1;
        if (code < 0x7F || !is_control(code)) // below are JSON's own line ends and blanks
            continue;
        if (fwrite(p + plain, 1, i - plain, stream) != i - plain ||
            fprintf(stream, "\\u%04x", code) < 0)
            return -1;
        plain = i + n;
    }
    return fwrite(p + plain, 1, size - plain, stream) == size - plain ? 0 : -1;
}

void gb_text_buffer_args(char *buf, size_t size, const char *format, va_list args)
{
    sink to = {.at = buf, .left = size - 1};
    va_list own;
    va_copy(own, args);
    print(&to, format, &own);
    va_end(own);
    *to.at = 0;
}

void gb_text_buffer(char *buf, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    gb_text_buffer_args(buf, size, format, args);
    va_end(args);
}
