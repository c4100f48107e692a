// Models that keep the images of a batch apart, and models that do not: each is told for what it
// is, and what comes of an image does not depend on the batch that it is in.
#include "support/check.h"

#include "engine/instance.h"
#include "onnx/load.h"
#include "op/evaluate.h"
#include "support/device.h"
#include "support/onnx_builder.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Statements with ; between: OUTPUTS = Op INPUT... NAME=VALUE... An input is a name, [1,2] a list
// of integers, or =2x3 made-up floats of that shape. The input is x of Nx6x4x4, the output y.
typedef struct sample {
    const char *text;
    const char *mixes; // the operator that does; NULL: none
    int64_t batch;     // 0: 3
} sample;

static const sample samples[] = {
    {"y = Softmax x axis=1"},
    {"y = LRN x size=3"},
    {"a = LayerNormalization x =4 =4; y = Flatten a"},
    {"a = Add x =6x1x1; y = Conv a =5x6x3x3 pads=1,1,1,1"},
    // attention, two heads
    {"t = Reshape x [0,6,2,8]; q = Transpose t perm=0,2,1,3; k = Transpose t perm=0,2,3,1; "
     "s = MatMul q k; p = Softmax s axis=-1; o = MatMul p q; c = Transpose o perm=0,2,1,3; "
     "y = Reshape c [0,-1]"},
    // windows of 2x2 pixels
    {"w = Reshape x [-1,6,2,2,2,2]; t = Transpose w perm=0,2,4,3,5,1; r = Reshape t [-1,4,6]; "
     "s = Softmax r axis=1; m = MatMul s =6x6; b = Reshape m [-1,2,2,2,2,6]; "
     "u = Transpose b perm=0,5,1,3,2,4; y = Reshape u [-1,6,4,4]"},
    // channels shuffled
    {"r = Reshape x [-1,2,3,4,4]; t = Transpose r perm=0,2,1,3,4; y = Reshape t [-1,6,4,4]"},
    // a normalisation of groups of channels
    {"r = Reshape x [0,2,-1]; n = InstanceNormalization r =2 =2; s = Shape x; y = Reshape n s"},
    // a class token
    {"s = Shape x; n = Gather s [0]; c = Concat n [1,4,4] axis=0; e = Expand =1x1x4x4 c; "
     "y = Concat e x axis=1"},
    // the sequence in front of the images
    {"t = Transpose x perm=1,0,2,3; r = Reshape t [6,-1,16]; m = MatMul r =16x5; "
     "y = Transpose m perm=1,0,2"},
    // with every image its mirror image: the mean of what is seen in both, and their sum
    {"f = Slice x [-1] [-9] [3] [-1]; c = Concat x f axis=0; r = ReduceMax c axes=2,3 keepdims=0; "
     "v = Reshape r [2,-1,6]; y = ReduceMean v axes=0 keepdims=0"},
    {"f = Slice x [-1] [-9] [3] [-1]; c = Concat x f axis=0; a,b = Split c axis=0; y = Add a b"},
    {"r = Reshape x [1,-1,4,4]; m = MaxPool r kernel_shape=2,2; y = Reshape m [-1,6,3,3]"},
    {"s = Shape x; w = Gather s [3]; d = Cast w to=1; y = Div x d"},
    {"s = Shape x; n = Gather s [0]; c = Concat n [1,1,1] axis=0; e = Expand =1x1x1x1 c; "
     "d = Add e e; y = Mul x d"},
    {"s = Shape x; n = Gather s [0]; c = Concat n [96] axis=0; y = Reshape x c"},
    // what a Transpose moves comes back
    {"t = Transpose x perm=3,2,1,0; a = ReduceMean t axes=0,1; u = Transpose a perm=3,2,1,0; "
     "y = Mul x u"},

    {"m = ReduceMean x; y = Sub x m", "ReduceMean"},
    {"m = ReduceMean x axes=0,2,3; y = Sub x m", "ReduceMean"},
    {"m = ReduceMax x axes=0; y = Sub x m", "ReduceMax"},
    {"m = ReduceL2 x; y = Div x m", "ReduceL2"},
    {"y = Softmax x axis=0", "Softmax"},
    {"t = Transpose x perm=1,0,2,3; s = LogSoftmax t axis=1; y = Transpose s perm=1,0,2,3",
     "LogSoftmax"},
    {"f = Flatten x; g = Gemm f f transA=1; y = MatMul f g", "Gemm"},
    {"f = Flatten x; g = Gemm f f transB=1; y = MatMul g f", "Gemm"},
    {"f = Flatten x; t = Transpose f perm=1,0; g = MatMul t f; y = MatMul f g", "MatMul"},
    {"f = ReduceMean x axes=2,3 keepdims=0; r = ReduceMax x axes=1,2,3 keepdims=0; y = Add f r",
     "Add", 6}, // Nx6 and N
    {"f = Gather x [0] axis=0; y = Sub x f", "Gather"},
    {"f = Slice x [0] [1] [0]; y = Add x f", "Slice"},
    {"y = Slice x [-1] [-9] [0] [-1]", "Slice"},
    {"r = Reshape x [1,-1]; m = ReduceMax r axes=1; y = Add x m", "ReduceMax"},
    {"r = Reshape x [-1,64]; s = Softmax r axis=1; y = Reshape s [-1,6,4,4]", "Softmax", 2},
    {"r = Reshape x [-1,18,4,4]; c = Conv r =18x18x1x1; y = Reshape c [-1,6,4,4]", "Conv"},
    {"t = Transpose x perm=1,0,2,3; c = Conv t =3x3x1x1; y = Transpose c perm=1,0,2,3", "Conv"},
    {"t = Transpose x perm=1,2,0,3; c = AveragePool t kernel_shape=3,1 pads=1,0,1,0; "
     "y = Transpose c perm=2,0,1,3", "AveragePool"},
    {"t = Transpose x perm=1,0,2,3; n = LRN t size=3; y = Transpose n perm=1,0,2,3", "LRN"},
    {"t = Transpose x perm=1,2,3,0; n = LayerNormalization t =3; y = Transpose n perm=3,0,1,2",
     "LayerNormalization"},
    {"t = Transpose x perm=1,0,2,3; n = BatchNormalization t =3 =3 =3 =3; "
     "y = Transpose n perm=1,0,2,3", "BatchNormalization"},
    {"y = BatchNormalization x =6 =6 =6 =6 training_mode=1", "BatchNormalization"},
    {"y = Add x =3x1x1x1", "Add"},
    {"s = Shape x; n = Gather s [0]; d = Cast n to=1; y = Div x d", "Div"},
    {"s = Size x; d = Cast s to=1; q = Sqrt d; y = Mul x q", "Mul"},
    {"s = Shape x; n = Gather s [0]; d = Cast n to=1; w = Mul =6x6x1x1 d; y = Conv x w", "Conv"},
    {"s = Shape x; n = Gather s [0]; d = Cast n to=1; w = Mul =4x5 d; y = MatMul x w", "MatMul"},
    {"a = Concat =1x6x4x4 x axis=0; y = Slice a [0] [-1] [0]", "Concat"},
    {"a = Pad x [1,0,0,0,0,0,0,0]; y = Slice a [0] [-1] [0]", "Pad"},
};

// --- models ---

static char *trimmed(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    for (char *end = text + strlen(text); end > text && isspace((unsigned char)end[-1]);)
        *--end = 0;
    return text;
}

static size_t numbers(int64_t *out, const char *text, char between)
{
    size_t n = 0;
    for (char *end; *text; text = *end == between ? end + 1 : end + strlen(end))
        out[n++] = strtoll(text, &end, 10);
    return n;
}

// The name of an input, made where it is a constant.
static const char *input(onnx_builder *b, char *word, int number)
{
    int64_t v[8];
    char *name = gb_arena_printf(&b->arena, "c%d", number);
    if (*word == '[') {
        word[strlen(word) - 1] = 0;
        int64_t count = (int64_t)numbers(v, word + 1, ',');
        onnx_init_i64(b, name, 1, &count, v);
        return name;
    }
    if (*word != '=')
        return word;
    int rank = (int)numbers(v, word + 1, 'x');
    int64_t count = 1;
    for (int d = 0; d < rank; d++)
        count *= v[d];
    float *data = gb_arena_array(&b->arena, (size_t)count, sizeof *data);
    for (int64_t i = 0; i < count; i++)
        data[i] = 0.5f + (float)(i * 37 % 64) / 64;
    onnx_init_f32(b, name, rank, v, data);
    return name;
}

static void attribute(onnx_builder *b, Onnx__NodeProto *node, const char *name, const char *value)
{
    static const char *const lists[] = {"perm", "axes", "pads", "kernel_shape"};
    int64_t v[8];
    size_t n = numbers(v, value, ',');
    for (size_t i = 0; i < GB_COUNT(lists); i++) {
        if (!strcmp(lists[i], name)) {
            onnx_attr_ints(b, node, name, n, v);
            return;
        }
    }
    onnx_attr_int(b, node, name, v[0]);
}

static void build(onnx_builder *b, const sample *s, int64_t channels, int64_t batch)
{
    char *rest, *inner;
    int number = 0;
    onnx_init(b, 17);
    onnx_input(b, "x", 4, (int64_t[]){batch, channels, 4, 4});
    char *text = gb_arena_strdup(&b->arena, s->text);
    for (char *line = strtok_r(text, ";", &rest); line; line = strtok_r(NULL, ";", &rest)) {
        char *equal = strstr(line, " = "), *type;
        *equal = 0;
        type = strtok_r(equal + 3, " ", &inner);
        const char *in = "", *name[8], *value[8];
        size_t attrs = 0;
        for (char *w = strtok_r(NULL, " ", &inner); w; w = strtok_r(NULL, " ", &inner)) {
            char *at = *w == '=' ? NULL : strchr(w, '=');
            if (at) {
                *at = 0;
                name[attrs] = w;
                value[attrs++] = at + 1;
            } else {
                in = gb_arena_printf(&b->arena, "%s%s%s", in, *in ? "," : "",
                                     input(b, w, number++));
            }
        }
        Onnx__NodeProto *node = onnx_node(b, type, in, trimmed(line));
        for (size_t i = 0; i < attrs; i++)
            attribute(b, node, name[i], value[i]);
    }
    onnx_output(b, "y", 0, NULL);
}

static gb_graph *model_of(const sample *s, int64_t batch)
{
    onnx_builder b;
    gb_graph *g = NULL;
    size_t size;
    build(&b, s, 6, batch);
    uint8_t *bytes = onnx_pack(&b, &size);
    assert_ok(gb_onnx_decode(&g, bytes, size, "sample", NULL));
    free(bytes);
    onnx_finish(&b);
    return g;
}

static gb_tensor *images(gb_arena *arena, int64_t first, int64_t n)
{
    gb_tensor *t = gb_tensor_create(arena, GB_F32, &(gb_shape){4, {n, 6, 4, 4}});
    for (int64_t i = 0; i < 96 * n; i++)
        ((float *)t->data)[i] = 0.2f + (float)((i + 96 * first) * 2477 % 997) / 997;
    return t;
}

// The output for images [first, first + n), by the evaluators.
static const gb_tensor *output(gb_arena *arena, gb_graph *g, int64_t first, int64_t n)
{
    gb_tensor *x = images(arena, first, n);
    assert_ok(evaluate_graph(g, &x));
    return g->out[0]->data;
}

// Whether the rows of a batch are what each image gives alone.
static bool rows_are_alone(const sample *s, gb_graph *batch, int64_t n)
{
    gb_arena arena = {0};
    const gb_tensor *together = output(&arena, batch, 0, n);
    const int64_t row = gb_shape_count(&together->shape) / n;
    bool same = true;
    for (int64_t i = 0; i < n; i++) {
        gb_graph *model = model_of(s, -1), *one;
        if (gb_graph_instantiate(&one, model, 1, NULL, 0) < 0) {
            gb_graph_free(model);
            same = false; // only whole batches have the right size
            break;
        }
        const gb_tensor *alone = output(&arena, one, i, 1);
        same = same && row == gb_shape_count(&alone->shape);
        for (int64_t e = 0; e < row && same; e++)
            same = gb_tensor_get(together, i * row + e) == gb_tensor_get(alone, e);
        gb_graph_free(one);
        gb_graph_free(model);
    }
    gb_arena_finish(&arena);
    return same;
}

static void open_batches(void **state)
{
    (void)state;
    for (size_t i = 0; i < GB_COUNT(samples); i++) {
        const sample *s = &samples[i];
        int64_t n = s->batch ? s->batch : 3;
        gb_graph *model = model_of(s, -1), *g;
        assert_ok(gb_graph_instantiate(&g, model, n, NULL, 0));
        if (!g->mixes != !s->mixes ||
            (s->mixes && strncmp(g->mixes, s->mixes, strlen(s->mixes)) != 0))
            fail_msg("%s: %s", s->text, g->mixes ? g->mixes : "does not mix");
        if (rows_are_alone(s, g, n) != !s->mixes)
            fail_msg("%s: rows are not what is said", s->text);
        gb_graph_free(g);
        gb_graph_free(model);
    }
}

// Exported for one image or for several: what mixes is refused at another batch. (What picks the
// first of one image, picks each.)
static void own_batches(void **state)
{
    (void)state;
    for (size_t i = 0; i < GB_COUNT(samples); i++) {
        const sample *s = &samples[i];
        int64_t n = s->batch ? s->batch : 3, pairs[][2] = {{1, n}, {n, 1}, {n, n}};
        for (size_t k = 0; k < GB_COUNT(pairs); k++) {
            gb_graph *model = model_of(s, pairs[k][0]), *g = NULL;
            int err = gb_graph_instantiate(&g, model, pairs[k][1], NULL, 0);
            if (err < 0 ? !s->mixes || k == 2 : s->mixes && k == 1)
                fail_msg("%s: from %lld to %lld: %s", s->text, (long long)pairs[k][0],
                         (long long)pairs[k][1], err < 0 ? gb_last_error() : "not refused");
            bool one = k < 2 || !s->mixes; // else it may count its own images, and be right
            if (err == 0 && !g->mixes && one && !rows_are_alone(s, g, pairs[k][1]))
                fail_msg("%s: from %lld to %lld: images mix", s->text, (long long)pairs[k][0],
                         (long long)pairs[k][1]);
            gb_graph_free(g);
            gb_graph_free(model);
        }
    }
}

// --- sessions ---

static void count_line(void *user, gb_log_level level, const char *line)
{
    (void)level;
    if (strstr(line, "one image at a time: "))
        ++*(int *)user;
}

static const sample mean = {"m = ReduceMean x; s = Sub x m; y = Flatten s", "ReduceMean"};

// Classifiers take one image at a time, and say so once.
static void classifiers(void **state)
{
    (void)state;
    for (int loss = 0; loss < 2; loss++) {
        for (int64_t own = -1; own < 5; own += 2) {
            gb_session *s = NULL;
            int lines = 0;
            const gb_log log = {.write = count_line, .user = &lines, .level = GB_LOG_WARN};
            gb_graph *model = model_of(&mean, own ? own : 1);
            const gb_session_options o = {.batch = 3, .log = &log, .grad = loss,
                                          .scores = loss ? GB_SCORES_RAW : GB_SCORES_FIND,
                                          .loss = loss ? GB_LOSS_CE : GB_LOSS_NONE};
            int err = gb_session_create(&s, test_device(), model, &o);
            if (own > 1) {
                assert_int_equal(GB_ERR_UNSUPPORTED, err);
                assert_non_null(strstr(gb_last_error(), "ReduceMean"));
                assert_int_equal(0, lines);
            } else {
                assert_ok(err);
                assert_int_equal(1, gb_session_batch(s));
                assert_int_equal(1, lines);
            }
            gb_session_free(s);
            gb_graph_free(model);
        }
    }
}

// An open batch with a shape for one image in it.
static void shape_for_one(void **state)
{
    const sample s = {"y = Reshape x [1,96]", NULL};
    gb_session *session = NULL;
    int lines = 0;
    const gb_log log = {.write = count_line, .user = &lines, .level = GB_LOG_WARN};
    gb_graph *model = model_of(&s, -1);
    (void)state;
    assert_err(GB_ERR_ARG, gb_session_create(&session, test_device(), model,
                                             &(gb_session_options){.batch = 3}));
    assert_ok(gb_session_create(&session, test_device(), model,
                                &(gb_session_options){.batch = 3, .scores = GB_SCORES_FIND,
                                                      .log = &log}));
    assert_int_equal(1, gb_session_batch(session));
    assert_int_equal(1, lines);
    gb_session_free(session);
    gb_graph_free(model);
}

// The same through the public API, whose log is the device's.
static void public_api(void **state)
{
    enum { N = 3, PIXELS = 3 * 4 * 4 };
    const sample s = {"m = ReduceMean x; s = Sub x m; y = Flatten s", "ReduceMean"};
    char path[] = "/tmp/gibbon-mixing-XXXXXX";
    float x[N * PIXELS], together[N * PIXELS], alone[PIXELS], adversarial[N * PIXELS];
    gb_attack_result result[N];
    gb_attack_config config;
    gb_device *dev = NULL;
    gb_model *model = NULL;
    gb_session *session = NULL;
    gb_attack *attack = NULL;
    onnx_builder b;
    int lines = 0, labels[N] = {0, 1, 2};
    const gb_log log = {.write = count_line, .user = &lines, .level = GB_LOG_WARN};
    (void)state;
    test_device();
    build(&b, &s, 3, -1);
    int file = mkstemp(path);
    assert_true(file >= 0 && close(file) == 0);
    assert_ok(onnx_save(&b, path));
    onnx_finish(&b);
    for (int i = 0; i < N * PIXELS; i++)
        x[i] = (float)(i * 37 % 101) / 101 * (float)(1 + i / PIXELS) / N;
    assert_ok(gb_device_open(&dev, getenv("GIBBON_TEST_DEVICE"), &log));
    assert_ok(gb_model_load(&model, path));
    assert_ok(gb_session_open(&session, dev, model, N));
    assert_int_equal(1, lines);
    assert_ok(gb_classify(together, session, x, N));
    for (int i = 0; i < N; i++) {
        assert_ok(gb_classify(alone, session, x + i * PIXELS, 1));
        assert_memory_equal(alone, together + i * PIXELS, sizeof alone);
    }
    assert_ok(gb_attack_default(&config, "fgsm"));
    assert_ok(gb_attack_open(&attack, dev, model, N, &config));
    assert_int_equal(2, lines);
    assert_ok(gb_attack_images(adversarial, result, attack, x, labels, N, NULL));
    for (int i = 0; i < N; i++) {
        assert_ok(gb_attack_images(alone, result, attack, x + i * PIXELS, labels + i, 1, NULL));
        assert_memory_equal(alone, adversarial + i * PIXELS, sizeof alone);
    }
    gb_attack_free(attack);
    gb_session_free(session);
    gb_model_free(model);
    gb_device_close(dev);
    unlink(path);
}

// A bare model is computed as it is, in one piece whatever is asked for.
static void bare(void **state)
{
    gb_arena arena = {0};
    gb_session *s = NULL;
    gb_graph *model = model_of(&mean, -1), *g;
    float got[4 * 96];
    (void)state;
    assert_ok(gb_graph_instantiate(&g, model, 4, NULL, 0));
    const gb_tensor *want = output(&arena, g, 0, 4), *x = images(&arena, 0, 4);
    assert_ok(gb_session_create(&s, test_device(), model,
                                &(gb_session_options){.batch = 4, .chunk = 1}));
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), x->data));
    assert_ok(gb_session_forward(s));
    assert_ok(gb_session_download(s, gb_session_output(s, 0), got));
    for (int64_t i = 0; i < 4 * 96; i++)
        if (!(fabs((double)got[i] - gb_tensor_get(want, i)) < 1e-5))
            fail_msg("element %lld is %g, not %g", (long long)i, (double)got[i],
                     gb_tensor_get(want, i));
    gb_session_free(s);
    gb_graph_free(g);
    gb_graph_free(model);
    gb_arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_batches),
        cmocka_unit_test(own_batches),
        cmocka_unit_test(classifiers),
        cmocka_unit_test(shape_for_one),
        cmocka_unit_test(public_api),
        cmocka_unit_test(bare),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
