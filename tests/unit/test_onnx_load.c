// What a model's parts become, and what is refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "onnx/load.h"
#include "onnx/proto.h"
#include "onnx_builder.h"

#include <stdlib.h>
#include <string.h>

static const int64_t image[] = {-1, 3, 8, 8};

static int setup(void **state)
{
    static onnx_builder b;
    onnx_init(&b, 13);
    onnx_input(&b, "x", 4, image);
    onnx_output(&b, "y", 4, image);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    onnx_finish(*state);
    return 0;
}

static int decode(gb_graph **g, onnx_builder *b)
{
    size_t size;
    uint8_t *bytes = onnx_pack(b, &size);
    int err = gb_onnx_decode(g, bytes, size, "m.onnx", NULL);
    free(bytes);
    return err;
}

static gb_graph *load(onnx_builder *b)
{
    gb_graph *g = NULL;
    if (decode(&g, b) < 0)
        fail_msg("%s", gb_last_error());
    return g;
}

static void refuse(onnx_builder *b, int status, const char *what)
{
    gb_graph *g = NULL;
    assert_int_equal(decode(&g, b), status);
    assert_null(g);
    assert_memory_equal(gb_last_error(), "m.onnx: ", 8);
    if (!strstr(gb_last_error(), what))
        fail_msg("'%s' does not say '%s'", gb_last_error(), what);
}

static void reads_parts(void **state)
{
    onnx_builder *b = *state;
    static const int64_t dims[] = {2}, ints[] = {1, -2}, w_dims[] = {1, 3, 1, 1};
    static const float w[] = {1, 2, 3}, floats[] = {0.5f, 4};
    b->model.producer_name = (char *)"torch";
    b->model.producer_version = (char *)"2.0";
    onnx_add_meta(b, "gibbon.preprocess", "imagenet");
    onnx_init_f32(b, "w", 4, w_dims, w);
    Onnx__NodeProto *node = onnx_node(b, "Foo", "x,,w", "y,,z");
    node->name = (char *)"the foo";
    onnx_attr_int(b, node, "i", INT64_MIN);
    onnx_attr_float(b, node, "f", 0.25f);
    onnx_attr_string(b, node, "s", "SAME_UPPER");
    onnx_attr_ints(b, node, "is", 2, ints);
    onnx_attr_floats(b, node, "fs", 2, floats);
    onnx_attr_tensor(b, node, "t", onnx_tensor(b, "", GB_ONNX_INT64, 1, dims, ints, sizeof ints));
    onnx_attr(b, node, "untyped", 0)->floats = (float *)floats;
    node->attribute[node->n_attribute - 1]->n_floats = 2;
    gb_graph *g = load(b);
    assert_int_equal(g->opset, 13);
    assert_int_equal(g->ir_version, 8);
    assert_string_equal(g->producer, "torch 2.0");
    assert_string_equal(gb_graph_meta(g, "gibbon.preprocess"), "imagenet");
    assert_int_equal(g->n_in, 1);
    assert_string_equal(g->in[0]->name, "x");
    assert_true(gb_shape_equal(&g->in[0]->shape, &(gb_shape){.rank = 4, .dim = {-1, 3, 8, 8}}));
    assert_int_equal(g->n_out, 1);
    assert_true(gb_shape_equal(&g->out[0]->shape, &g->in[0]->shape));
    assert_int_equal(g->n_node, 1);
    const gb_node *foo = g->node[0];
    assert_string_equal(foo->type, "Foo");
    assert_string_equal(foo->name, "the foo");
    assert_int_equal(foo->opset, 13);
    assert_int_equal(foo->n_in, 3);
    assert_null(foo->in[1]);
    assert_true(gb_tensor_get(foo->in[2]->data, 2) == 3);
    assert_int_equal(foo->n_out, 3);
    assert_null(foo->out[1]);
    assert_ptr_equal(foo->out[2]->producer, foo);
    assert_int_equal(foo->n_attr, 7);
    assert_true(gb_attr_int(foo, "i", 0) == INT64_MIN);
    assert_true(gb_attr_float(foo, "f", 0) == 0.25f);
    assert_string_equal(gb_attr_string(foo, "s", ""), "SAME_UPPER");
    assert_int_equal(gb_attr_find(foo, "is")->count, 2);
    assert_true(gb_attr_find(foo, "fs")->floats[1] == 4);
    assert_int_equal(gb_tensor_int(gb_attr_find(foo, "t")->tensor, 1), -2);
    assert_int_equal(gb_attr_find(foo, "untyped")->kind, GB_ATTR_FLOATS);
    gb_graph_free(g);
}

static void initializer_as_input(void **state)
{
    onnx_builder *b = *state;
    static const int64_t dims[] = {2};
    onnx_init_f32(b, "w", 1, dims, (float[]){1, 2});
    onnx_input(b, "w", 1, dims);
    onnx_node(b, "Mul", "x,w", "y");
    gb_graph *g = load(b);
    assert_int_equal(g->n_in, 1);
    assert_non_null(g->node[0]->in[1]->data);
    gb_graph_free(g);
}

static void unsorted_and_dead_nodes(void **state)
{
    onnx_builder *b = *state;
    onnx_node(b, "Second", "a", "y");
    onnx_node(b, "Dead", "a", "d");
    onnx_node(b, "First", "x", "a");
    gb_graph *g = load(b);
    assert_int_equal(g->n_node, 2);
    assert_string_equal(g->node[0]->type, "First");
    assert_string_equal(g->node[1]->name, "Second_0");
    gb_graph_free(g);
}

static void constants(void **state)
{
    onnx_builder *b = *state;
    static const int64_t dims[] = {2}, ints[] = {5, 6};
    onnx_node(b, "Use", "x,t,f,fs,i,is", "y"); // before they are defined
    onnx_attr_tensor(b, onnx_node(b, "Constant", "", "t"), "value",
                     onnx_tensor(b, "", GB_ONNX_INT64, 1, dims, ints, sizeof ints));
    onnx_attr_float(b, onnx_node(b, "Constant", "", "f"), "value_float", 0.5f);
    onnx_attr_floats(b, onnx_node(b, "Constant", "", "fs"), "value_floats", 2, (float[]){1, 2});
    onnx_attr_int(b, onnx_node(b, "Constant", "", "i"), "value_int", -4);
    onnx_attr_ints(b, onnx_node(b, "Constant", "", "is"), "value_ints", 2, ints);
    gb_graph *g = load(b);
    assert_int_equal(g->n_node, 1);
    gb_value **in = g->node[0]->in;
    assert_int_equal(gb_tensor_int(in[1]->data, 1), 6);
    assert_int_equal(in[2]->shape.rank, 0);
    assert_int_equal(in[2]->type, GB_F32);
    assert_true(gb_tensor_get(in[2]->data, 0) == 0.5);
    assert_int_equal(in[3]->shape.dim[0], 2);
    assert_true(gb_tensor_get(in[3]->data, 1) == 2);
    assert_int_equal(in[4]->shape.rank, 0);
    assert_int_equal(in[4]->type, GB_I64);
    assert_int_equal(gb_tensor_int(in[4]->data, 0), -4);
    assert_int_equal(in[5]->shape.dim[0], 2);
    assert_int_equal(gb_tensor_int(in[5]->data, 0), 5);
    gb_graph_free(g);
}

static void refuses_constants(void **state)
{
    onnx_builder *b = *state;
    Onnx__NodeProto *node = onnx_node(b, "Constant", "", "c");
    onnx_node(b, "Use", "x,c", "y");
    refuse(b, GB_ERR_FORMAT, "Constant 'c': one value");
    onnx_attr_string(b, node, "value_string", "text");
    refuse(b, GB_ERR_UNSUPPORTED, "Constant 'c': strings");
    node->n_attribute = 0;
    onnx_attr(b, node, "sparse_value", 11);
    refuse(b, GB_ERR_UNSUPPORTED, "Constant 'c': sparse_value");
    node->n_attribute = 0;
    onnx_attr(b, node, "value", GB_ONNX_ATTR_TENSOR);
    refuse(b, GB_ERR_FORMAT, "attribute 'value' has no tensor");
    node->n_attribute = 0;
    onnx_attr_int(b, node, "value_int", 1);
    onnx_attr_int(b, onnx_node(b, "Constant", "", "c"), "value_int", 1);
    refuse(b, GB_ERR_FORMAT, "two constants are called 'c'");
    b->graph.n_node--;
    node->output[0] = (char *)"x";
    refuse(b, GB_ERR_FORMAT, "'x' is both an input and a Constant");
}

static void foreign_and_subgraphs(void **state)
{
    onnx_builder *b = *state;
    onnx_node(b, "Foo", "x", "a")->domain = (char *)"com.microsoft";
    onnx_node(b, "Relu", "a", "b")->domain = (char *)"ai.onnx";
    Onnx__NodeProto *node = onnx_node(b, "If", "b", "y");
    Onnx__AttributeProto *attr = onnx_attr(b, node, "then_branch", GB_ONNX_ATTR_GRAPH);
    attr->has_g = 1;
    attr->g = (ProtobufCBinaryData){.len = 3, .data = (uint8_t *)"\xff\xff\xff"};
    onnx_add_opset(b, "com.microsoft", 1);
    gb_graph *g = load(b);
    assert_int_equal(g->opset, 13);
    assert_string_equal(g->node[0]->type, "com.microsoft:Foo");
    assert_string_equal(g->node[1]->type, "Relu");
    assert_string_equal(g->node[2]->type, "If");
    assert_int_equal(g->node[2]->n_attr, 0);
    gb_graph_free(g);
}

static void refuses_head(void **state)
{
    onnx_builder *b = *state;
    onnx_node(b, "Relu", "x", "y");
    b->model.opset_import[0]->version = 5;
    refuse(b, GB_ERR_UNSUPPORTED, "opset 5; gibbon reads opset 7 to 21");
    b->model.opset_import[0]->version = 99;
    refuse(b, GB_ERR_UNSUPPORTED, "opset 99; gibbon reads opset 7 to 21");
    b->model.opset_import[0]->version = INT64_MAX;
    refuse(b, GB_ERR_UNSUPPORTED, "opset 9223372036854775807;");
    b->model.n_opset_import = 0;
    refuse(b, GB_ERR_UNSUPPORTED, "opset 0;");
    b->model.n_opset_import = 1;
    b->model.opset_import[0]->version = 21;
    gb_graph_free(load(b));
    b->model.opset_import[0]->domain = (char *)"ai.onnx";
    b->model.opset_import[0]->version = 7;
    gb_graph_free(load(b));
    b->model.ir_version = 2;
    refuse(b, GB_ERR_UNSUPPORTED, "IR version 2;");
    b->model.ir_version = 3;
    b->model.graph = NULL;
    refuse(b, GB_ERR_FORMAT, "no graph");
}

static void refuses_inputs(void **state)
{
    onnx_builder *b = *state;
    onnx_node(b, "Relu", "x", "y");
    Onnx__ValueInfoProto *x = b->graph.input[0];
    Onnx__TypeProto__Tensor *type = x->type->tensor_type;
    type->shape->dim[1]->dim_value = -1; // some converters' way to say unknown
    gb_graph *g = load(b);
    assert_int_equal(g->in[0]->shape.dim[1], -1);
    gb_graph_free(g);
    type->shape->dim[1]->dim_value = -7;
    refuse(b, GB_ERR_FORMAT, "input 'x': dimension 1 is negative (-7)");
    type->shape->dim[1]->dim_value = 3;
    type->elem_type = GB_ONNX_STRING;
    refuse(b, GB_ERR_UNSUPPORTED, "input 'x': tensors of strings");
    type->elem_type = GB_ONNX_FLOAT16;
    gb_graph_free(load(b));
    onnx_input(b, "x", 4, image);
    refuse(b, GB_ERR_FORMAT, "two inputs are called 'x'");
    b->graph.n_input = 1;
    type->shape = NULL;
    refuse(b, GB_ERR_UNSUPPORTED, "input 'x': its shape");
    x->type->tensor_type = NULL;
    refuse(b, GB_ERR_UNSUPPORTED, "input 'x': not a tensor");
    x->name = (char *)"";
    refuse(b, GB_ERR_FORMAT, "an input has no name");
    b->graph.n_input = 0;
    refuse(b, GB_ERR_FORMAT, "Relu 'Relu_0': nothing produces its input 'x'");
    static const int64_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    onnx_input(b, "x", 9, nine);
    refuse(b, GB_ERR_UNSUPPORTED, "input 'x': 9 dimensions");
}

static void refuses_graphs(void **state)
{
    onnx_builder *b = *state;
    static const int64_t dims[] = {1};
    refuse(b, GB_ERR_FORMAT, "nothing produces the model's output 'y'");
    onnx_node(b, "A", "x,c", "a");
    onnx_node(b, "B", "a", "y");
    refuse(b, GB_ERR_FORMAT, "A 'A_0': nothing produces its input 'c'");
    onnx_node(b, "C", "y", "c");
    refuse(b, GB_ERR_FORMAT, "cycle");
    b->graph.n_node = 2;
    onnx_init_f32(b, "c", 1, dims, (float[]){1});
    gb_graph_free(load(b));
    onnx_node(b, "D", "x", "a");
    refuse(b, GB_ERR_FORMAT, "D 'D_2': its output 'a' has another source");
    b->graph.node[2]->output[0] = (char *)"c";
    refuse(b, GB_ERR_FORMAT, "D 'D_2': its output 'c' has another source");
    b->graph.node[2]->output[0] = (char *)"x";
    refuse(b, GB_ERR_FORMAT, "'x' is an input of the model");
    b->graph.n_node = 2;
    onnx_init_f32(b, "c", 1, dims, (float[]){1});
    refuse(b, GB_ERR_FORMAT, "two constants are called 'c'");
    b->graph.initializer[1]->name = NULL;
    refuse(b, GB_ERR_FORMAT, "initializer 1 has no name");
    b->graph.n_initializer = 1;
    b->graph.n_sparse_initializer = 1;
    b->graph.sparse_initializer = (ProtobufCBinaryData[]){{0}};
    refuse(b, GB_ERR_UNSUPPORTED, "sparse");
    b->graph.n_sparse_initializer = 0;
    b->graph.n_output = 0;
    refuse(b, GB_ERR_FORMAT, "no outputs");
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(reads_parts),       WITH(initializer_as_input),  WITH(unsorted_and_dead_nodes),
        WITH(constants),         WITH(refuses_constants),     WITH(foreign_and_subgraphs),
        WITH(refuses_head),      WITH(refuses_inputs),        WITH(refuses_graphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
