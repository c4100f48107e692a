// Times the layers of a session and tells how near they come to the device's ceilings.
#include "bench_layers.h"

#include "base/text.h"
#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_WIDTH = 30, HOW_WIDTH = 17 };

// --- measuring ---

static int best_rounds(double *best, size_t launches, const cli *c, gb_session *s, size_t rounds)
{
    gb_device *dev = gb_session_device(s);
    int err = 0;
    for (size_t round = 0; round < rounds; round++) {
        if (cli_interrupted())
            return gb_fail(GB_ERR_CANCELLED, "interrupted");
        cli_progress(c, "layers, round %zu of %zu", round + 1, rounds);
        GB_TRY(gb_device_profile(dev, true));
        GB_TRY(gb_session_gradient(s));
        GB_TRY(gb_device_finish(dev));
        for (size_t i = 0; i < launches; i++) {
            double seconds = gb_session_launch(s, i).seconds;
            best[i] = round == 0 || seconds < best[i] ? seconds : best[i];
        }
    }
fail:
    return err < 0 ? err : gb_device_profile(dev, false);
}

static bool same_layer(const gb_launch_info *a, const gb_launch_info *b)
{
    return a->node == b->node && a->backward == b->backward;
}

static int add_layer(bench_layers *out, const gb_launch_info *l)
{
    bench_layer *layer = &out->layer[out->count++];
    *layer = (bench_layer){.name = strdup(l->node ? l->node->name : "input, loss and output"),
                           .type = strdup(l->node ? l->node->type : ""), .backward = l->backward};
    return layer->name && layer->type ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory");
}

int bench_layers_measure(bench_layers *out, const cli *c, gb_session *s, size_t rounds)
{
    const gb_session_stats *stats = gb_session_get_stats(s);
    const size_t launches = stats->launches_forward + stats->launches_backward;
    double *best = calloc(launches + 1, sizeof *best), most = 0;
    gb_launch_info before = {0};
    int err = 0;
    *out = (bench_layers){.layer = calloc(launches + 1, sizeof *out->layer)};
    if (!best || !out->layer) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for %zu launches", launches);
        goto fail;
    }
    GB_TRY(best_rounds(best, launches, c, s, rounds));
    for (size_t i = 0; i < launches; i++) {
        gb_launch_info l = gb_session_launch(s, i);
        if (i == 0 || !same_layer(&l, &before)) {
            GB_TRY(add_layer(out, &l));
            most = -1;
        }
        bench_layer *layer = &out->layer[out->count - 1];
        if (l.flops > most) { // the same one in every run, as times are not
            free(layer->how);
            layer->how = strdup(l.how);
            most = l.flops;
        }
        layer->product = layer->product || l.key;
        layer->launches++;
        layer->seconds += best[i];
        layer->flops += l.flops;
        layer->bytes += l.bytes;
        before = l;
    }
fail:
    free(best);
    return err;
}

void bench_layers_free(bench_layers *layers)
{
    for (size_t i = 0; i < layers->count; i++) {
        free(layers->layer[i].name);
        free(layers->layer[i].type);
        free(layers->layer[i].how);
    }
    free(layers->layer);
    *layers = (bench_layers){0};
}

// --- sums ---

typedef struct total {
    bench_layer all, product;
    double least; // share of the FMA peak of the slowest product
} total;

static void add(bench_layer *sum, const bench_layer *l)
{
    sum->launches += l->launches;
    sum->seconds += l->seconds;
    sum->flops += l->flops;
    sum->bytes += l->bytes;
}

// Shares of a peak that was not measured are infinite or no number.
static double fma_share(const bench_layer *l, const gb_peak *peak)
{
    return l->seconds > 0 ? l->flops / l->seconds / peak->flops : 0;
}

static json_t *share_json(double share)
{
    return isfinite(share) ? json_real(share) : json_null();
}

static double roofline_share(const bench_layer *l, const gb_peak *peak)
{
    return l->seconds > 0 ? gb_peak_seconds(peak, l->flops, l->bytes) / l->seconds : 0;
}

static bool memory_bound(const bench_layer *l, const gb_peak *peak)
{
    return l->bytes / peak->bytes > l->flops / peak->flops;
}

static total add_up(const bench_layers *layers, const gb_peak *peak, int backward)
{
    total t = {.least = 0};
    for (size_t i = 0; i < layers->count; i++) {
        const bench_layer *l = &layers->layer[i];
        if (backward >= 0 && l->backward != backward)
            continue;
        add(&t.all, l);
        if (!l->product)
            continue;
        double share = fma_share(l, peak);
        t.least = t.product.launches == 0 || share < t.least ? share : t.least;
        add(&t.product, l);
    }
    return t;
}

// --- text: 97 columns ---

// The end of a long name says more than its beginning.
static void print_name(const char *name)
{
    size_t length = strlen(name);
    if (length > NAME_WIDTH)
        gb_say("..%s", name + length - (NAME_WIDTH - 2));
    else
        gb_say("%-*s", NAME_WIDTH, name);
}

static void print_row(const bench_layer *l, const char *direction, const char *how,
                      const gb_peak *peak, double whole)
{
    print_name(l->name);
    gb_say(" %-4s %-*.*s %9.3f %5.1f", direction, HOW_WIDTH, HOW_WIDTH, how,
           1e3 * l->seconds, whole > 0 ? 100 * l->seconds / whole : 0);
    if (l->flops > 0 && l->seconds > 0)
        printf(" %8.1f", 1e-9 * l->flops / l->seconds);
    else
        gb_say(" %8s", "");
    const double share = roofline_share(l, peak);
    gb_say(" %7.1f", l->seconds > 0 ? 1e-9 * l->bytes / l->seconds : 0);
    if (isfinite(share))
        gb_say(" %4.0f %s\n", 100 * share, memory_bound(l, peak) ? "m" : "c");
    else
        gb_say("    -\n");
}

void bench_layers_print(const bench_layers *layers, const gb_peak *peak)
{
    static const char *const name[] = {"forward", "to data", "all"};
    const total all = add_up(layers, peak, -1);
    gb_say("\n%-*s %-4s %-*s %9s %5s %8s %7s %6s\n", NAME_WIDTH, "layer", "", HOW_WIDTH,
           "algorithm", "ms", "%", "GFLOP/s", "GB/s", "roof %");
    for (size_t i = 0; i < layers->count; i++) {
        const bench_layer *l = &layers->layer[i];
        char how[64];
        if (l->launches > 1)
            snprintf(how, sizeof how, "%s +%zu", l->how, l->launches - 1);
        else
            snprintf(how, sizeof how, "%s", l->how);
        print_row(l, l->backward ? "back" : "fwd", how, peak, all.all.seconds);
    }
    for (int d = 0; d < 3; d++) {
        total t = add_up(layers, peak, d < 2 ? d : -1);
        if (!t.all.launches)
            continue;
        t.all.name = (char *)name[d];
        print_row(&t.all, "", "", peak, all.all.seconds);
    }
    printf("\nroof: share of the time that operations (c) or bytes (m) take at the device's "
           "peak\n");
    if (all.product.launches && isfinite(all.least))
        printf("convolutions and dense layers: %.0f %% of the FMA peak in the time-weighted mean, "
               "%.0f %% the least\n",
               100 * fma_share(&all.product, peak), 100 * all.least);
}

// --- JSON ---

static json_t *figures(const bench_layer *l, const gb_peak *peak)
{
    double per_second = l->seconds > 0 ? 1 / l->seconds : 0;
    const double share = roofline_share(l, peak);
    const char *bound = !isfinite(share) ? NULL : memory_bound(l, peak) ? "memory" : "compute";
    return json_pack("{s:I, s:f, s:f, s:f, s:f, s:f, s:o, s:o, s:s?}", "launches",
                     (json_int_t)l->launches, "ms", 1e3 * l->seconds, "flops", l->flops, "bytes",
                     l->bytes, "gflops", 1e-9 * l->flops * per_second, "gbytes_per_second",
                     1e-9 * l->bytes * per_second, "roofline_share", share_json(share),
                     "fma_share", share_json(fma_share(l, peak)), "bound", bound);
}

void bench_layers_json(json_t *report, const bench_layers *layers, const gb_peak *peak)
{
    static const char *const name[] = {"forward", "backward", "all"};
    json_t *list = json_array(), *sums = json_object();
    for (size_t i = 0; i < layers->count; i++) {
        const bench_layer *l = &layers->layer[i];
        json_t *json = json_pack("{s:o, s:o, s:s, s:s}", "name", gb_report_text_json(l->name),
                                 "type", gb_report_text_json(l->type), "direction",
                                 name[l->backward], "algorithm", l->how);
        json_t *numbers = figures(l, peak);
        if (json && numbers)
            json_object_update(json, numbers);
        json_decref(numbers);
        json_array_append_new(list, json);
    }
    for (int d = 0; d < 3; d++) {
        const total t = add_up(layers, peak, d < 2 ? d : -1);
        json_t *json = figures(&t.all, peak);
        json_object_set_new(json, "product_ms", json_real(1e3 * t.product.seconds));
        json_object_set_new(json, "product_fma_share", share_json(fma_share(&t.product, peak)));
        json_object_set_new(json, "product_fma_share_least", share_json(t.least));
        json_object_set_new(sums, name[d], json);
    }
    json_object_set_new(report, "layers", list);
    json_object_set_new(report, "layers_total", sums);
}
