// Transforms the weights of Winograd convolutions: constants on the host, others on the device.
#include "base/parallel.h"
#include "op/winograd.h"

#include <stdlib.h>
#include <string.h>

enum { TAPS = GB_WINOGRAD_TAPS, MAX_EDGE = 6, MOST_COLUMNS = 32 };

static const double points2[] = {0, 1, -1};
const double gb_winograd_points4[] = {0, 0.625, -0.625, 1.5, -1.5};

// G[point][tap]: a row evaluates a polynomial of three coefficients at its point, over the product
// of the point's distances from the others.
static void weight_transform(double g[MAX_EDGE][TAPS], int tile)
{
    const double *at = tile == 4 ? gb_winograd_points4 : points2;
    const int finite = tile + 1;
    for (int i = 0; i < finite; i++) {
        double distance = 1;
        for (int j = 0; j < finite; j++)
            distance *= i == j ? 1 : at[i] - at[j];
        for (int t = 0; t < TAPS; t++)
            g[i][t] = (t == 0 ? 1 : t == 1 ? at[i] : at[i] * at[i]) / distance;
    }
    memcpy(g[finite], (double[TAPS]){0, 0, 1}, sizeof g[finite]);
}

// out[i][n] = the sum over r of g[i][r] * in[r][n], of MOST_COLUMNS columns n.
static void combine(double *out, int64_t out_step, const double g[MAX_EDGE][TAPS], int edge,
                    const double *in, int64_t in_step)
{
    for (int i = 0; i < edge; i++)
        for (int n = 0; n < MOST_COLUMNS; n++)
            out[i * out_step + n] = g[i][0] * in[n] + g[i][1] * in[in_step + n] +
                                    g[i][2] * in[2 * in_step + n];
}

// G w G' for one input channel and a block of output channels, a point every `stride` floats.
static void transform_kernels(float *to, int64_t stride, const gb_gathered_weights *w, int64_t c0,
                              int64_t k, int64_t columns, const double g[MAX_EDGE][TAPS], int edge)
{
    double d[TAPS][TAPS][MOST_COLUMNS] = {0}, rows[MAX_EDGE][TAPS][MOST_COLUMNS];
    double points[MAX_EDGE][MOST_COLUMNS];
    for (int64_t n = 0; n < columns; n++) {
        const float *from = (const float *)w->value->data->data + (c0 + n) * w->sn + k * w->sk;
        for (int t = 0; t < TAPS * TAPS; t++)
            d[t / TAPS][t % TAPS][n] = w->scale * from[w->tap[t]];
    }
    for (int t = 0; t < TAPS; t++)
        combine(rows[0][t], TAPS * MOST_COLUMNS, g, edge, d[0][t], TAPS * MOST_COLUMNS);
    for (int i = 0; i < edge; i++) {
        combine(points[0], MOST_COLUMNS, g, edge, rows[i][0], MOST_COLUMNS);
        for (int j = 0; j < edge; j++, to += stride)
            for (int64_t n = 0; n < columns; n++)
                to[n] = (float)points[j][n];
    }
}

typedef struct packing {
    float *packed;
    const gb_gathered *g;
    const double (*m)[TAPS];
    int edge, nr;
    int64_t chunk;
} packing;

// Some of the input channels, counted from 0 for each block of output channels.
static void pack_channels(void *user, size_t first, size_t end)
{
    const packing *p = user;
    const gb_gathered *g = p->g;
    const int64_t points = p->edge * p->edge, nr = p->nr, blocks = (g->n + nr - 1) / nr;
    for (int64_t i = (int64_t)first; i < (int64_t)end; i++) {
        int64_t k = i % g->k, b = i / g->k, c0 = b * nr, k0 = k / p->chunk * p->chunk;
        int64_t kn = p->chunk < g->k - k0 ? p->chunk : g->k - k0;
        float *block = p->packed + nr * points * (k0 * blocks + b * kn);
        transform_kernels(block + (k - k0) * nr, kn * nr, &g->w, c0, k,
                          nr < g->n - c0 ? nr : g->n - c0, p->m, p->edge);
    }
}

static gb_store *pack_constant(gb_emit *e, const gb_gathered *g, const double m[MAX_EDGE][TAPS],
                               int edge, int nr, int64_t chunk, size_t bytes)
{
    packing p = {gb_alloc_aligned(bytes), g, m, edge, nr, chunk};
    if (p.packed)
        gb_parallel((size_t)((g->n + nr - 1) / nr * g->k), 64, pack_channels, &p);
    return gb_emit_const_take(e, p.packed, bytes, g->what);
}

// The same by a kernel, of weights that lie as ONNX has them.
static gb_store *pack_value(gb_emit *e, const gb_gathered *g, const double m[MAX_EDGE][TAPS],
                            int edge, int nr, int64_t chunk, size_t bytes)
{
    enum { CHANNELS = 8 }; // input channels of a work-item
    float matrix[MAX_EDGE][TAPS];
    int32_t tap[TAPS * TAPS];
    for (int i = 0; i < MAX_EDGE; i++)
        for (int t = 0; t < TAPS; t++)
            matrix[i][t] = (float)m[i][t];
    for (int t = 0; t < TAPS * TAPS; t++)
        tap[t] = (int32_t)g->w.tap[t];
    gb_store *packed = gb_emit_temp(e, bytes, g->what);
    gb_store *taps = gb_emit_const(e, tap, sizeof tap, "taps");
    gb_store *transform = gb_emit_const(e, matrix, sizeof matrix, "transform");
    gb_emit_launch(e, "winograd_weights", "winograd_weights", "-DEDGE=%d -DNR=%d -DCHANNELS=%d",
                   edge, nr, CHANNELS);
    gb_put_view(e, &g->w.value->view);
    gb_put_i32(e, g->w.sn);
    gb_put_i32(e, g->w.sk);
    gb_put_store(e, taps);
    gb_put_store(e, transform);
    gb_put_i32(e, g->k);
    gb_put_i32(e, g->n);
    gb_put_i32(e, chunk);
    gb_put_store(e, packed);
    gb_emit_size(e, (size_t)((g->k + CHANNELS - 1) / CHANNELS), (size_t)((g->n + nr - 1) / nr), 1);
    return packed;
}

bool gb_winograd_packs(const gb_value *weights)
{
    gb_view plain;
    if (weights->data)
        return true;
    gb_view_dense(&plain, &weights->shape, GB_ORDER_PLAIN);
    for (int i = 0; i < weights->shape.rank; i++)
        if (weights->shape.dim[i] > 1 && weights->view.stride[i] != plain.stride[i])
            return false;
    return weights->view.store != NULL;
}

gb_store *gb_winograd_pack(gb_emit *e, const gb_gathered *g, int tile, int nr, int64_t chunk)
{
    const int edge = tile + 2;
    size_t bytes = (size_t)((g->n + nr - 1) / nr * nr * edge * edge * g->k) * sizeof(float);
    double m[MAX_EDGE][TAPS] = {{0}};
    weight_transform(m, tile);
    return g->w.value->data ? pack_constant(e, g, m, edge, nr, chunk, bytes)
                            : pack_value(e, g, m, edge, nr, chunk, bytes);
}
