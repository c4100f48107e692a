// Views: the same elements under another shape, and copies where strides do not allow that.
#include "op/view.h"

#include <string.h>

bool gb_view_reshape(gb_view *out, const gb_shape *to, const gb_view *view, const gb_shape *from)
{
    // Both shapes are cut into the shortest groups of dimensions that hold equally many elements. A
    // group of `from` must be evenly strided (merge into one), then it splits any way.
    gb_view result = {.store = view->store, .offset = view->offset};
    gb_shape old = {0};
    int64_t stride[GB_MAX_RANK];
    for (int d = 0; d < from->rank; d++) { // dimensions of 1 have no say
        if (from->dim[d] == 1)
            continue;
        stride[old.rank] = view->stride[d];
        old.dim[old.rank++] = from->dim[d];
    }
    if (gb_shape_count(from) == 0) {
        gb_view_dense(&result, to, GB_ORDER_PLAIN);
        *out = result;
        return true;
    }
    int i = 0, j = 0;
    while (i < old.rank || j < to->rank) {
        if (j < to->rank && to->dim[j] == 1) {
            result.stride[j++] = 0;
            continue;
        }
        if (i == old.rank || j == to->rank)
            return false;
        int i0 = i, j0 = j;
        int64_t a = old.dim[i++], b = to->dim[j++];
        while (a != b) {
            if (a < b ? i == old.rank : j == to->rank)
                return false;
            if (a < b)
                a *= old.dim[i++];
            else
                b *= to->dim[j++];
        }
        for (int k = i0; k + 1 < i; k++)
            if (stride[k] != stride[k + 1] * old.dim[k + 1])
                return false;
        int64_t step = stride[i - 1];
        for (int k = j - 1; k >= j0; k--) {
            result.stride[k] = step;
            step *= to->dim[k];
        }
    }
    // Strides of dimensions of 1 are free: what they would be if the dimensions behind are dense.
    for (int k = to->rank - 1; k >= 0; k--)
        if (to->dim[k] == 1)
            result.stride[k] = k + 1 < to->rank ? result.stride[k + 1] * to->dim[k + 1] : 1;
    *out = result;
    return true;
}

bool gb_shape_refine(gb_shape *out, const gb_shape *a, const gb_shape *b)
{
    gb_shape fine = {0};
    int i = 0, j = 0;
    int64_t left = 1, right = 1; // what remains of the dimensions being cut
    if (gb_shape_count(a) <= 0 || gb_shape_count(a) != gb_shape_count(b))
        return false;
    for (;;) {
        while (left == 1 && i < a->rank)
            left = a->dim[i++];
        while (right == 1 && j < b->rank)
            right = b->dim[j++];
        if (left == 1 && right == 1)
            break;
        int64_t cut = left < right ? left : right;
        if (cut == 1 || left % cut || right % cut || fine.rank == GB_MAX_RANK)
            return false;
        fine.dim[fine.rank++] = cut;
        left /= cut;
        right /= cut;
    }
    *out = fine;
    return true;
}

static int64_t magnitude(int64_t stride)
{
    return stride < 0 ? -stride : stride;
}

void gb_view_dense_like(gb_view *view, const gb_shape *shape, const gb_view *like)
{
    bool used[GB_MAX_RANK] = {0};
    int64_t stride = 1;
    for (int n = 0; n < shape->rank; n++) {
        int best = -1;
        for (int d = shape->rank - 1; d >= 0; d--)
            if (!used[d] &&
                (best < 0 || magnitude(like->stride[d]) < magnitude(like->stride[best])))
                best = d;
        used[best] = true;
        view->stride[best] = stride;
        stride *= shape->dim[best];
    }
}

void gb_emit_copy_reshape(gb_emit *e, const gb_view *dst, const gb_shape *to, const gb_view *src,
                          const gb_shape *from, bool add)
{
    gb_shape fine;
    gb_view a, b;
    int64_t count = gb_shape_count(to);
    if (e->status || count == 0)
        return;
    if (gb_shape_refine(&fine, to, from) && gb_view_reshape(&a, &fine, dst, to) &&
        gb_view_reshape(&b, &fine, src, from)) {
        gb_emit_copy(e, &fine, &a, &b, add);
        return;
    }
    // No common refinement: through dense memory, which any shape can see.
    gb_view temp = {.store = gb_emit_temp(e, (size_t)count * sizeof(float), "reshape")};
    gb_view_dense(&temp, from, GB_ORDER_PLAIN);
    gb_emit_copy(e, from, &temp, src, false);
    gb_view_dense(&temp, to, GB_ORDER_PLAIN);
    gb_emit_copy(e, to, dst, &temp, add);
}

// Operators that read and write pixels with their channels, and those that give axes a new meaning.
static const char *const pixel_ops[] = {"Conv", "MaxPool", "AveragePool", "GlobalAveragePool",
                                        "GlobalMaxPool", "BatchNormalization", "LRN",
                                        "InstanceNormalization", "Resize", "Upsample"};
static const char *const other_ops[] = {"Transpose", "Reshape", "MatMul", "Softmax", "LogSoftmax",
                                        "LayerNormalization", "Flatten"};

static bool is_one_of(const gb_node *node, const char *const *types, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(node->type, types[i]) == 0)
            return true;
    return false;
}

// True if pixels are read from the value, directly or behind operators that keep the axes.
static bool feeds_pixels(const gb_readers *readers, const gb_value *value, int depth)
{
    for (size_t n = readers->first[value->id]; n < readers->first[value->id + 1]; n++) {
        const gb_node *node = readers->node[n];
        if (is_one_of(node, pixel_ops, GB_COUNT(pixel_ops)))
            return true;
        if (depth == 0 || is_one_of(node, other_ops, GB_COUNT(other_ops)))
            continue;
        for (int k = 0; k < node->n_out; k++)
            if (node->out[k] && node->out[k]->shape.rank == value->shape.rank &&
                feeds_pixels(readers, node->out[k], depth - 1))
                return true;
    }
    return false;
}

static bool made_of_pixels(const gb_value *value, int depth)
{
    const gb_node *node = value->producer;
    if (!node || is_one_of(node, other_ops, GB_COUNT(other_ops)))
        return false;
    if (is_one_of(node, pixel_ops, GB_COUNT(pixel_ops)))
        return true;
    for (int i = 0; i < node->n_in && depth > 0; i++)
        if (node->in[i] && node->in[i]->shape.rank == value->shape.rank &&
            made_of_pixels(node->in[i], depth - 1))
            return true;
    return false;
}

gb_order gb_order_for(const gb_emit *e, const gb_value *value)
{
    bool pixels = value->shape.rank > 2 &&
                  (made_of_pixels(value, 4) || feeds_pixels(&e->readers, value, 4));
    return pixels ? GB_ORDER_CHANNELS_LAST : GB_ORDER_PLAIN;
}
