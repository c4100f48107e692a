// cmocka with the headers that it wants before it, and checks of gb_status.
#ifndef GB_TEST_CHECK_H
#define GB_TEST_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gibbon.h"

// A call that must succeed; shows gb_last_error() where it does not.
#define assert_ok(call) \
    do { \
        int ok_err_ = (call); \
        if (ok_err_ < 0) \
            fail_msg("%s: %d %s", #call, ok_err_, gb_last_error()); \
    } while (0)

// A call that must fail with that status.
#define assert_err(status, call) assert_int_equal(status, call)

#endif
