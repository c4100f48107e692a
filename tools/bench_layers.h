// The time of each layer of a model beside what the device could do: `gibbon bench --layers`.
#ifndef TOOLS_BENCH_LAYERS_H
#define TOOLS_BENCH_LAYERS_H

#include "cli.h"

#include "engine/peak.h"
#include "engine/session.h"

// A node's launches in one direction.
typedef struct bench_layer {
    char *name, *type, *how; // how: of the launch with the most operations
    bool backward, product;  // product: a convolution or dense layer by GEMM or Winograd
    size_t launches;
    double seconds, flops, bytes; // seconds: the best round of each launch
} bench_layer;

typedef struct bench_layers {
    bench_layer *layer;
    size_t count;
} bench_layers;

// Runs the gradient `rounds` times with every launch timed. The session has run before.
int bench_layers_measure(bench_layers *out, const cli *c, gb_session *s, size_t rounds);
void bench_layers_free(bench_layers *layers);

void bench_layers_print(const bench_layers *layers, const gb_peak *peak);
// {"layers":[...],"layers_total":{...}}, put into `report`.
void bench_layers_json(json_t *report, const bench_layers *layers, const gb_peak *peak);

#endif
