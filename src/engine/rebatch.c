// Running a model that was exported for one batch at another one.
#include "engine/rebatch.h"

#include "op/images.h"
#include "op/op.h"

#include <string.h>

enum { NO_AXIS = -1 };

static int refuse(const gb_node *node, const char *why)
{
    return gb_fail(GB_ERR_UNSUPPORTED, "%s: %s", gb_node_text(node), why);
}

// Whether a value holds images apart. At a batch of one there is nothing to tell; where they lie is
// the same at the other batch.
static bool holds(const gb_rebatch *r, const gb_value *now, int id)
{
    return r->to > 1 ? gb_holds_images(now) : r->images[id].kind == GB_IMAGES_APART;
}

static bool find(const gb_rebatch *r, const gb_value *now, int id, gb_images_place *at)
{
    return r->to > 1 ? gb_images_find(at, &now->shape, now->images.inside, r->to)
                     : gb_images_find(at, &r->old[id], r->images[id].inside, r->from);
}

// The same for an input of a node: an error where images are spread over several axes.
static int find_input(const gb_rebatch *r, const gb_node *node, const gb_node *original, int input,
                      gb_images_place *at)
{
    return find(r, node->in[input], original->in[input]->id, at)
               ? 0
               : refuse(node, "images are not along one axis");
}

// Whether a shape is the old one with the new batch in one axis.
static bool grows_along(const gb_rebatch *r, const gb_shape *old, const gb_shape *now, int axis)
{
    bool same = old->rank == now->rank;
    for (int d = 0; same && d < old->rank; d++)
        same = now->dim[d] == (d == axis ? old->dim[d] / r->from * r->to : old->dim[d]);
    return same;
}

static bool grows(const gb_rebatch *r, const gb_shape *old, const gb_shape *now)
{
    bool some = false;
    for (int d = 0; d < old->rank && !some; d++)
        some = old->dim[d] % r->from == 0 && grows_along(r, old, now, d);
    return some;
}

static int64_t product(const gb_shape *shape, int from, int to)
{
    int64_t n = 1;
    for (int d = from; d < to; d++)
        n *= shape->dim[d];
    return n;
}

// Which axis of the old output of a Reshape carries the images, if `before` old elements lie
// outside one batch index; `right`: the size of what followed the images in the old input.
// Row-major order leaves at most the choice between the two axes around a boundary.
static int find_axis(const gb_rebatch *r, const gb_shape *out, int64_t before, int64_t right)
{
    int left = NO_AXIS, behind = NO_AXIS;
    for (int d = 0; d < out->rank; d++) {
        int64_t outer = product(out, 0, d);
        if (outer == 0 || before < outer || before % outer ||
            out->dim[d] % (before / outer * r->from))
            continue;
        if (outer == before && out->dim[d] == r->from)
            return d;
        if (outer == before && behind == NO_AXIS)
            behind = d;
        else if (outer < before)
            left = d;
    }
    if (behind != NO_AXIS && left != NO_AXIS)
        return out->dim[behind] >= right ? left : behind; // B x E splits into Bh x d, never merges
    return behind != NO_AXIS ? behind : left;
}

static gb_value *constant(gb_node *node, const char *what, gb_tensor *data)
{
    gb_graph *g = node->graph;
    const char *name = gb_arena_printf(&g->arena, "%s/%s", node->name, what);
    return data && name ? gb_graph_constant(g, name, data) : NULL;
}

static int replace_shape(gb_node *node, int input, const gb_shape *shape)
{
    gb_tensor *t = gb_tensor_create(&node->graph->arena, GB_I64,
                                    &(gb_shape){.rank = 1, .dim = {shape->rank}});
    if (t)
        memcpy(t->data, shape->dim, (size_t)shape->rank * sizeof shape->dim[0]);
    node->in[input] = constant(node, "shape", t);
    return node->in[input] ? 0 : GB_ERR_NOMEM;
}

// True if the constant that gives the output's shape, input `i`, was made for the old batch: it
// stands in the file, or was computed without looking at the new batch.
static bool written_down(const gb_rebatch *r, gb_node *node, const gb_node *original, int i)
{
    if (i >= node->n_in || !node->in[i] || !node->in[i]->data)
        return false;
    return original->in[i]->data || node->op->infer(node) < 0 ||
           !grows(r, &r->old[original->out[0]->id], &node->out[0]->shape);
}

static int adapt_reshape(const gb_rebatch *r, gb_node *node, const gb_node *original)
{
    const gb_shape *old = &r->old[original->in[0]->id];
    gb_shape out = r->old[original->out[0]->id];
    gb_images_place at;
    int err = find_input(r, node, original, 0, &at);
    if (err < 0)
        return err;
    int64_t right = at.inner;
    if (right == 1)
        right = at.axis + 1 < old->rank ? old->dim[at.axis + 1] : 0;
    int target = find_axis(r, &out, product(old, 0, at.axis) * at.outer, right);
    if (target == NO_AXIS)
        return refuse(node, "its shape is made for one batch");
    out.dim[target] = out.dim[target] / r->from * r->to;
    return replace_shape(node, 1, &out);
}

// Expand and Resize: the sizes asked for, aligned to the right with the input's axes.
static int adapt_sizes(const gb_rebatch *r, gb_node *node, const gb_node *original, int input)
{
    gb_shape out = r->old[original->out[0]->id];
    gb_images_place at;
    int err = find_input(r, node, original, 0, &at);
    if (err < 0)
        return err;
    at.axis += out.rank - node->in[0]->shape.rank;
    out.dim[at.axis] = out.dim[at.axis] / r->from * r->to;
    return replace_shape(node, input, &out);
}

// The same of a parameter, by an Expand in front of the node.
static int expand(const gb_rebatch *r, gb_node *node, int input, int axis, int64_t outside)
{
    gb_graph *g = node->graph;
    gb_value *from = node->in[input], *to = gb_graph_value(g, from->name);
    if (outside != 1)
        return refuse(node, "joins parameters made for one batch");
    gb_node *repeat = to ? gb_graph_node(g, "Expand", from->name, 2, 1, 0) : NULL;
    if (!repeat)
        return GB_ERR_NOMEM;
    repeat->opset = node->opset;
    repeat->op = gb_op_find(repeat->type);
    repeat->in[0] = from;
    repeat->out[0] = to;
    to->producer = repeat;
    to->type = from->type;
    to->shape = from->shape;
    to->shape.dim[axis] = r->to;
    node->in[input] = to;
    g->node[g->n_node - 1] = g->node[g->n_node - 2]; // the node itself is the last one
    g->node[g->n_node - 2] = repeat;
    return replace_shape(repeat, 1, &to->shape);
}

// Repeats a constant of one image along `axis` for every image.
static int repeat(const gb_rebatch *r, gb_node *node, int input, int axis, int64_t outside)
{
    const gb_tensor *old = node->in[input]->data;
    gb_shape shape = old->shape;
    size_t size = gb_dtype_size(old->type);
    int64_t outer = product(&shape, 0, axis) * outside;
    size_t row = (size_t)(gb_shape_count(&old->shape) / outer) * size;
    shape.dim[axis] *= r->to;
    gb_tensor *t = gb_tensor_create(&node->graph->arena, old->type, &shape);
    if (!t)
        return GB_ERR_NOMEM;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t b = 0; b < r->to; b++)
            memcpy((char *)t->data + (size_t)(o * r->to + b) * row,
                   (const char *)old->data + (size_t)o * row, row);
    node->in[input] = constant(node, "repeated", t);
    return node->in[input] ? 0 : GB_ERR_NOMEM;
}

// Constants beside images along another axis: repeated for each.
static int adapt_concat(const gb_rebatch *r, gb_node *node, const gb_node *original)
{
    int along, first = 0, err = 0;
    gb_images_place at;
    while (!holds(r, node->in[first], original->in[first]->id))
        if (++first == node->n_in)
            return 0;
    const gb_shape *images = &node->in[first]->shape;
    const gb_shape *old = &r->old[original->in[first]->id];
    GB_TRY(find_input(r, node, original, first, &at));
    GB_TRY(gb_axis(node, gb_attr_int(node, "axis", 1), images->rank, &along));
    if (at.axis == along)
        return 0; // the operator's own rule says whether that can be
    for (int i = 0; i < node->n_in; i++) {
        const gb_value *x = node->in[i];
        if ((!x->data && !x->param) || x->shape.rank != images->rank ||
            x->shape.dim[at.axis] == images->dim[at.axis])
            continue;
        if (r->from != 1 || gb_shape_count(&x->shape) == 0 ||
            x->shape.dim[at.axis] != old->dim[at.axis])
            return refuse(node, "joins constants made for one batch");
        GB_TRY(x->param ? expand(r, node, i, at.axis, at.outer)
                        : repeat(r, node, i, at.axis, at.outer));
    }
fail:
    return err;
}

// True for a Gather of everything in order along the axis that carries the images: a Reshape, as
// exporters write PyTorch's as_strided.
static bool gathers_all(const gb_rebatch *r, const gb_node *node, const gb_node *original)
{
    const gb_tensor *t = node->n_in > 1 && node->in[1] ? node->in[1]->data : NULL;
    const gb_shape *old = &r->old[original->in[0]->id];
    gb_images_place at;
    int along;
    if (!t || !find(r, node->in[0], original->in[0]->id, &at) ||
        gb_axis(node, gb_attr_int(node, "axis", 0), old->rank, &along) < 0 || along != at.axis ||
        gb_shape_count(&t->shape) != old->dim[along])
        return false;
    for (int64_t i = 0; i < old->dim[along]; i++)
        if (gb_tensor_int(t, i) != i)
            return false;
    return true;
}

int gb_rebatch_adapt(const gb_rebatch *r, gb_node *node, const gb_node *original)
{
    if (strcmp(node->type, "Concat") == 0)
        return adapt_concat(r, node, original);
    if (node->n_in == 0 || !node->in[0] || !holds(r, node->in[0], original->in[0]->id))
        return 0;
    if (strcmp(node->type, "Gather") == 0 && gathers_all(r, node, original)) {
        node->type = "Reshape";
        node->op = gb_op_find(node->type);
        node->n_attr = 0;
        return adapt_reshape(r, node, original);
    }
    if (strcmp(node->type, "Reshape") == 0 && written_down(r, node, original, 1))
        return adapt_reshape(r, node, original);
    if (strcmp(node->type, "Expand") == 0 && written_down(r, node, original, 1))
        return adapt_sizes(r, node, original, 1);
    if (strcmp(node->type, "Resize") == 0 && written_down(r, node, original, 3) &&
        !gb_attr_find(node, "axes") && gb_shape_count(&node->in[3]->shape) > 0)
        return adapt_sizes(r, node, original, 3);
    return 0;
}

int gb_rebatch_check(const gb_rebatch *r, const gb_node *node, const gb_node *original)
{
    for (int k = 0; k < node->n_out; k++) {
        gb_images_place at;
        if (!node->out[k] || !holds(r, node->out[k], original->out[k]->id))
            continue;
        if (!find(r, node->out[k], original->out[k]->id, &at) ||
            !grows_along(r, &r->old[original->out[k]->id], &node->out[k]->shape, at.axis))
            return refuse(node, "its output does not grow with the batch");
    }
    return 0;
}

int gb_rebatch_check_output(const gb_rebatch *r, const gb_value *value, int original_id)
{
    const gb_shape *old = &r->old[original_id];
    if (old->rank > 0 && old->dim[0] == r->from && grows_along(r, old, &value->shape, 0))
        return 0;
    return gb_fail(GB_ERR_UNSUPPORTED, "output '%.200s' has no dimension for the batch",
                   value->name);
}
