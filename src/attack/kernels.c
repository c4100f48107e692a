// Makes the kernels of gradient attacks, their arguments set once.
#include "attack/kernels.h"

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
    args a = make(s, GB_K_START, "attack_start", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, s->x0);
    put_buf(&a, s->state);
    put_seed(&a, s);
    put_int(&a, (int)s->pixels);
    put_int(&a, (int)s->channels);
    put_int(&a, !c->random_start ? 0 : c->norm == GB_NORM_LINF ? 1 : 2);
    put_float(&a, c->eps);
    GB_TRY(a.err);

    a = make(s, GB_K_PLACE, "attack_place", s->pixels);
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
    args a = make(s, k, "attack_partial", GB_ATTACK_PARTS);
    put_buf(&a, from);
    put_buf(&a, minus ? minus : from);
    put_buf(&a, s->partial);
    put_int(&a, (int)s->pixels);
    put_int(&a, minus != NULL);
    return a.err;
}

// How far a step of an optimiser may go: its own length (L2 is projected later), the ball, or what
// the tutorial makes of it; cl/attack.cl.
enum { CLIP_NOT, CLIP_BALL, CLIP_TUTORIAL };

static int make_rule(gb_steps *s, gb_buf *grad)
{
    const gb_attack_config *c = &s->config;
    bool tutorial = c->compat == GB_COMPAT_TUTORIAL;
    float unit = tutorial ? 255.0f : 1.0f;
    args a = make(s, GB_K_STEP_RULE, "attack_step_rule", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, s->x0);
    put_buf(&a, grad);
    put_buf(&a, s->state);
    put_buf(&a, s->memory[0]);
    put_buf(&a, s->memory[1]);
    put_buf(&a, s->memory[2]);
    put_int(&a, (int)s->pixels);
    put_int(&a, (int)c->optimizer);
    put_int(&a, c->targeted ? 1 : -1);
    put_float(&a, c->step_size * unit);
    put_float(&a, c->eps * unit);
    put_float(&a, unit);
    put_int(&a, c->norm != GB_NORM_LINF ? CLIP_NOT : tutorial ? CLIP_TUTORIAL : CLIP_BALL);
    return a.err;
}

static int make_steps(gb_steps *s, gb_buf *grad)
{
    const gb_attack_config *c = &s->config;
    float step = c->targeted ? -c->step_size : c->step_size;
    int err = 0;
    GB_TRY(make_partial(s, GB_K_PARTIAL_NOISE, s->x, NULL));
    GB_TRY(make_partial(s, GB_K_PARTIAL_GRAD, grad, NULL));
    GB_TRY(make_partial(s, GB_K_PARTIAL_DELTA, s->x, s->x0));

    args a = make(s, GB_K_NORM, "attack_norm", 0);
    put_buf(&a, s->partial);
    put_buf(&a, s->norm);
    GB_TRY(a.err);

    a = make(s, GB_K_COUNT, "attack_count", 0);
    put_buf(&a, s->partial);
    put_buf(&a, s->norm);
    put_buf(&a, s->state);
    GB_TRY(a.err);

    a = make(s, GB_K_STEP_LINF, "attack_step_linf", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, s->x0);
    put_buf(&a, grad);
    put_buf(&a, s->state);
    put_int(&a, (int)s->pixels);
    put_float(&a, step);
    put_float(&a, c->eps);
    put_int(&a, c->compat == GB_COMPAT_TUTORIAL);
    GB_TRY(a.err);

    a = make(s, GB_K_STEP_L2, "attack_step_l2", s->pixels);
    put_buf(&a, s->x);
    put_buf(&a, grad);
    put_buf(&a, s->norm);
    put_buf(&a, s->state);
    put_int(&a, (int)s->pixels);
    put_float(&a, step);
    GB_TRY(a.err);

    a = make(s, GB_K_PROJECT, "attack_project", s->pixels);
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
    args a = make(s, GB_K_JUDGE, "attack_judge", 0);
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

    a = make(s, GB_K_KEEP, "attack_keep", s->pixels);
    put_buf(&a, s->best);
    put_buf(&a, s->x);
    put_buf(&a, s->state);
    put_int(&a, (int)s->pixels);
    GB_TRY(a.err);
fail:
    return err;
}

int gb_steps_make_kernels(gb_steps *s)
{
    gb_buf *grad = gb_session_grad(s->session, 0)->buf;
    int err = 0;
    GB_TRY(make_starts(s));
    GB_TRY(make_steps(s, grad));
    GB_TRY(make_rule(s, grad));
    GB_TRY(make_judges(s, gb_session_output(s->session, 0)->buf));
fail:
    return err;
}
