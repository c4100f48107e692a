// Loads models, refuses those that cannot run, and finds a batch that fits.
#include "model.h"

#include "image/labels.h"
#include "models/builtin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

char *model_names(char *buf, size_t size, gb_value *const *value, size_t count)
{
    enum { SHOWN = 8 };
    size_t used = 0;
    buf[0] = 0;
    for (size_t i = 0; i < count && i < SHOWN && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s'%s'", i ? ", " : "", value[i]->name);
    if (count > SHOWN && used < size)
        snprintf(buf + used, size - used, " and %zu more", count - SHOWN);
    return buf;
}

// Scalars may be infinite on purpose (the bounds of a Clip); weights may not.
int model_check_finite(const gb_graph *model, const char *path)
{
    for (size_t i = 0; i < model->n_value; i++) {
        const gb_tensor *t = model->value[i]->data;
        int64_t count = t && t->type == GB_F32 ? gb_shape_count(&t->shape) : 0, bad = 0;
        for (int64_t j = 0; j < count; j++)
            bad += !isfinite(((const float *)t->data)[j]) &&
                   (count > 1 || isnan(((const float *)t->data)[j]));
        if (bad)
            return gb_fail(GB_ERR_NUMERIC,
                           "%s: %lld of the %lld values of '%s' are NaN or infinite; "
                           "--allow-nonfinite runs it all the same",
                           path, (long long)bad, (long long)count, model->value[i]->name);
    }
    return 0;
}

static int read_model(gb_graph **out, const cli *c, const char *path)
{
    const gb_arch *arch;
    int err = gb_model_read(out, &arch, path, NULL);
    if (err >= 0 && arch)
        cli_note(c, "%s: untrained, with the initial weights of seed 0", path);
    return err;
}

// What cannot run is refused.
static int check(const gb_graph *model, const cli *c, const char *path)
{
    char *missing = NULL;
    int err = 0;
    GB_TRY(gb_model_unsupported(&missing, model));
    if (missing)
        err = gb_fail(GB_ERR_UNSUPPORTED,
                      "%s: operators that gibbon does not have: %s (gibbon info --operators lists "
                      "those it has)", path, missing);
    else if (!c->allow_nonfinite)
        err = model_check_finite(model, path);
fail:
    free(missing);
    return err;
}

int model_load(gb_graph **out, const cli *c, const char *path)
{
    gb_graph *model = NULL;
    int err = 0;
    GB_TRY(read_model(&model, c, path));
    GB_TRY(check(model, c, path));
    *out = model;
    return 0;
fail:
    gb_graph_free(model);
    return err;
}

// "224x224" or "224"
static int parse_size(int *height, int *width, const char *text)
{
    enum { MOST = 1 << 14 };
    char *end = NULL;
    long h = text ? strtol(text, &end, 10) : 0, w = h;
    if (text && *end == 'x')
        w = strtol(end + 1, &end, 10);
    if (text && (*end || h < 1 || w < 1 || h > MOST || w > MOST))
        return gb_fail(GB_ERR_ARG, "--input-size '%.40s' is no size such as 224x224", text);
    *height = (int)h;
    *width = (int)w;
    return 0;
}

// How many classes have names, where several outputs may hold them; 0: unknown, also where the
// names come through a pipe, which is read once.
static int count_names(size_t *count, const gb_graph *model, const cli *c)
{
    const char *stored = gb_graph_meta(model, GB_LABELS_META);
    gb_labels labels = {0};
    int err = 0;
    struct stat st;
    bool again = c->labels && stat(c->labels, &st) == 0 && S_ISREG(st.st_mode);
    if (model->n_out > 1 && again)
        err = gb_labels_read(&labels, c->labels);
    else if (model->n_out > 1 && stored && !c->labels)
        err = gb_labels_decode(&labels, stored, strlen(stored), "the model's metadata");
    *count = labels.count;
    gb_labels_finish(&labels);
    return err;
}

int model_as_classifier(gb_classifier *k, gb_graph *model, const cli *c)
{
    gb_classifier_options options = {.output = c->model_output};
    int err = 0;
    GB_TRY(count_names(&options.names, model, c));
    GB_TRY(parse_size(&options.height, &options.width, c->input_size));
    GB_TRY(gb_layout_find(&options.layout, c->input_layout));
    GB_TRY(gb_classifier_open(k, model, &options));
fail:
    return err;
}

int model_load_classifier(gb_graph **out, gb_classifier *k, const cli *c, const char *path)
{
    gb_graph *model = NULL;
    int err = 0;
    GB_TRY(read_model(&model, c, path));
    if ((err = model_as_classifier(k, model, c)) < 0) {
        gb_fail_in(err, "%s", path);
        goto fail;
    }
    GB_TRY(check(model, c, path));
    if (*k->input)
        cli_note(c, "model: %s", k->input);
    if (*k->output)
        cli_note(c, "model: %s", k->output);
    *out = model;
    return 0;
fail:
    gb_graph_free(model);
    return err;
}

gb_scores model_scores(const cli *c)
{
    gb_scores scores;
    gb_scores_find(&scores, c->scores); // the option takes no other name
    return scores;
}

gb_report_model model_facts(const gb_classifier *k, const char *path, const char *preprocess,
                            const gb_session *s)
{
    const gb_head *head = gb_session_head(s);
    return (gb_report_model){.path = path, .preprocess = preprocess, .batch = gb_session_batch(s),
                             .scores = gb_scores_names[head->holds - GB_SCORES_FIND],
                             .assumed = {k->input, k->output, head->how}};
}

// Says what the scores are where they are no plain logits.
static void tell_head(const cli *c, const gb_session *s)
{
    const gb_head *head = gb_session_head(s);
    if (*head->how)
        cli_note(c, "model: output '%s' holds %s", head->output, head->how);
    if (c->class_axis)
        cli_note(c, "model: axis %lld of output '%s' counts the classes; scores are means over the "
                 "others", (long long)c->class_axis, head->output);
}

bool model_try_own_batch(const cli *c, int err, const gb_graph *model, gb_session_options *options)
{
    int64_t own = model->n_in && model->in[0]->shape.rank ? model->in[0]->shape.dim[0] : -1;
    if ((err != GB_ERR_UNSUPPORTED && err != GB_ERR_ARG) || own < 1 || own == options->batch)
        return false;
    gb_log_line(&c->log, GB_LOG_WARN, "a batch of %lld: %s; trying the model's own batch of %lld",
                (long long)options->batch, gb_last_error(), (long long)own);
    options->batch = 0;
    return true;
}

int model_session(gb_session **out, const cli *c, gb_device *dev, const gb_graph *model,
                  gb_session_options *options)
{
    int err;
    while ((err = gb_session_create(out, dev, model, options)) == GB_ERR_DEVICE_MEM &&
           options->batch > 1) {
        gb_log_line(&c->log, GB_LOG_WARN,
                    "a batch of %lld does not fit into the device's memory: trying %lld",
                    (long long)options->batch, (long long)options->batch / 2);
        options->batch /= 2;
    }
    if (model_try_own_batch(c, err, model, options))
        err = gb_session_create(out, dev, model, options);
    if (err >= 0) {
        tell_head(c, *out);
        options->batch = gb_session_batch(*out); // what a session after this one needs no note for
    }
    if (gb_device_rehearses(dev))
        rehearsal_end(dev, err < 0                            ? err
                           : options->grad || options->seed ? gb_session_gradient(*out)
                                                              : gb_session_forward(*out));
    return err == GB_ERR_ARG ? GB_ERR_UNSUPPORTED : err; // the model is what is wrong
}

int model_attack(gb_attack **out, const cli *c, gb_device *dev, const gb_graph *model,
                 int64_t batch, const gb_normalize *normalize, const gb_attack_config *config)
{
    gb_session_options base = {.batch = batch, .scores = model_scores(c),
                               .class_axis = (int)c->class_axis, .normalize = *normalize,
                               .log = &c->log};
    int err = gb_attack_create(out, dev, model, &base, config);
    if (model_try_own_batch(c, err, model, &base))
        err = gb_attack_create(out, dev, model, &base, config);
    if (err >= 0)
        tell_head(c, gb_attack_session(*out));
    if (gb_device_rehearses(dev))
        rehearsal_end(dev, err < 0 ? err : gb_attack_rehearse(*out));
    return err;
}
