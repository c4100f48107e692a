// Losses and their gradients on the device against the formulas in double, the gradients by the
// derivative of the formulas; also where the label is all but certain, and where logits are not
// finite.
#include "support/device.h"

#include "engine/session.h"

#include <math.h>

enum { IMAGES = 5, MOST = 1000 };

// Sets *value and dz[] for one row of logits.
static void formula(gb_loss loss, const double *z, int classes, int y, double *value, double *dz)
{
    int top[3] = {-1, -1, -1}, other = -1;
    double sum = 0, others = 0;
    for (int n = 0; n < 3; n++)
        for (int i = 0; i < classes; i++)
            if (i != top[0] && i != top[1] && (top[n] < 0 || z[i] > z[top[n]]))
                top[n] = i;
    for (int i = 0; i < classes; i++)
        if (i != y && (other < 0 || z[i] > z[other]))
            other = i;
    for (int i = 0; i < classes; i++) {
        sum += exp(z[i] - z[top[0]]);
        others += i == y ? 0 : exp(z[i] - z[top[0]]);
        dz[i] = 0;
    }
    if (loss == GB_LOSS_CE) {
        *value = top[0] == y ? log1p(others) : log(sum) + z[top[0]] - z[y];
        for (int i = 0; i < classes; i++)
            dz[i] = i == y ? -others / sum : exp(z[i] - z[top[0]]) / sum;
        return;
    }
    double scale = loss == GB_LOSS_DLR ? z[top[0]] - z[top[2]] + 1e-12 : 1;
    *value = (z[other] - z[y]) / scale;
    dz[other] += 1 / scale;
    dz[y] -= 1 / scale;
    if (loss == GB_LOSS_DLR) {
        dz[top[0]] -= *value / scale;
        dz[top[2]] += *value / scale;
    }
}

// A model of one node: the logits are minus the input, whose gradient is minus theirs.
static gb_graph *negation(int classes)
{
    gb_graph *graph = gb_graph_create();
    assert_non_null(graph);
    gb_value *x = gb_graph_value(graph, "x"), *y = gb_graph_value(graph, "y");
    gb_node *node = gb_graph_node(graph, "Neg", "neg", 1, 1, 0);
    assert_non_null(node);
    x->shape = (gb_shape){2, {-1, classes}};
    node->in[0] = x;
    node->out[0] = y;
    y->producer = node;
    graph->opset = node->opset = 13;
    assert_int_equal(0, gb_graph_add_input(graph, x));
    assert_int_equal(0, gb_graph_add_output(graph, y));
    assert_int_equal(0, gb_graph_sort(graph));
    assert_int_equal(0, gb_graph_prune(graph));
    return graph;
}

// Runs the loss over IMAGES rows of logits.
static void run(gb_loss loss, int classes, const float *z, const int32_t *labels, float *losses,
                float *dz)
{
    static float x[IMAGES * MOST];
    gb_graph *graph = negation(classes);
    gb_session *s = NULL;
    gb_session_options options = {.batch = IMAGES, .grad = true, .loss = loss};
    assert_ok(gb_session_create(&s, test_device(), graph, &options));
    for (int i = 0; i < IMAGES * classes; i++)
        x[i] = -z[i];
    assert_ok(gb_session_upload(s, gb_session_input(s, 0), x));
    assert_ok(gb_buf_write(gb_session_labels(s), 0, labels, IMAGES * sizeof *labels));
    assert_ok(gb_session_gradient(s));
    assert_ok(gb_buf_read(gb_session_losses(s), 0, losses, IMAGES * sizeof *losses));
    assert_ok(gb_session_download(s, gb_session_grad(s, 0), dz));
    for (int i = 0; i < IMAGES * classes; i++)
        dz[i] = -dz[i];
    gb_session_free(s);
    gb_graph_free(graph);
}

static void check(gb_loss loss, int classes)
{
    static float z[IMAGES * MOST], dz[IMAGES * MOST];
    int32_t labels[IMAGES];
    float losses[IMAGES];
    uint32_t seed = 12345u + (uint32_t)classes;
    for (int i = 0; i < IMAGES * classes; i++) {
        seed = seed * 1664525u + 1013904223u;
        z[i] = (float)(seed >> 8) * 0x1p-24f * 8 - 4;
    }
    for (int n = 0; n < IMAGES; n++)
        labels[n] = (n * 7 + 1) % classes;
    z[4 * classes + labels[4]] = 25; // certain: the gradient of a difference would be 0
    run(loss, classes, z, labels, losses, dz);
    for (int n = 0; n < IMAGES; n++) {
        double row[MOST], want[MOST], value, error = 0, size = 0;
        for (int i = 0; i < classes; i++)
            row[i] = (double)z[n * classes + i];
        formula(loss, row, classes, labels[n], &value, want);
        for (int i = 0; i < classes; i++) {
            error += pow((double)dz[n * classes + i] - want[i], 2);
            size += pow(want[i], 2);
        }
        if (fabs((double)losses[n] - value) > 1e-6 * fabs(value) + 1e-14)
            fail_msg("loss %d of %d classes, image %d: %.9g, not %.9g", loss, classes, n,
                     (double)losses[n], value);
        // 1e-6 / size: what rounding leaves of a difference that is 0 exactly.
        if (sqrt(error) > 2e-6 * sqrt(size) + 1e-7 * (loss == GB_LOSS_DLR))
            fail_msg("loss %d of %d classes, image %d: gradient off by %.3g of %.3g", loss, classes,
                     n, sqrt(error), sqrt(size));
    }
}

static void test_formulas(void **state)
{
    (void)state;
    const int classes[] = {3, 10, 33, MOST};
    for (size_t i = 0; i < GB_COUNT(classes); i++)
        for (gb_loss loss = GB_LOSS_CE; loss <= GB_LOSS_DLR; loss++)
            check(loss, classes[i]);
}

// Logits that lie as far apart as floats do.
static void test_far(void **state)
{
    static const float scales[] = {1e-30f, 1e4f, 1e30f};
    float z[IMAGES * 5], dz[IMAGES * 5], losses[IMAGES];
    const int32_t labels[IMAGES] = {0, 1, 2, 3, 4};
    (void)state;
    for (size_t s = 0; s < GB_COUNT(scales); s++) {
        for (gb_loss loss = GB_LOSS_CE; loss <= GB_LOSS_MARGIN; loss++) {
            for (int i = 0; i < IMAGES * 5; i++)
                z[i] = scales[s] * (float)(i * 7 % 5 - 2);
            run(loss, 5, z, labels, losses, dz);
            for (int n = 0; n < IMAGES; n++) {
                double row[5], want[5], value;
                for (int i = 0; i < 5; i++)
                    row[i] = (double)z[n * 5 + i];
                formula(loss, row, 5, labels[n], &value, want);
                if (fabs((double)losses[n] - value) > 1e-6 * fabs(value))
                    fail_msg("loss %d at %g: %g, not %g", loss, (double)scales[s],
                             (double)losses[n], value);
                for (int i = 0; i < 5; i++)
                    if (fabs((double)dz[n * 5 + i] - want[i]) > 1e-6)
                        fail_msg("loss %d at %g: gradient %g, not %g", loss, (double)scales[s],
                                 (double)dz[n * 5 + i], want[i]);
            }
        }
    }
}

// A logit that is not a number makes the loss one that is none, whichever class it is.
static void test_nan(void **state)
{
    (void)state;
    float z[IMAGES * 5], dz[IMAGES * 5], losses[IMAGES];
    const int32_t labels[IMAGES] = {2, 2, 2, 2, 2};
    for (gb_loss loss = GB_LOSS_CE; loss <= GB_LOSS_DLR; loss++) {
        for (int i = 0; i < IMAGES * 5; i++)
            z[i] = i / 5 == i % 5 ? NAN : (float)(i % 5);
        run(loss, 5, z, labels, losses, dz);
        for (int n = 0; n < IMAGES; n++)
            assert_true(isnan(losses[n]));
    }
}

// DLR compares three classes. A model of one unit has two, enough for the margin.
static void test_too_few_classes(void **state)
{
    (void)state;
    const struct {
        gb_loss loss;
        int units, err;
    } cases[] = {{GB_LOSS_DLR, 1, GB_ERR_ARG}, {GB_LOSS_DLR, 2, GB_ERR_ARG}, {GB_LOSS_DLR, 3, 0},
                 {GB_LOSS_MARGIN, 1, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        gb_graph *graph = negation(cases[i].units);
        gb_session *s = NULL;
        gb_session_options options = {.batch = 1, .grad = true, .loss = cases[i].loss};
        assert_int_equal(cases[i].err, gb_session_create(&s, test_device(), graph, &options));
        assert_int_equal(cases[i].err == 0, s != NULL);
        if (s)
            assert_int_equal(cases[i].units == 1 ? 2 : cases[i].units, gb_session_classes(s));
        gb_session_free(s);
        gb_graph_free(graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_far),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_too_few_classes),
    };
    return cmocka_run_group_tests(tests, test_device_open, test_device_close);
}
