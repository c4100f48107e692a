// Running a model that was exported for one batch at another one.
#include "engine/rebatch.h"

#include "op/op.h"

#include <inttypes.h>
#include <string.h>

enum { NO_AXIS = -1, MIXED = -2 };

static int refuse(const gb_node *node, const char *why)
{
    return gb_fail(GB_ERR_UNSUPPORTED, "%s: %s", gb_node_text(node), why);
}

// The axis that carries the images: NO_AXIS where the shapes are equal, MIXED where they differ in
// another way than by the batch in one axis.
static int image_axis(const gb_rebatch *r, const gb_shape *old, const gb_shape *now)
{
    int axis = NO_AXIS;
    if (old->rank != now->rank)
        return MIXED;
    for (int d = 0; d < old->rank; d++) {
        if (old->dim[d] == now->dim[d])
            continue;
        if (axis != NO_AXIS || old->dim[d] % r->from ||
            old->dim[d] / r->from * r->to != now->dim[d])
            return MIXED;
        axis = d;
    }
    return axis;
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
           image_axis(r, &r->old[original->out[0]->id], &node->out[0]->shape) < 0;
}

static int adapt_reshape(const gb_rebatch *r, gb_node *node, const gb_node *original)
{
    const gb_shape *old = &r->old[original->in[0]->id], *now = &node->in[0]->shape;
    gb_shape out = r->old[original->out[0]->id];
    int axis = image_axis(r, old, now);
    if (axis == NO_AXIS)
        return 0;
    if (axis == MIXED)
        return refuse(node, "images are not along one axis");
    int64_t outside = r->outside[original->in[0]->id], right = old->dim[axis] / outside / r->from;
    if (right == 1)
        right = axis + 1 < old->rank ? old->dim[axis + 1] : 0;
    int target = find_axis(r, &out, product(old, 0, axis) * outside, right);
    if (target == NO_AXIS)
        return refuse(node, "its shape is made for one batch");
    out.dim[target] = out.dim[target] / r->from * r->to;
    return replace_shape(node, 1, &out);
}

// Expand and Resize: the sizes asked for, aligned to the right with the input's axes.
static int adapt_sizes(const gb_rebatch *r, gb_node *node, const gb_node *original, int input)
{
    gb_shape out = r->old[original->out[0]->id];
    const gb_shape *now = &node->in[0]->shape;
    int axis = image_axis(r, &r->old[original->in[0]->id], now);
    if (axis < 0)
        return axis == MIXED ? refuse(node, "images are not along one axis") : 0;
    axis += out.rank - now->rank;
    out.dim[axis] = out.dim[axis] / r->from * r->to;
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

static int adapt_concat(const gb_rebatch *r, gb_node *node, const gb_node *original)
{
    int along, axis = NO_AXIS, model = 0, err = 0;
    for (int i = 0; i < node->n_in && axis == NO_AXIS; i++) {
        model = original->in[i]->id;
        axis = image_axis(r, &r->old[model], &node->in[i]->shape);
    }
    if (axis == NO_AXIS)
        return 0;
    GB_TRY(gb_axis(node, gb_attr_int(node, "axis", 1), node->in[0]->shape.rank, &along));
    if (axis == MIXED || axis == along)
        return refuse(node, "joins images along their axis");
    for (int i = 0; i < node->n_in; i++) {
        const gb_value *x = node->in[i];
        if ((!x->data && !x->param) ||
            image_axis(r, &r->old[original->in[i]->id], &x->shape) != NO_AXIS)
            continue;
        if (r->from != 1 || x->shape.rank <= axis || gb_shape_count(&x->shape) == 0 ||
            x->shape.dim[axis] != r->old[model].dim[axis])
            return refuse(node, "joins constants made for one batch");
        GB_TRY(x->param ? expand(r, node, i, axis, r->outside[model])
                        : repeat(r, node, i, axis, r->outside[model]));
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
    int along, axis = image_axis(r, old, &node->in[0]->shape);
    if (!t || axis < 0 ||
        gb_axis(node, gb_attr_int(node, "axis", 0), old->rank, &along) < 0 || along != axis ||
        gb_shape_count(&t->shape) != old->dim[axis])
        return false;
    for (int64_t i = 0; i < old->dim[axis]; i++)
        if (gb_tensor_int(t, i) != i)
            return false;
    return true;
}

int gb_rebatch_adapt(const gb_rebatch *r, gb_node *node, const gb_node *original)
{
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
    if (strcmp(node->type, "Concat") == 0)
        return adapt_concat(r, node, original);
    return 0;
}

// True if the operator combines elements along the axis that carries the images.
static bool mixes(const gb_node *node, int axis)
{
    static const char *const pixels[] = {"Conv", "MaxPool", "AveragePool", "GlobalAveragePool",
                                         "GlobalMaxPool", "BatchNormalization", "LRN",
                                         "InstanceNormalization"};
    bool softmax = strcmp(node->type, "Softmax") == 0 || strcmp(node->type, "LogSoftmax") == 0;
    bool layer = strcmp(node->type, "LayerNormalization") == 0;
    for (size_t i = 0; i < GB_COUNT(pixels); i++)
        if (strcmp(node->type, pixels[i]) == 0)
            return axis != 0;
    if (!softmax && !layer)
        return false;
    int64_t along = gb_attr_int(node, "axis", softmax && node->opset < 13 ? 1 : -1);
    along += along < 0 ? node->out[0]->shape.rank : 0;
    return softmax && node->opset >= 13 ? axis == along : axis >= along;
}

int gb_rebatch_check(const gb_rebatch *r, const gb_node *node, const gb_node *original)
{
    static const char *const renames[] = {"Reshape", "Flatten", "Squeeze", "Unsqueeze"};
    int64_t outside = 1, before = 1;
    bool rename = false;
    for (size_t i = 0; i < GB_COUNT(renames); i++)
        rename |= strcmp(node->type, renames[i]) == 0;
    for (int i = node->n_in - 1; i >= 0; i--) {
        if (!node->in[i] || !original->in[i])
            continue;
        int id = original->in[i]->id;
        int axis = image_axis(r, &r->old[id], &node->in[i]->shape);
        if (axis < 0)
            continue;
        outside = r->outside[id];
        before = product(&r->old[id], 0, axis) * outside;
    }
    for (int k = 0; k < node->n_out; k++) {
        if (!node->out[k])
            continue;
        int id = original->out[k]->id;
        int axis = image_axis(r, &r->old[id], &node->out[k]->shape);
        r->outside[id] = outside;
        if (axis == MIXED)
            return refuse(node, "its output does not grow with the batch");
        if (axis == NO_AXIS)
            continue;
        if (mixes(node, axis))
            return refuse(node, "mixes the images of a batch");
        int64_t outer = product(&r->old[id], 0, axis);
        if (rename && (outer == 0 || before < outer || before % outer))
            return refuse(node, "its shape is made for one batch");
        if (rename)
            r->outside[id] = before / outer;
    }
    return 0;
}

int gb_rebatch_check_output(const gb_rebatch *r, const gb_value *value, int original_id)
{
    const gb_shape *old = &r->old[original_id];
    if (old->rank > 0 && old->dim[0] == r->from && image_axis(r, old, &value->shape) == 0)
        return 0;
    return gb_fail(GB_ERR_UNSUPPORTED, "output '%.200s' has no dimension for the batch",
                   value->name);
}
