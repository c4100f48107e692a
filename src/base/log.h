// Log and progress: callbacks that may be NULL.
#ifndef GB_BASE_LOG_H
#define GB_BASE_LOG_H

#include "gibbon.h"

// Sends one formatted line to `log`; nothing where log or log->write is NULL.
void gb_log_line(const gb_log *log, gb_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
