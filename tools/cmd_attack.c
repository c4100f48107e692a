// gibbon attack: the smallest change of a picture that a model gets wrong.
#include "attack_batch.h"

#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PARAMS = 32 };

typedef struct values {
    cli cli;
    const char *method, *target, *label;
    const char *param[MAX_PARAMS]; // as given, in gb_param_all's order; NULL: not given
} values;

static const option_entry table[] = {
    {"target", 0, OPTION_TEXT, offsetof(values, target), "CLASS",
     "the class to reach, an index or a name (default: any wrong one)"},
    {"label", 0, OPTION_TEXT, offsetof(values, label), "CLASS",
     "the true class, or from-name (n02510455_panda.JPEG with WordNet IDs in --labels, "
     "panda_388.png) or from-folder (default: what the model sees in the unchanged picture)"},
    CLI_OUTPUT("where the results go: a PNG and an explaining picture for each input"),
    CLI_PREPROCESS,
    CLI_LABELS,
    CLI_BATCH,
    CLI_SEED,
    CLI_DEVICE,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

// --- the methods' parameters as options ---

static bool method_has(const gb_method *method, const char *name)
{
    for (const char *const *p = method->params; *p; p++) {
        if (!strcmp(*p, name))
            return true;
    }
    return false;
}

// "radius of the ball (default: 8/255 for linf; steps: fgsm 1, pgd 10)"
static const char *param_help(gb_arena *arena, const gb_param *param)
{
    size_t count, n = 0;
    const gb_method *const *method = gb_method_all(&count);
    char each[64], first[64] = "", list[256] = "";
    bool same = true;
    for (size_t i = 0; i < count; i++) {
        if (!method_has(method[i], param->name))
            continue;
        gb_param_text(each, sizeof each, &method[i]->defaults, param);
        if (!n++)
            memcpy(first, each, sizeof first);
        same = same && !strcmp(first, each);
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s for %s", used ? ", " : "", each,
                 method[i]->name);
    }
    return gb_arena_printf(arena, "%s (default: %s)", param->help, same ? first : list);
}

// The entries of --method and of every parameter; NULL when out of memory.
static const option_entry *param_table(gb_arena *arena, size_t *n)
{
    size_t count, n_method;
    const gb_param *param = gb_param_all(&count);
    const gb_method *const *method = gb_method_all(&n_method);
    char names[256] = "";
    count = count < MAX_PARAMS ? count : MAX_PARAMS;
    option_entry *entry = gb_arena_array(arena, count + 1, sizeof *entry);
    if (!entry)
        return NULL;
    for (size_t i = 0; i < n_method; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s, %s", used ? "; or " : "",
                 method[i]->name, method[i]->title);
    }
    entry[0] = (option_entry){"method", 'm', OPTION_TEXT, offsetof(values, method), "NAME",
                              gb_arena_printf(arena, "%s (default: pgd)", names)};
    for (size_t i = 0; i < count; i++) {
        const char *arg = param[i].kind == GB_PARAM_EPS ? "X" : "N";
        if (param[i].kind == GB_PARAM_ENUM) {
            char list[128] = "";
            for (int k = 0; param[i].choices[k]; k++) {
                size_t used = strlen(list);
                snprintf(list + used, sizeof list - used, "%s%s", used ? "|" : "",
                         param[i].choices[k]);
            }
            arg = gb_arena_strdup(arena, list);
        }
        entry[i + 1] = (option_entry){
            .name = param[i].name,
            .kind = param[i].kind == GB_PARAM_FLAG ? OPTION_SWITCH : OPTION_TEXT,
            .offset = offsetof(values, param) + i * sizeof(const char *),
            .arg = arg,
            .help = param_help(arena, &param[i]),
        };
        if (!entry[i + 1].arg || !entry[i + 1].help)
            return NULL;
    }
    *n = count + 1;
    return entry[0].help ? entry : NULL;
}

static int configure(gb_attack_config *config, const values *v)
{
    const gb_method *method;
    const gb_param *found;
    size_t count;
    const gb_param *param = gb_param_all(&count);
    int err = 0;
    GB_TRY(gb_attack_default(config, v->method));
    GB_TRY(gb_method_find(&method, v->method));
    for (size_t i = 0; i < count && i < MAX_PARAMS; i++) {
        if (!v->param[i])
            continue;
        GB_TRY(gb_param_find(&found, method, param[i].name));
        GB_TRY(gb_param_set(config, found, v->param[i]));
    }
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

// The attack at the batch asked for, at a smaller one, or at the model's own where it has no other.
static int open_attack(attack_task *t, const gb_graph *model, const gb_attack_config *config)
{
    gb_session_options base = {.batch = pictures_batch(&t->p, t->cli),
                               .normalize = t->p.normalize, .log = &t->cli->log};
    int err = gb_attack_create(&t->attack, t->dev, model, &base, config);
    if (model_try_own_batch(t->cli, err, model, &base))
        err = gb_attack_create(&t->attack, t->dev, model, &base, config);
    return err;
}

static int find_classes(attack_task *t, const values *v)
{
    int64_t classes = gb_session_classes(gb_attack_session(t->attack));
    int err = 0;
    t->target = -1;
    pictures_check_labels(&t->p, t->cli, classes);
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
    if (c->words.count < 2)
        return cli_usage(c, "give a model and pictures");
    if (!c->output)
        return cli_usage(c, "give -o DIR");
    GB_TRY(configure(&config, v));
    GB_TRY(model_load(&model, c, c->words.text[0]));
    GB_TRY(pictures_open(&t->p, c, model));
    GB_TRY(check_output(c->output));
    GB_TRY(cli_open_device(&t->dev, c));
    GB_TRY(open_attack(t, model, &config));
    GB_TRY(find_classes(t, v));
    GB_TRY(attack_prepare(t));
    t->report.device = gb_device_get_info(t->dev);
    t->report.model = c->words.text[0];
    t->report.preprocess = t->p.preproc.name;
    t->report.batch = (int64_t)t->batch;
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
    values v = {.method = "pgd"};
    attack_task t = {.cli = &v.cli};
    size_t n_param = 0;
    const option_entry *params = param_table(&t.arena, &n_param);
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &v},
                                   {"the attack", params, n_param, &v}};
    int code;
    if (!params) {
        fprintf(stderr, "gibbon attack: %s\n", gb_last_error());
        gb_arena_finish(&t.arena);
        return EXIT_FAILED;
    }
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
    .synopsis = "MODEL PICTURE... -o DIR [options]",
    .summary = "change pictures a little so that a model gets them wrong",
    .details =
        "A picture is a .jpg or .png file, a folder of them, or an .npy of [N,]C,H,W in [0,1] at\n"
        "the model's size. Each result is saved as an 8-bit PNG inside the ball around the input,\n"
        "read back and classified again: only what survives that counts as a success.",
    .run = run,
};
