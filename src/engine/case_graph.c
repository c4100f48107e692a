// Turns a case's words into a graph and its made-up numbers.
#include "base/number.h"
#include "base/rng.h"
#include "engine/selftest.h"

#include "engine/params.h"
#include "op/op.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 16 };

// Splits text at blanks; the words live in the arena.
static int split(char **word, gb_arena *arena, const char *text)
{
    char *rest = NULL, *copy = gb_arena_strdup(arena, text ? text : "");
    int n = 0;
    if (!copy)
        return GB_ERR_NOMEM;
    for (char *w = strtok_r(copy, " ", &rest); w; w = strtok_r(NULL, " ", &rest)) {
        if (n == MAX_WORDS)
            return gb_fail(GB_ERR_ARG, "'%s' has too many words", text);
        word[n++] = w;
    }
    return n;
}

// Distinct numbers spread evenly over [low, high] in random order: no two are close, and none is
// close to 0 in a symmetric range. `part` of `parts` interleaves the numbers of several tensors.
static void fill_grid(gb_tensor *t, double low, double high, int part, int parts)
{
    const int64_t n = gb_shape_count(&t->shape);
    const double cell = (high - low) / (double)n, shift = (part + 0.37) / parts;
    for (int64_t i = 0; i < n; i++)
        gb_tensor_set(t, i, (float)(low + cell * ((double)i + shift)));
    for (int64_t i = n - 1; i > 0; i--) {
        gb_philox r = gb_philox4x32((gb_philox){{(uint32_t)i, (uint32_t)part, 0, 0}}, 7, 11);
        int64_t j = r.v[0] % (i + 1);
        double a = gb_tensor_get(t, i), b = gb_tensor_get(t, j);
        gb_tensor_set(t, i, b);
        gb_tensor_set(t, j, a);
    }
}

static void range_of(char mark, double *low, double *high)
{
    *low = mark == '+' ? 0.25 : mark == '~' ? -6 : mark == '%' ? -0.9 : -2;
    *high = mark == '+' ? 2.25 : -*low;
}

// "2x3x5" or "s"; false if it is something else.
static bool parse_shape(gb_shape *shape, const char *text)
{
    *shape = (gb_shape){0};
    if (!strcmp(text, "s"))
        return true;
    for (;;) {
        char *end;
        if (!isdigit((unsigned char)*text) || shape->rank == GB_MAX_RANK)
            return false;
        shape->dim[shape->rank++] = strtol(text, &end, 10);
        if (!*end)
            return true;
        if (*end != 'x')
            return false;
        text = end + 1;
    }
}

// "(2,0.5)", "[0,1;2,3]" or "#3".
static gb_tensor *parse_list(gb_arena *arena, const char *text)
{
    double v[64];
    int n = 0, rows = 1;
    bool list = *text == '[';
    const char *at = text + 1;
    while (*at && *at != ')' && *at != ']' && n < 64) {
        char *end;
        v[n++] = gb_number(at, &end);
        rows += *end == ';';
        list = list || *end == ',';
        at = *end == ',' || *end == ';' ? end + 1 : end;
    }
    gb_shape shape = {.rank = rows > 1 ? 2 : list ? 1 : 0, .dim = {n}};
    if (rows > 1)
        shape = (gb_shape){2, {rows, n / rows}};
    gb_tensor *t = gb_tensor_create(arena, *text == '(' ? GB_F32 : GB_I64, &shape);
    for (int i = 0; t && i < n; i++)
        gb_tensor_set(t, i, v[i]);
    return t;
}

static int parse_attr(gb_attr *a, gb_arena *arena, char *word)
{
    char *text = strchr(word, '=');
    if (!text)
        return gb_fail(GB_ERR_ARG, "attribute '%s' has no value", word);
    *text++ = 0;
    *a = (gb_attr){.name = word};
    if (isalpha((unsigned char)*text)) {
        a->kind = GB_ATTR_STRING;
        a->s = text;
    } else if (*text == '(' || *text == '[') {
        a->kind = GB_ATTR_TENSOR;
        a->tensor = parse_list(arena, text);
        return a->tensor ? 0 : GB_ERR_NOMEM;
    } else if (strchr(text, ',')) {
        int64_t *ints = gb_arena_array(arena, strlen(text), sizeof *ints);
        if (!ints)
            return GB_ERR_NOMEM;
        a->kind = GB_ATTR_INTS;
        a->ints = ints;
        for (char *end; *text; text = *end ? end + 1 : end)
            ints[a->count++] = strtoll(text, &end, 10);
    } else if (strpbrk(text, ".e")) {
        a->kind = GB_ATTR_FLOAT;
        a->f = gb_number_float(text, NULL);
    } else {
        a->kind = GB_ATTR_INT;
        a->i = strtoll(text, NULL, 10);
    }
    return 0;
}

static int infer(gb_node *node)
{
    node->op = gb_op_find(node->type);
    if (!node->op)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: no such operator", gb_node_text(node));
    return node->op->infer(node);
}

// A node with one output, shapes inferred.
static int add_node(gb_value **out, gb_graph *g, const char *type, int n_in,
                    gb_value *const *in, int n_attr, const gb_attr *attr)
{
    char name[64];
    gb_node *node = gb_graph_node(g, type, "", n_in, 1, n_attr);
    snprintf(name, sizeof name, "%s_%zu_out", type, g->n_node);
    if (!node || !(node->out[0] = gb_graph_value(g, name)))
        return GB_ERR_NOMEM;
    for (int i = 0; i < n_in; i++)
        node->in[i] = in[i];
    for (int i = 0; i < n_attr; i++)
        node->attr[i] = attr[i];
    node->out[0]->producer = node;
    *out = node->out[0];
    return infer(node);
}

// A constant under a name of its own; t may be NULL (out of memory).
static int add_tensor(gb_value **out, gb_graph *g, gb_tensor *t)
{
    char name[32];
    snprintf(name, sizeof name, "const_%zu", g->n_value);
    *out = t ? gb_graph_constant(g, name, t) : NULL;
    return *out ? 0 : GB_ERR_NOMEM;
}

static int add_int(gb_value **out, gb_graph *g, int64_t v)
{
    gb_tensor *t = gb_tensor_create(&g->arena, GB_I64, &(gb_shape){1, {1}});
    if (t)
        *(int64_t *)t->data = v;
    return add_tensor(out, g, t);
}

// A variable of that shape as the case's node sees it, behind what the form puts in front. The
// input's name holds its range's mark, for gb_case_fill.
static int add_variable(gb_value **out, gb_graph *g, const gb_shape *shape, char mark,
                        gb_case_form form)
{
    char name[32];
    gb_shape outer = *shape;
    const int r = shape->rank, axis = r > 1 ? 1 : 0;
    if (form == GB_CASE_SLICED && r)
        outer.dim[axis] += 3;
    if (form == GB_CASE_TRANSPOSED && r > 1) {
        outer.dim[r - 1] = shape->dim[r - 2];
        outer.dim[r - 2] = shape->dim[r - 1];
    }
    snprintf(name, sizeof name, "%c%zu", mark, g->n_in);
    gb_value *v = gb_graph_value(g, name);
    if (!v || gb_graph_add_input(g, v) < 0)
        return GB_ERR_NOMEM;
    v->type = GB_F32;
    v->shape = outer;
    *out = v;
    if (form == GB_CASE_SLICED && r) {
        static const char *const names[3] = {"starts", "ends", "axes"};
        int64_t *at = gb_arena_array(&g->arena, 3, sizeof *at);
        gb_value *in[4] = {v};
        gb_attr attr[3];
        if (!at)
            return GB_ERR_NOMEM;
        at[0] = 1;
        at[1] = 1 + shape->dim[axis];
        at[2] = axis;
        for (int i = 0; i < 3; i++) {
            attr[i] = (gb_attr){.name = names[i], .kind = GB_ATTR_INTS, .count = 1, .ints = at + i};
            if (add_int(&in[1 + i], g, at[i]) < 0)
                return GB_ERR_NOMEM;
        }
        bool attributes = g->opset < 10;
        return add_node(out, g, "Slice", attributes ? 1 : 4, in, attributes ? 3 : 0, attr);
    }
    if (form == GB_CASE_TRANSPOSED && r > 1) {
        int64_t *perm = gb_arena_array(&g->arena, (size_t)r, sizeof *perm);
        if (!perm)
            return GB_ERR_NOMEM;
        for (int i = 0; i < r; i++)
            perm[i] = i < r - 2 ? i : 2 * r - 3 - i;
        const gb_attr attr = {.name = "perm", .kind = GB_ATTR_INTS, .count = (size_t)r,
                              .ints = perm};
        return add_node(out, g, "Transpose", 1, &v, 1, &attr);
    }
    if (form == GB_CASE_ACTIVATED && r > 1) {
        const gb_attr attr = {.name = "alpha", .kind = GB_ATTR_FLOAT, .f = 0.5f};
        return add_node(out, g, "LeakyRelu", 1, &v, 1, &attr);
    }
    return 0;
}

static int add_constant(gb_value **out, gb_graph *g, const gb_shape *shape, char mark, int part,
                        int parts)
{
    double low, high;
    gb_tensor *t = gb_tensor_create(&g->arena, GB_F32, shape);
    range_of(mark, &low, &high);
    if (t)
        fill_grid(t, low, high, part, parts);
    return add_tensor(out, g, t);
}

static int add_booleans(gb_value **out, gb_graph *g, const gb_shape *shape)
{
    gb_tensor *t = gb_tensor_create(&g->arena, GB_BOOL, shape);
    for (int64_t i = 0; t && i < gb_shape_count(shape); i++)
        gb_tensor_set(t, i, (double)((i * 7 + i / 3) % 2));
    return add_tensor(out, g, t);
}

static int add_word(gb_value **out, gb_graph *g, const char *word, int part, int parts,
                    gb_case_form form)
{
    const char *text = word;
    char mark = 'x';
    gb_shape shape;
    bool constant = *text == '=', boolean = *text == '?';
    *out = NULL;
    if (!strcmp(word, "-"))
        return 0;
    if (*word == '(' || *word == '[' || *word == '#')
        return add_tensor(out, g, parse_list(&g->arena, word));
    text += constant || boolean;
    if (*text == '+' || *text == '~' || *text == '%')
        mark = *text++;
    if (!parse_shape(&shape, text))
        return gb_fail(GB_ERR_ARG, "input '%s' is not understood", word);
    if (constant)
        return add_constant(out, g, &shape, mark, part, parts);
    return boolean ? add_booleans(out, g, &shape) : add_variable(out, g, &shape, mark, form);
}

// A block of DenseNet: each layer reads all before it, joined along axis 1.
static int add_dense(gb_value **v, gb_graph *g)
{
    const gb_attr axis = {.name = "axis", .kind = GB_ATTR_INT, .i = 1};
    gb_value *layer[3] = {*v}, *joined;
    int err = 0;
    GB_TRY(add_node(&layer[1], g, "LeakyRelu", 1, layer, 0, NULL));
    GB_TRY(add_node(&joined, g, "Concat", 2, layer, 1, &axis));
    GB_TRY(add_node(&layer[2], g, "Tanh", 1, &joined, 0, NULL));
    GB_TRY(add_node(v, g, "Concat", 3, layer, 1, &axis));
fail:
    return err;
}

// One more node behind *v.
static int add_then(gb_value **v, gb_graph *g, const char *word, gb_case_form form)
{
    int err = 0;
    if (!strcmp(word, "Add")) {
        gb_value *in[2] = {*v};
        GB_TRY(add_variable(&in[1], g, &(*v)->shape, 'x', form));
        return add_node(v, g, "Add", 2, in, 0, NULL);
    }
    if (!strcmp(word, "And") || !strcmp(word, "Or") || !strcmp(word, "Xor")) {
        gb_value *in[2] = {*v};
        GB_TRY(add_booleans(&in[1], g, &(*v)->shape));
        return add_node(v, g, word, 2, in, 0, NULL);
    }
    if (!strcmp(word, "Equal")) {
        gb_value *in[2] = {*v};
        GB_TRY(add_word(&in[1], g, "(1)", 0, 1, form));
        return add_node(v, g, word, 2, in, 0, NULL);
    }
    if (!strcmp(word, "Where")) {
        gb_value *in[3] = {*v};
        for (int i = 1; i < 3; i++)
            GB_TRY(add_variable(&in[i], g, &(*v)->shape, 'x', form));
        return add_node(v, g, word, 3, in, 0, NULL);
    }
    if (!strcmp(word, "BatchNormalization")) {
        gb_value *in[5] = {*v};
        const gb_shape shape = {1, {(*v)->shape.dim[1]}};
        for (int i = 1; i < 5; i++)
            GB_TRY(add_constant(&in[i], g, &shape, i == 4 ? '+' : 'x', i, 5));
        return add_node(v, g, "BatchNormalization", 5, in, 0, NULL);
    }
    if (!strcmp(word, "Dense"))
        return add_dense(v, g);
    if (!strcmp(word, "Conv1") || !strcmp(word, "Conv3") || !strcmp(word, "Depthwise3")) {
        gb_value *in[2] = {*v};
        const int64_t channels = (*v)->shape.dim[1], edge = word[strlen(word) - 1] - '0';
        const int64_t pads[4] = {1, 1, 1, 1};
        const bool each = word[0] == 'D';
        const gb_shape shape = {4, {channels + 3 * !each, each ? 1 : channels, edge, edge}};
        int64_t *kept = gb_arena_array(&g->arena, 4, sizeof *kept);
        GB_TRY(add_constant(&in[1], g, &shape, 'x', 0, 1));
        if (!kept)
            return GB_ERR_NOMEM;
        memcpy(kept, pads, sizeof pads);
        const gb_attr attr[2] = {{.name = "pads", .kind = GB_ATTR_INTS, .count = 4, .ints = kept},
                                 {.name = "group", .kind = GB_ATTR_INT, .i = channels}};
        return add_node(v, g, "Conv", 2, in, each ? 2 : edge == 3, attr);
    }
    if (!strcmp(word, "Relu6")) {
        const gb_attr attr[2] = {{.name = "min", .kind = GB_ATTR_FLOAT, .f = 0},
                                 {.name = "max", .kind = GB_ATTR_FLOAT, .f = 6}};
        gb_value *in[3] = {*v};
        if (g->opset < 11)
            return add_node(v, g, "Clip", 1, in, 2, attr);
        GB_TRY(add_word(&in[1], g, "(0)", 0, 1, form));
        GB_TRY(add_word(&in[2], g, "(6)", 0, 1, form));
        return add_node(v, g, "Clip", 3, in, 0, NULL);
    }
    return add_node(v, g, word, 1, v, 0, NULL);
fail:
    return err;
}

// The case's own node and what follows it; out[] gets its outputs.
static int add_chain(gb_value **out, gb_graph *g, const gb_case *c, gb_value *const *in, int n_in,
                     gb_case_form form)
{
    char *word[MAX_WORDS], name[32];
    gb_attr attr[MAX_WORDS];
    const int n_out = c->n_out ? c->n_out : 1;
    int err = 0, n_attr = split(word, &g->arena, c->attr);
    if (n_attr < 0)
        return n_attr;
    for (int i = 0; i < n_attr; i++)
        GB_TRY(parse_attr(&attr[i], &g->arena, word[i]));
    gb_node *node = gb_graph_node(g, c->op, "", n_in, n_out, n_attr);
    if (!node)
        return GB_ERR_NOMEM;
    for (int i = 0; i < n_in; i++)
        node->in[i] = in[i];
    for (int i = 0; i < n_attr; i++)
        node->attr[i] = attr[i];
    for (int i = 0; i < n_out; i++) {
        snprintf(name, sizeof name, "y%zu_%d", g->n_node, i);
        if (!(out[i] = node->out[i] = gb_graph_value(g, name)))
            return GB_ERR_NOMEM;
        out[i]->producer = node;
    }
    GB_TRY(infer(node));
    int n_then = split(word, &g->arena, c->then);
    if (n_then < 0)
        return n_then;
    for (int i = 0; i < n_then; i++)
        GB_TRY(add_then(&out[0], g, word[i], form));
    if (out[0]->type == GB_BOOL) { // sessions give floats
        gb_value *choice[3] = {out[0]};
        GB_TRY(add_word(&choice[1], g, "(1)", 0, 1, form));
        GB_TRY(add_word(&choice[2], g, "(0)", 0, 1, form));
        GB_TRY(add_node(&out[0], g, "Where", 3, choice, 0, NULL));
    }
fail:
    return err;
}

static bool has_parameters(const gb_case *c)
{
    gb_graph *g = NULL;
    bool any = gb_case_graph(&g, c, GB_CASE_PLAIN) == 0 && gb_params_any(g);
    gb_graph_free(g);
    return any;
}

bool gb_case_has_form(const gb_case *c, gb_case_form form)
{
    if (form == GB_CASE_PARAMETERS)
        return has_parameters(c);
    if (form == GB_CASE_PLAIN || form == GB_CASE_TWICE)
        return true;
    for (const char *word = c->in; *word; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        bool variable = !strchr("=([#?-", *word), matrix = memchr(word, 'x', length);
        if (variable && *word != 's' && (matrix || form == GB_CASE_SLICED))
            return true;
        word += length;
    }
    return false;
}

int gb_case_graph(gb_graph **out, const gb_case *c, gb_case_form form)
{
    gb_value *in[MAX_WORDS] = {0}, *y[MAX_WORDS] = {0}, *again[MAX_WORDS] = {0};
    char *word[MAX_WORDS];
    int err = 0, n_out = c->n_out ? c->n_out : 1;
    gb_graph *g = gb_graph_create();
    if (!g)
        return GB_ERR_NOMEM;
    g->opset = c->opset;
    int n_in = split(word, &g->arena, c->in);
    GB_TRY(n_in);
    for (int i = 0; i < n_in; i++)
        GB_TRY(add_word(&in[i], g, word[i], i, n_in, form));
    GB_TRY(add_chain(y, g, c, in, n_in, form));
    if (form == GB_CASE_TWICE) {
        GB_TRY(add_chain(again, g, c, in, n_in, form));
        for (int i = 0; i < n_out; i++)
            GB_TRY(add_node(&y[i], g, "Add", 2, (gb_value *[]){y[i], again[i]}, 0, NULL));
    }
    for (int i = 0; i < n_out; i++)
        GB_TRY(gb_graph_add_output(g, y[i]));
    GB_TRY(gb_graph_sort(g));
    GB_TRY(gb_graph_prune(g));
    *out = g;
    return 0;
fail:
    gb_graph_free(g);
    return err;
}

void gb_case_fill(gb_tensor *t, const gb_graph *graph, size_t input)
{
    double low, high;
    range_of(graph->in[input]->name[0], &low, &high);
    fill_grid(t, low, high, (int)input, (int)graph->n_in);
}
