// Reads idx files, the format of MNIST and Fashion-MNIST, plain or compressed by gzip.
#include "data/internal.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

// Deflate makes at most 1032 bytes of one: a header that asks for more lies.
enum { MAX_RATIO = 1032, MAX_SIDE = 1 << 14, PIECE = 1 << 30 };

typedef struct source {
    const char *name;
    const uint8_t *at;
    size_t left;
    bool gzip, ended;
    z_stream z;
} source;

static int source_open(source *s, const void *bytes, size_t size, const char *name)
{
    *s = (source){.name = name, .at = bytes, .left = size};
    s->gzip = size >= 2 && s->at[0] == 0x1f && s->at[1] == 0x8b;
    if (s->gzip && inflateInit2(&s->z, 15 + 16) != Z_OK)
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory to decompress", name);
    return 0;
}

static void source_close(source *s)
{
    if (s->gzip)
        inflateEnd(&s->z);
}

// Up to `size` bytes; *got is less where the data ends.
static int source_read(source *s, uint8_t *out, size_t size, size_t *got)
{
    *got = 0;
    if (!s->gzip) {
        *got = size < s->left ? size : s->left;
        memcpy(out, s->at, *got);
        s->at += *got;
        s->left -= *got;
        return 0;
    }
    while (*got < size && !s->ended) {
        const size_t in = s->left < PIECE ? s->left : PIECE;
        const size_t want = size - *got < PIECE ? size - *got : PIECE;
        s->z.next_in = (Bytef *)(uintptr_t)s->at;
        s->z.avail_in = (uInt)in;
        s->z.next_out = out + *got;
        s->z.avail_out = (uInt)want;
        int code = inflate(&s->z, Z_NO_FLUSH);
        s->at += in - s->z.avail_in;
        s->left -= in - s->z.avail_in;
        *got += want - s->z.avail_out;
        s->ended = code == Z_STREAM_END;
        if (code == Z_BUF_ERROR)
            break; // no more input
        if (code != Z_OK && code != Z_STREAM_END)
            return gb_fail(GB_ERR_FORMAT, "%s: damaged gzip data (%s)", s->name,
                           s->z.msg ? s->z.msg : "inflate failed");
    }
    return 0;
}

static int read_header(gb_idx *out, source *s, int rank)
{
    uint8_t head[16];
    size_t got, start = 4 + 4 * (size_t)rank;
    int err = source_read(s, head, start, &got);
    if (err < 0)
        return err;
    if (got < 4 || head[0] || head[1])
        return gb_fail(GB_ERR_FORMAT, "%s: not an idx file", s->name);
    if (head[2] != 8)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: idx data of type 0x%02x; only unsigned bytes "
                                           "(0x08) are read", s->name, head[2]);
    if (head[3] != rank)
        return gb_fail(GB_ERR_FORMAT, "%s: an idx file of %d dimension%s; %s have %d", s->name,
                       head[3], head[3] == 1 ? "" : "s", rank == 1 ? "labels" : "pictures", rank);
    if (got < start)
        return gb_fail(GB_ERR_FORMAT, "%s: truncated idx header", s->name);
    out->rank = rank;
    out->count = 1;
    for (int i = 0; i < rank; i++) {
        const uint8_t *b = head + 4 + 4 * i;
        out->dim[i] = (size_t)b[0] << 24 | (size_t)b[1] << 16 | (size_t)b[2] << 8 | b[3];
        if (out->dim[i] == 0 || (i > 0 && out->dim[i] > MAX_SIDE))
            return gb_fail(GB_ERR_FORMAT, "%s: its header says a size of %zu", s->name,
                           out->dim[i]);
        out->count *= out->dim[i]; // below 2^60
    }
    if (!s->gzip && s->left != out->count)
        return gb_fail(GB_ERR_FORMAT, "%s: holds %zu bytes of data where its header asks for %zu%s",
                       s->name, s->left, out->count, s->left < out->count ? " (truncated?)" : "");
    if (out->count / MAX_RATIO > s->left + 64)
        return gb_fail(GB_ERR_FORMAT, "%s: its header asks for %zu bytes, which %zu compressed "
                                      "ones cannot hold", s->name, out->count, s->left);
    return 0;
}

int gb_idx_decode(gb_idx *out, const void *bytes, size_t size, int rank, const char *name)
{
    source s;
    uint8_t more;
    size_t got = 0, extra = 0;
    *out = (gb_idx){0};
    int err = source_open(&s, bytes, size, name);
    if (err < 0)
        return err;
    GB_TRY(read_header(out, &s, rank));
    out->data = malloc(out->count);
    if (!out->data) {
        err = gb_fail(GB_ERR_NOMEM, "%s: out of memory for its %zu bytes", name, out->count);
        goto fail;
    }
    GB_TRY(source_read(&s, out->data, out->count, &got));
    if (got == out->count)
        GB_TRY(source_read(&s, &more, 1, &extra)); // at its end gzip checks the sum of all
    if (got < out->count || (s.gzip && extra == 0 && !s.ended))
        err = gb_fail(GB_ERR_FORMAT, "%s: is truncated: %zu bytes of data where its header asks "
                                     "for %zu", name, got, out->count);
    else if (extra || s.left)
        err = gb_fail(GB_ERR_FORMAT, "%s: holds more than the %zu bytes its header asks for", name,
                      out->count);
fail:
    source_close(&s);
    if (err < 0) {
        free(out->data);
        *out = (gb_idx){0};
    }
    return err;
}

static int read_file(gb_idx *out, const char *path, int rank)
{
    void *bytes;
    size_t size;
    int err = gb_file_read(&bytes, &size, path);
    if (err < 0)
        return err;
    err = gb_idx_decode(out, bytes, size, rank, path);
    free(bytes);
    return err;
}

int gb_dataset_open_idx(gb_dataset *ds, const char *images, const char *labels)
{
    gb_idx x = {0}, y = {0};
    int err = 0;
    GB_TRY(read_file(&x, images, 3));
    GB_TRY(read_file(&y, labels, 1));
    if (x.dim[0] != y.dim[0]) {
        err = gb_fail(GB_ERR_FORMAT, "%s has %zu pictures, but %s has %zu labels", images, x.dim[0],
                      labels, y.dim[0]);
        goto fail;
    }
    ds->label = malloc(y.count * sizeof *ds->label);
    if (!ds->label) {
        err = gb_fail(GB_ERR_NOMEM, "%s: out of memory for %zu labels", labels, y.count);
        goto fail;
    }
    for (size_t i = 0; i < y.count; i++)
        ds->label[i] = y.data[i];
    ds->count = x.dim[0];
    ds->native_channels = 1;
    ds->native_height = (int)x.dim[1];
    ds->native_width = (int)x.dim[2];
    ds->bytes = x.data;
    ds->label_source = "labels file";
    ds->label_text = labels;
    x.data = NULL;
fail:
    free(x.data);
    free(y.data);
    return err;
}
