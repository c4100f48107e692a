// An attack made ready for a model, and its run over any number of images, batch by batch.
#include "attack/attack.h"
#include "attack/quantize.h"
#include "attack/steps.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct gb_attack {
    const gb_method *method;
    gb_attack_config config;
    gb_session *session;
    gb_steps *steps;
    size_t batch, pixels;
    float *x0, *images;    // (batch, pixels): the originals; what is attacked, and what came of it
    int32_t *labels;       // [batch]
    uint32_t *ids;         // [batch]
    bool *active;          // [batch]
    gb_image_state *state; // [batch]
};

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
    free(a->x0);
    free(a->images);
    free(a->labels);
    free(a->ids);
    free(a->active);
    free(a->state);
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

int gb_attack_create(gb_attack **out, gb_device *dev, const gb_graph *model,
                     const gb_session_options *base, const gb_attack_config *config)
{
    int err = 0;
    gb_session_options options = *base;
    gb_attack *a = calloc(1, sizeof *a);
    if (!a)
        return gb_fail(GB_ERR_NOMEM, "out of memory for an attack");
    a->config = *config;
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
    a->x0 = calloc(a->batch * a->pixels, sizeof *a->x0);
    a->images = calloc(a->batch * a->pixels, sizeof *a->images);
    a->labels = calloc(a->batch, sizeof *a->labels);
    a->ids = calloc(a->batch, sizeof *a->ids);
    a->active = calloc(a->batch, sizeof *a->active);
    a->state = calloc(a->batch, sizeof *a->state);
    if (!a->x0 || !a->images || !a->labels || !a->ids || !a->active || !a->state) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu images", a->batch);
        goto fail;
    }
    *out = a;
    return 0;
fail:
    gb_attack_free(a);
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

static int fail_image(int status, const gb_attack_job *job, size_t i, const char *what)
{
    if (job->names && job->names[i])
        return gb_fail(status, "%s: %s", job->names[i], what);
    return gb_fail(status, "image %zu: %s", i, what);
}

static int check_job(const gb_attack *a, const gb_attack_job *job)
{
    int classes = (int)gb_session_classes(a->session);
    char what[96];
    for (size_t i = 0; i < job->n; i++) {
        if (job->labels[i] < 0 || job->labels[i] >= classes) {
            snprintf(what, sizeof what, "class %d is outside 0 to %d", job->labels[i], classes - 1);
            return fail_image(GB_ERR_ARG, job, i, what);
        }
        const float *x = job->images + i * a->pixels;
        for (size_t k = 0; k < a->pixels; k++) {
            if (!(x[k] >= 0.0f && x[k] <= 1.0f)) {
                snprintf(what, sizeof what, "holds %g, but pixels are in [0,1], not normalised",
                         (double)x[k]);
                return fail_image(GB_ERR_ARG, job, i, what);
            }
        }
    }
    return 0;
}

// Images [first, first + count) of the job; the last one is repeated where the batch has more room.
static void take(gb_attack *a, const gb_attack_job *job, size_t first, size_t count)
{
    for (size_t i = 0; i < a->batch; i++) {
        size_t from = first + (i < count ? i : count - 1);
        const float *image = job->images + from * a->pixels;
        memcpy(a->x0 + i * a->pixels, image, a->pixels * sizeof *image);
        a->labels[i] = job->labels[from];
        a->ids[i] = job->ids ? job->ids[from] : gb_image_id(image, a->pixels);
        a->active[i] = i < count;
    }
}

// Hands out what is finished: all active images, or after a cancellation those that have stopped.
static int store(gb_attack *a, float *adversarial, gb_attack_result *result,
                 const gb_attack_job *job, size_t first, size_t count, bool all)
{
    int err = 0;
    size_t bad = count;
    GB_TRY(gb_steps_result(a->steps, a->images, a->state));
    for (size_t i = count; i-- > 0;) {
        const gb_image_state *s = &a->state[i];
        const float *x = a->images + i * a->pixels;
        gb_attack_result r = {.done = all || s->frozen, .label = a->labels[i],
                              .success = s->success, .predicted = s->predicted,
                              .iterations = s->steps, .zero_gradients = s->zero,
                              .loss = a->config.targeted ? -s->best : s->best};
        bad = s->bad ? i : bad;
        if (s->bad || !r.done || !a->active[i])
            continue;
        gb_distance(&r.linf, &r.l2, x, a->x0 + i * a->pixels, a->pixels);
        memcpy(adversarial + (first + i) * a->pixels, x, a->pixels * sizeof *x);
        result[first + i] = r;
    }
    if (bad < count)
        return fail_image(GB_ERR_NUMERIC, job, first + bad,
                          "NaN or infinity in the model's logits, loss or gradient");
fail:
    return err;
}

// Keeps those images active whose success is lost when a->images, as stored, are rounded to 8 bits.
static int find_lost(gb_attack *a, const gb_attack_result *result, size_t count, size_t *lost)
{
    int err = 0;
    size_t classes = (size_t)gb_session_classes(a->session);
    float *logits = malloc(count * classes * sizeof *logits);
    uint8_t *pixels = malloc(a->pixels);
    *lost = 0;
    if (!logits || !pixels) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu images", count);
        goto fail;
    }
    for (size_t i = 0; i < count; i++) {
        float *x = a->images + i * a->pixels;
        for (size_t k = 0; k < a->pixels; k++)
            pixels[k] = (uint8_t)(a->x0[i * a->pixels + k] * 255.0f + 0.5f);
        GB_TRY(gb_quantize(pixels, x, pixels, a->pixels, a->config.norm, a->config.eps));
        for (size_t k = 0; k < a->pixels; k++)
            x[k] = (float)pixels[k] / 255.0f;
    }
    GB_TRY(gb_session_logits(a->session, logits, a->images, count));
    for (size_t i = 0; i < count; i++) {
        bool is_label = gb_argmax(logits + i * classes, classes) == a->labels[i];
        a->active[i] = result[i].success && is_label != !!a->config.targeted;
        *lost += a->active[i];
    }
fail:
    free(logits);
    free(pixels);
    return err;
}

static int run_pass(gb_attack *a, float *adversarial, gb_attack_result *result,
                    const gb_attack_job *job, size_t first, size_t count, bool early_stop)
{
    int err = 0, ended;
    GB_TRY(gb_steps_early_stop(a->steps, early_stop));
    GB_TRY(gb_steps_load(a->steps, a->x0, a->labels, a->ids, a->active));
    ended = a->method->run(a->steps);
    if (ended < 0 && ended != GB_ERR_CANCELLED)
        return ended;
    GB_TRY(store(a, adversarial, result, job, first, count, ended >= 0));
    return ended < 0 ? gb_fail(ended, "cancelled") : 0;
fail:
    return err;
}

static int run_batch(gb_attack *a, float *adversarial, gb_attack_result *result,
                     const gb_attack_job *job, size_t first, size_t count)
{
    bool early = a->config.early_stop;
    size_t lost = 0;
    int err = 0;
    take(a, job, first, count);
    GB_TRY(run_pass(a, adversarial, result, job, first, count, early));
    if (early && a->config.eight_bit)
        GB_TRY(find_lost(a, result + first, count, &lost));
    if (lost) // the same walk again, but to its end: deeper in the wrong class
        GB_TRY(run_pass(a, adversarial, result, job, first, count, false));
fail:
    return err;
}

int gb_attack_run(gb_attack *a, float *adversarial, gb_attack_result *result,
                  const gb_attack_job *job)
{
    int err = 0;
    gb_attack_result *all = calloc(job->n ? job->n : 1, sizeof *all);
    if (!all)
        return gb_fail(GB_ERR_NOMEM, "out of memory for the results of %zu images", job->n);
    GB_TRY(check_job(a, job));
    for (size_t first = 0; first < job->n && err >= 0; first += a->batch) {
        size_t count = job->n - first < a->batch ? job->n - first : a->batch;
        gb_steps_tell(a->steps, job->progress, first, job->n);
        err = run_batch(a, adversarial, all, job, first, count);
    }
fail:
    if (result)
        memcpy(result, all, job->n * sizeof *all);
    free(all);
    return err;
}
