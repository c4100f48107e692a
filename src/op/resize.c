// Resize and Upsample: where each output pixel lies in the input, and the taps around it.
#include "op/index.h"

#include "op/infer.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { NEAREST, LINEAR, CUBIC } kind;

typedef struct how {
    kind kind;
    const char *where, *nearest; // coordinate_transformation_mode, nearest_mode
    bool antialias, exclude_outside;
    double cubic_a;
} how;

// One axis. The scale is num / den, so that scales made from sizes divide exactly.
typedef struct side {
    int64_t in, out;
    double num, den;
    double roi_start, roi_end;
} side;

// The input coordinate of output o, by ONNX's formulas.
static double coordinate(const how *h, const side *s, int64_t o)
{
    double length = s->in * s->num / s->den; // before rounding to whole pixels
    double centre = (o + 0.5) * s->den / s->num - 0.5;
    if (strcmp(h->where, "half_pixel") == 0)
        return centre;
    if (strcmp(h->where, "pytorch_half_pixel") == 0)
        return s->out > 1 ? centre : 0;
    if (strcmp(h->where, "half_pixel_symmetric") == 0)
        return s->in / 2.0 * (1 - s->out / length) + centre;
    if (strcmp(h->where, "align_corners") == 0)
        return length == 1 ? 0 : o * (s->in - 1) / (length - 1);
    if (strcmp(h->where, "tf_half_pixel_for_nn") == 0)
        return (o + 0.5) * s->den / s->num;
    if (strcmp(h->where, "tf_crop_and_resize") == 0)
        return s->out > 1 ? s->roi_start * (s->in - 1) +
                                o * (s->roi_end - s->roi_start) * (s->in - 1) / (length - 1)
                          : 0.5 * (s->roi_start + s->roi_end) * (s->in - 1);
    return o * s->den / s->num; // asymmetric
}

static int64_t nearest(const how *h, double x)
{
    if (strcmp(h->nearest, "floor") == 0)
        return (int64_t)floor(x);
    if (strcmp(h->nearest, "ceil") == 0)
        return (int64_t)ceil(x);
    if (strcmp(h->nearest, "round_prefer_ceil") == 0)
        return (int64_t)floor(x + 0.5);
    return (int64_t)ceil(x - 0.5); // round_prefer_floor
}

// The interpolation kernel at distance d: a triangle, or Keys' cubic with parameter a.
static double kernel(const how *h, double d)
{
    double a = h->cubic_a;
    d = fabs(d);
    if (h->kind == LINEAR)
        return d < 1 ? 1 - d : 0;
    if (d < 1)
        return ((a + 2) * d - (a + 3)) * d * d + 1;
    return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

static int64_t inside(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

static int make_map(gb_axis_map *map, gb_arena *arena, const gb_node *node, const how *h,
                    const side *s)
{
    double scale = h->antialias && s->num < s->den ? s->num / s->den : 1;
    double radius = (h->kind == CUBIC ? 2 : 1) / scale;
    bool crop = strcmp(h->where, "tf_crop_and_resize") == 0;
    if (s->in == 0 && s->out > 0)
        return gb_fail(GB_ERR_ARG, "%s: nothing to enlarge", gb_node_text(node));
    if (!(radius < 1e6))
        return gb_fail(GB_ERR_ARG, "%s: the scale is absurd", gb_node_text(node));
    int err = gb_axis_map_table(map, arena, node, s->out,
                                h->kind == NEAREST ? 1 : 2 * (int64_t)ceil(radius) + 1);
    if (err < 0)
        return err;
    for (int64_t o = 0, t = 0; o < s->out; o++) {
        double x = coordinate(h, s, o), sum = 0;
        int64_t begin = t;
        if (!(fabs(x) < 1e9))
            return gb_fail(GB_ERR_ARG, "%s: the scale is absurd", gb_node_text(node));
        if (crop && (x < 0 || x > (double)(s->in - 1))) { // outside of the input: the fill value
            map->start[o + 1] = (int32_t)t;
            continue;
        }
        if (h->kind == NEAREST) {
            map->tap[t] = (int32_t)inside(nearest(h, x), s->in);
            map->weight[t++] = 1;
        } else {
            for (int64_t i = (int64_t)ceil(x - radius); i <= (int64_t)floor(x + radius); i++) {
                double w = kernel(h, ((double)i - x) * scale);
                if (w == 0 || (h->exclude_outside && i != inside(i, s->in)))
                    continue;
                map->tap[t] = (int32_t)inside(i, s->in);
                map->weight[t++] = w;
                sum += w;
            }
            for (int64_t i = begin; i < t && (h->antialias || h->exclude_outside); i++)
                map->weight[i] /= sum;
        }
        map->start[o + 1] = (int32_t)t;
    }
    return 0;
}

// A list of floats that is an attribute in Upsample 7 and an input elsewhere; *n = 0 where empty.
static int read_floats(const gb_node *node, const char *name, int index, double *out, int *n)
{
    const gb_value *v = gb_input(node, index);
    const gb_attr *attr = name ? gb_attr_find(node, name) : NULL;
    int64_t count = 0;
    if (v && !v->data)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: input %d must be a constant", gb_node_text(node),
                       index);
    if (v)
        count = gb_shape_count(&v->data->shape);
    else if (attr && attr->kind == GB_ATTR_FLOATS)
        count = (int64_t)attr->count;
    if (count > 2 * GB_MAX_RANK)
        return gb_fail(GB_ERR_FORMAT, "%s: input %d is too long", gb_node_text(node), index);
    for (int64_t i = 0; i < count; i++)
        out[i] = v ? gb_tensor_get(v->data, i) : (double)attr->floats[i];
    *n = (int)count;
    return 0;
}

static int read_how(how *h, const gb_node *node, bool upsample)
{
    const char *mode = gb_attr_string(node, "mode", "nearest");
    bool old = upsample || node->opset < 11;
    *h = (how){.where = gb_attr_string(node, "coordinate_transformation_mode",
                                       old ? "asymmetric" : "half_pixel"),
               .nearest = gb_attr_string(node, "nearest_mode",
                                         old ? "floor" : "round_prefer_floor"),
               .antialias = gb_attr_int(node, "antialias", 0) != 0,
               .exclude_outside = gb_attr_int(node, "exclude_outside", 0) != 0,
               .cubic_a = gb_attr_float(node, "cubic_coeff_a", -0.75f)};
    if (strcmp(mode, "linear") == 0 || strcmp(mode, "bilinear") == 0)
        h->kind = LINEAR;
    else if (strcmp(mode, "cubic") == 0)
        h->kind = CUBIC;
    else if (strcmp(mode, "nearest") != 0)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: mode '%.40s'", gb_node_text(node), mode);
    static const char *const wheres[] = {"half_pixel", "pytorch_half_pixel", "half_pixel_symmetric",
                                         "align_corners", "tf_half_pixel_for_nn",
                                         "tf_crop_and_resize", "asymmetric"};
    static const char *const roundings[] = {"floor", "ceil", "round_prefer_ceil",
                                            "round_prefer_floor"};
    bool known = false, rounds = false;
    for (size_t i = 0; i < GB_COUNT(wheres); i++)
        known |= strcmp(h->where, wheres[i]) == 0;
    for (size_t i = 0; i < GB_COUNT(roundings); i++)
        rounds |= strcmp(h->nearest, roundings[i]) == 0;
    if (!known || !rounds)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: coordinates '%.40s', rounding '%.40s'",
                       gb_node_text(node), h->where, h->nearest);
    return 0;
}

int gb_index_resize(gb_index *x, gb_arena *arena, const gb_node *node)
{
    bool upsample = strcmp(node->type, "Upsample") == 0;
    int scales_at = upsample || node->opset < 11 ? 1 : 2, err, n_scale, n_size = 0, n_roi;
    int64_t axes[GB_MAX_RANK], sizes[GB_MAX_RANK];
    double scales[2 * GB_MAX_RANK], roi[2 * GB_MAX_RANK], common = 0;
    const char *policy = gb_attr_string(node, "keep_aspect_ratio_policy", "stretch");
    how h;
    GB_TRY(read_how(&h, node, upsample));
    int n_axes = gb_attr_ints(node, "axes", axes, GB_MAX_RANK);
    GB_TRY(read_floats(node, "scales", scales_at, scales, &n_scale));
    if (scales_at == 2)
        GB_TRY(gb_arg_ints(node, NULL, 3, sizes, GB_MAX_RANK, &n_size));
    int n = n_axes < 0 ? x->in.rank : n_axes;
    if (n > x->in.rank || (n_scale != n && n_size != n))
        return gb_fail(GB_ERR_FORMAT, "%s: needs %d scales or sizes", gb_node_text(node), n);
    bool by_size = n_scale != n;
    bool crop = strcmp(h.where, "tf_crop_and_resize") == 0;
    if (crop) {
        GB_TRY(read_floats(node, NULL, 1, roi, &n_roi));
        if (n_roi != 2 * n)
            return gb_fail(GB_ERR_FORMAT, "%s: needs a roi of %d numbers", gb_node_text(node),
                           2 * n);
        x->fill = gb_attr_float(node, "extrapolation_value", 0);
    }
    side sides[GB_MAX_RANK];
    int at[GB_MAX_RANK];
    for (int i = 0; i < n; i++) {
        GB_TRY(gb_axis(node, n_axes < 0 ? i : axes[i], x->in.rank, &at[i]));
        side *s = &sides[i];
        *s = (side){.in = x->in.dim[at[i]]};
        if (crop) {
            s->roi_start = roi[i];
            s->roi_end = roi[n + i];
        }
        if (by_size) {
            s->out = sizes[i];
            s->num = (double)sizes[i];
            s->den = (double)s->in;
        } else { // ONNX's runtimes multiply in float
            double out = floorf((float)s->in * (float)scales[i]);
            s->out = out >= 0 && out < 1e9 ? (int64_t)out : -1;
            s->num = scales[i];
            s->den = 1;
        }
        if (s->out < 0 || s->out > INT32_MAX || !(s->num > 0) || !(s->den > 0))
            return gb_fail(GB_ERR_ARG, "%s: cannot resize %" PRId64 " pixels like that",
                           gb_node_text(node), s->in);
        double scale = s->num / s->den;
        bool smaller = strcmp(policy, "not_larger") == 0;
        if (i == 0 || (smaller ? scale < common : scale > common))
            common = scale;
    }
    double out[GB_MAX_RANK];
    for (int i = 0; i < n; i++) {
        side *s = &sides[i];
        if (by_size && strcmp(policy, "stretch") != 0) {
            s->num = common;
            s->den = 1;
            s->out = (int64_t)floor(common * (double)s->in + 0.5);
        }
        out[i] = (double)s->out;
    }
    GB_TRY(gb_index_room(node, n, out));
    for (int i = 0; i < n; i++) {
        side *s = &sides[i];
        if (s->in != s->out || s->num != s->den || crop)
            GB_TRY(make_map(&x->axis[at[i]], arena, node, &h, s));
    }
fail:
    return err;
}
