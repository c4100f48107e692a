// Records the gradient of weights and bias: the transposed gathered GEMM, then its parts' sum.
#include "op/gathered.h"

#include <stdlib.h>

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

// The problem: groups merged, packed as the gathered GEMM packs its weights.
typedef struct problem {
    int64_t groups, k, n, count; // k, n: channels of a group; count: rows m
    int64_t blocks, weights, biases; // of nr columns; floats of the packed weights and bias
    int64_t merged;
    int nr;
    bool want_weights, want_bias;
} problem;

static problem problem_of(const gb_device_info *info, const gb_gathered *g)
{
    problem q = {.merged = gb_gathered_merge(g->groups, g->k, g->n)};
    q.groups = g->groups / q.merged;
    q.k = g->k * q.merged;
    q.n = g->n * q.merged;
    q.count = g->images * g->points;
    q.nr = gb_gathered_columns(info, q.n);
    q.blocks = gb_ceil_div(q.n, q.nr);
    q.want_weights = g->w.value->needs_grad;
    q.want_bias = g->bias && g->bias->needs_grad;
    q.weights = q.want_weights ? q.groups * q.blocks * g->taps * q.k * q.nr : 0;
    q.biases = q.want_bias ? q.groups * q.blocks * q.nr : 0;
    return q;
}

// The tile of one work-item of a processor: tt taps x mr channels of x. All of it, beside nr
// channels of dy, in registers: 28 of 32, or 12 of 16.
static void choose_tile(const gb_device_info *info, const problem *q, int64_t taps, int *tt,
                        int *mr)
{
    static const int sizes[] = {1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 16, 24};
    const int vectors = q->nr / info->vector_width;
    const int room = info->vector_width == 16 ? 28 : 12;
    double best = 1e300;
    for (int t = 1; t <= 4; t++) {
        for (size_t i = 0; i < GB_COUNT(sizes); i++) {
            const int m = sizes[i];
            if (t > taps || m > q->k || t * m * vectors > room)
                continue;
            // In loads and products: those of dy, where a tap's row lies, then its channels.
            double cycles = vectors + t * (5.0 + m * (1 + vectors));
            double cost = cycles * (double)(gb_ceil_div(taps, t) * gb_ceil_div(q->k, m));
            if (cost < best) {
                best = cost;
                *tt = t;
                *mr = m;
            }
        }
    }
}

// How many parts the rows are split into: for their cache (processors) or to occupy a device, by
// the layer's shape alone, so that the sums have the same bits on any number of cores.
enum { MOST_PARTS = 16, PARTIALS = 1 << 22, CACHE = 96 << 10 }; // floats

static int64_t count_parts(const problem *q, int64_t rows)
{
    const int64_t room = PARTIALS / most(q->weights + q->biases, 1);
    return most(1, least(gb_ceil_div(q->count, rows), least(most(room, 1), MOST_PARTS)));
}

static void put_inputs(gb_emit *e, const gb_gathered *g, const problem *q, const gb_pixels *dy)
{
    // Where each row has its own pixel in order, there is nothing to look up.
    bool plain = g->taps == 1 && g->x_image == g->points;
    for (int64_t i = 0; plain && i < g->points; i++)
        plain = g->rows[i] == i;
    const int64_t points = plain ? 1 : g->points;
    static const int32_t here[1] = {0};
    gb_put_pixels(e, &g->x);
    gb_put_i32(e, plain ? 1 : g->x_image);
    gb_put_store(e, gb_emit_const(e, plain ? here : g->rows,
                                  (size_t)(g->taps * points) * sizeof(int32_t), "rows"));
    gb_put_i32(e, g->taps);
    gb_put_i32(e, points);
    gb_put_i32(e, q->count);
    gb_put_i32(e, q->k);
    gb_put_i32(e, q->n);
    gb_put_pixels(e, dy);
}

// Rows of dy from which whole vectors can be read in every block.
static int64_t safe_rows(const problem *q, const gb_pixels *dy)
{
    const int64_t reach = dy->offset + (q->groups - 1) * q->n + q->blocks * q->nr;
    const int64_t room = (int64_t)(dy->store->bytes / sizeof(float)) - reach;
    return room < 0 ? 0 : least(room / dy->pitch + 1, q->count);
}

// Returns the parts.
static int64_t record_cpu(gb_emit *e, const gb_gathered *g, const problem *q, const gb_pixels *dy,
                          gb_store **partial)
{
    const int64_t stride = q->weights + q->biases;
    const int64_t rows = most(64, least(1024, CACHE / (q->k + q->nr)));
    const int64_t parts = count_parts(q, rows);
    int tt = 1, mr = 1;
    choose_tile(e->info, q, g->taps, &tt, &mr);
    const int64_t pieces = gb_ceil_div(g->taps, tt) * gb_ceil_div(q->k, mr);
    const int64_t tiles = q->want_weights ? q->blocks * pieces : 0;
    const int64_t bias_tiles = q->want_bias ? q->blocks : 0, all = tiles + bias_tiles;
    const int64_t per = gb_ceil_div(all, least(all, gb_ceil_div(MOST_PARTS, parts * q->groups)));
    *partial = gb_emit_temp(e, (size_t)(parts * stride) * sizeof(float), "partial");
    gb_emit_launch(e, "gemm_weights", "gemm_weights", "-DTT=%d -DMR=%d -DNR=%d", tt, mr, q->nr);
    put_inputs(e, g, q, dy);
    gb_put_i32(e, e->status ? 0 : safe_rows(q, dy));
    gb_put_store(e, *partial);
    gb_put_i32(e, stride);
    gb_put_i32(e, q->weights);
    gb_put_i32(e, gb_ceil_div(q->count, parts));
    gb_put_i32(e, rows);
    gb_put_i32(e, q->blocks);
    gb_put_i32(e, tiles);
    gb_put_i32(e, bias_tiles);
    gb_put_i32(e, per);
    gb_emit_size(e, (size_t)gb_ceil_div(all, per), (size_t)parts, (size_t)q->groups);
    return parts;
}

static int64_t record_gpu(gb_emit *e, const gb_gathered *g, const problem *q, const gb_pixels *dy,
                          gb_store **partial)
{
    const int64_t stride = q->weights + q->biases, parts = count_parts(q, 256);
    const int64_t tile = e->info->max_work_group < 256 ? 32 : 64, side = tile / 4;
    *partial = gb_emit_temp(e, (size_t)(parts * stride) * sizeof(float), "partial");
    gb_emit_launch(e, "gemm_weights_gpu", "gemm_weights", "-DNR=%d -DTILE=%d", q->nr, (int)tile);
    put_inputs(e, g, q, dy);
    gb_put_store(e, *partial);
    gb_put_i32(e, stride);
    gb_put_i32(e, q->weights);
    gb_put_i32(e, gb_ceil_div(q->count, parts));
    gb_put_i32(e, q->blocks);
    gb_put_i32(e, q->want_weights);
    gb_put_i32(e, q->want_bias);
    const int64_t tiles = q->blocks * q->nr / tile * g->taps * gb_ceil_div(q->k, tile);
    gb_emit_size(e, (size_t)(tiles * side), (size_t)(parts * side), (size_t)q->groups);
    gb_emit_local(e, (size_t)side, (size_t)side, 1);
    return parts;
}

void gb_gathered_weights_record(gb_emit *e, const gb_gathered *g, const gb_pixels *dy)
{
    const problem q = problem_of(e->info, g);
    gb_store *partial = NULL;
    if (e->status || (!q.want_weights && !q.want_bias) || q.count * q.n == 0)
        return;
    const int64_t stride = q.weights + q.biases;
    const int64_t parts = e->info->wide ? record_gpu(e, g, &q, dy, &partial)
                                        : record_cpu(e, g, &q, dy, &partial);
    if (!e->status)
        e->launch[e->n_launch - 1]->flops = 2.0 * (double)q.count * (double)g->taps *
                                            (double)g->k * (double)(g->n * g->groups);
    gb_unpacking u = {.partial = partial, .stride = stride, .parts = parts};
    if (q.want_weights) {
        gb_pack *p = gb_unpack_value(&u, e, g->w.value, (size_t)q.weights, g->w.scale);
        gb_gathered_pack(p, g, q.merged, q.nr);
    }
    if (q.want_bias) {
        gb_pack *p = gb_unpack_value(&u, e, g->bias, (size_t)q.biases, g->bias_scale);
        gb_gathered_pack_bias(p, g, q.merged, q.nr);
    }
    gb_unpack(&u, e);
}

// --- depthwise: each channel is its own group ---

void gb_depthwise_weights_record(gb_emit *e, const gb_gathered *g, const gb_pixels *dy)
{
    enum { TAPS = 9 }; // at a time, in registers
    const int nv = e->info->vector_width == 16 ? 2 : 1, columns = nv * e->info->vector_width;
    const bool want_weights = g->w.value->needs_grad, want_bias = g->bias && g->bias->needs_grad;
    const int64_t channels = g->groups, pitch = gb_ceil_div(channels, columns) * columns;
    problem q = {.k = 1, .n = channels, .count = g->images * g->points,
                 .weights = want_weights ? g->taps * pitch : 0, .biases = want_bias ? pitch : 0};
    const int64_t stride = q.weights + q.biases, parts = count_parts(&q, 64);
    if (e->status || stride == 0 || q.count == 0)
        return;
    gb_store *partial = gb_emit_temp(e, (size_t)(parts * stride) * sizeof(float), "partial");
    gb_launch *l = gb_emit_launch(e, "depthwise_weights", "depthwise_weights", "-DTT=%d -DNV=%d",
                                  (int)least(g->taps, TAPS), nv);
    gb_put_pixels(e, &g->x);
    gb_put_i32(e, g->x_image);
    gb_put_store(e, gb_emit_const(e, g->rows, (size_t)(g->taps * g->points) * sizeof(int32_t),
                                  "rows"));
    gb_put_i32(e, g->taps);
    gb_put_i32(e, g->points);
    gb_put_i32(e, q.count);
    gb_put_i32(e, channels);
    gb_put_pixels(e, dy);
    gb_put_i32(e, (int64_t)(g->x.store->bytes / sizeof(float)));
    gb_put_i32(e, (int64_t)(dy->store->bytes / sizeof(float)));
    gb_put_store(e, partial);
    gb_put_i32(e, stride);
    gb_put_i32(e, q.weights);
    gb_put_i32(e, gb_ceil_div(q.count, parts));
    gb_put_i32(e, pitch);
    gb_put_i32(e, want_weights);
    gb_put_i32(e, want_bias);
    gb_emit_size(e, (size_t)(pitch / columns), (size_t)parts, 1);
    if (l)
        l->flops = 2.0 * (double)q.count * (double)g->taps * (double)channels;
    gb_unpacking u = {.partial = partial, .stride = stride, .parts = parts};
    if (want_weights) {
        gb_pack *p = gb_unpack_value(&u, e, g->w.value, (size_t)q.weights, 1);
        gb_depthwise_pack(p, g, pitch);
    }
    if (want_bias) {
        gb_pack *p = gb_unpack_value(&u, e, g->bias, (size_t)q.biases, 1);
        for (int64_t c = 0; c < channels; c++)
            gb_pack_put(p, (size_t)c, c);
    }
    gb_unpack(&u, e);
}
