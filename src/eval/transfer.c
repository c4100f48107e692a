// Attacks each model and shows what comes of it to all of them.
#include "eval/transfer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    gb_transfer *out;
    gb_attack *const *attack;
    const gb_dataset *ds;
    const gb_transfer_options *options;
    size_t n, classes, batch;
    size_t share, batches; // pictures that this rank takes, out of so many batches
    gb_loader *loader;
    gb_arena arena;
    bool *right;   // [n][ds->count]: classified correctly as it is
    float *logits; // (batch, classes)
    size_t source;
    // Where the source's pictures come from, and how many of the share have been passed.
    const gb_batch *from;
    size_t at, left, passed; // left: in that batch
    // Adversarial examples that wait to be shown to the other models.
    float *waiting;  // (batch, pixels)
    size_t *number;  // [batch]: their pictures
    size_t n_waiting;
} run;

static bool *right(run *r, size_t model, size_t picture)
{
    return &r->right[model * r->ds->count + picture];
}

// Sets (*seen)[i] for `count` pictures.
static int classify(run *r, int *seen, size_t model, const float *images, size_t count)
{
    int err = gb_attack_logits(r->attack[model], r->logits, images, count);
    for (size_t i = 0; i < count && err == 0; i++) {
        const float *row = r->logits + i * r->classes;
        for (size_t k = 0; k < r->classes; k++)
            if (!isfinite(row[k]))
                return gb_fail(GB_ERR_NUMERIC, "%s: its logits are NaN or infinite",
                               r->options->name[model]);
        seen[i] = gb_argmax(row, r->classes);
    }
    return err;
}

static int look(run *r)
{
    if (r->options->look &&
        r->options->look(r->options->user, r->source, r->passed, r->share))
        return gb_fail(GB_ERR_CANCELLED, "interrupted");
    return 0;
}

static size_t ranks_of(const run *r)
{
    return r->options->ranks && r->options->ranks->size ? (size_t)r->options->ranks->size : 1;
}

// How many of a batch's pictures are among those drawn.
static size_t drawn(const run *r, const gb_batch *b)
{
    const size_t at = b->index * r->batch * ranks_of(r) + b->start;
    const size_t left = at < r->out->images ? r->out->images - at : 0;
    return b->count < left ? b->count : left;
}

// The pictures of the set as they are, in the loader's order.
static int classify_clean(run *r)
{
    int err = 0, *seen = gb_arena_array(&r->arena, r->batch, sizeof *seen);
    if (!seen)
        return GB_ERR_NOMEM;
    r->source = r->n;
    r->passed = 0;
    for (size_t k = 0; k < r->batches; k++) {
        const gb_batch *b;
        GB_TRY(look(r));
        GB_TRY(gb_loader_next(&b, r->loader));
        const size_t count = drawn(r, b);
        for (size_t m = 0; m < r->n; m++) {
            GB_TRY(classify(r, seen, m, b->images, count));
            for (size_t i = 0; i < count; i++) {
                *right(r, m, b->item[i]) = seen[i] == b->labels[i];
                r->out->correct[m] += seen[i] == b->labels[i];
            }
        }
        r->passed += count;
    }
fail:
    return err;
}

static int show(run *r)
{
    int err = 0, *seen = NULL;
    if (r->n_waiting == 0)
        return 0;
    seen = calloc(r->n_waiting, sizeof *seen);
    if (!seen)
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu pictures", r->n_waiting);
    for (size_t m = 0; m < r->n; m++) {
        const size_t pair = r->source * r->n + m;
        GB_TRY(classify(r, seen, m, r->waiting, r->n_waiting));
        for (size_t i = 0; i < r->n_waiting; i++) {
            const size_t picture = r->number[i];
            if (!*right(r, m, picture))
                continue;
            r->out->both[pair]++;
            r->out->fooled[pair] += seen[i] != r->ds->label[picture];
        }
    }
    r->n_waiting = 0;
fail:
    free(seen);
    return err;
}

// The next picture that the source gets right.
static int next(void *user, gb_attack_item *item)
{
    run *r = user;
    int err = 0;
    for (; r->passed < r->share; r->passed++) {
        while (r->at == r->left) {
            GB_TRY(gb_loader_next(&r->from, r->loader));
            r->at = 0;
            r->left = drawn(r, r->from);
        }
        const size_t i = r->at++, picture = r->from->item[i];
        if (!*right(r, r->source, picture))
            continue;
        *item = (gb_attack_item){.number = picture, .image = r->from->images + i * r->ds->pixels,
                                 .label = r->from->labels[i]};
        r->passed++;
        return 1;
    }
fail:
    return err;
}

static int done(void *user, const gb_attack_item *item, const float *adversarial,
                const gb_attack_result *result)
{
    run *r = user;
    (void)result;
    memcpy(r->waiting + r->n_waiting * r->ds->pixels, adversarial,
           r->ds->pixels * sizeof *adversarial);
    r->number[r->n_waiting++] = item->number;
    return r->n_waiting == r->batch ? show(r) : 0;
}

static int on_look(void *user, int step, int steps)
{
    run *r = user;
    (void)step;
    (void)steps;
    return r->options->look ? r->options->look(r->options->user, r->source, r->passed,
                                               r->share)
                            : 0;
}

static int attack_source(run *r, size_t source)
{
    const gb_attack_feed feed = {.user = r, .next = next, .done = done, .look = on_look};
    int err = 0;
    r->source = source;
    r->at = r->left = r->passed = r->n_waiting = 0;
    GB_TRY(gb_loader_seek(r->loader, 0, 0));
    err = gb_attack_stream(r->attack[source], &feed);
    if (err == GB_ERR_CANCELLED)
        return gb_fail(err, "interrupted at picture %zu of %zu, against %s", r->passed,
                       r->share, r->options->name[source]);
    if (err < 0)
        return gb_fail_in(err, "%s", r->options->name[source]);
    err = show(r);
fail:
    return err;
}

static int check_models(run *r)
{
    r->classes = (size_t)gb_session_classes(gb_attack_session(r->attack[0]));
    for (size_t m = 0; m < r->n; m++) {
        gb_session *s = gb_attack_session(r->attack[m]);
        const size_t classes = (size_t)gb_session_classes(s), batch = (size_t)gb_session_batch(s);
        if (classes != r->classes || (size_t)r->ds->classes > classes)
            return gb_fail(GB_ERR_ARG, "%s: has %zu classes, %s %zu and the data %d",
                           r->options->name[m], classes, r->options->name[0], r->classes,
                           r->ds->classes);
        if ((size_t)gb_session_pixels(s) != r->ds->pixels)
            return gb_fail(GB_ERR_ARG, "%s: takes %zu values a picture where %zu come",
                           r->options->name[m], (size_t)gb_session_pixels(s), r->ds->pixels);
        r->batch = batch > r->batch ? batch : r->batch;
    }
    return 0;
}

static int allocate(run *r)
{
    const size_t limit = r->options->limit;
    gb_transfer *t = r->out;
    t->models = r->n;
    t->images = limit && limit < r->ds->count ? limit : r->ds->count;
    t->correct = calloc(r->n, sizeof *t->correct);
    t->both = calloc(r->n * r->n, sizeof *t->both);
    t->fooled = calloc(r->n * r->n, sizeof *t->fooled);
    r->right = gb_arena_array(&r->arena, r->n * r->ds->count, sizeof *r->right);
    r->logits = gb_arena_array(&r->arena, r->batch * r->classes, sizeof *r->logits);
    r->waiting = gb_arena_array(&r->arena, r->batch * r->ds->pixels, sizeof *r->waiting);
    r->number = gb_arena_array(&r->arena, r->batch, sizeof *r->number);
    if (!t->correct || !t->both || !t->fooled)
        return gb_fail(GB_ERR_NOMEM, "out of memory for %zu models", r->n);
    return r->right && r->logits && r->waiting && r->number ? 0 : GB_ERR_NOMEM;
}

// Of the pictures drawn, this rank's.
static int open_loader(run *r)
{
    const gb_ranks *ranks = r->options->ranks;
    const size_t size = ranks_of(r), rank = ranks ? (size_t)ranks->rank : 0;
    const size_t whole = r->batch * size, images = r->out->images;
    const gb_loader_options order = {.batch = whole, .seed = r->options->seed, .rank = (int)rank,
                                     .ranks = (int)size, .shuffle = images < r->ds->count};
    r->batches = (images + whole - 1) / whole;
    for (size_t k = 0; k < r->batches; k++) {
        const size_t left = r->ds->count - k * whole, full = left < whole ? left : whole;
        const size_t start = full * rank / size;
        r->share += drawn(r, &(gb_batch){.index = k, .start = start,
                                         .count = full * (rank + 1) / size - start});
    }
    return gb_loader_open(&r->loader, r->ds, &order);
}

int gb_transfer_run(gb_transfer *out, gb_attack *const *attack, size_t n, const gb_dataset *ds,
                    const gb_transfer_options *options)
{
    run r = {.out = out, .attack = attack, .ds = ds, .options = options, .n = n};
    int err = 0;
    *out = (gb_transfer){0};
    GB_TRY(check_models(&r));
    GB_TRY(allocate(&r));
    GB_TRY(open_loader(&r));
    GB_TRY(classify_clean(&r));
    for (size_t source = 0; source < n; source++)
        GB_TRY(attack_source(&r, source));
fail:
    gb_loader_free(r.loader);
    gb_arena_finish(&r.arena);
    if (err < 0)
        gb_transfer_finish(out);
    return err;
}

static int join(const gb_ranks *ranks, size_t *counts, size_t n)
{
    int err = 0;
    for (size_t i = 0; i < n && err >= 0; i++) {
        float count = (float)counts[i]; // exact up to 2^24
        err = gb_ranks_sum(ranks, &count, 1);
        counts[i] = (size_t)count;
    }
    return err;
}

int gb_transfer_join(gb_transfer *t, const gb_ranks *ranks)
{
    int err = 0;
    GB_TRY(join(ranks, t->correct, t->models));
    GB_TRY(join(ranks, t->both, t->models * t->models));
    GB_TRY(join(ranks, t->fooled, t->models * t->models));
fail:
    return err;
}

void gb_transfer_finish(gb_transfer *t)
{
    free(t->correct);
    free(t->both);
    free(t->fooled);
    *t = (gb_transfer){0};
}
