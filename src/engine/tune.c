// Runs the tuner's trials in child processes and keeps what they find.
#include "base/child.h"
#include "base/number.h"
#include "engine/tune.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_FIELDS = 6, PATIENCE = 10 }; // PATIENCE: setting up may take that many trials' time

typedef struct run {
    const gb_tune_options *o;
    gb_tune_result *r;
    gb_tuned_list known;
    bool first;
    char key[128], way[64]; // being tried
} run;

static int work(void *user, FILE *lines)
{
    run *t = user;
    return gb_tune_trials(t->o, t->r, t->first, lines);
}

static gb_tune_layer *find(gb_tune_result *r, const char *key)
{
    for (size_t i = 0; i < r->count; i++)
        if (!strcmp(r->layer[i].tuned.key, key))
            return &r->layer[i];
    return NULL;
}

static int set_tuned(gb_tune_layer *layer, const gb_tuned *from, bool fresh)
{
    gb_tuned *to = &layer->tuned;
    free(to->way);
    free(to->usual);
    to->way = strdup(from->way);
    to->usual = strdup(from->usual);
    to->ms = from->ms;
    to->usual_ms = from->usual_ms;
    layer->fresh = fresh;
    return to->way && to->usual ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory");
}

static int add_layer(run *t, const char *key, int launches)
{
    gb_tune_result *r = t->r;
    int err = gb_grow(&r->layer, &r->cap_layer, r->count + 1, sizeof *r->layer);
    if (err < 0)
        return err;
    gb_tune_layer *layer = &r->layer[r->count++];
    *layer = (gb_tune_layer){.tuned.key = strdup(key), .launches = launches};
    if (!layer->tuned.key)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    for (size_t i = 0; i < t->known.count && !t->o->again; i++)
        if (!strcmp(t->known.entry[i].key, key))
            return set_tuned(layer, &t->known.entry[i], false);
    return 0;
}

static int reject(run *t, const char *key, const char *way, const char *why)
{
    gb_tune_result *r = t->r;
    int err = gb_grow(&r->rejected, &r->cap_rejected, r->n_rejected + 1, sizeof *r->rejected);
    if (err < 0)
        return err;
    gb_tune_rejected *one = &r->rejected[r->n_rejected++];
    *one = (gb_tune_rejected){strdup(key), strdup(way), strdup(why)};
    return one->key && one->way && one->why ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory");
}

static int open_database(run *t, const char *identity)
{
    int err = gb_tuned_path(&t->r->path, identity);
    if (err < 0)
        return err;
    t->r->identity = strdup(identity);
    if (!t->r->identity)
        return gb_fail(GB_ERR_NOMEM, "out of memory");
    return gb_tuned_load(&t->known, identity, NULL); // the device's sessions warn
}

// Another process may have tuned meanwhile: what it stored is read again first.
static int store(run *t, const gb_tuned *best)
{
    gb_tune_layer *layer = find(t->r, best->key);
    gb_tuned_list now = {0};
    int err = layer ? set_tuned(layer, best, true) : 0;
    if (err == 0)
        err = gb_tuned_load(&now, t->r->identity, NULL);
    if (err == 0)
        err = gb_tuned_put(&now, best);
    if (err == 0)
        err = gb_tuned_save(&now, t->r->identity);
    gb_tuned_free(&now);
    return err;
}

// A line of gb_tune_trials. The error that the child met becomes this process's.
static int hear(run *t, char *line)
{
    char *field[MOST_FIELDS] = {NULL}, *rest = line;
    size_t n = 0;
    while (n < MOST_FIELDS && rest)
        field[n++] = strsep(&rest, "\t");
    if (!strcmp(field[0], "database") && n == 2)
        return open_database(t, field[1]);
    if (!strcmp(field[0], "layer") && n == 3)
        return add_layer(t, field[1], atoi(field[2]));
    if (!strcmp(field[0], "wrong") && n == 4)
        return reject(t, field[1], field[2], field[3]);
    if (!strcmp(field[0], "error") && n == 3)
        return gb_fail(atoi(field[1]), "%s", field[2]);
    if (!strcmp(field[0], "best") && n == 6) {
        *t->way = 0;
        return store(t, &(gb_tuned){.key = field[1], .way = field[2], .usual = field[4],
                                    .ms = gb_number(field[3], NULL),
                                    .usual_ms = gb_number(field[5], NULL)});
    }
    if (!strcmp(field[0], "try") && n == 3) {
        snprintf(t->key, sizeof t->key, "%s", field[1]);
        snprintf(t->way, sizeof t->way, "%s", field[2]);
        if (t->o->progress)
            t->o->progress(t->o->user, t->r, t->key, t->way);
        return 0;
    }
    return gb_fail(GB_ERR_FORMAT, "the tuner's process said '%s'", field[0]);
}

// One child, until it ends: 0: all is done, 1: a way was rejected with it, go on with another.
static int run_child(run *t)
{
    gb_child child = {0};
    char line[1024];
    int err = gb_child_start(&child, work, t);
    *t->way = 0;
    while (err == 0) {
        double limit = *t->way ? t->o->limit : PATIENCE * t->o->limit;
        gb_child_event event = gb_child_next(&child, line, sizeof line, limit, t->o->stop);
        if (event == GB_CHILD_LINE) {
            err = hear(t, line);
            continue;
        }
        if (event == GB_CHILD_DONE)
            break;
        if (event == GB_CHILD_STOPPED)
            err = gb_fail(GB_ERR_CANCELLED, "interrupted");
        else if (!*t->way)
            err = gb_fail(GB_ERR_DEVICE, "the tuner's process %s while it set up",
                          event == GB_CHILD_SILENT ? "hung" : "crashed");
        else
            err = reject(t, t->key, t->way, event == GB_CHILD_SILENT ? "hung" : "crashed");
        if (err == 0)
            err = 1;
    }
    gb_child_stop(&child);
    return err;
}

int gb_tune(gb_tune_result *out, const gb_tune_options *options)
{
    run t = {.o = options, .r = out, .first = true};
    int err;
    *out = (gb_tune_result){0};
    while ((err = run_child(&t)) > 0)
        t.first = false;
    gb_tuned_free(&t.known);
    return err;
}

void gb_tune_result_free(gb_tune_result *r)
{
    for (size_t i = 0; i < r->count; i++) {
        free(r->layer[i].tuned.key);
        free(r->layer[i].tuned.way);
        free(r->layer[i].tuned.usual);
    }
    for (size_t i = 0; i < r->n_rejected; i++) {
        free(r->rejected[i].key);
        free(r->rejected[i].way);
        free(r->rejected[i].why);
    }
    free(r->identity);
    free(r->path);
    free(r->layer);
    free(r->rejected);
    *r = (gb_tune_result){0};
}
