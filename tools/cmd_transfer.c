// gibbon transfer: whose adversarial examples fool whom.
#include "attack_options.h"
#include "pictures.h"

#include "base/file.h"
#include "eval/transfer.h"
#include "report/matrix.h"
#include "report/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli cli;
    const char *data;
    int64_t limit;
    option_texts preprocess;
    settings_values attack;
} values;

static const option_entry table[] = {
    {"data", 0, OPTION_TEXT, offsetof(values, data), "DATA",
     "labelled pictures: an installed set (fashion-mnist), a folder of idx files, of CIFAR-10's "
     "or of classes, IMAGES[,LABELS] (idx or .npy), or pictures with labels in their names"},
    {"limit", 'n', OPTION_INT, offsetof(values, limit), "N",
     "how many pictures of the data, drawn with the seed (default: all)", 1, 1 << 30},
    {"preprocess", 0, OPTION_TEXTS, offsetof(values, preprocess), "PRESET|FILE",
     "how pictures become a model's input, as for attack: once for all models, or once for each, "
     "in their order"},
    CLI_OUTPUT("where the matrix goes as a picture, transfer.png"),
    CLI_MAX_PIXELS,
    CLI_LABELS,
    CLI_MODEL,
    CLI_LABEL_FROM,
    CLI_BATCH,
    CLI_SEED,
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

// An image that rests just behind one model's boundary fools no other.
static const attack_choice choice = {.option = "method", .letter = 'm', .chosen = "pgd",
                                     .floats = true, .all_steps = true};

typedef struct subject {
    cli cli; // the command's, as if this model were its only one
    gb_graph *model;
    pictures p;
    gb_attack *attack;
} subject;

typedef struct task {
    values v;
    size_t n;
    subject *subject;   // [n]
    const char **name;  // [n]: for people
    gb_attack **attack; // [n]
    double *percent;    // [source][target]; NaN: of no picture
    gb_attack_config config;
    gb_device *dev;
    gb_dataset *ds;
    gb_transfer result;
    double seconds;
    gb_arena arena;
} task;

// --- the models ---

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// File names without ".onnx"; whole paths where two of them are alike.
static int name_models(task *t)
{
    const char **path = t->v.cli.words.text;
    bool alike = false;
    for (size_t i = 0; i < t->n; i++)
        for (size_t k = 0; k < i; k++)
            alike = alike || !strcmp(base_name(path[i]), base_name(path[k]));
    for (size_t i = 0; i < t->n; i++) {
        char *name = gb_arena_strdup(&t->arena, alike ? path[i] : base_name(path[i]));
        if (!name)
            return GB_ERR_NOMEM;
        const size_t length = strlen(name);
        if (length > 5 && !strcmp(name + length - 5, ".onnx"))
            name[length - 5] = 0;
        t->name[i] = name;
    }
    return 0;
}

static int load(task *t, size_t i)
{
    enum { USUAL = 64 };
    subject *s = &t->subject[i];
    const pictures *first = &t->subject[0].p;
    const option_texts *given = &t->v.preprocess;
    int err = 0;
    s->cli = t->v.cli;
    s->cli.words = (option_texts){.text = t->v.cli.words.text + i, .count = 1};
    s->cli.preprocess = given->count ? given->text[given->count > 1 ? i : 0] : NULL;
    GB_TRY(model_load_classifier(&s->model, &s->p.classifier, &s->cli, s->cli.words.text[0]));
    GB_TRY(pictures_open(&s->p, &s->cli, s->model));
    if (s->p.channels != first->channels || s->p.height != first->height ||
        s->p.width != first->width) {
        err = gb_fail(GB_ERR_ARG, "%s takes pictures of %dx%dx%d, %s of %dx%dx%d (channels, "
                                  "height, width); only models of one size can be compared",
                      t->name[0], first->channels, first->height, first->width, t->name[i],
                      s->p.channels, s->p.height, s->p.width);
        goto fail;
    }
    GB_TRY(model_attack(&s->attack, &s->cli, t->dev, s->model,
                        t->v.cli.batch ? t->v.cli.batch : USUAL, &s->p.normalize, &t->config));
    t->attack[i] = s->attack;
fail:
    return err;
}

static int configure(task *t)
{
    int err = 0;
    GB_TRY(attack_configure(&t->config, &t->v.attack, &choice));
    t->config.seed = t->v.cli.seed;
    GB_TRY(gb_attack_resolve(&t->config));
fail:
    return err;
}

// --- what came of it ---

static int print_json(const task *t)
{
    const gb_transfer *r = &t->result;
    json_t *models = json_array(), *matrix = json_array();
    for (size_t s = 0; s < t->n; s++) {
        const subject *one = &t->subject[s];
        gb_report_model facts = model_facts(&one->p.classifier, one->cli.words.text[0],
                                                  one->p.preproc.name,
                                                  gb_attack_session(one->attack));
        facts.batch = 0; // results do not depend on it
        json_array_append_new(models, json_pack(
            "{s:I, s:f}", "correct", (json_int_t)r->correct[s], "accuracy",
            (double)r->correct[s] / (double)r->images));
        json_object_update_new(json_array_get(models, s), gb_report_model_json(&facts));
        json_t *row = json_array();
        for (size_t k = 0; k < t->n; k++) {
            const double percent = t->percent[s * t->n + k];
            json_array_append_new(row, json_pack(
                "{s:I, s:I, s:o}", "images", (json_int_t)r->both[s * t->n + k], "fooled",
                (json_int_t)r->fooled[s * t->n + k], "rate",
                isnan(percent) ? json_null() : json_real(percent / 100)));
        }
        json_array_append_new(matrix, row);
    }
    return cli_print_json(json_pack(
        "{s:o, s:{s:o, s:I, s:s}, s:o, s:o, s:o, s:f}", "device",
        gb_report_device_json(gb_device_get_info(t->dev)), "data", "spec",
        gb_report_text_json(t->v.data), "images", (json_int_t)r->images, "label_source",
        t->ds->label_source, "attack", gb_report_attack_json(&t->config), "models", models,
        "matrix", matrix, "seconds", t->seconds));
}

static void print_text(const task *t)
{
    const gb_transfer *r = &t->result;
    int width = (int)strlen("made against");
    for (size_t i = 0; i < t->n; i++)
        width = (int)strlen(t->name[i]) > width ? (int)strlen(t->name[i]) : width;
    gb_say("data     %zu pictures of %s\n", r->images, t->v.data);
    gb_report_attack_text(stdout, &t->config);
    gb_say("\nOf the pictures that both models get right, the share that the attack on one makes "
           "the\nother get wrong, in per cent:\n\n      %-*s  correct  ", width, "made against");
    for (size_t k = 0; k < t->n; k++)
        gb_say("  %s %2zu", "fools", k + 1);
    putchar('\n');
    for (size_t s = 0; s < t->n; s++) {
        gb_say("  %2zu  %-*s  %7.2f  ", s + 1, width, t->name[s],
               100.0 * (double)r->correct[s] / (double)r->images);
        for (size_t k = 0; k < t->n; k++) {
            if (isnan(t->percent[s * t->n + k]))
                gb_say("  %8s", "-");
            else
                printf("  %8.2f", t->percent[s * t->n + k]);
        }
        putchar('\n');
    }
}

static int draw(const task *t)
{
    gb_image image = {0};
    int err = 0;
    char title[256];
    const gb_matrix m = {.title = title, .row_title = "made against",
                         .col_title = "fooled, in per cent", .row = t->name, .col = t->name,
                         .rows = t->n, .cols = t->n, .value = t->percent, .high = 100,
                         .digits = 1};
    char *path = gb_arena_printf((gb_arena *)&t->arena, "%s/transfer.png", t->v.cli.output);
    if (!path)
        return GB_ERR_NOMEM;
    snprintf(title, sizeof title, "%s on %zu pictures of %s", t->config.method, t->result.images,
             t->v.data);
    GB_TRY(gb_matrix_draw(&image, &m));
    GB_TRY(gb_image_write_png(path, &image));
    cli_note(&t->v.cli, "picture: %s", path);
fail:
    gb_image_finish(&image);
    return err;
}

// --- the command ---

static int on_look(void *user, size_t source, size_t done, size_t total)
{
    const task *t = user;
    if (source < t->n)
        cli_progress(&t->v.cli, "against %s: picture %zu of %zu", t->name[source], done, total);
    else
        cli_progress(&t->v.cli, "unchanged picture %zu of %zu", done, total);
    return cli_interrupted();
}

static int allocate(task *t)
{
    t->subject = gb_arena_array(&t->arena, t->n, sizeof *t->subject);
    t->name = gb_arena_array(&t->arena, t->n, sizeof *t->name);
    t->attack = gb_arena_array(&t->arena, t->n, sizeof(gb_attack *));
    t->percent = gb_arena_array(&t->arena, t->n * t->n, sizeof *t->percent);
    return t->subject && t->name && t->attack && t->percent ? name_models(t) : GB_ERR_NOMEM;
}

static int make_ready(task *t)
{
    cli *c = &t->v.cli;
    int err = 0;
    if (c->output)
        GB_TRY(gb_make_dirs(c->output));
    GB_TRY(cli_open_device(&t->dev, c));
    for (size_t i = 0; i < t->n; i++)
        GB_TRY(load(t, i));
    const gb_dataset_options data = {
        .labels = &t->subject[0].p.labels, .log = &c->log,
        .from = pictures_label_from(c),
        .classes = gb_session_classes(gb_attack_session(t->attack[0]))};
    GB_TRY(gb_dataset_open(&t->ds, t->v.data, &data));
    GB_TRY(gb_dataset_fit(t->ds, &t->subject[0].p.preproc));
    pictures_say_labels(c, t->ds);
fail:
    return err;
}

static int work(task *t)
{
    const gb_ranks *ranks = &t->v.cli.ranks;
    const gb_transfer_options options = {.name = t->name, .limit = (size_t)t->v.limit,
                                         .seed = t->v.cli.seed, .ranks = ranks, .look = on_look,
                                         .user = t};
    const double start = cli_seconds();
    int err = gb_transfer_run(&t->result, t->attack, t->n, t->ds, &options);
    if (err < 0 && err != GB_ERR_CANCELLED)
        gb_ranks_abort(ranks, EXIT_FAILED); // others are at work for a long time
    GB_TRY(gb_ranks_agree(ranks, err));
    GB_TRY(gb_transfer_join(&t->result, ranks));
    t->seconds = cli_seconds() - start;
    for (size_t i = 0; i < t->n * t->n; i++)
        t->percent[i] = t->result.both[i]
                            ? 100 * (double)t->result.fooled[i] / (double)t->result.both[i]
                            : NAN;
fail:
    return err;
}

static int execute(task *t)
{
    cli *c = &t->v.cli;
    int err = 0;
    if (c->words.count < 2)
        return cli_usage(c, "give two models or more");
    if (!t->v.data)
        return cli_usage(c, "give --data DATA");
    if (t->v.preprocess.count > 1 && t->v.preprocess.count != c->words.count)
        return cli_usage(c, "--preprocess is given %zu times for %zu models", t->v.preprocess.count,
                         c->words.count);
    GB_TRY(configure(t));
    t->n = c->words.count;
    GB_TRY(allocate(t));
    GB_TRY(gb_ranks_agree(&c->ranks, make_ready(t)));
    cli_catch_interrupt();
    err = work(t);
    cli_progress(c, "%s", "");
    GB_TRY(err);
    if (c->ranks.rank)
        return 0;
    if (c->json)
        GB_TRY(print_json(t));
    else
        print_text(t);
    if (c->output)
        GB_TRY(draw(t));
fail:
    return err;
}

static int run(int argc, char **argv)
{
    task t = {0};
    size_t n_param = 0;
    cli_join(&t.v.cli);
    const option_entry *params = attack_options(&t.arena, &n_param, &choice);
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &t.v},
                                   {"the attack", params, n_param, &t.v.attack}};
    int code;
    if (cli_begin(&t.v.cli, &cmd_transfer, groups, GB_COUNT(groups), argc, argv, &code)) {
        code = cli_end(&t.v.cli, execute(&t));
        gb_transfer_finish(&t.result);
        gb_dataset_free(t.ds);
        for (size_t i = 0; t.subject && i < t.n; i++) {
            gb_attack_free(t.subject[i].attack);
            pictures_close(&t.subject[i].p);
            gb_graph_free(t.subject[i].model);
        }
        gb_device_close(t.dev);
        cli_finish(&t.v.cli);
    }
    option_texts_finish(&t.v.preprocess);
    gb_arena_finish(&t.arena);
    return code;
}

const cli_command cmd_transfer = {
    .name = "transfer",
    .synopsis = "MODEL MODEL... --data DATA [options]",
    .summary = "show whose adversarial examples fool which models",
    .details =
        "Attacks each model on the pictures that it gets right and shows the results to all of\n"
        "them. Takes every step unless --early-stop is given: an image that rests just behind one\n"
        "model's boundary fools no other. Under mpirun, ranks share the pictures.",
    .run = run,
};
