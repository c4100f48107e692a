// How a model takes pictures: channels first or last, flat, without a batch, as whole numbers.
#include "classifier/classifier.h"

#include "base/name.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    OPSET = 13,         // whose forms the nodes made here have
    MAX_SIDE = 1 << 14, // pixels
    MAX_FRONT = 5       // nodes in front
};

const char *const gb_layout_names[] = {"nchw", "nhwc", "flat", NULL};

// The file's input in our terms: its axes in order, those that it lacks left out.
typedef struct form {
    gb_layout layout;
    bool batch, channel;        // it has such an axis (flat: of pixels alone)
    int64_t n, channels, h, w;  // -1: open
    bool assumed;               // sizes and order are the usual ones, nothing shows them
} form;

static bool is(const gb_node *node, const char *type)
{
    return strcmp(node->type, type) == 0;
}

int gb_layout_find(gb_layout *out, const char *name)
{
    int found = name ? gb_name_among("layout", name, gb_layout_names) : -1;
    *out = (gb_layout)(found < 0 ? GB_LAYOUT_FIND : found + GB_LAYOUT_NCHW);
    return name && found < 0 ? found : 0;
}

// --- what the graph shows ---

typedef struct evidence {
    gb_layout layout;  // FIND: none
    int64_t channels;  // -1: unknown
    bool unbatched;    // the batch is added inside
    int64_t shape[3];  // of a flat input: what it becomes, in the layout's order; 0: unknown
} evidence;

// Nodes that leave every element where it is, whose first input is the picture.
static bool passes(const gb_node *node)
{
    static const char *const types[] = {"Cast", "Identity", "Clip", "Pad", "Relu", "Neg", "Abs",
                                        "Dropout", "Sqrt", "Pow", "Sigmoid", "Tanh", "Resize",
                                        "QuantizeLinear", "DequantizeLinear"};
    for (size_t i = 0; i < GB_COUNT(types); i++)
        if (is(node, types[i]))
            return true;
    return false;
}

// A constant along one axis tells which axis the channels are on.
static void read_constant(evidence *e, const gb_value *v)
{
    const gb_shape *s = v && v->data ? &v->data->shape : NULL;
    int wide = -1;
    for (int d = 0; s && d < s->rank; d++) {
        if (s->dim[d] != 1 && wide >= 0)
            return;
        wide = s->dim[d] != 1 ? d : wide;
    }
    if (wide < 0 || s->dim[wide] > 4)
        return;
    int from_end = s->rank - 1 - wide;
    if (from_end == 0 || from_end == 2) {
        e->layout = from_end ? GB_LAYOUT_NCHW : GB_LAYOUT_NHWC;
        e->channels = s->dim[wide];
    }
}

static void read_transpose(evidence *e, const gb_node *node, int rank)
{
    int64_t perm[GB_MAX_RANK] = {0};
    int n = gb_attr_ints(node, "perm", perm, GB_MAX_RANK), at = rank - 3;
    if (n != rank || rank < 3)
        return;
    if (perm[at] == rank - 1) // the last axis becomes the channels
        e->layout = GB_LAYOUT_NHWC;
    else if (perm[rank - 1] == at)
        e->layout = GB_LAYOUT_NCHW;
}

// A flat input that is made a picture: by the target's shape.
static void read_reshape(evidence *e, const gb_node *node)
{
    const gb_tensor *t = node->n_in > 1 && node->in[1] ? node->in[1]->data : NULL;
    if (!t || t->type != GB_I64 || gb_shape_count(&t->shape) != 4)
        return;
    for (int i = 0; i < 3; i++)
        if ((e->shape[i] = gb_tensor_int(t, i + 1)) < 1) {
            e->shape[0] = 0;
            return;
        }
    bool last = e->shape[2] == 1 || e->shape[2] == 3, first = e->shape[0] == 1 || e->shape[0] == 3;
    e->layout = last && !first ? GB_LAYOUT_NHWC : GB_LAYOUT_NCHW;
}

// Reads what a node does with the picture; true: look at the readers of its output, too.
static bool read_node(evidence *e, const gb_node *node, const gb_value *picture, int rank)
{
    const gb_value *second = node->n_in > 1 ? node->in[1] : NULL;
    bool first = node->n_in > 0 && node->in[0] == picture;
    if (is(node, "Add") || is(node, "Sub") || is(node, "Mul") || is(node, "Div")) {
        read_constant(e, first ? second : node->in[0]);
        return true;
    }
    if (!first)
        return false;
    if (is(node, "Unsqueeze") && rank == 3) {
        int64_t axis = 0;
        const gb_tensor *t = second ? second->data : NULL;
        int n = gb_attr_ints(node, "axes", &axis, 1);
        if (t && gb_shape_count(&t->shape) == 1) {
            axis = gb_tensor_int(t, 0);
            n = 1;
        }
        e->unbatched |= n == 1 && (axis == 0 || axis == -4);
        return e->unbatched;
    }
    if (is(node, "Reshape") && rank < 3)
        read_reshape(e, node);
    if (is(node, "Transpose"))
        read_transpose(e, node, rank);
    if (is(node, "Conv") && rank >= 3) {
        e->layout = GB_LAYOUT_NCHW;
        if (second && second->data && second->data->shape.rank == 4)
            e->channels = second->data->shape.dim[1] * gb_attr_int(node, "group", 1);
    }
    if (is(node, "BatchNormalization") || is(node, "InstanceNormalization")) {
        e->layout = GB_LAYOUT_NCHW;
        if (second && second->data)
            e->channels = gb_shape_count(&second->data->shape);
    }
    if (is(node, "MaxPool") || is(node, "AveragePool") || is(node, "GlobalAveragePool"))
        e->layout = GB_LAYOUT_NCHW;
    return passes(node);
}

// The channels that a convolution reads of a picture that was transposed.
static int64_t channels_after(const gb_graph *g, const gb_value *picture)
{
    evidence e = {.channels = -1};
    for (size_t i = 0; i < g->n_node && e.channels < 0; i++)
        for (int k = 0; k < g->node[i]->n_in; k++)
            if (g->node[i]->in[k] == picture && read_node(&e, g->node[i], picture, 4))
                picture = g->node[i]->out[0];
    return e.channels;
}

// Follows the picture from the input to the first node that tells the layout.
static evidence look(const gb_graph *g, const gb_value *input)
{
    enum { FOLLOWED = 64 };
    const gb_value *picture[FOLLOWED] = {input};
    int rank[FOLLOWED] = {input->shape.rank};
    size_t n = 1;
    evidence e = {.channels = -1};
    for (size_t i = 0; i < g->n_node && e.layout == GB_LAYOUT_FIND; i++) { // sources come first
        const gb_node *node = g->node[i];
        for (size_t p = 0; p < n && e.layout == GB_LAYOUT_FIND; p++) {
            bool reads = false;
            for (int k = 0; k < node->n_in; k++)
                reads |= node->in[k] == picture[p];
            if (!reads || !read_node(&e, node, picture[p], rank[p]) || n == FOLLOWED ||
                !node->out[0])
                continue;
            rank[n] = rank[p] + is(node, "Unsqueeze");
            picture[n++] = node->out[0];
        }
        if (e.layout != GB_LAYOUT_FIND && is(node, "Transpose"))
            e.channels = channels_after(g, node->out[0]);
    }
    return e;
}

// --- from shape, evidence and the user's word to a form ---

static bool may_be_channels(int64_t dim)
{
    return dim == 1 || dim == 3;
}

static int no_picture(const gb_value *input, const char *why)
{
    char text[160];
    return gb_fail(GB_ERR_UNSUPPORTED, "input '%.200s' of %s is no picture: %s", input->name,
                   gb_shape_text(text, sizeof text, &input->shape), why);
}

// Channels first or last, of axes that may be either.
static gb_layout choose(gb_layout told, const evidence *e, int64_t first, int64_t last)
{
    if (told != GB_LAYOUT_FIND)
        return told;
    if (e->layout != GB_LAYOUT_FIND && (may_be_channels(first) == may_be_channels(last) ||
                                        may_be_channels(first) == (e->layout == GB_LAYOUT_NCHW)))
        return e->layout;
    return may_be_channels(last) && !may_be_channels(first) ? GB_LAYOUT_NHWC : GB_LAYOUT_NCHW;
}

static int read_flat(form *f, const gb_value *input, int64_t count, const evidence *e,
                     const gb_classifier_options *o)
{
    char text[160];
    if (count < 1)
        return no_picture(input, "its length is open");
    f->channels = 1;
    f->h = o->height;
    f->w = o->width;
    if (e->shape[0] && !o->height) {
        bool last = e->layout == GB_LAYOUT_NHWC;
        f->channels = e->shape[last ? 2 : 0];
        f->h = e->shape[last ? 0 : 1];
        f->w = e->shape[last ? 1 : 2];
        f->layout = last && f->channels > 1 ? GB_LAYOUT_NHWC : GB_LAYOUT_FLAT;
    } else if (o->height) {
        f->channels = count / ((int64_t)o->height * o->width);
    } else {
        int64_t side = llround(sqrt((double)count)), third = llround(sqrt((double)count / 3));
        bool grey = side * side == count;
        f->channels = grey ? 1 : 3;
        f->h = f->w = grey ? side : third;
        f->assumed = true;
    }
    if (!may_be_channels(f->channels) || f->channels * f->h * f->w != count || f->h > MAX_SIDE)
        return gb_fail(GB_ERR_UNSUPPORTED, "input '%.200s' of %s: say what pictures it takes by "
                       "--input-size HxW", input->name,
                       gb_shape_text(text, sizeof text, &input->shape));
    return 0;
}

static int read_form(form *f, const gb_value *input, const evidence *e,
                     const gb_classifier_options *o)
{
    const gb_shape *s = &input->shape;
    const int64_t *d = s->dim;
    gb_layout told = o->layout;
    *f = (form){.layout = GB_LAYOUT_FLAT, .batch = true, .channel = true, .n = d[0]};
    if (s->rank < 1 || s->rank > 4)
        return no_picture(input, "that takes two to four dimensions");
    if ((told == GB_LAYOUT_FLAT) != (s->rank < 3) && told != GB_LAYOUT_FIND)
        return gb_fail(GB_ERR_ARG, "--input-layout %s: input '%.200s' has %d dimensions",
                       gb_layout_names[told - 1], input->name, s->rank);
    if (s->rank == 1) {
        f->batch = false;
        f->n = 1;
        return read_flat(f, input, d[0], e, o);
    }
    if (s->rank == 2)
        return read_flat(f, input, d[1], e, o);
    if (s->rank == 4) {
        f->layout = choose(told, e, d[1], d[3]);
        f->assumed = told == GB_LAYOUT_FIND && e->layout == GB_LAYOUT_FIND &&
                     may_be_channels(d[1]) == may_be_channels(d[3]);
        bool last = f->layout == GB_LAYOUT_NHWC;
        f->channels = d[last ? 3 : 1];
        f->h = d[last ? 1 : 2];
        f->w = d[last ? 2 : 3];
    } else if (e->unbatched || may_be_channels(d[0]) != may_be_channels(d[2])) {
        f->layout = choose(told, e, d[0], d[2]);
        f->batch = false;
        f->n = 1;
        bool last = f->layout == GB_LAYOUT_NHWC;
        f->channels = d[last ? 2 : 0];
        f->h = d[last ? 0 : 1];
        f->w = d[last ? 1 : 2];
    } else { // (N,H,W): grey
        f->layout = GB_LAYOUT_NCHW;
        f->channel = false;
        f->channels = 1;
        f->h = d[1];
        f->w = d[2];
    }
    if (f->channels < 0)
        f->channels = e->channels > 0 ? e->channels : 3;
    return 0;
}

static int fit_size(int64_t *side, int told, const gb_value *input)
{
    char text[160];
    if (told && *side > 0 && *side != told)
        return gb_fail(GB_ERR_ARG, "--input-size: input '%.200s' is of %s", input->name,
                       gb_shape_text(text, sizeof text, &input->shape));
    if (told)
        *side = told;
    if (*side > 1 << 16)
        return no_picture(input, "it is too large");
    return 0;
}

// --- the nodes in front ---

// *v = type(*v, operand), the operand may be NULL.
static int append(gb_value **v, gb_graph *g, const char *type, gb_value *operand, bool has_operand)
{
    bool turns = strcmp(type, "Transpose") == 0; // the one with an attribute
    gb_node *node = gb_graph_node(g, type, "", has_operand ? 2 : 1, 1, turns);
    if (!node || (has_operand && !operand))
        return GB_ERR_NOMEM;
    node->opset = OPSET;
    node->in[0] = *v;
    if (has_operand)
        node->in[1] = operand;
    if (!(*v = node->out[0] = gb_graph_value(g, "input")))
        return GB_ERR_NOMEM;
    (*v)->producer = node;
    (*v)->type = GB_F32;
    return 0;
}

static int transpose(gb_value **v, gb_graph *g)
{
    static const int64_t to_last[] = {0, 2, 3, 1};
    int err = append(v, g, "Transpose", NULL, false);
    if (err == 0)
        (*v)->producer->attr[0] = (gb_attr){.name = "perm", .kind = GB_ATTR_INTS, .count = 4,
                                            .ints = to_last};
    return err;
}

static int squeeze(gb_value **v, gb_graph *g, double axis)
{
    const gb_shape one = {.rank = 1, .dim = {1}};
    return append(v, g, "Squeeze", gb_graph_numbers(g, "input.axis", GB_I64, &one, &axis), true);
}

static int put_front(gb_classifier *c, gb_graph *g, const form *f, gb_value *file)
{
    const double full = 255;
    const gb_shape scalar = {0};
    size_t before = g->n_node;
    int err = 0;
    gb_value *input = gb_graph_value(g, file->name), *v = input;
    if (!input)
        return GB_ERR_NOMEM;
    input->type = GB_F32;
    input->shape = (gb_shape){.rank = 4, .dim = {f->n, f->channels, f->h, f->w}};
    if (c->whole)
        GB_TRY(append(&v, g, "Mul", gb_graph_numbers(g, "input.full", GB_F32, &scalar, &full),
                      true));
    if (f->layout == GB_LAYOUT_NHWC)
        GB_TRY(transpose(&v, g));
    if (file->shape.rank < 3)
        GB_TRY(append(&v, g, "Flatten", NULL, false));
    if (!f->channel)
        GB_TRY(squeeze(&v, g, 1));
    if (!f->batch)
        GB_TRY(squeeze(&v, g, 0));
    v->producer->out[0] = file; // whose readers stay as they are
    file->type = GB_F32;
    c->front = g->n_node - before;
    g->n_node = before;
    gb_classifier_wrap(c, g, input);
fail:
    return err;
}

// --- wrapping and unwrapping ---

// While they are away, the nodes in front lie behind the end of the list.
void gb_classifier_wrap(const gb_classifier *c, gb_graph *model, gb_value *input)
{
    gb_node *front[MAX_FRONT];
    if (!c->front)
        return;
    memcpy(front, model->node + model->n_node, c->front * sizeof *front);
    memmove(model->node + c->front, model->node, model->n_node * sizeof *front);
    memcpy(model->node, front, c->front * sizeof *front);
    model->n_node += c->front;
    model->in[0] = input;
    c->file->producer = model->node[c->front - 1];
}

gb_value *gb_classifier_unwrap(const gb_classifier *c, gb_graph *model)
{
    gb_node *front[MAX_FRONT];
    gb_value *input = model->in[0];
    if (!c->front)
        return input;
    memcpy(front, model->node, c->front * sizeof *front);
    model->n_node -= c->front;
    memmove(model->node, model->node + c->front, model->n_node * sizeof *front);
    memcpy(model->node + model->n_node, front, c->front * sizeof *front);
    model->in[0] = c->file;
    c->file->producer = NULL;
    return input;
}

// --- the whole ---

static void describe(gb_classifier *c, const form *f, const gb_value *file)
{
    char shape[160];
    const char *order = f->layout == GB_LAYOUT_NHWC   ? "H,W,C"
                        : f->channel                  ? "C,H,W"
                                                      : "H,W";
    bool flat = file->shape.rank < 3;
    char size[64] = "";
    if (flat)
        snprintf(size, sizeof size, " in a row, %lldx%lld with %lld channel%s", (long long)f->h,
                 (long long)f->w, (long long)f->channels, f->channels == 1 ? "" : "s");
    snprintf(c->input, sizeof c->input, "input '%.60s' of %s takes pictures as %s%s%s%s%s",
             file->name, gb_shape_text(shape, sizeof shape, &file->shape), f->batch ? "N," : "",
             order, size, c->whole ? ", whole numbers from 0 to 255" : "",
             f->assumed ? " [assumed; --input-layout and --input-size say it]" : "");
}

int gb_adapt_input(gb_classifier *c, gb_graph *g, const gb_classifier_options *o)
{
    gb_value *file = g->in[0];
    form f;
    int err = 0;
    evidence e = look(g, file);
    if (file->type == GB_BOOL || (file->type == GB_I64 && file->ints == GB_INT8))
        return no_picture(file, "it holds no whole numbers from 0 to 255");
    GB_TRY(read_form(&f, file, &e, o));
    GB_TRY(fit_size(&f.h, o->height, file));
    GB_TRY(fit_size(&f.w, o->width, file));
    if (!may_be_channels(f.channels)) {
        char why[120];
        snprintf(why, sizeof why, "read as %s it has %lld channels, and pictures have 1 or 3",
                 f.layout == GB_LAYOUT_NHWC ? "N,H,W,C" : "N,C,H,W", (long long)f.channels);
        return no_picture(file, why);
    }
    c->layout = file->shape.rank < 3 ? GB_LAYOUT_FLAT : f.layout;
    c->batched = f.batch;
    c->whole = file->type == GB_I64;
    c->file = file;
    bool usual = f.layout == GB_LAYOUT_NCHW && f.batch && f.channel && !c->whole;
    if (!usual || f.assumed)
        describe(c, &f, file);
    if (!usual)
        GB_TRY(put_front(c, g, &f, file));
    else
        file->shape = (gb_shape){.rank = 4, .dim = {f.n, f.channels, f.h, f.w}};
fail:
    return err;
}
