// Errors: every fallible function returns 0 or a negative gb_status and leaves one line for people.
#ifndef GB_BASE_STATUS_H
#define GB_BASE_STATUS_H

#include "gibbon.h"

// Records a message for gb_last_error() on this thread and returns `status` (negative).
// The line says what went wrong, where, and what to do about it.
int gb_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Puts "context: " in front of the recorded message; returns `status` unchanged.
int gb_fail_in(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Evaluates a call once and jumps to `fail:` with its status in the local `int err`.
#define GB_TRY(call) \
    do { \
        err = (call); \
        if (err < 0) \
            goto fail; \
    } while (0)

#endif
