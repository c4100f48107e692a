// The run of an attack over a stream of images: those that rest make room for new ones, so that the
// device always works on full batches.
//
// An image's walk depends on nothing but the image (see cl/attack.cl), so neither its place, nor
// its neighbours, nor when somebody looks changes a bit of the result.
#include "attack/internal.h"
#include "attack/quantize.h"
#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// An image on its way: waiting to be walked once more, in a place, or waiting to be verified.
typedef struct entry {
    struct entry *next;
    gb_attack_item item;
    uint32_t id;
    bool early;      // rests at its first success
    float *x0, *x;   // [pixels] each, behind the entry: as it came, and what came of it
    int64_t ticks;   // since it got its place
    gb_attack_result result;
} entry;

typedef struct queue { // first in, first out
    entry *first, *last;
    size_t count;
} queue;

typedef struct run {
    gb_attack *a;
    const gb_attack_feed *feed;
    entry **place; // [batch]; NULL: empty
    size_t used;   // places that are not
    queue unverified, again, spare; // to be rounded; to be walked to the end; memory for reuse
    bool ended;    // no image will follow
    int error;     // of an image that turned out bad; the run goes on without it
    char message[512];
    size_t bad;    // its number
    double looked; // seconds
    int64_t wait, stride; // ticks until the next look, and between looks
} run;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void push(queue *q, entry *e)
{
    e->next = NULL;
    if (q->last)
        q->last->next = e;
    else
        q->first = e;
    q->last = e;
    q->count++;
}

static entry *pop(queue *q)
{
    entry *e = q->first;
    if (!e)
        return NULL;
    q->first = e->next;
    if (!q->first)
        q->last = NULL;
    q->count--;
    return e;
}

static void empty(queue *q)
{
    for (entry *e; (e = pop(q));)
        free(e);
}

// --- images come in ---

static int fail_item(int status, const gb_attack_item *item, const char *what)
{
    if (item->name)
        return gb_fail(status, "%s: %s", item->name, what);
    return gb_fail(status, "image %zu: %s", item->number, what);
}

int gb_attack_check(const gb_attack *a, const gb_attack_item *item)
{
    int classes = (int)gb_session_classes(a->session);
    char what[96];
    if (item->label < 0 || item->label >= classes) {
        snprintf(what, sizeof what, "class %d is outside 0 to %d", item->label, classes - 1);
        return fail_item(GB_ERR_ARG, item, what);
    }
    if (a->config.loss == GB_LOSS_PAIR && (item->source < 0 || item->source >= classes)) {
        snprintf(what, sizeof what, "class to leave %d is outside 0 to %d", item->source,
                 classes - 1);
        return fail_item(GB_ERR_ARG, item, what);
    }
    for (size_t k = 0; k < a->pixels; k++) {
        if (!(item->image[k] >= 0.0f && item->image[k] <= 1.0f)) {
            gb_format(what, sizeof what, "holds %g, but pixels are in [0,1], not normalised",
                      (double)item->image[k]);
            return fail_item(GB_ERR_ARG, item, what);
        }
    }
    return 0;
}

// The next image to walk, *out NULL where there is none at this time.
static int take(run *r, entry **out)
{
    size_t pixels = r->a->pixels;
    gb_attack_item item = {0};
    *out = pop(&r->again);
    if (*out || r->ended || r->error)
        return 0;
    int err = r->feed->next(r->feed->user, &item);
    r->ended = err == 0;
    if (err <= 0)
        return err;
    entry *e = pop(&r->spare);
    if (!e && !(e = malloc(sizeof *e + 2 * pixels * sizeof *e->x)))
        return gb_fail(GB_ERR_NOMEM, "out of memory for an image of %zu numbers", pixels);
    float *room = (float *)(e + 1);
    *e = (entry){.item = item, .x0 = room, .x = room + pixels,
                 .early = r->a->config.early_stop};
    memcpy(e->x0, item.image, pixels * sizeof *e->x0);
    e->item.image = e->x0;
    e->id = item.id ? *item.id : gb_image_id(e->x0, pixels);
    e->item.id = &e->id;
    *out = e;
    return 0;
}

static int fill_places(run *r)
{
    gb_attack *a = r->a;
    int err = 0;
    for (size_t i = 0; i < a->batch && r->used < a->batch; i++) {
        entry *e = NULL;
        if (r->place[i])
            continue;
        GB_TRY(take(r, &e));
        if (!e)
            break;
        r->place[i] = e;
        r->used++;
        e->ticks = 0;
        GB_TRY(gb_steps_load(a->steps, i, e->x0, e->item.label, e->item.source, e->id,
                             e->early));
    }
fail:
    return err;
}

// --- and go out ---

static int hand_out(run *r, entry *e)
{
    int err = r->feed->done(r->feed->user, &e->item, e->x, &e->result);
    push(&r->spare, e);
    return err < 0 ? err : 0;
}

// Does the success outlive rounding to 8 bits? One of the first moment may not: then the same walk
// goes to its end after all, deeper into the wrong class.
static int verify(run *r)
{
    gb_attack *a = r->a;
    size_t classes = (size_t)gb_session_classes(a->session), n = r->unverified.count, i = 0;
    float *logits = malloc(n * classes * sizeof *logits);
    float *rounded = malloc(n * a->pixels * sizeof *rounded);
    uint8_t *pixels = malloc(a->pixels);
    int err = 0;
    if (!logits || !rounded || !pixels) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu images", n);
        goto fail;
    }
    for (entry *e = r->unverified.first; e; e = e->next, i++) {
        for (size_t k = 0; k < a->pixels; k++)
            pixels[k] = (uint8_t)(e->x0[k] * 255.0f + 0.5f);
        GB_TRY(gb_quantize(pixels, e->x, pixels, a->pixels, a->config.norm,
                           gb_attack_radius(&a->config)));
        for (size_t k = 0; k < a->pixels; k++)
            rounded[i * a->pixels + k] = (float)pixels[k] / 255.0f;
    }
    GB_TRY(gb_steps_logits(a->steps, logits, rounded, n));
    for (i = 0; i < n; i++) {
        entry *e = pop(&r->unverified);
        bool is_label = gb_argmax(logits + i * classes, classes) == e->item.label;
        e->result.success_8bit = is_label == !!a->config.targeted;
        if (e->result.success_8bit || !e->early) {
            GB_TRY(hand_out(r, e));
        } else {
            e->early = false;
            push(&r->again, e);
        }
    }
fail:
    free(logits);
    free(rounded);
    free(pixels);
    return err;
}

// The image in a place has come to rest.
static int finish(run *r, size_t i, const gb_image_state *s)
{
    gb_attack *a = r->a;
    entry *e = r->place[i];
    int err = 0;
    r->place[i] = NULL;
    r->used--;
    if (s->bad) {
        if (!r->error || e->item.number < r->bad) {
            r->bad = e->item.number;
            r->error = fail_item(GB_ERR_NUMERIC, &e->item, "NaN or infinity in the "
                                           "model's logits, loss or gradient");
            snprintf(r->message, sizeof r->message, "%s", gb_last_error());
        }
        push(&r->spare, e);
        return 0;
    }
    GB_TRY(gb_steps_result(a->steps, i, e->x));
    e->result = (gb_attack_result){.done = 1, .label = e->item.label, .success = s->success,
                                   .predicted = s->predicted, .iterations = s->steps,
                                   .zero_gradients = s->zero,
                                   .loss = a->config.targeted ? -s->best : s->best};
    gb_distance(&e->result.linf, &e->result.l2, e->x, e->x0, a->pixels);
    if (!a->config.eight_bit || !s->success)
        return hand_out(r, e);
    push(&r->unverified, e);
    return 0;
fail:
    free(e);
    return err;
}

// Collects what rests, and tells how far it is.
static int look(run *r)
{
    gb_attack *a = r->a;
    const gb_image_state *state;
    int64_t most = 0, period = a->config.steps + 1;
    int err = 0, stopped = 0;
    GB_TRY(gb_steps_look(a->steps, &state));
    for (size_t i = 0; i < a->batch; i++) {
        if (r->place[i] && state[i].frozen)
            GB_TRY(finish(r, i, &state[i]));
        else if (r->place[i] && r->place[i]->ticks > most)
            most = r->place[i]->ticks;
    }
    // Full batches here, too; but at the end, what fails must not wait for places to fall empty.
    bool few = r->ended && !r->again.count && r->used < a->batch;
    if (r->unverified.count >= a->batch || (r->unverified.count && few))
        GB_TRY(verify(r));
    if (r->feed->look)
        stopped = r->feed->look(r->feed->user, (int)(most - most / period),
                                a->config.steps * a->config.restarts);
    if (stopped) {
        if (r->unverified.count)
            GB_TRY(verify(r));
        return gb_fail(GB_ERR_CANCELLED, "cancelled");
    }
    // Looking empties the queue, some tens of microseconds: a fast device is looked at less often.
    double t = now();
    r->stride = t - r->looked < 1e-3 && r->stride < 8 ? 2 * r->stride : r->stride;
    r->wait = r->stride;
    r->looked = t;
fail:
    return err;
}

// One gradient and step for every place, or a last judgement where that is all that is wanted.
static int tick(run *r)
{
    gb_attack *a = r->a;
    int64_t period = a->config.steps + 1, total = period * a->config.restarts, left = total;
    bool start = false, gradient = false;
    int err = 0;
    for (size_t i = 0; i < a->batch; i++) {
        if (!r->place[i])
            continue;
        int64_t at = r->place[i]->ticks++ % period;
        start |= at == 0;
        gradient |= at < a->config.steps;
        if (total - r->place[i]->ticks < left)
            left = total - r->place[i]->ticks;
    }
    if (start)
        GB_TRY(gb_steps_start(a->steps));
    if (gradient) {
        GB_TRY(gb_steps_gradient(a->steps));
        GB_TRY(a->method->move(a->steps));
    } else {
        GB_TRY(gb_steps_forward(a->steps));
    }
    if (--r->wait <= 0 || left == 0) // 0: some image surely rests
        return look(r);
    return gb_device_flush(gb_session_device(a->session));
fail:
    return err;
}

int gb_attack_stream(gb_attack *a, const gb_attack_feed *feed)
{
    run r = {.a = a, .feed = feed, .wait = 1, .stride = 1};
    int err = 0;
    r.place = calloc(a->batch, sizeof *r.place);
    if (!r.place)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a batch of %zu images", a->batch);
    gb_steps_clear(a->steps);
    r.looked = now();
    for (;;) {
        GB_TRY(fill_places(&r));
        if (r.used)
            GB_TRY(tick(&r));
        else if (r.unverified.count)
            GB_TRY(verify(&r));
        else if (!r.again.count)
            break;
    }
    if (r.error)
        err = gb_fail(r.error, "%s", r.message);
fail:
    for (size_t i = 0; i < a->batch; i++)
        free(r.place[i]);
    free(r.place);
    empty(&r.unverified);
    empty(&r.again);
    empty(&r.spare);
    return err;
}
