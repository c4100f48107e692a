// Follows a classifier's output back to its softmax or sigmoid.
#include "engine/tail.h"

#include "op/infer.h"
#include "op/op.h"
#include "op/pack.h"
#include "op/reduce.h"
#include "op/softmax.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { LOOKED_AT = 4096 }; // nodes at most

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
    gb_value *second = gb_input(node, 1);
    return node->in[0]->data && second ? second : node->in[0];
}

static const char *const reshapes[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", NULL};
static const char *const moves[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose",
                                    "Slice",   "Gather",  "Split",   NULL};

// Follows the output back through what only moves, scales or clips probabilities.
bool gb_find_tail(gb_tail *t, gb_value *output)
{
    gb_value *v = output;
    bool scaled = false; // after the logarithm, where that would be another model
    *t = (gb_tail){0};
    for (int steps = 0; steps < 4 * GB_TAIL_MOST; steps++) {
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
        const gb_node *log = source(node, 0, "LogSoftmax"); // exp(log_softmax(x))
        if (is(node, "Exp") && log && spans_image(log)) {
            t->logits = log->in[0];
            return true;
        }
        if (is(node, "Log") && !t->log && !scaled) {
            t->log = true;
            v = node->in[0];
        } else if (keeps(node)) {
            t->dressed = true;
            scaled |= !is(node, "Identity") && !is(node, "Cast") && !is(node, "Dropout");
            v = data_of(node);
        } else if (is_one_of(node, moves) && t->n < GB_TAIL_MOST) {
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
        const gb_value *v = node->in[i];
        bool whole = v && (is(node, "Concat") || // else none may count twice
                           gb_shape_equal(&v->shape, &node->out[0]->shape));
        double part = whole ? total(v, budget) : -1;
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
gb_value *gb_find_pair(gb_value *output, int *positive)
{
    gb_node *node = output->producer;
    gb_tail t;
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
            gb_find_tail(&t, node->in[i]) && t.sigmoid && !t.log)
            return t.logits;
    }
    return NULL;
}

bool gb_is_distribution(const gb_value *output)
{
    int budget = LOOKED_AT;
    return fabs(total(output, &budget) - 1) < 1e-3;
}

bool gb_is_plain(const gb_value *output)
{
    int budget = LOOKED_AT;
    return is_plain(output, &budget);
}
