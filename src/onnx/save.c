// gb_graph -> ModelProto. The messages point into the graph; only what is different is copied.
#include "onnx/save.h"

#include "base/file.h"
#include "onnx/proto.h"

#include <stdlib.h>
#include <string.h>

enum { IR_MIN = 4 }; // the first that does not list initializers among the inputs

typedef struct saver {
    gb_arena arena;
    const gb_graph *graph;
    const gb_onnx_weight *weight;
    size_t n_weight;
    Onnx__ModelProto model;
    Onnx__GraphProto proto;
} saver;

// `n` messages of one type and the list of pointers to them that protobuf-c wants.
static void *messages(gb_arena *arena, void *list_pointer, size_t n, size_t size)
{
    void ***list = list_pointer;
    char *each = gb_arena_array(arena, n, size);
    *list = gb_arena_array(arena, n, sizeof **list);
    for (size_t i = 0; *list && each && i < n; i++)
        (*list)[i] = each + i * size;
    return *list ? each : NULL;
}

// --- tensors ---

// Element i's bytes, least significant first, as ONNX has them on every machine.
static void put(unsigned char *to, const gb_tensor *t, size_t i, size_t bytes)
{
    uint64_t bits = 0;
    if (t->type == GB_F32) {
        uint32_t half;
        memcpy(&half, (const float *)t->data + i, sizeof half);
        bits = half;
    } else {
        memcpy(&bits, (const uint64_t *)t->data + i, sizeof bits);
    }
    for (size_t b = 0; b < bytes; b++)
        to[b] = (unsigned char)(bits >> 8 * b);
}

static int save_tensor(saver *s, Onnx__TensorProto *to, const gb_tensor *t)
{
    const size_t count = (size_t)gb_shape_count(&t->shape);
    const size_t bytes = t->type == GB_BOOL ? 1
                       : t->type == GB_I64  ? (size_t)gb_int_bits(t->ints) / 8
                                            : gb_dtype_size(t->type);
    onnx__tensor_proto__init(to);
    to->n_dims = (size_t)t->shape.rank;
    to->dims = (int64_t *)t->shape.dim;
    to->has_data_type = true;
    to->data_type = gb_onnx_code(t->type, t->ints);
    to->has_raw_data = true;
    to->raw_data.len = count * bytes;
    to->raw_data.data = t->data;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (bytes == gb_dtype_size(t->type))
        return 0;
#endif
    to->raw_data.data = gb_arena_array(&s->arena, count, bytes);
    if (!to->raw_data.data)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
        put(to->raw_data.data + i * bytes, t, i, bytes);
    return 0;
}

// The constants that something reads, each with its new values where there are some.
static int save_initializers(saver *s)
{
    const gb_graph *g = s->graph;
    bool *read = gb_arena_array(&s->arena, g->n_value, sizeof *read);
    bool *found = gb_arena_array(&s->arena, s->n_weight, sizeof *found);
    Onnx__TensorProto *to =
        messages(&s->arena, &s->proto.initializer, g->n_value, sizeof *to);
    int err = 0;
    if (!read || !found || !to)
        return GB_ERR_NOMEM;
    for (size_t i = 0; i < g->n_node; i++)
        for (int k = 0; k < g->node[i]->n_in; k++)
            if (g->node[i]->in[k])
                read[g->node[i]->in[k]->id] = true;
    for (size_t i = 0; i < g->n_out; i++)
        read[g->out[i]->id] = true;
    for (size_t i = 0; i < g->n_value; i++) {
        const gb_value *value = g->value[i];
        if (!value->data || !read[i])
            continue;
        gb_tensor data = *value->data;
        for (size_t k = 0; k < s->n_weight; k++) {
            if (data.type != GB_F32 || strcmp(s->weight[k].name, value->name))
                continue;
            data.data = (float *)s->weight[k].data;
            found[k] = true;
        }
        GB_TRY(save_tensor(s, to, &data));
        to->dims = value->data->shape.dim; // `data` does not last
        to->name = (char *)value->name;
        to++;
        s->proto.n_initializer++;
    }
    for (size_t k = 0; k < s->n_weight; k++)
        if (!found[k])
            return gb_fail(GB_ERR_ARG, "the model has no float initializer '%.200s'",
                           s->weight[k].name);
fail:
    return err;
}

// --- nodes ---

// Loading has widened the numbers, so a Cast that narrows them would no longer fit its neighbours.
static int64_t wide_type(int64_t code)
{
    gb_dtype type;
    gb_int ints;
    return gb_onnx_dtype(&type, &ints, (int32_t)code) < 0 ? code : gb_onnx_code(type, ints);
}

static int save_attr(saver *s, Onnx__AttributeProto *to, const gb_attr *attr, const char *type)
{
    static const int32_t code[] = {
        [GB_ATTR_INT] = GB_ONNX_ATTR_INT, [GB_ATTR_FLOAT] = GB_ONNX_ATTR_FLOAT,
        [GB_ATTR_STRING] = GB_ONNX_ATTR_STRING, [GB_ATTR_INTS] = GB_ONNX_ATTR_INTS,
        [GB_ATTR_FLOATS] = GB_ONNX_ATTR_FLOATS, [GB_ATTR_TENSOR] = GB_ONNX_ATTR_TENSOR};
    onnx__attribute_proto__init(to);
    to->name = (char *)attr->name;
    to->has_type = true;
    to->type = code[attr->kind];
    switch (attr->kind) {
    case GB_ATTR_INT:
        to->has_i = true;
        to->i = !strcmp(type, "Cast") && !strcmp(attr->name, "to") ? wide_type(attr->i) : attr->i;
        break;
    case GB_ATTR_FLOAT:
        to->has_f = true;
        to->f = attr->f;
        break;
    case GB_ATTR_STRING:
        to->has_s = true;
        to->s = (ProtobufCBinaryData){strlen(attr->s), (uint8_t *)attr->s};
        break;
    case GB_ATTR_INTS:
        to->n_ints = attr->count;
        to->ints = (int64_t *)attr->ints;
        break;
    case GB_ATTR_FLOATS:
        to->n_floats = attr->count;
        to->floats = (float *)attr->floats;
        break;
    case GB_ATTR_TENSOR:
        to->t = gb_arena_alloc(&s->arena, sizeof *to->t);
        return to->t ? save_tensor(s, to->t, attr->tensor) : GB_ERR_NOMEM;
    }
    return 0;
}

static char **value_names(saver *s, gb_value *const *value, int n)
{
    char **names = gb_arena_array(&s->arena, (size_t)n, sizeof *names);
    for (int i = 0; names && i < n; i++)
        names[i] = value[i] ? (char *)value[i]->name : "";
    return names;
}

static int save_node(saver *s, Onnx__NodeProto *to, const gb_node *node)
{
    int err = 0;
    const char *colon = strchr(node->type, ':'); // a foreign operator is "domain:Name"
    onnx__node_proto__init(to);
    to->name = (char *)node->name;
    to->op_type = (char *)(colon ? colon + 1 : node->type);
    if (colon)
        to->domain = gb_arena_printf(&s->arena, "%.*s", (int)(colon - node->type), node->type);
    to->input = value_names(s, node->in, node->n_in);
    to->output = value_names(s, node->out, node->n_out);
    Onnx__AttributeProto *attr =
        messages(&s->arena, &to->attribute, (size_t)node->n_attr, sizeof *attr);
    if ((colon && !to->domain) || !to->input || !to->output || !attr)
        return GB_ERR_NOMEM;
    to->n_input = (size_t)node->n_in;
    to->n_output = (size_t)node->n_out;
    to->n_attribute = (size_t)node->n_attr;
    for (int i = 0; i < node->n_attr; i++)
        GB_TRY(save_attr(s, &attr[i], &node->attr[i], node->type));
fail:
    return err;
}

static int save_nodes(saver *s)
{
    const gb_graph *g = s->graph;
    Onnx__NodeProto *node = messages(&s->arena, &s->proto.node, g->n_node, sizeof *node);
    int err = 0;
    if (!node)
        return GB_ERR_NOMEM;
    s->proto.n_node = g->n_node;
    for (size_t i = 0; i < g->n_node; i++)
        GB_TRY(save_node(s, &node[i], g->node[i]));
fail:
    return err;
}

// --- inputs, outputs and the head ---

static int save_info(saver *s, Onnx__ValueInfoProto *to, const gb_value *value)
{
    const size_t rank = (size_t)value->shape.rank;
    Onnx__TypeProto *type = gb_arena_alloc(&s->arena, sizeof *type);
    Onnx__TypeProto__Tensor *tensor = gb_arena_alloc(&s->arena, sizeof *tensor);
    Onnx__TensorShapeProto *shape = gb_arena_alloc(&s->arena, sizeof *shape);
    if (!type || !tensor || !shape)
        return GB_ERR_NOMEM;
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    onnx__value_info_proto__init(to);
    to->name = (char *)value->name;
    to->type = type;
    type->tensor_type = tensor;
    tensor->has_elem_type = true;
    tensor->elem_type = gb_onnx_code(value->type, value->ints);
    tensor->shape = shape;
    Onnx__TensorShapeProto__Dimension *dim = messages(&s->arena, &shape->dim, rank, sizeof *dim);
    if (!dim)
        return GB_ERR_NOMEM;
    shape->n_dim = rank;
    for (size_t i = 0; i < rank; i++) {
        onnx__tensor_shape_proto__dimension__init(&dim[i]);
        dim[i].has_dim_value = value->shape.dim[i] >= 0;
        dim[i].dim_value = value->shape.dim[i];
        if (!dim[i].has_dim_value)
            dim[i].dim_param = i ? gb_arena_printf(&s->arena, "%s_%zu", value->name, i) : "batch";
        if (!dim[i].has_dim_value && !dim[i].dim_param)
            return GB_ERR_NOMEM;
    }
    return 0;
}

static int save_infos(saver *s, Onnx__ValueInfoProto ***list, size_t *n, gb_value *const *value,
                      size_t count)
{
    int err = 0;
    Onnx__ValueInfoProto *info = messages(&s->arena, list, count, sizeof *info);
    if (!info)
        return GB_ERR_NOMEM;
    *n = count;
    for (size_t i = 0; i < count; i++)
        GB_TRY(save_info(s, &info[i], value[i]));
fail:
    return err;
}

// The default domain's version, and version 1 of each domain that a node comes from.
static int save_opsets(saver *s)
{
    Onnx__ModelProto *m = &s->model;
    Onnx__OperatorSetIdProto *set =
        messages(&s->arena, &m->opset_import, s->proto.n_node + 1, sizeof *set);
    if (!set)
        return GB_ERR_NOMEM;
    onnx__operator_set_id_proto__init(&set[0]);
    set[0].domain = "";
    set[0].has_version = true;
    set[0].version = s->graph->opset;
    m->n_opset_import = 1;
    for (size_t i = 0; i < s->proto.n_node; i++) {
        char *domain = s->proto.node[i]->domain;
        bool known = !domain;
        for (size_t k = 0; k < m->n_opset_import && !known; k++)
            known = !strcmp(set[k].domain, domain);
        if (known)
            continue;
        onnx__operator_set_id_proto__init(&set[m->n_opset_import]);
        set[m->n_opset_import].domain = domain;
        set[m->n_opset_import].has_version = true;
        set[m->n_opset_import++].version = 1;
    }
    return 0;
}

static int save_meta(saver *s)
{
    const gb_graph *g = s->graph;
    Onnx__StringStringEntryProto *meta =
        messages(&s->arena, &s->model.metadata_props, g->n_meta, sizeof *meta);
    if (!meta)
        return GB_ERR_NOMEM;
    s->model.n_metadata_props = g->n_meta;
    for (size_t i = 0; i < g->n_meta; i++) {
        onnx__string_string_entry_proto__init(&meta[i]);
        meta[i].key = (char *)g->meta_key[i];
        meta[i].value = (char *)g->meta_value[i];
    }
    return 0;
}

static int save_model(saver *s)
{
    const gb_graph *g = s->graph;
    int err = 0;
    if (g->batch)
        return gb_fail(GB_ERR_ARG, "an instance for one batch size is no model to save");
    onnx__model_proto__init(&s->model);
    onnx__graph_proto__init(&s->proto);
    s->model.has_ir_version = true;
    s->model.ir_version = g->ir_version < IR_MIN ? IR_MIN : g->ir_version;
    s->model.producer_name = "gibbon";
    s->model.graph = &s->proto;
    s->proto.name = "model";
    GB_TRY(save_initializers(s));
    GB_TRY(save_nodes(s));
    GB_TRY(save_infos(s, &s->proto.input, &s->proto.n_input, g->in, g->n_in));
    GB_TRY(save_infos(s, &s->proto.output, &s->proto.n_output, g->out, g->n_out));
    GB_TRY(save_opsets(s));
    GB_TRY(save_meta(s));
fail:
    return err;
}

int gb_onnx_encode(void **bytes, size_t *size, const gb_graph *model, const gb_onnx_weight *weight,
                   size_t n_weight, const char *name)
{
    saver s = {.graph = model, .weight = weight, .n_weight = n_weight};
    int err = 0;
    GB_TRY(save_model(&s));
    *size = onnx__model_proto__get_packed_size(&s.model);
    if (*size > INT32_MAX)
        err = gb_fail(GB_ERR_UNSUPPORTED, "%zu bytes; an ONNX file holds 2 GiB", *size);
    else if (!(*bytes = malloc(*size)))
        err = gb_fail(GB_ERR_NOMEM, "out of memory for its %zu bytes", *size);
    else
        onnx__model_proto__pack(&s.model, *bytes);
fail:
    gb_arena_finish(&s.arena);
    return err < 0 ? gb_fail_in(err, "%s", name) : 0;
}

int gb_onnx_save(const char *path, const gb_graph *model, const gb_onnx_weight *weight,
                 size_t n_weight)
{
    void *bytes = NULL;
    size_t size = 0;
    int err = gb_onnx_encode(&bytes, &size, model, weight, n_weight, path);
    if (err == 0)
        err = gb_file_write(path, bytes, size);
    free(bytes);
    return err;
}
