// NPY in: numpy's file format for one array, versions 1.0 to 3.0.
//
// 6 bytes of magic, 2 of version, the header's length (2 bytes, from version 2 on 4,
// little-endian), the header, the data. The header is a Python dict with the keys descr,
// fortran_order and shape.
#include "image/image.h"

#include "base/file.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char magic[6] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y'};
enum { MAX_RANK = GB_COUNT(((gb_npy *)0)->dim), MAX_HEADER = 1 << 16 };

typedef enum element { F2, F4, F8, U1, U2, U4, U8, I1, I2, I4, I8, B1 } element;
static const struct {
    const char *code;
    size_t size;
} elements[] = {[F2] = {"f2", 2}, [F4] = {"f4", 4}, [F8] = {"f8", 8}, [U1] = {"u1", 1},
                [U2] = {"u2", 2}, [U4] = {"u4", 4}, [U8] = {"u8", 8}, [I1] = {"i1", 1},
                [I2] = {"i2", 2}, [I4] = {"i4", 4}, [I8] = {"i8", 8}, [B1] = {"b1", 1}};

typedef struct header {
    element type;
    int rank;
    int64_t dim[MAX_RANK];
    size_t start;        // of the data in the file
    size_t rows;         // the leading dimension; 1 for a scalar
    size_t row_elements; // elements of one row
} header;

typedef struct parser {
    const char *at, *end, *name;
} parser;

static void skip_space(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\n' || *p->at == '\t'))
        p->at++;
}

static bool take(parser *p, char c)
{
    skip_space(p);
    if (p->at == p->end || *p->at != c)
        return false;
    p->at++;
    return true;
}

// A Python string without escapes, which is all numpy writes here.
static bool take_string(parser *p, char *out, size_t size)
{
    char quote = take(p, '\'') ? '\'' : take(p, '"') ? '"' : 0;
    size_t n = 0;
    if (!quote)
        return false;
    while (p->at < p->end && *p->at != quote && *p->at != '\\' && n + 1 < size)
        out[n++] = *p->at++;
    out[n] = 0;
    return p->at < p->end && *p->at++ == quote;
}

static bool take_word(parser *p, const char *word)
{
    skip_space(p);
    size_t n = strlen(word);
    if ((size_t)(p->end - p->at) < n || memcmp(p->at, word, n) != 0)
        return false;
    p->at += n;
    return true;
}

static int malformed(const parser *p)
{
    return gb_fail(GB_ERR_FORMAT, "%s: malformed NPY header", p->name);
}

static int parse_type(header *h, parser *p)
{
    char text[32];
    if (take(p, '['))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: structured arrays are not read", p->name);
    if (!take_string(p, text, sizeof text) || strlen(text) < 2)
        return malformed(p);
    for (size_t i = 0; i < GB_COUNT(elements); i++) {
        if (strcmp(text + 1, elements[i].code) != 0)
            continue;
        if (text[0] == '>' && elements[i].size > 1)
            return gb_fail(GB_ERR_UNSUPPORTED,
                           "%s: is big-endian (%s); save it as array.astype('<%s')", p->name, text,
                           elements[i].code);
        if (text[0] == '<' || elements[i].size == 1) {
            h->type = (element)i;
            return 0;
        }
    }
    return gb_fail(GB_ERR_UNSUPPORTED,
                   "%s: element type '%s' is not one of f2, f4, f8, u1 to u8, i1 to i8, b1",
                   p->name, text);
}

static int parse_shape(header *h, parser *p)
{
    if (!take(p, '('))
        return malformed(p);
    h->rank = 0;
    while (!take(p, ')')) {
        int64_t n = 0;
        skip_space(p);
        if (p->at == p->end || *p->at < '0' || *p->at > '9')
            return malformed(p);
        for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *p->at - '0', &n))
                return gb_fail(GB_ERR_FORMAT, "%s: a dimension overflows", p->name);
        }
        take(p, 'L'); // Python 2
        if (h->rank == MAX_RANK)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: has more than %d dimensions", p->name,
                           (int)MAX_RANK);
        h->dim[h->rank++] = n;
        if (!take(p, ',')) {
            if (!take(p, ')'))
                return malformed(p);
            break;
        }
    }
    return 0;
}

static int parse_dict(header *h, parser *p)
{
    bool type = false, order = false, shape = false, fortran = false;
    if (!take(p, '{'))
        return malformed(p);
    while (!take(p, '}')) {
        char key[32];
        bool *seen;
        int err = 0;
        if (!take_string(p, key, sizeof key) || !take(p, ':'))
            return malformed(p);
        seen = strcmp(key, "descr") == 0           ? &type
               : strcmp(key, "fortran_order") == 0 ? &order
               : strcmp(key, "shape") == 0         ? &shape
                                                   : NULL;
        if (!seen || *seen)
            return malformed(p);
        *seen = true;
        if (seen == &type)
            err = parse_type(h, p);
        else if (seen == &shape)
            err = parse_shape(h, p);
        else if (!(fortran = take_word(p, "True")) && !take_word(p, "False"))
            err = malformed(p);
        if (err < 0)
            return err;
        if (!take(p, ',')) {
            if (!take(p, '}'))
                return malformed(p);
            break;
        }
    }
    skip_space(p);
    if (p->at != p->end)
        return malformed(p);
    if (!type || !order || !shape)
        return gb_fail(GB_ERR_FORMAT, "%s: the NPY header lacks '%s'", p->name,
                       !type ? "descr" : !order ? "fortran_order" : "shape");
    if (fortran && h->rank > 1)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: is in Fortran order; save it as "
                                           "numpy.ascontiguousarray(array)", p->name);
    return 0;
}

// Reads the header at the start of `bytes` and checks that `file_size` is what it asks for.
static int parse_header(header *h, const uint8_t *bytes, size_t size, size_t file_size,
                        const char *name)
{
    int err;
    *h = (header){0};
    if (size < sizeof magic || memcmp(bytes, magic, sizeof magic) != 0)
        return gb_fail(GB_ERR_FORMAT, "%s: not an NPY file", name);
    if (size < 10 || (bytes[6] > 1 && size < 12))
        return gb_fail(GB_ERR_FORMAT, "%s: truncated NPY header", name);
    if (bytes[6] < 1 || bytes[6] > 3 || bytes[7] != 0)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: NPY version %d.%d is not 1.0, 2.0 or 3.0", name,
                       bytes[6], bytes[7]);
    size_t at = bytes[6] == 1 ? 10 : 12;
    size_t length = bytes[8] | (size_t)bytes[9] << 8;
    if (at == 12)
        length |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (length > MAX_HEADER)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: an NPY header of %zu bytes is too long", name,
                       length);
    if (length > size - at)
        return gb_fail(GB_ERR_FORMAT, "%s: truncated NPY header", name);
    parser p = {(const char *)bytes + at, (const char *)bytes + at + length, name};
    err = parse_dict(h, &p);
    if (err < 0)
        return err;
    h->start = at + length;
    h->rows = h->rank ? (size_t)h->dim[0] : 1;
    h->row_elements = 1;
    // The dimensions but those of 0, which would hide how many rows the others claim.
    size_t whole = elements[h->type].size;
    bool fits = true;
    for (int i = 0; i < h->rank; i++) {
        const size_t dim = (size_t)h->dim[i];
        fits = fits && (dim == 0 || gb_mul_size(&whole, whole, dim));
        h->row_elements *= fits && i > 0 ? dim : 1;
    }
    size_t want = h->rows && h->row_elements ? whole : 0;
    if (!fits)
        return gb_fail(GB_ERR_FORMAT, "%s: its shape overflows", name);
    if (want != file_size - h->start)
        return gb_fail(GB_ERR_FORMAT, "%s: holds %zu bytes of data where its shape asks for %zu%s",
                       name, file_size - h->start, want,
                       want > file_size - h->start ? " (truncated?)" : "");
    return 0;
}

static float from_half(uint16_t h)
{
    const int exponent = h >> 10 & 31, fraction = h & 1023;
    float v = exponent == 31 ? (fraction ? NAN : INFINITY)
              : exponent     ? ldexpf((float)(1024 + fraction), exponent - 25)
                             : ldexpf((float)fraction, -24);
    return h >> 15 ? -v : v;
}

// An element as it is: a float, or an integer's bits and whether they have a sign.
typedef struct number {
    bool is_float, is_signed;
    double f;
    int64_t i;
} number;

static number read_number(const uint8_t *in, element type)
{
    union { // memcpy: the data need not be aligned in the file
        uint16_t u16;
        uint32_t u32;
        int16_t i16;
        int32_t i32;
        int64_t i64;
        float f32;
        double f64;
    } v;
    memcpy(&v, in, elements[type].size);
    switch (type) {
    case F2: return (number){.is_float = true, .f = (double)from_half(v.u16)};
    case F4: return (number){.is_float = true, .f = (double)v.f32};
    case F8: return (number){.is_float = true, .f = v.f64};
    case U1: return (number){.i = *in};
    case U2: return (number){.i = v.u16};
    case U4: return (number){.i = v.u32};
    case U8: return (number){.i = v.i64};
    case I1: return (number){.is_signed = true, .i = *(const int8_t *)in};
    case I2: return (number){.is_signed = true, .i = v.i16};
    case I4: return (number){.is_signed = true, .i = v.i32};
    case I8: return (number){.is_signed = true, .i = v.i64};
    case B1: return (number){.i = *in != 0};
    }
    return (number){0};
}

static char *number_text(char *buf, size_t size, const number *n)
{
    if (n->is_float)
        gb_format(buf, size, "%g", n->f);
    else if (n->is_signed)
        snprintf(buf, size, "%lld", (long long)n->i);
    else
        snprintf(buf, size, "%llu", (unsigned long long)n->i);
    return buf;
}

// A float in another precision is rounded; an integer that would be is refused.
static int to_float(float *out, const uint8_t *in, size_t count, element type, const char *name)
{
    for (size_t i = 0; i < count; i++, in += elements[type].size) {
        const number n = read_number(in, type);
        char text[32];
        out[i] = n.is_float ? (float)n.f : n.is_signed ? (float)n.i : (float)(uint64_t)n.i;
        // a power of two beyond all integers of the type is no such integer again
        bool exact = n.is_float ||
                     (n.is_signed ? out[i] < 0x1p63f && (int64_t)out[i] == n.i
                                  : out[i] < 0x1p64f && (uint64_t)out[i] == (uint64_t)n.i);
        if (!exact)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: float32 does not hold %s", name,
                           number_text(text, sizeof text, &n));
    }
    return 0;
}

static int allocate(void *data, size_t count, size_t each, const char *name)
{
    size_t size;
    void *room = gb_mul_size(&size, count ? count : 1, each) ? malloc(size) : NULL;
    *(void **)data = room;
    return room ? 0 : gb_fail(GB_ERR_NOMEM, "%s: out of memory for %zu numbers", name, count);
}

static void set_shape(gb_npy *out, const header *h)
{
    out->rank = h->rank;
    memcpy(out->dim, h->dim, sizeof out->dim);
}

// The result of `rows` rows at `bytes`; their size has been checked.
static int convert(gb_npy *out, const header *h, const uint8_t *bytes, size_t rows,
                   const char *name)
{
    size_t count = rows * h->row_elements;
    int err = allocate(&out->data, count, sizeof *out->data, name);
    if (err < 0)
        return err;
    set_shape(out, h);
    if (h->rank)
        out->dim[0] = (int64_t)rows;
    err = to_float(out->data, bytes, count, h->type, name);
    if (err < 0)
        gb_npy_finish(out);
    return err;
}

int gb_npy_decode(gb_npy *out, const void *bytes, size_t size, const char *name)
{
    header h;
    *out = (gb_npy){0};
    int err = parse_header(&h, bytes, size, size, name);
    return err < 0 ? err : convert(out, &h, (const uint8_t *)bytes + h.start, h.rows, name);
}

int gb_npy_read(gb_npy *out, const char *path)
{
    void *bytes;
    size_t size;
    *out = (gb_npy){0};
    int err = gb_file_read(&bytes, &size, path);
    if (err < 0)
        return err;
    err = gb_npy_decode(out, bytes, size, path);
    free(bytes);
    return err;
}

// Whether a number is an integer of so many bits, and that integer's bits.
static bool fits(int64_t *out, const number *n, int bits, bool is_signed)
{
    bool negative = n->is_float ? n->f < 0 : n->is_signed && n->i < 0;
    uint64_t size; // without the sign
    if (n->is_float && !(fabs(n->f) < 0x1p64 && n->f == trunc(n->f)))
        return false;
    if (n->is_float)
        size = (uint64_t)fabs(n->f);
    else
        size = negative ? 0 - (uint64_t)n->i : (uint64_t)n->i;
    *out = (int64_t)(negative ? 0 - size : size);
    if (is_signed)
        return size <= (UINT64_MAX >> (65 - bits)) + negative;
    return !negative && size <= UINT64_MAX >> (64 - bits);
}

int gb_npy_read_ints(gb_npy *out, const char *path, int bits, bool is_signed)
{
    void *bytes;
    size_t size;
    header h;
    *out = (gb_npy){0};
    int err = gb_file_read(&bytes, &size, path);
    if (err < 0)
        return err;
    err = parse_header(&h, bytes, size, size, path);
    size_t count = err < 0 ? 0 : h.rows * h.row_elements;
    if (err == 0)
        err = allocate(&out->ints, count, sizeof *out->ints, path);
    if (err == 0)
        set_shape(out, &h);
    const uint8_t *at = (const uint8_t *)bytes + (err < 0 ? 0 : h.start);
    for (size_t i = 0; i < count && err == 0; i++, at += elements[h.type].size) {
        const number n = read_number(at, h.type);
        char text[32];
        if (!fits(&out->ints[i], &n, bits, is_signed))
            err = bits == 1 ? gb_fail(GB_ERR_ARG, "%s: %s is no bool", path,
                                      number_text(text, sizeof text, &n))
                            : gb_fail(GB_ERR_ARG, "%s: %s is no %sint%d", path,
                                      number_text(text, sizeof text, &n), is_signed ? "" : "u",
                                      bits);
    }
    free(bytes);
    if (err < 0)
        gb_npy_finish(out);
    return err;
}

// Opens a file and reads its header alone, for files too large to be held whole.
static int open_file(FILE **out, header *h, const char *path)
{
    uint64_t size;
    uint8_t *bytes = NULL;
    FILE *file = NULL;
    int fd, err = 0;
    GB_TRY(gb_file_open(&fd, &size, path, 0));
    bytes = malloc(12 + MAX_HEADER);
    file = fdopen(fd, "rb");
    if (!bytes || !file) {
        err = gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
        goto fail;
    }
    GB_TRY(parse_header(h, bytes, fread(bytes, 1, 12 + MAX_HEADER, file), (size_t)size, path));
    free(bytes);
    *out = file;
    return 0;
fail:
    free(bytes);
    if (file)
        fclose(file);
    else if (fd >= 0)
        close(fd);
    return err;
}

int gb_npy_shape(gb_npy *out, const char *path)
{
    header h;
    FILE *file;
    *out = (gb_npy){0};
    int err = open_file(&file, &h, path);
    if (err < 0)
        return err;
    out->rank = h.rank;
    memcpy(out->dim, h.dim, sizeof out->dim);
    fclose(file);
    return 0;
}

int gb_npy_read_rows(gb_npy *out, const char *path, int64_t first, int64_t count)
{
    uint8_t *bytes = NULL;
    size_t row;
    header h;
    FILE *file;
    *out = (gb_npy){0};
    int err = open_file(&file, &h, path);
    if (err < 0)
        return err;
    if (first < 0 || count < 1 || (size_t)first >= h.rows ||
        (size_t)count > h.rows - (size_t)first) {
        err = gb_fail(GB_ERR_ARG, "%s: has %zu rows, not %lld from row %lld on", path, h.rows,
                      (long long)count, (long long)first);
        goto fail;
    }
    row = h.row_elements * elements[h.type].size; // no more than the file's size, as rows > 0
    bytes = malloc((size_t)count * row + 1);
    if (!bytes)
        err = gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    else if (fseeko(file, (off_t)(h.start + (size_t)first * row), SEEK_SET) < 0 ||
             fread(bytes, 1, (size_t)count * row, file) != (size_t)count * row)
        err = gb_fail(GB_ERR_IO, "%s: cannot be read", path);
    else
        err = convert(out, &h, bytes, (size_t)count, path);
fail:
    free(bytes);
    fclose(file);
    return err;
}

void gb_npy_finish(gb_npy *npy)
{
    free(npy->data);
    free(npy->ints);
    *npy = (gb_npy){0};
}
