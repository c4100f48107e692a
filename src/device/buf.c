// Device memory: buffers, slices of them, transfers, and an account of what is held.
#include "device/internal.h"

#include <stdlib.h>

enum { HOST_ALIGN = 64 }; // a cache line, and the widest vector

// Memory of the driver's, or `host` where that is not NULL.
static int create(gb_buf **out, gb_device *dev, void *host, size_t bytes)
{
    const gb_device_info *info = &dev->info;
    gb_buf *buf = NULL;
    int err = 0;
    cl_int code;
    size_t left = info->memory > dev->allocated ? info->memory - dev->allocated : 0;
    if (bytes > left || (info->max_alloc && bytes > info->max_alloc))
        return gb_fail(GB_ERR_DEVICE_MEM,
                       "%s: %zu bytes of device memory asked for; %zu of %zu are free, at most %zu "
                       "in one piece. A smaller batch needs less",
                       info->name, bytes, left, info->memory, info->max_alloc);
    buf = calloc(1, sizeof *buf);
    if (!buf)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    *buf = (gb_buf){.dev = dev, .bytes = bytes, .whole = true};
    buf->mem = buf->root = clCreateBuffer(dev->context,
                                          CL_MEM_READ_WRITE | (host ? CL_MEM_USE_HOST_PTR : 0),
                                          bytes, host, &code);
    // Memory of a device's own is allocated at first use: touch it, so that failure happens here.
    if (buf->mem && (info->wide || !info->integrated)) {
        const cl_uint zero = 0;
        code = clEnqueueFillBuffer(dev->queue, buf->mem, &zero, sizeof zero, 0, sizeof zero, 0,
                                   NULL, NULL);
        if (code == CL_SUCCESS)
            code = clFinish(dev->queue);
    }
    if (!buf->mem || code != CL_SUCCESS) {
        err = gb_cl_fail(code, "%s: %zu bytes of memory (%zu of %zu are left)", info->name, bytes,
                         left, info->memory);
        goto fail;
    }
    buf->host = host;
    dev->allocated += bytes;
    if (dev->peak < dev->allocated)
        dev->peak = dev->allocated;
    *out = buf;
    return 0;
fail:
    if (buf->mem)
        clReleaseMemObject(buf->mem);
    free(buf);
    return err;
}

int gb_buf_create(gb_buf **out, gb_device *dev, size_t bytes)
{
    return create(out, dev, NULL, gb_align(bytes ? bytes : 1, sizeof(cl_uint)));
}

// Whether kernels could work on the data as well where it is.
static bool shares(const gb_device *dev, const void *data, size_t bytes)
{
    return !dev->info.wide && dev->info.integrated && bytes &&
           bytes % sizeof(cl_uint) == 0 && (uintptr_t)data % HOST_ALIGN == 0;
}

int gb_buf_adopt(gb_buf **out, gb_device *dev, void *data, size_t bytes)
{
    int err = 0;
    if (shares(dev, data, bytes))
        return create(out, dev, data, bytes);
    GB_TRY(gb_buf_create(out, dev, bytes));
    if ((err = gb_buf_write(*out, 0, data, bytes)) < 0) {
        gb_buf_free(*out);
        *out = NULL;
        return err;
    }
    free(data);
fail:
    return err;
}

static int check_range(const gb_buf *buf, size_t offset, size_t bytes, const char *what)
{
    if (offset > buf->bytes || bytes > buf->bytes - offset)
        return gb_fail(GB_ERR_ARG, "%s of %zu bytes at %zu in a buffer of %zu", what, bytes,
                       offset, buf->bytes);
    return 0;
}

int gb_buf_slice(gb_buf **out, gb_buf *parent, size_t offset, size_t bytes)
{
    gb_device *dev = parent->dev;
    int err = check_range(parent, offset, bytes, "slice");
    if (err < 0)
        return err;
    if (!bytes || offset % dev->info.align)
        return gb_fail(GB_ERR_ARG, "slice of %zu bytes at %zu: not a multiple of %zu, or empty",
                       bytes, offset, dev->info.align);
    gb_buf *buf = calloc(1, sizeof *buf);
    if (!buf)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    // OpenCL has no slices of slices; the root's do as well.
    *buf = (gb_buf){.dev = dev, .root = parent->root, .offset = parent->offset + offset,
                    .bytes = bytes};
    cl_int code;
    const cl_buffer_region region = {buf->offset, bytes};
    buf->mem = clCreateSubBuffer(buf->root, 0, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    if (!buf->mem) {
        free(buf);
        return gb_cl_fail(code, "%s: clCreateSubBuffer of %zu bytes at %zu", dev->info.name, bytes,
                          region.origin);
    }
    *out = buf;
    return 0;
}

void gb_buf_free(gb_buf *buf)
{
    if (!buf)
        return;
    if (buf->host)
        clFinish(buf->dev->queue); // the driver would wait by itself for memory of its own
    clReleaseMemObject(buf->mem);
    if (buf->whole)
        buf->dev->allocated -= buf->bytes;
    free(buf->host);
    free(buf);
}

static int check_code(const gb_buf *buf, cl_int code, const char *what, size_t bytes)
{
    if (code == CL_SUCCESS)
        return 0;
    return gb_cl_fail(code, "%s: %s of %zu bytes", buf->dev->info.name, what, bytes);
}

int gb_buf_write(gb_buf *buf, size_t offset, const void *data, size_t bytes)
{
    int err = check_range(buf, offset, bytes, "write");
    if (err < 0 || !bytes)
        return err;
    return check_code(buf, clEnqueueWriteBuffer(buf->dev->queue, buf->mem, CL_TRUE, offset, bytes,
                                                data, 0, NULL, NULL),
                      "write", bytes);
}

int gb_buf_read(gb_buf *buf, size_t offset, void *data, size_t bytes)
{
    int err = check_range(buf, offset, bytes, "read");
    if (err < 0 || !bytes)
        return err;
    return check_code(buf, clEnqueueReadBuffer(buf->dev->queue, buf->mem, CL_TRUE, offset, bytes,
                                               data, 0, NULL, NULL),
                      "read", bytes);
}

int gb_buf_copy(gb_buf *dst, size_t dst_offset, gb_buf *src, size_t src_offset, size_t bytes)
{
    int err = check_range(dst, dst_offset, bytes, "copy");
    if (!err)
        err = check_range(src, src_offset, bytes, "copy");
    if (err < 0 || !bytes)
        return err;
    return check_code(dst, clEnqueueCopyBuffer(dst->dev->queue, src->mem, dst->mem, src_offset,
                                               dst_offset, bytes, 0, NULL, NULL),
                      "copy", bytes);
}

int gb_buf_fill(gb_buf *buf, size_t offset, size_t bytes, uint32_t pattern)
{
    int err = check_range(buf, offset, bytes, "fill");
    if (err < 0 || !bytes)
        return err;
    if (offset % sizeof pattern || bytes % sizeof pattern)
        return gb_fail(GB_ERR_ARG, "fill of %zu bytes at %zu: not whole words", bytes, offset);
    return check_code(buf, clEnqueueFillBuffer(buf->dev->queue, buf->mem, &pattern, sizeof pattern,
                                               offset, bytes, 0, NULL, NULL),
                      "fill", bytes);
}

size_t gb_device_allocated(const gb_device *dev)
{
    return dev->allocated;
}

size_t gb_device_peak(const gb_device *dev)
{
    return dev->peak;
}
