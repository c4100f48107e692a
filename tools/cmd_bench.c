// gibbon bench: how fast a model runs here: forward, input gradient, one iteration of PGD.
#include "bench_layers.h"
#include "cli.h"
#include "pictures.h"

#include "attack/attack.h"
#include "attack/steps.h"
#include "base/rng.h"
#include "report/report.h"

#include <limits.h>
#include <stdlib.h>

typedef struct values {
    cli cli;
    int64_t rounds;
    bool layers;
} values;

static const option_entry table[] = {
    {"rounds", 'n', OPTION_INT, offsetof(values, rounds), "N",
     "timed runs, after one that is not (default: 10)", 1, 100000},
    {"layers", 0, OPTION_FLAG, offsetof(values, layers), NULL,
     "a line for each layer: time, operations and bytes a second, share of the roofline"},
    CLI_BATCH,
    CLI_PREPROCESS,
    CLI_MODEL,
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

typedef struct figure {
    const char *name;
    double ms; // median, whole batch
    double flops;
} figure;

typedef struct task {
    values v;
    gb_graph *model;
    gb_device *dev;
    pictures p;
    gb_session *session;
    gb_steps *steps;
    int64_t batch;
    float *images;
    double compile_seconds;
    size_t peak_bytes;
    figure figure[3];
    size_t n_figure;
    gb_peak peak;
    bench_layers layers;
} task;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int forward(task *t)
{
    return gb_session_forward(t->session);
}

static int gradient(task *t)
{
    return gb_session_gradient(t->session);
}

static int pgd(task *t)
{
    int err = gb_steps_gradient(t->steps);
    return err < 0 ? err : gb_steps_move(t->steps);
}

// Times `once`; `since` is when the making of what it runs began.
static int measure(task *t, const char *name, int (*once)(task *t), double flops, double since)
{
    size_t rounds = (size_t)t->v.rounds;
    double *seconds = calloc(rounds, sizeof *seconds);
    int err = 0;
    if (!seconds)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    GB_TRY(once(t));
    GB_TRY(gb_device_finish(t->dev));
    double first = cli_seconds() - since;
    for (size_t i = 0; i < rounds; i++) {
        if (cli_interrupted()) {
            err = gb_fail(GB_ERR_CANCELLED, "interrupted");
            goto fail;
        }
        cli_progress(&t->v.cli, "%s, round %zu of %zu", name, i + 1, rounds);
        double start = cli_seconds();
        GB_TRY(once(t));
        GB_TRY(gb_device_finish(t->dev));
        seconds[i] = cli_seconds() - start;
    }
    qsort(seconds, rounds, sizeof *seconds, by_value);
    double median = (seconds[(rounds - 1) / 2] + seconds[rounds / 2]) / 2;
    t->compile_seconds += first > median ? first - median : 0;
    t->figure[t->n_figure++] = (figure){name, 1e3 * median, flops};
fail:
    free(seconds);
    return err;
}

static int make_images(task *t)
{
    size_t count = (size_t)t->batch * t->p.pixels;
    t->images = calloc(count, sizeof *t->images);
    if (!t->images)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %lld", (long long)t->batch);
    for (size_t i = 0; i < count; i++)
        t->images[i] = gb_uniform(gb_philox4x32((gb_philox){{(uint32_t)i, 0, 0, 0}}, 0, 0).v[0]);
    return 0;
}

static int execute(task *t)
{
    cli *c = &t->v.cli;
    int err = 0;
    if (c->words.count != 1)
        return cli_usage(c, "give one model");
    GB_TRY(model_load_classifier(&t->model, &t->p.classifier, c, c->words.text[0]));
    GB_TRY(pictures_preprocess(&t->p, c, t->model));
    GB_TRY(cli_open_device(&t->dev, c));
    cli_catch_interrupt();

    gb_session_options options = {.batch = c->batch ? c->batch : 1, .scores = model_scores(c),
                                  .class_axis = (int)c->class_axis,
                                  .normalize = t->p.normalize, .log = &c->log};
    double start = cli_seconds();
    GB_TRY(model_session(&t->session, c, t->dev, t->model, &options));
    t->batch = gb_session_batch(t->session);
    GB_TRY(make_images(t));
    GB_TRY(gb_session_upload(t->session, gb_session_input(t->session, 0), t->images));
    GB_TRY(measure(t, "forward", forward, gb_session_get_stats(t->session)->flops_forward, start));
    gb_session_free(t->session);
    t->session = NULL;

    gb_attack_config config;
    GB_TRY(gb_attack_default(&config, "pgd"));
    config.early_stop = 0; // every image works in every iteration
    GB_TRY(gb_attack_resolve(&config));
    config.steps = INT_MAX; // however often it is timed
    options.grad = true;
    options.loss = GB_LOSS_CE;
    start = cli_seconds();
    GB_TRY(model_session(&t->session, c, t->dev, t->model, &options));
    if (gb_session_batch(t->session) != t->batch) {
        err = gb_fail(GB_ERR_DEVICE_MEM, "the gradient does not fit at a batch of %lld: try %lld",
                      (long long)t->batch, (long long)gb_session_batch(t->session));
        goto fail;
    }
    const gb_session_stats *stats = gb_session_get_stats(t->session);
    double flops = stats->flops_forward + stats->flops_backward;
    GB_TRY(gb_steps_create(&t->steps, t->session, &config));
    for (size_t i = 0; i < (size_t)t->batch; i++)
        GB_TRY(gb_steps_load(t->steps, i, t->images + i * t->p.pixels, 0, 0, 0, false));
    GB_TRY(gb_steps_start(t->steps));
    GB_TRY(measure(t, "gradient", gradient, flops, start));
    start = cli_seconds();
    GB_TRY(measure(t, "pgd", pgd, flops, start));
    t->peak_bytes = gb_device_peak(t->dev);
    if (t->v.layers)
        GB_TRY(bench_layers_measure(&t->layers, c, t->session, (size_t)t->v.rounds));
    gb_steps_free(t->steps);
    gb_session_free(t->session); // its memory may be what the peak's buffers want
    t->steps = NULL;
    t->session = NULL;
    cli_progress(c, "the device's peak");
    if (gb_peak_measure(&t->peak, t->dev) < 0)
        cli_note(c, "the device's peak: %s", gb_last_error());
fail:
    return err;
}

static json_t *peak_json(double per_second)
{
    return per_second > 0 ? json_real(1e-9 * per_second) : json_null();
}

static int print_json(const task *t)
{
    json_t *device = gb_report_device_json(gb_device_get_info(t->dev));
    json_t *path = gb_report_text_json(t->v.cli.words.text[0]);
    json_t *json = json_pack("{s:o, s:{s:o}, s:I, s:I}", "device", device, "model", "path", path,
                             "batch", (json_int_t)t->batch, "rounds", (json_int_t)t->v.rounds);
    for (size_t i = 0; i < t->n_figure; i++) {
        const figure *f = &t->figure[i];
        json_object_set_new(json, f->name,
                            json_pack("{s:f, s:f, s:f}", "ms", f->ms, "images_per_second",
                                      1e3 * (double)t->batch / f->ms, "gflops",
                                      1e-6 * f->flops / f->ms));
    }
    if (json) {
        json_object_set_new(json, "peak_bytes", json_integer((json_int_t)t->peak_bytes));
        json_object_set_new(json, "compile_seconds", json_real(t->compile_seconds));
        json_object_set_new(json, "peak",
                            json_pack("{s:o, s:o}", "gflops", peak_json(t->peak.flops),
                                      "gbytes_per_second", peak_json(t->peak.bytes)));
        if (t->layers.count)
            bench_layers_json(json, &t->layers, &t->peak);
    }
    return cli_print_json(json);
}

static void print_peak(double per_second, const char *what)
{
    if (per_second > 0)
        gb_say(" %.1f %s", 1e-9 * per_second, what);
    else
        gb_say(" %s not measured", what);
}

static void print_text(const task *t)
{
    gb_say("%s, batch %lld, median of %lld rounds\n\n", t->v.cli.words.text[0], (long long)t->batch,
           (long long)t->v.rounds);
    gb_say("%-10s %12s %12s %12s\n", "", "ms", "images/s", "GFLOP/s");
    for (size_t i = 0; i < t->n_figure; i++) {
        const figure *f = &t->figure[i];
        gb_say("%-10s %12.2f %12.1f %12.1f\n", f->name, f->ms, 1e3 * (double)t->batch / f->ms,
               1e-6 * f->flops / f->ms);
    }
    printf("\npeak device memory %.1f MiB, compiling and setting up %.2f s\n",
           (double)t->peak_bytes / 0x1p20, t->compile_seconds);
    printf("the device's peak:");
    print_peak(t->peak.flops, "GFLOP/s of FMA");
    putchar(',');
    print_peak(t->peak.bytes, "GB/s of copying");
    putchar('\n');
    if (t->layers.count)
        bench_layers_print(&t->layers, &t->peak);
}

static int print(task *t)
{
    if (!t->peak_bytes)
        t->peak_bytes = gb_device_peak(t->dev);
    if (t->v.cli.json)
        return print_json(t);
    print_text(t);
    return 0;
}

static int run(int argc, char **argv)
{
    task t = {.v.rounds = 10};
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &t.v}};
    int code, err;
    if (!cli_begin(&t.v.cli, &cmd_bench, groups, GB_COUNT(groups), argc, argv, &code))
        return code;
    err = execute(&t);
    if (err >= 0 || (t.n_figure && err != GB_ERR_CANCELLED)) { // what was measured is told
        int told = print(&t);
        err = err < 0 ? err : told;
    }
    code = cli_end(&t.v.cli, err);
    bench_layers_free(&t.layers);
    gb_steps_free(t.steps);
    gb_session_free(t.session);
    pictures_close(&t.p);
    gb_device_close(t.dev);
    gb_graph_free(t.model);
    free(t.images);
    cli_finish(&t.v.cli);
    return code;
}

const cli_command cmd_bench = {
    .name = "bench",
    .synopsis = "MODEL [options]",
    .summary = "time a model: forward, input gradient, one iteration of PGD",
    .details = "forward computes the logits, gradient also the cross-entropy's gradient to the\n"
               "input, pgd one whole iteration of the attack; each for a whole batch (default:\n"
               "1). The peak is what the device does at most, measured after these. --layers\n"
               "times each launch of the gradient, its best round. Operations are those of the\n"
               "plain algorithm and bytes an estimate, what a layer reads and writes, each once:\n"
               "by Winograd, or with values that stay in the caches, it may exceed the peak.",
    .run = run,
};
