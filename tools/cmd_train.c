// gibbon train: a classifier made from data, or a given one trained on.
#include "cli.h"
#include "model.h"
#include "pictures.h"
#include "train_options.h"

#include "models/builtin.h"
#include "onnx/save.h"
#include "report/curve.h"
#include "report/report.h"
#include "train/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct values {
    cli cli;
    const char *held, *activation, *source;
    int64_t checkpoint_every;
    bool resume;
    train_values train;
} values;

static const option_entry table[] = {
    {"output", 'o', OPTION_TEXT, offsetof(cli, output), "FILE",
     "the trained model, written after every epoch; beside it the log (.csv), the "
     "curves (.png) and the checkpoint (.ckpt)"},
    {"held", 0, OPTION_TEXT, offsetof(values, held), "DATA",
     "images to measure on after every epoch, or none (default: the data's test part, if it has "
     "one)"},
    {"activation", 0, OPTION_CHOICE, offsetof(values, activation), "NAME",
     "of an architecture: relu, gelu, silu or softplus (default: relu)", 0, 0,
     gb_arch_activations},
    {"source", 0, OPTION_TEXT, offsetof(values, source), "MODEL",
     "what static perturbs against (default: MODEL as it is at the start)"},
    {"checkpoint-every", 0, OPTION_INT, offsetof(values, checkpoint_every), "N",
     "batches between checkpoints within an epoch (default: after epochs alone)", 1, 1 << 30},
    {"resume", 0, OPTION_FLAG, offsetof(values, resume), NULL,
     "go on from the checkpoint, as if the run had never stopped"},
    CLI_PREPROCESS,
    CLI_MAX_PIXELS,
    CLI_LABELS,
    CLI_MODEL,
    CLI_LABEL_FROM,
    CLI_SEED,
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

typedef struct task {
    values v;
    gb_arena arena;
    gb_graph *model, *source;
    pictures p;
    gb_dataset *data, *held;
    gb_device *dev;
    gb_train_config config;
    gb_trainer *trainer;
    char *log, *chart, *checkpoint;
    float *weights; // room for all parameters
    int written;    // the last attempt to write the results
} task;

// --- what is trained, on what ---

// OUT.onnx and ".csv" make OUT.csv.
static char *beside(task *t, const char *ending)
{
    const char *output = t->v.cli.output, *name = strrchr(output, '/');
    const char *dot = strrchr(name ? name : output, '.');
    int stem = dot ? (int)(dot - output) : (int)strlen(output);
    return gb_arena_printf(&t->arena, "%.*s%s", stem, output, ending);
}

// The architecture that a word names, with or without "builtin:"; NULL: none.
static const gb_arch *find_arch(const char *word)
{
    const size_t prefix = strlen(GB_BUILTIN);
    size_t count;
    const gb_arch *arch = gb_arch_all(&count);
    word += strncmp(word, GB_BUILTIN, prefix) ? 0 : prefix;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(arch[i].name, word))
            return &arch[i];
    return NULL;
}

static int make_model(task *t, const char *word)
{
    const values *v = &t->v;
    const gb_arch *arch = find_arch(word);
    if (!arch) {
        if (v->activation)
            return gb_fail(GB_ERR_ARG, "--activation: %s is no architecture, and its activations "
                           "are what they are", word);
        return model_load_classifier(&t->model, &t->p.classifier, &v->cli, word);
    }
    const gb_arch_options options = {.channels = t->data->channels, .height = t->data->height,
                                     .width = t->data->width, .classes = t->data->classes,
                                     .activation = v->activation, .seed = v->cli.seed};
    return gb_arch_build(&t->model, arch, &options);
}

static int open_data(task *t)
{
    const values *v = &t->v;
    const char *spec = v->cli.words.text[1];
    gb_dataset_options options = {.split = GB_SPLIT_TRAIN, .log = &v->cli.log,
                                  .from = pictures_label_from(&v->cli)};
    int err = 0;
    GB_TRY(gb_dataset_open(&t->data, spec, &options));
    pictures_say_labels(&v->cli, t->data);
    options.split = GB_SPLIT_TEST;
    options.classes = t->data->classes;
    if (v->held && strcmp(v->held, "none"))
        GB_TRY(gb_dataset_open(&t->held, v->held, &options));
    else if (!v->held && t->data->split == GB_SPLIT_TRAIN && !strchr(spec, ':') &&
             gb_dataset_open(&t->held, spec, &options) < 0)
        cli_note(&v->cli, "nothing is held out: %s", gb_last_error());
fail:
    return err;
}

// Class names, preprocessing and the name of an installed data set travel with the model.
static int add_meta(task *t)
{
    const char *spec = t->v.cli.words.text[1];
    char *json = NULL, name[64];
    int err = 0;
    if (access(spec, F_OK) < 0 && !strchr(spec, ',') && !strchr(spec, '/')) {
        snprintf(name, sizeof name, "%.*s", (int)strcspn(spec, ":"), spec);
        GB_TRY(gb_graph_set_meta(t->model, GB_DATA_META, name));
    }
    GB_TRY(gb_preproc_json(&json, &t->p.preproc));
    GB_TRY(gb_graph_set_meta(t->model, GB_PREPROC_META, json));
    free(json);
    json = NULL;
    if (t->data->class_name && !gb_graph_meta(t->model, GB_LABELS_META)) {
        GB_TRY(gb_labels_json(&json, t->data->class_name, (size_t)t->data->classes));
        GB_TRY(gb_graph_set_meta(t->model, GB_LABELS_META, json));
    }
fail:
    free(json);
    return err;
}

static int prepare(task *t)
{
    cli *c = &t->v.cli;
    gb_classifier source;
    int err = 0;
    GB_TRY(open_data(t));
    GB_TRY(make_model(t, c->words.text[0]));
    if (t->v.source)
        GB_TRY(model_load_classifier(&t->source, &source, c, t->v.source));
    GB_TRY(pictures_preprocess(&t->p, c, t->model));
    GB_TRY(gb_dataset_fit(t->data, &t->p.preproc));
    if (t->held)
        GB_TRY(gb_dataset_fit(t->held, &t->p.preproc));
    GB_TRY(add_meta(t));
fail:
    return err;
}

// --- results ---

static int write_model(task *t, const gb_epoch *last, size_t epochs)
{
    const gb_params *p = gb_trainer_params(t->trainer);
    gb_onnx_weight *weight = calloc(p->n_param, sizeof *weight);
    char summary[512];
    int err = 0;
    if (!weight)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    train_summary(summary, sizeof summary, t->v.cli.words.text[0], &t->config, last, epochs);
    GB_TRY(gb_graph_set_meta(t->model, GB_SUMMARY_META, summary));
    GB_TRY(gb_params_download(p, t->weights));
    for (size_t i = 0; i < p->n_param; i++)
        weight[i] = (gb_onnx_weight){p->param[i].name, t->weights + p->param[i].offset};
    gb_value *input = gb_classifier_unwrap(&t->p.classifier, t->model);
    err = gb_onnx_save(t->v.cli.output, t->model, weight, p->n_param);
    gb_classifier_wrap(&t->p.classifier, t->model, input);
fail:
    free(weight);
    return err;
}

static int draw(const task *t, const gb_epoch *e, size_t count)
{
    const size_t step = sizeof *e;
    const gb_curve loss[] = {{"training", &e->loss, step}, {"held out", &e->held_loss, step}};
    const gb_curve accuracy[] = {{"training", &e->accuracy, step},
                                 {"perturbed", &e->adv_accuracy, step},
                                 {"held out", &e->held_accuracy, step},
                                 {"held out, FGSM", &e->fgsm_accuracy, step},
                                 {"held out, PGD", &e->pgd_accuracy, step}};
    const gb_chart chart[] = {{.title = "loss", .curve = loss, .n = GB_COUNT(loss)},
                              {.title = "accuracy", .curve = accuracy, .n = GB_COUNT(accuracy),
                               .high = 1}};
    const cli *c = &t->v.cli;
    char title[256];
    gb_image image = {0};
    int err = 0;
    snprintf(title, sizeof title, "%s on %s", c->words.text[0], c->words.text[1]);
    GB_TRY(gb_chart_draw(&image, title, "epoch", chart, GB_COUNT(chart), count));
    GB_TRY(gb_image_write_png(t->chart, &image));
fail:
    gb_image_finish(&image);
    return err;
}

static int write_results(task *t)
{
    size_t count;
    const gb_epoch *history = gb_trainer_history(t->trainer, &count);
    int err = 0;
    GB_TRY(gb_train_log(t->log, history, count));
    GB_TRY(draw(t, history, count));
    GB_TRY(write_model(t, &history[count - 1], count));
fail:
    return err;
}

static void print_part(const char *what, double accuracy)
{
    if (!isnan(accuracy))
        gb_say(", %s %.2f %%", what, 100 * accuracy);
}

static void on_epoch(void *user, const gb_epoch *history, size_t count)
{
    task *t = user;
    const gb_epoch *e = &history[count - 1];
    if (t->v.cli.ranks.rank)
        return;
    cli_progress(&t->v.cli, "%s", "");
    if (!t->v.cli.json) {
        printf("epoch %zu: loss %.4f", count, e->loss);
        print_part("accuracy", e->accuracy);
        print_part("adversarial", e->adv_accuracy);
        print_part("held", e->held_accuracy);
        print_part("FGSM", e->fgsm_accuracy);
        print_part("PGD", e->pgd_accuracy);
        printf(", %.0f images/s\n", e->images / e->seconds);
        fflush(stdout);
    }
    t->written = write_results(t);
    if (t->written < 0 && (int)count < t->config.epochs)
        gb_log_line(&t->v.cli.log, GB_LOG_WARN, "%s; training goes on", gb_last_error());
}

static bool on_stop(void *user)
{
    (void)user;
    return cli_interrupted();
}

static void on_progress(void *user, const gb_train_now *n)
{
    task *t = user;
    char left[32] = "";
    if (!isnan(n->seconds_left))
        snprintf(left, sizeof left, ", %.0f:%02.0f:%02.0f left", floor(n->seconds_left / 3600),
                 floor(fmod(n->seconds_left / 60, 60)), floor(fmod(n->seconds_left, 60)));
    if (!t->v.cli.ranks.rank)
        cli_progress(&t->v.cli, "epoch %d of %d, batch %lld of %lld: loss %.4f, accuracy %.1f %%, "
                     "%.0f images/s%s", n->epoch + 1, n->epochs, (long long)n->batch,
                     (long long)n->batches, n->loss, 100 * n->accuracy, n->images_per_second,
                     left);
}

static json_t *number(double v)
{
    return isnan(v) ? json_null() : json_real(v);
}

static int print_json(const task *t)
{
    size_t count;
    const gb_epoch *history = gb_trainer_history(t->trainer, &count);
    json_t *epochs = json_array();
    for (size_t i = 0; i < count; i++) {
        const gb_epoch *e = &history[i];
        json_array_append_new(
            epochs, json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "lr",
                              number(e->lr), "loss", number(e->loss), "accuracy",
                              number(e->accuracy), "adversarial_accuracy", number(e->adv_accuracy),
                              "held_loss", number(e->held_loss), "held_accuracy",
                              number(e->held_accuracy), "fgsm_accuracy", number(e->fgsm_accuracy),
                              "pgd_accuracy", number(e->pgd_accuracy), "images_per_second",
                              number(e->images / e->seconds), "seconds", number(e->seconds)));
    }
    return cli_print_json(json_pack("{s:o, s:I, s:I, s:I, s:s, s:o}", "model",
                                    gb_report_text_json(t->v.cli.output),
                                    "parameters", (json_int_t)gb_trainer_parameters(t->trainer),
                                    "images", (json_int_t)t->data->count, "classes",
                                    (json_int_t)t->data->classes, "label_source",
                                    t->data->label_source, "epochs", epochs));
}

// --- the command ---

static int start(task *t)
{
    const values *v = &t->v;
    const gb_train_task job = {.model = t->model, .source = t->source,
                               .scores = model_scores(&v->cli),
                               .class_axis = (int)v->cli.class_axis,
                               .normalize = t->p.normalize, .data = t->data, .held = t->held,
                               .ranks = &t->v.cli.ranks, .checkpoint = t->checkpoint,
                               .checkpoint_every = (int)v->checkpoint_every, .log = &v->cli.log};
    int err = 0;
    GB_TRY(gb_trainer_create(&t->trainer, t->dev, &job, &t->config));
    t->weights = malloc(gb_trainer_params(t->trainer)->total * sizeof *t->weights);
    if (!t->weights) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory");
        goto fail;
    }
    if (v->resume)
        GB_TRY(gb_trainer_resume(t->trainer, t->checkpoint));
    else if (!t->v.cli.ranks.rank && access(t->checkpoint, F_OK) == 0)
        cli_note(&v->cli, "%s of an earlier run will be replaced (--resume goes on from it)",
                 t->checkpoint);
    if (!t->v.cli.ranks.rank)
        cli_note(&v->cli, "%s: %zu parameters, %zu images of %d classes%s%s", v->cli.words.text[0],
                 gb_trainer_parameters(t->trainer), t->data->count, t->data->classes,
                 t->held ? ", held out: " : "", t->held ? t->held->spec : "");
fail:
    return err;
}

static int make(task *t)
{
    int err = 0;
    GB_TRY(prepare(t));
    GB_TRY(cli_open_device(&t->dev, &t->v.cli));
    GB_TRY(start(t));
fail:
    return err;
}

static int execute(task *t)
{
    cli *c = &t->v.cli;
    const gb_train_listener listener = {.user = t, .stop = on_stop, .now = on_progress,
                                        .epoch = on_epoch};
    int err = 0;
    if (c->words.count != 2)
        return cli_usage(c, "give a model or an architecture, and a data set");
    if (!c->output)
        return cli_usage(c, "give -o FILE.onnx");
    t->log = beside(t, ".csv");
    t->chart = beside(t, ".png");
    t->checkpoint = beside(t, ".ckpt");
    if (!t->log || !t->chart || !t->checkpoint)
        return GB_ERR_NOMEM;
    GB_TRY(train_configure(&t->config, &t->v.train));
    t->config.seed = c->seed;
    if (t->v.source && strcmp(t->config.adversary.name, "static"))
        return cli_usage(c, "--source is for --adversarial static");
    GB_TRY(gb_ranks_agree(&c->ranks, make(t)));
    cli_catch_interrupt();
    err = gb_trainer_run(t->trainer, &listener);
    if (err < 0 && err != GB_ERR_CANCELLED)
        gb_ranks_abort(&c->ranks, EXIT_FAILED); // the others wait for this rank
    if (err == GB_ERR_CANCELLED)
        err = gb_fail(err, "interrupted; --resume goes on from %s", t->checkpoint);
    const bool told = c->json && !t->v.cli.ranks.rank;
    const int printed = told ? print_json(t) : 0; // the epochs so far, whatever ended the training
    GB_TRY(err);
    GB_TRY(t->written);
    GB_TRY(printed);
fail:
    return err;
}

static int run(int argc, char **argv)
{
    task t = {0};
    option_group groups[1 + TRAIN_GROUPS] = {{NULL, table, GB_COUNT(table), &t.v}};
    int code;
    train_options(groups + 1, &t.arena, &t.v.train);
    cli_join(&t.v.cli);
    if (!cli_begin(&t.v.cli, &cmd_train, groups, GB_COUNT(groups), argc, argv, &code)) {
        gb_arena_finish(&t.arena);
        return code;
    }
    code = cli_end(&t.v.cli, execute(&t));
    gb_trainer_free(t.trainer);
    gb_device_close(t.dev);
    gb_dataset_free(t.data);
    gb_dataset_free(t.held);
    pictures_close(&t.p);
    gb_graph_free(t.model);
    gb_graph_free(t.source);
    free(t.weights);
    gb_arena_finish(&t.arena);
    cli_finish(&t.v.cli);
    return code;
}

const cli_command cmd_train = {
    .name = "train",
    .synopsis = "MODEL DATA -o FILE.onnx [options]",
    .summary = "train a classifier, also adversarially",
    .details =
        "MODEL is an ONNX file, whose weights are the start, or an architecture: cnn-a, cnn-b,\n"
        "resnet-20, resnet-56, wrn-28-10. DATA is fashion-mnist, a folder of idx or CIFAR-10\n"
        "files or of class folders, or IMAGES,LABELS; \":train\" or \":test\" behind it names the\n"
        "part. With mpirun, the ranks share each batch.",
    .run = run,
};
