// The memory plan: a residual sum lies where its residual lay if nobody needs that any more, and
// results are those of a plan that reuses nothing.
#include "support/device.h"

#include "engine/internal.h"
#include "engine/occupancy.h"
#include "onnx/load.h"
#include "support/onnx_builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { IMAGES = 3, C = 32, SIDE = 6, COUNT = IMAGES * C * SIDE * SIDE };

typedef struct layer {
    const char *type, *in, *out;
} layer;

// Convolutions of C to C channels, 3x3 under the names of weights that begin with "w", 1x1 with
// "v"; activations and sums.
static gb_graph *make(const layer *layers)
{
    static float weights[C * C * 9];
    onnx_builder b;
    gb_graph *g = NULL;
    size_t size;
    onnx_init(&b, 17);
    onnx_input(&b, "x", 4, (int64_t[]){-1, C, SIDE, SIDE});
    for (int i = 0; i < C * C * 9; i++)
        weights[i] = (float)(i * 37 % 101) / 101 - 0.5f;
    onnx_init_f32(&b, "w", 4, (int64_t[]){C, C, 3, 3}, weights);
    onnx_init_f32(&b, "v", 4, (int64_t[]){C, C, 1, 1}, weights);
    for (const layer *l = layers; l->type; l++) {
        Onnx__NodeProto *node = onnx_node(&b, l->type, l->in, l->out);
        if (!strcmp(l->type, "Conv") && strstr(l->in, ",w"))
            onnx_attr_ints(&b, node, "pads", 4, (int64_t[]){1, 1, 1, 1});
    }
    onnx_output(&b, "y", 0, NULL);
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_ok(gb_onnx_decode(&g, bytes, size, "test", NULL));
    free(bytes);
    onnx_finish(&b);
    return g;
}

static gb_session *make_session(const gb_graph *model, bool keep_all)
{
    gb_session *s = NULL;
    assert_ok(gb_session_create(&s, test_device(), model,
                                &(gb_session_options){.batch = IMAGES, .chunk = IMAGES,
                                                      .seed = "y", .grad = true,
                                                      .keep_all = keep_all}));
    return s;
}

static void run(gb_session *s, float *y, float *dx)
{
    static float x[COUNT];
    for (int i = 0; i < COUNT; i++)
        x[i] = (float)(i * 53 % 97) / 97 - 0.5f;
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
    assert_ok(gb_session_upload(s, gb_session_seed(s), x));
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_session_download(s, gb_session_output(s, 0), y));
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), dx));
}

// The stores that lie over others, and that the plan without reuse computes the same.
static size_t shared(const layer *layers)
{
    static float y[2][COUNT], dx[2][COUNT];
    gb_graph *model = make(layers);
    size_t count[2] = {0};
    for (int keep_all = 0; keep_all < 2; keep_all++) {
        gb_session *s = make_session(model, keep_all);
        for (size_t i = 0; i < s->emit.n_store; i++)
            count[keep_all] += s->emit.store[i]->over != NULL;
        run(s, y[keep_all], dx[keep_all]);
        gb_session_free(s);
    }
    assert_int_equal(count[1], 0);
    assert_memory_equal(y[0], y[1], sizeof y[0]);
    assert_memory_equal(dx[0], dx[1], sizeof dx[0]);
    gb_graph_free(model);
    return count[0];
}

static void residuals_are_overwritten(void **state)
{
    (void)state; // two blocks, a 3x3 (Winograd on processors) and a 1x1 convolution before the sum
    assert_int_equal(shared((layer[]){
        {"Conv", "x,v", "a"}, {"Relu", "a", "b"},
        {"Conv", "b,w", "c"}, {"Relu", "c", "d"}, {"Conv", "d,w", "e"}, {"Add", "e,b", "f"},
        {"Relu", "f", "g"},
        {"Conv", "g,w", "h"}, {"Relu", "h", "i"}, {"Conv", "i,v", "j"}, {"Add", "j,g", "k"},
        {"Relu", "k", "l"}, {"Conv", "l,v", "y"}, {0}}), 2);
}

// A convolution reads its neighbours' pixels while others write theirs.
static void its_own_input_is_not_overwritten(void **state)
{
    (void)state;
    assert_int_equal(shared((layer[]){
        {"Conv", "x,v", "a"}, {"Conv", "a,w", "b"}, {"Add", "b,a", "c"}, {"Conv", "c,v", "y"},
        {0}}), 0);
}

static void what_is_read_later_is_not_overwritten(void **state)
{
    (void)state;
    assert_int_equal(shared((layer[]){
        {"Conv", "x,v", "a"}, {"Conv", "a,w", "b"}, {"Conv", "b,w", "c"}, {"Add", "c,a", "d"},
        {"Relu", "d", "e"}, {"Conv", "e,w", "f"}, {"Conv", "f,w", "g"}, {"Add", "g,a", "y"},
        {0}}), 1); // where it ends
}

// The first place that fits, by comparing with all that was placed before.
static void the_lowest_free_address_is_found(void **state)
{
    enum { N = 400, TIMES = 60 };
    static size_t first[N], last[N], begin[N], end[N];
    uint32_t seed = 1;
    (void)state;
    for (int round = 0; round < 20; round++) {
        gb_occupancy *o = gb_occupancy_create(TIMES);
        assert_non_null(o);
        for (int i = 0; i < N; i++) {
            size_t r[3], at = 0;
            for (int k = 0; k < 3; k++)
                r[k] = (seed = seed * 1664525 + 1013904223) >> 8;
            first[i] = r[0] % TIMES;
            last[i] = first[i] + r[1] % (round % 2 ? TIMES - first[i] : 3);
            last[i] = last[i] < TIMES ? last[i] : TIMES - 1;
            const size_t bytes = 64 * (1 + r[2] % 9);
            for (int k = 0; k < i; k++) {
                if (first[k] <= last[i] && last[k] >= first[i] && begin[k] < at + bytes &&
                    end[k] > at) {
                    at = end[k];
                    k = -1;
                }
            }
            begin[i] = gb_occupancy_lowest(o, first[i], last[i], bytes, SIZE_MAX);
            assert_int_equal(at, begin[i]);
            assert_true(gb_occupancy_lowest(o, first[i], last[i], bytes, at) == at);
            assert_true(at == 0 || gb_occupancy_lowest(o, first[i], last[i], bytes, at - 1) >= at);
            end[i] = at + bytes;
            assert_ok(gb_occupancy_take(o, first[i], last[i], begin[i], end[i]));
        }
        gb_occupancy_free(o);
    }
}

// n activations behind each other, or side by side and added.
static gb_graph *many(int n, bool chain)
{
    onnx_builder b;
    gb_graph *g = NULL;
    size_t size, used = 0;
    char in[32] = "x", out[32], *all = malloc((size_t)n * 10);
    onnx_init(&b, 17);
    onnx_input(&b, "x", 2, (int64_t[]){-1, 8});
    for (int i = 0; i < n; i++) {
        snprintf(out, sizeof out, "v%d", i);
        onnx_node(&b, "Sigmoid", in, out);
        used += (size_t)sprintf(all + used, "%s%s", i ? "," : "", out);
        if (chain)
            memcpy(in, out, sizeof in);
    }
    onnx_node(&b, "Sum", chain ? out : all, "y");
    onnx_output(&b, "y", 0, NULL);
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_ok(gb_onnx_decode(&g, bytes, size, "test", NULL));
    free(bytes);
    free(all);
    onnx_finish(&b);
    return g;
}

// 100,000 launches; by comparing each with each this takes minutes.
static void large_graphs_take_seconds(void **state)
{
    (void)state;
    if (getenv("GIBBON_TEST_SMALL"))
        skip();
    for (int chain = 0; chain < 2; chain++) {
        gb_graph *model = many(chain ? 50000 : 30000, chain);
        const clock_t start = clock();
        gb_session *s = make_session(model, false);
        const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        print_message("%zu launches planned in %.1f s\n", s->emit.n_launch, seconds);
        assert_true(seconds < 30);
        assert_true(s->plan.arena_bytes[0] < s->plan.naive_bytes);
        gb_session_free(s);
        gb_graph_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(residuals_are_overwritten),
        cmocka_unit_test(its_own_input_is_not_overwritten),
        cmocka_unit_test(what_is_read_later_is_not_overwritten),
        cmocka_unit_test(the_lowest_free_address_is_found),
        cmocka_unit_test(large_graphs_take_seconds),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
