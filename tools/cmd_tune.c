// gibbon tune: finds the fastest way to compute each layer of a model on this device.
#include "cli.h"
#include "model.h"

#include "engine/tune.h"
#include "report/report.h"

#include <string.h>

typedef struct values {
    cli cli;
    int64_t limit;
    bool again;
} values;

static const option_entry table[] = {
    {"again", 0, OPTION_FLAG, offsetof(values, again), NULL,
     "measure layers that the database has, too"},
    {"time-limit", 0, OPTION_INT, offsetof(values, limit), "SECONDS",
     "what one way to compute a layer may take before it is given up (default: 60)", 1, 3600},
    CLI_BATCH,
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

static int open_device(gb_device **out, void *user, bool first)
{
    cli c = ((values *)user)->cli;
    if (first)
        return cli_open_device(out, &c);
    int err = gb_device_open(out, c.device, &c.log);
    return err < 0 ? err : cli_set_precision(out, &c);
}

static size_t done(const gb_tune_result *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++)
        n += r->layer[i].tuned.way != NULL;
    return n;
}

static void progress(void *user, const gb_tune_result *so_far, const char *key, const char *way)
{
    const values *v = user;
    cli_progress(&v->cli, "layer %zu of %zu: %s by %s", done(so_far) + 1, so_far->count, key, way);
}

typedef struct total {
    size_t tuned, faster, fresh;
    double usual_ms, ms; // of every launch of the model that was tuned
} total;

static total add_up(const gb_tune_result *r)
{
    total t = {0};
    for (size_t i = 0; i < r->count; i++) {
        const gb_tune_layer *l = &r->layer[i];
        if (!l->tuned.way)
            continue;
        t.tuned++;
        t.fresh += l->fresh;
        t.faster += strcmp(l->tuned.way, l->tuned.usual) != 0;
        t.usual_ms += l->launches * l->tuned.usual_ms;
        t.ms += l->launches * l->tuned.ms;
    }
    return t;
}

static void print_text(const gb_tune_result *r, double seconds)
{
    const total t = add_up(r);
    if (r->count)
        gb_say("%-40s %5s %-12s %9s  %-12s %9s\n", "layer", "times", "heuristic", "ms", "fastest",
               "ms");
    for (size_t i = 0; i < r->count; i++) {
        const gb_tuned *l = &r->layer[i].tuned;
        const bool changed = l->way && strcmp(l->way, l->usual) != 0;
        gb_say("%-40s %5d ", l->key, r->layer[i].launches);
        if (l->way)
            gb_say("%-12s %9.3f  %-12s %9.3f\n", l->usual, l->usual_ms,
                   changed ? l->way : "the same", l->ms);
        else
            printf("not tuned\n");
    }
    for (size_t i = 0; i < r->n_rejected; i++)
        gb_say("%s by %s: %s\n", r->rejected[i].key, r->rejected[i].way, r->rejected[i].why);
    gb_say("%s%zu of %zu layers tuned, %zu in this run of %.0f s; %zu are faster than by the "
           "heuristics\n", r->count ? "\n" : "", t.tuned, r->count, t.fresh, seconds, t.faster);
    if (t.ms > 0)
        printf("these layers together: %.2f ms by the heuristics, %.2f ms tuned (%.1f %% less)\n",
               t.usual_ms, t.ms, 100 * (1 - t.ms / t.usual_ms));
    if (r->path)
        gb_say("database: %s\n", r->path);
}

static int print_json(const cli *c, const gb_tune_result *r, double seconds)
{
    const total t = add_up(r);
    json_t *layers = json_array(), *rejected = json_array();
    for (size_t i = 0; i < r->count; i++) {
        const gb_tune_layer *l = &r->layer[i];
        json_t *one = json_pack("{s:s, s:i, s:b}", "key", l->tuned.key, "launches", l->launches,
                                "fresh", l->fresh);
        if (one && l->tuned.way) {
            json_object_set_new(one, "heuristic", json_string(l->tuned.usual));
            json_object_set_new(one, "heuristic_ms", json_real(l->tuned.usual_ms));
            json_object_set_new(one, "way", json_string(l->tuned.way));
            json_object_set_new(one, "ms", json_real(l->tuned.ms));
        }
        json_array_append_new(layers, one);
    }
    for (size_t i = 0; i < r->n_rejected; i++)
        json_array_append_new(rejected, json_pack("{s:s, s:s, s:o}", "key", r->rejected[i].key,
                                                  "way", r->rejected[i].way, "why",
                                                  gb_report_text_json(r->rejected[i].why)));
    return cli_print_json(json_pack(
        "{s:{s:o}, s:o, s:o, s:o, s:o, s:{s:I, s:I, s:I, s:f, s:f, s:f}}", "model", "path",
        gb_report_text_json(c->words.text[0]), "identity", gb_report_text_json(r->identity),
        "database", gb_report_text_json(r->path), "layers", layers, "rejected", rejected, "summary",
        "tuned", (json_int_t)t.tuned, "fresh", (json_int_t)t.fresh, "faster", (json_int_t)t.faster,
        "heuristic_ms", t.usual_ms, "ms", t.ms, "seconds", seconds));
}

static int execute(values *v)
{
    cli *c = &v->cli;
    gb_graph *model = NULL;
    gb_tune_result result = {0};
    int err = 0;
    if (c->words.count != 1)
        return cli_usage(c, "give one model");
    GB_TRY(model_load(&model, c, c->words.text[0]));
    cli_catch_interrupt();
    const gb_tune_options options = {
        .model = model, .batch = c->batch ? c->batch : 4, .limit = (double)v->limit,
        .again = v->again, .open = open_device, .progress = progress, .stop = cli_interrupted,
        .user = v,
    };
    double start = cli_seconds();
    err = gb_tune(&result, &options);
    cli_progress(c, "%s", "");
    if (err < 0 && err != GB_ERR_CANCELLED)
        goto fail;
    if (c->json) {
        int printed = print_json(c, &result, cli_seconds() - start);
        err = err < 0 ? err : printed;
    } else {
        print_text(&result, cli_seconds() - start);
    }
fail:
    gb_tune_result_free(&result);
    gb_graph_free(model);
    return err;
}

static int run(int argc, char **argv)
{
    values v = {.limit = 60};
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &v}};
    int code;
    if (!cli_begin(&v.cli, &cmd_tune, groups, GB_COUNT(groups), argc, argv, &code))
        return code;
    code = cli_end(&v.cli, execute(&v));
    cli_finish(&v.cli);
    return code;
}

const cli_command cmd_tune = {
    .name = "tune",
    .synopsis = "MODEL [options]",
    .summary = "find the fastest way to compute each layer here (nobody has to)",
    .details = "Every way to compute a layer is compared with the plain one, timed, and the\n"
               "fastest is kept in a database in the cache folder, for this device, its driver\n"
               "and these kernels; from then on every command uses it. A layer is known by its\n"
               "shape, so models share what was found. Interrupted, it goes on where it was the\n"
               "next time. Results may change in their last digits; GIBBON_TUNE=off ignores the\n"
               "database. --batch is what layers are measured at (default: 4), not what they are\n"
               "used for.",
    .run = run,
};
