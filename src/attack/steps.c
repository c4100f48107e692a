// The buffers of gradient attacks, and their kernels queued step by step.
#include "attack/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Kernels walk over dense buffers: image after image, and in an image either (C,H,W) or (H,W,C).
static int check_session(gb_steps *s)
{
    const gb_io *in = gb_session_input(s->session, 0), *out = gb_session_output(s->session, 0);
    const gb_io *grad = gb_session_grad(s->session, 0);
    if (!grad || !gb_session_losses(s->session) || !gb_session_labels(s->session) ||
        (s->config.loss == GB_LOSS_PAIR && !gb_session_seconds(s->session)))
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
    s->source = calloc(s->batch, sizeof *s->source);
    s->id = calloc(s->batch, sizeof *s->id);
    s->image = calloc(s->pixels, sizeof *s->image);
    if (!s->host || !s->label || !s->source || !s->id || !s->image) {
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
    GB_TRY(gb_buf_create(&s->partial, dev, s->batch * GB_ATTACK_PARTS * 2 * sizeof(float)));
    for (int i = 0; i < 3 && config->optimizer != GB_STEP_SIGN; i++)
        GB_TRY(gb_buf_create(&s->memory[i], dev, images));
    GB_TRY(gb_steps_make_kernels(s));
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
    for (int i = 0; i < GB_KERNELS; i++)
        gb_kernel_free(s->kernel[i]);
    gb_buf_free(s->x0);
    gb_buf_free(s->best);
    gb_buf_free(s->hold);
    gb_buf_free(s->state);
    gb_buf_free(s->ids);
    gb_buf_free(s->norm);
    gb_buf_free(s->partial);
    for (int i = 0; i < 3; i++)
        gb_buf_free(s->memory[i]);
    free(s->host);
    free(s->label);
    free(s->source);
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

int gb_steps_load(gb_steps *s, size_t place, const float *image, int32_t label, int32_t source,
                  uint32_t id, bool early_stop)
{
    size_t plane = s->pixels / s->channels, bytes = s->pixels * sizeof *image;
    for (size_t e = 0; e < s->pixels; e++)
        s->image[e] = image[e % s->channels * plane + e / s->channels];
    s->host[place] = (gb_image_state){.early = early_stop, .best = -INFINITY};
    s->label[place] = label;
    s->source[place] = source;
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
    if (gb_session_seconds(s->session))
        GB_TRY(gb_buf_write(gb_session_seconds(s->session), 0, s->source,
                            s->batch * sizeof *s->source));
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
    GB_TRY(gb_kernel_run(s->kernel[GB_K_START]));
    if (s->config.random_start && s->config.norm == GB_NORM_L2) {
        GB_TRY(gb_kernel_run(s->kernel[GB_K_PARTIAL_NOISE]));
        GB_TRY(gb_kernel_run(s->kernel[GB_K_NORM]));
        GB_TRY(gb_kernel_run(s->kernel[GB_K_PLACE]));
    }
fail:
    return err;
}

static int judge(gb_steps *s)
{
    int err = gb_kernel_run(s->kernel[GB_K_JUDGE]);
    return err < 0 ? err : gb_kernel_run(s->kernel[GB_K_KEEP]);
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
    GB_TRY(gb_kernel_run(s->kernel[GB_K_PARTIAL_GRAD]));
    GB_TRY(gb_kernel_run(s->kernel[GB_K_COUNT]));
    bool linf = s->config.norm == GB_NORM_LINF;
    GB_TRY(gb_kernel_run(s->kernel[s->config.optimizer != GB_STEP_SIGN ? GB_K_STEP_RULE
                                   : linf                              ? GB_K_STEP_LINF
                                                                       : GB_K_STEP_L2]));
    if (linf)
        return 0;
    GB_TRY(gb_kernel_run(s->kernel[GB_K_PARTIAL_DELTA]));
    GB_TRY(gb_kernel_run(s->kernel[GB_K_NORM]));
    GB_TRY(gb_kernel_run(s->kernel[GB_K_PROJECT]));
fail:
    return err;
}
