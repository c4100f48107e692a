// Damaged and malicious models: an error or a graph, never a crash, and never slow.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "onnx/load.h"
#include "onnx/proto.h"
#include "onnx_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A model with something of everything in it.
static uint8_t *sample(size_t *size)
{
    static const int64_t image[] = {-1, 3, 8, 8}, w_dims[] = {4, 3, 3, 3}, pair[] = {2};
    static const int64_t pads[] = {1, 1, 1, 1};
    static const float w[4 * 3 * 3 * 3] = {1, 2, 3};
    onnx_builder b;
    onnx_init(&b, 13);
    b.model.producer_name = (char *)"test";
    onnx_add_meta(&b, "key", "value");
    onnx_add_opset(&b, "com.example", 1);
    onnx_input(&b, "x", 4, image);
    onnx_output(&b, "y", 4, image);
    onnx_init_f32(&b, "w", 4, w_dims, w);
    onnx_init_i64(&b, "shape", 1, pair, (int64_t[]){0, -1});
    Onnx__TensorProto *typed = onnx_tensor(&b, "typed", GB_ONNX_INT32, 1, pair, NULL, 0);
    typed->has_raw_data = 0;
    typed->n_int32_data = 2;
    typed->int32_data = (int32_t[]){1, 2};
    onnx_add_init(&b, typed);
    Onnx__NodeProto *conv = onnx_node(&b, "Conv", "x,w", "a");
    onnx_attr_ints(&b, conv, "pads", 4, pads);
    onnx_attr_string(&b, conv, "auto_pad", "NOTSET");
    onnx_attr_float(&b, onnx_node(&b, "LeakyRelu", "a", "c"), "alpha", 0.1f);
    onnx_attr_ints(&b, onnx_node(&b, "Constant", "", "k"), "value_ints", 4, pads);
    onnx_node(&b, "Reshape", "c,shape", "d");
    onnx_node(&b, "Foo", "d,typed,k", "y")->domain = (char *)"com.example";
    uint8_t *bytes = onnx_pack(&b, size);
    onnx_finish(&b);
    return bytes;
}

// Decodes a block of exactly `size` bytes, so that a sanitizer sees a read beyond it.
static int decode(const uint8_t *bytes, size_t size)
{
    gb_graph *g = NULL;
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memcpy(exact, bytes, size);
    int err = gb_onnx_decode(&g, exact, size, "m.onnx", NULL);
    free(exact);
    if (err == 0) {
        char *text = gb_graph_dump(g);
        assert_non_null(text);
        free(text);
    } else {
        assert_true(err == GB_ERR_FORMAT || err == GB_ERR_UNSUPPORTED);
        assert_null(g);
    }
    gb_graph_free(g);
    return err;
}

static void truncated(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = sample(&size);
    assert_int_equal(decode(bytes, size), 0);
    for (size_t n = 0; n < size; n++) // the last fields packed are the opsets
        assert_true(decode(bytes, n) < 0 || n > size - 64);
    free(bytes);
}

static void flipped(void **state)
{
    (void)state;
    size_t size, refused = 0;
    uint8_t *bytes = sample(&size);
    enum { ROUNDS = 20000 };
    for (uint32_t round = 0; round < ROUNDS; round++) {
        gb_philox r = gb_philox4x32((gb_philox){{round, 0, 0, 0}}, 20240607, 1);
        uint8_t was[3];
        uint32_t n = r.v[3] % 3 + 1;
        for (uint32_t i = 0; i < n; i++) {
            uint8_t *at = bytes + r.v[i] / 8 % size;
            was[i] = *at;
            *at ^= (uint8_t)(1u << r.v[i] % 8);
        }
        refused += decode(bytes, size) < 0;
        for (uint32_t i = n; i-- > 0;)
            bytes[r.v[i] / 8 % size] = was[i];
    }
    assert_int_equal(decode(bytes, size), 0); // restored
    assert_true(refused > ROUNDS / 10 && refused < ROUNDS);
    free(bytes);
}

static void garbage(void **state)
{
    (void)state;
    uint8_t bytes[256];
    for (uint32_t round = 0; round < 2000; round++) {
        for (uint32_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)gb_philox4x32((gb_philox){{round, i, 0, 0}}, 7, 7).v[0];
        assert_true(decode(bytes, round % sizeof bytes) < 0);
    }
}

// A chain listed backwards, 100000 nodes: neither recursion nor quadratic time.
static void deep_chain(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    static const int64_t dims[] = {1};
    char in[16], out[16];
    size_t size;
    onnx_builder b;
    onnx_init(&b, 13);
    onnx_input(&b, "v0", 1, dims);
    snprintf(out, sizeof out, "v%d", DEPTH);
    onnx_output(&b, out, 1, dims);
    for (int i = DEPTH; i > 0; i--) {
        snprintf(in, sizeof in, "v%d", i - 1);
        snprintf(out, sizeof out, "v%d", i);
        onnx_node(&b, "Relu", in, out);
    }
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_int_equal(decode(bytes, size), 0);
    free(bytes);
    b.graph.node[DEPTH - 1]->input[0] = b.graph.output[0]->name; // and as one long cycle
    bytes = onnx_pack(&b, &size);
    assert_int_equal(decode(bytes, size), GB_ERR_FORMAT);
    assert_non_null(strstr(gb_last_error(), "cycle"));
    free(bytes);
    onnx_finish(&b);
}

static void huge_strings(void **state)
{
    (void)state;
    enum { LENGTH = 4 << 20 };
    static const int64_t dims[] = {1};
    size_t size;
    onnx_builder b;
    char *big = malloc(LENGTH + 1);
    assert_non_null(big);
    memset(big, 'x', LENGTH);
    big[LENGTH] = 0;
    onnx_init(&b, 13);
    onnx_input(&b, big, 1, dims);
    onnx_output(&b, "y", 1, dims);
    onnx_node(&b, big, big, "y")->name = big;
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_int_equal(decode(bytes, size), 0);
    free(bytes);
    b.graph.n_input = 0;
    bytes = onnx_pack(&b, &size);
    assert_int_equal(decode(bytes, size), GB_ERR_FORMAT);
    assert_true(strlen(gb_last_error()) < 1024);
    free(bytes);
    onnx_finish(&b);
    free(big);
}

// Subgraphs are bytes to us, so nesting them is free of recursion.
static void nested_subgraphs(void **state)
{
    (void)state;
    enum { LEVELS = 20000 };
    static const int64_t dims[] = {1};
    size_t size, n = 0;
    onnx_builder b;
    uint8_t *nest = malloc(LEVELS * 2);
    assert_non_null(nest);
    for (int i = 0; i < LEVELS; i++) { // field 1, "as long as a byte can say"
        nest[n++] = 0x0a;
        nest[n++] = 0x7f;
    }
    onnx_init(&b, 13);
    onnx_input(&b, "x", 1, dims);
    onnx_output(&b, "y", 1, dims);
    Onnx__AttributeProto *attr =
        onnx_attr(&b, onnx_node(&b, "If", "x", "y"), "then_branch", GB_ONNX_ATTR_GRAPH);
    attr->has_g = 1;
    attr->g = (ProtobufCBinaryData){.len = n, .data = nest};
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_int_equal(decode(bytes, size), 0);
    free(bytes);
    onnx_finish(&b);
    free(nest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncated),  cmocka_unit_test(flipped),
        cmocka_unit_test(garbage),    cmocka_unit_test(deep_chain),
        cmocka_unit_test(huge_strings), cmocka_unit_test(nested_subgraphs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
