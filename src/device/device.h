// Devices: the only folder that calls cl*. Choose one, allocate, compile, launch, time.
#ifndef GB_DEVICE_DEVICE_H
#define GB_DEVICE_DEVICE_H

#include "base/log.h"
#include "base/mem.h"
#include "base/precision.h"
#include "base/status.h"

typedef struct gb_device gb_device;
typedef struct gb_buf gb_buf;
typedef struct gb_kernel gb_kernel;

typedef enum gb_device_type { GB_DEVICE_CPU, GB_DEVICE_GPU, GB_DEVICE_OTHER } gb_device_type;

enum { GB_VENDOR_AMD = 0x1002, GB_VENDOR_NVIDIA = 0x10de, GB_VENDOR_INTEL = 0x8086 };

// What a device can do; 0 means unsupported or unknown.
typedef struct gb_device_info {
    int platform, device; // indices P:D
    char name[128], vendor[128], platform_name[128], driver[128], version[128]; // version: OpenCL C
    gb_device_type type;
    bool integrated; // shares the host's memory
    bool fp16, fp64, subgroups;
    // The form of its kernels: work-groups of many narrow items that share local memory (graphics
    // processors), or items alone, on vectors (processors, and whatever else there is).
    bool wide;
    bool form_asked; // wide and vector_width are not the device's but $GIBBON_KERNEL_FORM's
    gb_precision precision; // of the products that tensor cores take; float32 unless asked for
    bool clblast; // the user wants CLBlast for products of two activations
    unsigned vendor_id;
    int compute_units, clock_mhz;
    int vector_width; // of an item, in floats: 4, 8 or 16, near the native one; 1 where wide
    size_t cache; // the last level, bytes
    size_t memory, max_alloc, local_memory, max_work_group;
    size_t align; // of sub-buffer origins, bytes
    char unusable[96]; // why gibbon cannot run there; "": it can
} gb_device_info;

const char *gb_device_type_name(gb_device_type type); // "CPU", "GPU", "other"
// Lists every device of every platform; *list is malloc'ed, the caller frees it. No device at all
// is not an error: *count = 0, and gb_last_error() says why there is none. A platform that fails is
// skipped with a warning. May set $POCL_CACHE_DIR: without a folder to write PoCL has no device.
int gb_device_list(gb_device_info **list, size_t *count, const gb_log *log);

// Chooses among them. spec: "P:D", "cpu", "gpu", "any", or a name, whatever its case: the
// platform's or device's, else what people call the driver (pocl, rusticl, intel, rocm, cuda ...),
// else a piece of the platform's or device's; NULL: $GIBBON_DEVICE, else "any". "any" is the
// discrete GPU with the most compute (units x clock), else any GPU, else a CPU, else anything;
// "cpu" and "gpu" are the best of theirs. GB_ERR_NO_DEVICE (lists what there is), GB_ERR_AMBIGUOUS
// (lists the matches).
int gb_device_choose(size_t *index, const gb_device_info *list, size_t count, const char *spec);

// Opens a device: context, in-order queue, program cache. For users and tests:
// $GIBBON_MEMORY_LIMIT  at most this much device memory (bytes, or 512M, 2G); lowers info.memory
// $GIBBON_KERNEL_FORM   gpu, cpu4, cpu8 or cpu16: the form of kernels to run, whatever the device
//                       (info.wide and info.vector_width)
// $GIBBON_GEMM          clblast: products of two activations by CLBlast (info.clblast), where the
//                       tuner chose no way
// $GIBBON_CACHE         on or off: keep compiled programs in $XDG_CACHE_HOME/gibbon; on by
//                       default, but for drivers that do so themselves
int gb_device_open(gb_device **out, const char *spec, const gb_log *log);
void gb_device_close(gb_device *dev);
// Sets info.precision, for programs built from then on. GB_ERR_UNSUPPORTED: the device is no NVIDIA
// GPU of compute capability 8.0; where $GIBBON_KERNEL_FORM is gpu, any device does what tensor
// cores would, to test the rest (info.form_asked).
int gb_device_allow_precision(gb_device *dev, gb_precision precision);
const gb_device_info *gb_device_get_info(const gb_device *dev);
const gb_log *gb_device_get_log(const gb_device *dev);

// --- memory ---

int gb_buf_create(gb_buf **out, gb_device *dev, size_t bytes); // GB_ERR_DEVICE_MEM
// A buffer of `bytes` at `data`, malloc'ed and at least one, which it takes over when it succeeds:
// on a processor the data may become the buffer itself.
int gb_buf_adopt(gb_buf **out, gb_device *dev, void *data, size_t bytes);
// A piece of a buffer; offset a multiple of info.align. Freed before its parent.
int gb_buf_slice(gb_buf **out, gb_buf *parent, size_t offset, size_t bytes);
void gb_buf_free(gb_buf *buf);
int gb_buf_write(gb_buf *buf, size_t offset, const void *data, size_t bytes); // blocking
int gb_buf_read(gb_buf *buf, size_t offset, void *data, size_t bytes);        // blocking
int gb_buf_copy(gb_buf *dst, size_t dst_offset, gb_buf *src, size_t src_offset, size_t bytes);
int gb_buf_fill(gb_buf *buf, size_t offset, size_t bytes, uint32_t pattern);
// Host memory on its way to the device: filled by the caller, and sent while kernels run.
typedef struct gb_upload gb_upload;
int gb_upload_create(gb_upload **out, gb_device *dev, size_t bytes);
void gb_upload_free(gb_upload *upload);
// Waits until what was sent from there has left, and gives the memory to be filled.
int gb_upload_room(void **room, gb_upload *upload);
int gb_upload_send(gb_upload *upload, gb_buf *buf, size_t offset, size_t from, size_t bytes);

size_t gb_device_allocated(const gb_device *dev); // bytes now
size_t gb_device_peak(const gb_device *dev);      // most bytes at once since open

// --- kernels ---

// A kernel of cl/PROGRAM.cl (source.c lists the files that go in front of every program;
// $GIBBON_KERNELS names a folder to read them from instead of the embedded ones). Programs are
// compiled once per (program, options) and device. Each gb_kernel has arguments of its own.
int gb_kernel_create(gb_kernel **out, gb_device *dev, const char *program, const char *kernel,
                     const char *options);
void gb_kernel_free(gb_kernel *kernel);
int gb_kernel_arg_buf(gb_kernel *kernel, int index, gb_buf *buf); // NULL buf allowed
// value NULL: that much local memory
int gb_kernel_arg(gb_kernel *kernel, int index, size_t bytes, const void *value);
// local NULL or local[0] 0: any
int gb_kernel_size(gb_kernel *kernel, const size_t global[3], const size_t local[3]);
int gb_kernel_run(gb_kernel *kernel); // queues it
// A product of row-major matrices by CLBlast, batched: C = alpha A' B' + beta C, A' of m x k and B'
// of k x n, each transposed as it lies where trans_* says so. offsets: [3][batches], where A, B and
// C begin, in floats.
typedef struct gb_gemm_call {
    int64_t m, n, k, lda, ldb, ldc, batches;
    bool trans_a, trans_b;
    float alpha, beta;
    const int32_t *offsets;
} gb_gemm_call;
int gb_kernel_create_gemm(gb_kernel **out, gb_device *dev, gb_buf *a, gb_buf *b, gb_buf *c,
                          const gb_gemm_call *call);

// Tells that a kernel of that program will be created. Where that is known to pay, another thread
// builds it meanwhile: PoCL reads the source even of what it has cached, in 20 ms a program.
void gb_program_ahead(gb_device *dev, const char *program, const char *options);
double gb_device_compile_seconds(const gb_device *dev);
// Calls building(user, true) before each program is built and building(user, false) after it, where
// another process could help: where the driver compiles kernels one after the other and keeps them
// for all processes (PoCL). Elsewhere it does nothing.
void gb_device_watch(gb_device *dev, void (*building)(void *user, bool on), void *user);
// Sessions made from now on only rehearse (engine/session.h).
void gb_device_rehearse(gb_device *dev);
bool gb_device_rehearses(const gb_device *dev);
// A hash of all kernel sources, $GIBBON_KERNELS' included.
int gb_kernels_hash(uint64_t *out);
// Where compiled programs and measurements are kept: $XDG_CACHE_HOME/gibbon, else
// $HOME/.cache/gibbon; where that cannot be written gibbon-UID/gibbon in $TMPDIR, /tmp or the like,
// private to the user. GB_ERR_IO: nowhere.
int gb_cache_folder(char *out, size_t size);
int gb_make_cache_folder(const char *folder); // if there is none; nobody else may look into it

int gb_device_flush(gb_device *dev);
int gb_device_finish(gb_device *dev);

// --- profiling: seconds of device time of each kernel run since gb_device_profile(dev, true) ---
int gb_device_profile(gb_device *dev, bool on);
double gb_kernel_seconds(const gb_kernel *kernel); // the sum, after gb_device_finish

#endif
