/* gibbon: adversarial examples for ONNX image classifiers on any OpenCL device.
 *
 * Every call returns 0 or a negative gb_status and leaves one line for gb_last_error(). Out
 * parameters come first. Each *_free(NULL) does nothing. */
#ifndef GIBBON_H
#define GIBBON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define GB_API __attribute__((visibility("default")))
#else
#define GB_API
#endif

typedef enum gb_status {
    GB_OK = 0,
    GB_ERR_ARG = -1,         /* an argument is wrong: name, range, shape, label */
    GB_ERR_NOMEM = -2,       /* out of host memory */
    GB_ERR_IO = -3,          /* a file cannot be read or written */
    GB_ERR_FORMAT = -4,      /* a file is not what it claims to be */
    GB_ERR_UNSUPPORTED = -5, /* valid, but not something gibbon does */
    GB_ERR_NO_DEVICE = -6,   /* no OpenCL device, or none that matches */
    GB_ERR_AMBIGUOUS = -7,   /* a device name that matches several */
    GB_ERR_DEVICE = -8,      /* the OpenCL driver failed */
    GB_ERR_DEVICE_MEM = -9,  /* out of device memory: a smaller batch may fit */
    GB_ERR_CANCELLED = -10,  /* the progress callback said stop */
    GB_ERR_NUMERIC = -11     /* NaN or Inf where numbers were expected */
} gb_status;

/* The last error's text on this thread; "" before the first. Valid until the next failing call. */
GB_API const char *gb_last_error(void);

typedef enum gb_log_level { GB_LOG_ERROR, GB_LOG_WARN, GB_LOG_INFO, GB_LOG_DEBUG } gb_log_level;

/* Where messages go. A NULL gb_log, or a NULL write, is silence. */
typedef struct gb_log {
    void (*write)(void *user, gb_log_level level, const char *line); /* line has no '\n' */
    void *user;
    gb_log_level level; /* the most verbose level that is passed on */
} gb_log;

#ifdef __cplusplus
}
#endif
#endif
