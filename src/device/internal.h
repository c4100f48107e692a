// What the files of this folder share; nobody else includes it.
#ifndef GB_DEVICE_INTERNAL_H
#define GB_DEVICE_INTERNAL_H

#include "device/device.h"

#include <CL/cl.h>
#include <pthread.h>

typedef struct gb_program {
    struct gb_program *next;
    char *name, *options; // what it was asked for by
    cl_program program;
    double seconds; // what building it took
    bool told;      // the log has that
} gb_program;

typedef struct gb_ahead gb_ahead; // ahead.c

typedef struct gb_timing { // a profiled launch whose time has not been read yet
    gb_kernel *kernel;
    cl_event event;
} gb_timing;

struct gb_device {
    gb_device_info info;
    gb_log log;
    cl_device_id id;
    cl_context context;
    cl_command_queue queue;
    gb_program *programs;
    pthread_mutex_t program_lock; // held while a program is looked up or built
    gb_ahead *ahead;              // NULL: nothing has been built ahead
    size_t allocated, peak;
    double compile_seconds;
    char *binary_cache; // the folder to keep binaries in; NULL: none
    bool compiles_late; // the driver compiles at a kernel's first launch, and keeps the result
    bool rehearses;
    void (*building)(void *user, bool on);
    void *building_user;
    bool profile;
    unsigned profile_round; // counts gb_device_profile(dev, true): older sums are void
    gb_timing *timing;
    size_t n_timing, cap_timing;
};

struct gb_buf {
    gb_device *dev;
    cl_mem mem;
    cl_mem root;   // the buffer it is a slice of, itself for a whole one
    size_t offset; // in root
    size_t bytes;
    bool whole;
    void *host; // NULL, or the memory that it lies in, to be freed with it
};

typedef struct gb_gemm gb_gemm; // blas.c

struct gb_kernel {
    gb_device *dev;
    gb_gemm *gemm; // not NULL: CLBlast's, and no cl_kernel
    cl_kernel kernel;
    char *name; // "program.kernel", for messages
    size_t global[3], local[3];
    bool any_local, sized;
    double seconds;
    unsigned profile_round;
};

typedef struct gb_found_device { // an entry of the list with its handles
    gb_device_info info;
    cl_platform_id platform;
    cl_device_id id;
} gb_found_device;

// list.c
int gb_find_devices(gb_found_device **list, size_t *count, const gb_log *log);

// error.c
const char *gb_cl_name(cl_int code); // "CL_OUT_OF_RESOURCES"
// Records "what: CL_NAME" and returns the gb_status for it.
int gb_cl_fail(cl_int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

// blas.c
int gb_gemm_enqueue(gb_kernel *kernel);
void gb_gemm_free(gb_gemm *gemm);

// program.c, for any thread. log: NULL from those that the library's caller does not know of.
int gb_program_get(cl_program *out, gb_device *dev, const char *name, const char *options,
                   const gb_log *log);
void gb_programs_free(gb_device *dev);

// ahead.c: ends what gb_program_ahead began.
void gb_ahead_free(gb_ahead *ahead);

// source.c: malloc'ed text of NAME.cl and what goes in front of it. The name is gb_program_group's:
// what program NAME is built as part of, itself if alone.
const char *gb_program_group(const char *name, const char *options);
int gb_program_source(char **out, const char *name, const gb_log *log);

typedef struct gb_embedded { // the table made by tools/embed; ends with a NULL name
    const char *name, *text;
} gb_embedded;
extern const gb_embedded gb_embedded_kernels[];

// cache.c: binaries in a folder under a key, any text of one line. A miss, a damaged or a foreign
// file gives *data = NULL. Storing is best effort.
void gb_cache_load(void **data, size_t *size, const char *folder, const char *key);
void gb_cache_store(const char *folder, const char *key, const void *data, size_t size);
// The data in such a file's contents, *size bytes; NULL: it is damaged, or under another key.
const void *gb_cache_decode(size_t *size, const void *file, size_t total, const char *key);

// folder.c: finds PoCL a folder for its cache, without which it shows no device, and names it in
// $POCL_CACHE_DIR where PoCL would not find it itself. Before the loader asks PoCL for anything.
int gb_prepare_pocl(const gb_log *log);

// none.c: says why no device was found, as gb_last_error().
void gb_say_no_device(const char *platforms);

extern const char gb_pocl_name[]; // of its platform

// kernel.c: reads the times of finished launches into their kernels.
int gb_timing_collect(gb_device *dev);

#endif
