// Parameters of a model: which initializers they are, sessions that share them, the running
// statistics that a step commits.
#include "support/device.h"

#include "engine/session.h"

#include <math.h>
#include <string.h>

enum { N = 6, C = 3, SIDE = 5, K = 4, PIXELS = SIDE * SIDE };

static gb_value *constant(gb_graph *g, const char *name, gb_shape shape, float from)
{
    gb_tensor *t = gb_tensor_create(&g->arena, GB_F32, &shape);
    assert_non_null(t);
    for (int64_t i = 0; i < gb_shape_count(&shape); i++)
        gb_tensor_set(t, i, from + 0.37 * (double)((i * 7) % 5) - 0.5);
    return gb_graph_constant(g, name, t);
}

static gb_value *node(gb_graph *g, const char *type, int n_in, gb_value *const *in)
{
    gb_node *n = gb_graph_node(g, type, type, n_in, 1, 0);
    assert_non_null(n);
    memcpy(n->in, in, (size_t)n_in * sizeof *in);
    n->opset = g->opset;
    n->out[0] = gb_graph_value(g, type);
    n->out[0]->producer = n;
    return n->out[0];
}

// A graph of nothing but its input, x.
static gb_graph *make_graph(gb_value **x)
{
    gb_graph *g = gb_graph_create();
    assert_non_null(g);
    g->opset = 17;
    *x = gb_graph_value(g, "x");
    (*x)->shape = (gb_shape){4, {-1, C, SIDE, SIDE}};
    assert_ok(gb_graph_add_input(g, *x));
    return g;
}

// BatchNormalization, Conv, Relu, a product by one number, the mean, Transpose of Gemm's weights.
static gb_graph *make_model(void)
{
    gb_value *x;
    gb_graph *g = make_graph(&x);
    const gb_shape list = {1, {C}};
    gb_value *mean = constant(g, "mean", list, 0), *var = constant(g, "var", list, 1);
    gb_value *y = node(g, "BatchNormalization", 5,
                       (gb_value *[]){x, constant(g, "scale", list, 1),
                                      constant(g, "shift", list, 0), mean, var});
    y = node(g, "Conv", 3, (gb_value *[]){y, constant(g, "w", (gb_shape){4, {K, C, 3, 3}}, 0),
                                          constant(g, "b", (gb_shape){1, {K}}, 0)});
    y = node(g, "Relu", 1, &y);
    y = node(g, "Mul", 2, (gb_value *[]){y, constant(g, "half", (gb_shape){0}, 1)});
    y = node(g, "GlobalAveragePool", 1, &y);
    y = node(g, "Flatten", 1, &y);
    gb_value *w = constant(g, "dense", (gb_shape){2, {K, K}}, 0.25f);
    y = node(g, "MatMul", 2, (gb_value *[]){y, node(g, "Transpose", 1, &w)});
    assert_ok(gb_graph_add_output(g, y));
    assert_ok(gb_graph_sort(g));
    assert_ok(gb_graph_prune(g));
    return g;
}

static gb_value *norm(gb_graph *g, gb_value *x)
{
    const gb_shape list = {1, {K}};
    return node(g, "BatchNormalization", 5,
                (gb_value *[]){x, constant(g, "scale", list, 1), constant(g, "shift", list, 0),
                               constant(g, "mean", list, 0), constant(g, "var", list, 1)});
}

// Convolutions with and without a bias, and a dense layer, a BatchNormalization behind each.
static gb_graph *make_residual(void)
{
    gb_value *x;
    gb_graph *g = make_graph(&x);
    gb_value *w = constant(g, "w", (gb_shape){4, {K, C, 3, 3}}, 0.1f);
    gb_value *b = constant(g, "b", (gb_shape){1, {K}}, 0);
    gb_value *y = norm(g, node(g, "Conv", 3, (gb_value *[]){x, w, b}));
    gb_value *first = node(g, "Relu", 1, &y);
    w = constant(g, "w2", (gb_shape){4, {K, K, 1, 1}}, 0);
    y = norm(g, node(g, "Conv", 2, (gb_value *[]){first, w}));
    y = node(g, "Add", 2, (gb_value *[]){y, first});
    y = node(g, "Relu", 1, &y);
    y = node(g, "GlobalAveragePool", 1, &y);
    y = node(g, "Flatten", 1, &y);
    y = node(g, "Gemm", 3, (gb_value *[]){y, constant(g, "dense", (gb_shape){2, {K, K}}, 0.25f),
                                          constant(g, "bias", (gb_shape){1, {K}}, 0)});
    gb_attr *attr = gb_arena_array(&g->arena, 1, sizeof *attr);
    assert_non_null(attr);
    *attr = (gb_attr){.name = "transB", .kind = GB_ATTR_INT, .i = 1};
    y->producer->attr = attr;
    y->producer->n_attr = 1;
    assert_ok(gb_graph_add_output(g, norm(g, y)));
    assert_ok(gb_graph_sort(g));
    assert_ok(gb_graph_prune(g));
    return g;
}

static const gb_param *find(const gb_params *p, const char *name)
{
    for (size_t i = 0; i < p->n_param; i++)
        if (strcmp(p->param[i].name, name) == 0)
            return &p->param[i];
    return NULL;
}

static void finds_what_trains(void **state)
{
    static const char *const trained[] = {"scale", "shift", "w", "b", "dense"};
    gb_graph *g = make_model();
    gb_params *p;
    size_t at = 0;
    (void)state;
    assert_ok(gb_params_create(&p, test_device(), g));
    assert_true(gb_params_any(g));
    assert_int_equal(p->n_param, 7);
    for (size_t i = 0; i < p->n_param; i++) { // trainable ones first, without gaps
        const bool state_of = !strcmp(p->param[i].name, "mean") || !strcmp(p->param[i].name, "var");
        assert_int_equal(p->param[i].trainable, !state_of);
        assert_int_equal(p->param[i].offset, at);
        at += p->param[i].count;
        if (i == 4)
            assert_int_equal(at, p->trainable);
    }
    assert_int_equal(at, p->total);
    for (size_t i = 0; i < GB_COUNT(trained); i++)
        assert_true(find(p, trained[i])->trainable);
    assert_null(find(p, "half"));
    float *host = malloc(p->total * sizeof *host);
    assert_ok(gb_params_download(p, host));
    const gb_param *w = find(p, "w");
    assert_true(fabsf(host[w->offset + 1] - (0.37f * 2 - 0.5f)) < 1e-6f);
    free(host);
    gb_params_free(p);
    gb_graph_free(g);
}

static float *make_input(void)
{
    float *x = malloc(sizeof *x * N * C * PIXELS);
    assert_non_null(x);
    for (int i = 0; i < N * C * PIXELS; i++)
        x[i] = sinf((float)i) + 0.3f * (float)(i / PIXELS % C);
    return x;
}

static gb_session *make_session(const gb_graph *g, const gb_params *p, bool train)
{
    gb_session *s;
    const int32_t labels[N] = {0, 1, 2, 3, 1, 2};
    float *x = make_input();
    const gb_session_options o = {.batch = N, .grad = true, .loss = GB_LOSS_CE, .params = p,
                                  .train = train};
    assert_ok(gb_session_create(&s, test_device(), g, &o));
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
    assert_ok(gb_buf_write(gb_session_labels(s), 0, labels, sizeof labels));
    free(x);
    return s;
}

static void commits_running_statistics(void **state)
{
    gb_graph *g = make_model();
    gb_params *p;
    (void)state;
    assert_ok(gb_params_create(&p, test_device(), g));
    gb_session *s = make_session(g, p, true);
    const size_t bytes = p->total * sizeof(float);
    float *before = malloc(bytes), *after = malloc(bytes), *x = make_input();
    assert_ok(gb_params_download(p, before));
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_params_download(p, after));
    assert_memory_equal(before, after, bytes);
    assert_ok(gb_session_commit(s));
    assert_ok(gb_params_download(p, after));
    assert_memory_equal(before, after, p->trainable * sizeof(float));
    for (int c = 0; c < C; c++) {
        double sum = 0, squares = 0;
        for (int i = 0; i < N * PIXELS; i++)
            sum += x[(i / PIXELS * C + c) * PIXELS + i % PIXELS];
        const double mean = sum / (N * PIXELS);
        for (int i = 0; i < N * PIXELS; i++) {
            const double d = x[(i / PIXELS * C + c) * PIXELS + i % PIXELS] - mean;
            squares += d * d;
        }
        const double var = squares / (N * PIXELS - 1); // a sample's, as PyTorch has it
        const size_t m = find(p, "mean")->offset + (size_t)c;
        const size_t v = find(p, "var")->offset + (size_t)c;
        assert_true(fabs(after[m] - (0.9 * before[m] + 0.1 * mean)) < 1e-5);
        assert_true(fabs(after[v] - (0.9 * before[v] + 0.1 * var)) < 1e-5);
    }
    free(before);
    free(after);
    free(x);
    gb_session_free(s);
    gb_params_free(p);
    gb_graph_free(g);
}

// A session over the parameters of a model answers as one whose weights are these constants.
static void follows(gb_graph *g)
{
    gb_params *p;
    float with[N * K], without[N * K], dx[N * C * PIXELS], want_dx[N * C * PIXELS];
    assert_ok(gb_params_create(&p, test_device(), g));
    gb_session *live = make_session(g, p, false);
    float *host = malloc(p->total * sizeof *host);
    assert_ok(gb_params_download(p, host));
    for (int round = 0; round < 2; round++) {
        gb_session *fixed = make_session(g, NULL, false);
        assert_ok(gb_session_gradient(live));
        assert_ok(gb_session_gradient(fixed));
        assert_ok(gb_session_download(live, gb_session_output(live, 0), with));
        assert_ok(gb_session_download(fixed, gb_session_output(fixed, 0), without));
        assert_ok(gb_session_download(live, gb_session_grad(live, 0), dx));
        assert_ok(gb_session_download(fixed, gb_session_grad(fixed, 0), want_dx));
        for (int i = 0; i < N * K; i++)
            assert_true(fabsf(with[i] - without[i]) <= 1e-5f);
        for (int i = 0; i < N * C * PIXELS; i++)
            assert_true(fabsf(dx[i] - want_dx[i]) <= 1e-5f);
        assert_null(gb_session_param_grad(live));
        gb_session_free(fixed);
        for (size_t i = 0; i < p->total; i++) // into the parameters and, of them, the constants
            host[i] *= 1.25f;
        assert_ok(gb_params_upload(p, host));
        for (size_t i = 0; i < g->n_value; i++) {
            const int k = p->of_value[i];
            if (k)
                memcpy(g->value[i]->data->data, host + p->param[k - 1].offset,
                       p->param[k - 1].count * sizeof *host);
        }
    }
    free(host);
    gb_session_free(live);
    gb_params_free(p);
    gb_graph_free(g);
}

static void sessions_follow_the_parameters(void **state)
{
    (void)state;
    follows(make_model());
}

// BatchNormalizations go into the layers before them, as constant ones do.
static void normalizations_go_into_layers(void **state)
{
    gb_graph *g = make_residual();
    gb_params *p;
    (void)state;
    assert_ok(gb_params_create(&p, test_device(), g));
    gb_session *s = make_session(g, p, false);
    char *plan = gb_session_plan_text(s);
    assert_non_null(plan);
    assert_null(strstr(plan, "batch_apply"));
    free(plan);
    gb_session_free(s);
    gb_params_free(p);
    follows(g);
}

static void refuses(void **state)
{
    gb_graph *g = make_model(), *other = make_model(), *bare = gb_graph_create();
    gb_params *p = NULL, *none = NULL;
    gb_session *s = NULL;
    (void)state;
    assert_ok(gb_params_create(&p, test_device(), g));
    assert_err(GB_ERR_ARG, gb_session_create(&s, test_device(), other,
                                             &(gb_session_options){.batch = N, .params = p}));
    gb_value *x = gb_graph_value(bare, "x");
    bare->opset = 17;
    x->shape = (gb_shape){2, {-1, K}};
    assert_ok(gb_graph_add_input(bare, x));
    assert_ok(gb_graph_add_output(bare, node(bare, "Relu", 1, &x)));
    assert_false(gb_params_any(bare));
    assert_err(GB_ERR_ARG, gb_params_create(&none, test_device(), bare));
    gb_params_free(p);
    gb_graph_free(g);
    gb_graph_free(other);
    gb_graph_free(bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_trains),
        cmocka_unit_test(commits_running_statistics),
        cmocka_unit_test(sessions_follow_the_parameters),
        cmocka_unit_test(normalizations_go_into_layers),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
