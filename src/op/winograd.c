// Records Winograd convolutions: chooses where they pay and how work is split, transforms weights.
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016.
#include "op/choice.h"
#include "op/winograd.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAPS = GB_WINOGRAD_TAPS,
    LINE = 16,           // floats of a cache line
    MAX_SCRATCH = 1 << 20, // a second-level cache, bytes
    USUAL_BATCH = 4
};

// How the work is split: a work-item computes `span` tiles, `mr` at a time, of `blocks` times nr
// output channels, `chunk` input channels at a time. Nothing of this changes the order of a sum.
typedef struct plan {
    int tile, edge, mr, nr;
    int64_t tiles_y, tiles_x, count; // count: of all images
    int64_t span, blocks, chunk;
    int64_t pitch, plane; // floats of V from tile to tile, from point to point
    size_t local_bytes;
} plan;

// What a convolution or its input gradient computes: y[out][n] from x[in][k].
typedef struct problem {
    int64_t batch, k, n;
    const int64_t *in, *out;
    int64_t pad_y, pad_x;
} problem;

static problem problem_of(const gb_window *w, bool backward)
{
    if (backward)
        return (problem){w->batch, w->c_out, w->c_in, w->out, w->in, TAPS - 1 - w->pad_begin[1],
                         TAPS - 1 - w->pad_begin[2]};
    return (problem){w->batch, w->c_in, w->c_out, w->in, w->out, w->pad_begin[1], w->pad_begin[2]};
}

// --- the cost of a plan, in cycles of one core ---
// From measurements on a processor with AVX-512; per vector of floats, so that narrower ones keep
// the proportions. A weight comes from memory once a launch, and from a shared cache for each
// work-item.

static const double fma_per_cycle = 2, cache_bytes_per_cycle = 12, memory_bytes_per_cycle = 6;

// Weights that take more than an eighth of the last-level cache come from farther away than cycles
// tell: each pass over them costs this much more.
static double far_cycles(const plan *p, const gb_device_info *info, const problem *q)
{
    const double far_bytes_per_cycle = 20, bytes = (double)(p->edge * p->edge * q->k * q->n * 4);
    const double passes = (double)gb_ceil_div(p->count, p->span);
    return bytes <= (double)info->cache / 8 ? 0 : passes * bytes / far_bytes_per_cycle;
}

// Work that is spread over too few work-items leaves cores idle at its end.
static double spread(const gb_device_info *info, double items)
{
    return 1 + 0.5 * info->compute_units / items;
}

static double plan_cycles(const plan *p, const gb_device_info *info, const problem *q)
{
    const double gather = p->tile == 4 ? 290 : 130, finish = p->tile == 4 ? 300 : 110;
    const double points = p->edge * p->edge, vectors = p->nr / info->vector_width;
    const double k = (double)q->k, span = (double)p->span, blocks = (double)p->blocks;
    double items = (double)(gb_ceil_div(p->count, p->span) *
                            gb_ceil_div(gb_ceil_div(q->n, p->nr), p->blocks));
    double step = p->mr * vectors / fma_per_cycle + 1, fetch = p->nr * 4 / cache_bytes_per_cycle;
    double products = points * blocks * k *
                      (step * (span / p->mr - 1) + (step > fetch ? step : fetch));
    double sums = points * blocks * span * vectors * 2 * (double)gb_ceil_div(q->k, p->chunk);
    double transforms = span * k / info->vector_width * gather + span * blocks * vectors * finish;
    double weights = points * k * (double)q->n * 4 / memory_bytes_per_cycle;
    return (items * (products + sums + transforms) + weights) * spread(info, items);
}

static double direct_cycles(const gb_device_info *info, const problem *q)
{
    const int64_t vw = info->vector_width, mr = vw == 16 ? 14 : 6;
    double items = (double)(gb_ceil_div(q->batch * q->out[1] * q->out[2], mr) *
                            gb_ceil_div(q->n, 2 * vw));
    double item = TAPS * TAPS * (double)q->k * ((double)mr * 2 / fma_per_cycle + 1);
    double weights = TAPS * TAPS * (double)(q->k * q->n) * 4 / memory_bytes_per_cycle;
    return (items * item + weights) * spread(info, items);
}

// --- plans ---

// Input channels of a chunk, a multiple of vw; the last chunk is at least vw long.
static int64_t chunk_of(int64_t k, int64_t vw, int64_t most)
{
    int64_t chunk = gb_ceil_div(gb_ceil_div(k, gb_ceil_div(k, most)), vw) * vw;
    while (k % chunk && k % chunk < vw)
        chunk += vw;
    return chunk < k ? chunk : k;
}

// Sets the chunk and what follows from it; false if the scratch memory is too small.
static bool fit(plan *p, const gb_device_info *info, int64_t k)
{
    const int64_t points = p->edge * p->edge, sums = p->span * p->nr * p->blocks;
    size_t room = info->local_memory < MAX_SCRATCH ? info->local_memory : MAX_SCRATCH;
    int64_t most = (((int64_t)(room / sizeof(float)) / points - sums) / p->span - 2) / LINE * LINE;
    if (most < LINE)
        return false;
    p->chunk = chunk_of(k, info->vector_width, most);
    p->pitch = gb_ceil_div(p->chunk, LINE) * LINE;
    p->plane = p->span * p->pitch;
    if (p->plane / LINE % 2 == 0)
        p->plane += LINE; // neighbouring points in different sets of the cache
    p->local_bytes = (size_t)(points * (p->plane + sums)) * sizeof(float);
    return p->local_bytes <= room;
}

// The plan with that tile that is cheapest where weights are far. Returns what the algorithm is
// judged by, the fewest cycles of any plan; negative if there is none.
static double make_plan(plan *best, const gb_device_info *info, const problem *q, int tile)
{
    const int vw = info->vector_width, highest = vw == 16 ? 14 : vw > 1 ? 6 : 2;
    const int heights[] = {highest, 8, 4}; // few, as each is a program
    plan p = {.tile = tile, .edge = tile + 2};
    double least = -1, fewest = -1;
    p.nr = vw == 1 ? 8 : vw > 4 && q->n <= vw ? vw : 2 * vw; // a mask byte at least
    p.tiles_y = gb_ceil_div(q->out[1], tile);
    p.tiles_x = gb_ceil_div(q->out[2], tile);
    p.count = q->batch * p.tiles_y * p.tiles_x;
    int64_t blocks = gb_ceil_div(q->n, p.nr);
    for (size_t h = 0; h < GB_COUNT(heights); h++) {
        p.mr = heights[h];
        if (p.mr > highest)
            continue;
        for (p.span = p.mr; p.span <= 4 * p.mr && p.span < p.count + p.mr; p.span += p.mr) {
            for (int64_t parts = 1; parts <= blocks; parts++) {
                p.blocks = gb_ceil_div(blocks, parts);
                if (!fit(&p, info, q->k))
                    continue;
                double cycles = plan_cycles(&p, info, q);
                double cost = cycles + far_cycles(&p, info, q);
                if (fewest < 0 || cycles < fewest)
                    fewest = cycles;
                if (least < 0 || cost < least) {
                    least = cost;
                    *best = p;
                }
            }
        }
    }
    return fewest;
}

static bool applies(const gb_device_info *info, const gb_window *w)
{
    return w->rank == 2 && w->groups == 1 && w->kernel[1] == TAPS && w->kernel[2] == TAPS &&
           w->stride[1] == 1 && w->stride[2] == 1 && w->dilation[1] == 1 && w->dilation[2] == 1 &&
           w->c_in >= info->vector_width && w->c_out >= info->vector_width;
}

// What is asked for, "off", "2" or "4"; NULL: nothing.
static const char *asked(const char *way)
{
    const char *forced = getenv("GIBBON_WINOGRAD");
    if (forced && (!strcmp(forced, "off") || !strcmp(forced, "2") || !strcmp(forced, "4")))
        return forced;
    return !way ? NULL : !strncmp(way, "winograd ", 9) ? way + 9 : "off";
}

int gb_winograd_choose(const gb_device_info *info, const char *way, const gb_window *w,
                       bool backward)
{
    const char *forced = asked(way);
    problem q = problem_of(w, backward);
    plan p;
    int best = 0;
    if (!applies(info, w) || (forced && !strcmp(forced, "off")))
        return 0;
    if (forced && (!strcmp(forced, "2") || !strcmp(forced, "4")))
        return make_plan(&p, info, &q, forced[0] - '0') < 0 ? 0 : forced[0] - '0';
    if (info->wide)
        return 0;
    q.batch = USUAL_BATCH; // the choice changes bits, so it must not depend on the batch
    double least = 0.9 * direct_cycles(info, &q); // what is hardly faster is not worth its memory
    for (int tile = 2; tile <= 4; tile += 2) {
        double c = make_plan(&p, info, &q, tile);
        if (c >= 0 && c < least) {
            best = tile;
            least = c;
        }
    }
    return best;
}

void gb_winograd_record(gb_emit *e, const gb_gathered *g, const gb_window *w, bool backward,
                        int tile)
{
    const problem q = problem_of(w, backward);
    plan p;
    if (e->status || make_plan(&p, e->info, &q, tile) < 0)
        return gb_emit_fail(e, gb_fail(GB_ERR_UNSUPPORTED, "no Winograd plan for %s", g->what));
    size_t zero_bytes = (size_t)gb_ceil_div(g->k, 1024) * 1024 * sizeof(float);
    gb_store *zeros = gb_emit_const_take(e, calloc(1, zero_bytes), zero_bytes, "zeros");
    gb_store *weights = gb_winograd_pack(e, g, tile, p.nr, p.chunk);
    gb_pack b;
    gb_pack_begin(&b, e, g->bias, (size_t)(gb_ceil_div(g->n, p.nr) * p.nr), g->bias_scale);
    gb_gathered_pack_bias(&b, g, 1, p.nr);
    gb_store *bias = gb_pack_end(&b, e, "bias");

    gb_launch *l = gb_emit_launch(e, "winograd", "winograd",
                                  "-DTILE=%d -DMR=%d -DNR=%d -DPOINT_A=%gf -DPOINT_B=%gf%s",
                                  tile, p.mr, p.nr, gb_winograd_points4[1], gb_winograd_points4[3],
                                  gb_epilogue_options(e, g));
    gb_put_store(e, g->x.store);
    gb_put_i32(e, g->x.offset);
    gb_put_i32(e, g->x.pitch);
    gb_put_i32(e, q.in[1]);
    gb_put_i32(e, q.in[2]);
    gb_put_i32(e, q.pad_y);
    gb_put_i32(e, q.pad_x);
    gb_put_i32(e, p.tiles_x);
    gb_put_i32(e, p.tiles_y * p.tiles_x);
    gb_put_i32(e, p.count);
    gb_put_i32(e, p.span);
    gb_put_store(e, weights);
    gb_put_i32(e, g->k);
    gb_put_i32(e, p.chunk);
    gb_put_i32(e, g->n);
    gb_put_i32(e, p.blocks);
    gb_put_store(e, zeros);
    gb_put_store(e, bias);
    gb_put_store(e, g->y.store);
    gb_put_i32(e, g->y.offset);
    gb_put_i32(e, g->y.pitch);
    gb_put_i32(e, q.out[1]);
    gb_put_i32(e, q.out[2]);
    gb_put_local(e, p.local_bytes);
    gb_put_i32(e, p.pitch);
    gb_put_i32(e, p.plane);
    gb_put_epilogue(e, g);
    gb_emit_size(e, (size_t)gb_ceil_div(p.count, p.span),
                 (size_t)gb_ceil_div(gb_ceil_div(g->n, p.nr), p.blocks), 1);
    gb_emit_local(e, 1, 1, 1);
    const gb_choice_key key = gb_choice_window(e, w, backward);
    gb_emit_note_way(e, &key, "winograd %d", tile);
    if (l)
        l->flops = 2.0 * (double)(q.batch * q.out[1] * q.out[2]) * TAPS * TAPS *
                   (double)(g->k * g->n);
}
