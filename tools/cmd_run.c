// gibbon run: a bare model on arrays: its outputs and, if asked, vector-Jacobian products.
#include "array_file.h"
#include "cli.h"
#include "model.h"

#include "base/file.h"
#include "engine/instance.h"
#include "image/image.h"
#include "report/report.h"

#include <stdlib.h>
#include <string.h>

typedef struct values {
    cli cli;
    option_texts input;
    const char *grad;
} values;

static const option_entry table[] = {
    {"input", 'i', OPTION_TEXTS, offsetof(values, input), "[NAME=]FILE",
     "an input as .npy; without a name the next input in the model's order (repeat per input)"},
    CLI_OUTPUT("where the outputs go, as OUTPUT.npy: '/', ':' and what is no text become '_', and "
               "names that are the same then get ~2, ~3 ..."),
    {"grad", 0, OPTION_TEXT, offsetof(values, grad), "OUTPUT=FILE",
     "also the gradient of sum(OUTPUT * FILE.npy) to every float input, as INPUT.grad.npy"},
    CLI_BATCH,
    CLI_DEVICE,
    CLI_PRECISION,
    CLI_NONFINITE,
    CLI_JSON,
    CLI_QUIET,
    CLI_VERBOSE,
};

// An array from a file and the value of the model that it belongs to.
typedef struct feed {
    const gb_value *value;
    const char *path;
    gb_npy npy;
} feed;

typedef struct task {
    values v;
    gb_arena arena;
    gb_graph *model;
    gb_device *dev;
    gb_session *session;
    feed *input; // one for each input of the model
    gb_binding *binding;
    size_t n_binding;
    feed seed;    // of --grad
    int64_t n;    // rows (images) in the files, 0: the arrays are taken whole
    int64_t batch; // rows per pass
    json_t *report;
} task;

static int find_value(const gb_value **out, gb_value *const *value, size_t count, const char *name,
                      size_t length, const char *kind)
{
    char names[600];
    for (size_t i = 0; i < count; i++) {
        if (strlen(value[i]->name) == length && !memcmp(value[i]->name, name, length)) {
            *out = value[i];
            return 0;
        }
    }
    return gb_fail(GB_ERR_ARG, "no %s '%.*s'; the model has %s", kind, (int)length, name,
                   model_names(names, sizeof names, value, count));
}

static bool fits_whole(const gb_value *value, const gb_npy *npy)
{
    bool same = value->shape.rank == npy->rank;
    for (int i = 0; same && i < npy->rank; i++)
        same = value->shape.dim[i] == npy->dim[i];
    return same;
}

static int bind_integers(task *t, feed *f)
{
    gb_shape shape = {.rank = f->npy.rank};
    memcpy(shape.dim, f->npy.dim, sizeof *shape.dim * (size_t)shape.rank);
    gb_tensor *tensor = gb_tensor_create(&t->arena, f->value->type, &shape);
    if (!tensor)
        return GB_ERR_NOMEM;
    tensor->ints = f->value->ints;
    memcpy(tensor->data, f->npy.ints, gb_tensor_bytes(tensor));
    t->binding[t->n_binding++] = (gb_binding){.name = f->value->name, .data = tensor};
    return 0;
}

// Integers as they are: nothing of them goes through a float.
static int read_array(feed *f)
{
    const gb_value *v = f->value;
    if (v->type == GB_F32)
        return gb_npy_read(&f->npy, f->path);
    const bool is_bool = v->type == GB_BOOL;
    return gb_npy_read_ints(&f->npy, f->path, is_bool ? 1 : gb_int_bits(v->ints),
                            !is_bool && gb_int_is_signed(v->ints));
}

static int read_inputs(task *t)
{
    const option_texts *given = &t->v.input;
    size_t count = t->model->n_in;
    char names[600];
    bool whole = true;
    int err = 0;
    t->input = gb_arena_array(&t->arena, count, sizeof *t->input);
    t->binding = gb_arena_array(&t->arena, count, sizeof *t->binding);
    if (!t->input || !t->binding)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        t->input[i].value = t->model->in[i];
    for (size_t g = 0; g < given->count; g++) {
        const char *text = given->text[g], *equal = strchr(text, '=');
        feed *f = NULL;
        for (size_t i = 0; equal && i < count && !f; i++) {
            const char *name = t->input[i].value->name;
            if (strlen(name) == (size_t)(equal - text) && !strncmp(name, text, strlen(name)))
                f = &t->input[i];
        }
        const char *path = f ? equal + 1 : text;
        for (size_t i = 0; i < count && !f; i++)
            f = t->input[i].path ? NULL : &t->input[i];
        if (!f || f->path)
            return gb_fail(GB_ERR_ARG, "-i %s: %s; the model's inputs are %s", text,
                           f ? "this input is given twice" : "every input has its file already",
                           model_names(names, sizeof names, t->model->in, count));
        f->path = path;
        GB_TRY(read_array(f));
    }
    for (size_t i = 0; i < count; i++) {
        feed *f = &t->input[i];
        if (!f->path)
            return gb_fail(GB_ERR_ARG, "input '%s' is not given: -i %s=FILE.npy", f->value->name,
                           f->value->name);
        whole = whole && fits_whole(f->value, &f->npy);
        if (f->value->type != GB_F32)
            GB_TRY(bind_integers(t, f));
        else if (f->npy.rank > 0 && !t->n)
            t->n = f->npy.dim[0];
    }
    if (whole)
        t->n = 0;
fail:
    return err;
}

static int read_seed(task *t)
{
    const char *text = t->v.grad, *equal = strchr(text, '=');
    int err = 0;
    if (!equal)
        return cli_usage(&t->v.cli, "--grad %s: write OUTPUT=FILE.npy", text);
    GB_TRY(find_value(&t->seed.value, t->model->out, t->model->n_out, text,
                      (size_t)(equal - text), "output"));
    t->seed.path = equal + 1;
    GB_TRY(gb_npy_read(&t->seed.npy, t->seed.path));
fail:
    return err;
}

// The array of a file must be `io` with n in place of the batch.
static int check_shape(const task *t, const gb_io *io, const feed *f)
{
    char want[128], have[128];
    gb_shape shape = io->shape, given = {.rank = f->npy.rank};
    memcpy(given.dim, f->npy.dim, sizeof *given.dim * (size_t)given.rank);
    if (t->n)
        shape.dim[0] = t->n;
    if (gb_shape_equal(&shape, &given))
        return 0;
    return gb_fail(GB_ERR_ARG, "%s is %s, but '%s' of the model is %s", f->path,
                   gb_shape_text(have, sizeof have, &given), f->value->name,
                   gb_shape_text(want, sizeof want, &shape));
}

// --- passes: number p covers rows [p * batch, min(n, (p + 1) * batch)) of every array ---

// An array of the session and its counterpart in a file, of all rows.
typedef struct slot {
    const gb_io *io;
    const char *name;
    const gb_value *value; // of an output of the graph: its type, and its numbers if constant
    const feed *from; // sent: where from
    float *data;      // received: where to
    size_t row;       // numbers in a row; without rows, in the whole
} slot;

// An output of integers that no picture changes: what is exact is on the host.
static const gb_tensor *exact(const slot *s)
{
    return s->value && s->value->type == GB_I64 ? s->value->data : NULL;
}

static int make_slot(task *t, slot *out, const gb_io *io, const char *name, const feed *from,
                     const gb_value *value)
{
    size_t count = (size_t)gb_shape_count(&io->shape);
    bool by_rows = io->shape.rank && io->shape.dim[0] == t->batch;
    *out = (slot){.io = io, .name = name, .from = from, .row = count, .value = value};
    by_rows = by_rows && !exact(out);
    if (t->n && !by_rows)
        return gb_fail(GB_ERR_UNSUPPORTED, "'%s' has no rows to split into batches of %lld", name,
                       (long long)t->batch);
    if (t->n)
        out->row = count / (size_t)t->batch;
    if (from)
        return check_shape(t, io, from);
    out->data = gb_arena_array(&t->arena, out->row * (t->n ? (size_t)t->n : 1), sizeof(float));
    return out->data ? 0 : GB_ERR_NOMEM;
}

static int send(task *t, const slot *s, size_t first, size_t rows, float *scratch)
{
    size_t want = t->n ? (size_t)t->batch : 1; // the last row again where the pass is not full
    for (size_t r = 0; r < want; r++) {
        size_t row = first + (r < rows ? r : rows - 1);
        memcpy(scratch + r * s->row, s->from->npy.data + row * s->row, s->row * sizeof *scratch);
    }
    return gb_session_upload(t->session, s->io, scratch);
}

static int receive(task *t, const slot *s, size_t first, size_t rows, float *scratch)
{
    int err = exact(s) ? 0 : gb_session_download(t->session, s->io, scratch);
    if (err >= 0)
        memcpy(s->data + first * s->row, scratch, rows * s->row * sizeof *scratch);
    return err;
}

// A name whose file is called otherwise; a terminal's control codes do not reach it.
static void print_name(const char *name)
{
    fputs("  '", stdout);
    for (; *name; name++)
        putchar((unsigned char)*name < 32 || *name == 127 ? '?' : *name);
    putchar('\'');
}

static int write_slot(task *t, const slot *s, const char *file, const char *kind)
{
    gb_shape shape = s->io->shape;
    gb_dtype type = s->value ? s->value->type : GB_F32;
    gb_int ints = s->value ? s->value->ints : GB_INT64;
    char text[128];
    int err = 0;
    if (t->n)
        shape.dim[0] = t->n;
    char *path = gb_arena_printf(&t->arena, "%s/%s.npy", t->v.cli.output, file);
    if (!path)
        return GB_ERR_NOMEM;
    GB_TRY(exact(s) ? array_file_write_tensor(path, exact(s))
                    : array_file_write(path, type, ints, &shape, s->data));
    if (!t->v.cli.json) {
        gb_say("%s  %s", path, gb_shape_text(text, sizeof text, &shape));
        if (strchr(file, '~'))
            print_name(s->name);
        putchar('\n');
        return 0;
    }
    json_t *dims = json_array();
    for (int i = 0; i < shape.rank; i++)
        json_array_append_new(dims, json_integer(shape.dim[i]));
    json_array_append_new(json_object_get(t->report, kind),
                          json_pack("{s:o, s:s, s:o, s:o}", "name", gb_report_text_json(s->name),
                                    "type", gb_type_name(type, ints), "shape", dims, "file",
                                    gb_report_text_json(path)));
fail:
    return err;
}

// Writes what was received; the first n_out of it are the model's outputs.
static int write_slots(task *t, const slot *got, size_t n, size_t n_out)
{
    const char **name = gb_arena_array(&t->arena, n, sizeof *name);
    char **file = gb_arena_array(&t->arena, n, sizeof *file);
    int err = name && file ? 0 : GB_ERR_NOMEM;
    for (size_t i = 0; i < n && err == 0; i++)
        name[i] = got[i].name;
    GB_TRY(err);
    GB_TRY(array_file_names(file, &t->arena, name, n));
    GB_TRY(gb_make_dirs(t->v.cli.output));
    for (size_t i = 0; i < n; i++)
        GB_TRY(write_slot(t, &got[i], file[i], i < n_out ? "outputs" : "gradients"));
fail:
    return err;
}

static int compute(task *t)
{
    size_t n_in = gb_session_inputs(t->session), n_out = gb_session_outputs(t->session);
    size_t n_sent = n_in + (t->v.grad != NULL), n_got = n_out + (t->v.grad ? n_in : 0);
    size_t most = 0, passes = t->n ? (size_t)((t->n + t->batch - 1) / t->batch) : 1;
    slot *sent = gb_arena_array(&t->arena, n_sent, sizeof *sent);
    slot *got = gb_arena_array(&t->arena, n_got, sizeof *got);
    int err = sent && got ? 0 : GB_ERR_NOMEM;
    float *scratch = NULL;
    for (size_t i = 0; i < n_in && err >= 0; i++) {
        const gb_io *io = gb_session_input(t->session, i);
        const feed *from = t->input;
        while (strcmp(from->value->name, io->name))
            from++;
        char *name = gb_arena_printf(&t->arena, "%s.grad", io->name);
        GB_TRY(name ? make_slot(t, &sent[i], io, io->name, from, NULL) : GB_ERR_NOMEM);
        if (t->v.grad)
            GB_TRY(make_slot(t, &got[n_out + i], gb_session_grad(t->session, i), name, NULL,
                             NULL));
    }
    for (size_t i = 0; i < n_out && err >= 0; i++) {
        const gb_io *io = gb_session_output(t->session, i);
        GB_TRY(make_slot(t, &got[i], io, io->name, NULL,
                         gb_session_graph(t->session)->out[i]));
    }
    if (t->v.grad)
        GB_TRY(make_slot(t, &sent[n_in], gb_session_seed(t->session), t->seed.value->name,
                         &t->seed, NULL));
    for (size_t i = 0; i < n_sent + n_got && err >= 0; i++) {
        const slot *s = i < n_sent ? &sent[i] : &got[i - n_sent];
        size_t count = (size_t)gb_shape_count(&s->io->shape);
        most = count > most ? count : most;
    }
    scratch = gb_arena_array(&t->arena, most, sizeof *scratch);
    err = scratch ? err : GB_ERR_NOMEM;
    for (size_t p = 0; p < passes && err >= 0; p++) {
        size_t first = p * (size_t)t->batch, left = (size_t)t->n - first;
        size_t rows = !t->n ? 1 : left < (size_t)t->batch ? left : (size_t)t->batch;
        for (size_t i = 0; i < n_sent; i++)
            GB_TRY(send(t, &sent[i], first, rows, scratch));
        GB_TRY(t->v.grad ? gb_session_gradient(t->session) : gb_session_forward(t->session));
        for (size_t i = 0; i < n_got; i++)
            GB_TRY(receive(t, &got[i], first, rows, scratch));
    }
    GB_TRY(err);
    GB_TRY(write_slots(t, got, n_got, n_out));
fail:
    return err;
}

// Rows that go through the model in several passes must not see each other. A model for one row is
// run row by row.
static int check_passes(const task *t)
{
    const gb_graph *g = gb_session_graph(t->session);
    char *found = NULL;
    int err = 0;
    if (!t->n || g->batch_in_model == 1)
        return 0;
    if (t->batch == 1 && gb_graph_mixes(&found, t->model, t->n, t->binding, t->n_binding) < 0)
        return 0; // there is no whole that the rows would be parts of
    if (g->mixes || found)
        err = gb_fail(GB_ERR_UNSUPPORTED, "%s: %lld rows cannot go through it %lld at a time",
                      found ? found : g->mixes, (long long)t->n, (long long)t->batch);
    free(found);
    return err;
}

static int execute(task *t)
{
    const cli *c = &t->v.cli;
    int err = 0;
    if (c->words.count != 1)
        return cli_usage(c, "give one model");
    if (!c->output)
        return cli_usage(c, "give -o DIR");
    GB_TRY(model_load(&t->model, c, c->words.text[0]));
    GB_TRY(read_inputs(t));
    if (t->v.grad)
        GB_TRY(read_seed(t));
    cli_rehearse(&t->v.cli);
    GB_TRY(cli_open_device(&t->dev, c));
    gb_session_options options = {
        .batch = c->batch ? c->batch : t->n,
        .grad = t->v.grad != NULL,
        .seed = t->v.grad ? t->seed.value->name : NULL,
        .binding = t->binding,
        .n_binding = t->n_binding,
        .log = &c->log,
    };
    GB_TRY(model_session(&t->session, c, t->dev, t->model, &options));
    t->batch = gb_session_batch(t->session);
    if (t->n == t->batch)
        t->n = 0; // one pass, whatever the shapes
    GB_TRY(check_passes(t));
    if (c->json)
        t->report = json_pack("{s:o, s:{s:o}, s:[], s:[]}", "device",
                              gb_report_device_json(gb_device_get_info(t->dev)), "model", "path",
                              gb_report_text_json(c->words.text[0]), "outputs", "gradients");
    GB_TRY(compute(t));
    if (c->json)
        GB_TRY(cli_print_json(json_incref(t->report)));
fail:
    return err;
}

static int run(int argc, char **argv)
{
    task t = {0};
    const option_group groups[] = {{NULL, table, GB_COUNT(table), &t.v}};
    int code;
    if (!cli_begin(&t.v.cli, &cmd_run, groups, GB_COUNT(groups), argc, argv, &code))
        return code;
    code = cli_end(&t.v.cli, execute(&t));
    for (size_t i = 0; t.input && i < t.model->n_in; i++)
        gb_npy_finish(&t.input[i].npy);
    gb_npy_finish(&t.seed.npy);
    json_decref(t.report);
    gb_session_free(t.session);
    gb_device_close(t.dev);
    gb_graph_free(t.model);
    gb_arena_finish(&t.arena);
    option_texts_finish(&t.v.input);
    cli_finish(&t.v.cli);
    return code;
}

const cli_command cmd_run = {
    .name = "run",
    .synopsis = "MODEL -i [NAME=]FILE.npy... -o DIR [options]",
    .summary = "run a bare model on arrays, with gradients if asked",
    .details = "Nothing is done to the arrays: no preprocessing. Their leading dimension is the\n"
               "batch where the model leaves it open; --batch splits it, unless rows depend on\n"
               "each other. Integers and booleans are read exactly and written in the model's own\n"
               "type.",
    .run = run,
};
