// Nodes of constants that are too much work for the host: the device computes them, for every batch
// and chunk of it, and they come out as those that were computed beforehand.
#include "support/device.h"

#include "engine/session.h"
#include "onnx/load.h"
#include "support/onnx_builder.h"

#include <stdlib.h>
#include <string.h>

enum { IMAGES = 4, PIXELS = 3 * 8 * 8, CLASSES = 5 };

// (x + c) c, in which c = mean(conv(reshape(a b)[0])) is the same for all images; then a dense
// layer, whose weights are made of a constant.
static gb_graph *make(int64_t batch)
{
    static float a[64 * 64], kernel[8 * 2 * 9], w[PIXELS * CLASSES];
    onnx_builder b;
    gb_graph *g = NULL;
    size_t size;
    for (int i = 0; i < 64 * 64; i++)
        a[i] = (float)(i * 37 % 101) / 101 - 0.4f;
    for (int i = 0; i < 8 * 2 * 9; i++)
        kernel[i] = (float)(i * 29 % 83) / 83 - 0.3f;
    for (int i = 0; i < PIXELS * CLASSES; i++)
        w[i] = (float)(i * 53 % 97) / 97 - 0.5f;
    onnx_init(&b, 17);
    onnx_input(&b, "x", 4, (int64_t[]){batch, 3, 8, 8});
    onnx_init_f32(&b, "a", 2, (int64_t[]){64, 64}, a);
    onnx_init_f32(&b, "kernel", 4, (int64_t[]){8, 2, 3, 3}, kernel);
    onnx_init_f32(&b, "w", 2, (int64_t[]){PIXELS, CLASSES}, w);
    onnx_init_i64(&b, "picture", 1, (int64_t[]){4}, (int64_t[]){1, -1, 8, 8});
    onnx_init_i64(&b, "from", 1, (int64_t[]){1}, (int64_t[]){0});
    onnx_init_i64(&b, "to", 1, (int64_t[]){1}, (int64_t[]){2});
    onnx_init_i64(&b, "axis", 1, (int64_t[]){1}, (int64_t[]){1});
    onnx_node(&b, "MatMul", "a,a", "aa");
    onnx_node(&b, "Reshape", "aa,picture", "planes");
    onnx_node(&b, "Slice", "planes,from,to,axis", "p");
    Onnx__NodeProto *conv = onnx_node(&b, "Conv", "p,kernel", "maps");
    onnx_attr_ints(&b, conv, "pads", 4, (int64_t[]){1, 1, 1, 1});
    onnx_attr_ints(&b, onnx_node(&b, "ReduceMean", "maps", "c"), "axes", 1, (int64_t[]){1});
    onnx_node(&b, "Add", "x,c", "sum");
    onnx_node(&b, "Mul", "sum,c", "product");
    onnx_node(&b, "Flatten", "product", "flat");
    onnx_node(&b, "Tanh", "w", "weights");
    onnx_node(&b, "MatMul", "flat,weights", "y");
    onnx_output(&b, "y", 0, NULL);
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_ok(gb_onnx_decode(&g, bytes, size, "test", NULL));
    free(bytes);
    onnx_finish(&b);
    return g;
}

// Logits and gradients of IMAGES images; returns the launches of the forward pass.
static size_t run(const gb_graph *model, int64_t batch, int64_t chunk, double seconds, float *y,
                float *dx)
{
    static float x[IMAGES * PIXELS], dy[IMAGES * CLASSES];
    gb_session *s = NULL;
    for (int i = 0; i < IMAGES * PIXELS; i++)
        x[i] = (float)(i * 59 % 103) / 103;
    for (int i = 0; i < IMAGES * CLASSES; i++)
        dy[i] = (float)(i % 7) / 7 - 0.3f;
    assert_ok(gb_session_create(&s, test_device(), model,
                                &(gb_session_options){.batch = batch, .chunk = chunk, .seed = "y",
                                                      .grad = true, .fold_seconds = seconds}));
    for (int64_t i = 0; i < IMAGES; i += batch) {
        assert_ok(gb_session_upload(s, gb_session_input(s, 0), x + i * PIXELS));
        assert_ok(gb_session_upload(s, gb_session_seed(s), dy + i * CLASSES));
        assert_ok(gb_session_gradient(s));
        assert_ok(gb_session_download(s, gb_session_output(s, 0), y + i * CLASSES));
        assert_ok(gb_session_download(s, gb_session_grad(s, 0), dx + i * PIXELS));
    }
    const size_t launches = gb_session_get_stats(s)->launches_forward;
    gb_session_free(s);
    return launches;
}

static void the_device_computes_constants(void **state)
{
    static float y[2][IMAGES * CLASSES], dx[2][IMAGES * PIXELS], other_y[IMAGES * CLASSES],
        other_dx[IMAGES * PIXELS];
    (void)state;
    for (int fixed = 0; fixed < 2; fixed++) {
        gb_graph *model = make(fixed ? 1 : -1);
        const size_t folded = run(model, 1, 1, 0, y[0], dx[0]);
        assert_true(run(model, 1, 1, 1e-9, y[1], dx[1]) > folded + 3);
        for (int i = 0; i < IMAGES * CLASSES; i++)
            assert_float_equal(y[0][i], y[1][i], 1e-3);
        for (int i = 0; i < IMAGES * PIXELS; i++)
            assert_float_equal(dx[0][i], dx[1][i], 1e-4);
        for (int64_t batch = 2; batch <= IMAGES; batch *= 2) {
            for (int64_t chunk = 1; chunk <= batch; chunk *= 2) {
                run(model, batch, chunk, 1e-9, other_y, other_dx);
                assert_memory_equal(y[1], other_y, sizeof other_y);
                assert_memory_equal(dx[1], other_dx, sizeof other_dx);
            }
        }
        gb_graph_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_device_computes_constants)};
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
