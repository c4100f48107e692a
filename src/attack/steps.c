// The buffers and kernels of gradient attacks: arguments are set once, launches are queued.
#include "attack/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARTS = 256 }; // cl/attack.cl

enum { START, PLACE, PARTIAL_NOISE, PARTIAL_GRAD, PARTIAL_DELTA, NORM, COUNT, STEP_LINF, STEP_L2,
       PROJECT, JUDGE, KEEP, RESTART, N_KERNEL };

struct gb_steps {
    gb_session *session;
    gb_attack_config config;
    size_t batch, pixels, channels; // pixels: floats an image
    gb_buf *x;                      // the session's input
    gb_buf *x0, *best, *state, *ids, *norm, *partial;
    gb_kernel *kernel[N_KERNEL];
    gb_image_state *host; // [batch]
    const gb_progress *progress;
    size_t done, total;
    double last_sync;  // seconds
    int wait, stride;  // steps until the next look, and between looks
};

const gb_attack_config *gb_steps_config(const gb_steps *s)
{
    return &s->config;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// --- kernel arguments, appended in order; the first failure sticks ---

typedef struct args {
    gb_kernel *kernel;
    int index, err;
} args;

static void put(args *a, size_t bytes, const void *value)
{
    if (a->err >= 0)
        a->err = gb_kernel_arg(a->kernel, a->index++, bytes, value);
}

static void put_buf(args *a, gb_buf *buf)
{
    if (a->err >= 0)
        a->err = gb_kernel_arg_buf(a->kernel, a->index++, buf);
}

static void put_int(args *a, int v)
{
    put(a, sizeof v, &v);
}

static void put_float(args *a, float v)
{
    put(a, sizeof v, &v);
}

// Makes kernel `k`, `width` work-items an image; width 0: one item an image, a launch of one
// dimension.
static args make(gb_steps *s, int k, const char *name, size_t width)
{
    const size_t wide[3] = {width, s->batch, 1}, narrow[3] = {s->batch, 1, 1}, any[3] = {0};
    args a = {0};
    a.err = gb_kernel_create(&s->kernel[k], gb_session_device(s->session), "attack", name, "");
    if (a.err >= 0)
        a.err = gb_kernel_size(s->kernel[k], width ? wide : narrow, any);
    a.kernel = s->kernel[k];
    return a;
}

static void put_seed(args *a, const gb_steps *s)
{
    uint32_t restart = 0, low = (uint32_t)s->config.seed, high = (uint32_t)(s->config.seed >> 32);
    put_buf(a, s->ids);
    put(a, sizeof restart, &restart); // gb_steps_start sets it
    put(a, sizeof low, &low);
    put(a, sizeof high, &high);
}

enum { START_RESTART = 4, PLACE_RESTART = 5, JUDGE_EARLY_STOP = 6 }; // arguments that change

static int make_starts(gb_steps *s)
{
    const gb_attack_config *c = &s->config;
    int err = 0;
    args a = make(s, START, "attack_start", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, s->x0);
    put_buf(&a, s->state);
    put_seed(&a, s);
    put_int(&a, (int)s->pixels);
    put_int(&a, (int)s->channels);
    put_int(&a, !c->random_start ? 0 : c->norm == GB_NORM_LINF ? 1 : 2);
    put_float(&a, c->eps);
    GB_TRY(a.err);

    a = make(s, PLACE, "attack_place", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, s->x0);
    put_buf(&a, s->norm);
    put_buf(&a, s->state);
    put_seed(&a, s);
    put_int(&a, (int)s->pixels);
    put_float(&a, c->eps);
    GB_TRY(a.err);

    a = make(s, RESTART, "attack_restart", 0);
    put_buf(&a, s->state);
    GB_TRY(a.err);
fail:
    return err;
}

static int make_partial(gb_steps *s, int k, gb_buf *from, gb_buf *minus)
{
    args a = make(s, k, "attack_partial", PARTS);
    put_buf(&a, from);
    put_buf(&a, minus ? minus : from);
    put_buf(&a, s->partial);
    put_int(&a, (int)s->pixels);
    put_int(&a, minus != NULL);
    return a.err;
}

static int make_steps(gb_steps *s, gb_buf *grad)
{
    const gb_attack_config *c = &s->config;
    float step = c->targeted ? -c->step_size : c->step_size;
    int err = 0;
    GB_TRY(make_partial(s, PARTIAL_NOISE, s->x, NULL));
    GB_TRY(make_partial(s, PARTIAL_GRAD, grad, NULL));
    GB_TRY(make_partial(s, PARTIAL_DELTA, s->x, s->x0));

    args a = make(s, NORM, "attack_norm", 0);
    put_buf(&a, s->partial);
    put_buf(&a, s->norm);
    GB_TRY(a.err);

    a = make(s, COUNT, "attack_count", 0);
    put_buf(&a, s->partial);
    put_buf(&a, s->norm);
    put_buf(&a, s->state);
    GB_TRY(a.err);

    a = make(s, STEP_LINF, "attack_step_linf", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, s->x0);
    put_buf(&a, grad);
    put_buf(&a, s->state);
    put_int(&a, (int)s->pixels);
    put_float(&a, step);
    put_float(&a, c->eps);
    GB_TRY(a.err);

    a = make(s, STEP_L2, "attack_step_l2", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, grad);
    put_buf(&a, s->norm);
    put_buf(&a, s->state);
    put_int(&a, (int)s->pixels);
    put_float(&a, step);
    GB_TRY(a.err);

    a = make(s, PROJECT, "attack_project", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, s->x0);
    put_buf(&a, s->norm);
    put_buf(&a, s->state);
    put_int(&a, (int)s->pixels);
    put_float(&a, c->eps);
    GB_TRY(a.err);
fail:
    return err;
}

static int make_judges(gb_steps *s, gb_buf *logits)
{
    const gb_attack_config *c = &s->config;
    int err = 0;
    args a = make(s, JUDGE, "attack_judge", 0);
    put_buf(&a, logits);
    put_buf(&a, gb_session_labels(s->session));
    put_buf(&a, gb_session_losses(s->session));
    put_buf(&a, s->state);
    put_int(&a, (int)gb_session_classes(s->session));
    put_int(&a, c->targeted ? -1 : 1);
    put_int(&a, c->early_stop);
    put_int(&a, c->keep_best);
    GB_TRY(a.err);

    a = make(s, KEEP, "attack_keep", s->pixels);
    put_buf(&a, s->best);
    put_buf(&a, s->x);
    put_buf(&a, s->state);
    put_int(&a, (int)s->pixels);
    GB_TRY(a.err);
fail:
    return err;
}

// Kernels walk over dense buffers: image after image, and in an image either (C,H,W) or (H,W,C).
static int check_session(gb_steps *s)
{
    const gb_io *in = gb_session_input(s->session, 0), *out = gb_session_output(s->session, 0);
    const gb_io *grad = gb_session_grad(s->session, 0);
    if (!grad || !gb_session_losses(s->session) || !gb_session_labels(s->session))
        return gb_fail(GB_ERR_ARG,
                       "an attack needs a session with a loss and the input's gradient");
    if (in->shape.rank < 2 || out->shape.rank != 2 || s->pixels > INT32_MAX)
        return gb_fail(GB_ERR_UNSUPPORTED,
                       "attacks need one (N,...) input and one (N,classes) output");
    bool same = in->view.offset == 0 && grad->view.offset == 0 && out->view.offset == 0 &&
                in->view.stride[0] == (int64_t)s->pixels &&
                out->view.stride[0] == out->shape.dim[1];
    for (int i = 0; i < in->shape.rank; i++)
        same = same && in->view.stride[i] == grad->view.stride[i];
    if (!same)
        return gb_fail(GB_ERR_UNSUPPORTED, "the session's input, gradient or logits are not dense");
    s->channels = in->shape.rank > 2 && in->view.stride[1] == 1 ? (size_t)in->shape.dim[1] : 1;
    return 0;
}

int gb_steps_create(gb_steps **out, gb_session *session, const gb_attack_config *config)
{
    int err = 0;
    gb_device *dev = gb_session_device(session);
    gb_steps *s = calloc(1, sizeof *s);
    if (!s)
        return gb_fail(GB_ERR_NOMEM, "out of memory for an attack");
    s->session = session;
    s->config = *config;
    s->batch = (size_t)gb_session_batch(session);
    s->pixels = (size_t)gb_session_pixels(session);
    GB_TRY(check_session(s));
    s->x = gb_session_input(session, 0)->buf;
    s->host = calloc(s->batch, sizeof *s->host);
    if (!s->host) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for an attack");
        goto fail;
    }
    size_t images = s->batch * s->pixels * sizeof(float);
    GB_TRY(gb_buf_create(&s->x0, dev, images));
    GB_TRY(gb_buf_create(&s->best, dev, images));
    GB_TRY(gb_buf_create(&s->state, dev, s->batch * sizeof *s->host));
    GB_TRY(gb_buf_create(&s->ids, dev, s->batch * sizeof(uint32_t)));
    GB_TRY(gb_buf_create(&s->norm, dev, s->batch * sizeof(float)));
    GB_TRY(gb_buf_create(&s->partial, dev, s->batch * PARTS * 2 * sizeof(float)));
    GB_TRY(make_starts(s));
    GB_TRY(make_steps(s, gb_session_grad(session, 0)->buf));
    GB_TRY(make_judges(s, gb_session_output(session, 0)->buf));
    *out = s;
    return 0;
fail:
    gb_steps_free(s);
    return err;
}

void gb_steps_free(gb_steps *s)
{
    if (!s)
        return;
    for (int i = 0; i < N_KERNEL; i++)
        gb_kernel_free(s->kernel[i]);
    gb_buf_free(s->x0);
    gb_buf_free(s->best);
    gb_buf_free(s->state);
    gb_buf_free(s->ids);
    gb_buf_free(s->norm);
    gb_buf_free(s->partial);
    free(s->host);
    free(s);
}

int gb_steps_load(gb_steps *s, const float *images, const int32_t *labels, const uint32_t *ids,
                  const bool *active)
{
    int err = 0;
    const gb_io *in = gb_session_input(s->session, 0);
    size_t bytes = s->batch * s->pixels * sizeof(float);
    for (size_t i = 0; i < s->batch; i++)
        s->host[i] = (gb_image_state){.frozen = active && !active[i], .best = -INFINITY};
    GB_TRY(gb_session_upload(s->session, in, images));
    GB_TRY(gb_buf_copy(s->x0, 0, in->buf, 0, bytes));
    GB_TRY(gb_buf_copy(s->best, 0, in->buf, 0, bytes));
    GB_TRY(gb_buf_write(gb_session_labels(s->session), 0, labels, s->batch * sizeof *labels));
    GB_TRY(gb_buf_write(s->ids, 0, ids, s->batch * sizeof *ids));
    GB_TRY(gb_buf_write(s->state, 0, s->host, s->batch * sizeof *s->host));
    s->last_sync = now();
    s->wait = s->stride = 1;
fail:
    return err;
}

int gb_steps_early_stop(gb_steps *s, bool on)
{
    int value = on;
    return gb_kernel_arg(s->kernel[JUDGE], JUDGE_EARLY_STOP, sizeof value, &value);
}

int gb_steps_result(gb_steps *s, float *images, gb_image_state *state)
{
    int err = 0;
    const gb_io *in = gb_session_input(s->session, 0);
    size_t bytes = s->batch * s->pixels * sizeof(float);
    GB_TRY(gb_buf_copy(in->buf, 0, s->best, 0, bytes));
    GB_TRY(gb_session_download(s->session, in, images));
    GB_TRY(gb_buf_read(s->state, 0, state, s->batch * sizeof *state));
fail:
    return err;
}

void gb_steps_tell(gb_steps *s, const gb_progress *progress, size_t done, size_t total)
{
    s->progress = progress;
    s->done = done;
    s->total = total;
}

int gb_steps_start(gb_steps *s, int restart)
{
    int err = 0;
    uint32_t r = (uint32_t)restart;
    if (restart)
        GB_TRY(gb_kernel_run(s->kernel[RESTART]));
    GB_TRY(gb_kernel_arg(s->kernel[START], START_RESTART, sizeof r, &r));
    GB_TRY(gb_kernel_run(s->kernel[START]));
    if (s->config.random_start && s->config.norm == GB_NORM_L2) {
        GB_TRY(gb_kernel_run(s->kernel[PARTIAL_NOISE]));
        GB_TRY(gb_kernel_run(s->kernel[NORM]));
        GB_TRY(gb_kernel_arg(s->kernel[PLACE], PLACE_RESTART, sizeof r, &r));
        GB_TRY(gb_kernel_run(s->kernel[PLACE]));
    }
fail:
    return err;
}

static int judge(gb_steps *s)
{
    int err = gb_kernel_run(s->kernel[JUDGE]);
    return err < 0 ? err : gb_kernel_run(s->kernel[KEEP]);
}

int gb_steps_forward(gb_steps *s)
{
    int err = gb_session_forward(s->session);
    return err < 0 ? err : judge(s);
}

int gb_steps_gradient(gb_steps *s)
{
    int err = gb_session_gradient(s->session);
    return err < 0 ? err : judge(s);
}

int gb_steps_move(gb_steps *s)
{
    int err = 0;
    GB_TRY(gb_kernel_run(s->kernel[PARTIAL_GRAD]));
    GB_TRY(gb_kernel_run(s->kernel[COUNT]));
    if (s->config.norm == GB_NORM_LINF)
        return gb_kernel_run(s->kernel[STEP_LINF]);
    GB_TRY(gb_kernel_run(s->kernel[STEP_L2]));
    GB_TRY(gb_kernel_run(s->kernel[PARTIAL_DELTA]));
    GB_TRY(gb_kernel_run(s->kernel[NORM]));
    GB_TRY(gb_kernel_run(s->kernel[PROJECT]));
fail:
    return err;
}

int gb_steps_sync(gb_steps *s, int step, bool force, size_t *open)
{
    int err = 0;
    if (!force && --s->wait > 0)
        return gb_device_flush(gb_session_device(s->session));
    GB_TRY(gb_buf_read(s->state, 0, s->host, s->batch * sizeof *s->host));
    *open = 0;
    for (size_t i = 0; i < s->batch; i++)
        *open += !s->host[i].frozen;
    // Looking empties the queue, so a fast device is looked at less often; results do not depend
    // on it, as an image that is done has stopped by itself.
    double t = now();
    if (t - s->last_sync < 0.1 && s->stride < 16)
        s->stride *= 2;
    s->wait = s->stride;
    s->last_sync = t;
    const gb_progress *p = s->progress;
    if (p && p->call &&
        p->call(p->user, s->done, s->total, step, s->config.steps * s->config.restarts))
        err = gb_fail(GB_ERR_CANCELLED, "cancelled");
fail:
    return err;
}
