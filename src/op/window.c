// Window attributes: https://onnx.ai/onnx/operators/onnx__Conv.html, onnx__MaxPool.html and
// onnx__AveragePool.html.
#include "op/window.h"

#include <string.h>

// Beyond this a stride or pad is an attack on the arithmetic, not a model.
enum { MAX_STEP = 1 << 24 };

// `rank` integers into first and, where wanted, as many into second; right-aligned.
static int read_ints(const gb_node *node, const char *name, int rank, int64_t min, int64_t or_else,
                     int64_t *first, int64_t *second)
{
    int64_t v[2 * GB_MAX_SPATIAL];
    int want = second ? 2 * rank : rank;
    int count = gb_attr_ints(node, name, v, want);
    if (count >= 0 && count != want)
        return gb_fail(GB_ERR_FORMAT, "%s: %s has %d numbers, not %d", gb_node_text(node), name,
                       count, want);
    for (int i = 0; i < want; i++) {
        int64_t x = count < 0 ? or_else : v[i];
        if (x < min || x > MAX_STEP)
            return gb_fail(GB_ERR_FORMAT, "%s: %s holds %lld", gb_node_text(node), name,
                           (long long)x);
        (i < rank ? first : second)[GB_MAX_SPATIAL - rank + i % rank] = x;
    }
    return 0;
}

static int read_kernel(const gb_node *node, gb_window *w, bool conv)
{
    const int lead = GB_MAX_SPATIAL - w->rank;
    const gb_attr *given = gb_attr_find(node, "kernel_shape");
    int err = 0;
    if (given)
        GB_TRY(read_ints(node, "kernel_shape", w->rank, 1, 0, w->kernel, NULL));
    else if (!conv)
        return gb_fail(GB_ERR_FORMAT, "%s: has no kernel_shape", gb_node_text(node));
    if (!conv)
        return 0;
    const gb_shape *weight = &node->in[1]->shape;
    if (weight->rank != w->rank + 2)
        return gb_fail(GB_ERR_FORMAT, "%s: its weights are %d-dimensional, its input %d",
                       gb_node_text(node), weight->rank, w->rank + 2);
    for (int d = 0; d < w->rank; d++) {
        int64_t size = weight->dim[2 + d];
        if (size < 1 || size > MAX_STEP || (given && w->kernel[lead + d] != size))
            return gb_fail(GB_ERR_FORMAT, "%s: kernel_shape and weights disagree",
                           gb_node_text(node));
        w->kernel[lead + d] = size;
    }
    w->groups = gb_attr_int(node, "group", 1);
    w->c_out = weight->dim[0];
    if (w->groups < 1 || w->c_in % w->groups || w->c_out % w->groups ||
        weight->dim[1] != w->c_in / w->groups) {
        char text[64];
        return gb_fail(GB_ERR_FORMAT, "%s: weights %s do not fit %lld channels in %lld groups",
                       gb_node_text(node), gb_shape_text(text, sizeof text, weight),
                       (long long)w->c_in, (long long)w->groups);
    }
fail:
    return err;
}

// Pads and output size of one dimension. With `same` the output is ceil(in / stride), and the odd
// pad goes to the end (SAME_UPPER) or to the beginning (SAME_LOWER).
static int resolve(const gb_node *node, gb_window *w, int d, bool same, bool lower)
{
    const int64_t reach = (w->kernel[d] - 1) * w->dilation[d] + 1;
    if (same) {
        w->out[d] = (w->in[d] + w->stride[d] - 1) / w->stride[d];
        int64_t pad = (w->out[d] - 1) * w->stride[d] + reach - w->in[d];
        pad = pad > 0 ? pad : 0;
        w->pad_begin[d] = lower ? pad - pad / 2 : pad / 2;
        w->pad_end[d] = pad - w->pad_begin[d];
        return 0;
    }
    const int64_t room = w->in[d] + w->pad_begin[d] + w->pad_end[d] - reach;
    if (room < 0)
        return gb_fail(GB_ERR_FORMAT, "%s: a window of %lld does not fit an input of %lld",
                       gb_node_text(node), (long long)reach, (long long)w->in[d]);
    w->out[d] = (room + (w->ceil_mode ? w->stride[d] - 1 : 0)) / w->stride[d] + 1;
    // The last window must start inside the input or its left pad.
    if (w->ceil_mode && (w->out[d] - 1) * w->stride[d] >= w->in[d] + w->pad_begin[d])
        w->out[d]--;
    return 0;
}

// A pool has nothing to say about a window of padding alone.
static bool touches_input(const gb_window *w, int d)
{
    if ((w->out[d] - 1) * w->stride[d] - w->pad_begin[d] >= w->in[d])
        return false;
    for (int64_t o = 0; o < w->out[d] && o * w->stride[d] < w->pad_begin[d]; o++) {
        int64_t start = o * w->stride[d] - w->pad_begin[d];
        int64_t tap = (-start + w->dilation[d] - 1) / w->dilation[d];
        if (tap >= w->kernel[d] || start + tap * w->dilation[d] >= w->in[d])
            return false;
    }
    return true;
}

int gb_window_read(const gb_node *node, gb_window *w)
{
    const gb_shape *in = &node->in[0]->shape;
    const bool conv = !strcmp(node->type, "Conv");
    const char *pad = gb_attr_string(node, "auto_pad", "NOTSET");
    const bool same = !strncmp(pad, "SAME_", 5), lower = !strcmp(pad, "SAME_LOWER");
    const bool valid = !strcmp(pad, "VALID");
    int err = 0;

    *w = (gb_window){.rank = in->rank - 2, .groups = 1};
    if (w->rank < 1 || w->rank > GB_MAX_SPATIAL)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: its input has %d dimensions; 3 to 5 are supported",
                       gb_node_text(node), in->rank);
    w->batch = in->dim[0];
    w->c_in = w->c_out = in->dim[1];
    for (int d = 0; d < GB_MAX_SPATIAL; d++) {
        const int lead = GB_MAX_SPATIAL - w->rank;
        w->in[d] = d < lead ? 1 : in->dim[2 + d - lead];
        w->out[d] = w->kernel[d] = w->stride[d] = w->dilation[d] = 1;
        if (w->in[d] < 1 || w->in[d] > INT32_MAX)
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: an input of size %lld", gb_node_text(node),
                           (long long)w->in[d]);
    }
    if (w->c_in < 1)
        return gb_fail(GB_ERR_UNSUPPORTED, "%s: its input has no channels", gb_node_text(node));
    if (!strncmp(node->type, "Global", 6)) {
        memcpy(w->kernel, w->in, sizeof w->kernel);
        return 0;
    }
    if (!same && !valid && *pad && strcmp(pad, "NOTSET"))
        return gb_fail(GB_ERR_FORMAT, "%s: auto_pad is '%s'", gb_node_text(node), pad);

    GB_TRY(read_kernel(node, w, conv));
    GB_TRY(read_ints(node, "strides", w->rank, 1, 1, w->stride, NULL));
    GB_TRY(read_ints(node, "dilations", w->rank, 1, 1, w->dilation, NULL));
    if (!same && !valid)
        GB_TRY(read_ints(node, "pads", w->rank, 0, 0, w->pad_begin, w->pad_end));
    w->ceil_mode = !conv && gb_attr_int(node, "ceil_mode", 0);
    w->count_include_pad = !conv && gb_attr_int(node, "count_include_pad", 0);
    for (int d = GB_MAX_SPATIAL - w->rank; d < GB_MAX_SPATIAL; d++) {
        GB_TRY(resolve(node, w, d, same, lower));
        if (!conv && !touches_input(w, d))
            return gb_fail(GB_ERR_UNSUPPORTED, "%s: some windows hold nothing but padding",
                           gb_node_text(node));
    }
fail:
    return err;
}

void gb_window_shape(const gb_window *w, gb_shape *out)
{
    *out = (gb_shape){.rank = w->rank + 2, .dim = {w->batch, w->c_out}};
    memcpy(out->dim + 2, w->out + GB_MAX_SPATIAL - w->rank, (size_t)w->rank * sizeof *w->out);
}

int64_t gb_window_in(const gb_window *w)
{
    return w->in[0] * w->in[1] * w->in[2];
}

int64_t gb_window_out(const gb_window *w)
{
    return w->out[0] * w->out[1] * w->out[2];
}

int64_t gb_window_taps(const gb_window *w)
{
    return w->kernel[0] * w->kernel[1] * w->kernel[2];
}
