// The buffers and kernels of gradient attacks: arguments are set once, launches are queued.
#include "attack/steps.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 256 }; // cl/attack.cl

enum { START, PLACE, PARTIAL_NOISE, PARTIAL_GRAD, PARTIAL_DELTA, NORM, COUNT, STEP_LINF, STEP_L2,
       PROJECT, JUDGE, KEEP, N_KERNEL };

struct gb_steps {
    gb_session *session;
    gb_attack_config config;
    size_t batch, pixels, channels; // pixels: floats an image
    gb_buf *x;                      // the session's input
    gb_buf *x0, *best, *hold, *state, *ids, *norm, *partial; // hold: x during gb_steps_logits
    gb_kernel *kernel[N_KERNEL];
    // What the device has, or gets before the next kernel where `changed`; [batch] each.
    gb_image_state *host;
    int32_t *label;
    uint32_t *id;
    bool changed;
    float *image; // [pixels]: one, as it lies on the device
};

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
    uint32_t low = (uint32_t)s->config.seed, high = (uint32_t)(s->config.seed >> 32);
    put_buf(a, s->ids);
    put(a, sizeof low, &low);
    put(a, sizeof high, &high);
}

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
    put_int(&a, c->steps);
    put_int(&a, c->restarts);
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
    s->label = calloc(s->batch, sizeof *s->label);
    s->id = calloc(s->batch, sizeof *s->id);
    s->image = calloc(s->pixels, sizeof *s->image);
    if (!s->host || !s->label || !s->id || !s->image) {
        err = gb_fail(GB_ERR_NOMEM, "out of memory for an attack");
        goto fail;
    }
    size_t images = s->batch * s->pixels * sizeof(float);
    GB_TRY(gb_buf_create(&s->x0, dev, images));
    GB_TRY(gb_buf_create(&s->best, dev, images));
    GB_TRY(gb_buf_create(&s->hold, dev, images));
    GB_TRY(gb_buf_create(&s->state, dev, s->batch * sizeof *s->host));
    GB_TRY(gb_buf_create(&s->ids, dev, s->batch * sizeof(uint32_t)));
    GB_TRY(gb_buf_create(&s->norm, dev, s->batch * sizeof(float)));
    GB_TRY(gb_buf_create(&s->partial, dev, s->batch * PARTS * 2 * sizeof(float)));
    GB_TRY(make_starts(s));
    GB_TRY(make_steps(s, gb_session_grad(session, 0)->buf));
    GB_TRY(make_judges(s, gb_session_output(session, 0)->buf));
    GB_TRY(gb_buf_fill(s->x, 0, images, 0)); // empty places compute, too
    gb_steps_clear(s);
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
    gb_buf_free(s->hold);
    gb_buf_free(s->state);
    gb_buf_free(s->ids);
    gb_buf_free(s->norm);
    gb_buf_free(s->partial);
    free(s->host);
    free(s->label);
    free(s->id);
    free(s->image);
    free(s);
}

void gb_steps_clear(gb_steps *s)
{
    for (size_t i = 0; i < s->batch; i++)
        s->host[i] = (gb_image_state){.frozen = 1};
    s->changed = true;
}

// --- one image between (C,H,W) on the host and where it lies on the device ---

int gb_steps_load(gb_steps *s, size_t place, const float *image, int32_t label, uint32_t id,
                  bool early_stop)
{
    size_t plane = s->pixels / s->channels, bytes = s->pixels * sizeof *image;
    for (size_t e = 0; e < s->pixels; e++)
        s->image[e] = image[e % s->channels * plane + e / s->channels];
    s->host[place] = (gb_image_state){.early = early_stop, .best = -INFINITY};
    s->label[place] = label;
    s->id[place] = id;
    s->changed = true;
    return gb_buf_write(s->x0, place * bytes, s->image, bytes);
}

int gb_steps_result(gb_steps *s, size_t place, float *image)
{
    size_t plane = s->pixels / s->channels, bytes = s->pixels * sizeof *image;
    int err = gb_buf_read(s->best, place * bytes, s->image, bytes);
    for (size_t e = 0; e < s->pixels && err >= 0; e++)
        image[e % s->channels * plane + e / s->channels] = s->image[e];
    return err;
}

static int write_changes(gb_steps *s)
{
    int err = 0;
    if (!s->changed)
        return 0;
    GB_TRY(gb_buf_write(gb_session_labels(s->session), 0, s->label, s->batch * sizeof *s->label));
    GB_TRY(gb_buf_write(s->ids, 0, s->id, s->batch * sizeof *s->id));
    GB_TRY(gb_buf_write(s->state, 0, s->host, s->batch * sizeof *s->host));
    s->changed = false;
fail:
    return err;
}

int gb_steps_look(gb_steps *s, const gb_image_state **state)
{
    int err = 0;
    GB_TRY(write_changes(s));
    GB_TRY(gb_buf_read(s->state, 0, s->host, s->batch * sizeof *s->host));
    *state = s->host;
fail:
    return err;
}

int gb_steps_logits(gb_steps *s, float *logits, const float *images, size_t n)
{
    int err = 0;
    size_t bytes = s->batch * s->pixels * sizeof(float);
    GB_TRY(gb_buf_copy(s->hold, 0, s->x, 0, bytes));
    GB_TRY(gb_session_logits(s->session, logits, images, n)); // overwrites the labels, too
    GB_TRY(gb_buf_copy(s->x, 0, s->hold, 0, bytes));
    GB_TRY(gb_buf_write(gb_session_labels(s->session), 0, s->label, s->batch * sizeof *s->label));
fail:
    return err;
}

// --- a step ---

int gb_steps_start(gb_steps *s)
{
    int err = 0;
    GB_TRY(write_changes(s));
    GB_TRY(gb_kernel_run(s->kernel[START]));
    if (s->config.random_start && s->config.norm == GB_NORM_L2) {
        GB_TRY(gb_kernel_run(s->kernel[PARTIAL_NOISE]));
        GB_TRY(gb_kernel_run(s->kernel[NORM]));
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
