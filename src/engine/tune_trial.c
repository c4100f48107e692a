// Trials of the tuner: one layer alone, in every way, compared with the plain GEMM and timed.
#include "base/number.h"
#include "base/rng.h"
#include "engine/internal.h"
#include "engine/tune.h"
#include "op/product.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROUNDS = 5, MOST_ROUNDS = 30, MOST_WAYS = 24, DUEL_ROUNDS = 20 };

static const double worth_timing = 0.02; // seconds of a way's runs together
static const double worth_choosing = 0.97; // of the usual way's time
// Of the largest magnitude, as in the self-test. A chosen way stays within this of the plain GEMM.
static const double tolerance = 1e-5;

typedef struct layer { // of the model: a key, and a node whose launches have it
    const char *key;
    const gb_node *node;
    bool backward;
    int place; // among the node's tunable launches of that direction
    int launches;
} layer;

typedef struct trial {
    gb_session *s;
    float *result; // what the layer computes: the output, or the gradients of the inputs
    char way[64];
    double seconds;
} trial;

typedef struct bench {
    const gb_tune_options *o;
    gb_device *dev;
    FILE *lines;
    const layer *layer;
    gb_graph *graph; // the layer's node alone
    const char *key; // of the layer in that graph
    trial reference, usual, best;
} bench;

static void trial_free(trial *t)
{
    gb_session_free(t->s);
    free(t->result);
    *t = (trial){0};
}

// --- running ---

static void fill(float *x, int64_t count, uint32_t stream)
{
    for (int64_t i = 0; i < count; i++) {
        gb_philox r = gb_philox4x32((gb_philox){{(uint32_t)i, stream, 0, 0}}, 1, 2);
        x[i] = 2 * gb_uniform(r.v[0]) - 1;
    }
}

static int upload(gb_session *s, const gb_io *io, uint32_t stream)
{
    int64_t count = gb_shape_count(&io->shape);
    float *data = malloc((size_t)count * sizeof *data + 1);
    if (!data)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a layer's input");
    fill(data, count, stream);
    int err = gb_session_upload(s, io, data);
    free(data);
    return err;
}

static bool is_tried(const gb_launch *l, const char *key)
{
    return l->key && !strcmp(l->key, key);
}

// Not a copy or an epilogue that one way needs and another one does not: its time counts, but it is
// no layer.
static bool is_layer(const gb_launch *l)
{
    return l->key && l->node && l->flops > 0;
}

// A session of the layer alone, computed that way (NULL: the usual one), run once.
static int trial_make(trial *t, const bench *b, const char *way)
{
    gb_choice entry = {(char *)b->key, (char *)way};
    const gb_choices choices = {&entry, way ? 1 : 0};
    const gb_session_options options = {.batch = 0, .grad = true, .choices = &choices,
                                        .seed = b->graph->out[0]->name, .chunk = INT64_MAX};
    int err = 0;
    GB_TRY(gb_session_create(&t->s, b->dev, b->graph, &options));
    for (size_t i = 0; b->key && i < t->s->emit.n_launch; i++)
        if (is_tried(t->s->emit.launch[i], b->key))
            snprintf(t->way, sizeof t->way, "%s", t->s->emit.launch[i]->way);
    for (size_t i = 0; i < gb_session_inputs(t->s); i++)
        GB_TRY(upload(t->s, gb_session_input(t->s, i), (uint32_t)i));
    GB_TRY(upload(t->s, gb_session_seed(t->s), 99));
fail:
    return err;
}

// The tensors of a result, in turn; NULL behind the last one.
static const gb_io *result_part(const trial *t, const bench *b, size_t i)
{
    if (b->layer->backward)
        return i < gb_session_inputs(t->s) ? gb_session_grad(t->s, i) : NULL;
    return i == 0 ? gb_session_output(t->s, 0) : NULL;
}

static int trial_run(trial *t, const bench *b)
{
    const gb_io *io;
    size_t count = 0;
    int err = 0;
    for (size_t i = 0; (io = result_part(t, b, i)); i++)
        count += (size_t)gb_shape_count(&io->shape);
    t->result = malloc(count * sizeof *t->result + 1);
    if (!t->result)
        return gb_fail(GB_ERR_NOMEM, "out of memory for a layer's result");
    GB_TRY(gb_session_gradient(t->s));
    float *to = t->result;
    for (size_t i = 0; (io = result_part(t, b, i)); i++, to += gb_shape_count(&io->shape))
        GB_TRY(gb_session_download(t->s, io, to));
fail:
    return err;
}

static int trial_time(trial *t, const bench *b, int least, double enough)
{
    double sum = 0;
    int err = 0;
    for (int round = 0; round < MOST_ROUNDS && (round < least || sum < enough); round++) {
        double seconds = 0;
        GB_TRY(gb_device_profile(b->dev, true));
        GB_TRY(gb_session_gradient(t->s));
        GB_TRY(gb_device_finish(b->dev));
        for (size_t i = 0; i < t->s->emit.n_launch; i++)
            if (is_tried(t->s->emit.launch[i], b->key))
                seconds += gb_kernel_seconds(t->s->emit.launch[i]->ready);
        t->seconds = t->seconds == 0 || seconds < t->seconds ? seconds : t->seconds;
        sum += seconds;
    }
fail:
    return err;
}

// The largest difference from the reference, of the largest magnitude in its tensor; infinite for
// NaN.
static double difference(const trial *t, const bench *b)
{
    const float *got = t->result, *expected = b->reference.result;
    const gb_io *io;
    double worst = 0;
    for (size_t p = 0; (io = result_part(t, b, p)); p++) {
        const size_t count = (size_t)gb_shape_count(&io->shape);
        double most = 0, largest = 0;
        for (size_t i = 0; i < count; i++) {
            double d = fabs((double)got[i] - expected[i]);
            if (!isfinite(d))
                return INFINITY;
            most = fmax(most, d);
            largest = fmax(largest, fabs(expected[i]));
        }
        worst = fmax(worst, largest > 0 ? most / largest : most);
        got += count;
        expected += count;
    }
    return worst;
}

// --- one layer ---

static bool was_rejected(const gb_tune_result *so_far, const char *key, const char *way)
{
    for (size_t i = 0; i < so_far->n_rejected; i++)
        if (!strcmp(so_far->rejected[i].key, key) && !strcmp(so_far->rejected[i].way, way))
            return true;
    return false;
}

static void tell_wrong(const bench *b, const char *way, const char *why)
{
    fprintf(b->lines, "wrong\t%s\t%s\t%s\n", b->layer->key, way, why);
}

// Tries a way; a better one than the best becomes that. A failure rejects the way, not the layer.
static void try_way(bench *b, const char *way)
{
    trial t = {0};
    char why[64];
    fprintf(b->lines, "try\t%s\t%s\n", b->layer->key, way);
    if (trial_make(&t, b, way) < 0) {
        tell_wrong(b, way, gb_last_error());
    } else if (!strcmp(t.way, way) && strcmp(t.way, b->usual.way)) { // else it does not apply here
        if (trial_run(&t, b) < 0 || trial_time(&t, b, LEAST_ROUNDS, worth_timing) < 0) {
            tell_wrong(b, way, gb_last_error());
        } else if (difference(&t, b) > tolerance) {
            gb_format(why, sizeof why, "differs by %.2g", difference(&t, b));
            tell_wrong(b, way, why);
        } else if (!b->best.s || t.seconds < b->best.seconds) {
            trial_free(&b->best);
            b->best = t;
            t = (trial){0};
        }
    }
    trial_free(&t);
}

// The key that the layer has in its own graph: where dimension 0 is not the batch, another one.
static int find_key(bench *b)
{
    trial t = {0};
    int place = 0;
    int err = trial_make(&t, b, NULL);
    for (size_t i = 0; err == 0 && i < t.s->emit.n_launch && !b->key; i++) {
        const gb_launch *l = t.s->emit.launch[i];
        if (is_layer(l) && l->backward == b->layer->backward && place++ == b->layer->place)
            b->key = gb_arena_strdup(&b->graph->arena, l->key);
    }
    trial_free(&t);
    return err < 0 ? err
           : b->key ? 0 : gb_fail(GB_ERR_UNSUPPORTED, "the layer cannot be computed alone");
}

// What could compute the layer; where a way does not apply, another one is taken, and it is seen.
static size_t list_ways(const char *ways[MOST_WAYS], const bench *b)
{
    static const char *const convolution[] = {"winograd 2", "winograd 4", NULL};
    const gb_device_info *info = gb_device_get_info(b->dev);
    const bool product = strstr(b->layer->key, "product") != NULL;
    const char *const *const lists[] = {product ? gb_product_ways(info) : convolution,
                                        product ? NULL : gb_gathered_ways(info)};
    size_t count = 0;
    for (size_t i = 0; i < GB_COUNT(lists); i++)
        for (const char *const *way = lists[i]; way && *way && count < MOST_WAYS - 1; way++)
            ways[count++] = *way;
    ways[count++] = GB_WAY_CLBLAST;
    return count;
}

static int tune_layer(bench *b, const gb_tune_result *so_far)
{
    const char *ways[MOST_WAYS];
    int err = 0;
    const size_t n_ways = list_ways(ways, b);
    if (was_rejected(so_far, b->layer->key, "usual"))
        return 0;
    fprintf(b->lines, "try\t%s\tusual\n", b->layer->key);
    GB_TRY(gb_tune_graph(&b->graph, b->layer->node));
    GB_TRY(find_key(b));
    // Any way but Winograd's and CLBlast's is our GEMM, with the usual tile where the words name
    // none.
    GB_TRY(trial_make(&b->reference, b, "gemm"));
    GB_TRY(trial_run(&b->reference, b));
    GB_TRY(trial_make(&b->usual, b, NULL));
    GB_TRY(trial_run(&b->usual, b));
    GB_TRY(trial_time(&b->usual, b, LEAST_ROUNDS, worth_timing));
    for (size_t i = 0; i < n_ways; i++)
        if (!was_rejected(so_far, b->layer->key, ways[i]))
            try_way(b, ways[i]);
    // The first and the best once more, in turns: what else the machine does hits both. Only this
    // counts: it may have been twice as fast for one of them before.
    if (b->best.s)
        b->usual.seconds = b->best.seconds = 0;
    for (int i = 0; i < DUEL_ROUNDS && b->best.s; i++) {
        GB_TRY(trial_time(&b->usual, b, 1, 0));
        GB_TRY(trial_time(&b->best, b, 1, 0));
    }
    const bool won = b->best.s && b->best.seconds < worth_choosing * b->usual.seconds;
    const trial *winner = won ? &b->best : &b->usual;
    gb_print(b->lines, "best\t%s\t%s\t%.9g\t%s\t%.9g\n", b->layer->key, winner->way,
             1e3 * winner->seconds, b->usual.way, 1e3 * b->usual.seconds);
fail:
    if (err < 0)
        tell_wrong(b, "usual", gb_last_error());
    trial_free(&b->reference);
    trial_free(&b->usual);
    trial_free(&b->best);
    gb_graph_free(b->graph);
    b->graph = NULL;
    b->key = NULL;
    return 0;
}

// --- the model's layers ---

static size_t find_layers(layer *list, const gb_session *s)
{
    size_t count = 0;
    const gb_launch *before = NULL;
    int place = 0;
    for (size_t i = 0; i < s->emit.n_launch; i++) {
        const gb_launch *l = s->emit.launch[i];
        size_t at = 0;
        if (!is_layer(l))
            continue;
        bool same = before && before->node == l->node && before->backward == l->backward;
        place = same ? place + 1 : 0;
        before = l;
        while (at < count && strcmp(list[at].key, l->key) != 0)
            at++;
        if (at == count)
            list[count++] = (layer){l->key, l->node, l->backward, place, 0};
        list[at].launches++;
    }
    return count;
}

static bool is_done(const gb_tune_options *o, const gb_tune_result *so_far,
                    const gb_tuned_list *known, const char *key)
{
    for (size_t i = 0; i < so_far->count; i++)
        if (so_far->layer[i].tuned.way && !strcmp(so_far->layer[i].tuned.key, key))
            return true;
    for (size_t i = 0; i < known->count && !o->again; i++)
        if (!strcmp(known->entry[i].key, key))
            return true;
    return false;
}

int gb_tune_trials(const gb_tune_options *o, const gb_tune_result *so_far, bool first, FILE *lines)
{
    const gb_choices none = {0};
    gb_device *dev = NULL;
    gb_session *whole = NULL;
    gb_tuned_list known = {0};
    layer *list = NULL;
    char *identity = NULL;
    int err = 0;
    GB_TRY(o->open(&dev, o->user, first));
    GB_TRY(gb_tuned_identity(&identity, dev));
    GB_TRY(gb_tuned_load(&known, identity, NULL));
    if (first)
        fprintf(lines, "database\t%s\n", identity);
    // All of the batch at once, so that layers are measured at that.
    const gb_session_options options = {.batch = o->batch, .grad = true, .choices = &none,
                                        .seed = o->model->out[0]->name, .chunk = INT64_MAX};
    GB_TRY(gb_session_create(&whole, dev, o->model, &options));
    list = calloc(whole->emit.n_launch + 1, sizeof *list);
    if (!list) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for the layers");
        goto fail;
    }
    size_t count = find_layers(list, whole);
    for (size_t i = 0; i < count && first; i++)
        fprintf(lines, "layer\t%s\t%d\n", list[i].key, list[i].launches);
    for (size_t i = 0; i < count; i++) {
        bench b = {.o = o, .dev = dev, .lines = lines, .layer = &list[i]};
        if (!is_done(o, so_far, &known, list[i].key))
            GB_TRY(tune_layer(&b, so_far));
    }
fail:
    if (err < 0)
        fprintf(lines, "error\t%d\t%s\n", err, gb_last_error());
    free(list);
    free(identity);
    gb_tuned_free(&known);
    gb_session_free(whole);
    gb_device_close(dev);
    return err;
}
