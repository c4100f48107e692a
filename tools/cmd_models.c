// gibbon models: what is in the box, and its ONNX files.
#include "cli.h"

#include "image/labels.h"
#include "models/builtin.h"
#include "onnx/load.h"
#include "onnx/save.h"
#include "report/report.h"

#include <string.h>

typedef struct values {
    cli cli;
    const char *activation;
} values;

static const option_entry table[] = {
    {"output", 'o', OPTION_TEXT, offsetof(cli, output), "FILE",
     "write the model NAME as this ONNX file"},
    {"activation", 0, OPTION_CHOICE, offsetof(values, activation), "NAME",
     "of an architecture that is written: relu, gelu, silu or softplus (default: its own)",
     .choices = gb_arch_activations},
    CLI_SEED,
    CLI_JSON,
    CLI_QUIET,
};

// "1x28x28" of a model's input without the batch; returns buf.
static const char *input_text(char *buf, size_t size, const gb_graph *g)
{
    gb_shape shape = {0};
    if (g->n_in && g->in[0]->shape.rank == 4)
        shape = (gb_shape){3, {g->in[0]->shape.dim[1], g->in[0]->shape.dim[2],
                               g->in[0]->shape.dim[3]}};
    return gb_shape_text(buf, size, &shape);
}

static int64_t class_count(const gb_graph *g)
{
    const gb_shape *shape = g->n_out ? &g->out[0]->shape : NULL;
    return shape && shape->rank ? shape->dim[shape->rank - 1] : -1;
}

// --- the list ---

static json_t *class_names(const gb_graph *g)
{
    const char *stored = gb_graph_meta(g, GB_LABELS_META);
    json_t *names = stored ? json_loads(stored, 0, NULL) : NULL;
    return names ? names : json_null();
}

static json_t *shape_json(int64_t channels, int64_t height, int64_t width)
{
    return json_pack("[I,I,I]", (json_int_t)channels, (json_int_t)height, (json_int_t)width);
}

static json_t *trained_json(const gb_builtin *b, const gb_graph *g)
{
    const int64_t *dim = g->in[0]->shape.dim;
    return json_pack("{s:s, s:o, s:o, s:I, s:o, s:o, s:I}", "name", b->name, "summary",
                     gb_report_text_json(gb_graph_meta(g, GB_SUMMARY_META)), "input",
                     shape_json(dim[1], dim[2], dim[3]), "classes", (json_int_t)class_count(g),
                     "class_names", class_names(g), "data",
                     gb_report_text_json(gb_graph_meta(g, GB_DATA_META)), "bytes",
                     (json_int_t)b->size);
}

static json_t *arch_json(const gb_arch *a)
{
    const gb_arch_options *d = &a->defaults;
    return json_pack("{s:s, s:s, s:o, s:i, s:s}", "name", a->name, "summary", a->summary, "input",
                     shape_json(d->channels, d->height, d->width), "classes", d->classes,
                     "activation", d->activation);
}

static int list_json(void)
{
    json_t *trained = json_array(), *architectures = json_array(), *activations = json_array();
    size_t count;
    const gb_arch *arch = gb_arch_all(&count);
    int err = 0;
    for (const gb_builtin *b = gb_builtin_models; b->name; b++) {
        gb_graph *g = NULL;
        GB_TRY(gb_onnx_decode(&g, b->bytes, b->size, b->name, NULL));
        json_array_append_new(trained, trained_json(b, g));
        gb_graph_free(g);
    }
    for (size_t i = 0; i < count; i++)
        json_array_append_new(architectures, arch_json(&arch[i]));
    for (int i = 0; gb_arch_activations[i]; i++)
        json_array_append_new(activations, json_string(gb_arch_activations[i]));
    return cli_print_json(json_pack("{s:o, s:o, s:o}", "trained", trained, "architectures",
                                    architectures, "activations", activations));
fail:
    json_decref(trained);
    json_decref(architectures);
    json_decref(activations);
    return err;
}

static void line(const char *name, const char *input, int64_t classes, const char *summary)
{
    gb_say("  %-20s %-8s %lld classes  %s\n", name, input, (long long)classes, summary);
}

static int list_text(void)
{
    char input[64];
    size_t count;
    const gb_arch *arch = gb_arch_all(&count);
    int err = 0;
    if (gb_builtin_models->name)
        puts("trained, ready to be attacked as builtin:NAME");
    for (const gb_builtin *b = gb_builtin_models; b->name; b++) {
        gb_graph *g = NULL;
        GB_TRY(gb_onnx_decode(&g, b->bytes, b->size, b->name, NULL));
        const char *summary = gb_graph_meta(g, GB_SUMMARY_META);
        line(b->name, input_text(input, sizeof input, g), class_count(g), summary ? summary : "");
        gb_graph_free(g);
    }
    puts("architectures, for gibbon train; builtin:NAME has initial weights");
    for (size_t i = 0; i < count; i++) {
        const gb_arch_options *d = &arch[i].defaults;
        const gb_shape shape = {3, {d->channels, d->height, d->width}};
        line(arch[i].name, gb_shape_text(input, sizeof input, &shape), d->classes,
             arch[i].summary);
    }
fail:
    return err;
}

// --- writing one ---

static int write_model(const values *v)
{
    const cli *c = &v->cli;
    char name[128];
    const gb_arch *arch;
    gb_graph *model = NULL;
    int err = 0;
    snprintf(name, sizeof name, "%s%s", GB_BUILTIN, c->words.text[0]);
    const gb_arch_options options = {.activation = v->activation, .seed = c->seed};
    GB_TRY(gb_model_read(&model, &arch, name, &options));
    if (v->activation && !arch) {
        err = gb_fail(GB_ERR_ARG, "--activation: %s is trained as it is", c->words.text[0]);
        goto fail;
    }
    GB_TRY(gb_onnx_save(c->output, model, NULL, 0));
    if (c->json)
        err = cli_print_json(json_pack("{s:o, s:o}", "name",
                                       gb_report_text_json(c->words.text[0]), "file",
                                       gb_report_text_json(c->output)));
    else
        gb_say("%s\n", c->output);
fail:
    gb_graph_free(model);
    return err;
}

static int execute(const values *v)
{
    const cli *c = &v->cli;
    if (c->words.count > 1 || !c->words.count != !c->output)
        return cli_usage(c, "give no model, or one and -o FILE");
    if (c->words.count)
        return write_model(v);
    return c->json ? list_json() : list_text();
}

static int run(int argc, char **argv)
{
    values v = {0};
    const option_group group = {NULL, table, GB_COUNT(table), &v};
    int code;
    if (!cli_begin(&v.cli, &cmd_models, &group, 1, argc, argv, &code))
        return code;
    code = cli_end(&v.cli, execute(&v));
    cli_finish(&v.cli);
    return code;
}

const cli_command cmd_models = {
    .name = "models",
    .synopsis = "[NAME -o FILE] [options]",
    .summary = "the models in the box: trained ones, and architectures to train",
    .details = "Every command takes builtin:NAME where it takes a model.",
    .run = run,
};
