// Follows the images of a batch through operators.
#include "op/images.h"

#include "op/index.h"
#include "op/op.h"

#include <string.h>

enum { MAX_DEPTH = 8 }; // how far back equality for all images is looked for

bool gb_holds_images(const gb_value *v)
{
    return v && v->images.kind == GB_IMAGES_APART;
}

bool gb_counts_images(const gb_value *v)
{
    return v && v->images.kind == GB_IMAGES_COUNTED;
}

bool gb_images_first_only(const gb_node *node)
{
    for (int i = 1; i < node->n_in; i++)
        if (gb_holds_images(node->in[i]))
            return false;
    return true;
}

int64_t gb_images_step(const gb_shape *shape, int axis)
{
    int64_t step = 1;
    for (int d = axis + 1; d < shape->rank; d++)
        step *= shape->dim[d];
    return step;
}

bool gb_images_find(gb_images_place *out, const gb_shape *shape, int64_t inside, int64_t batch)
{
    int64_t step = 1;
    for (int d = shape->rank - 1; d >= 0; d--) {
        int64_t n = shape->dim[d];
        if (inside % step == 0 && n % (inside / step * batch) == 0) {
            *out = (gb_images_place){d, n / (inside / step * batch), inside / step};
            return true;
        }
        step *= n;
    }
    return false;
}

bool gb_images_clear_of(const gb_node *node, int input, int64_t low, int64_t high)
{
    int64_t inside = node->in[input]->images.inside;
    return inside % high == 0 || low % (inside * node->graph->batch) == 0;
}

int64_t gb_images_broadcast(const gb_node *node, int input, const gb_shape *shape)
{
    const gb_value *v = node->in[input];
    gb_images_place at;
    if (gb_shape_equal(&v->shape, shape))
        return v->images.inside;
    if (!gb_images_find(&at, &v->shape, v->images.inside, node->graph->batch))
        return 0;
    return at.inner * gb_images_step(shape, at.axis + shape->rank - v->shape.rank);
}

// --- values without images ---

static bool same_data(const gb_tensor *t, const gb_images_place *at, int64_t batch)
{
    const size_t part = (size_t)(at->inner * gb_images_step(&t->shape, at->axis)) *
                        gb_dtype_size(t->type);
    const size_t whole = part * (size_t)batch, bytes = gb_tensor_bytes(t);
    const char *data = t->data;
    for (size_t start = 0; start < bytes; start += whole)
        for (size_t b = part; b < whole; b += part)
            if (memcmp(data + start, data + start + b, part))
                return false;
    return true;
}

// The same, for a value that broadcasts to a shape of `rank` axes, `at` being a place in that. A
// value that is not folded yet is judged by what it was made of.
static bool same_along(const gb_value *v, int rank, gb_images_place at, int64_t batch, int depth)
{
    const gb_node *node = v->producer;
    at.axis -= rank - v->shape.rank;
    if (at.axis < 0 || v->shape.dim[at.axis] == 1 || gb_shape_count(&v->shape) == 0)
        return true;
    if (v->shape.dim[at.axis] != at.outer * batch * at.inner)
        return false;
    if (v->data)
        return same_data(v->data, &at, batch);
    if (!node || depth == MAX_DEPTH)
        return false;
    if (strcmp(node->type, "Expand") == 0)
        return same_along(node->in[0], v->shape.rank, at, batch, depth + 1);
    for (int i = 0; i < node->n_in; i++)
        if (node->op->images != gb_images_pointwise ||
            (node->in[i] && !same_along(node->in[i], v->shape.rank, at, batch, depth + 1)))
            return false;
    return true;
}

bool gb_images_same(const gb_node *node, int input, const gb_shape *shape, int64_t inside)
{
    const gb_value *v = node->in[input];
    gb_images_place at;
    if (gb_counts_images(v))
        return false;
    if (gb_shape_count(&v->shape) == 1)
        return true;
    return gb_images_find(&at, shape, inside, node->graph->batch) &&
           same_along(v, shape->rank, at, node->graph->batch, 0);
}

// --- rules ---

int64_t gb_images_pointwise(const gb_node *node, int k)
{
    const gb_shape *shape = &node->out[k]->shape;
    int64_t inside = 0;
    for (int i = 0; i < node->n_in; i++) {
        if (!gb_holds_images(node->in[i]))
            continue;
        int64_t here = gb_images_broadcast(node, i, shape);
        if (here == 0 || (inside && here != inside))
            return 0;
        inside = here;
    }
    for (int i = 0; i < node->n_in; i++)
        if (node->in[i] && !gb_holds_images(node->in[i]) &&
            !gb_images_same(node, i, shape, inside))
            return 0;
    return inside;
}

int64_t gb_images_renamed(const gb_node *node, int k)
{
    (void)k;
    return gb_images_first_only(node) ? node->in[0]->images.inside : 0;
}

// Input 0 is taken apart along its axes up to this one, the others being weights.
static int64_t apart_up_to(const gb_node *node, int k, int axis)
{
    const int64_t inside = node->in[0]->images.inside;
    const int64_t step = gb_images_step(&node->in[0]->shape, axis);
    if (!gb_images_first_only(node) || inside % step)
        return 0;
    for (int i = 1; i < node->n_in; i++)
        if (gb_counts_images(node->in[i]))
            return 0;
    return inside / step * gb_images_step(&node->out[k]->shape, axis);
}

int64_t gb_images_leading(const gb_node *node, int k)
{
    return apart_up_to(node, k, 0);
}

int64_t gb_images_planes(const gb_node *node, int k)
{
    return apart_up_to(node, k, 1);
}

static int64_t taps_of(const gb_axis_map *map, int64_t o)
{
    return map->affine ? 1 : map->start[o + 1] - map->start[o];
}

static int64_t tap(const gb_axis_map *map, int64_t o, int64_t t)
{
    return map->affine ? map->first + map->step * o : map->tap[map->start[o] + t];
}

static double weight(const gb_axis_map *map, int64_t o, int64_t t)
{
    return map->affine ? 1 : map->weight[map->start[o] + t];
}

static bool of_first_image(const gb_axis_map *map, int64_t o, int64_t inner, int64_t batch)
{
    for (int64_t t = 0; t < taps_of(map, o); t++)
        if (tap(map, o, t) / inner % batch != 0)
            return false;
    return true;
}

// Whether output o is made as `model` is, but of elements that lie `by` further on.
static bool made_alike(const gb_axis_map *map, int64_t o, int64_t model, int64_t by)
{
    bool alike = taps_of(map, o) == taps_of(map, model);
    for (int64_t t = 0; alike && t < taps_of(map, o); t++)
        alike = tap(map, o, t) == tap(map, model, t) + by &&
                weight(map, o, t) == weight(map, model, t);
    return alike;
}

// How many elements of the output's axis lie inside one image, where every image gives the same
// ones and they follow each other as they did in the input's; else 0.
static int64_t mapped_inner(const gb_axis_map *map, int64_t inner, int64_t batch)
{
    int64_t run = 0;
    while (run < map->n_out && of_first_image(map, run, inner, batch))
        run++;
    if (run == 0 || map->n_out % (run * batch))
        return 0;
    for (int64_t o = 0; o < map->n_out; o++) {
        int64_t image = o / run % batch, first = o - image * run;
        if (!of_first_image(map, first, inner, batch) ||
            !made_alike(map, o, first, image * inner))
            return 0;
    }
    return run;
}

int64_t gb_images_indexed(const gb_node *node, int k)
{
    gb_arena arena = {0};
    gb_index map;
    gb_images_place at;
    const int64_t batch = node->graph->batch;
    int64_t inside = 0;
    if (!gb_images_first_only(node))
        return 0;
    if (gb_index_read(&map, &arena, node, k) == 0 &&
        gb_images_find(&at, &map.in, node->in[0]->images.inside, batch))
        inside = mapped_inner(&map.axis[at.axis], at.inner, batch) *
                 gb_images_step(&map.mapped, at.axis);
    gb_arena_finish(&arena);
    return inside;
}

// Whether the outputs of a node without images may tell how many there are. Where a count says only
// how elements are arranged, they do not.
static bool may_count(const gb_node *node)
{
    const gb_op *op = node->op;
    bool arranges = op->images == gb_images_indexed || op->images == gb_images_renamed;
    int n = !strcmp(op->name, "ConstantOfShape") ? 0 : arranges ? 1 : node->n_in;
    bool counted = op->shape_only;
    for (int i = 0; i < n; i++)
        counted |= gb_counts_images(node->in[i]);
    return counted;
}

static gb_images images_of(const gb_node *node, int k, bool apart, bool mixed)
{
    const int64_t count = gb_shape_count(&node->out[k]->shape), batch = node->graph->batch;
    if (count == 0 || node->op->shape_only || !(apart || mixed))
        return (gb_images){.kind = may_count(node) ? GB_IMAGES_COUNTED : GB_IMAGES_NONE};
    int64_t inside = mixed || !node->op->images ? 0 : node->op->images(node, k);
    if (inside > 0 && count % inside == 0 && count / inside % batch == 0)
        return (gb_images){GB_IMAGES_APART, inside};
    return (gb_images){.kind = GB_IMAGES_MIXED};
}

void gb_images_follow(gb_node *node)
{
    bool apart = false, mixed = false;
    if (node->graph->batch < 2)
        return;
    for (int i = 0; i < node->n_in; i++) {
        apart |= gb_holds_images(node->in[i]);
        mixed |= node->in[i] && node->in[i]->images.kind == GB_IMAGES_MIXED;
    }
    for (int k = 0; k < node->n_out; k++)
        if (node->out[k])
            node->out[k]->images = images_of(node, k, apart, mixed);
}
