// An attack made ready for a model, and its run over arrays of images.
#include "attack/internal.h"

#include <stdlib.h>
#include <string.h>

gb_session *gb_attack_session(const gb_attack *attack)
{
    return attack->session;
}

const gb_attack_config *gb_attack_get_config(const gb_attack *attack)
{
    return &attack->config;
}

void gb_attack_free(gb_attack *a)
{
    if (!a)
        return;
    gb_steps_free(a->steps);
    gb_session_free(a->session);
    free(a);
}

static int make_batch(gb_attack *a, gb_device *dev, const gb_graph *model,
                      const gb_session_options *options)
{
    int err = 0;
    GB_TRY(gb_session_create(&a->session, dev, model, options));
    GB_TRY(gb_steps_create(&a->steps, a->session, &a->config));
    return 0;
fail:
    gb_session_free(a->session);
    a->session = NULL;
    return err;
}

// Nothing may depend on what else is in the batch.
static int check_model(const gb_graph *model)
{
    for (size_t i = 0; model && i < model->n_node; i++)
        if (gb_attr_int(model->node[i], "training_mode", 0))
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: in training mode an image depends on its "
                           "batch; export the model for inference",
                           gb_node_text(model->node[i]));
    return 0;
}

int gb_attack_create(gb_attack **out, gb_device *dev, const gb_graph *model,
                     const gb_session_options *base, const gb_attack_config *config)
{
    int err = 0;
    gb_session_options options = *base;
    gb_attack *a = calloc(1, sizeof *a);
    if (!a)
        return gb_fail(GB_ERR_NOMEM, "out of memory for an attack");
    a->config = *config;
    GB_TRY(check_model(model));
    GB_TRY(gb_attack_resolve(&a->config));
    GB_TRY(gb_method_find(&a->method, a->config.method));
    options.grad = true;
    options.loss = a->config.loss;
    while ((err = make_batch(a, dev, model, &options)) == GB_ERR_DEVICE_MEM && options.batch > 1) {
        gb_log_line(options.log, GB_LOG_WARN,
                    "a batch of %lld does not fit into the device's memory: trying %lld",
                    (long long)options.batch, (long long)options.batch / 2);
        options.batch /= 2;
    }
    GB_TRY(err);
    a->batch = (size_t)gb_session_batch(a->session);
    a->pixels = (size_t)gb_session_pixels(a->session);
    *out = a;
    return 0;
fail:
    gb_attack_free(a);
    return err;
}

int gb_attack_rehearse(gb_attack *a)
{
    int err = 0;
    GB_TRY(a->method->move(a->steps));
    GB_TRY(gb_steps_gradient(a->steps));
    GB_TRY(gb_steps_start(a->steps));
fail:
    return err;
}

uint32_t gb_image_id(const float *pixels, size_t count)
{
    uint32_t hash = 2166136261u; // FNV-1a over 32-bit words, then mixed
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &pixels[i], sizeof bits);
        hash = (hash ^ bits) * 16777619u;
        hash ^= hash >> 15;
    }
    return hash;
}

int gb_attack_logits(gb_attack *a, float *logits, const float *images, size_t n)
{
    return gb_steps_logits(a->steps, logits, images, n);
}

// --- a job: arrays in, arrays out ---

typedef struct job_state {
    const gb_attack_job *job;
    float *adversarial;
    gb_attack_result *result;
    size_t pixels, taken, finished;
    const int *source; // [n]; NULL: nobody asks
} job_state;

static gb_attack_item item_of(const job_state *s, size_t i)
{
    const gb_attack_job *job = s->job;
    return (gb_attack_item){.number = i, .image = job->images + i * s->pixels,
                            .label = job->labels[i],
                            .source = s->source ? s->source[i] : 0,
                            .id = job->ids ? &job->ids[i] : NULL,
                            .name = job->names ? job->names[i] : NULL};
}

static int job_next(void *user, gb_attack_item *item)
{
    job_state *s = user;
    if (s->taken == s->job->n)
        return 0;
    *item = item_of(s, s->taken++);
    return 1;
}

static int job_done(void *user, const gb_attack_item *item, const float *adversarial,
                    const gb_attack_result *result)
{
    job_state *s = user;
    memcpy(s->adversarial + item->number * s->pixels, adversarial, s->pixels * sizeof *adversarial);
    s->result[item->number] = *result;
    s->finished++;
    return 0;
}

static int job_look(void *user, int step, int steps)
{
    const job_state *s = user;
    const gb_progress *p = s->job->progress;
    return p && p->call && p->call(p->user, s->finished, s->job->n, step, steps);
}

// What the model sees in each image; malloc'ed.
static int see(int **out, gb_attack *a, const float *images, size_t n)
{
    size_t classes = (size_t)gb_session_classes(a->session);
    float *logits = malloc((n * classes + 1) * sizeof *logits);
    int *seen = malloc((n + 1) * sizeof *seen);
    int err = logits && seen ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory for %zu images", n);
    GB_TRY(err);
    GB_TRY(gb_attack_logits(a, logits, images, n));
    for (size_t i = 0; i < n; i++)
        seen[i] = gb_argmax(logits + i * classes, classes);
    *out = seen;
    seen = NULL;
fail:
    free(seen);
    free(logits);
    return err;
}

int gb_attack_run(gb_attack *a, float *adversarial, gb_attack_result *result,
                  const gb_attack_job *job)
{
    int err = gb_check_images(a->session, job->n);
    if (err < 0)
        return err;
    gb_attack_result *all = calloc(job->n ? job->n : 1, sizeof *all);
    job_state state = {job, adversarial, all, a->pixels, 0, 0, job->sources};
    int *seen = NULL;
    const gb_attack_feed feed = {&state, job_next, job_done, job_look};
    if (!all)
        return gb_fail(GB_ERR_NOMEM, "out of memory for the results of %zu images", job->n);
    if (a->config.loss == GB_LOSS_PAIR && !job->sources) {
        GB_TRY(see(&seen, a, job->images, job->n));
        state.source = seen;
    }
    for (size_t i = 0; i < job->n; i++) {
        gb_attack_item item = item_of(&state, i);
        GB_TRY(gb_attack_check(a, &item));
    }
    err = gb_attack_stream(a, &feed);
fail:
    if (result)
        memcpy(result, all, job->n * sizeof *all);
    free(seen);
    free(all);
    return err;
}
