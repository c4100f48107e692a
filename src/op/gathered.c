// Records the gathered GEMM: chooses a form and a tile, packs the weights.
#include "op/choice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A form of the kernel: the tile that one work-item (processors) or work-group (graphics) computes.
typedef struct form {
    const char *program;
    int mr, nr;
    size_t lx, ly; // of the work-group
} form;

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

// Processors: as many accumulators as fit in the registers beside the operands. 32 registers of 16
// floats hold 14 x 2; 16 registers of 8 or 4 floats hold 6 x 2. One vector across where two would
// mostly compute padding (a mask's bytes want eight at least).
static form choose_form(const gb_device_info *info, int64_t n)
{
    int vw = info->vector_width;
    if (info->type == GB_DEVICE_GPU)
        return (form){"gemm_gpu", 64, 64, 16, 16};
    form f = {"gemm", vw == 16 ? 14 : 6, 2 * vw, 1, 1};
    if (vw >= 8 && ceil_div(n, vw) * vw * 5 < ceil_div(n, f.nr) * f.nr * 4)
        f.nr = vw;
    return f;
}

const char *const *gb_gathered_ways(const gb_device_info *info)
{
    static const char *const none[] = {NULL};
    static const char *const registers32[] = {"gemm 14x32", "gemm 12x32", "gemm 10x32", "gemm 8x32",
                                              "gemm 7x32", "gemm 4x32", "gemm 28x16", "gemm 14x16",
                                              "gemm 8x16", NULL};
    static const char *const registers16[] = {"gemm 6x16", "gemm 5x16", "gemm 4x16", "gemm 12x8",
                                              "gemm 6x8", NULL};
    if (info->type == GB_DEVICE_GPU || info->vector_width < 8)
        return none;
    return info->vector_width == 16 ? registers32 : registers16;
}

// A tile that was chosen for this device; false if the words are none that it could compute.
static bool read_way(form *f, const char *way, const gb_device_info *info)
{
    int mr = 0, nr = 0, vw = info->vector_width;
    if (!way || info->type == GB_DEVICE_GPU || sscanf(way, "gemm %dx%d", &mr, &nr) != 2 || mr < 1 ||
        mr > 32 || (nr != 8 && nr != 16 && nr != 32) || nr % vw || nr > 2 * vw)
        return false;
    *f = (form){"gemm", mr, nr, 1, 1};
    return true;
}

// Small groups are merged into block-diagonal ones of at least a mask word of outputs: more
// products with zero, but on full vectors. Returns how many are merged.
static int64_t merge_groups(int64_t groups, int64_t k, int64_t n)
{
    int64_t best = 1, best_cost = INT64_MAX;
    for (int64_t f = 1; f <= groups; f++) {
        if (groups % f)
            continue;
        int64_t cost = ceil_div(f * n, 32) * 32 * f * k * (groups / f);
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
    int64_t merged = merge_groups(groups, k, n);
    return merged == groups || merged * n % 32 == 0;
}

// [group][block][tap][k][nr], zero where n or a merged group ends.
static gb_store *pack_weights(gb_emit *e, const gb_gathered *g, int64_t merged, int nr)
{
    int64_t n = g->n * merged, k = g->k * merged, groups = g->groups / merged;
    int64_t blocks = ceil_div(n, nr);
    size_t count = (size_t)(groups * blocks * g->taps * k * nr);
    float *packed = count ? calloc(count, sizeof *packed) : calloc(1, sizeof *packed);
    const gb_gathered_weights *w = &g->w;
    const float *data = w->data->data;
    for (int64_t i = 0; packed && i < g->groups; i++) {
        int64_t in_group = i % merged;
        for (int64_t c = 0; c < g->n; c++) {
            int64_t column = in_group * g->n + c;
            float *block = packed + ((i / merged) * blocks + column / nr) * g->taps * k * nr;
            for (int64_t t = 0; t < g->taps; t++) {
                const float *from = data + i * w->sg + c * w->sn + w->tap[t];
                float *to = block + (t * k + in_group * g->k) * nr + column % nr;
                for (int64_t kk = 0; kk < g->k; kk++)
                    to[kk * nr] = w->scale * from[kk * w->sk];
            }
        }
    }
    return gb_emit_const_take(e, packed, (count ? count : 1) * sizeof *packed, g->what);
}

static gb_store *pack_bias(gb_emit *e, const gb_gathered *g, int64_t merged, int nr)
{
    int64_t n = g->n * merged, groups = g->groups / merged, padded = ceil_div(n, nr) * nr;
    float *bias = calloc((size_t)(groups * padded), sizeof *bias);
    for (int64_t i = 0; bias && g->bias && i < groups; i++)
        memcpy(bias + i * padded, g->bias + i * n, (size_t)n * sizeof *bias);
    return gb_emit_const_take(e, bias, (size_t)(groups * padded) * sizeof *bias, "bias");
}

void gb_put_epilogue(gb_emit *e, const gb_gathered *g)
{
    gb_put_store(e, g->residual ? g->residual->store : NULL);
    gb_put_i32(e, g->residual ? g->residual->offset : 0);
    gb_put_i32(e, g->residual ? g->residual->pitch : 0);
    gb_put_i32(e, g->add && g->mask_first ? 2 : g->add);
    gb_put_i32(e, g->act.on);
    gb_put_f32(e, g->act.lo);
    gb_put_f32(e, g->act.hi);
    gb_put_f32(e, g->act.slope);
    gb_put_store(e, g->act_mask);
    gb_put_store(e, g->mask);
    gb_put_f32(e, g->mask_slope);
}

void gb_gathered_record(gb_emit *e, const gb_gathered *g)
{
    int64_t count = g->images * g->points;
    if (e->status || count == 0 || g->n == 0)
        return;
    int64_t merged = merge_groups(g->groups, g->k, g->n);
    int64_t n = g->n * merged, k = g->k * merged, groups = g->groups / merged;
    const gb_choice_key key = gb_choice_gathered(e, g);
    form f = choose_form(e->info, n);
    read_way(&f, gb_emit_way(e, &key), e->info);
    int64_t zeros_count = (k + 1023) / 1024 * 1024;
    gb_store *zeros = gb_emit_const_take(e, calloc((size_t)zeros_count, sizeof(float)),
                                         (size_t)zeros_count * sizeof(float), "zeros");
    size_t table = (size_t)(g->taps * g->points) * sizeof(int32_t);
    gb_store *rows = table ? gb_emit_const(e, g->rows, table, "rows") : zeros;
    gb_store *outs = gb_emit_const(e, g->outs, (size_t)g->points * sizeof(int32_t), "rows");
    gb_store *weights = pack_weights(e, g, merged, f.nr), *bias = pack_bias(e, g, merged, f.nr);

    gb_launch *l = f.lx == 1 ? gb_emit_launch(e, f.program, "gemm", "-DMR=%d -DNR=%d", f.mr, f.nr)
                             : gb_emit_launch(e, f.program, "gemm", "-DNR=%d", f.nr);
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
    gb_emit_size(e, (size_t)ceil_div(count, f.mr) * f.lx, (size_t)ceil_div(n, f.nr) * f.ly,
                 (size_t)groups);
    gb_emit_local(e, f.lx, f.ly, 1);
    gb_emit_note_way(e, &key, "%s %dx%d", f.program, f.mr, f.nr);
    if (l)
        l->flops =
            2.0 * (double)count * (double)g->taps * (double)g->k * (double)(g->n * g->groups);
}
