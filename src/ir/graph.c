// Building a graph, and putting its nodes in order.
#include "ir/ir.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

gb_graph *gb_graph_create(void)
{
    gb_graph *graph = calloc(1, sizeof *graph);
    if (!graph) {
        gb_fail(GB_ERR_NOMEM, "out of memory for a graph");
        return NULL;
    }
    graph->producer = "";
    return graph;
}

void gb_graph_free(gb_graph *graph)
{
    if (!graph)
        return;
    gb_arena_finish(&graph->arena);
    free(graph->value);
    free(graph->node);
    free(graph->in);
    free(graph->out);
    free(graph->meta_key);
    free(graph->meta_value);
    free(graph);
}

gb_value *gb_graph_value(gb_graph *graph, const char *name)
{
    if (graph->n_value >= INT32_MAX ||
        gb_grow(&graph->value, &graph->cap_value, graph->n_value + 1, sizeof *graph->value) < 0)
        return NULL;
    gb_value *value = gb_arena_alloc(&graph->arena, sizeof *value);
    if (!value || !(value->name = gb_arena_strdup(&graph->arena, name)))
        return NULL;
    value->id = (int)graph->n_value;
    graph->value[graph->n_value++] = value;
    return value;
}

gb_value *gb_graph_constant(gb_graph *graph, const char *name, gb_tensor *data)
{
    gb_value *value = gb_graph_value(graph, name);
    if (!value)
        return NULL;
    value->type = data->type;
    value->ints = data->ints;
    value->shape = data->shape;
    value->data = data;
    return value;
}

gb_value *gb_graph_numbers(gb_graph *graph, const char *name, gb_dtype type, const gb_shape *shape,
                           const double *v)
{
    gb_tensor *t = gb_tensor_create(&graph->arena, type, shape);
    for (int64_t i = 0; t && i < gb_shape_count(shape); i++)
        gb_tensor_set(t, i, v[i]);
    return t ? gb_graph_constant(graph, name, t) : NULL;
}

gb_node *gb_graph_node(gb_graph *graph, const char *type, const char *name, int n_in, int n_out,
                       int n_attr)
{
    gb_arena *arena = &graph->arena;
    if (gb_grow(&graph->node, &graph->cap_node, graph->n_node + 1, sizeof *graph->node) < 0)
        return NULL;
    gb_node *node = gb_arena_alloc(arena, sizeof *node);
    if (!node)
        return NULL;
    node->type = gb_arena_strdup(arena, type);
    node->name = name && *name ? gb_arena_strdup(arena, name)
                               : gb_arena_printf(arena, "%s_%zu", type, graph->n_node);
    node->in = gb_arena_array(arena, (size_t)n_in, sizeof *node->in);
    node->out = gb_arena_array(arena, (size_t)n_out, sizeof *node->out);
    node->attr = gb_arena_array(arena, (size_t)n_attr, sizeof *node->attr);
    if (!node->type || !node->name || !node->in || !node->out || !node->attr)
        return NULL;
    node->n_in = n_in;
    node->n_out = n_out;
    node->n_attr = n_attr;
    node->opset = graph->opset;
    node->graph = graph;
    graph->node[graph->n_node++] = node;
    return node;
}

int gb_graph_add_input(gb_graph *graph, gb_value *value)
{
    int err = gb_grow(&graph->in, &graph->cap_in, graph->n_in + 1, sizeof *graph->in);
    if (err == 0)
        graph->in[graph->n_in++] = value;
    return err;
}

int gb_graph_add_output(gb_graph *graph, gb_value *value)
{
    int err = gb_grow(&graph->out, &graph->cap_out, graph->n_out + 1, sizeof *graph->out);
    if (err == 0)
        graph->out[graph->n_out++] = value;
    return err;
}

int gb_graph_add_meta(gb_graph *graph, const char *key, const char *value)
{
    size_t cap = graph->cap_meta, need = graph->n_meta + 1;
    int err;
    GB_TRY(gb_grow(&graph->meta_key, &cap, need, sizeof *graph->meta_key));
    GB_TRY(gb_grow(&graph->meta_value, &graph->cap_meta, need, sizeof *graph->meta_value));
    const char *k = gb_arena_strdup(&graph->arena, key);
    const char *v = gb_arena_strdup(&graph->arena, value);
    if (!k || !v)
        return GB_ERR_NOMEM;
    graph->meta_key[graph->n_meta] = k;
    graph->meta_value[graph->n_meta++] = v;
fail:
    return err;
}

int gb_graph_set_meta(gb_graph *graph, const char *key, const char *value)
{
    for (size_t i = 0; i < graph->n_meta; i++) {
        if (strcmp(graph->meta_key[i], key))
            continue;
        const char *v = gb_arena_strdup(&graph->arena, value);
        if (!v)
            return GB_ERR_NOMEM;
        graph->meta_value[i] = v;
        return 0;
    }
    return gb_graph_add_meta(graph, key, value);
}

const char *gb_graph_meta(const gb_graph *graph, const char *key)
{
    for (size_t i = 0; i < graph->n_meta; i++)
        if (strcmp(graph->meta_key[i], key) == 0)
            return graph->meta_value[i];
    return NULL;
}

// What a node reads: its inputs, then what fusion added.
static int n_reads(const gb_node *node)
{
    return node->n_in + (node->residual != NULL);
}

static gb_value *read_at(const gb_node *node, int i)
{
    return i < node->n_in ? node->in[i] : node->residual;
}

// Sets every value's producer, and made_by[value id] to its node's index + 1 (0: no node's).
static int find_producers(gb_graph *graph, size_t *made_by)
{
    for (size_t i = 0; i < graph->n_value; i++)
        graph->value[i]->producer = NULL;
    for (size_t i = 0; i < graph->n_node; i++) {
        gb_node *node = graph->node[i];
        for (int k = 0; k < node->n_out; k++) {
            gb_value *value = node->out[k];
            if (!value)
                continue;
            if (value->producer || value->data)
                return gb_fail(GB_ERR_FORMAT, "%s: its output '%.200s' has another source as well",
                               gb_node_text(node), value->name);
            value->producer = node;
            made_by[value->id] = i + 1;
        }
    }
    return 0;
}

// given[value id]: the value needs no node.
static int check_sources(const gb_graph *graph, bool *given)
{
    for (size_t i = 0; i < graph->n_in; i++) {
        const gb_value *value = graph->in[i];
        if (value->producer)
            return gb_fail(GB_ERR_FORMAT, "%s: its output '%.200s' is an input of the model",
                           gb_node_text(value->producer), value->name);
        given[value->id] = true;
    }
    for (size_t i = 0; i < graph->n_node; i++) {
        const gb_node *node = graph->node[i];
        for (int k = 0; k < n_reads(node); k++) {
            const gb_value *value = read_at(node, k);
            if (value && !value->producer && !value->data && !given[value->id])
                return gb_fail(GB_ERR_FORMAT, "%s: nothing produces its input '%.200s'",
                               gb_node_text(node), value->name);
        }
    }
    for (size_t i = 0; i < graph->n_out; i++) {
        const gb_value *value = graph->out[i];
        if (!value->producer && !value->data && !given[value->id])
            return gb_fail(GB_ERR_FORMAT, "nothing produces the model's output '%.200s'",
                           value->name);
    }
    return 0;
}

typedef struct visit { // one level of the depth-first walk
    size_t node;
    int next; // the read to follow next
} visit;

// A depth-first walk from each node in the given order, sources first: a list that is sorted
// already stays as it is. The stack is ours, as a hostile chain can be as deep as the file is long.
int gb_graph_sort(gb_graph *graph)
{
    enum { NEW, OPEN, DONE };
    int err = 0;
    size_t depth = 0, n_sorted = 0, n = graph->n_node;
    size_t *made_by = calloc(graph->n_value + 1, sizeof *made_by);
    bool *given = calloc(graph->n_value + 1, sizeof *given);
    unsigned char *state = calloc(n + 1, sizeof *state);
    visit *stack = calloc(n + 1, sizeof *stack);
    gb_node **sorted = calloc(n + 1, sizeof *sorted);
    if (!made_by || !given || !state || !stack || !sorted) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory to sort %zu nodes", n);
        goto fail;
    }
    GB_TRY(find_producers(graph, made_by));
    GB_TRY(check_sources(graph, given));
    for (size_t root = 0; root < n; root++) {
        if (state[root] != NEW)
            continue;
        state[root] = OPEN;
        stack[depth++] = (visit){.node = root};
        while (depth) {
            visit *top = &stack[depth - 1];
            gb_node *node = graph->node[top->node];
            if (top->next == n_reads(node)) {
                state[top->node] = DONE;
                sorted[n_sorted++] = node;
                depth--;
                continue;
            }
            const gb_value *value = read_at(node, top->next++);
            size_t source = value ? made_by[value->id] : 0;
            if (source == 0 || state[source - 1] == DONE)
                continue;
            if (state[source - 1] == OPEN) {
                err = gb_fail(GB_ERR_FORMAT, "%s: part of a cycle through '%.200s'",
                              gb_node_text(node), value->name);
                goto fail;
            }
            state[source - 1] = OPEN;
            stack[depth++] = (visit){.node = source - 1};
        }
    }
    if (n)
        memcpy(graph->node, sorted, n * sizeof *sorted);
fail:
    free(made_by);
    free(given);
    free(state);
    free(stack);
    free(sorted);
    return err;
}

int gb_graph_prune(gb_graph *graph)
{
    size_t kept = graph->n_node;
    for (size_t i = 0; i < graph->n_value; i++)
        graph->value[i]->uses = 0;
    for (size_t i = 0; i < graph->n_out; i++)
        graph->out[i]->uses++;
    // From the end, every reader of a node's outputs has been seen before the node is.
    for (size_t i = graph->n_node; i-- > 0;) {
        gb_node *node = graph->node[i];
        bool read = false;
        for (int k = 0; k < node->n_out; k++)
            read |= node->out[k] && node->out[k]->uses;
        for (int k = 0; read && k < n_reads(node); k++)
            if (read_at(node, k))
                read_at(node, k)->uses++;
        for (int k = 0; !read && k < node->n_out; k++)
            if (node->out[k])
                node->out[k]->producer = NULL;
        if (read)
            graph->node[--kept] = node;
    }
    graph->n_node -= kept;
    if (kept) // a graph of constants alone has no list
        memmove(graph->node, graph->node + kept, graph->n_node * sizeof *graph->node);
    return 0;
}

int gb_graph_readers(gb_readers *r, const gb_graph *graph)
{
    const size_t n = graph->n_value;
    size_t reads = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        reads += (size_t)n_reads(graph->node[i]);
    *r = (gb_readers){calloc(n + 2, sizeof *r->first), calloc(reads + 1, sizeof *r->node)};
    if (!r->first || !r->node) {
        gb_readers_free(r);
        return gb_fail(GB_ERR_NOMEM, "out of memory for a graph of %zu nodes", graph->n_node);
    }
    // first[] is one ahead while it is filled.
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < graph->n_node; i++) {
            for (int k = 0; k < n_reads(graph->node[i]); k++) {
                const gb_value *v = read_at(graph->node[i], k);
                if (v && pass == 0)
                    r->first[v->id + 2]++;
                else if (v)
                    r->node[r->first[v->id + 1]++] = graph->node[i];
            }
        }
        for (size_t i = 0; pass == 0 && i < n; i++)
            r->first[i + 2] += r->first[i + 1];
    }
    return 0;
}

void gb_readers_free(gb_readers *r)
{
    free(r->first);
    free(r->node);
    *r = (gb_readers){0};
}

// Elements of a ConstantOfShape's output, 0 where it is no float or its shape is not known here.
static int64_t filled(const gb_node *node)
{
    const gb_tensor *shape = node->n_in ? node->in[0]->data : NULL;
    const gb_attr *value = gb_attr_find(node, "value");
    bool is_float = !value || (value->tensor && value->tensor->type == GB_F32);
    int64_t n = shape ? gb_shape_count(&shape->shape) : 0, count = n > 0 && is_float;
    for (int64_t i = 0; i < n; i++)
        if (__builtin_mul_overflow(count, gb_tensor_int(shape, i), &count) || count < 0)
            return 0;
    return count;
}

int64_t gb_graph_parameters(const gb_graph *graph)
{
    int64_t sum = 0;
    for (size_t i = 0; i < graph->n_value; i++)
        if (graph->value[i]->data && graph->value[i]->type == GB_F32)
            sum += gb_shape_count(&graph->value[i]->shape);
    for (size_t i = 0; i < graph->n_node; i++)
        if (!strcmp(graph->node[i]->type, "ConstantOfShape"))
            sum += filled(graph->node[i]);
    return sum;
}

int64_t gb_graph_nonfinite(const gb_graph *graph, const gb_value **first)
{
    int64_t found = 0;
    *first = NULL;
    for (size_t i = 0; i < graph->n_value; i++) {
        const gb_tensor *t = graph->value[i]->data;
        if (!t || (t->type != GB_F32 && t->type != GB_F64))
            continue;
        int64_t before = found, n = gb_shape_count(&t->shape);
        for (int64_t k = 0; k < n; k++) {
            double v = gb_tensor_get(t, k);
            found += isnan(v) || (isinf(v) && n > 1);
        }
        if (found > before && !*first)
            *first = graph->value[i];
    }
    return found;
}
