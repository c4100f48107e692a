// The device of a test binary: $GIBBON_TEST_DEVICE, else any; opened once, skipped where none is.
// $GIBBON_TEST_PRECISION: of its products.
#ifndef GB_TEST_DEVICE_H
#define GB_TEST_DEVICE_H

#include "support/check.h"

#include "device/device.h"

#include <stdlib.h>

static gb_device *test_device_;

// For a cmocka group's set-up and tear-down. No device at all is no failure here: the tests skip.
static inline int test_device_open(void **state)
{
    (void)state;
    const char *spec = getenv("GIBBON_TEST_DEVICE");
    int err = gb_device_open(&test_device_, spec ? spec : "any", NULL);
    if (err == GB_ERR_NO_DEVICE && !spec)
        return 0;
    if (err < 0) {
        print_error("device: %s\n", gb_last_error());
        return -1;
    }
    const char *precision = getenv("GIBBON_TEST_PRECISION");
    if (precision && gb_device_set_precision(test_device_, precision) < 0) {
        print_error("precision: %s\n", gb_last_error());
        return -1;
    }
    print_message("device: %s\n", gb_device_get_info(test_device_)->name);
    return 0;
}

static inline int test_device_close(void **state)
{
    (void)state;
    gb_device_close(test_device_);
    test_device_ = NULL;
    return 0;
}

// The open device; skips the test if there is none.
static inline gb_device *test_device(void)
{
    if (!test_device_) {
        print_message("no OpenCL device here\n");
        skip();
    }
    return test_device_;
}

#endif
