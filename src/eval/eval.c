// The loop over a data set: classifying, and feeding the attack's stream.
#include "eval/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    const gb_eval_job *job;
    gb_session *session;
    gb_loader *loader;
    size_t classes, batch, batches, loaded; // batches of pictures, of all and so far
    float *logits; // (batch, classes)
    bool *allowed; // [classes]: that the model may choose; NULL: all
    // The batch at hand: what is known of its pictures, and the next that may be attacked.
    const gb_batch *at;
    gb_eval_row *row; // [batch]
    size_t next;
    gb_eval_row *known; // [data->count]: rows of pictures under attack
} run;

// --- what the model sees ---

static int see(const run *r, gb_eval_row *row, float *logits)
{
    size_t best = r->classes;
    for (size_t k = 0; k < r->classes; k++) {
        if (!isfinite(logits[k]))
            return gb_fail(GB_ERR_NUMERIC, "image %lld: the model's logits are NaN or infinite",
                           (long long)row->item);
        if (r->allowed && !r->allowed[k])
            logits[k] = -INFINITY;
        else if (best == r->classes || logits[k] > logits[best])
            best = k;
    }
    gb_probabilities(logits, r->classes, gb_session_head(r->session)->kind);
    row->clean = row->adversarial = (int32_t)best;
    row->probability = logits[best];
    return 0;
}

// Classifies the next batch; the rows of pictures that are done with it go out.
static int classify(run *r)
{
    int err = 0;
    if (r->job->look && r->job->look(r->job->user))
        return gb_fail(GB_ERR_CANCELLED, "cancelled");
    GB_TRY(gb_loader_next(&r->at, r->loader));
    r->loaded++;
    r->next = 0;
    if (r->job->attack)
        GB_TRY(gb_attack_logits(r->job->attack, r->logits, r->at->images, r->at->count));
    else
        GB_TRY(gb_session_logits(r->session, r->logits, r->at->images, r->at->count));
    for (size_t i = 0; i < r->at->count; i++) {
        gb_eval_row *row = &r->row[i];
        *row = (gb_eval_row){.item = (int64_t)r->at->item[i], .label = r->at->labels[i]};
        if (r->at->error[i]) {
            row->label = -1; // nothing to attack
            GB_TRY(r->job->bad(r->job->user, r->at->item[i], r->at->error[i]));
            continue;
        }
        GB_TRY(see(r, row, r->logits + i * r->classes));
        if (!r->job->attack || row->clean != row->label)
            GB_TRY(r->job->row(r->job->user, row));
    }
fail:
    return err;
}

// --- the attack's stream ---

static int next(void *user, gb_attack_item *item)
{
    run *r = user;
    int err = 0;
    for (;;) {
        while (r->at && r->next < r->at->count) {
            size_t i = r->next++;
            const gb_eval_row *row = &r->row[i];
            if (row->clean != row->label)
                continue;
            r->known[row->item] = *row;
            *item = (gb_attack_item){.number = (size_t)row->item, .label = row->label,
                                     .image = r->at->images + i * r->job->data->pixels};
            return 1;
        }
        if (r->loaded == r->batches)
            return 0;
        GB_TRY(classify(r));
    }
fail:
    return err;
}

static int done(void *user, const gb_attack_item *item, const float *adversarial,
                const gb_attack_result *result)
{
    run *r = user;
    gb_eval_row row = r->known[item->number];
    (void)adversarial;
    row.adversarial = result->predicted;
    row.robust = !result->success;
    row.robust_8bit = !(result->success && result->success_8bit);
    row.iterations = result->iterations;
    row.zero_gradients = result->zero_gradients;
    row.linf = (float)result->linf;
    row.l2 = (float)result->l2;
    return r->job->row(r->job->user, &row);
}

static int look(void *user, int step, int steps)
{
    const run *r = user;
    (void)step;
    (void)steps;
    return r->job->look && r->job->look(r->job->user);
}

// --- the run ---

static int prepare(run *r)
{
    const gb_eval_job *job = r->job;
    int err = 0;
    r->session = job->attack ? gb_attack_session(job->attack) : job->session;
    r->classes = (size_t)gb_session_classes(r->session);
    r->batch = (size_t)gb_session_batch(r->session);
    if (job->data->pixels != (size_t)gb_session_pixels(r->session) ||
        (size_t)job->data->classes > r->classes)
        return gb_fail(GB_ERR_ARG, "%s: pictures of %zu numbers and %d classes, but the model has "
                                   "%lld and %zu", job->data->spec, job->data->pixels,
                       job->data->classes, (long long)gb_session_pixels(r->session), r->classes);
    if (job->attack && job->data_classes)
        return gb_fail(GB_ERR_ARG, "an attack is judged by all classes of the model");
    const gb_loader_options options = {.batch = r->batch, .items = job->item, .count = job->count,
                                       .keep_going = job->bad != NULL};
    GB_TRY(gb_loader_open(&r->loader, job->data, &options));
    r->batches = gb_loader_batches(r->loader);
    r->logits = calloc(r->batch * r->classes, sizeof *r->logits);
    r->row = calloc(r->batch, sizeof *r->row);
    if (job->data_classes)
        r->allowed = calloc(r->classes, sizeof *r->allowed);
    if (job->attack)
        r->known = calloc(job->data->count, sizeof *r->known);
    if (!r->logits || !r->row || (job->attack && !r->known) || (job->data_classes && !r->allowed)) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu pictures", r->batch);
        goto fail;
    }
    for (size_t i = 0; r->allowed && i < job->data->count; i++)
        r->allowed[job->data->label[i]] = true;
fail:
    return err;
}

int gb_eval_run(const gb_eval_job *job)
{
    run r = {.job = job};
    const gb_attack_feed feed = {&r, next, done, look};
    int err = 0;
    if (!job->count)
        return 0;
    GB_TRY(prepare(&r));
    if (job->attack)
        err = gb_attack_stream(job->attack, &feed);
    while (!job->attack && r.loaded < r.batches && err >= 0)
        err = classify(&r);
    if (err == GB_ERR_NUMERIC)
        gb_fail_in(err, "%s", job->data->spec);
fail:
    gb_loader_free(r.loader);
    free(r.logits);
    free(r.row);
    free(r.allowed);
    free(r.known);
    return err;
}
