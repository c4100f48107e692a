// Reading the arguments of the index operators into axis maps.
#include "op/index.h"

#include "op/infer.h"

#include <inttypes.h>
#include <string.h>

enum { MAX_SPLIT = 1024 }; // outputs of a Split

static gb_axis_map affine(int64_t n_in, int64_t n_out, int64_t first, int64_t step)
{
    return (gb_axis_map){n_in, n_out, .affine = true, .first = first, .step = step};
}

int gb_axis_map_table(gb_axis_map *map, gb_arena *arena, const gb_node *node, int64_t n_out,
                      int64_t taps)
{
    const int64_t limit = 1 << 24; // entries: far more than any picture's side
    if (n_out < 0 || n_out > limit || (taps > 0 && n_out > limit / taps))
        return gb_fail(GB_ERR_ARG, "%s: an axis of %" PRId64 " elements is too long",
                       gb_node_text(node), n_out);
    map->n_out = n_out;
    map->affine = false;
    map->start = gb_arena_array(arena, (size_t)n_out + 1, sizeof *map->start);
    map->tap = gb_arena_array(arena, (size_t)(n_out * taps), sizeof *map->tap);
    map->weight = gb_arena_array(arena, (size_t)(n_out * taps), sizeof *map->weight);
    return map->start && map->tap && map->weight ? 0 : GB_ERR_NOMEM;
}

int gb_axis_map_transpose(gb_axis_map *out, gb_arena *arena, const gb_axis_map *map)
{
    int64_t total = map->affine ? map->n_out : map->start[map->n_out];
    *out = (gb_axis_map){.n_in = map->n_out, .n_out = map->n_in};
    out->start = gb_arena_array(arena, (size_t)map->n_in + 2, sizeof *out->start);
    out->tap = gb_arena_array(arena, (size_t)total, sizeof *out->tap);
    out->weight = gb_arena_array(arena, (size_t)total, sizeof *out->weight);
    if (!out->start || !out->tap || !out->weight)
        return GB_ERR_NOMEM;
    // Counts, then sums, then taps in order of output, so that sums have one order in every run.
    // start[] is kept one ahead while filling: start[i + 1] is where input i's next tap goes.
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t o = 0; o < map->n_out; o++) {
            int64_t from = map->affine ? o : map->start[o];
            int64_t to = map->affine ? o + 1 : map->start[o + 1];
            for (int64_t t = from; t < to; t++) {
                int64_t i = map->affine ? map->first + map->step * o : map->tap[t];
                if (pass == 0) {
                    out->start[i + 2]++;
                } else {
                    int32_t at = out->start[i + 1]++;
                    out->tap[at] = (int32_t)o;
                    out->weight[at] = map->affine ? 1 : map->weight[t];
                }
            }
        }
        for (int64_t i = 0; pass == 0 && i < map->n_in; i++)
            out->start[i + 2] += out->start[i + 1];
    }
    return 0;
}

int gb_index_room(const gb_node *node, int rank, const double *out)
{
    double count = 1;
    for (int d = 0; d < rank; d++)
        count *= out[d];
    return count <= 0x1p40 ? 0
                           : gb_fail(GB_ERR_ARG, "%s: an output of %.3g elements is not possible",
                                     gb_node_text(node), count);
}

// Tables that pick evenly spaced inputs need no table.
static void simplify(gb_axis_map *map)
{
    int64_t step = 1;
    if (map->affine || map->n_out == 0)
        return;
    for (int64_t o = 0; o < map->n_out; o++)
        if (map->start[o] != o || map->weight[o] != 1)
            return;
    if (map->start[map->n_out] != map->n_out)
        return;
    if (map->n_out > 1)
        step = (int64_t)map->tap[1] - map->tap[0];
    for (int64_t o = 1; o < map->n_out; o++)
        if (map->tap[o] - map->tap[o - 1] != step)
            return;
    *map = affine(map->n_in, map->n_out, map->tap[0], step);
}

static int64_t clamp(int64_t v, int64_t lo, int64_t hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

// Which axis entry i of a list of axes is; without a list, i itself.
static int listed_axis(const gb_node *node, const int64_t *axes, int n_axes, int i, int rank,
                       int *axis)
{
    return gb_axis(node, n_axes < 0 ? i : axes[i], rank, axis);
}

static int read_slice(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    int64_t starts[GB_MAX_RANK], ends[GB_MAX_RANK], axes[GB_MAX_RANK], steps[GB_MAX_RANK];
    int n, n_ends, n_axes, n_steps, axis, err;
    (void)arena, (void)k;
    GB_TRY(gb_arg_ints(node, "starts", 1, starts, GB_MAX_RANK, &n));
    GB_TRY(gb_arg_ints(node, "ends", 2, ends, GB_MAX_RANK, &n_ends));
    GB_TRY(gb_arg_ints(node, "axes", 3, axes, GB_MAX_RANK, &n_axes));
    GB_TRY(gb_arg_ints(node, NULL, 4, steps, GB_MAX_RANK, &n_steps));
    if (n < 0 || n > x->in.rank || n_ends != n || (n_axes >= 0 && n_axes != n) ||
        (n_steps >= 0 && n_steps != n))
        return gb_fail(GB_ERR_FORMAT, "%s: starts, ends, axes and steps do not match",
                       gb_node_text(node));
    for (int i = 0; i < n; i++) {
        GB_TRY(listed_axis(node, axes, n_axes, i, x->in.rank, &axis));
        int64_t dim = x->in.dim[axis], step = n_steps < 0 ? 1 : steps[i], start = starts[i];
        int64_t end = ends[i], count = 0;
        if (step == 0)
            return gb_fail(GB_ERR_FORMAT, "%s: a step of 0", gb_node_text(node));
        step = clamp(step, -dim - 1, dim + 1); // the same elements, and no overflow
        start += start < 0 ? dim : 0;
        end += end < 0 ? dim : 0;
        start = step > 0 ? clamp(start, 0, dim) : clamp(start, 0, dim - 1);
        end = step > 0 ? clamp(end, 0, dim) : clamp(end, -1, dim - 1);
        if (dim > 0 && step > 0 && end > start)
            count = (end - start - 1) / step + 1;
        if (dim > 0 && step < 0 && end < start)
            count = (start - end - 1) / -step + 1;
        x->axis[axis] = affine(dim, count, count ? start : 0, step);
    }
fail:
    return err;
}

static int read_split(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    int axis, n, err;
    int64_t sizes[MAX_SPLIT], first = 0, sum = 0;
    (void)arena;
    GB_TRY(gb_axis(node, gb_attr_int(node, "axis", 0), x->in.rank, &axis));
    GB_TRY(gb_arg_ints(node, "split", 1, sizes, MAX_SPLIT, &n));
    int64_t dim = x->in.dim[axis];
    if (n < 0) { // equal parts, the last one smaller where they cannot be
        int64_t part = (dim + node->n_out - 1) / node->n_out;
        n = node->n_out;
        for (int i = 0; i < n && i < MAX_SPLIT; i++)
            sizes[i] = clamp(dim - part * i, 0, part);
    }
    if (n != node->n_out || n > MAX_SPLIT)
        return gb_fail(GB_ERR_FORMAT, "%s: %d sizes for %d outputs", gb_node_text(node), n,
                       node->n_out);
    for (int i = 0; i < n; i++) {
        if (sizes[i] < 0 || sizes[i] > dim - sum)
            return gb_fail(GB_ERR_FORMAT, "%s: sizes do not add up to %" PRId64,
                           gb_node_text(node), dim);
        first += i < k ? sizes[i] : 0;
        sum += sizes[i];
    }
    if (sum != dim)
        return gb_fail(GB_ERR_FORMAT, "%s: sizes do not add up to %" PRId64, gb_node_text(node),
                       dim);
    x->axis[axis] = affine(dim, sizes[k], first, 1);
fail:
    return err;
}

// The source of padded position i (may be outside [0,n)) in a mode; -1: the constant.
static int64_t pad_source(char mode, int64_t i, int64_t n)
{
    if (i >= 0 && i < n)
        return i;
    switch (mode) {
    case 'e':
        return clamp(i, 0, n - 1);
    case 'w':
        return (i % n + n) % n;
    case 'r': {
        int64_t period = n > 1 ? 2 * (n - 1) : 1, at = (i % period + period) % period;
        return at < n ? at : period - at;
    }
    }
    return -1;
}

static int read_pad(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    int64_t pads[2 * GB_MAX_RANK], axes[GB_MAX_RANK];
    int n, n_axes, axis, err;
    float fill;
    const char *mode = gb_attr_string(node, "mode", "constant");
    (void)k;
    GB_TRY(gb_arg_ints(node, "pads", 1, pads, 2 * GB_MAX_RANK, &n));
    GB_TRY(gb_arg_float(node, "value", 2, 0, &fill));
    GB_TRY(gb_arg_ints(node, NULL, 3, axes, GB_MAX_RANK, &n_axes));
    int n_axis = n_axes < 0 ? x->in.rank : n_axes;
    if (n_axis > x->in.rank || n != 2 * n_axis)
        return gb_fail(GB_ERR_FORMAT, "%s: %d pads for %d axes", gb_node_text(node), n, n_axis);
    if (strcmp(mode, "constant") && strcmp(mode, "reflect") && strcmp(mode, "edge") &&
        strcmp(mode, "wrap"))
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: mode '%.40s'", gb_node_text(node), mode);
    x->fill = fill;
    double out[GB_MAX_RANK];
    for (int i = 0; i < n_axis; i++) {
        GB_TRY(listed_axis(node, axes, n_axes, i, x->in.rank, &axis));
        out[i] = (double)x->in.dim[axis] + (double)pads[i] + (double)pads[i + n_axis];
    }
    GB_TRY(gb_index_room(node, n_axis, out));
    for (int i = 0; i < n_axis; i++) {
        GB_TRY(listed_axis(node, axes, n_axes, i, x->in.rank, &axis));
        int64_t dim = x->in.dim[axis], before = pads[i], after = pads[i + n_axis], count;
        if (__builtin_add_overflow(before, after, &count) ||
            __builtin_add_overflow(count, dim, &count) || count < 0)
            return gb_fail(GB_ERR_FORMAT, "%s: pads leave nothing", gb_node_text(node));
        if (before == 0 && after == 0)
            continue;
        if (dim == 0 && count > 0 && *mode != 'c')
            return gb_fail(GB_ERR_ARG, "%s: nothing to pad with", gb_node_text(node));
        gb_axis_map *map = &x->axis[axis];
        GB_TRY(gb_axis_map_table(map, arena, node, count, 1));
        for (int64_t o = 0, t = 0; o < count; o++) {
            int64_t from = pad_source(*mode, o - before, dim);
            if (from >= 0) {
                map->tap[t] = (int32_t)from;
                map->weight[t++] = 1;
            }
            map->start[o + 1] = (int32_t)t;
        }
    }
fail:
    return err;
}

static int read_gather(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    int axis, err;
    const gb_value *indices = gb_input(node, 1);
    (void)k;
    GB_TRY(gb_axis(node, gb_attr_int(node, "axis", 0), x->in.rank, &axis));
    if (!indices || !indices->data)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: its indices must be constants", gb_node_text(node));
    const gb_tensor *t = indices->data;
    if (t->type != GB_I64 || t->shape.rank + x->in.rank - 1 > GB_MAX_RANK)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: indices of rank %d", gb_node_text(node),
                       t->shape.rank);
    int64_t count = gb_shape_count(&t->shape), dim = x->in.dim[axis];
    gb_axis_map *map = &x->axis[axis];
    GB_TRY(gb_axis_map_table(map, arena, node, count, 1));
    for (int64_t o = 0; o < count; o++) {
        int64_t from = gb_tensor_int(t, o);
        if (from < -dim || from >= dim)
            return gb_fail(GB_ERR_ARG, "%s: index %" PRId64 " is outside an axis of %" PRId64,
                           gb_node_text(node), from, dim);
        map->tap[o] = (int32_t)(from < 0 ? from + dim : from);
        map->weight[o] = 1;
        map->start[o + 1] = (int32_t)(o + 1);
    }
    // The indices' dimensions take the axis's place.
    int rank = t->shape.rank;
    x->out = x->in;
    x->out.rank = x->in.rank - 1 + rank;
    for (int d = 0; d < rank; d++)
        x->out.dim[axis + d] = t->shape.dim[d];
    for (int d = axis + 1; d < x->in.rank; d++)
        x->out.dim[d - 1 + rank] = x->in.dim[d];
fail:
    return err;
}

static int read_tile(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    int64_t repeats[GB_MAX_RANK], count;
    int n, err;
    (void)k;
    GB_TRY(gb_arg_ints(node, NULL, 1, repeats, GB_MAX_RANK, &n));
    if (n != x->in.rank)
        return gb_fail(GB_ERR_FORMAT, "%s: %d repeats for rank %d", gb_node_text(node), n,
                       x->in.rank);
    double out[GB_MAX_RANK];
    for (int d = 0; d < n; d++)
        out[d] = (double)x->in.dim[d] * (double)repeats[d];
    GB_TRY(gb_index_room(node, n, out));
    for (int d = 0; d < n; d++) {
        int64_t dim = x->in.dim[d];
        gb_axis_map *map = &x->axis[d];
        if (repeats[d] < 0 || __builtin_mul_overflow(dim, repeats[d], &count))
            return gb_fail(GB_ERR_FORMAT, "%s: cannot repeat %" PRId64 " times",
                           gb_node_text(node), repeats[d]);
        if (repeats[d] == 1)
            continue;
        if (dim == 1) {
            *map = affine(1, count, 0, 0);
            continue;
        }
        GB_TRY(gb_axis_map_table(map, arena, node, count, 1));
        for (int64_t o = 0; o < count; o++) {
            map->tap[o] = (int32_t)(o % dim);
            map->weight[o] = 1;
            map->start[o + 1] = (int32_t)(o + 1);
        }
    }
fail:
    return err;
}

static int read_expand(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    int64_t dims[GB_MAX_RANK];
    int n, err;
    gb_shape asked = {0}, out;
    (void)arena, (void)k;
    GB_TRY(gb_arg_ints(node, NULL, 1, dims, GB_MAX_RANK, &n));
    if (n < 0 || n > GB_MAX_RANK)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: a shape of %d dimensions", gb_node_text(node), n);
    asked.rank = n;
    for (int d = 0; d < n; d++) {
        asked.dim[d] = dims[d];
        if (dims[d] < 0)
            return gb_fail(GB_ERR_FORMAT, "%s: a negative dimension", gb_node_text(node));
    }
    err = gb_shape_broadcast(&out, &x->in, &asked);
    if (err < 0)
        return gb_fail_in(err, "%s", gb_node_text(node));
    int lead = out.rank - x->in.rank;
    for (int d = out.rank - 1; d >= 0; d--) {
        int64_t dim = d < lead ? 1 : x->in.dim[d - lead];
        x->axis[d] = affine(dim, out.dim[d], 0, dim == out.dim[d] ? 1 : 0);
    }
    x->in.rank = out.rank;
fail:
    return err;
}

static int read_resize(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    (void)k;
    return gb_index_resize(x, arena, node);
}

static const struct {
    const char *type;
    int (*read)(gb_index *x, gb_arena *arena, const gb_node *node, int k);
} readers[] = {
    {"Slice", read_slice},   {"Split", read_split},       {"Pad", read_pad},
    {"Gather", read_gather}, {"Tile", read_tile},         {"Expand", read_expand},
    {"Resize", read_resize}, {"Upsample", read_resize},
};

int gb_index_read(gb_index *x, gb_arena *arena, const gb_node *node, int k)
{
    int err = 0;
    *x = (gb_index){.in = node->in[0]->shape, .out.rank = -1};
    for (int d = 0; d < x->in.rank; d++)
        x->axis[d] = affine(x->in.dim[d], x->in.dim[d], 0, 1);
    for (size_t i = 0; i < GB_COUNT(readers); i++)
        if (strcmp(readers[i].type, node->type) == 0)
            GB_TRY(readers[i].read(x, arena, node, k));
    x->mapped.rank = x->in.rank;
    for (int d = 0; d < x->in.rank; d++) {
        simplify(&x->axis[d]);
        x->in.dim[d] = x->axis[d].n_in;
        x->mapped.dim[d] = x->axis[d].n_out;
    }
    if (x->out.rank < 0)
        x->out = x->mapped;
fail:
    return err;
}
