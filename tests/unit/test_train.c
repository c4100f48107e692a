// Whole runs of training against a softmax regression in double precision: every adversary, the
// optimiser, label smoothing, the order of the data, and going on from a checkpoint.
#include "train/internal.h"

#include "base/rng.h"
#include "support/device.h"
#include "support/folder.h"

#include <math.h>
#include <signal.h>
#include <sys/resource.h>

enum { COUNT = 43, H = 3, W = 4, D = H * W, K = 5, BATCH = 8, ROWS = COUNT / BATCH, EPOCHS = 3 };

static gb_dataset *ds;
static gb_graph *model;
static double w0[K][D], b0[K]; // the model's initial weights

static float noise(uint32_t i, uint32_t what)
{
    return 2 * gb_uniform(gb_philox4x32((gb_philox){{i, what, 0, 0}}, 5, 6).v[0]) - 1;
}

static void make_data(void)
{
    uint8_t images[16 + COUNT * D] = {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, H, 0, 0, 0, W};
    uint8_t labels[8 + COUNT] = {0, 0, 8, 1, 0, 0, 0, COUNT};
    for (uint32_t i = 0; i < COUNT; i++) {
        labels[8 + i] = (uint8_t)(i % K);
        for (uint32_t p = 0; p < D; p++)
            images[16 + i * D + p] = (uint8_t)(127 + 90 * noise(i * D + p, 1) +
                                               (p % K == i % K ? 30 : 0));
    }
    put_file("images", images, sizeof images);
    put_file("labels", labels, sizeof labels);
    assert_ok(gb_dataset_open(&ds, in_folder("images"), NULL));
}

static gb_value *constant(const char *name, int rank, int64_t rows, int64_t columns)
{
    const gb_shape shape = {rank, {rows, columns}};
    gb_tensor *t = gb_tensor_create(&model->arena, GB_F32, &shape);
    gb_value *v = gb_graph_constant(model, name, t);
    for (int64_t i = 0; i < gb_shape_count(&shape); i++) {
        float x = 0.5f * noise((uint32_t)i, rank == 2 ? 2 : 3);
        ((float *)t->data)[i] = x;
        *(rank == 2 ? &w0[i / D][i % D] : &b0[i]) = (double)x;
    }
    return v;
}

static void make_model(void)
{
    model = gb_graph_create();
    model->opset = 17;
    gb_value *x = gb_graph_value(model, "pixels"), *flat = gb_graph_value(model, "flat");
    gb_value *z = gb_graph_value(model, "logits");
    x->type = flat->type = z->type = GB_F32;
    x->shape = (gb_shape){4, {-1, 1, H, W}};
    gb_node *flatten = gb_graph_node(model, "Flatten", "flatten", 1, 1, 0);
    flatten->in[0] = x;
    flatten->out[0] = flat;
    gb_node *gemm = gb_graph_node(model, "Gemm", "gemm", 3, 1, 1);
    gemm->in[0] = flat;
    gemm->in[1] = constant("w", 2, K, D);
    gemm->in[2] = constant("b", 1, K, 0);
    gemm->out[0] = z;
    gemm->attr[0] = (gb_attr){.name = "transB", .kind = GB_ATTR_INT, .i = 1};
    assert_ok(gb_graph_add_input(model, x));
    assert_ok(gb_graph_add_output(model, z));
    assert_ok(gb_graph_sort(model));
}

static int set_up(void **state)
{
    if (test_folder_make() < 0 || test_device_open(state) < 0)
        return -1;
    make_data();
    make_model();
    return 0;
}

static int tear_down(void **state)
{
    gb_dataset_free(ds);
    gb_graph_free(model);
    test_device_close(state);
    return test_folder_remove();
}

// --- the same in double ---

typedef struct naive {
    double w[K][D], b[K], vw[K][D], vb[K], gw[K][D], gb[K];
    double loss;
} naive;

static void probabilities(double p[K], const double w[K][D], const double b[K], const float *x)
{
    double most = -INFINITY, sum = 0;
    for (int k = 0; k < K; k++) {
        p[k] = b[k];
        for (int i = 0; i < D; i++)
            p[k] += w[k][i] * (double)x[i];
        most = fmax(most, p[k]);
    }
    for (int k = 0; k < K; k++)
        sum += p[k] = exp(p[k] - most);
    for (int k = 0; k < K; k++)
        p[k] /= sum;
}

static void add_gradient(naive *n, const double dz[K], const float *x)
{
    for (int k = 0; k < K; k++) {
        n->gb[k] += dz[k];
        for (int i = 0; i < D; i++)
            n->gw[k][i] += dz[k] * (double)x[i];
    }
}

static void add_ce(naive *n, const float *x, int label, double weight, double smoothing)
{
    double p[K], dz[K];
    probabilities(p, n->w, n->b, x);
    for (int k = 0; k < K; k++) {
        double target = smoothing / K + (k == label ? 1 - smoothing : 0);
        n->loss -= weight * target * log(p[k]);
        dz[k] = weight * (p[k] - target);
    }
    add_gradient(n, dz, x);
}

// weight * KL(f(x) || f(y)), with gradients through both.
static void add_kl(naive *n, const float *x, const float *y, double weight)
{
    double p[K], q[K], dx[K], dy[K], kl = 0;
    probabilities(p, n->w, n->b, x);
    probabilities(q, n->w, n->b, y);
    for (int k = 0; k < K; k++)
        kl += p[k] * log(p[k] / q[k]);
    for (int k = 0; k < K; k++) {
        dx[k] = weight * p[k] * (log(p[k] / q[k]) - kl);
        dy[k] = weight * (q[k] - p[k]);
    }
    n->loss += weight * kl;
    add_gradient(n, dx, x);
    add_gradient(n, dy, y);
}

static float clip(float v, float low, float high)
{
    return fminf(fmaxf(v, low), high);
}

static void perturb(float *y, const naive *n, const float *x, int label, uint32_t id,
                    uint32_t epoch, const gb_train_config *c)
{
    const gb_adversary_config *a = &c->adversary;
    bool trades = !strcmp(a->name, "trades"), fixed = !strcmp(a->name, "static");
    bool random = trades || !strcmp(a->name, "pgd") || !strcmp(a->name, "fgsm-rs");
    const double(*w)[D] = fixed ? w0 : n->w, *b = fixed ? b0 : n->b;
    double target[K] = {0};
    memcpy(y, x, D * sizeof *y);
    target[label] = 1;
    if (trades)
        probabilities(target, w, b, x);
    for (uint32_t i = 0; i < D && random; i++) {
        gb_philox r = gb_philox4x32((gb_philox){{i >> 1, id, epoch, 0x7EA1}}, (uint32_t)c->seed,
                                    (uint32_t)(c->seed >> 32));
        double u = (double)gb_uniform(r.v[i & 1 ? 2 : 0]);
        double v = (double)gb_uniform(r.v[i & 1 ? 3 : 1]);
        double step = trades ? 0.001 * sqrt(-2 * log(u)) * cos(2 * M_PI * v)
                             : (double)a->eps * (2 * u - 1);
        y[i] = clip(y[i] + (float)step, 0, 1);
    }
    for (int s = 0; s < a->steps; s++) {
        double p[K];
        probabilities(p, w, b, y);
        for (int i = 0; i < D; i++) {
            double g = 0;
            for (int k = 0; k < K; k++)
                g += (p[k] - target[k]) * w[k][i];
            bool darker = a->compat != GB_TRAIN_COMPAT_TUTORIAL;
            float sign = g < 0 && !darker ? 0 : (float)((g > 0) - (g < 0));
            float step = clip(y[i] + a->step_size * sign - x[i], -a->eps, a->eps);
            y[i] = x[i] + step;
            if (a->compat != GB_TRAIN_COMPAT_NSL)
                y[i] = clip(y[i], 0, 1);
        }
    }
}

static void step(naive *n, const gb_batch *batch, const gb_train_config *c, double lr)
{
    const gb_adversary_config *a = &c->adversary;
    bool trades = !strcmp(a->name, "trades"), clean = trades || !isnan(a->lambda);
    memset(n->gw, 0, sizeof n->gw);
    memset(n->gb, 0, sizeof n->gb);
    for (int i = 0; i < BATCH; i++) {
        const float *x = batch->images + i * D;
        int label = batch->labels[i];
        float y[D];
        if (strcmp(a->name, "none"))
            perturb(y, n, x, label, (uint32_t)batch->item[i], (uint32_t)batch->epoch, c);
        if (clean || !strcmp(a->name, "none"))
            add_ce(n, x, label, 1.0 / BATCH, c->label_smoothing);
        if (trades)
            add_kl(n, x, y, a->beta / BATCH);
        else if (strcmp(a->name, "none"))
            add_ce(n, y, label, (clean ? a->lambda : 1) / BATCH, c->label_smoothing);
    }
    for (int k = 0; k < K; k++)
        for (int i = -1; i < D; i++) {
            double *p = i < 0 ? &n->b[k] : &n->w[k][i], *v = i < 0 ? &n->vb[k] : &n->vw[k][i];
            double g = (i < 0 ? n->gb[k] : n->gw[k][i]) + c->optim.weight_decay * *p;
            *v = c->optim.momentum * *v + g;
            *p -= lr * (g + c->optim.momentum * *v); // Nesterov's
        }
}

// --- comparing ---

static gb_train_config configure(const char *adversary)
{
    gb_train_config c = gb_train_default();
    assert_ok(gb_optim_default(&c.optim, "sgd"));
    c.optim.lr = 0.5;
    c.optim.momentum = 0.9;
    c.optim.nesterov = 1;
    c.optim.weight_decay = 0.01;
    assert_ok(gb_schedule_default(&c.schedule, "step"));
    c.schedule.lr_step = 1;
    c.schedule.lr_gamma = 0.5;
    assert_ok(gb_adversary_default(&c.adversary, adversary));
    c.adversary.eps = 0.1f;
    if (c.adversary.steps > 1)
        c.adversary.steps = 3;
    c.batch = BATCH;
    c.epochs = EPOCHS;
    c.label_smoothing = 0.1;
    c.flip = 1;
    c.crop = 1;
    c.seed = 0x123456789abcdefu;
    return c;
}

static gb_trainer *open_trainer(const gb_train_config *c, const char *checkpoint, int every)
{
    gb_trainer *t;
    const gb_train_task task = {.model = model, .data = ds, .held = ds, .checkpoint = checkpoint,
                                .checkpoint_every = every};
    assert_ok(gb_trainer_create(&t, test_device(), &task, c));
    return t;
}

static void compare(gb_train_config c, const char *what)
{
    naive n = {0};
    gb_loader *loader;
    const gb_loader_options options = {.batch = BATCH, .shuffle = true, .drop_last = true,
                                       .flip = true, .pad = 1, .seed = c.seed};
    assert_ok(gb_train_resolve(&c));
    gb_trainer *t = open_trainer(&c, NULL, 0);
    assert_ok(gb_trainer_run(t, NULL));
    size_t count;
    const gb_epoch *history = gb_trainer_history(t, &count);
    assert_int_equal(EPOCHS, count);
    memcpy(n.w, w0, sizeof w0);
    memcpy(n.b, b0, sizeof b0);
    assert_ok(gb_loader_open(&loader, ds, &options));
    for (size_t e = 0; e < EPOCHS; e++) {
        n.loss = 0;
        for (int i = 0; i < ROWS; i++) {
            const gb_batch *batch;
            assert_ok(gb_loader_next(&batch, loader));
            step(&n, batch, &c, 0.5 * pow(0.5, (double)e));
        }
        if (!(fabs(history[e].loss - n.loss / ROWS) < 2e-6 * (1 + n.loss)))
            fail_msg("%s, epoch %d: loss %.9g instead of %.9g", what, (int)e, history[e].loss,
                     n.loss / ROWS);
    }
    gb_loader_free(loader);
    const gb_params *p = gb_trainer_params(t);
    float got[K * D + K];
    assert_int_equal(K * D + K, p->total);
    assert_ok(gb_params_download(p, got));
    for (size_t i = 0; i < p->n_param; i++) {
        const double *want = p->param[i].count == K ? n.b : n.w[0];
        for (size_t k = 0; k < p->param[i].count; k++)
            if (!(fabs((double)got[p->param[i].offset + k] - want[k]) < 5e-6))
                fail_msg("%s, %s[%zu]: %.9g instead of %.9g", what, p->param[i].name, k,
                         (double)got[p->param[i].offset + k], want[k]);
    }
    gb_trainer_free(t);
}

static void test_against_naive(void **state)
{
    static const char *const adversary[] = {"none", "fgsm", "fgsm-rs", "pgd", "static"};
    (void)state;
    for (size_t i = 0; i < GB_COUNT(adversary); i++)
        compare(configure(adversary[i]), adversary[i]);
    // At its start KL is almost flat: a seed for which no sign depends on rounding.
    gb_train_config c = configure("trades");
    c.seed = 1;
    compare(c, "trades");
    c = configure("fgsm");
    c.adversary.lambda = 0.5;
    compare(c, "fgsm mixed");
    c = configure("static");
    c.adversary.compat = GB_TRAIN_COMPAT_TUTORIAL;
    compare(c, "static, as the tutorial does");
    c = configure("fgsm");
    c.adversary.compat = GB_TRAIN_COMPAT_NSL;
    compare(c, "fgsm, as Neural Structured Learning does");
}

static bool stop_at(void *user)
{
    return --*(int *)user == 0;
}

// Stopped anywhere and continued in a new trainer, the weights have the same bits.
static void test_resume(void **state)
{
    float want[K * D + K], got[K * D + K];
    const char *path = in_folder("run.ckpt");
    gb_train_config c = configure("pgd");
    size_t count;
    (void)state;
    assert_ok(gb_optim_default(&c.optim, "adam"));
    gb_trainer *t = open_trainer(&c, NULL, 0);
    assert_ok(gb_trainer_run(t, NULL));
    assert_ok(gb_params_download(gb_trainer_params(t), want));
    const gb_epoch last = gb_trainer_history(t, &count)[EPOCHS - 1];
    for (int at = 1; at < ROWS * EPOCHS; at += 3) {
        int left = at;
        const gb_train_listener listener = {.user = &left, .stop = stop_at};
        gb_trainer *first = open_trainer(&c, path, 0);
        assert_err(GB_ERR_CANCELLED, gb_trainer_run(first, &listener));
        gb_trainer_free(first);
        gb_trainer *second = open_trainer(&c, path, 2);
        assert_ok(gb_trainer_resume(second, path));
        assert_ok(gb_trainer_run(second, NULL));
        assert_ok(gb_params_download(gb_trainer_params(second), got));
        assert_memory_equal(want, got, sizeof want);
        const gb_epoch *history = gb_trainer_history(second, &count);
        assert_int_equal(EPOCHS, count);
        assert_true(history[EPOCHS - 1].loss == last.loss);
        assert_true(history[EPOCHS - 1].held_accuracy == last.held_accuracy);
        assert_true(history[EPOCHS - 1].pgd_accuracy == last.pgd_accuracy);
        gb_trainer_free(second);
    }
    gb_trainer_free(t);
}

static void warned(void *user, gb_log_level level, const char *line)
{
    int *count = user;
    assert_int_equal(GB_LOG_WARN, level);
    assert_non_null(strstr(line, "File too large; training goes on"));
    ++*count;
}

static void keep_line(void *user, gb_log_level level, const char *line)
{
    assert_int_equal(GB_LOG_WARN, level);
    snprintf(user, 256, "%s", line);
}

// The warning of catastrophic overfitting comes where PGD breaks what FGSM leaves, only there.
static void test_overfitting(void **state)
{
    static const struct {
        double fgsm, pgd;
        bool told;
    } cases[] = {{0.8, 0.0, true},   {0.8, 0.39, true},  {0.3, 0.1, true},  {0.8, 0.41, false},
                 {0.8, 0.8, false},  {0.29, 0.0, false}, {0.0, 0.0, false}, {NAN, NAN, false},
                 {0.5, NAN, false}};
    char line[256];
    const gb_log log = {keep_line, line, GB_LOG_WARN};
    (void)state;
    for (size_t i = 0; i < GB_COUNT(cases); i++) {
        const gb_epoch e = {.fgsm_accuracy = cases[i].fgsm, .pgd_accuracy = cases[i].pgd};
        line[0] = 0;
        assert_int_equal(cases[i].told, gb_train_watch(&log, 4, &e));
        assert_int_equal(cases[i].told, line[0] != 0);
    }
    gb_train_watch(&log, 4, &(gb_epoch){.fgsm_accuracy = 0.75, .pgd_accuracy = 0.125});
    assert_string_equal("epoch 5: catastrophic overfitting: 75.0 % of held images withstand FGSM, "
                        "but only 12.5 % PGD; train with pgd, or a smaller eps or lr", line);
}

static void no_more_room(void *user, const gb_epoch *history, size_t count)
{
    const struct rlimit tiny = {100, RLIM_INFINITY};
    (void)user;
    (void)history;
    if (count == 1)
        assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &tiny));
}

// A disk that is full from the second epoch on: the first one's checkpoint stays, and training is
// not disturbed.
static void test_full_disk(void **state)
{
    const char *path = in_folder("full.ckpt");
    const struct rlimit plenty = {RLIM_INFINITY, RLIM_INFINITY};
    const gb_train_listener listener = {.epoch = no_more_room};
    const gb_train_config c = configure("none");
    gb_checkpoint left;
    gb_trainer *t;
    size_t count;
    int warnings = 0;
    const gb_log log = {warned, &warnings, GB_LOG_WARN};
    const gb_train_task task = {.model = model, .data = ds, .held = ds, .checkpoint = path,
                                .log = &log};
    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_ok(gb_trainer_create(&t, test_device(), &task, &c));
    int err = gb_trainer_run(t, &listener);
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &plenty));
    assert_ok(err);
    assert_int_equal(EPOCHS - 1, warnings);
    gb_trainer_history(t, &count);
    assert_int_equal(EPOCHS, count);
    gb_trainer_free(t);
    assert_ok(gb_checkpoint_read(&left, path));
    assert_int_equal(1, left.epoch);
    gb_checkpoint_finish(&left);
    t = open_trainer(&c, path, 0);
    assert_ok(gb_trainer_resume(t, path));
    gb_trainer_free(t);
}

static void test_wrong(void **state)
{
    gb_train_config c = configure("none");
    const gb_train_task task = {.model = model, .data = ds};
    gb_trainer *t;
    (void)state;
    c.batch = COUNT + 1;
    assert_err(GB_ERR_ARG, gb_trainer_create(&t, test_device(), &task, &c));
    assert_non_null(strstr(gb_last_error(), "43 images, fewer than a batch of 44"));
    c = configure("none");
    c.label_smoothing = 1.5;
    assert_err(GB_ERR_ARG, gb_trainer_create(&t, test_device(), &task, &c));
    c = configure("none");
    c.optim.lr = 1e6; // explodes
    c.optim.weight_decay = 1e3;
    c.epochs = 50;
    assert_ok(gb_trainer_create(&t, test_device(), &task, &c));
    assert_err(GB_ERR_NUMERIC, gb_trainer_run(t, NULL));
    assert_non_null(strstr(gb_last_error(), "NaN or infinite; try a smaller lr"));
    gb_trainer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_naive),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_overfitting),
        cmocka_unit_test(test_wrong),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
