// Loads models, refuses those that cannot run, and finds a batch that fits.
#include "model.h"

#include "models/builtin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

char *model_names(char *buf, size_t size, gb_value *const *value, size_t count)
{
    enum { SHOWN = 8 };
    size_t used = 0;
    buf[0] = 0;
    for (size_t i = 0; i < count && i < SHOWN && used < size; i++)
        used += (size_t)snprintf(buf + used, size - used, "%s%s", i ? ", " : "", value[i]->name);
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

int model_load(gb_graph **out, const cli *c, const char *path)
{
    gb_graph *model = NULL;
    const gb_arch *arch;
    char *missing = NULL;
    int err = 0;
    GB_TRY(gb_model_read(&model, &arch, path, NULL));
    if (arch)
        cli_note(c, "%s: untrained, with the initial weights of seed 0", path);
    GB_TRY(gb_model_unsupported(&missing, model));
    if (missing) {
        err = gb_fail(GB_ERR_UNSUPPORTED,
                      "%s: operators that gibbon does not have: %s (gibbon info --operators lists "
                      "those it has)", path, missing);
        goto fail;
    }
    if (!c->allow_nonfinite)
        GB_TRY(model_check_finite(model, path));
    *out = model;
    return 0;
fail:
    free(missing);
    gb_graph_free(model);
    return err;
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
    if (err >= 0)
        options->batch = gb_session_batch(*out); // what a session after this one needs no note for
    if (gb_device_rehearses(dev))
        rehearsal_end(dev, err < 0                            ? err
                           : options->grad || options->seed ? gb_session_gradient(*out)
                                                              : gb_session_forward(*out));
    return err == GB_ERR_ARG ? GB_ERR_UNSUPPORTED : err; // the model is what is wrong
}

int model_attack(gb_attack **out, const cli *c, gb_device *dev, const gb_graph *model,
                 int64_t batch, const gb_normalize *normalize, const gb_attack_config *config)
{
    gb_session_options base = {.batch = batch, .normalize = *normalize, .log = &c->log};
    int err = gb_attack_create(out, dev, model, &base, config);
    if (model_try_own_batch(c, err, model, &base))
        err = gb_attack_create(out, dev, model, &base, config);
    if (gb_device_rehearses(dev))
        rehearsal_end(dev, err < 0 ? err : gb_attack_rehearse(*out));
    return err;
}
