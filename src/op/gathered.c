// Records the gathered GEMM: chooses a form and a tile, packs the weights.
#include "base/parallel.h"
#include "op/choice.h"
#include "op/unary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STRIP_BYTES = 1 << 17 }; // an eighth of a usual second-level cache

// A form of the kernel: mr pixels x nr channels are the tile of one work-item (processors), or of a
// work-group whose items have tm x tn of it each (graphics).
typedef struct form {
    const char *program;
    int mr, nr, tm, tn;
} form;

enum { GPU_COLUMNS = 64, GPU_SLICE = 16 }; // GPU_SLICE: WORDS of cl/gemm_gpu.cl

const char *const *gb_gathered_ways(const gb_device_info *info)
{
    static const char *const none[] = {NULL};
    static const char *const registers32[] = {"gemm 14x32", "gemm 12x32", "gemm 10x32", "gemm 8x32",
                                              "gemm 7x32", "gemm 4x32", "gemm 28x16", "gemm 14x16",
                                              "gemm 8x16", NULL};
    static const char *const registers16[] = {"gemm 6x16", "gemm 5x16", "gemm 4x16", "gemm 12x8",
                                              "gemm 6x8", NULL};
    static const char *const graphics[] = {"gemm_gpu 128x128 8x8", "gemm_gpu 128x64 8x8",
                                           "gemm_gpu 128x64 8x4", "gemm_gpu 64x64 8x4",
                                           "gemm_gpu 64x64 4x4", "gemm_gpu 128x32 8x4",
                                           "gemm_gpu 64x32 4x4", "gemm_gpu 32x64 4x4",
                                           "gemm_gpu 32x32 4x4", NULL};
    if (info->wide)
        return graphics;
    return info->vector_width < 8 ? none : info->vector_width == 16 ? registers32 : registers16;
}

// Whether a graphics processor takes the work-groups of a tile.
static bool gpu_takes(const gb_device_info *info, const form *f)
{
    const size_t local_bytes = 2 * GPU_SLICE * sizeof(float) * (size_t)(f->mr + f->nr);
    return (size_t)(f->mr * f->nr) <= info->max_work_group * (size_t)(f->tm * f->tn) &&
           local_bytes <= info->local_memory;
}

// A tile that was chosen for this device; false if the words are none that it could compute.
static bool read_way(form *f, const char *way, const gb_device_info *info)
{
    int mr = 0, nr = 0, tm = 0, tn = 0, vw = info->vector_width;
    if (info->wide) {
        const char *const *known = gb_gathered_ways(info);
        while (way && *known && strcmp(*known, way) != 0)
            known++;
        if (!way || !*known || sscanf(way, "gemm_gpu %dx%d %dx%d", &mr, &nr, &tm, &tn) != 4)
            return false;
        *f = (form){"gemm_gpu", mr, nr, tm, tn};
        return gpu_takes(info, f);
    }
    if (!way || sscanf(way, "gemm %dx%d", &mr, &nr) != 2 || mr < 1 || mr > 32 ||
        (nr != 8 && nr != 16 && nr != 32) || nr % vw || nr > 2 * vw)
        return false;
    *f = (form){"gemm", mr, nr, 1, 1};
    return true;
}

// Processors: 32 registers of 16 floats hold 14 x 2 accumulators beside the operands, but rows of
// 1024 channels lie in one set of the first-level cache, which often has 8 ways; 16 registers of 8
// or 4 floats hold 6 x 2. One vector across where two would compute an eighth more padding (a
// mask's bytes want eight at least); for want of a second one it takes more rows to keep the units
// busy.
static form choose_cpu(const gb_device_info *info, int64_t n)
{
    int vw = info->vector_width;
    form f = {"gemm", vw == 16 ? 8 : 6, 2 * vw, 1, 1};
    if (vw >= 8 && gb_ceil_div(n, vw) * vw * 9 < gb_ceil_div(n, f.nr) * f.nr * 8) {
        f.nr = vw;
        f.mr = vw == 16 ? 14 : 12;
    }
    return f;
}

// Graphics processors: the tile that takes the busiest compute unit least time: that of its
// work-groups one after the other, or of one alone, whose few items leave the unit waiting. In
// products; each costs more where an item's tile is small, for what it reads of local memory. Two
// sums of every element are in registers: Intel's have room for 64 or 128 floats of an item, and
// nothing is known of what others have.
static form choose_gpu(const gb_device_info *info, int64_t count, int64_t n, int64_t groups)
{
    const bool intel = info->vendor_id == GB_VENDOR_INTEL; // its units have 8 lanes
    const int64_t units = intel ? gb_ceil_div(info->compute_units, 16) : info->compute_units;
    const bool amd = info->vendor_id == GB_VENDOR_AMD;
    const int64_t lanes = amd ? 64 : 128, latency = 2;
    const int most = amd || info->vendor_id == GB_VENDOR_NVIDIA ? 64 : 32;
    form best = {0}, f;
    double least = 0;
    for (const char *const *way = gb_gathered_ways(info); *way; way++) {
        if (!read_way(&f, *way, info) || f.tm * f.tn > most)
            continue;
        int64_t tiles = gb_ceil_div(count, f.mr) * gb_ceil_div(n, f.nr) * groups;
        double busy = (double)(gb_ceil_div(tiles, units) * f.mr * f.nr) / (double)lanes;
        double alone = (double)(latency * f.tm * f.tn);
        double cost = (busy > alone ? busy : alone) * (2 + 4.0 / f.tm + 4.0 / f.tn);
        if (!best.program || cost < least) {
            best = f;
            least = cost;
        }
    }
    return best.program ? best : (form){"gemm_gpu", 32, 32, 4, 4}; // its launch says what is wrong
}

// Small groups are merged into block-diagonal ones of at least a mask word of outputs: more
// products with zero, but on full vectors. Returns how many are merged.
int64_t gb_gathered_merge(int64_t groups, int64_t k, int64_t n)
{
    int64_t best = 1, best_cost = INT64_MAX;
    for (int64_t f = 1; f <= groups; f++) {
        if (groups % f)
            continue;
        int64_t cost = gb_ceil_div(f * n, 32) * 32 * f * k * (groups / f);
        if (f < groups && f * n % 32)
            cost *= 2; // its mask would straddle words
        if (cost < best_cost) {
            best = f;
            best_cost = cost;
        }
    }
    return best;
}

bool gb_gathered_masks(int64_t groups, int64_t k, int64_t n)
{
    int64_t merged = gb_gathered_merge(groups, k, n);
    return merged == groups || merged * n % 32 == 0;
}

int gb_gathered_columns(const gb_device_info *info, int64_t n)
{
    return info->wide ? GPU_COLUMNS : choose_cpu(info, n).nr;
}

typedef struct packing {
    gb_pack *p;
    const gb_gathered *g;
    int64_t merged;
    int nr;
} packing;

// Some of the output channels of all groups. A few of them and of the input channels at a time:
// what is written for one column, and read where these are far apart, is near for its neighbours.
static void pack_columns(void *user, size_t first, size_t end)
{
    enum { COLUMNS = 64, SLICE = 8 };
    const packing *q = user;
    const gb_gathered *g = q->g;
    const gb_gathered_weights *w = &g->w;
    const int64_t nr = q->nr, k = g->k * q->merged, blocks = gb_ceil_div(g->n * q->merged, nr);
    int64_t from[COLUMNS], to[COLUMNS]; // of a column's first tap and input channel
    for (int64_t c0 = (int64_t)first, n; c0 < (int64_t)end; c0 += n) {
        n = (int64_t)end - c0 < COLUMNS ? (int64_t)end - c0 : COLUMNS;
        for (int64_t j = 0; j < n; j++) {
            const int64_t i = (c0 + j) / g->n, c = (c0 + j) % g->n, in_group = i % q->merged;
            const int64_t column = in_group * g->n + c;
            const int64_t block = i / q->merged * blocks + column / nr;
            from[j] = i * w->sg + c * w->sn;
            to[j] = (block * g->taps * k + in_group * g->k) * nr + column % nr;
        }
        for (int64_t k0 = 0; k0 < g->k; k0 += SLICE) {
            const int64_t k1 = k0 + SLICE < g->k ? k0 + SLICE : g->k;
            for (int64_t j = 0; j < n; j++)
                for (int64_t t = 0; t < g->taps; t++)
                    for (int64_t kk = k0; kk < k1; kk++) {
                        int64_t element = from[j] + w->tap[t] + kk * w->sk;
                        if (w->index)
                            element = w->index[element];
                        if (element >= 0)
                            gb_pack_put(q->p, (size_t)(to[j] + (t * k + kk) * nr), element);
                    }
        }
    }
}

void gb_gathered_pack(gb_pack *p, const gb_gathered *g, int64_t merged, int nr)
{
    const int64_t column = g->taps * g->k, grain = gb_ceil_div(1 << 16, column > 0 ? column : 1);
    packing q = {p, g, merged, nr};
    gb_parallel((size_t)(g->groups * g->n), (size_t)grain, pack_columns, &q);
}

void gb_gathered_pack_bias(gb_pack *p, const gb_gathered *g, int64_t merged, int nr)
{
    const int64_t n = g->n * merged, padded = gb_ceil_div(n, nr) * nr;
    const bool each = g->bias && gb_shape_count(&g->bias->shape) > 1;
    for (int64_t c = 0; g->bias && c < g->groups * g->n; c++)
        gb_pack_put(p, (size_t)(c / n * padded + c % n), each ? c : 0);
}

void gb_depthwise_pack(gb_pack *p, const gb_gathered *g, int64_t pitch)
{
    for (int64_t c = 0; c < g->groups; c++)
        for (int64_t t = 0; t < g->taps; t++)
            gb_pack_put(p, (size_t)(t * pitch + c), c * g->w.sg + g->w.tap[t]);
}

static gb_store *pack_weights(gb_emit *e, const gb_gathered *g, int64_t merged, int nr)
{
    const int64_t blocks = gb_ceil_div(g->n * merged, nr), k = g->k * merged;
    gb_pack p;
    gb_pack_begin(&p, e, g->w.value, (size_t)(g->groups / merged * blocks * g->taps * k * nr),
                  g->w.scale);
    gb_gathered_pack(&p, g, merged, nr);
    return gb_pack_end(&p, e, g->what);
}

static gb_store *pack_bias(gb_emit *e, const gb_gathered *g, int64_t merged, int nr)
{
    gb_pack p;
    gb_pack_begin(&p, e, g->bias,
                  (size_t)(g->groups / merged * gb_ceil_div(g->n * merged, nr) * nr),
                  g->bias_scale);
    gb_gathered_pack_bias(&p, g, merged, nr);
    return gb_pack_end(&p, e, "bias");
}

void gb_gathered_act(gb_emit *e, gb_gathered *g, const gb_node *node)
{
    g->act = node->act;
    if (node->act.smooth)
        g->act_slopes = gb_emit_slopes(e, node->out[0], &g->y);
    else
        g->act_mask = gb_emit_mask(e, node->out[0], &g->y, node->act.slope);
}

const char *gb_epilogue_options(gb_emit *e, const gb_gathered *g)
{
    if (!g->act.on || !g->act.smooth)
        return "";
    gb_unary_kind kind = (gb_unary_kind)(g->act.smooth - 1);
    return gb_arena_printf(&e->arena, " -DFUNCTIONS -DSMOOTH=%d -DOF_OUTPUT=%d", kind,
                           gb_unary_of_output(kind));
}

void gb_put_epilogue(gb_emit *e, const gb_gathered *g)
{
    const gb_pixels *r = g->residual;
    gb_put_store(e, r ? r->store : NULL);
    gb_put_i32(e, r ? r->offset : 0);
    gb_put_i32(e, r ? r->pitch : 0);
    if (r && r->offset == g->y.offset && r->pitch == g->y.pitch)
        gb_emit_over(e, g->y.store, r->store);
    gb_put_i32(e, g->add && g->mask_first ? 2 : g->add);
    gb_put_i32(e, g->act.on && !g->act.smooth);
    gb_put_f32(e, g->act.lo);
    gb_put_f32(e, g->act.hi);
    gb_put_f32(e, g->act.slope);
    gb_put_store(e, g->act_mask);
    gb_put_store(e, g->mask);
    gb_put_f32(e, g->mask_slope);
    gb_put_store(e, g->act_slopes);
    gb_put_store(e, g->slopes);
}

// Whether the tables say no more than that pixels follow one another.
static bool is_plain(const gb_gathered *g)
{
    bool plain = g->taps == 1 && g->x_image == g->points && g->y_image == g->points;
    for (int64_t i = 0; plain && i < g->points; i++)
        plain = g->rows[i] == i && g->outs[i] == i;
    return plain;
}

// Whether pixels can be moved by four channels: all of them lie and end at multiples of four.
static bool is_aligned(const gb_gathered *g)
{
    const gb_pixels *p[] = {&g->x, &g->y, g->residual};
    bool aligned = g->k % 4 == 0 && g->n % 4 == 0;
    for (size_t i = 0; i < GB_COUNT(p); i++)
        aligned = aligned && (!p[i] || (p[i]->offset % 4 == 0 && p[i]->pitch % 4 == 0));
    return aligned;
}

// Tiles of the strips that a processor takes one after the other: as even as their number allows.
static int64_t tiles_of_strip(const form *f, int64_t tiles, int64_t k)
{
    int64_t fit = STRIP_BYTES / (f->mr * k * (int64_t)sizeof(float));
    return gb_ceil_div(tiles, gb_ceil_div(tiles, fit > 1 ? fit : 1));
}

static const char *precision_options(const gb_device_info *info)
{
    static const char *const by_instruction[] = {"", " -DTF32 -DPTX", " -DBF16 -DPTX",
                                                 " -DFP16 -DPTX"};
    static const char *const emulated[] = {"", " -DTF32", " -DBF16", " -DFP16"};
    return (info->form_asked ? emulated : by_instruction)[info->precision];
}

// The tile that was chosen, or the heuristics'.
static form choose(const gb_emit *e, const gb_gathered *g, const char *way)
{
    const int64_t merged = gb_gathered_merge(g->groups, g->k, g->n), n = g->n * merged;
    form f;
    if (read_way(&f, way, e->info))
        return f;
    return e->info->wide ? choose_gpu(e->info, g->images * g->points, n, g->groups / merged)
                         : choose_cpu(e->info, n);
}

static void record(gb_emit *e, const gb_gathered *g, const form *f)
{
    int64_t count = g->images * g->points, merged = gb_gathered_merge(g->groups, g->k, g->n);
    int64_t n = g->n * merged, k = g->k * merged, groups = g->groups / merged;
    const bool wide = e->info->wide;
    int64_t zeros_count = (k + 1023) / 1024 * 1024;
    gb_store *zeros = gb_emit_const_take(e, calloc((size_t)zeros_count, sizeof(float)),
                                         (size_t)zeros_count * sizeof(float), "zeros");
    size_t table = (size_t)(g->taps * g->points) * sizeof(int32_t);
    gb_store *rows = table ? gb_emit_const(e, g->rows, table, "rows") : zeros;
    gb_store *outs = gb_emit_const(e, g->outs, (size_t)g->points * sizeof(int32_t), "rows");
    gb_store *weights = pack_weights(e, g, merged, f->nr), *bias = pack_bias(e, g, merged, f->nr);

    const char *epilogue = gb_epilogue_options(e, g);
    gb_launch *l = wide ? gb_emit_launch(e, f->program, "gemm",
                                         "-DMR=%d -DNR=%d -DTM=%d -DTN=%d%s%s%s", f->mr, f->nr,
                                         f->tm, f->tn, is_aligned(g) ? " -DVEC" : "", epilogue,
                                         precision_options(e->info))
                        : gb_emit_launch(e, f->program, "gemm", "-DMR=%d -DNR=%d%s%s", f->mr,
                                         f->nr, is_plain(g) ? " -DPLAIN" : "", epilogue);
    gb_put_store(e, g->x.store);
    gb_put_i32(e, g->x.offset);
    gb_put_i32(e, g->x.pitch);
    gb_put_i32(e, g->x_image);
    gb_put_store(e, rows);
    gb_put_store(e, outs);
    gb_put_i32(e, g->taps);
    gb_put_i32(e, g->points);
    gb_put_i32(e, count);
    gb_put_store(e, weights);
    gb_put_i32(e, k);
    gb_put_i32(e, n);
    gb_put_store(e, zeros);
    gb_put_store(e, bias);
    gb_put_store(e, g->y.store);
    gb_put_i32(e, g->y.offset);
    gb_put_i32(e, g->y.pitch);
    gb_put_i32(e, g->y_image);
    gb_put_epilogue(e, g);
    const int64_t tiles = gb_ceil_div(count, f->mr), blocks = gb_ceil_div(n, f->nr);
    const int64_t strip = wide ? tiles : tiles_of_strip(f, tiles, k);
    const size_t items = wide ? (size_t)(f->mr * f->nr / (f->tm * f->tn)) : 1;
    gb_emit_size(e, (size_t)strip * items, (size_t)(gb_ceil_div(tiles, strip) * blocks),
                 (size_t)groups);
    if (wide)
        gb_emit_local(e, items, 1, 1);
    if (l)
        l->flops =
            2.0 * (double)count * (double)g->taps * (double)g->k * (double)(g->n * g->groups);
}

// By CLBlast where it is a plain product; false where it is none. Each image is a matrix of its
// own: which of its kernels CLBlast takes depends on the size, and a result must not depend on the
// batch. The epilogue is that of our kernel, of a sum without taps.
static bool record_by_clblast(gb_emit *e, const gb_gathered *g, const gb_choice_key *key)
{
    const int64_t count = g->images * g->points, batch = e->graph->batch;
    if (g->groups > 1 || g->k == 0 || (g->add && g->mask_first) || !is_plain(g) ||
        e->info->precision || batch < 1 || count % batch ||
        g->x.offset + count * g->x.pitch > INT32_MAX ||
        g->y.offset + count * g->y.pitch > INT32_MAX)
        return false;
    int32_t *offset = gb_arena_array(&e->arena, (size_t)(3 * batch), sizeof *offset);
    const int64_t rows = count / batch;
    if (!offset) {
        gb_emit_fail(e, GB_ERR_NOMEM);
        return true;
    }
    for (int64_t i = 0; i < batch; i++) {
        offset[i] = (int32_t)(g->x.offset + i * rows * g->x.pitch);
        offset[2 * batch + i] = (int32_t)(g->y.offset + i * rows * g->y.pitch);
    }
    const gb_gemm_call call = {.m = rows, .n = g->n, .k = g->k, .lda = g->x.pitch, .ldb = g->n,
                               .ldc = g->y.pitch, .batches = batch, .alpha = 1, .beta = g->add,
                               .offsets = offset};
    gb_store *weights = pack_weights(e, g, 1, (int)g->n);
    gb_emit_gemm(e, &call, g->x.store, weights, g->y.store);
    gb_emit_note_way(e, key, GB_WAY_CLBLAST);
    if (g->bias || g->residual || g->act.on || g->mask || g->slopes) {
        gb_gathered rest = *g;
        rest.taps = 0;
        rest.add = true;
        rest.mask_first = false;
        const form f = choose(e, &rest, NULL);
        record(e, &rest, &f);
        gb_emit_note_way(e, key, GB_WAY_CLBLAST);
    }
    return true;
}

void gb_gathered_record(gb_emit *e, const gb_gathered *g)
{
    if (e->status || g->images * g->points == 0 || g->n == 0)
        return;
    const gb_choice_key key = gb_choice_gathered(e, g);
    const char *way = gb_emit_way(e, &key);
    if (way && !strcmp(way, GB_WAY_CLBLAST) && record_by_clblast(e, g, &key))
        return;
    const form f = choose(e, g, way);
    record(e, g, &f);
    if (f.tm > 1)
        gb_emit_note_way(e, &key, "%s %dx%d %dx%d", f.program, f.mr, f.nr, f.tm, f.tn);
    else
        gb_emit_note_way(e, &key, "%s %dx%d", f.program, f.mr, f.nr);
}
