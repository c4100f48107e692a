// Host memory on its way to the device, sent while kernels run.
#include "device/internal.h"

#include <stdlib.h>

struct gb_upload {
    gb_device *dev;
    void *room;
    size_t bytes;
    cl_event sent; // of the last transfer; NULL: none under way
};

int gb_upload_create(gb_upload **out, gb_device *dev, size_t bytes)
{
    gb_upload *u = calloc(1, sizeof *u);
    if (!u || !(u->room = calloc(1, bytes ? bytes : 1))) {
        free(u);
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu bytes to upload", bytes);
    }
    u->dev = dev;
    u->bytes = bytes;
    *out = u;
    return 0;
}

static int wait(gb_upload *u)
{
    if (!u->sent)
        return 0;
    cl_int code = clWaitForEvents(1, &u->sent);
    clReleaseEvent(u->sent);
    u->sent = NULL;
    return code == CL_SUCCESS ? 0 : gb_cl_fail(code, "%s: an upload", u->dev->info.name);
}

void gb_upload_free(gb_upload *u)
{
    if (!u)
        return;
    wait(u);
    free(u->room);
    free(u);
}

int gb_upload_room(void **room, gb_upload *u)
{
    *room = u->room;
    return wait(u);
}

int gb_upload_send(gb_upload *u, gb_buf *buf, size_t offset, size_t from, size_t bytes)
{
    if (from > u->bytes || bytes > u->bytes - from || offset > buf->bytes ||
        bytes > buf->bytes - offset)
        return gb_fail(GB_ERR_ARG, "upload of %zu bytes at %zu of %zu to %zu in a buffer of %zu",
                       bytes, from, u->bytes, offset, buf->bytes);
    if (!bytes)
        return 0;
    if (u->sent) // the queue is in order: the last transfer's end is all transfers' end
        clReleaseEvent(u->sent);
    u->sent = NULL;
    cl_int code = clEnqueueWriteBuffer(u->dev->queue, buf->mem, CL_FALSE, offset, bytes,
                                       (const char *)u->room + from, 0, NULL, &u->sent);
    return code == CL_SUCCESS ? 0 : gb_cl_fail(code, "%s: upload of %zu bytes", u->dev->info.name,
                                               bytes);
}
