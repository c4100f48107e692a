// Makes a classifier's output scores that a loss reads.
#include "engine/scores.h"

#include "base/name.h"
#include "engine/tail.h"
#include "op/op.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { OPSET = 13 }; // whose forms the nodes made here have

const char *const gb_scores_names[] = {"find",          "logits",   "log-probabilities",
                                       "probabilities", "sigmoids", NULL};

int gb_scores_find(gb_scores *out, const char *name)
{
    int found = name ? gb_name_among("scores", name, gb_scores_names) : 0;
    *out = (gb_scores)(GB_SCORES_FIND + (found < 0 ? 0 : found));
    return found < 0 ? found : 0;
}

// --- new nodes at the end of the graph ---

static gb_value *number(gb_graph *g, double v)
{
    return gb_graph_numbers(g, "scores", GB_F32, &(gb_shape){0}, &v);
}

// *out = type(a, b), b may be NULL; like: the attributes and further inputs are this node's.
static int append(gb_value **out, gb_graph *g, const char *type, gb_value *a, gb_value *b,
                  const gb_node *like)
{
    int n_in = like ? like->n_in : b ? 2 : 1, n_out = like ? like->n_out : 1, err = 0;
    gb_node *node = gb_graph_node(g, type, NULL, n_in, n_out, 0);
    if (!node)
        return GB_ERR_NOMEM;
    node->op = gb_op_find(type);
    node->opset = like ? like->opset : OPSET;
    for (int i = 1; like && i < n_in; i++)
        node->in[i] = like->in[i];
    if (like) {
        node->n_attr = like->n_attr;
        node->attr = like->attr;
    }
    node->in[0] = a;
    if (b)
        node->in[1] = b;
    for (int i = 0; i < n_out; i++) {
        bool asked = !like || like->out[i];
        if (asked && !(node->out[i] = gb_graph_value(g, g->out[0]->name)))
            return GB_ERR_NOMEM;
        if (asked)
            node->out[i]->producer = node;
    }
    GB_TRY(node->op->infer(node));
    *out = node->out[0];
fail:
    return err;
}

// The logits behind a tail, taken the way that the probabilities took.
static int take_tail(gb_value **out, gb_graph *g, const gb_tail *t)
{
    gb_value *v = t->logits;
    int err = 0;
    // Until opset 12 a softmax is over all axes from the given one on: of an image, all numbers.
    static const gb_attr first = {.name = "axis", .kind = GB_ATTR_INT, .i = 1};
    const gb_node whole = {.n_in = 1, .n_out = 1, .opset = 11, .n_attr = 1,
                           .attr = (gb_attr *)&first, .out = g->out};
    if (t->part && !t->sigmoid) // what is left out counts in the softmax all the same
        GB_TRY(append(&v, g, "LogSoftmax", v, NULL, t->softmax ? t->softmax : &whole));
    for (int i = t->n; i-- > 0;) {
        const gb_node *node = t->move[i];
        const gb_value *read = i ? t->move[i - 1]->in[0] : NULL;
        gb_value *made;
        GB_TRY(append(&made, g, node->type, v, NULL, node));
        for (int k = 1; k < node->n_out; k++) // a Split's later part
            if (node->out[k] && (i ? node->out[k] == read : node->out[k] == g->out[0]))
                made = made->producer->out[k];
        v = made;
    }
    *out = v;
fail:
    return err;
}

// The logarithm of probabilities, above that of the smallest number.
static int append_log(gb_value **out, gb_graph *g, gb_value *p)
{
    int err = 0;
    gb_value *least = number(g, (double)FLT_MIN), *safe;
    if (!least)
        return GB_ERR_NOMEM;
    GB_TRY(append(&safe, g, "Clip", p, least, NULL));
    GB_TRY(append(out, g, "Log", safe, NULL, NULL));
fail:
    return err;
}

// log(p) - log(1 - p)
static int append_logit(gb_value **out, gb_graph *g, gb_value *p)
{
    int err = 0;
    gb_value *one = number(g, 1), *rest, *a, *b;
    if (!one)
        return GB_ERR_NOMEM;
    GB_TRY(append(&rest, g, "Sub", one, p, NULL));
    GB_TRY(append_log(&a, g, p));
    GB_TRY(append_log(&b, g, rest));
    GB_TRY(append(out, g, "Sub", a, b, NULL));
fail:
    return err;
}

// --- the shape [N,K] ---

// The other axes of an output whose classes are along one: averaged.
static int average(gb_value **v, gb_graph *g, int axis)
{
    const gb_shape *shape = &(*v)->shape;
    int64_t axes[GB_MAX_RANK];
    size_t n = 0;
    int err = 0;
    if (axis >= shape->rank || axis < 1)
        return gb_fail(GB_ERR_ARG, "--classes %d: output '%.200s' has %d axes, the first of them "
                       "for the batch", axis, (*v)->name, shape->rank);
    for (int d = 1; d < shape->rank; d++)
        if (d != axis)
            axes[n++] = d;
    if (!n)
        return 0;
    gb_node like = {.n_in = 1, .n_out = 1, .opset = OPSET, .out = &g->out[0], .n_attr = 2};
    gb_attr *attr = gb_arena_array(&g->arena, 2, sizeof *attr);
    int64_t *kept = gb_arena_array(&g->arena, n, sizeof *kept);
    if (!attr || !kept)
        return GB_ERR_NOMEM;
    memcpy(kept, axes, n * sizeof *axes);
    attr[0] = (gb_attr){.name = "axes", .kind = GB_ATTR_INTS, .count = n, .ints = kept};
    attr[1] = (gb_attr){.name = "keepdims", .kind = GB_ATTR_INT, .i = 0};
    like.attr = attr;
    GB_TRY(append(v, g, "ReduceMean", *v, NULL, &like));
fail:
    return err;
}

// One number for each class of each image, as [N,K].
static int as_rows(gb_value **v, gb_graph *g)
{
    const gb_shape *shape = &(*v)->shape;
    char text[160];
    int wide = 0, err = 0;
    int64_t count = gb_shape_count(shape);
    bool batched = shape->rank > 0 && shape->dim[0] == g->batch;
    if (!batched && g->batch == 1 && shape->rank < 2)
        batched = true; // an output without the batch: [K], or one number
    else
        for (int d = 1; d < shape->rank; d++)
            wide += shape->dim[d] != 1;
    if (!batched || wide > 1 || count < 1)
        return gb_fail(GB_ERR_UNSUPPORTED, "output '%.200s' of %s is no list of classes for each "
                       "picture (--output NAME chooses another output; --classes AXIS says which "
                       "of its axes counts the classes, and averages over the others)",
                       (*v)->name, gb_shape_text(text, sizeof text, shape));
    if (shape->rank == 2 && batched)
        return 0;
    const double rows[] = {(double)g->batch, (double)(count / g->batch)};
    gb_value *to = gb_graph_numbers(g, "scores", GB_I64, &(gb_shape){.rank = 1, .dim = {2}},
                                    rows);
    if (!to)
        return GB_ERR_NOMEM;
    GB_TRY(append(v, g, "Reshape", *v, to, NULL));
fail:
    return err;
}

// The logits [0, z] of two classes, or with `positive` 0 [z, 0].
static int widen(gb_value **v, gb_graph *g, int positive)
{
    const double w[] = {!positive, positive};
    gb_value *weights =
        gb_graph_numbers(g, "scores", GB_F32, &(gb_shape){.rank = 2, .dim = {1, 2}}, w);
    return weights ? append(v, g, "MatMul", *v, weights, NULL) : GB_ERR_NOMEM;
}

// --- the whole ---

// What the output is by the graph; *v becomes its scores, of any shape.
static int find_scores(gb_head *head, gb_value **v, int *positive, gb_graph *g)
{
    gb_tail t;
    int err = 0;
    gb_value *pair = gb_find_pair(*v, positive);
    if (pair) {
        *v = pair;
        GB_TRY(as_rows(v, g));
        head->holds = GB_SCORES_PROBABILITIES;
        head->binary = true;
        head->how = "a sigmoid and its complement; the logit is attacked";
    } else if (gb_find_tail(&t, *v)) {
        bool bare = t.softmax && !t.dressed;
        if (!t.sigmoid && gb_shape_count(&t.logits->shape) == g->batch)
            return gb_fail(GB_ERR_UNSUPPORTED, "output '%.200s' is a softmax of one number, which "
                           "is always 1", g->out[0]->name);
        GB_TRY(take_tail(v, g, &t));
        head->kind = t.sigmoid ? GB_SCORES_SIGMOIDS : t.part ? GB_SCORES_LOG_PROBABILITIES
                                                             : GB_SCORES_LOGITS;
        head->holds = t.log ? GB_SCORES_LOG_PROBABILITIES : t.sigmoid ? GB_SCORES_SIGMOIDS
                                                                      : GB_SCORES_PROBABILITIES;
        head->how = t.sigmoid ? "a sigmoid for each class (a multi-label model, judged by its "
                                "largest); the logits are attacked"
                    : t.part  ? "some of the classes of a softmax; the logarithms of their "
                                "probabilities are attacked"
                    : bare    ? ""
                              : "probabilities; the logits before the softmax are attacked";
    } else if ((*v)->producer && !strcmp((*v)->producer->type, "HardSigmoid")) {
        GB_TRY(append_logit(v, g, *v));
        head->kind = head->holds = GB_SCORES_SIGMOIDS;
        head->how = "a hard sigmoid for each class (a multi-label model, judged by its largest)";
    } else if (gb_is_distribution(*v)) {
        GB_TRY(append_log(v, g, *v));
        head->kind = GB_SCORES_LOG_PROBABILITIES;
        head->holds = GB_SCORES_PROBABILITIES;
        head->how = "a mixture of softmaxes; the logarithms of its probabilities are attacked";
    } else {
        head->unsure = !gb_is_plain(*v);
    }
fail:
    return err;
}

// What the caller says it is.
static int take_word(gb_head *head, gb_value **v, gb_graph *g, gb_scores scores, bool one)
{
    head->kind = head->holds = scores;
    if (scores == GB_SCORES_SIGMOIDS || (one && scores == GB_SCORES_PROBABILITIES)) {
        head->kind = GB_SCORES_SIGMOIDS;
        return append_logit(v, g, *v);
    }
    if (scores != GB_SCORES_PROBABILITIES)
        return 0;
    head->kind = GB_SCORES_LOG_PROBABILITIES;
    head->how = "probabilities; their logarithms are attacked";
    return append_log(v, g, *v);
}

int gb_pass_scores(gb_head *head, gb_graph *g, gb_scores scores, int class_axis)
{
    gb_value *v = g->out[0], *output;
    int err = 0, positive = 1;
    if (v->type != GB_F32)
        return gb_fail(GB_ERR_UNSUPPORTED, "output '%.200s' holds no scores of classes but whole "
                       "numbers (--output NAME chooses another)", v->name);
    if (class_axis)
        GB_TRY(average(&v, g, class_axis));
    GB_TRY(as_rows(&v, g));
    *head = (gb_head){.kind = GB_SCORES_LOGITS, .holds = GB_SCORES_LOGITS, .how = "",
                      .asked = scores, .output = g->out[0]->name};
    output = v;
    bool one = v->shape.dim[1] == 1;
    if (scores == GB_SCORES_FIND)
        GB_TRY(find_scores(head, &v, &positive, g));
    else
        GB_TRY(take_word(head, &v, g, scores, one));
    if (one) {
        if (head->kind == GB_SCORES_LOG_PROBABILITIES)
            GB_TRY(append_logit(&v, g, output));
        head->how = head->unsure || head->kind == GB_SCORES_LOGITS
                        ? "one number for two classes, class 1 where it is above 0"
                        : "one probability for two classes, class 1 where it is above one half";
        head->binary = true;
        head->kind = GB_SCORES_LOGITS;
        GB_TRY(widen(&v, g, 1));
    } else if (v->shape.dim[1] == 1) { // the logit of a pair
        GB_TRY(widen(&v, g, positive));
    }
    g->out[0] = v;
    GB_TRY(gb_graph_prune(g));
fail:
    return err;
}

void gb_probabilities(float *row, size_t classes, gb_scores kind)
{
    float most = -INFINITY;
    double sum = 0;
    if (kind == GB_SCORES_LOG_PROBABILITIES || kind == GB_SCORES_SIGMOIDS) {
        for (size_t i = 0; i < classes; i++) {
            double e = exp(-fabs((double)row[i]));
            row[i] = (float)(kind == GB_SCORES_LOG_PROBABILITIES ? exp((double)row[i])
                             : row[i] < 0                        ? e / (1 + e)
                                                                 : 1 / (1 + e));
        }
        return;
    }
    for (size_t i = 0; i < classes; i++)
        most = row[i] > most ? row[i] : most;
    for (size_t i = 0; i < classes; i++) {
        double e = exp((double)row[i] - (double)most);
        row[i] = (float)e;
        sum += e;
    }
    for (size_t i = 0; i < classes; i++)
        row[i] = (float)(row[i] / sum);
}
