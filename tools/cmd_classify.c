// gibbon classify: what a model sees in pictures.
#include "cli.h"
#include "pictures.h"

#include "attack/attack.h"
#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli cli;
    int64_t top;
} values;

static const option_entry table[] = {
    {"top", 'k', OPTION_INT, offsetof(values, top), "N", "how many classes to name (default: 5)", 1,
     100},
    CLI_PREPROCESS,
    CLI_MAX_PIXELS,
    CLI_LABELS,
    CLI_MODEL,
    CLI_BATCH,
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

typedef struct task {
    values v;
    gb_graph *model;
    gb_device *dev;
    gb_session *session;
    pictures p;
    size_t batch, classes;
    float *images; // (batch, pixels)
    float *scores; // (batch, classes)
    float *shares; // [classes]: the probabilities of one picture
    size_t *row;   // [batch]: which picture a row is
    json_t *report;
} task;

// Prints the most probable classes of a picture; spoils its scores, which tell classes apart whose
// probabilities round to the same.
static void tell(task *t, const gb_item *item, float *scores)
{
    char name[4096], label[256];
    gb_item_text(name, sizeof name, item);
    json_t *top = json_array();
    if (!t->v.cli.json)
        gb_say("%s\n", name);
    for (int64_t k = 0; k < t->v.top && (size_t)k < t->classes; k++) {
        int best = gb_argmax(scores, t->classes);
        const gb_class *known = gb_labels_at(&t->p.labels, best);
        gb_labels_text(label, sizeof label, &t->p.labels, best);
        if (t->v.cli.json)
            json_array_append_new(top, json_pack("{s:i, s:o, s:f}", "class", best, "name",
                                                 gb_report_text_json(known ? label : NULL),
                                                 "probability", (double)t->shares[best]));
        else
            gb_say("  %6.2f %%  %4d  %s\n", 100 * (double)t->shares[best], best,
                   known ? label : "");
        scores[best] = -INFINITY;
    }
    if (t->v.cli.json)
        json_array_append_new(json_object_get(t->report, "images"),
                              json_pack("{s:o, s:o}", "input", gb_report_text_json(name),
                                        "classes", top));
    else
        json_decref(top);
}

static int classify(task *t, size_t first, size_t count)
{
    char name[4200];
    size_t rows = 0;
    int err = 0;
    for (size_t i = first; i < first + count; i++) {
        if (pictures_read(&t->p, i, t->images + rows * t->p.pixels) < 0)
            cli_error(&t->v.cli, gb_item_text(name, sizeof name, &t->p.list.item[i]));
        else
            t->row[rows++] = i;
    }
    GB_TRY(gb_session_logits(t->session, t->scores, t->images, rows));
    for (size_t r = 0; r < rows; r++) {
        float *scores = t->scores + r * t->classes;
        const gb_item *item = &t->p.list.item[t->row[r]];
        memcpy(t->shares, scores, t->classes * sizeof *scores);
        gb_probabilities(t->shares, t->classes, gb_session_head(t->session)->kind);
        if (!gb_all_finite(t->shares, t->classes)) {
            err = gb_fail(GB_ERR_NUMERIC, "%s: the model's logits are NaN or infinite", item->path);
            goto fail;
        }
        tell(t, item, scores);
    }
fail:
    return err;
}

static int execute(task *t)
{
    cli *c = &t->v.cli;
    int err = 0;
    if (c->words.count < 1)
        return cli_usage(c, "give a model and pictures");
    GB_TRY(model_load_classifier(&t->model, &t->p.classifier, c, c->words.text[0]));
    GB_TRY(pictures_open(&t->p, c, t->model));
    GB_TRY(pictures_own(&t->p, c, t->model));
    cli_rehearse(c);
    GB_TRY(cli_open_device(&t->dev, c));
    gb_session_options options = {
        .batch = pictures_batch(&t->p, c),
        .scores = model_scores(c),
        .class_axis = (int)c->class_axis,
        .normalize = t->p.normalize,
        .log = &c->log,
    };
    GB_TRY(model_session(&t->session, c, t->dev, t->model, &options));
    t->batch = (size_t)gb_session_batch(t->session);
    t->classes = (size_t)gb_session_classes(t->session);
    GB_TRY(pictures_check_labels(&t->p, c, (int64_t)t->classes));
    t->images = calloc(t->batch * t->p.pixels, sizeof *t->images);
    t->scores = calloc(t->batch * t->classes, sizeof *t->scores);
    t->shares = calloc(t->classes, sizeof *t->shares);
    t->row = calloc(t->batch, sizeof *t->row);
    if (!t->images || !t->scores || !t->shares || !t->row)
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu pictures", t->batch);
    if (c->json) {
        const gb_report_model facts = model_facts(&t->p.classifier, c->words.text[0],
                                                  t->p.preproc.name, t->session);
        t->report = json_pack("{s:o, s:o, s:[]}", "device",
                              gb_report_device_json(gb_device_get_info(t->dev)), "model",
                              gb_report_model_json(&facts), "images");
    }
    cli_catch_interrupt();
    for (size_t i = 0; i < t->p.list.count; i += t->batch) {
        size_t left = t->p.list.count - i;
        if (cli_interrupted()) {
            err = gb_fail(GB_ERR_CANCELLED, "interrupted after %zu of %zu pictures", i,
                          t->p.list.count);
            break;
        }
        cli_progress(c, "picture %zu of %zu", i + 1, t->p.list.count);
        GB_TRY(classify(t, i, left < t->batch ? left : t->batch));
    }
    if (c->json) {
        if (c->failures.count)
            json_object_set_new(t->report, "errors", gb_failures_json(&c->failures));
        int printed = cli_print_json(json_incref(t->report));
        err = err < 0 ? err : printed;
    }
fail:
    return err;
}

static int run(int argc, char **argv)
{
    task t = {.v.top = 5};
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &t.v}};
    int code;
    if (!cli_begin(&t.v.cli, &cmd_classify, groups, GB_COUNT(groups), argc, argv, &code))
        return code;
    code = cli_end(&t.v.cli, execute(&t));
    free(t.images);
    free(t.scores);
    free(t.shares);
    free(t.row);
    json_decref(t.report);
    pictures_close(&t.p);
    gb_session_free(t.session);
    gb_device_close(t.dev);
    gb_graph_free(t.model);
    cli_finish(&t.v.cli);
    return code;
}

const cli_command cmd_classify = {
    .name = "classify",
    .synopsis = "MODEL [PICTURE...] [options]",
    .summary = "name what a model sees in pictures",
    .details = "A picture is a .jpg or .png file, a folder of them, or an .npy of [N,]C,H,W in\n"
               "[0,1] at the model's size. A model or picture may be a pipe, or - for standard\n"
               "input.",
    .run = run,
};
