// Which of a model's outputs holds the classes.
#include "classifier/classifier.h"

#include "base/name.h"
#include "engine/instance.h"
#include "op/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 }; // outputs that are compared

typedef struct candidate {
    gb_value *value;
    int64_t classes;   // -1: open
    bool shaped;       // its shape is known
    bool list;         // it may be a list of classes for each picture
    bool probability;  // it ends in a softmax or sigmoid
    int name;          // 1: it sounds like classes, -1: like features, 0: like neither
    bool *from;        // [n_value]: what it is computed from
} candidate;

// --- what is known of one ---

static bool is_one_of(const char *type, const char *const *types)
{
    for (; *types; types++)
        if (strcmp(type, *types) == 0)
            return true;
    return false;
}

// Marks what the output is computed from. False: from an operator that gibbon does not have.
static bool trace(candidate *c, const gb_graph *g)
{
    bool runs = true;
    c->from[c->value->id] = true;
    for (size_t i = g->n_node; i-- > 0;) {
        const gb_node *node = g->node[i];
        bool needed = false;
        for (int k = 0; k < node->n_out; k++)
            needed |= node->out[k] && c->from[node->out[k]->id];
        for (int k = 0; needed && k < node->n_in; k++)
            if (node->in[k])
                c->from[node->in[k]->id] = true;
        runs &= !needed || gb_node_supported(node);
    }
    return runs;
}

static bool reads_input(const candidate *c, const gb_graph *g)
{
    for (size_t i = 0; i < g->n_in; i++)
        if (c->from[g->in[i]->id])
            return true;
    return false;
}

static bool ends_in_probabilities(const gb_value *v)
{
    static const char *const moves[] = {"Identity", "Cast", "Reshape", "Flatten", "Squeeze",
                                        "Unsqueeze", "Transpose", "Clip", NULL};
    static const char *const ends[] = {"Softmax", "LogSoftmax", "Sigmoid", NULL};
    const gb_node *node = v->producer;
    for (int i = 0; i < 16 && node && is_one_of(node->type, moves) && node->n_in && node->in[0];
         i++)
        node = node->in[0]->producer;
    return node && is_one_of(node->type, ends);
}

static bool holds_word(const char *name, const char *word)
{
    for (; *name; name++)
        if (gb_begins_with(name, word))
            return true;
    return false;
}

static int judge_name(const char *name)
{
    static const char *const classes[] = {"logit", "prob", "class", "softmax", "score", "predict",
                                          "label", NULL};
    static const char *const features[] = {"feat", "embed", "hidden", "pool", "repr", "aux", NULL};
    for (const char *const *w = features; *w; w++)
        if (holds_word(name, *w))
            return -1;
    for (const char *const *w = classes; *w; w++)
        if (holds_word(name, *w))
            return 1;
    return 0;
}

// A list of numbers for each picture: [N,K], or with ones beside K.
static void read_shape(candidate *c, const gb_shape *s)
{
    int wide = 0;
    c->shaped = s->rank > 0;
    c->classes = 1;
    for (int d = 1; d < s->rank; d++) {
        wide += s->dim[d] != 1;
        c->classes = s->dim[d] != 1 ? s->dim[d] : c->classes;
    }
    if (s->rank == 1)
        c->classes = s->dim[0];
    c->list = wide <= 1;
}

// --- choosing ---

// Keeps those that `good` is true of, where there are some.
static size_t keep(candidate *c, size_t n, bool (*good)(const candidate *, const void *),
                   const void *user)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        kept += good(&c[i], user);
    if (!kept)
        return n;
    kept = 0;
    for (size_t i = 0; i < n; i++) {
        candidate swap = c[i];
        if (!good(&swap, user))
            continue;
        c[i] = c[kept];
        c[kept++] = swap;
    }
    return kept;
}

static bool is_list(const candidate *c, const void *user)
{
    (void)user;
    return c->list;
}

static bool has_classes(const candidate *c, const void *user)
{
    return c->classes == *(const int64_t *)user;
}

static bool is_probability(const candidate *c, const void *user)
{
    (void)user;
    return c->probability;
}

static bool sounds_right(const candidate *c, const void *user)
{
    return c->name >= *(const int *)user;
}

// Nothing else in the list is computed from it.
static size_t keep_last(candidate *c, size_t n)
{
    for (size_t i = 0; i < n && n > 1;) {
        bool inner = false;
        for (size_t k = 0; k < n; k++)
            inner |= k != i && c[k].from[c[i].value->id];
        if (!inner) {
            i++;
            continue;
        }
        candidate swap = c[i];
        memmove(c + i, c + i + 1, (n - i - 1) * sizeof *c);
        c[--n] = swap;
    }
    return n;
}

static int ambiguous(const gb_graph *g, const char *why)
{
    char list[600] = "", shape[160];
    size_t used = 0;
    for (size_t i = 0; i < g->n_out && i < 8 && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s'%.60s' of %s", i ? ", " : "",
                                 g->out[i]->name,
                                 gb_shape_text(shape, sizeof shape, &g->out[i]->shape));
    return gb_fail(GB_ERR_UNSUPPORTED, "%s of the outputs %s%s holds the classes: say it with "
                   "--output NAME, and for a map of them --classes AXIS", why, list,
                   g->n_out > 8 ? " and more" : "");
}

static int choose(gb_value **out, candidate *c, size_t n, const gb_graph *g, size_t names)
{
    const int64_t wanted = (int64_t)names;
    const int good = 1, neutral = 0;
    size_t lists = 0;
    for (size_t i = 0; i < n; i++)
        lists += c[i].list;
    if (!lists)
        return ambiguous(g, "none");
    n = keep(c, n, is_list, NULL);
    if (names)
        n = keep(c, n, has_classes, &wanted);
    n = keep(c, n, is_probability, NULL);
    n = keep_last(c, n);
    n = keep(c, n, sounds_right, &good);
    n = keep(c, n, sounds_right, &neutral);
    for (size_t i = 1; i < n; i++)
        if (c[i].classes != c[0].classes)
            return ambiguous(g, "it is not clear which");
    for (size_t i = g->n_out; i-- > 0;) // of alike ones the first: by custom the main head
        for (size_t k = 0; k < n; k++)
            *out = g->out[i] == c[k].value ? c[k].value : *out;
    return 0;
}

// Shapes that the file does not declare, by inference where the input's size is known.
static void infer_shapes(candidate *c, size_t n, const gb_graph *g)
{
    gb_graph *instance = NULL;
    bool known = true;
    for (size_t i = 0; i < n; i++)
        known &= c[i].shaped;
    if (known || gb_graph_instantiate(&instance, g, 0, NULL, 0) < 0)
        return;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < g->n_out; k++)
            if (g->out[k] == c[i].value)
                read_shape(&c[i], &instance->out[k]->shape);
    gb_graph_free(instance);
}

static int take(gb_graph *g, gb_value *output)
{
    size_t kept = 0;
    g->out[0] = output;
    g->n_out = 1;
    int err = gb_graph_prune(g);
    for (size_t i = 0; i < g->n_in; i++) // an input that only other outputs read
        if (g->in[i]->uses || g->n_in == 1)
            g->in[kept++] = g->in[i];
    g->n_in = kept;
    return err;
}

static int find(gb_value **out, gb_graph *g, const gb_classifier_options *o)
{
    candidate *c = calloc(MOST, sizeof *c);
    size_t n = 0;
    int err = c ? 0 : gb_fail(GB_ERR_NOMEM, "out of memory");
    GB_TRY(err);
    for (size_t i = 0; i < g->n_out && n < MOST; i++) {
        c[n] = (candidate){.value = g->out[i], .name = judge_name(g->out[i]->name)};
        if (!(c[n].from = gb_arena_array(&g->arena, g->n_value + 1, sizeof(bool)))) {
            err = GB_ERR_NOMEM;
            goto fail;
        }
        c[n].probability = ends_in_probabilities(c[n].value);
        read_shape(&c[n], &c[n].value->shape);
        if (c[n].value->type == GB_F32 && trace(&c[n], g) && reads_input(&c[n], g))
            n++;
    }
    if (!n) { // whatever is missing in the first one is said then
        *out = g->out[0];
        goto fail;
    }
    infer_shapes(c, n, g);
    err = n == 1 ? 0 : choose(out, c, n, g, o->names);
    if (n == 1)
        *out = c[0].value;
fail:
    free(c);
    return err;
}

int gb_choose_output(gb_classifier *c, gb_graph *g, const gb_classifier_options *o)
{
    gb_value *output = g->out[0];
    size_t count = g->n_out;
    char list[400] = "";
    int err = 0;
    if (o->output) {
        output = NULL;
        for (size_t i = 0, used = 0; i < count; i++) {
            output = strcmp(g->out[i]->name, o->output) == 0 ? g->out[i] : output;
            if (used < sizeof list)
                used += (size_t)snprintf(list + used, sizeof list - used, "%s'%.60s'",
                                         i ? ", " : "", g->out[i]->name);
        }
        if (!output)
            return gb_fail(GB_ERR_ARG, "the model has no output '%.100s'; it has %s", o->output,
                           list);
    } else if (count > 1) {
        GB_TRY(find(&output, g, o));
        snprintf(c->output, sizeof c->output, "output '%.100s', of %zu, holds the classes "
                 "[assumed; --output chooses another]", output->name, count);
    }
    GB_TRY(take(g, output));
fail:
    return err;
}

int gb_classifier_open(gb_classifier *out, gb_graph *model, const gb_classifier_options *o)
{
    char names[400] = "";
    int err = 0;
    *out = (gb_classifier){.batched = true};
    GB_TRY(gb_choose_output(out, model, o));
    if (model->n_in != 1) {
        for (size_t i = 0, used = 0; i < model->n_in && used < sizeof names; i++)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s'%.60s'", i ? ", " : "",
                                     model->in[i]->name);
        return gb_fail(GB_ERR_UNSUPPORTED, "a classifier of pictures has one input; this model has "
                       "%zu%s%s (gibbon run takes any model)", model->n_in,
                       model->n_in ? ": " : "", names);
    }
    GB_TRY(gb_adapt_input(out, model, o));
fail:
    return err;
}
