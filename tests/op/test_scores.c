// Scores of classifiers that end in many ways: probabilities are those that the model itself gives,
// whatever stands between its logits and its output, and gradients do not vanish where the model is
// sure.
#include "support/device.h"

#include "engine/session.h"
#include "op/op.h"

#include <math.h>
#include <string.h>

enum { N = 4, D = 6, K = 5 };

static const int64_t one_axis[] = {1};

typedef struct build {
    gb_graph *g;
    gb_value *x, *logits;
} build;

static gb_value *tensor(build *b, gb_dtype type, int rank, const int64_t *dims, const double *v)
{
    gb_shape shape = {.rank = rank};
    for (int d = 0; d < rank; d++)
        shape.dim[d] = dims[d];
    gb_tensor *t = gb_tensor_create(&b->g->arena, type, &shape);
    assert_non_null(t);
    for (int64_t i = 0; i < gb_shape_count(&shape); i++)
        gb_tensor_set(t, i, v[i]);
    return gb_graph_constant(b->g, "c", t);
}

static gb_value *number(build *b, double v)
{
    return tensor(b, GB_F32, 0, NULL, &v);
}

static gb_value *list(build *b, int n, const double *v)
{
    return tensor(b, GB_I64, 1, (int64_t[]){n}, v);
}

#define LIST(b, ...) \
    list(b, (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)), (double[]){__VA_ARGS__})

static gb_node *node(build *b, const char *type, int n_in, gb_value *p, gb_value *q, gb_value *r)
{
    gb_value *in[] = {p, q, r};
    gb_node *n = gb_graph_node(b->g, type, "", n_in, 1, 1);
    assert_non_null(n);
    memcpy(n->in, in, (size_t)n_in * sizeof(gb_value *));
    n->n_attr = 0;
    n->out[0] = gb_graph_value(b->g, type);
    n->out[0]->producer = n;
    return n;
}

static gb_value *op1(build *b, const char *type, gb_value *p)
{
    return node(b, type, 1, p, NULL, NULL)->out[0];
}

static gb_value *op2(build *b, const char *type, gb_value *p, gb_value *q)
{
    return node(b, type, 2, p, q, NULL)->out[0];
}

static gb_value *axis(build *b, const char *type, gb_value *p, int64_t v)
{
    gb_node *n = node(b, type, 1, p, NULL, NULL);
    n->attr[n->n_attr++] = (gb_attr){.name = "axis", .kind = GB_ATTR_INT, .i = v};
    return n->out[0];
}

static gb_value *join(build *b, gb_value *p, gb_value *q, int64_t v)
{
    gb_node *n = node(b, "Concat", 2, p, q, NULL);
    n->attr[n->n_attr++] = (gb_attr){.name = "axis", .kind = GB_ATTR_INT, .i = v};
    return n->out[0];
}

static gb_value *turn(build *b, gb_value *p, const int64_t *perm, size_t rank)
{
    gb_node *n = node(b, "Transpose", 1, p, NULL, NULL);
    n->attr[n->n_attr++] =
        (gb_attr){.name = "perm", .kind = GB_ATTR_INTS, .count = rank, .ints = perm};
    return n->out[0];
}

static gb_value *cut(build *b, gb_value *p, double first, double end)
{
    gb_node *n = gb_graph_node(b->g, "Slice", "", 4, 1, 0);
    n->in[0] = p;
    n->in[1] = LIST(b, first);
    n->in[2] = LIST(b, end);
    n->in[3] = LIST(b, 1);
    n->out[0] = gb_graph_value(b->g, "cut");
    n->out[0]->producer = n;
    return n->out[0];
}

static gb_value *softmax(build *b, gb_value *z)
{
    return axis(b, "Softmax", z, 1);
}

// A second head of the same input.
static gb_value *other_logits(build *b)
{
    double w[D * K];
    for (int i = 0; i < D * K; i++)
        w[i] = cos(3.0 * i);
    return op2(b, "MatMul", b->x, tensor(b, GB_F32, 2, (int64_t[]){D, K}, w));
}

static gb_value *in_parts(build *b, bool less_maximum, bool reciprocal)
{
    gb_value *z = b->logits;
    if (less_maximum) {
        gb_node *most = node(b, "ReduceMax", 1, z, NULL, NULL);
        most->attr[most->n_attr++] = (gb_attr){.name = "axes", .kind = GB_ATTR_INTS, .count = 1,
                                               .ints = one_axis};
        z = op2(b, "Sub", z, most->out[0]);
    }
    gb_value *e = op1(b, "Exp", z), *sum = op2(b, "ReduceSum", e, LIST(b, 1));
    return reciprocal ? op2(b, "Mul", e, op1(b, "Reciprocal", sum)) : op2(b, "Div", e, sum);
}

static gb_value *sigmoid_in_parts(build *b, gb_value *z)
{
    gb_value *e = op1(b, "Exp", op1(b, "Neg", z));
    return op2(b, "Div", number(b, 1), op2(b, "Add", e, number(b, 1)));
}

static gb_value *one(build *b)
{
    return cut(b, b->logits, 0, 1);
}

// --- the tails ---

static gb_value *plain(build *b) { return b->logits; }
static gb_value *bare(build *b) { return softmax(b, b->logits); }
static gb_value *renamed(build *b) { return op1(b, "Identity", softmax(b, b->logits)); }

static gb_value *clipped(build *b)
{
    return node(b, "Clip", 3, softmax(b, b->logits), number(b, 1e-7), number(b, 1 - 1e-7))->out[0];
}

static gb_value *padded(build *b) { return op2(b, "Add", softmax(b, b->logits), number(b, 1e-8)); }

static gb_value *percent(build *b) { return op2(b, "Mul", softmax(b, b->logits), number(b, 100)); }

static gb_value *reshaped(build *b)
{
    gb_value *p = softmax(b, op2(b, "Reshape", b->logits, LIST(b, -1, K, 1, 1)));
    return op2(b, "Reshape", op1(b, "Identity", p), LIST(b, -1, K));
}

static gb_value *four_axes(build *b)
{
    return softmax(b, op2(b, "Reshape", b->logits, LIST(b, -1, K, 1, 1)));
}

static gb_value *turned(build *b)
{
    static const int64_t swap[] = {1, 0};
    return turn(b, turn(b, softmax(b, b->logits), swap, 2), swap, 2);
}

static gb_value *sliced(build *b) { return cut(b, softmax(b, b->logits), 1, K); }

static gb_value *gathered(build *b)
{
    gb_node *n = node(b, "Gather", 2, softmax(b, b->logits), LIST(b, 3, 0, 2), NULL);
    n->attr[n->n_attr++] = (gb_attr){.name = "axis", .kind = GB_ATTR_INT, .i = 1};
    return n->out[0];
}

static gb_value *split(build *b)
{
    gb_node *n = gb_graph_node(b->g, "Split", "", 2, 2, 1);
    n->in[0] = softmax(b, b->logits);
    n->in[1] = LIST(b, 2, K - 2);
    n->attr[0] = (gb_attr){.name = "axis", .kind = GB_ATTR_INT, .i = 1};
    for (int i = 0; i < 2; i++) {
        n->out[i] = gb_graph_value(b->g, "part");
        n->out[i]->producer = n;
    }
    return n->out[1];
}

static gb_value *parts(build *b) { return in_parts(b, false, false); }
static gb_value *parts_sliced(build *b) { return cut(b, in_parts(b, true, false), 1, K); }
static gb_value *parts_less_maximum(build *b) { return in_parts(b, true, false); }
static gb_value *parts_reciprocal(build *b) { return in_parts(b, true, true); }
static gb_value *parts_exp(build *b) { return op1(b, "Exp", axis(b, "LogSoftmax", b->logits, 1)); }
static gb_value *parts_exp_sliced(build *b) { return cut(b, parts_exp(b), 0, 3); }
static gb_value *log_softmax(build *b) { return axis(b, "LogSoftmax", b->logits, 1); }
static gb_value *log_of_softmax(build *b) { return op1(b, "Log", padded(b)); }
static gb_value *log_sliced(build *b) { return cut(b, log_softmax(b), 0, 3); }

static gb_value *mean(build *b)
{
    gb_value *sum = op2(b, "Add", softmax(b, b->logits), softmax(b, other_logits(b)));
    return op2(b, "Div", sum, number(b, 2));
}

static gb_value *weighted(build *b)
{
    return op2(b, "Add", op2(b, "Mul", softmax(b, b->logits), number(b, 0.7)),
               op2(b, "Mul", softmax(b, other_logits(b)), number(b, 0.3)));
}

static gb_value *stacked(build *b)
{
    gb_value *p = op2(b, "Unsqueeze", softmax(b, b->logits), LIST(b, 1));
    gb_value *q = op2(b, "Unsqueeze", softmax(b, other_logits(b)), LIST(b, 1));
    gb_node *n = node(b, "ReduceMean", 1, join(b, p, q, 1), NULL, NULL);
    n->attr = gb_arena_array(&b->g->arena, 2, sizeof *n->attr);
    n->n_attr = 2;
    n->attr[0] = (gb_attr){.name = "axes", .kind = GB_ATTR_INTS, .count = 1,
                           .ints = one_axis};
    n->attr[1] = (gb_attr){.name = "keepdims", .kind = GB_ATTR_INT, .i = 0};
    return n->out[0];
}

// Five classes into three, as ImageNet's into coarse ones.
static gb_value *coarse(build *b)
{
    const double w[K * 3] = {1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0.25, 0.75};
    return op2(b, "MatMul", softmax(b, b->logits), tensor(b, GB_F32, 2, (int64_t[]){K, 3}, w));
}

// Structure does not tell: exp(z) over its sum, the sum by a product with ones.
static gb_value *odd(build *b)
{
    const double ones[K] = {1, 1, 1, 1, 1};
    gb_value *e = op1(b, "Exp", b->logits);
    return op2(b, "Div", e, op2(b, "MatMul", e, tensor(b, GB_F32, 2, (int64_t[]){K, 1}, ones)));
}

// Of a weight that the picture decides.
static gb_value *gated(build *b)
{
    gb_value *w = op1(b, "Sigmoid", one(b)), *rest = op2(b, "Sub", number(b, 1), w);
    return op2(b, "Add", op2(b, "Mul", softmax(b, b->logits), w),
               op2(b, "Mul", softmax(b, other_logits(b)), rest));
}

static gb_value *sigmoids(build *b) { return op1(b, "Sigmoid", b->logits); }
static gb_value *sigmoids_renamed(build *b) { return op1(b, "Identity", sigmoids(b)); }
static gb_value *sigmoids_parts(build *b) { return sigmoid_in_parts(b, b->logits); }
static gb_value *hard_sigmoids(build *b) { return op1(b, "HardSigmoid", b->logits); }
static gb_value *binary_logit(build *b) { return one(b); }
static gb_value *binary_sigmoid(build *b) { return op1(b, "Sigmoid", one(b)); }

static gb_value *binary_flat(build *b)
{
    return op2(b, "Reshape", op1(b, "Sigmoid", one(b)), LIST(b, -1));
}

static gb_value *binary_softmax(build *b)
{
    return cut(b, softmax(b, cut(b, b->logits, 0, 2)), 1, 2);
}

// (1 + tanh(z / 2)) / 2: only what it gives for noise shows that it is a probability.
static gb_value *binary_odd(build *b)
{
    gb_value *t = op1(b, "Tanh", op2(b, "Mul", one(b), number(b, 0.5)));
    return op2(b, "Mul", op2(b, "Add", t, number(b, 1)), number(b, 0.5));
}

static gb_value *pair(build *b)
{
    gb_value *p = op1(b, "Sigmoid", one(b));
    return join(b, op2(b, "Sub", number(b, 1), p), p, 1);
}

static gb_value *pair_swapped(build *b)
{
    gb_value *p = op1(b, "Sigmoid", one(b));
    return join(b, p, op2(b, "Sub", number(b, 1), p), 1);
}

// Logits, whatever they look like.
static gb_value *twice(build *b) { return softmax(b, softmax(b, b->logits)); }
static gb_value *rectified(build *b) { return op1(b, "Relu", b->logits); }

static gb_value *cosine(build *b)
{
    gb_node *norm = node(b, "ReduceL2", 1, b->logits, NULL, NULL);
    norm->attr[norm->n_attr++] = (gb_attr){.name = "axes", .kind = GB_ATTR_INTS, .count = 1,
                                           .ints = one_axis};
    return op2(b, "Div", b->logits, norm->out[0]);
}

typedef enum meaning {
    LOGITS, PROBABILITIES, PERCENT, LOGS, SIGMOIDS, BINARY_LOGIT, BINARY_PROBABILITY
} meaning;

static const struct tail {
    const char *name;
    gb_value *(*make)(build *b);
    meaning meaning;
    bool same; // as the bare logits: their gradients
} tails[] = {
    {"logits", plain, LOGITS, true},
    {"Softmax", bare, PROBABILITIES, true},
    {"Softmax, Identity", renamed, PROBABILITIES, true},
    {"Softmax, Clip", clipped, PROBABILITIES, true},
    {"Softmax, Add of a tiny number", padded, PROBABILITIES, true},
    {"Softmax in per cent", percent, PERCENT, true},
    {"Softmax between Reshapes", reshaped, PROBABILITIES, true},
    {"Softmax of N,K,1,1", four_axes, PROBABILITIES, true},
    {"Softmax, two Transposes", turned, PROBABILITIES, true},
    {"Softmax, Slice", sliced, PROBABILITIES, false},
    {"Softmax, Gather", gathered, PROBABILITIES, false},
    {"Softmax, Split", split, PROBABILITIES, false},
    {"softmax in parts", parts, PROBABILITIES, true},
    {"softmax in parts, less its maximum", parts_less_maximum, PROBABILITIES, true},
    {"softmax in parts, by a reciprocal", parts_reciprocal, PROBABILITIES, true},
    {"Exp of a LogSoftmax", parts_exp, PROBABILITIES, true},
    {"softmax in parts, Slice", parts_sliced, PROBABILITIES, false},
    {"Exp of a LogSoftmax, Slice", parts_exp_sliced, PROBABILITIES, false},
    {"LogSoftmax", log_softmax, LOGS, true},
    {"Log of a Softmax", log_of_softmax, LOGS, true},
    {"LogSoftmax, Slice", log_sliced, LOGS, false},
    {"mean of two softmaxes", mean, PROBABILITIES, false},
    {"weighted mean of two softmaxes", weighted, PROBABILITIES, false},
    {"mean of stacked softmaxes", stacked, PROBABILITIES, false},
    {"coarse classes", coarse, PROBABILITIES, false},
    {"probabilities that only noise shows", odd, PROBABILITIES, false},
    {"gated mean of two softmaxes", gated, PROBABILITIES, false},
    {"Sigmoid", sigmoids, SIGMOIDS, true},
    {"Sigmoid, Identity", sigmoids_renamed, SIGMOIDS, true},
    {"sigmoid in parts", sigmoids_parts, SIGMOIDS, true},
    {"HardSigmoid", hard_sigmoids, SIGMOIDS, false},
    {"one logit", binary_logit, BINARY_LOGIT, false},
    {"one sigmoid", binary_sigmoid, BINARY_PROBABILITY, false},
    {"one sigmoid without an axis of classes", binary_flat, BINARY_PROBABILITY, false},
    {"one of a softmax of two", binary_softmax, BINARY_PROBABILITY, false},
    {"one probability that only noise shows", binary_odd, BINARY_PROBABILITY, false},
    {"1 - p and p", pair, PROBABILITIES, false},
    {"p and 1 - p", pair_swapped, PROBABILITIES, false},
    {"Softmax of a Softmax", twice, PROBABILITIES, false},
    {"logits after Relu", rectified, LOGITS, false},
    {"cosines", cosine, LOGITS, false},
};

static gb_graph *model(const struct tail *tail, double scale)
{
    build b = {gb_graph_create(), NULL, NULL};
    double w[D * K];
    assert_non_null(b.g);
    b.g->opset = 13;
    b.x = gb_graph_value(b.g, "x");
    b.x->shape = (gb_shape){.rank = 2, .dim = {-1, D}};
    assert_ok(gb_graph_add_input(b.g, b.x));
    for (int i = 0; i < D * K; i++)
        w[i] = scale * sin(7.0 * i);
    b.logits = op2(&b, "MatMul", b.x, tensor(&b, GB_F32, 2, (int64_t[]){D, K}, w));
    assert_ok(gb_graph_add_output(b.g, tail->make(&b)));
    assert_ok(gb_graph_sort(b.g));
    assert_ok(gb_graph_prune(b.g));
    return b.g;
}

static void pictures(float *x)
{
    for (int i = 0; i < N * D; i++)
        x[i] = (float)((i * 37) % 23) / 23;
}

static size_t forward(float *out, gb_head *head, const gb_graph *g, gb_scores scores)
{
    gb_session *s = NULL;
    float x[N * D];
    const gb_session_options o = {.batch = N, .scores = scores};
    pictures(x);
    if (gb_session_create(&s, test_device(), g, &o) < 0)
        fail_msg("%s", gb_last_error());
    size_t classes = (size_t)gb_session_classes(s);
    assert_true(classes <= K);
    assert_ok(gb_session_logits(s, out, x, N));
    *head = *gb_session_head(s);
    gb_session_free(s);
    return classes;
}

// The probabilities that a row of the model's own output means.
static size_t meant(double *p, const float *y, size_t classes, meaning m)
{
    double sum = 0;
    if (m == BINARY_LOGIT || m == BINARY_PROBABILITY) {
        p[1] = m == BINARY_LOGIT ? 1 / (1 + exp(-(double)y[0])) : (double)y[0];
        p[0] = 1 - p[1];
        return 2;
    }
    for (size_t k = 0; k < classes; k++) {
        double v = (double)y[k];
        p[k] = m == LOGITS || m == LOGS ? exp(v) : m == PERCENT ? v / 100 : v;
        sum += p[k];
    }
    for (size_t k = 0; k < classes && m == LOGITS; k++)
        p[k] /= sum;
    return classes;
}

static void probabilities_are_the_models_own(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        gb_graph *g = model(&tails[i], 1);
        float raw[N * K], row[N * K];
        gb_head head;
        size_t n = forward(raw, &head, g, GB_SCORES_RAW);
        size_t classes = forward(row, &head, g, GB_SCORES_FIND);
        for (size_t k = 0; k < N; k++) {
            double p[K];
            assert_int_equal(classes, meant(p, raw + k * n, n, tails[i].meaning));
            gb_probabilities(row + k * classes, classes, head.kind);
            for (size_t c = 0; c < classes; c++)
                if (!(fabs(p[c] - (double)row[k * classes + c]) < 2e-6))
                    fail_msg("%s: picture %zu, class %zu: %.7f, the model says %.7f", tails[i].name,
                             k, c, (double)row[k * classes + c], p[c]);
        }
        assert_false(head.unsure && (tails[i].make == odd || tails[i].make == binary_odd));
        gb_graph_free(g);
    }
}

static void gradient(float *out, const gb_graph *g, const int32_t *labels)
{
    gb_session *s = NULL;
    float x[N * D];
    const gb_session_options o = {.batch = N, .grad = true, .loss = GB_LOSS_CE};
    pictures(x);
    if (gb_session_create(&s, test_device(), g, &o) < 0)
        fail_msg("%s", gb_last_error());
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
    assert_ok(gb_buf_write(gb_session_labels(s), 0, labels, N * sizeof *labels));
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), out));
    gb_session_free(s);
}

// Where the model is sure, a softmax's output is 1 and 0 to the last bit, and another softmax after
// it would leave no gradient or a wrong one.
static void gradients_are_those_of_the_logits(void **state)
{
    (void)state;
    int32_t labels[N];
    float want[N * D], got[N * D], rows[N * K];
    for (int sure = 0; sure < 2; sure++) {
        const double scale = sure ? 12 : 1;
        gb_graph *g = model(&tails[0], scale);
        gb_head head;
        forward(rows, &head, g, GB_SCORES_FIND);
        for (int k = 0; k < N; k++)
            labels[k] = gb_argmax(rows + k * K, K);
        gradient(want, g, labels);
        gb_graph_free(g);
        for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
            if (!tails[i].same)
                continue;
            g = model(&tails[i], scale);
            gradient(got, g, labels);
            for (int k = 0; k < N; k++) {
                double most = 0, off = 0;
                for (int d = 0; d < D; d++) {
                    most = fmax(most, fabs((double)want[k * D + d]));
                    off = fmax(off, fabs((double)want[k * D + d] - (double)got[k * D + d]));
                }
                if (!(most > 0 && off < 1e-5 * most))
                    fail_msg("%s, scale %g, picture %d: off by %g of %g", tails[i].name, scale, k,
                             off, most);
            }
            gb_graph_free(g);
        }
    }
}

// Mixtures and parts of softmaxes have gradients of their own: by differences of their loss.
static void other_gradients_are_those_of_the_log_probabilities(void **state)
{
    (void)state;
    const int32_t labels[N] = {0, 1, 0, 1};
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        gb_session *s = NULL;
        float x[N * D], got[N * D], loss[2][N];
        const gb_session_options o = {.batch = N, .grad = true, .loss = GB_LOSS_CE};
        if (tails[i].same)
            continue;
        gb_graph *g = model(&tails[i], 1);
        gradient(got, g, labels);
        assert_ok(gb_session_create(&s, test_device(), g, &o));
        assert_ok(gb_buf_write(gb_session_labels(s), 0, labels, N * sizeof *labels));
        for (int d = 0; d < D; d++) {
            const float h = 4e-3f;
            for (int side = 0; side < 2; side++) {
                pictures(x);
                for (int k = 0; k < N; k++)
                    x[k * D + d] += side ? h : -h;
                assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
                assert_ok(gb_session_forward(s));
                assert_ok(gb_buf_read(gb_session_losses(s), 0, loss[side], sizeof loss[side]));
            }
            for (int k = 0; k < N; k++) {
                double slope = ((double)loss[1][k] - (double)loss[0][k]) / (2 * (double)h);
                if (!(fabs(slope - (double)got[k * D + d]) < 2e-3))
                    fail_msg("%s: picture %d, pixel %d: gradient %g, differences say %g",
                             tails[i].name, k, d, (double)got[k * D + d], slope);
            }
        }
        gb_session_free(s);
        gb_graph_free(g);
    }
}

// --- shapes ---

static gb_value *grid(build *b)
{
    return op2(b, "Reshape", b->logits, LIST(b, -1, K, 1));
}

static gb_value *map(build *b)
{
    gb_value *two = join(b, b->logits, other_logits(b), 1);
    return op2(b, "Reshape", two, LIST(b, -1, 2, K));
}

static void maps_are_refused_until_an_axis_is_named(void **state)
{
    const struct tail column = {"N,K,1", grid, LOGITS, false}, two = {"N,2,K", map, LOGITS, false};
    float x[N * D], rows[N * K];
    gb_session *s = NULL;
    gb_head head;
    (void)state;
    gb_graph *g = model(&column, 1);
    assert_int_equal(K, forward(rows, &head, g, GB_SCORES_FIND));
    gb_graph_free(g);
    g = model(&two, 1);
    gb_session_options o = {.batch = N, .scores = GB_SCORES_FIND};
    assert_err(GB_ERR_UNSUPPORTED, gb_session_create(&s, test_device(), g, &o));
    assert_non_null(strstr(gb_last_error(), "--classes"));
    o.class_axis = 3;
    assert_err(GB_ERR_ARG, gb_session_create(&s, test_device(), g, &o));
    o.class_axis = 2;
    assert_ok(gb_session_create(&s, test_device(), g, &o));
    assert_int_equal(K, gb_session_classes(s));
    pictures(x);
    assert_ok(gb_session_logits(s, rows, x, N));
    for (int k = 0; k < N; k++)
        for (int c = 0; c < K; c++) { // the mean of both heads
            double z = 0;
            for (int d = 0; d < D; d++)
                z += (double)x[k * D + d] * (sin(7.0 * (d * K + c)) + cos(3.0 * (d * K + c))) / 2;
            assert_float_equal((float)z, rows[k * K + c], 1e-5f);
        }
    gb_session_free(s);
    gb_graph_free(g);
}

static gb_value *alone(build *b) { return softmax(b, one(b)); }

static void a_softmax_of_one_number_is_refused(void **state)
{
    const struct tail always_one = {"softmax of one number", alone, PROBABILITIES, false};
    const gb_session_options o = {.batch = N, .scores = GB_SCORES_FIND};
    gb_session *s = NULL;
    (void)state;
    gb_graph *g = model(&always_one, 1);
    assert_err(GB_ERR_UNSUPPORTED, gb_session_create(&s, test_device(), g, &o));
    assert_null(s);
    gb_graph_free(g);
}

// What the user says stands above what the graph tells.
static void the_users_word_decides(void **state)
{
    float raw[N * K], row[N * K];
    gb_head head;
    (void)state;
    gb_graph *g = model(&tails[1], 1); // a bare Softmax, taken for logits
    forward(raw, &head, g, GB_SCORES_RAW);
    forward(row, &head, g, GB_SCORES_LOGITS);
    assert_memory_equal(raw, row, sizeof raw);
    assert_int_equal(GB_SCORES_LOGITS, head.kind);
    forward(row, &head, g, GB_SCORES_PROBABILITIES);
    gb_probabilities(row, K, head.kind);
    for (int c = 0; c < K; c++)
        assert_float_equal(raw[c], row[c], 2e-6f);
    gb_graph_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probabilities_are_the_models_own),
        cmocka_unit_test(gradients_are_those_of_the_logits),
        cmocka_unit_test(other_gradients_are_those_of_the_log_probabilities),
        cmocka_unit_test(maps_are_refused_until_an_axis_is_named),
        cmocka_unit_test(a_softmax_of_one_number_is_refused),
        cmocka_unit_test(the_users_word_decides),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
