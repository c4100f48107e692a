// ModelProto -> gb_graph.
#include "onnx/load.h"

#include "base/file.h"
#include "onnx/proto.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPSET_MIN = 7, OPSET_MAX = 21, IR_MIN = 3, MAX_ARGS = 1 << 20 };

typedef struct loader {
    gb_graph *graph;
    gb_names names;
    const char *folder;
} loader;

static const char *text_or(const char *text, const char *or_else)
{
    return text ? text : or_else;
}

static bool is_default_domain(const char *domain)
{
    return !domain || !*domain || strcmp(domain, "ai.onnx") == 0;
}

// The value of that name, made if it is new.
static gb_value *value_of(loader *l, const char *name)
{
    gb_value *value = gb_names_find(&l->names, name);
    if (value)
        return value;
    value = gb_graph_value(l->graph, name);
    return value && gb_names_add(&l->names, value) == 0 ? value : NULL;
}

static int define_constant(loader *l, const char *name, gb_tensor *data)
{
    gb_value *value = value_of(l, name);
    if (!value)
        return GB_ERR_NOMEM;
    if (value->data)
        return gb_fail(GB_ERR_FORMAT, "two constants are called '%.200s'", name);
    value->data = data;
    value->type = data->type;
    value->ints = data->ints;
    value->shape = data->shape;
    return 0;
}

static int load_head(loader *l, const Onnx__ModelProto *model)
{
    gb_graph *graph = l->graph;
    int64_t opset = 0;
    if (model->ir_version < IR_MIN || model->ir_version > INT32_MAX)
        return gb_fail(GB_ERR_UNSUPPORTED, "IR version %" PRId64 "; gibbon reads %d and later",
                       model->ir_version, IR_MIN);
    for (size_t i = 0; i < model->n_opset_import; i++)
        if (is_default_domain(model->opset_import[i]->domain))
            opset = model->opset_import[i]->version;
    if (opset < OPSET_MIN || opset > OPSET_MAX)
        return gb_fail(GB_ERR_UNSUPPORTED, "opset %" PRId64 "; gibbon reads opset %d to %d", opset,
                       OPSET_MIN, OPSET_MAX);
    if (!model->graph)
        return gb_fail(GB_ERR_FORMAT, "no graph");
    graph->ir_version = (int)model->ir_version;
    graph->opset = (int)opset;
    const char *version = text_or(model->producer_version, "");
    graph->producer = gb_arena_printf(&graph->arena, "%s%s%s", text_or(model->producer_name, ""),
                                      *version ? " " : "", version);
    if (!graph->producer)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < model->n_metadata_props; i++) {
        const Onnx__StringStringEntryProto *p = model->metadata_props[i];
        if (gb_graph_add_meta(graph, text_or(p->key, ""), text_or(p->value, "")) < 0)
            return GB_ERR_NOMEM;
    }
    return 0;
}

// The declared type and shape of an input or output; a dimension that is symbolic, absent or -1 (as
// some converters write) is unknown.
static int load_type(gb_value *value, const Onnx__ValueInfoProto *info)
{
    const Onnx__TypeProto__Tensor *tensor = info->type ? info->type->tensor_type : NULL;
    const Onnx__TensorShapeProto *shape = tensor ? tensor->shape : NULL;
    if (!tensor)
        return gb_fail(GB_ERR_UNSUPPORTED, "not a tensor");
    if (!shape)
        return gb_fail(GB_ERR_UNSUPPORTED, "its shape is not declared");
    if (shape->n_dim > GB_MAX_RANK)
        return gb_fail(GB_ERR_UNSUPPORTED, "%zu dimensions; at most %d are supported", shape->n_dim,
                       GB_MAX_RANK);
    gb_shape result = {.rank = (int)shape->n_dim};
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        result.dim[i] = dim->has_dim_value ? dim->dim_value : -1;
        if (result.dim[i] < -1)
            return gb_fail(GB_ERR_FORMAT, "dimension %zu is negative (%" PRId64 ")", i,
                           result.dim[i]);
    }
    value->shape = result;
    return gb_onnx_dtype(&value->type, &value->ints, tensor->elem_type);
}

static int load_initializers(loader *l, Onnx__GraphProto *proto)
{
    int err = 0;
    for (size_t i = 0; i < proto->n_initializer; i++) {
        Onnx__TensorProto *t = proto->initializer[i];
        gb_tensor *data;
        if (!t->name || !*t->name)
            return gb_fail(GB_ERR_FORMAT, "initializer %zu has no name", i);
        GB_TRY(gb_onnx_tensor(&data, &l->graph->arena, t, l->folder));
        GB_TRY(define_constant(l, t->name, data));
    }
fail:
    return err;
}

static int load_inputs(loader *l, const Onnx__GraphProto *proto)
{
    int err = 0;
    for (size_t i = 0; i < proto->n_input; i++) {
        const char *name = text_or(proto->input[i]->name, "");
        gb_value *value = gb_names_find(&l->names, name);
        if (value && value->data) // an initializer, listed as old IR versions demand
            continue;
        if (value || !*name)
            return gb_fail(GB_ERR_FORMAT, *name ? "two inputs are called '%.200s'"
                                                : "an input has no name", name);
        if (!(value = value_of(l, name)))
            return GB_ERR_NOMEM;
        err = load_type(value, proto->input[i]);
        if (err < 0)
            return gb_fail_in(err, "input '%.200s'", name);
        GB_TRY(gb_graph_add_input(l->graph, value));
    }
fail:
    return err;
}

static int load_outputs(loader *l, const Onnx__GraphProto *proto)
{
    int err = 0;
    if (proto->n_output == 0)
        return gb_fail(GB_ERR_FORMAT, "the graph has no outputs");
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = text_or(proto->output[i]->name, "");
        gb_value *value = *name ? gb_names_find(&l->names, name) : NULL;
        if (!value)
            return gb_fail(GB_ERR_FORMAT, "nothing produces the model's output '%.200s'", name);
        // What an output declares is a convenience: shape inference has the last word.
        gb_value declared = {0};
        if (value->producer && load_type(&declared, proto->output[i]) == 0) {
            value->type = declared.type;
            value->ints = declared.ints;
            value->shape = declared.shape;
        }
        GB_TRY(gb_graph_add_output(l->graph, value));
    }
fail:
    return err;
}

// What the attribute holds by its own word, or by what is there where it does not say.
static int32_t attr_type(const Onnx__AttributeProto *proto)
{
    if (proto->type)
        return proto->type;
    return proto->has_f ? GB_ONNX_ATTR_FLOAT : proto->has_i ? GB_ONNX_ATTR_INT
         : proto->has_s ? GB_ONNX_ATTR_STRING : proto->t ? GB_ONNX_ATTR_TENSOR
         : proto->n_floats ? GB_ONNX_ATTR_FLOATS : proto->n_ints ? GB_ONNX_ATTR_INTS : 0;
}

static void *copy_array(gb_arena *arena, const void *data, size_t count, size_t size)
{
    void *copy = gb_arena_array(arena, count, size);
    if (copy && count)
        memcpy(copy, data, count * size);
    return copy;
}

// *kept = false: a kind that no operator here reads (subgraphs, lists of strings, sparse tensors).
static int load_attr(loader *l, gb_attr *attr, Onnx__AttributeProto *proto, bool *kept)
{
    gb_arena *arena = &l->graph->arena;
    const void *copy = attr->name = gb_arena_strdup(arena, text_or(proto->name, ""));
    *kept = true;
    switch (attr_type(proto)) {
    case GB_ONNX_ATTR_INT:
        attr->kind = GB_ATTR_INT;
        attr->i = proto->i;
        break;
    case GB_ONNX_ATTR_FLOAT:
        attr->kind = GB_ATTR_FLOAT;
        attr->f = proto->f;
        break;
    case GB_ONNX_ATTR_STRING: {
        int length = proto->s.len > INT32_MAX ? INT32_MAX : (int)proto->s.len;
        attr->kind = GB_ATTR_STRING;
        copy = attr->s = gb_arena_printf(arena, "%.*s", length,
                                         length ? (const char *)proto->s.data : "");
        break;
    }
    case GB_ONNX_ATTR_INTS:
        attr->kind = GB_ATTR_INTS;
        attr->count = proto->n_ints;
        copy = attr->ints = copy_array(arena, proto->ints, proto->n_ints, sizeof *proto->ints);
        break;
    case GB_ONNX_ATTR_FLOATS:
        attr->kind = GB_ATTR_FLOATS;
        attr->count = proto->n_floats;
        copy = attr->floats =
            copy_array(arena, proto->floats, proto->n_floats, sizeof *proto->floats);
        break;
    case GB_ONNX_ATTR_TENSOR:
        attr->kind = GB_ATTR_TENSOR;
        if (!proto->t)
            return gb_fail(GB_ERR_FORMAT, "attribute '%.100s' has no tensor", attr->name);
        return gb_onnx_tensor(&attr->tensor, arena, proto->t, l->folder);
    default:
        *kept = false;
    }
    return copy && attr->name ? 0 : GB_ERR_NOMEM;
}

// Constant's attribute (value, value_float, value_floats, value_int, value_ints) as a tensor.
static int constant_tensor(gb_tensor **out, gb_arena *arena, const gb_attr *attr)
{
    bool list = attr->kind == GB_ATTR_INTS || attr->kind == GB_ATTR_FLOATS;
    gb_shape shape = {.rank = list, .dim = {list ? (int64_t)attr->count : 0}};
    if (attr->kind == GB_ATTR_TENSOR) {
        *out = attr->tensor;
        return 0;
    }
    if (attr->kind == GB_ATTR_STRING)
        return gb_fail(GB_ERR_UNSUPPORTED, "strings are not supported");
    bool whole = attr->kind == GB_ATTR_INT || attr->kind == GB_ATTR_INTS;
    gb_tensor *t = gb_tensor_create(arena, whole ? GB_I64 : GB_F32, &shape);
    if (!t)
        return GB_ERR_NOMEM;
    const void *data = attr->kind == GB_ATTR_INT ? (const void *)&attr->i
                     : attr->kind == GB_ATTR_INTS ? (const void *)attr->ints
                     : attr->kind == GB_ATTR_FLOAT ? (const void *)&attr->f
                                                   : (const void *)attr->floats;
    memcpy(t->data, data, gb_tensor_bytes(t));
    *out = t;
    return 0;
}

static int load_constant(loader *l, Onnx__NodeProto *proto)
{
    gb_attr attr = {0};
    gb_tensor *data = NULL;
    bool kept = false;
    const char *output = proto->n_output ? proto->output[0] : "";
    int err = 0;
    if (proto->n_output != 1 || !*output || proto->n_attribute != 1)
        return gb_fail(GB_ERR_FORMAT, "Constant '%.200s': one value and one output are expected",
                       output);
    GB_TRY(load_attr(l, &attr, proto->attribute[0], &kept));
    if (!kept)
        err = gb_fail(GB_ERR_UNSUPPORTED, "%.100s is not supported", attr.name);
    else
        err = constant_tensor(&data, &l->graph->arena, &attr);
    if (err < 0)
        return gb_fail_in(err, "Constant '%.200s'", output);
    err = define_constant(l, output, data);
fail:
    return err;
}

static int load_values(loader *l, gb_value **out, size_t n, char *const *names)
{
    for (size_t i = 0; i < n; i++)
        if (*names[i] && !(out[i] = value_of(l, names[i])))
            return GB_ERR_NOMEM;
    return 0;
}

static int load_node(loader *l, Onnx__NodeProto *proto)
{
    const char *type = text_or(proto->op_type, "");
    bool own = is_default_domain(proto->domain);
    int err;
    if (own && strcmp(type, "Constant") == 0)
        return load_constant(l, proto);
    if (proto->n_input > MAX_ARGS || proto->n_output > MAX_ARGS || proto->n_attribute > MAX_ARGS)
        return gb_fail(GB_ERR_FORMAT, "a node '%.100s' has over %d inputs, outputs or attributes",
                       type, MAX_ARGS);
    if (!own && !(type = gb_arena_printf(&l->graph->arena, "%s:%s", proto->domain, type)))
        return GB_ERR_NOMEM;
    gb_node *node = gb_graph_node(l->graph, type, text_or(proto->name, ""), (int)proto->n_input,
                                  (int)proto->n_output, (int)proto->n_attribute);
    if (!node)
        return GB_ERR_NOMEM;
    GB_TRY(load_values(l, node->in, proto->n_input, proto->input));
    GB_TRY(load_values(l, node->out, proto->n_output, proto->output));
    for (size_t k = 0; k < proto->n_output; k++)
        if (node->out[k])
            node->out[k]->producer = node;
    node->n_attr = 0;
    for (size_t k = 0; k < proto->n_attribute; k++) {
        bool kept;
        err = load_attr(l, &node->attr[node->n_attr], proto->attribute[k], &kept);
        if (err < 0)
            return gb_fail_in(err, "%s", gb_node_text(node));
        node->n_attr += kept;
    }
fail:
    return err;
}

static int load_graph(loader *l, Onnx__ModelProto *model)
{
    Onnx__GraphProto *proto = model->graph;
    int err;
    if (proto->n_sparse_initializer)
        return gb_fail(GB_ERR_UNSUPPORTED, "sparse initializers are not supported");
    GB_TRY(load_initializers(l, proto));
    GB_TRY(load_inputs(l, proto));
    for (size_t i = 0; i < proto->n_node; i++)
        GB_TRY(load_node(l, proto->node[i]));
    for (size_t i = 0; i < l->graph->n_in; i++)
        if (l->graph->in[i]->data)
            return gb_fail(GB_ERR_FORMAT, "'%.200s' is both an input and a Constant",
                           l->graph->in[i]->name);
    GB_TRY(load_outputs(l, proto));
    GB_TRY(gb_graph_sort(l->graph));
    GB_TRY(gb_graph_prune(l->graph));
fail:
    return err;
}

static int load_model(gb_graph **out, Onnx__ModelProto *model, const char *folder)
{
    loader l = {.graph = gb_graph_create(), .folder = folder};
    int err;
    if (!l.graph)
        return GB_ERR_NOMEM;
    GB_TRY(load_head(&l, model));
    GB_TRY(load_graph(&l, model));
    *out = l.graph;
    l.graph = NULL;
fail:
    gb_names_finish(&l.names);
    gb_graph_free(l.graph);
    return err;
}

// Takes `bytes` (malloc'ed) where `owned` is set, to free it as soon as it is parsed.
static int decode(gb_graph **out, const void *bytes, void *owned, size_t size, const char *name,
                  const char *folder)
{
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, size, bytes);
    free(owned);
    if (!model)
        return gb_fail(GB_ERR_FORMAT, "%s: not an ONNX model, or cut off", name);
    int err = load_model(out, model, folder);
    onnx__model_proto__free_unpacked(model, NULL);
    return err < 0 ? gb_fail_in(err, "%s", name) : 0;
}

int gb_onnx_decode(gb_graph **out, const void *bytes, size_t size, const char *name,
                   const char *folder)
{
    return decode(out, bytes, NULL, size, name, folder);
}

int gb_onnx_load(gb_graph **out, const char *path)
{
    void *bytes = NULL;
    size_t size = 0;
    int err = gb_file_read_input(&bytes, &size, path);
    if (err < 0)
        return err;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!folder) {
        free(bytes);
        return gb_fail(GB_ERR_NOMEM, "%s: out of memory", path);
    }
    err = decode(out, bytes, bytes, size, path, folder);
    free(folder);
    return err;
}
