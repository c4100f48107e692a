// Formats a log line and hands it to the caller's function.
#include "base/log.h"

#include "base/text.h"

#include <stdarg.h>

void gb_log_line(const gb_log *log, gb_log_level level, const char *format, ...)
{
    char line[1024];
    va_list args;
    if (!log || !log->write || level > log->level)
        return;
    va_start(args, format);
    gb_text_buffer_args(line, sizeof line, format, args);
    va_end(args);
    log->write(log->user, level, line);
}
