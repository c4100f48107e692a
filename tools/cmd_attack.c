// gibbon attack: the smallest change of a picture that a model gets wrong.
#include "attack_batch.h"
#include "attack_options.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli cli;
    const char *target, *label;
    settings_values attack;
} values;

static const option_entry table[] = {
    {"target", 0, OPTION_TEXT, offsetof(values, target), "CLASS",
     "the class to reach, an index or a name (default: any wrong one)"},
    {"label", 0, OPTION_TEXT, offsetof(values, label), "CLASS",
     "the true class, or from-name (n02510455_panda.JPEG with WordNet IDs in --labels, "
     "panda_388.png) or from-folder (default: what the model sees in the unchanged picture)"},
    CLI_OUTPUT("where the results go: a PNG and an explaining picture for each input, and a sheet "
               "of all of them (default: out)"),
    CLI_PREPROCESS,
    CLI_MAX_PIXELS,
    CLI_LABELS,
    CLI_MODEL,
    CLI_BATCH,
    CLI_SEED,
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

static const attack_choice choice = {.option = "method", .letter = 'm', .chosen = "pgd"};

static int configure(gb_attack_config *config, const values *v)
{
    int err = 0;
    GB_TRY(attack_configure(config, &v->attack, &choice));
    config->targeted = v->target != NULL;
    config->seed = v->cli.seed;
    GB_TRY(gb_attack_resolve(config));
fail:
    return err;
}

// --- the command ---

// Fails now, not after an hour's work, where results could not be written.
static int check_output(const char *folder)
{
    int err = gb_make_dirs(folder);
    if (err >= 0 && access(folder, W_OK) < 0)
        err = gb_fail(GB_ERR_IO, "%s: %s", folder, strerror(errno));
    return err;
}

static int find_classes(attack_task *t, const values *v)
{
    int64_t classes = gb_session_classes(gb_attack_session(t->attack));
    int err = pictures_check_labels(&t->p, t->cli, classes);
    t->target = -1;
    if (err < 0)
        return err;
    if (v->target && (err = gb_labels_find(&t->target, &t->p.labels, v->target, classes)) < 0)
        return gb_fail_in(err, "--target");
    if (!v->label)
        return 0;
    t->source = !strcmp(v->label, "from-name")     ? LABEL_FILE
                : !strcmp(v->label, "from-folder") ? LABEL_FOLDER
                                                   : LABEL_GIVEN;
    if (t->source == LABEL_GIVEN)
        err = gb_labels_find(&t->label, &t->p.labels, v->label, classes);
    return err < 0 ? gb_fail_in(err, "--label") : 0;
}

static int print_report(const attack_task *t)
{
    json_t *json = NULL;
    if (!t->cli->json) {
        gb_report_summary_text(stdout, &t->report);
        return 0;
    }
    int err = gb_report_json(&json, &t->report);
    return err < 0 ? err : cli_print_json(json);
}

static int execute(attack_task *t, const values *v)
{
    cli *c = t->cli;
    gb_graph *model = NULL;
    gb_attack_config config;
    int err = 0;
    if (c->words.count < 1)
        return cli_usage(c, "give a model and pictures");
    GB_TRY(configure(&config, v));
    GB_TRY(model_load_classifier(&model, &t->p.classifier, c, c->words.text[0]));
    GB_TRY(pictures_open(&t->p, c, model));
    GB_TRY(pictures_own(&t->p, c, model));
    GB_TRY(check_output(c->output));
    cli_rehearse(c);
    GB_TRY(cli_open_device(&t->dev, c));
    GB_TRY(model_attack(&t->attack, c, t->dev, model, pictures_batch(&t->p, c), &t->p.normalize,
                        &config));
    GB_TRY(find_classes(t, v));
    GB_TRY(attack_prepare(t));
    t->report.device = gb_device_get_info(t->dev);
    t->report.model = model_facts(&t->p.classifier, c->words.text[0], t->p.preproc.name,
                                  gb_attack_session(t->attack));
    t->report.config = gb_attack_get_config(t->attack);
    if (!c->json)
        gb_report_head_text(stdout, &t->report);
    cli_catch_interrupt();
    err = attack_pictures(t);
    int printed = t->report.n || err >= 0 ? print_report(t) : 0;
    err = err < 0 ? err : printed;
fail:
    gb_graph_free(model);
    return err;
}

static int run(int argc, char **argv)
{
    values v = {.cli.output = "out"};
    attack_task t = {.cli = &v.cli};
    size_t n_param = 0;
    const option_entry *params = attack_options(&t.arena, &n_param, &choice);
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &v},
                                   {"the attack", params, n_param, &v.attack}};
    int code;
    if (!cli_begin(&v.cli, &cmd_attack, groups, GB_COUNT(groups), argc, argv, &code)) {
        gb_arena_finish(&t.arena);
        return code;
    }
    code = cli_end(&v.cli, execute(&t, &v));
    attack_finish(&t);
    cli_finish(&v.cli);
    return code;
}

const cli_command cmd_attack = {
    .name = "attack",
    .synopsis = "MODEL [PICTURE...] [-o DIR] [options]",
    .summary = "change pictures a little so that a model gets them wrong",
    .details =
        "A picture is a .jpg or .png file, a folder of them, or an .npy of [N,]C,H,W in [0,1] at\n"
        "the model's size. Without one, a model that names its data is tried on a test picture of\n"
        "each class. Each result is saved as an 8-bit PNG inside the ball around the input, read\n"
        "back and classified again: only what survives that counts as a success.",
    .run = run,
};
