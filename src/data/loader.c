// Batches for training: shuffled, augmented, and filled by a thread while the device computes.
#include "data/data.h"

#include "base/rng.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The second and third counter words tell the streams and epochs apart.
enum { STREAM_ORDER = 0x0DDE, STREAM_AUGMENT = 0xA069 };

typedef struct slot {
    gb_batch batch;
    int err;
    char message[1024];
} slot;

struct gb_loader {
    const gb_dataset *ds;
    gb_loader_options o;
    size_t n, batches; // pictures used, batches of an epoch
    gb_arena arena;
    // The thread's own: the order of an epoch's pictures, and room for one before augmentation.
    size_t *order, ordered; // order is that of epoch `ordered` - 1; 0: of none
    size_t *items;          // [n]: those of the options, or NULL
    float *scratch;
    // The ring, guarded by the mutex: slot i % slots holds batch i, counted from the last seek.
    slot *ring;
    size_t slots, filled, taken, first; // first: the batch since epoch 0 that i = 0 stands for
    bool running, stop;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t change;
};

static gb_philox draw(const gb_loader *l, uint32_t stream, size_t epoch, size_t i)
{
    const gb_philox ctr = {{(uint32_t)i, (uint32_t)epoch, stream, (uint32_t)((uint64_t)i >> 32)}};
    return gb_philox4x32(ctr, (uint32_t)l->o.seed, (uint32_t)(l->o.seed >> 32));
}

// A number below n out of 64 random bits; the bias is n / 2^64.
static size_t below(gb_philox r, size_t n)
{
    return (size_t)(((unsigned __int128)((uint64_t)r.v[0] << 32 | r.v[1]) * n) >> 64);
}

// Fisher and Yates' shuffle, in Durstenfeld's form.
static void shuffle(gb_loader *l, size_t epoch)
{
    for (size_t i = 0; i < l->n; i++)
        l->order[i] = l->items ? l->items[i] : l->o.first + i;
    for (size_t i = l->n; l->o.shuffle && i-- > 1;) {
        const size_t k = below(draw(l, STREAM_ORDER, epoch, i), i + 1), other = l->order[k];
        l->order[k] = l->order[i];
        l->order[i] = other;
    }
    l->ordered = epoch + 1;
}

// The picture moved by (dx,dy) over black, then mirrored.
static void crop(float *out, const float *in, const gb_dataset *ds, int dx, int dy, bool mirror)
{
    for (int c = 0; c < ds->channels; c++) {
        const float *plane = in + (size_t)c * (size_t)ds->height * (size_t)ds->width;
        for (int y = 0; y < ds->height; y++) {
            const int sy = y + dy;
            const float *row = plane + (ptrdiff_t)sy * ds->width;
            for (int x = 0; x < ds->width; x++) {
                const int sx = (mirror ? ds->width - 1 - x : x) + dx;
                const bool inside = sy >= 0 && sy < ds->height && sx >= 0 && sx < ds->width;
                *out++ = inside ? row[sx] : 0.0f;
            }
        }
    }
}

static int read_one(gb_loader *l, float *out, int *label, size_t epoch, size_t item)
{
    if (!l->o.pad && !l->o.flip)
        return gb_dataset_read(l->ds, item, out, label);
    int err = gb_dataset_read(l->ds, item, l->scratch, label);
    if (err < 0)
        return err;
    const gb_philox r = draw(l, STREAM_AUGMENT, epoch, item);
    const uint64_t places = 2 * (uint64_t)l->o.pad + 1;
    crop(out, l->scratch, l->ds, (int)(r.v[0] * places >> 32) - l->o.pad,
         (int)(r.v[1] * places >> 32) - l->o.pad, l->o.flip && r.v[2] >> 31);
    return 0;
}

static int fill(gb_loader *l, gb_batch *b, size_t number)
{
    const size_t ranks = (size_t)l->o.ranks, rank = (size_t)l->o.rank, pixels = l->ds->pixels;
    b->epoch = number / l->batches;
    b->index = number % l->batches;
    const size_t at = b->index * l->o.batch, left = l->n - at;
    b->whole = left < l->o.batch ? left : l->o.batch;
    b->start = b->whole * rank / ranks;
    b->count = b->whole * (rank + 1) / ranks - b->start;
    if (l->ordered != b->epoch + 1)
        shuffle(l, b->epoch);
    for (size_t i = 0; i < b->count; i++) {
        b->item[i] = l->order[at + b->start + i];
        int err = read_one(l, b->images + i * pixels, &b->labels[i], b->epoch, b->item[i]);
        free(b->error[i]);
        b->error[i] = NULL;
        if (err < 0 && l->o.keep_going) {
            memset(b->images + i * pixels, 0, pixels * sizeof *b->images);
            b->labels[i] = l->ds->label[b->item[i]];
            b->error[i] = strdup(gb_last_error());
            err = b->error[i] ? 0 : err;
        }
        if (err < 0)
            return err;
    }
    const size_t rest = b->capacity - b->count;
    memset(b->images + b->count * pixels, 0, rest * pixels * sizeof *b->images);
    memset(b->labels + b->count, 0, rest * sizeof *b->labels);
    memset(b->item + b->count, 0, rest * sizeof *b->item);
    return 0;
}

// Fills slots while one is free; the one that gb_loader_next handed out last is not.
static void *work(void *loader)
{
    gb_loader *l = loader;
    int err = 0;
    pthread_mutex_lock(&l->mutex);
    while (!l->stop && err == 0) {
        if (l->filled - (l->taken ? l->taken - 1 : 0) >= l->slots) {
            pthread_cond_wait(&l->change, &l->mutex);
            continue;
        }
        slot *s = &l->ring[l->filled % l->slots];
        const size_t number = l->first + l->filled;
        pthread_mutex_unlock(&l->mutex);
        s->err = err = fill(l, &s->batch, number);
        if (err < 0)
            snprintf(s->message, sizeof s->message, "%s", gb_last_error());
        pthread_mutex_lock(&l->mutex);
        l->filled++;
        pthread_cond_broadcast(&l->change);
    }
    pthread_mutex_unlock(&l->mutex);
    return NULL;
}

static void stop(gb_loader *l)
{
    if (!l->running)
        return;
    pthread_mutex_lock(&l->mutex);
    l->stop = true;
    pthread_cond_broadcast(&l->change);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    l->running = l->stop = false;
}

void gb_loader_free(gb_loader *l)
{
    if (!l)
        return;
    stop(l);
    for (size_t i = 0; l->ring && i < l->slots; i++)
        for (size_t k = 0; l->ring[i].batch.error && k < l->ring[i].batch.capacity; k++)
            free(l->ring[i].batch.error[k]);
    pthread_cond_destroy(&l->change);
    pthread_mutex_destroy(&l->mutex);
    gb_arena_finish(&l->arena);
    free(l);
}

static int allocate(gb_loader *l)
{
    const size_t ranks = (size_t)l->o.ranks, capacity = (l->o.batch + ranks - 1) / ranks;
    size_t floats;
    if (!gb_mul_size(&floats, capacity, l->ds->pixels))
        return gb_fail(GB_ERR_NOMEM, "out of memory for batches of %zu pictures", l->o.batch);
    l->order = gb_arena_array(&l->arena, l->n, sizeof *l->order);
    l->scratch = gb_arena_array(&l->arena, l->ds->pixels, sizeof *l->scratch);
    l->ring = gb_arena_array(&l->arena, l->slots, sizeof *l->ring);
    if (!l->order || !l->scratch || !l->ring)
        return GB_ERR_NOMEM;
    if (l->o.items) {
        l->items = gb_arena_array(&l->arena, l->n, sizeof *l->items);
        if (!l->items)
            return GB_ERR_NOMEM;
        memcpy(l->items, l->o.items, l->n * sizeof *l->items);
    }
    for (size_t i = 0; i < l->slots; i++) {
        gb_batch *b = &l->ring[i].batch;
        b->capacity = capacity;
        b->images = gb_arena_array(&l->arena, floats, sizeof *b->images);
        b->labels = gb_arena_array(&l->arena, capacity, sizeof *b->labels);
        b->item = gb_arena_array(&l->arena, capacity, sizeof *b->item);
        b->error = gb_arena_array(&l->arena, capacity, sizeof *b->error);
        if (!b->images || !b->labels || !b->item || !b->error)
            return GB_ERR_NOMEM;
    }
    return 0;
}

int gb_loader_open(gb_loader **out, const gb_dataset *ds, const gb_loader_options *options)
{
    int err = 0;
    gb_loader_options o = *options;
    *out = NULL;
    o.ranks = o.ranks ? o.ranks : 1;
    o.ahead = o.ahead ? o.ahead : 2;
    if (!o.items) {
        o.first = o.first < ds->count ? o.first : ds->count;
        o.count = o.count && o.count < ds->count - o.first ? o.count : ds->count - o.first;
    }
    if (o.count == 0)
        return gb_fail(GB_ERR_ARG, "%s: has %zu pictures, none from number %zu on", ds->spec,
                       ds->count, options->first);
    if (!o.drop_last && o.batch > o.count)
        o.batch = o.count;
    if (o.batch < 1 || o.pad < 0 || o.ranks < 1 || o.rank < 0 || o.rank >= o.ranks)
        return gb_fail(GB_ERR_ARG, "a batch of %zu pictures, padding of %d pixels, and process %d "
                                   "of %d make no sense", o.batch, o.pad, o.rank, o.ranks);
    if (o.batch < (size_t)o.ranks)
        return gb_fail(GB_ERR_ARG, "a batch of %zu pictures cannot be shared by %d processes",
                       o.batch, o.ranks);
    if (o.pad > ds->height || o.pad > ds->width)
        return gb_fail(GB_ERR_ARG, "padding of %d pixels is more than the pictures' %dx%d", o.pad,
                       ds->height, ds->width);
    if (o.drop_last && o.count < o.batch)
        return gb_fail(GB_ERR_ARG, "%s: has %zu pictures, less than a batch of %zu", ds->spec,
                       o.count, o.batch);
    gb_loader *l = calloc(1, sizeof *l);
    if (!l)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a loader");
    *l = (gb_loader){.ds = ds, .o = o, .n = o.count, .slots = o.ahead + 1};
    l->batches = o.drop_last ? l->n / o.batch : (l->n + o.batch - 1) / o.batch;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->change, NULL);
    GB_TRY(allocate(l));
    *out = l;
    return 0;
fail:
    gb_loader_free(l);
    return err;
}

size_t gb_loader_batches(const gb_loader *l)
{
    return l->batches;
}

int gb_loader_next(const gb_batch **out, gb_loader *l)
{
    *out = NULL;
    if (!l->running && pthread_create(&l->thread, NULL, work, l) != 0)
        return gb_fail(GB_ERR_NOMEM, "cannot start a thread to read pictures");
    l->running = true;
    pthread_mutex_lock(&l->mutex);
    // After a failure no more slots come, and the failed one is given again.
    const slot *last = l->taken ? &l->ring[(l->taken - 1) % l->slots] : NULL;
    if (!last || last->err == 0) {
        l->taken++;
        pthread_cond_broadcast(&l->change);
        while (l->filled < l->taken)
            pthread_cond_wait(&l->change, &l->mutex);
        last = &l->ring[(l->taken - 1) % l->slots];
    }
    pthread_mutex_unlock(&l->mutex);
    if (last->err < 0)
        return gb_fail(last->err, "%s", last->message);
    *out = &last->batch;
    return 0;
}

int gb_loader_seek(gb_loader *l, size_t epoch, size_t index)
{
    if (index >= l->batches)
        return gb_fail(GB_ERR_ARG, "an epoch has %zu batches, no number %zu", l->batches, index);
    stop(l);
    l->first = epoch * l->batches + index;
    l->filled = l->taken = 0;
    return 0;
}
