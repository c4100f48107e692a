// A session for tests of attacks alone: a made-up model of known gradient that runs on the host, in
// place of the engine's functions of the same names.
#ifndef GB_TEST_ATTACK_TOY_H
#define GB_TEST_ATTACK_TOY_H

#include "support/device.h"

#include "attack/attack.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { C = 3, H = 7, W = 13, D = C * H * W, K = 5 };

struct gb_session {
    gb_device *dev;
    int64_t batch;
    gb_io in, out, grad;
    gb_buf *labels, *losses;
};

static int n_gradients;
static size_t too_big;    // batches from here on do not fit
static bool flat, broken; // a model without gradient; one that yields NaN for bright images

static double weight(int k, int i, int what)
{
    gb_philox p = gb_philox4x32((gb_philox){{(uint32_t)k, (uint32_t)i, (uint32_t)what, 9}}, 3, 4);
    return 2 * (double)gb_uniform(p.v[0]) - 1;
}

// z_k = sum_i w_ki x_i + q_ki x_i^2 and its cross-entropy. x, grad: (C,H,W); NULL grad: none.
static void model(float *logits, float *loss, float *grad, const float *x, int label)
{
    static double w[K][D], q[K][D];
    double z[K] = {0}, most = -INFINITY, sum = 0;
    if (w[0][0] == 0) {
        for (int k = 0; k < K; k++)
            for (int i = 0; i < D; i++) {
                w[k][i] = weight(k, i, 0);
                q[k][i] = weight(k, i, 1);
            }
    }
    for (int k = 0; k < K; k++) {
        for (int i = 0; i < D; i++)
            z[k] += w[k][i] * (double)x[i] + q[k][i] * (double)x[i] * (double)x[i];
        if (flat)
            z[k] = k;
        most = fmax(most, z[k]);
    }
    for (int k = 0; k < K; k++)
        sum += exp(z[k] - most);
    for (int k = 0; k < K; k++)
        logits[k] = broken && x[0] > 0.99f ? NAN : (float)z[k];
    *loss = (float)(most + log(sum) - z[label]);
    for (int i = 0; i < D && grad; i++) {
        double g = 0;
        for (int k = 0; k < K; k++)
            g += (exp(z[k] - most) / sum - (k == label)) *
                 (w[k][i] + 2 * q[k][i] * (double)x[i]);
        grad[i] = flat ? 0.0f : (float)g;
    }
}

static void to_nhwc(float *out, const float *in)
{
    for (int i = 0; i < D; i++)
        out[i % (H * W) * C + i / (H * W)] = in[i];
}

static void to_nchw(float *out, const float *in)
{
    for (int i = 0; i < D; i++)
        out[i] = in[i % (H * W) * C + i / (H * W)];
}

int gb_session_create(gb_session **out, gb_device *dev, const gb_graph *graph,
                      const gb_session_options *options)
{
    (void)graph;
    gb_session *s = calloc(1, sizeof *s);
    size_t n = (size_t)options->batch;
    if (too_big && n >= too_big) {
        free(s);
        return gb_fail(GB_ERR_DEVICE_MEM, "out of device memory");
    }
    s->dev = dev;
    s->batch = options->batch;
    s->in = (gb_io){"image", {4, {s->batch, C, H, W}}, {0, 0, {D, 1, W * C, C}}, NULL};
    s->grad = s->in;
    s->out = (gb_io){"logits", {2, {s->batch, K}}, {0, 0, {K, 1}}, NULL};
    assert_ok(gb_buf_create(&s->in.buf, dev, n * D * sizeof(float)));
    assert_ok(gb_buf_create(&s->grad.buf, dev, n * D * sizeof(float)));
    assert_ok(gb_buf_create(&s->out.buf, dev, n * K * sizeof(float)));
    assert_ok(gb_buf_create(&s->labels, dev, n * sizeof(int32_t)));
    assert_ok(gb_buf_create(&s->losses, dev, n * sizeof(float)));
    *out = s;
    return 0;
}

const gb_head *gb_session_head(const gb_session *s)
{
    static const gb_head logits = {.kind = GB_SCORES_LOGITS, .how = ""};
    (void)s;
    return &logits;
}

void gb_session_free(gb_session *s)
{
    if (!s)
        return;
    gb_buf_free(s->in.buf);
    gb_buf_free(s->grad.buf);
    gb_buf_free(s->out.buf);
    gb_buf_free(s->labels);
    gb_buf_free(s->losses);
    free(s);
}

const gb_io *gb_session_input(const gb_session *s, size_t i)
{
    return i ? NULL : &s->in;
}

const gb_io *gb_session_output(const gb_session *s, size_t i)
{
    return i ? NULL : &s->out;
}

const gb_io *gb_session_grad(const gb_session *s, size_t i)
{
    return i ? NULL : &s->grad;
}

gb_buf *gb_session_labels(const gb_session *s)
{
    return s->labels;
}

gb_buf *gb_session_seconds(const gb_session *s)
{
    (void)s;
    return NULL;
}

gb_buf *gb_session_losses(const gb_session *s)
{
    return s->losses;
}

gb_device *gb_session_device(const gb_session *s)
{
    return s->dev;
}

int64_t gb_session_batch(const gb_session *s)
{
    return s->batch;
}

int gb_session_upload(gb_session *s, const gb_io *io, const float *data)
{
    float image[D];
    for (int64_t n = 0; n < s->batch; n++) {
        to_nhwc(image, data + n * D);
        assert_ok(gb_buf_write(io->buf, (size_t)n * sizeof image, image, sizeof image));
    }
    return 0;
}

int gb_session_download(gb_session *s, const gb_io *io, float *data)
{
    float image[D];
    size_t size = io == &s->out ? K : D;
    assert_ok(gb_buf_read(io->buf, 0, data, (size_t)s->batch * size * sizeof *data));
    for (int64_t n = 0; n < s->batch && size == D; n++) {
        to_nchw(image, data + n * D);
        memcpy(data + n * D, image, sizeof image);
    }
    return 0;
}

int gb_session_gradient(gb_session *s)
{
    float x[D], image[D], grad[D], logits[K], loss;
    int32_t label;
    n_gradients++;
    for (size_t n = 0; n < (size_t)s->batch; n++) {
        assert_ok(gb_buf_read(s->in.buf, n * sizeof image, image, sizeof image));
        assert_ok(gb_buf_read(s->labels, n * sizeof label, &label, sizeof label));
        to_nchw(x, image);
        model(logits, &loss, grad, x, label);
        to_nhwc(image, grad);
        assert_ok(gb_buf_write(s->grad.buf, n * sizeof image, image, sizeof image));
        assert_ok(gb_buf_write(s->out.buf, n * sizeof logits, logits, sizeof logits));
        assert_ok(gb_buf_write(s->losses, n * sizeof loss, &loss, sizeof loss));
    }
    return 0;
}

int gb_session_forward(gb_session *s)
{
    n_gradients--;
    return gb_session_gradient(s);
}

// --- images and runs ---

enum { MAX = 8 }; // images

static float images[MAX * D];
static int labels[MAX];

static inline int setup(void **state)
{
    float logits[K], loss;
    for (int i = 0; i < MAX * D; i++) {
        gb_philox p = gb_philox4x32((gb_philox){{(uint32_t)i, 0, 0, 0}}, 5, 6);
        images[i] = gb_uniform(p.v[0]);
    }
    for (int n = 0; n < MAX; n++) {
        model(logits, &loss, NULL, images + n * D, 0);
        labels[n] = gb_argmax(logits, K);
    }
    return test_device_open(state);
}

static inline gb_attack *make(const gb_attack_config *config, int64_t batch)
{
    gb_attack *attack;
    const gb_session_options options = {.batch = batch};
    assert_ok(gb_attack_create(&attack, test_device(), NULL, &options, config));
    return attack;
}

static inline void attack_all(float *adv, gb_attack_result *r, const gb_attack_config *config,
                              size_t n, int64_t batch, const int *goal)
{
    gb_attack *attack = make(config, batch);
    const gb_attack_job job = {.n = n, .images = images, .labels = goal};
    assert_ok(gb_attack_run(attack, adv, r, &job));
    gb_attack_free(attack);
}

#endif
