// Finds the logits behind a classifier's output.
#include "engine/scores.h"

#include "base/name.h"
#include "op/infer.h"
#include "op/op.h"
#include "op/pack.h"
#include "op/reduce.h"
#include "op/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum {
    MAX_CHAIN = 32,
    MOST = 4096, // nodes looked at
    OPSET = 13   // whose forms the nodes made here have
};

const char *const gb_scores_names[] = {"find",          "logits",   "log-probabilities",
                                       "probabilities", "sigmoids", NULL};

int gb_scores_find(gb_scores *out, const char *name)
{
    int found = name ? gb_name_among("scores", name, gb_scores_names) : 0;
    *out = (gb_scores)(GB_SCORES_FIND + (found < 0 ? 0 : found));
    return found < 0 ? found : 0;
}

static bool is(const gb_node *node, const char *type)
{
    return node && strcmp(node->type, type) == 0;
}

static bool is_one_of(const gb_node *node, const char *const *types)
{
    for (; *types; types++)
        if (is(node, *types))
            return true;
    return false;
}

// The producer of node's input i if it is of that type, else NULL.
static gb_node *source(const gb_node *node, int i, const char *type)
{
    gb_value *v = node ? gb_input(node, i) : NULL;
    return v && is(v->producer, type) ? v->producer : NULL;
}

// A constant whose elements are all alike.
static bool scalar(double *out, const gb_value *v)
{
    int64_t count = v && v->data && v->type == GB_F32 ? gb_shape_count(&v->shape) : 0;
    if (count < 1)
        return false;
    *out = gb_tensor_get(v->data, 0);
    for (int64_t i = 1; i < count; i++)
        if (gb_tensor_get(v->data, i) != *out)
            return false;
    return true;
}

static bool is_scalar(const gb_value *v, double wanted)
{
    double x;
    return scalar(&x, v) && fabs(x - wanted) < 1e-6;
}

// The operand of a two-sided node that is no such constant; NULL where neither is one.
static gb_value *beside(const gb_node *node, double constant)
{
    for (int i = 0; node && node->n_in == 2 && i < 2; i++)
        if (is_scalar(node->in[i], constant))
            return node->in[1 - i];
    return NULL;
}

// --- what exporters and frameworks write for softmax and sigmoid ---

// The numbers of one image that a softmax normalises together are all that it has.
static bool spans_image(const gb_node *softmax)
{
    gb_softmax s;
    const gb_shape *shape = &softmax->in[0]->shape;
    return gb_softmax_read(softmax, &s) == 0 &&
           s.count * softmax->graph->batch == gb_shape_count(shape);
}

// exp(x) / sum(exp(x)), x perhaps less its maximum: the x, or NULL.
static gb_value *softmax_in_parts(const gb_node *node)
{
    gb_node *inverse = source(node, 1, "Reciprocal"), *sum, *most;
    bool mul = is(node, "Mul") && inverse;
    if (!mul && !is(node, "Div"))
        return NULL;
    sum = mul ? source(inverse, 0, "ReduceSum") : source(node, 1, "ReduceSum");
    gb_node *exp = source(node, 0, "Exp");
    if (!sum || !exp || sum->in[0] != node->in[0] ||
        gb_shape_count(&sum->out[0]->shape) != node->graph->batch)
        return NULL;
    gb_node *sub = source(exp, 0, "Sub");
    most = sub ? source(sub, 1, "ReduceMax") : NULL;
    return most && most->in[0] == sub->in[0] ? sub->in[0] : exp->in[0];
}

// 1 / (1 + exp(-x)): the x, or NULL.
static gb_value *sigmoid_in_parts(const gb_node *node)
{
    bool div = is(node, "Div") && node->n_in == 2 && is_scalar(node->in[0], 1);
    gb_node *sum = is(node, "Reciprocal") ? source(node, 0, "Add")
                   : div                  ? source(node, 1, "Add")
                                          : NULL;
    gb_value *e = beside(sum, 1);
    gb_node *exp = e && is(e->producer, "Exp") ? e->producer : NULL;
    gb_node *neg = source(exp, 0, "Neg");
    return neg ? neg->in[0] : beside(source(exp, 0, "Mul"), -1);
}

// --- from the output back to the softmax or sigmoid ---

typedef struct tail {
    gb_node *softmax;        // NULL where it is written in parts, or a sigmoid
    gb_value *logits;        // what the softmax or sigmoid reads
    bool sigmoid, log;       // log: the output holds logarithms
    bool dressed;            // by more than changes of its shape
    bool part;               // some of the classes are left out
    int n;                   // nodes that the logits take in place of what they took before
    gb_node *move[MAX_CHAIN]; // the output's first
} tail;

// True if the node leaves probabilities what they are but for a factor that all share.
static bool keeps(const gb_node *node)
{
    double v = 0, most = INFINITY;
    if (is(node, "Identity") || is(node, "Dropout") || is(node, "Relu"))
        return true;
    if (is(node, "Cast"))
        return node->out[0]->type == GB_F32 && node->in[0]->type == GB_F32;
    if (is(node, "Mul"))
        return (scalar(&v, node->in[1]) || scalar(&v, node->in[0])) && v > 0;
    if (is(node, "Div"))
        return scalar(&v, node->in[1]) && v > 0;
    if (is(node, "Add")) // against a logarithm of 0
        return (scalar(&v, node->in[1]) || scalar(&v, node->in[0])) && fabs(v) < 1e-3;
    if (!is(node, "Clip") && !is(node, "Max") && !is(node, "Min"))
        return false;
    if (is(node, "Clip")) {
        float lo = -FLT_MAX, hi = FLT_MAX;
        if (gb_arg_float(node, "min", 1, lo, &lo) < 0 || gb_arg_float(node, "max", 2, hi, &hi) < 0)
            return false;
        v = (double)lo;
        most = (double)hi;
    } else if (node->n_in != 2 || (!scalar(&v, node->in[1]) && !scalar(&v, node->in[0]))) {
        return false;
    } else if (is(node, "Min")) {
        most = v;
        v = 0;
    }
    return v < 1e-2 && most > 1 - 1e-2;
}

// The operand that carries the data of a node that keeps() lets pass.
static gb_value *data_of(const gb_node *node)
{
    return node->in[0]->data ? node->in[1] : node->in[0];
}

static const char *const reshapes[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", NULL};
static const char *const moves[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
                                    "Slice",   "Gather",  "Split",   NULL};

// Follows the output back through what only moves, scales or clips probabilities.
static bool find_tail(tail *t, gb_value *output)
{
    gb_value *v = output;
    bool scaled = false; // after the logarithm, where that would be another model
    *t = (tail){0};
    for (int steps = 0; steps < 4 * MAX_CHAIN; steps++) {
        gb_node *node = v->producer;
        if (!node || node->n_in < 1 || !node->in[0])
            return false;
        if (is(node, "Softmax") || is(node, "LogSoftmax")) {
            bool log = is(node, "LogSoftmax");
            t->softmax = node;
            t->logits = node->in[0];
            if (!spans_image(node) || (log && (scaled || t->log)))
                return false;
            t->log |= log;
            return true;
        }
        t->sigmoid = true;
        t->logits = is(node, "Sigmoid") ? node->in[0] : sigmoid_in_parts(node);
        if (t->logits)
            return true;
        t->sigmoid = false;
        if ((t->logits = softmax_in_parts(node)))
            return true;
        if (is(node, "Log") && !t->log && !scaled) {
            t->log = true;
            v = node->in[0];
        } else if (keeps(node)) {
            t->dressed = true;
            scaled |= !is(node, "Identity") && !is(node, "Cast") && !is(node, "Dropout");
            v = data_of(node);
        } else if (is_one_of(node, moves) && t->n < MAX_CHAIN) {
            t->dressed |= !is_one_of(node, reshapes);
            t->part |= gb_shape_count(&v->shape) != gb_shape_count(&node->in[0]->shape);
            t->move[t->n++] = node;
            v = node->in[0];
        } else {
            return false;
        }
    }
    return false;
}

// The sum of an image's numbers, if the graph shows that they are probabilities or sums of several
// lists of them; else -1. budget: how many nodes may still be looked at.
static double total(const gb_value *v, int *budget);

// Of Add, Sum, Mean and Concat.
static double total_of_all(const gb_node *node, int *budget)
{
    double sum = 0;
    for (int i = 0; i < node->n_in; i++) {
        bool whole = is(node, "Concat") ||
                     gb_shape_equal(&node->in[i]->shape, &node->out[0]->shape); // none counts twice
        double part = whole ? total(node->in[i], budget) : -1;
        if (part < 0)
            return -1;
        sum += part;
    }
    return is(node, "Mean") ? sum / node->n_in : sum;
}

// True of weights that share each class out among other classes, nothing lost and nothing added.
static bool shares_out(const gb_value *weights)
{
    const gb_tensor *w = weights->data;
    if (!w || w->shape.rank != 2)
        return false;
    for (int64_t k = 0; k < w->shape.dim[0]; k++) {
        double row = 0;
        for (int64_t n = 0; n < w->shape.dim[1]; n++) {
            double x = gb_tensor_get(w, k * w->shape.dim[1] + n);
            row += x >= 0 ? x : NAN;
        }
        if (!(fabs(row - 1) < 1e-3))
            return false;
    }
    return true;
}

static double total(const gb_value *v, int *budget)
{
    const gb_node *node = v->producer;
    double by;
    gb_softmax s;
    gb_reduce r;
    if (!node || node->n_in < 1 || !node->in[0] || --*budget < 0)
        return -1;
    if (is(node, "Softmax"))
        return gb_softmax_read(node, &s) == 0
                   ? (double)(s.outer * s.inner) / (double)node->graph->batch : -1;
    if (softmax_in_parts(node))
        return 1;
    if (is(node, "Mul") || is(node, "Div")) {
        bool second = scalar(&by, node->in[1]);
        if ((!second && (is(node, "Div") || !scalar(&by, node->in[0]))) || by <= 0)
            return -1;
        double sum = total(node->in[!second], budget);
        return sum < 0 ? -1 : is(node, "Mul") ? sum * by : sum / by;
    }
    bool moved = is_one_of(node, moves) &&
                 gb_shape_count(&node->in[0]->shape) == gb_shape_count(&v->shape);
    if (moved || keeps(node))
        return total(data_of(node), budget);
    if (is(node, "Add") || is(node, "Sum") || is(node, "Mean") || is(node, "Concat"))
        return total_of_all(node, budget);
    if (is(node, "MatMul"))
        return shares_out(node->in[1]) ? total(node->in[0], budget) : -1;
    bool mean = is(node, "GlobalAveragePool") || is(node, "ReduceMean");
    if (!mean && !is(node, "ReduceSum"))
        return -1;
    double sum = total(node->in[0], budget), count = 1;
    if (is(node, "GlobalAveragePool"))
        count = (double)gb_shape_count(&node->in[0]->shape) / (double)gb_shape_count(&v->shape);
    else if (gb_reduce_read(node, &r) == 0)
        count = (double)r.count;
    else
        return -1;
    return sum < 0 || !mean ? sum : sum / count;
}

static const char *const passed[] = {
    "Identity", "Cast", "Dropout", "Add", "Sub", "Mul", "Div", "Sum", "Mean", "Concat", "Neg",
    "BatchNormalization", "LayerNormalization", "GlobalAveragePool", "AveragePool", "MaxPool",
    "GlobalMaxPool", "ReduceMean", "ReduceSum", "ReduceMax", "Relu", "LeakyRelu", "PRelu", NULL};

// True if the output is a layer's, whatever is added or averaged afterwards: logits.
static bool is_plain(const gb_value *v, int *budget)
{
    const gb_node *node = v->producer;
    if (!node || v->data)
        return true;
    if (--*budget < 0)
        return false;
    if ((is(node, "Conv") || is(node, "Gemm") || is(node, "MatMul")) && node->n_in > 1 &&
        gb_is_weight(node->in[1]))
        return total(node->in[0], budget) < 0;
    if (!is_one_of(node, passed) && !is_one_of(node, moves))
        return false;
    // A quotient of two values that the picture decides may be a normalisation.
    if (is(node, "Div") && node->n_in == 2 && node->in[1]->producer)
        return false;
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && node->in[i]->type == GB_F32 && !is_plain(node->in[i], budget))
            return false;
    return true;
}

// p and 1 - p joined, p a sigmoid: its logit, and which of the two p is; NULL: something else.
static gb_value *find_pair(gb_value *output, int *positive)
{
    gb_node *node = output->producer;
    tail t;
    while (node && (is_one_of(node, moves) || keeps(node)) &&
           gb_shape_count(&node->out[0]->shape) == gb_shape_count(&data_of(node)->shape))
        node = data_of(node)->producer;
    if (!is(node, "Concat") || node->n_in != 2)
        return NULL;
    for (int i = 0; i < 2; i++) {
        gb_node *rest = source(node, 1 - i, "Sub");
        *positive = i;
        if (rest && is_scalar(rest->in[0], 1) && rest->in[1] == node->in[i] &&
            gb_shape_count(&node->in[i]->shape) == node->graph->batch &&
            find_tail(&t, node->in[i]) && t.sigmoid && !t.log)
            return t.logits;
    }
    return NULL;
}

// --- new nodes at the end of the graph ---

static gb_value *constant(gb_graph *g, const gb_shape *shape, gb_dtype type, const double *v)
{
    gb_tensor *t = gb_tensor_create(&g->arena, type, shape);
    for (int64_t i = 0; t && i < gb_shape_count(shape); i++)
        gb_tensor_set(t, i, v[i]);
    return t ? gb_graph_constant(g, "scores", t) : NULL;
}

static gb_value *number(gb_graph *g, double v)
{
    return constant(g, &(gb_shape){0}, GB_F32, &v);
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
static int take_tail(gb_value **out, gb_graph *g, const tail *t)
{
    gb_value *v = t->logits;
    int err = 0;
    if (t->part && t->softmax) // what is left out counts in the softmax all the same
        GB_TRY(append(&v, g, "LogSoftmax", v, NULL, t->softmax));
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
    gb_value *to = constant(g, &(gb_shape){.rank = 1, .dim = {2}}, GB_I64, rows);
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
    gb_value *weights = constant(g, &(gb_shape){.rank = 2, .dim = {1, 2}}, GB_F32, w);
    return weights ? append(v, g, "MatMul", *v, weights, NULL) : GB_ERR_NOMEM;
}

// --- the whole ---

// What the output is by the graph; *v becomes its scores, of any shape.
static int find_scores(gb_head *head, gb_value **v, int *positive, gb_graph *g)
{
    tail t;
    int budget = MOST, err = 0;
    gb_value *pair = find_pair(*v, positive);
    if (pair) {
        *v = pair;
        GB_TRY(as_rows(v, g));
        head->holds = GB_SCORES_PROBABILITIES;
        head->binary = true;
        head->how = "a sigmoid and its complement; the logit is attacked";
    } else if (find_tail(&t, *v)) {
        bool bare = t.softmax && !t.dressed;
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
    } else if (is((*v)->producer, "HardSigmoid")) {
        GB_TRY(append_logit(v, g, *v));
        head->kind = head->holds = GB_SCORES_SIGMOIDS;
        head->how = "a hard sigmoid for each class (a multi-label model, judged by its largest)";
    } else if (budget = MOST, fabs(total(*v, &budget) - 1) < 1e-3) {
        GB_TRY(append_log(v, g, *v));
        head->kind = GB_SCORES_LOG_PROBABILITIES;
        head->holds = GB_SCORES_PROBABILITIES;
        head->how = "a mixture of softmaxes; the logarithms of its probabilities are attacked";
    } else {
        budget = MOST;
        head->unsure = !is_plain(*v, &budget);
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
                      .output = g->out[0]->name};
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
