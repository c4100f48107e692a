// gibbon eval: clean and robust accuracy over a data set.
#include "attack_options.h"
#include "eval_task.h"

#include "base/number.h"
#include "report/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli cli;
    settings_values attack;
    const char *min_accuracy, *min_robust;
    int64_t limit;
    bool data_classes;
} values;

static const option_entry table[] = {
    {"limit", 'n', OPTION_INT, offsetof(values, limit), "N",
     "only N pictures, at even distances over the data", 1, 1 << 30},
    {"data-classes", 0, OPTION_FLAG, offsetof(values, data_classes), NULL,
     "let the model choose only among classes that the data has, as is usual for ImageNet-A's 200; "
     "not with an attack"},
    {"min-accuracy", 0, OPTION_TEXT, offsetof(values, min_accuracy), "X",
     "exit with 3 where the accuracy is below X, a share from 0 to 1"},
    {"min-robust-accuracy", 0, OPTION_TEXT, offsetof(values, min_robust), "X",
     "the same for the accuracy under the attack"},
    CLI_OUTPUT("where tables, pictures and a row for each image go; the same command goes on there "
               "where it was interrupted"),
    CLI_PREPROCESS,
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

// Published figures are of floats, so rounding to 8 bits is an extra.
static const attack_choice choice = {.option = "attack", .letter = 'a', .floats = true};

static int parse_share(double *out, const char *text, const char *option)
{
    char *end;
    *out = NAN;
    if (!text)
        return 0;
    *out = gb_number(text, &end);
    if (end == text || *end || !(*out >= 0 && *out <= 1))
        return gb_fail(GB_ERR_ARG, "%s '%s' is no share from 0 to 1, such as 0.9", option, text);
    return 0;
}

// --- making ready ---

static int open_model(eval_task *t)
{
    enum { USUAL = 64 };
    cli *c = t->cli, model_only = *c;
    int64_t batch = c->batch ? c->batch : USUAL;
    int err = 0;
    model_only.words.count = 1;
    GB_TRY(model_load_classifier(&t->model, &t->p.classifier, c, c->words.text[0]));
    GB_TRY(pictures_open(&t->p, &model_only, t->model));
    cli_rehearse(c);
    GB_TRY(cli_open_device(&t->dev, c));
    batch = t->limit && t->limit < batch ? t->limit : batch;
    if (t->config.method)
        return model_attack(&t->attack, c, t->dev, t->model, batch, &t->p.normalize, &t->config);
    gb_session_options options = {.batch = batch, .scores = model_scores(c),
                                  .class_axis = (int)c->class_axis,
                                  .normalize = t->p.normalize, .log = &c->log};
    GB_TRY(model_session(&t->session, c, t->dev, t->model, &options));
fail:
    return err;
}

static gb_session *session_of(const eval_task *t)
{
    return t->attack ? gb_attack_session(t->attack) : t->session;
}

static int open_data(eval_task *t)
{
    const cli *c = t->cli;
    int err = 0;
    int64_t classes = gb_session_classes(session_of(t));
    const gb_dataset_options options = {.split = GB_SPLIT_TEST, .labels = &t->p.labels,
                                        .classes = classes, .from = pictures_label_from(c),
                                        .log = &c->log};
    GB_TRY(pictures_check_labels(&t->p, c, classes));
    GB_TRY(gb_dataset_open(&t->data, c->words.text[1], &options));
    GB_TRY(gb_dataset_fit(t->data, &t->p.preproc));
    pictures_say_labels(c, t->data);
fail:
    return err;
}

static int make_ready(eval_task *t)
{
    int err = open_model(t);
    return err < 0 ? err : open_data(t);
}

// --- the report ---

// By --labels or the model's metadata, else by the data.
static const char **class_names(eval_task *t, size_t classes)
{
    char text[256];
    const char **name = gb_arena_array(&t->arena, classes, sizeof *name);
    for (size_t k = 0; k < classes && name; k++) {
        if (gb_labels_at(&t->p.labels, (int64_t)k))
            gb_labels_text(text, sizeof text, &t->p.labels, (int64_t)k);
        else
            gb_dataset_class_text(text, sizeof text, t->data, (int)k);
        name[k] = gb_arena_strdup(&t->arena, text);
        if (!name[k])
            return NULL;
    }
    return name;
}

static int print_report(const eval_task *t, const gb_eval_report *report)
{
    json_t *json = NULL;
    if (!t->cli->json) {
        gb_eval_text(stdout, report);
        return 0;
    }
    int err = gb_eval_json(&json, report);
    return err < 0 ? err : cli_print_json(json);
}

// Memory for the report, before the work: that is not to be lost for lack of it.
static int reserve(eval_task *t, gb_metrics *m)
{
    const size_t classes = (size_t)gb_session_classes(session_of(t));
    if (t->cli->ranks.rank)
        return 0;
    t->class_name = class_names(t, classes);
    return t->class_name ? gb_metrics_reserve(m, (int)classes, t->n_item) : GB_ERR_NOMEM;
}

static int conclude(eval_task *t, gb_metrics *m, double seconds)
{
    int err = 0;
    bool attack = t->attack != NULL;
    GB_TRY(gb_metrics_count(m, t->rows.row, t->rows.n, attack, attack && t->config.eight_bit));
    const gb_eval_report report = {
        .device = gb_device_get_info(t->dev),
        .model = model_facts(&t->p.classifier, t->cli->words.text[0], t->p.preproc.name,
                             session_of(t)),
        .ranks = t->cli->ranks.size, .data = t->data, .data_classes = t->data_classes,
        .config = attack ? gb_attack_get_config(t->attack) : NULL, .class_name = t->class_name,
        .metrics = m, .bad = t->bad, .n_bad = t->n_bad, .earlier = t->earlier, .seconds = seconds};
    GB_TRY(print_report(t, &report)); // first, as the disk may be full
    if (t->cli->output)
        GB_TRY(gb_eval_write(t->cli->output, &report));
fail:
    return err;
}

// One line that says which threshold was missed.
static bool missed(const values *v, const gb_metrics *m, double accuracy, double robust)
{
    bool low = m->accuracy.value < accuracy, weak = m->robust.value < robust;
    if (!low && !weak)
        return false;
    fprintf(stderr, "gibbon eval: ");
    if (low)
        gb_text(stderr, "accuracy %.4f is below --min-accuracy %s", m->accuracy.value,
                v->min_accuracy);
    if (weak)
        gb_text(stderr, "%srobust accuracy %.4f is below --min-robust-accuracy %s",
                low ? ", and " : "", m->robust.value, v->min_robust);
    fputc('\n', stderr);
    return true;
}

// --- the command ---

static int configure(eval_task *t, const values *v, double *accuracy, double *robust)
{
    const cli *c = t->cli;
    int err = 0;
    if (c->words.count != 2)
        return cli_usage(c, "give a model and a data set");
    GB_TRY(parse_share(accuracy, v->min_accuracy, "--min-accuracy"));
    GB_TRY(parse_share(robust, v->min_robust, "--min-robust-accuracy"));
    GB_TRY(attack_configure(&t->config, &v->attack, &choice));
    if (v->min_robust && !t->config.method)
        return cli_usage(c, "--min-robust-accuracy needs an --attack");
    if (v->data_classes && t->config.method)
        return cli_usage(c, "--data-classes is not for an --attack, which is judged by all "
                            "classes");
    t->config.seed = c->seed;
    t->limit = v->limit;
    t->data_classes = v->data_classes;
    if (t->config.method)
        GB_TRY(gb_attack_resolve(&t->config));
fail:
    return err;
}

static int execute(eval_task *t, const values *v, bool *below)
{
    cli *c = t->cli;
    gb_metrics metrics = {0};
    double accuracy = 0, robust = 0;
    int err = 0, ended;
    GB_TRY(configure(t, v, &accuracy, &robust));
    GB_TRY(gb_ranks_agree(&c->ranks, make_ready(t)));
    GB_TRY(eval_prepare(t));
    GB_TRY(gb_ranks_agree(&c->ranks, reserve(t, &metrics)));
    cli_catch_interrupt();
    double start = cli_seconds();
    ended = eval_work(t);
    if (ended == GB_ERR_IO && c->ranks.size <= 1) { // the record: what was computed is told
        cli_error(c, c->output ? c->output : c->words.text[1]);
        ended = 0;
    }
    GB_TRY(ended == GB_ERR_CANCELLED ? 0 : ended);
    if (c->ranks.rank)
        goto fail;
    cli_progress(c, "%s", "");
    if (ended >= 0 || t->rows.n)
        GB_TRY(conclude(t, &metrics, cli_seconds() - start));
    *below = ended >= 0 && missed(v, &metrics, accuracy, robust);
    if (ended < 0)
        err = gb_fail(GB_ERR_CANCELLED, "interrupted; %zu of %zu pictures are finished%s",
                      t->rows.n, t->n_item, c->output ? " and kept: the same command goes on" : "");
fail:
    gb_metrics_finish(&metrics);
    return err;
}

static int run(int argc, char **argv)
{
    values v = {0};
    eval_task t = {.cli = &v.cli};
    size_t n_attack = 0;
    bool below = false;
    int code;
    cli_join(&v.cli);
    const option_entry *attack = attack_options(&t.arena, &n_attack, &choice);
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &v},
                                   {"the attack", attack, n_attack, &v.attack}};
    if (cli_begin(&v.cli, &cmd_eval, groups, GB_COUNT(groups), argc, argv, &code)) {
        code = cli_end(&v.cli, execute(&t, &v, &below));
        if (code == EXIT_DONE && below)
            code = EXIT_THRESHOLD;
        eval_finish(&t);
        cli_finish(&v.cli);
    } else {
        gb_arena_finish(&t.arena);
    }
    return code;
}

const cli_command cmd_eval = {
    .name = "eval",
    .synopsis = "MODEL DATA [--attack NAME] [options]",
    .summary = "accuracy over a data set, as it is and under attack",
    .details =
        "DATA is an installed set (fashion-mnist), a folder of idx files, of CIFAR-10's or of\n"
        "classes, IMAGES[,LABELS] (idx or .npy), FOLDER,LIST with lines of NAME LABEL, or\n"
        "pictures with labels in their names; the test part where it has parts. Pictures that the\n"
        "model gets wrong are not attacked. Under mpirun, ranks share the pictures.",
    .run = run,
};
