// gibbon info: what is in a model, what it costs, and what of it gibbon cannot run.
#include "cli.h"
#include "info_plan.h"
#include "model.h"

#include "engine/instance.h"
#include "image/preproc.h"
#include "models/builtin.h"
#include "op/op.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

enum { NEWEST_OPSET = 21 }; // that the loader takes

typedef struct values {
    cli cli;
    bool layers, operators, memory;
} values;

static const option_entry table[] = {
    {"layers", 'l', OPTION_FLAG, offsetof(values, layers), NULL, "a line for each layer"},
    {"memory", 0, OPTION_FLAG, offsetof(values, memory), NULL,
     "the memory plan of the gradient: what lives when, and the peak"},
    {"operators", 0, OPTION_FLAG, offsetof(values, operators), NULL,
     "list the ONNX operators that gibbon has, and nothing else"},
    CLI_MODEL,
    CLI_BATCH,
    CLI_DEVICE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

// --- gathering: one JSON object, from which the text is printed too ---

static void put(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *shape_json(const gb_shape *shape)
{
    json_t *json = json_array();
    for (int i = 0; i < shape->rank; i++)
        json_array_append_new(json, shape->dim[i] < 0 ? json_null() : json_integer(shape->dim[i]));
    return json;
}

static json_t *values_json(gb_value *const *value, size_t count)
{
    json_t *json = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(json, json_pack("{s:o, s:s, s:o}", "name",
                                              gb_report_text_json(value[i]->name), "type",
                                              gb_type_name(value[i]->type, value[i]->ints), "shape",
                                              shape_json(&value[i]->shape)));
    return json;
}

static json_t *count_operators(const gb_graph *g)
{
    json_t *json = json_object();
    for (size_t i = 0; i < g->n_node; i++) {
        json_t *count = json_object_get(json, g->node[i]->type);
        if (count)
            json_integer_set(count, json_integer_value(count) + 1);
        else
            put(json, g->node[i]->type, json_integer(1));
    }
    return json;
}

static int64_t parameters(gb_value *const *value, size_t count)
{
    int64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += value[i] && value[i]->data && value[i]->type == GB_F32
                   ? gb_shape_count(&value[i]->shape) : 0;
    return sum;
}

// Two for each multiply-add of convolutions and products; the rest is small beside them.
static double flops(const gb_node *n)
{
    double out = n->n_out && n->out[0] ? (double)gb_shape_count(&n->out[0]->shape) : 0;
    if (n->n_in < 2 || !n->in[0] || !n->in[1])
        return 0;
    const gb_shape *x = &n->in[0]->shape, *w = &n->in[1]->shape;
    if (!strcmp(n->type, "Conv") && w->rank > 1)
        return 2 * out * (double)gb_shape_count(w) / (double)w->dim[0];
    if (!strcmp(n->type, "MatMul") && x->rank)
        return 2 * out * (double)x->dim[x->rank - 1];
    if (!strcmp(n->type, "Gemm") && x->rank == 2)
        return 2 * out * (double)x->dim[gb_attr_int(n, "transA", 0) ? 0 : 1];
    return 0;
}

static int gather_layers(json_t *report, const char *path, const gb_graph *model, int64_t batch,
                         bool layers)
{
    gb_graph *instance = NULL;
    double sum = 0;
    int err = gb_graph_instantiate(&instance, model, batch, NULL, 0);
    if (err < 0)
        return gb_fail_in(GB_ERR_UNSUPPORTED, "%s", path);
    json_t *list = json_array();
    for (size_t i = 0; i < instance->n_node; i++) {
        const gb_node *n = instance->node[i];
        sum += flops(n);
        json_t *layer = json_pack("{s:o, s:o, s:o, s:I, s:f}", "name", gb_report_text_json(n->name),
                                  "type", gb_report_text_json(n->type), "output",
                                  shape_json(&n->out[0]->shape), "parameters",
                                  (json_int_t)parameters(n->in, (size_t)n->n_in),
                                  "flops", flops(n));
        json_array_append_new(list, layer);
    }
    put(report, "batch", json_integer(instance->batch));
    put(report, "flops", json_real(sum));
    if (layers)
        json_object_set(report, "layers", list);
    json_decref(list);
    gb_graph_free(instance);
    return 0;
}

// True if an input has an unknown dimension besides its batch.
static bool size_is_open(const gb_graph *model)
{
    for (size_t i = 0; i < model->n_in; i++) {
        for (int d = 1; d < model->in[i]->shape.rank; d++) {
            if (model->in[i]->shape.dim[d] < 0)
                return true;
        }
    }
    return false;
}

// Says why images cannot go through the model together, where they cannot. Returns the batch that
// all else is told for.
static int64_t gather_batches(json_t *report, const gb_graph *model, int64_t batch)
{
    const gb_shape *in = model->n_in ? &model->in[0]->shape : NULL;
    int64_t own = in && in->rank ? in->dim[0] : -1;
    char *why = NULL;
    int err = gb_graph_mixes(&why, model, batch > 1 ? batch : own > 1 ? own : 2, NULL, 0);
    bool none = err < 0 || why;
    put(report, "no_batches", gb_report_text_json(err < 0 ? gb_last_error() : why));
    free(why);
    return none && own <= 1 ? 1 : batch;
}

static int gather_memory(json_t *report, const gb_graph *model, const values *v, int64_t batch,
                         gb_device *dev, bool classifies)
{
    const cli *c = &v->cli;
    static const char *const name[] = {"forward", "gradient"};
    json_t *plans = json_object();
    int err = 0;
    for (int grad = 0; grad < 2; grad++) {
        gb_session *s = NULL;
        gb_session_options options = {.batch = batch, .grad = grad,
                                      .scores = classifies ? model_scores(c) : GB_SCORES_RAW,
                                      .class_axis = (int)c->class_axis,
                                      .loss = grad ? GB_LOSS_CE : GB_LOSS_NONE, .log = &c->log};
        const size_t before = gb_device_allocated(dev);
        err = gb_session_create(&s, dev, model, &options);
        if (err < 0) { // no gradient, or too large: the rest is of interest all the same
            put(plans, name[grad], json_pack("{s:o}", "error",
                                             gb_report_text_json(gb_last_error())));
            continue;
        }
        const gb_session_stats *t = gb_session_get_stats(s);
        if (classifies && gb_session_head(s)->kind != GB_SCORES_RAW) {
            const gb_head *head = gb_session_head(s);
            json_t *k = json_object_get(report, "classifier");
            put(k, "scores", json_string(gb_scores_names[head->holds - GB_SCORES_FIND]));
            put(k, "scores_note", gb_report_text_json(head->how));
            put(k, "count", json_integer(gb_session_classes(s)));
        }
        size_t launches = t->launches_forward + t->launches_backward;
        put(plans, name[grad],
            json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:f}", "weight_bytes",
                      (json_int_t)t->weight_bytes, "arena_bytes", (json_int_t)t->arena_bytes,
                      "io_bytes", (json_int_t)t->io_bytes, "without_reuse_bytes",
                      (json_int_t)t->naive_bytes, "allocated_bytes",
                      (json_int_t)(gb_device_allocated(dev) - before), "launches",
                      (json_int_t)launches, "plan_seconds", t->plan_seconds));
        if (grad && v->memory)
            put(report, "memory_plan", info_plan_json(s));
        char *text = grad && c->verbose ? gb_session_plan_text(s) : NULL;
        if (text)
            put(report, "plan", gb_report_text_json(text));
        free(text);
        gb_session_free(s);
    }
    put(report, "memory", plans);
    return 0;
}

// How the model is taken as a classifier of pictures; false: it is none, and stays as it is.
static bool gather_classifier(json_t *report, gb_classifier *k, gb_graph *model, const cli *c)
{
    int err = model_as_classifier(k, model, c);
    if (err < 0) {
        put(report, "classifier",
            json_pack("{s:o}", "error", gb_report_text_json(gb_last_error())));
        return false;
    }
    const gb_shape *shape = &model->in[0]->shape;
    put(report, "classifier",
        json_pack("{s:s, s:o, s:o, s:b, s:b, s:o, s:o}", "layout", gb_layout_names[k->layout - 1],
                  "pictures", shape_json(shape), "output", gb_report_text_json(model->out[0]->name),
                  "batch_in_file", k->batched, "whole_numbers", k->whole, "input_note",
                  gb_report_text_json(k->input), "output_note", gb_report_text_json(k->output)));
    return true;
}

static int gather(json_t *report, gb_graph *model, const values *v)
{
    const cli *c = &v->cli;
    char *missing = NULL;
    gb_device *dev = NULL;
    gb_classifier k;
    int err = 0;
    put(report, "model", gb_report_text_json(c->words.text[0]));
    put(report, "producer", gb_report_text_json(model->producer));
    put(report, "ir_version", json_integer(model->ir_version));
    put(report, "opset", json_integer(model->opset));
    put(report, "inputs", values_json(model->in, model->n_in));
    put(report, "outputs", values_json(model->out, model->n_out));
    put(report, "operators", count_operators(model));
    put(report, "parameters", json_integer(gb_graph_parameters(model)));
    put(report, "preprocess", gb_report_text_json(gb_graph_meta(model, GB_PREPROC_META)));
    bool classifies = gather_classifier(report, &k, model, c);
    GB_TRY(gb_model_unsupported(&missing, model));
    put(report, "unsupported", gb_report_text_json(missing));
    bool finite = model_check_finite(model, c->words.text[0]) >= 0;
    put(report, "nonfinite", gb_report_text_json(finite ? NULL : gb_last_error()));
    if (missing)
        goto fail;
    if (size_is_open(model)) {
        cli_note(c, "the model leaves its input's size open: no layers, FLOPs and memory");
        goto fail;
    }
    int64_t batch = gather_batches(report, model, c->batch);
    GB_TRY(gather_layers(report, c->words.text[0], model, batch, v->layers || c->verbose));
    err = cli_open_device(&dev, c);
    if (err == GB_ERR_NO_DEVICE) {
        cli_note(c, "%s; the memory plan needs one", gb_last_error());
        err = 0;
        goto fail;
    }
    GB_TRY(err);
    put(report, "device", gb_report_device_json(gb_device_get_info(dev)));
    GB_TRY(gather_memory(report, model, v, batch, dev, classifies));
fail:
    gb_device_close(dev);
    free(missing);
    return err;
}

// --- text ---

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static const char *shape_text(char *buf, size_t size, const json_t *dims)
{
    gb_shape shape = {.rank = (int)json_array_size(dims)};
    for (int i = 0; i < shape.rank; i++) {
        const json_t *dim = json_array_get(dims, (size_t)i);
        shape.dim[i] = json_is_null(dim) ? -1 : json_integer_value(dim);
    }
    return gb_shape_text(buf, size, &shape);
}

// 25557032 -> "25.56 M"
static const char *scaled(char *buf, size_t size, double value)
{
    static const char *const unit[] = {"", " k", " M", " G", " T"};
    size_t i = 0;
    while (value >= 1000 && i + 1 < GB_COUNT(unit)) {
        value /= 1000;
        i++;
    }
    snprintf(buf, size, i ? "%.2f%s" : "%.0f%s", value, unit[i]);
    return buf;
}

static void print_memory(const json_t *plans)
{
    const char *name;
    json_t *plan;
    json_object_foreach((json_t *)plans, name, plan)
    {
        if (json_object_get(plan, "error"))
            gb_say("%-12s %s\n", name, text_of(plan, "error"));
        else
            gb_say("%-12s %.1f MiB on the device: weights %.1f, values %.1f (%.1f without reuse), "
                   "inputs and outputs %.1f; %.0f launches\n",
                   name, number_of(plan, "allocated_bytes") / 0x1p20,
                   number_of(plan, "weight_bytes") / 0x1p20,
                   number_of(plan, "arena_bytes") / 0x1p20,
                   number_of(plan, "without_reuse_bytes") / 0x1p20,
                   number_of(plan, "io_bytes") / 0x1p20, number_of(plan, "launches"));
    }
}

static void print_classifier(const json_t *k)
{
    static const char *const notes[] = {"input_note", "output_note", "scores_note"};
    char buf[256];
    if (json_object_get(k, "error")) {
        gb_say("%-12s no: %s\n", "classifier", text_of(k, "error"));
        return;
    }
    gb_say("%-12s of pictures N,C,H,W of %s, classes in '%s'", "classifier",
           shape_text(buf, sizeof buf, json_object_get(k, "pictures")), text_of(k, "output"));
    if (json_object_get(k, "count"))
        gb_say(" (%.0f, %s)", number_of(k, "count"), text_of(k, "scores"));
    putchar('\n');
    for (size_t i = 0; i < GB_COUNT(notes); i++)
        if (*text_of(k, notes[i]))
            gb_say("%-12s %s\n", "", text_of(k, notes[i]));
}

static void print_text(const json_t *report)
{
    static const char *const ends[] = {"inputs", "outputs"};
    char buf[256], other[32];
    const char *name;
    json_t *item;
    size_t i;
    gb_say("%-12s %s\n", "model", text_of(report, "model"));
    gb_say("%-12s ONNX IR %.0f, opset %.0f%s%s\n", "format", number_of(report, "ir_version"),
           number_of(report, "opset"), *text_of(report, "producer") ? ", by " : "",
           text_of(report, "producer"));
    for (size_t end = 0; end < GB_COUNT(ends); end++) {
        json_array_foreach(json_object_get(report, ends[end]), i, item)
            gb_say("%-12s %s  %s %s\n", i ? "" : ends[end], text_of(item, "name"),
                   text_of(item, "type"),
                   shape_text(buf, sizeof buf, json_object_get(item, "shape")));
    }
    print_classifier(json_object_get(report, "classifier"));
    gb_say("%-12s", "operators");
    json_object_foreach(json_object_get(report, "operators"), name, item)
        gb_say(" %s %lld", name, (long long)json_integer_value(item));
    gb_say("\n%-12s %s\n", "parameters", scaled(buf, sizeof buf, number_of(report, "parameters")));
    if (json_object_get(report, "flops"))
        gb_say("%-12s %s for a batch of %.0f (2 per multiply-add)\n", "FLOPs",
               scaled(buf, sizeof buf, number_of(report, "flops")), number_of(report, "batch"));
    if (*text_of(report, "no_batches"))
        gb_say("%-12s none: %s\n", "batches", text_of(report, "no_batches"));
    gb_say("%-12s %s\n", "preprocess",
           *text_of(report, "preprocess") ? text_of(report, "preprocess") : "not in the file");
    gb_say("%-12s %s\n", "unsupported",
           *text_of(report, "unsupported") ? text_of(report, "unsupported") : "nothing");
    if (*text_of(report, "nonfinite"))
        gb_say("%-12s %s\n", "not finite", text_of(report, "nonfinite"));
    print_memory(json_object_get(report, "memory"));
    const json_t *layers = json_object_get(report, "layers");
    if (layers)
        gb_say("\n%-20s %-20s %12s %12s  %s\n", "layer", "output", "parameters", "FLOPs", "name");
    json_array_foreach((json_t *)layers, i, item)
        gb_say("%-20s %-20s %12s %12s  %s\n", text_of(item, "type"),
               shape_text(buf, sizeof buf, json_object_get(item, "output")),
               scaled(other, sizeof other, number_of(item, "parameters")),
               scaled((char[32]){0}, 32, number_of(item, "flops")), text_of(item, "name"));
    if (json_object_get(report, "memory_plan"))
        info_plan_print(json_object_get(report, "memory_plan"));
    if (json_object_get(report, "plan")) {
        putchar('\n');
        gb_put_lines(stdout, text_of(report, "plan"));
    }
}

static int list_operators(const cli *c)
{
    size_t count;
    const gb_op *const *op = gb_op_all(&count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        const char *how = !op[i]->forward ? "constants only" : op[i]->backward || op[i]->is_view
                              ? "forward and gradient" : "forward only";
        if (!c->json)
            gb_say("%-24s opset %2d to %2d  %s\n", op[i]->name, op[i]->since,
                   op[i]->until ? op[i]->until : NEWEST_OPSET, how);
        json_array_append_new(list, json_pack("{s:s, s:i, s:i, s:s}", "name", op[i]->name, "since",
                                              op[i]->since, "until",
                                              op[i]->until ? op[i]->until : NEWEST_OPSET, "runs",
                                              how));
    }
    if (c->json)
        return cli_print_json(json_pack("{s:o}", "operators", list));
    json_decref(list);
    return 0;
}

static int execute(const values *v)
{
    const cli *c = &v->cli;
    gb_graph *model = NULL;
    json_t *report = json_object();
    int err = 0;
    if (v->operators) {
        err = list_operators(c);
        goto fail;
    }
    if (c->words.count != 1) {
        err = cli_usage(c, "give one model");
        goto fail;
    }
    GB_TRY(gb_model_read(&model, NULL, c->words.text[0], NULL));
    GB_TRY(gather(report, model, v));
    if (c->json)
        GB_TRY(cli_print_json(json_incref(report)));
    else
        print_text(report);
fail:
    gb_graph_free(model);
    json_decref(report);
    return err;
}

static int run(int argc, char **argv)
{
    values v = {0};
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &v}};
    int code;
    if (!cli_begin(&v.cli, &cmd_info, groups, GB_COUNT(groups), argc, argv, &code))
        return code;
    code = cli_end(&v.cli, execute(&v));
    cli_finish(&v.cli);
    return code;
}

const cli_command cmd_info = {
    .name = "info",
    .synopsis = "MODEL [options] | --operators",
    .summary = "describe a model: layers, sizes, costs, memory",
    .run = run,
};
