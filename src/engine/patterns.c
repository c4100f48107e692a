// A small pattern language over the graph, and the table of what it rewrites.
//
// A pattern is an expression: Op(argument, ...) matches a node of that type, a number a constant of
// one element, a lower-case letter any value (the same value each time). Add and Mul match with
// their arguments in either order, Mul by a number also matches Div by its inverse.
#include "engine/patterns.h"

#include "base/number.h"
#include "op/op.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TERMS = 48, MAX_ARGS = 3, MAX_NODES = 32 };

typedef struct rule {
    const char *pattern;
    const char *type;   // the operator that takes its place
    const char *inputs; // its inputs, by letter
    char epsilon;       // the letter of a constant that becomes attribute epsilon, or 0
    const char *approximate;
} rule;

static const rule rules[] = {
    // GELU, x/2 (1 + erf(x / sqrt 2)), by the order of its products
    {"Mul(Mul(x, Add(Erf(Mul(x, 0.70710678)), 1)), 0.5)", "Gelu", "x"},
    {"Mul(x, Mul(Add(Erf(Mul(x, 0.70710678)), 1), 0.5))", "Gelu", "x"},
    {"Mul(Mul(x, 0.5), Add(Erf(Mul(x, 0.70710678)), 1))", "Gelu", "x"},
    // its approximation by tanh
    {"Mul(Mul(x, 0.5), Add(Tanh(Mul(Add(x, Mul(Pow(x, 3), 0.044715)), 0.79788456)), 1))",
     "Gelu", "x", .approximate = "tanh"},
    {"Mul(Mul(x, 0.5), Add(Tanh(Mul(Add(x, Mul(Mul(Mul(x, x), x), 0.044715)), 0.79788456)), 1))",
     "Gelu", "x", .approximate = "tanh"},
    // SiLU, also called Swish
    {"Mul(x, Sigmoid(x))", "Swish", "x"},
    // x relu6(x + 3) / 6
    {"Mul(Mul(x, Clip(Add(x, 3), 0, 6)), 0.16666667)", "HardSwish", "x"},
    {"Mul(x, Mul(Clip(Add(x, 3), 0, 6), 0.16666667))", "HardSwish", "x"},
    // x tanh(softplus(x))
    {"Mul(x, Tanh(Softplus(x)))", "Mish", "x"},
    // LayerNormalization over the last axis
    {"Add(Mul(Div(Sub(x, ReduceMean(x)), Sqrt(Add(ReduceMean(Pow(Sub(x, ReduceMean(x)), 2)), e))), "
     "s), b)", "LayerNormalization", "xsb", .epsilon = 'e'},
    {"Add(Mul(Div(Sub(x, ReduceMean(x)), Sqrt(Add(ReduceMean(Mul(Sub(x, ReduceMean(x)), "
     "Sub(x, ReduceMean(x)))), e))), s), b)", "LayerNormalization", "xsb", .epsilon = 'e'},
};

// --- patterns as trees ---

typedef struct term {
    char op[24];     // "": a letter or a number
    char letter;     // 0: a number
    double number;
    int n_arg, arg[MAX_ARGS]; // indices of terms
} term;

typedef struct tree {
    term term[MAX_TERMS];
    int n_term;
} tree;

// Parses the expression at *at; the table is our own, so it is well-formed. Returns its term.
static int parse(tree *t, const char **at)
{
    int index = t->n_term++;
    term *self = &t->term[index];
    *self = (term){0};
    while (**at == ' ')
        ++*at;
    if (isdigit((unsigned char)**at)) {
        char *end;
        self->number = gb_number(*at, &end);
        *at = end;
    } else if (islower((unsigned char)**at)) {
        self->letter = *(*at)++;
    } else {
        size_t length = strcspn(*at, "(");
        memcpy(self->op, *at, length);
        *at += length;
        while (**at != ')') {
            ++*at; // '(' or ','
            self->arg[self->n_arg++] = parse(t, at);
        }
        ++*at;
    }
    return index;
}

// --- matching ---

typedef struct match {
    const tree *tree;
    gb_value *bound[26];
    gb_node *node[MAX_NODES]; // those that the pattern covers, the root first
    int n_node;
} match;

static bool is_number(const gb_value *v, double number, bool inverse)
{
    if (!v->data || gb_shape_count(&v->shape) != 1)
        return false;
    double have = gb_tensor_get(v->data, 0);
    if (inverse)
        have = 1 / have;
    return fabs(have - number) <= 2e-6 * fabs(number);
}

static bool match_value(match *m, int index, gb_value *v);

static bool match_args(match *m, const term *t, const gb_node *node, bool swapped, bool inverse)
{
    for (int i = 0; i < t->n_arg; i++) {
        gb_value *v = node->in[swapped ? 1 - i : i];
        const term *arg = &m->tree->term[t->arg[i]];
        bool ok = v && (inverse && i == 1 ? is_number(v, arg->number, true)
                                          : match_value(m, t->arg[i], v));
        if (!ok)
            return false;
    }
    return true;
}

static bool match_value(match *m, int index, gb_value *v)
{
    const term *t = &m->tree->term[index];
    if (t->letter) {
        gb_value **slot = &m->bound[t->letter - 'a'];
        if (!*slot)
            *slot = v;
        return *slot == v;
    }
    if (!t->op[0])
        return is_number(v, t->number, false);
    gb_node *node = v->producer;
    if (!node || v->data || node->n_in < t->n_arg || node->act.on || node->residual ||
        m->n_node == MAX_NODES)
        return false;
    bool commutes = !strcmp(t->op, "Add") || !strcmp(t->op, "Mul");
    const term *second = t->n_arg == 2 ? &m->tree->term[t->arg[1]] : NULL;
    bool inverse = !strcmp(t->op, "Mul") && !strcmp(node->type, "Div") && second &&
                   !second->op[0] && !second->letter;
    if (!inverse && strcmp(t->op, node->type) != 0)
        return false;
    match before = *m;
    m->node[m->n_node++] = node;
    if (match_args(m, t, node, false, inverse))
        return true;
    if (commutes && !inverse) {
        *m = before;
        m->node[m->n_node++] = node;
        if (match_args(m, t, node, true, false))
            return true;
    }
    *m = before;
    return false;
}

// True if nothing but covered nodes reads the inner values.
static bool is_closed(const match *m)
{
    for (int i = 1; i < m->n_node; i++) {
        const gb_value *v = m->node[i]->out[0];
        int uses = 0;
        for (int j = 0; j < m->n_node; j++) {
            bool seen = false;
            for (int k = 0; k < j; k++)
                seen = seen || m->node[k] == m->node[j];
            for (int a = 0; !seen && a < m->node[j]->n_in; a++)
                uses += m->node[j]->in[a] == v;
        }
        if (uses != v->uses)
            return false;
    }
    return true;
}

// The means of a LayerNormalization are over the last axis, its scale and bias lie along it.
static bool is_layer_norm(const match *m)
{
    const gb_value *x = m->bound['x' - 'a'];
    int64_t last = x->shape.rank > 0 ? x->shape.dim[x->shape.rank - 1] : 0;
    for (int i = 0; i < m->n_node; i++) {
        int64_t axes[GB_MAX_RANK];
        int count, axis;
        if (strcmp(m->node[i]->type, "ReduceMean") != 0)
            continue;
        if (gb_arg_ints(m->node[i], "axes", 1, axes, GB_MAX_RANK, &count) < 0 || count != 1 ||
            gb_axis(m->node[i], axes[0], x->shape.rank, &axis) < 0 ||
            axis != x->shape.rank - 1 || !gb_attr_int(m->node[i], "keepdims", 1))
            return false;
    }
    const gb_value *scale = m->bound['s' - 'a'], *bias = m->bound['b' - 'a'];
    return scale->data && bias->data && gb_shape_count(&m->bound['e' - 'a']->shape) == 1 &&
           scale->shape.rank == 1 && bias->shape.rank == 1 && scale->shape.dim[0] == last &&
           bias->shape.dim[0] == last && m->bound['e' - 'a']->data;
}

// --- replacing ---

// One read of the value is over: what was computed for nobody else goes, too.
static void forget(gb_value *v)
{
    gb_node *node = v->producer;
    bool read = --v->uses > 0 || !node;
    for (int i = 0; !read && i < node->n_out; i++)
        read = node->out[i] && node->out[i]->uses > 0;
    for (int i = 0; !read && i < node->n_in; i++)
        if (node->in[i])
            forget(node->in[i]);
}

// The root of the match becomes the new operator.
static int replace(gb_graph *g, const rule *r, match *m)
{
    gb_node *root = m->node[0];
    int n_in = (int)strlen(r->inputs), n_attr = (r->epsilon != 0) + (r->approximate != NULL);
    gb_value **in = gb_arena_array(&g->arena, (size_t)n_in, sizeof *in);
    gb_attr *attr = gb_arena_array(&g->arena, (size_t)n_attr + 1, sizeof *attr);
    if (!in || !attr)
        return GB_ERR_NOMEM;
    for (int i = 0; i < n_in; i++)
        in[i] = m->bound[r->inputs[i] - 'a'];
    if (r->epsilon)
        attr[0] = (gb_attr){.name = "epsilon", .kind = GB_ATTR_FLOAT,
                            .f = (float)gb_tensor_get(m->bound[r->epsilon - 'a']->data, 0)};
    if (r->approximate)
        attr[0] = (gb_attr){.name = "approximate", .kind = GB_ATTR_STRING, .s = r->approximate};
    for (int i = 0; i < n_in; i++)
        in[i]->uses++;
    for (int i = 0; i < root->n_in; i++)
        if (root->in[i])
            forget(root->in[i]);
    root->type = r->type;
    root->op = gb_op_find(r->type);
    root->in = in;
    root->n_in = n_in;
    root->attr = attr;
    root->n_attr = n_attr;
    return 0;
}

static int apply(gb_graph *g, const rule *r, bool *changed)
{
    tree t = {0};
    const char *at = r->pattern;
    int err = 0;
    parse(&t, &at);
    for (size_t i = 0; i < g->n_node; i++) {
        gb_node *node = g->node[i];
        match m = {.tree = &t};
        if (node->n_out != 1 || !node->out[0]->uses || !match_value(&m, 0, node->out[0]) ||
            !is_closed(&m) || !gb_shape_equal(&m.bound['x' - 'a']->shape, &node->out[0]->shape) ||
            m.bound['x' - 'a']->data || (r->epsilon && !is_layer_norm(&m)))
            continue;
        GB_TRY(replace(g, r, &m));
        *changed = true;
    }
fail:
    return err;
}

int gb_pass_patterns(gb_graph *g)
{
    bool changed = true;
    int err = 0;
    while (changed) {
        changed = false;
        for (size_t i = 0; i < GB_COUNT(rules); i++)
            GB_TRY(apply(g, &rules[i], &changed));
        if (changed)
            GB_TRY(gb_graph_prune(g));
    }
fail:
    return err;
}
