// Builds row tables from windows.
#include "op/tables.h"

#include <stdlib.h>

// Steps a 3-dimensional counter; false after the last.
static bool next(int64_t i[GB_MAX_SPATIAL], const int64_t size[GB_MAX_SPATIAL])
{
    for (int d = GB_MAX_SPATIAL - 1; d >= 0; d--) {
        if (++i[d] < size[d])
            return true;
        i[d] = 0;
    }
    return false;
}

static int64_t volume(const int64_t size[GB_MAX_SPATIAL])
{
    return size[0] * size[1] * size[2];
}

enum { MOST = 1 << 27 }; // entries: windows of sizes that no classifier has

static int32_t *new_table(int64_t rows, int64_t columns)
{
    if (columns > 0 && rows > MOST / columns) {
        gb_fail(GB_ERR_UNSUPPORTED,
                "a window of %lld taps over %lld points is more than can be tabulated",
                (long long)rows, (long long)columns);
        return NULL;
    }
    int32_t *table = calloc((size_t)(rows * columns) + 1, sizeof *table);
    if (!table)
        gb_fail(GB_ERR_NOMEM, "out of memory for a window's table");
    return table;
}

// NULL tables become the recorder's failure, with the message that is there.
static int32_t *checked(gb_emit *e, int32_t *table)
{
    if (!table)
        gb_emit_fail(e, gb_fail_in(GB_ERR_UNSUPPORTED, "%s", gb_node_text(e->node)));
    return table;
}

int32_t *gb_table_identity(gb_emit *e, int64_t count)
{
    int32_t *table = checked(e, new_table(1, count));
    for (int64_t i = 0; table && i < count; i++)
        table[i] = (int32_t)i;
    return table;
}

int32_t *gb_table_forward(gb_emit *e, const gb_window *w)
{
    int64_t taps = volume(w->kernel), points = volume(w->out);
    int32_t *table = checked(e, new_table(taps, points)), *at = table;
    int64_t k[GB_MAX_SPATIAL] = {0};
    for (int64_t t = 0; table && t < taps; t++, next(k, w->kernel)) {
        int64_t o[GB_MAX_SPATIAL] = {0};
        for (int64_t p = 0; p < points; p++, next(o, w->out)) {
            int64_t pixel = 0;
            for (int d = 0; d < GB_MAX_SPATIAL && pixel >= 0; d++) {
                int64_t i = o[d] * w->stride[d] + k[d] * w->dilation[d] - w->pad_begin[d];
                pixel = i < 0 || i >= w->in[d] ? -1 : pixel * w->in[d] + i;
            }
            *at++ = (int32_t)pixel;
        }
    }
    return table;
}

// The output pixel that reads input point i at tap k, or -1.
static int32_t reader(const gb_window *w, const int64_t *i, const int64_t *k)
{
    int64_t pixel = 0;
    for (int d = 0; d < GB_MAX_SPATIAL; d++) {
        int64_t o = i[d] + w->pad_begin[d] - k[d] * w->dilation[d];
        if (o < 0 || o % w->stride[d] || o / w->stride[d] >= w->out[d])
            return -1;
        pixel = pixel * w->out[d] + o / w->stride[d];
    }
    return (int32_t)pixel;
}

int32_t *gb_table_transposed(gb_emit *e, const gb_window *w)
{
    int64_t taps = volume(w->kernel), points = volume(w->in);
    int32_t *table = checked(e, new_table(taps, points)), *at = table;
    int64_t k[GB_MAX_SPATIAL] = {0};
    for (int64_t t = 0; table && t < taps; t++, next(k, w->kernel)) {
        int64_t i[GB_MAX_SPATIAL] = {0};
        for (int64_t p = 0; p < points; p++, next(i, w->in))
            *at++ = reader(w, i, k);
    }
    return table;
}

bool gb_phase_next(const gb_window *w, int64_t r[GB_MAX_SPATIAL])
{
    return next(r, w->stride);
}

void gb_phase_finish(gb_phase *phase)
{
    free(phase->tap);
    free(phase->points_at);
    free(phase->rows);
    *phase = (gb_phase){0};
}

int gb_phase_init(gb_phase *phase, const gb_window *w, const int64_t r[GB_MAX_SPATIAL])
{
    int64_t all_taps = volume(w->kernel);
    int64_t start[GB_MAX_SPATIAL], size[GB_MAX_SPATIAL], k[GB_MAX_SPATIAL] = {0};
    *phase = (gb_phase){0};
    for (int d = 0; d < GB_MAX_SPATIAL; d++) {
        // The first i >= 0 with (i + pad) % stride == r.
        start[d] = ((r[d] - w->pad_begin[d]) % w->stride[d] + w->stride[d]) % w->stride[d];
        size[d] = start[d] >= w->in[d] ? 0 : (w->in[d] - start[d] - 1) / w->stride[d] + 1;
    }
    phase->points = volume(size);
    if (phase->points == 0)
        return 0;
    phase->tap = calloc((size_t)all_taps + 1, sizeof *phase->tap);
    phase->points_at = new_table(1, phase->points);
    if (!phase->tap)
        gb_fail(GB_ERR_NOMEM, "out of memory for a window's table");
    if (!phase->tap || !phase->points_at)
        goto fail;
    for (int64_t t = 0; t < all_taps; t++, next(k, w->kernel)) {
        bool meets = true;
        for (int d = 0; d < GB_MAX_SPATIAL; d++)
            meets = meets && (k[d] * w->dilation[d] - r[d]) % w->stride[d] == 0;
        if (meets)
            phase->tap[phase->taps++] = t;
    }
    phase->rows = new_table(phase->taps, phase->points);
    if (!phase->rows)
        goto fail; // new_table says why
    int64_t j[GB_MAX_SPATIAL] = {0};
    for (int64_t p = 0; p < phase->points; p++, next(j, size)) {
        int64_t i[GB_MAX_SPATIAL], pixel = 0;
        for (int d = 0; d < GB_MAX_SPATIAL; d++) {
            i[d] = start[d] + j[d] * w->stride[d];
            pixel = pixel * w->in[d] + i[d];
        }
        phase->points_at[p] = (int32_t)pixel;
        for (int64_t t = 0; t < phase->taps; t++) {
            int64_t tap = phase->tap[t];
            k[2] = tap % w->kernel[2];
            k[1] = tap / w->kernel[2] % w->kernel[1];
            k[0] = tap / w->kernel[2] / w->kernel[1];
            phase->rows[t * phase->points + p] = reader(w, i, k);
        }
    }
    return 0;
fail:
    gb_phase_finish(phase);
    return GB_ERR_UNSUPPORTED;
}
