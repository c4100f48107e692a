// Moves what is done to every element from behind a Transpose to in front of it.
#include "engine/passes.h"
#include "op/op.h"
#include "op/view.h"

#include <string.h>

typedef struct transpose {
    int rank, perm[GB_MAX_RANK], inverse[GB_MAX_RANK];
} transpose;

// The Transpose of what a layer computes for nobody else; its epilogue still takes anything.
static bool read_transpose(transpose *t, const gb_node *node)
{
    const gb_value *x = node->n_in == 1 ? node->in[0] : NULL;
    if (strcmp(node->type, "Transpose") || !x || x->uses != 1 || node->out[0]->uses != 1 ||
        !x->producer || gb_layer_axis(x->producer) < 0 || x->producer->residual ||
        x->producer->act.on || gb_transpose_perm(node, t->perm) < 0)
        return false;
    t->rank = x->shape.rank;
    for (int d = 0; d < t->rank; d++)
        t->inverse[t->perm[d]] = d;
    return true;
}

// The node that alone reads `value`, for every element of it and another operand.
static gb_node *elementwise_reader(const gb_readers *readers, const gb_value *value)
{
    static const char *const types[] = {"Add", "Sub", "Mul", "Div"};
    gb_node *n = gb_only_reader(readers, value);
    if (!n || n->n_in != 2 || !gb_shape_equal(&n->out[0]->shape, &value->shape))
        return NULL;
    for (size_t k = 0; k < GB_COUNT(types); k++)
        if (!strcmp(n->type, types[k]))
            return n;
    return NULL;
}

static gb_value *typed(gb_graph *g, const char *name, const gb_value *like, const gb_shape *shape)
{
    gb_value *v = gb_graph_value(g, name);
    if (v) {
        v->type = like->type;
        v->shape = *shape;
        v->uses = 1;
    }
    return v;
}

// A constant along one axis keeps its elements: only its shape changes.
static gb_value *turned_constant(gb_graph *g, const transpose *t, const gb_value *v)
{
    gb_tensor *data = gb_arena_alloc(&g->arena, sizeof *data);
    if (!data)
        return NULL;
    *data = *v->data;
    data->shape.rank = t->rank;
    for (int d = 0; d < t->rank; d++) {
        int at = t->inverse[d] - (t->rank - v->shape.rank);
        data->shape.dim[d] = at < 0 ? 1 : v->shape.dim[at];
    }
    gb_value *turned = gb_graph_constant(g, v->name, data);
    if (turned)
        turned->uses = 1;
    return turned;
}

static gb_value *turned_value(gb_graph *g, const transpose *t, const gb_node *like, gb_value *v)
{
    gb_node *node = gb_graph_node(g, "Transpose", like->name, 1, 1, 1);
    int64_t *perm = gb_arena_array(&g->arena, (size_t)t->rank, sizeof *perm);
    gb_shape shape = {.rank = t->rank};
    if (!node || !perm)
        return NULL;
    for (int d = 0; d < t->rank; d++) {
        perm[d] = t->inverse[d];
        shape.dim[d] = v->shape.dim[perm[d]];
    }
    node->op = like->op;
    node->opset = like->opset;
    node->in[0] = v;
    node->attr[0] = (gb_attr){.name = "perm", .kind = GB_ATTR_INTS, .count = (size_t)t->rank,
                              .ints = perm};
    gb_value *turned = node->out[0] = typed(g, v->name, v, &shape);
    if (turned)
        turned->producer = node;
    return turned;
}

static bool along_one_axis(const gb_value *v)
{
    int64_t count = gb_shape_count(&v->shape);
    bool one = count == 1;
    for (int d = 0; d < v->shape.rank; d++)
        one = one || v->shape.dim[d] == count;
    return one;
}

// f(T(x), other) becomes T(f(x, T'(other))). Returns whether it did; negative without memory.
static int hoist(gb_graph *g, const transpose *t, gb_node *node, gb_node *f)
{
    const int at = f->in[0] == node->out[0] ? 0 : 1;
    gb_value *x = node->in[0], *other = f->in[1 - at], *turned;
    if (other == node->out[0] ||
        (other->data ? other->shape.rank > t->rank || !along_one_axis(other)
                     : !gb_shape_equal(&other->shape, &node->out[0]->shape)))
        return 0;
    gb_value *inner = typed(g, f->out[0]->name, x, &x->shape);
    turned = other->data ? turned_constant(g, t, other) : turned_value(g, t, node, other);
    if (!inner || !turned)
        return GB_ERR_NOMEM;
    node->out[0] = f->out[0];
    node->out[0]->producer = node;
    node->in[0] = inner;
    f->out[0] = inner;
    inner->producer = f;
    f->in[at] = x;
    f->in[1 - at] = turned;
    return 1;
}

int gb_pass_hoist(gb_graph *g)
{
    int err = 0, moved = 0;
    const size_t n = g->n_node; // the pass appends nodes, which are not of interest
    gb_readers readers;
    GB_TRY(gb_graph_readers(&readers, g));
    for (size_t i = 0; i < n; i++) {
        gb_node *node = g->node[i], *f;
        transpose t;
        if (!read_transpose(&t, node))
            continue;
        while ((f = elementwise_reader(&readers, node->out[0]))) {
            GB_TRY(hoist(g, &t, node, f));
            if (err == 0)
                break;
            moved++;
        }
    }
    err = 0;
    if (moved) {
        GB_TRY(gb_graph_sort(g));
        GB_TRY(gb_graph_prune(g));
        GB_TRY(gb_pass_fuse(g));
    }
fail:
    gb_readers_free(&readers);
    return err;
}
