// The thread-local error message, the library's only mutable global.
#include "base/status.h"

#include "base/text.h"

#include <stdarg.h>
#include <string.h>

static _Thread_local char message[1024];

const char *gb_last_error(void)
{
    return message;
}

int gb_fail(int status, const char *format, ...)
{
    char line[sizeof message]; // the arguments may point into the old message
    va_list args;
    va_start(args, format);
    gb_text_buffer_args(line, sizeof line, format, args);
    va_end(args);
    memcpy(message, line, sizeof message);
    return status;
}

int gb_fail_in(int status, const char *format, ...)
{
    char context[sizeof message / 2];
    va_list args;
    va_start(args, format);
    gb_text_buffer_args(context, sizeof context, format, args);
    va_end(args);
    return gb_fail(status, "%s: %.*s", context, (int)(sizeof message / 2), message);
}
