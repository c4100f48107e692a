// Builds ModelProto messages in an arena.
#include "onnx_builder.h"

#include "base/file.h"
#include "onnx/proto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *need(void *memory)
{
    if (!memory) {
        fprintf(stderr, "onnx_builder: out of memory\n");
        abort();
    }
    return memory;
}

static char *text(onnx_builder *b, const char *s)
{
    return need(gb_arena_strdup(&b->arena, s));
}

static void *copy(onnx_builder *b, const void *data, size_t bytes)
{
    void *memory = need(gb_arena_alloc(&b->arena, bytes));
    if (bytes)
        memcpy(memory, data, bytes);
    return memory;
}

// Appends to one of protobuf-c's arrays of pointers; room doubles whenever n is a power of two.
static void push(onnx_builder *b, void *array_pointer, size_t *n, void *item)
{
    void **array;
    memcpy(&array, array_pointer, sizeof array);
    if ((*n & (*n - 1)) == 0) {
        void **bigger = need(gb_arena_array(&b->arena, *n ? *n * 2 : 1, sizeof *bigger));
        if (*n)
            memcpy(bigger, array, *n * sizeof *bigger);
        memcpy(array_pointer, &bigger, sizeof bigger);
        array = bigger;
    }
    array[(*n)++] = item;
}

#define MAKER(type, init) \
    static type *type##_new(onnx_builder *b) \
    { \
        type *message = need(gb_arena_alloc(&b->arena, sizeof *message)); \
        init(message); \
        return message; \
    }
MAKER(Onnx__TensorProto, onnx__tensor_proto__init)
MAKER(Onnx__NodeProto, onnx__node_proto__init)
MAKER(Onnx__AttributeProto, onnx__attribute_proto__init)
MAKER(Onnx__ValueInfoProto, onnx__value_info_proto__init)
MAKER(Onnx__TypeProto, onnx__type_proto__init)
MAKER(Onnx__TypeProto__Tensor, onnx__type_proto__tensor__init)
MAKER(Onnx__TensorShapeProto, onnx__tensor_shape_proto__init)
MAKER(Onnx__TensorShapeProto__Dimension, onnx__tensor_shape_proto__dimension__init)
MAKER(Onnx__OperatorSetIdProto, onnx__operator_set_id_proto__init)
MAKER(Onnx__StringStringEntryProto, onnx__string_string_entry_proto__init)

void onnx_add_opset(onnx_builder *b, const char *domain, int64_t version)
{
    Onnx__OperatorSetIdProto *id = Onnx__OperatorSetIdProto_new(b);
    id->domain = text(b, domain);
    id->has_version = 1;
    id->version = version;
    push(b, &b->model.opset_import, &b->model.n_opset_import, id);
}

void onnx_init(onnx_builder *b, int opset)
{
    *b = (onnx_builder){0};
    onnx__model_proto__init(&b->model);
    onnx__graph_proto__init(&b->graph);
    b->model.graph = &b->graph;
    b->model.has_ir_version = 1;
    b->model.ir_version = 8;
    onnx_add_opset(b, "", opset);
}

void onnx_finish(onnx_builder *b)
{
    gb_arena_finish(&b->arena);
}

static Onnx__StringStringEntryProto *entry(onnx_builder *b, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *e = Onnx__StringStringEntryProto_new(b);
    e->key = text(b, key);
    e->value = text(b, value);
    return e;
}

void onnx_add_meta(onnx_builder *b, const char *key, const char *value)
{
    push(b, &b->model.metadata_props, &b->model.n_metadata_props, entry(b, key, value));
}

void onnx_add_external(onnx_builder *b, Onnx__TensorProto *tensor, const char *key,
                       const char *value)
{
    enum { EXTERNAL = 1 };
    tensor->has_data_location = 1;
    tensor->data_location = EXTERNAL;
    tensor->has_raw_data = 0;
    push(b, &tensor->external_data, &tensor->n_external_data, entry(b, key, value));
}

static Onnx__ValueInfoProto *value_info(onnx_builder *b, const char *name, int rank,
                                        const int64_t *dims)
{
    Onnx__ValueInfoProto *info = Onnx__ValueInfoProto_new(b);
    info->name = text(b, name);
    info->type = Onnx__TypeProto_new(b);
    Onnx__TypeProto__Tensor *tensor = info->type->tensor_type = Onnx__TypeProto__Tensor_new(b);
    tensor->has_elem_type = 1;
    tensor->elem_type = GB_ONNX_FLOAT;
    tensor->shape = Onnx__TensorShapeProto_new(b);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = Onnx__TensorShapeProto__Dimension_new(b);
        dim->has_dim_value = dims[i] != -1;
        dim->dim_value = dims[i];
        dim->dim_param = dims[i] == -1 ? text(b, "N") : NULL;
        push(b, &tensor->shape->dim, &tensor->shape->n_dim, dim);
    }
    return info;
}

void onnx_input(onnx_builder *b, const char *name, int rank, const int64_t *dims)
{
    push(b, &b->graph.input, &b->graph.n_input, value_info(b, name, rank, dims));
}

void onnx_output(onnx_builder *b, const char *name, int rank, const int64_t *dims)
{
    push(b, &b->graph.output, &b->graph.n_output, value_info(b, name, rank, dims));
}

Onnx__TensorProto *onnx_tensor(onnx_builder *b, const char *name, int32_t type, int rank,
                               const int64_t *dims, const void *data, size_t bytes)
{
    Onnx__TensorProto *t = Onnx__TensorProto_new(b);
    t->name = text(b, name);
    t->has_data_type = 1;
    t->data_type = type;
    t->n_dims = (size_t)rank;
    t->dims = copy(b, dims, (size_t)rank * sizeof *dims);
    t->has_raw_data = 1;
    t->raw_data.len = bytes;
    t->raw_data.data = copy(b, data, bytes);
    return t;
}

void onnx_add_init(onnx_builder *b, Onnx__TensorProto *tensor)
{
    push(b, &b->graph.initializer, &b->graph.n_initializer, tensor);
}

static size_t count(int rank, const int64_t *dims)
{
    size_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    return n;
}

void onnx_init_f32(onnx_builder *b, const char *name, int rank, const int64_t *dims,
                   const float *data)
{
    onnx_add_init(b, onnx_tensor(b, name, GB_ONNX_FLOAT, rank, dims, data,
                                 count(rank, dims) * sizeof *data));
}

void onnx_init_i64(onnx_builder *b, const char *name, int rank, const int64_t *dims,
                   const int64_t *data)
{
    onnx_add_init(b, onnx_tensor(b, name, GB_ONNX_INT64, rank, dims, data,
                                 count(rank, dims) * sizeof *data));
}

static void push_names(onnx_builder *b, char ***array, size_t *n, const char *names)
{
    for (const char *name = names; *names; name += strcspn(name, ",") + 1) {
        size_t length = strcspn(name, ",");
        char *item = copy(b, name, length + 1);
        item[length] = 0;
        push(b, array, n, item);
        if (!name[length])
            break;
    }
}

Onnx__NodeProto *onnx_node(onnx_builder *b, const char *type, const char *inputs,
                           const char *outputs)
{
    Onnx__NodeProto *node = Onnx__NodeProto_new(b);
    node->op_type = text(b, type);
    push_names(b, &node->input, &node->n_input, inputs);
    push_names(b, &node->output, &node->n_output, outputs);
    push(b, &b->graph.node, &b->graph.n_node, node);
    return node;
}

Onnx__AttributeProto *onnx_attr(onnx_builder *b, Onnx__NodeProto *node, const char *name,
                                int32_t type)
{
    Onnx__AttributeProto *attr = Onnx__AttributeProto_new(b);
    attr->name = text(b, name);
    attr->has_type = type != 0;
    attr->type = type;
    push(b, &node->attribute, &node->n_attribute, attr);
    return attr;
}

void onnx_attr_int(onnx_builder *b, Onnx__NodeProto *node, const char *name, int64_t v)
{
    Onnx__AttributeProto *attr = onnx_attr(b, node, name, GB_ONNX_ATTR_INT);
    attr->has_i = 1;
    attr->i = v;
}

void onnx_attr_float(onnx_builder *b, Onnx__NodeProto *node, const char *name, float v)
{
    Onnx__AttributeProto *attr = onnx_attr(b, node, name, GB_ONNX_ATTR_FLOAT);
    attr->has_f = 1;
    attr->f = v;
}

void onnx_attr_string(onnx_builder *b, Onnx__NodeProto *node, const char *name, const char *v)
{
    Onnx__AttributeProto *attr = onnx_attr(b, node, name, GB_ONNX_ATTR_STRING);
    attr->has_s = 1;
    attr->s.len = strlen(v);
    attr->s.data = (uint8_t *)text(b, v);
}

void onnx_attr_ints(onnx_builder *b, Onnx__NodeProto *node, const char *name, size_t n,
                    const int64_t *v)
{
    Onnx__AttributeProto *attr = onnx_attr(b, node, name, GB_ONNX_ATTR_INTS);
    attr->n_ints = n;
    attr->ints = copy(b, v, n * sizeof *v);
}

void onnx_attr_floats(onnx_builder *b, Onnx__NodeProto *node, const char *name, size_t n,
                      const float *v)
{
    Onnx__AttributeProto *attr = onnx_attr(b, node, name, GB_ONNX_ATTR_FLOATS);
    attr->n_floats = n;
    attr->floats = copy(b, v, n * sizeof *v);
}

void onnx_attr_tensor(onnx_builder *b, Onnx__NodeProto *node, const char *name,
                      Onnx__TensorProto *v)
{
    onnx_attr(b, node, name, GB_ONNX_ATTR_TENSOR)->t = v;
}

uint8_t *onnx_pack(onnx_builder *b, size_t *size)
{
    *size = onnx__model_proto__get_packed_size(&b->model);
    uint8_t *bytes = need(malloc(*size + 1));
    onnx__model_proto__pack(&b->model, bytes);
    return bytes;
}

int onnx_save(onnx_builder *b, const char *path)
{
    size_t size;
    uint8_t *bytes = onnx_pack(b, &size);
    int err = gb_file_write(path, bytes, size);
    free(bytes);
    return err;
}
