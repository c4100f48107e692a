// The table of adversarial training methods, and their attack within a step of training.
//
// The attack sees the network as it will be used: BatchNormalization by its running statistics, as
// TRADES's authors do (Zhang et al. 2019); the training step that follows uses the batch's own.
#include "train/adversary.h"

#include "base/name.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const compats[] = {"none", "tutorial", "nsl", NULL};

#define FIELD(name) offsetof(gb_adversary_config, name)
static const gb_setting settings[] = {
    {.name = "eps", .kind = GB_SETTING_EPS, .offset = FIELD(eps), .min = 0, .max = 1,
     .help = "radius of the Linf ball, as a fraction of the pixel range: 8/255 or 0.03"},
    {.name = "steps", .kind = GB_SETTING_INT, .offset = FIELD(steps), .min = 1, .max = 1e4,
     .help = "gradient steps for each batch"},
    {.name = "step-size", .kind = GB_SETTING_EPS, .offset = FIELD(step_size), .min = 0, .max = 1,
     .unset = "2.5 eps / steps", .help = "length of a step, in the units of eps"},
    {.name = "lambda", .kind = GB_SETTING_REAL, .offset = FIELD(lambda), .min = 0, .max = 1e6,
     .unset = "the adversarial loss alone",
     .help = "minimise L(clean) + X L(adversarial)"},
    {.name = "beta", .kind = GB_SETTING_REAL, .offset = FIELD(beta), .min = 0, .max = 1e6,
     .help = "TRADES's weight of the divergence"},
    {.name = "compat", .kind = GB_SETTING_ENUM, .offset = FIELD(compat), .choices = compats,
     .help = "as others do it: tutorial clips the gradient's sign to [0,1], so that images only "
             "become brighter; nsl, TensorFlow's Neural Structured Learning, lets pixels leave "
             "[0,1]"},
};

static const gb_adversary table[] = {
    {.name = "none", .title = "train on clean images",
     .params = (const char *const[]){NULL}, .defaults = {.name = "none", .lambda = NAN}},
    {.name = "fgsm", .title = "one step of length eps along the gradient's sign",
     .params = (const char *const[]){"eps", "lambda", "compat", NULL},
     .defaults = {.name = "fgsm", .eps = 8.0f / 255, .steps = 1, .step_size = NAN, .lambda = NAN},
     .step_factor = 1, .perturbs = true},
    {.name = "fgsm-rs", .title = "one step of 1.25 eps from a random start (Wong et al. 2020)",
     .params = (const char *const[]){"eps", "step-size", "lambda", NULL},
     .defaults = {.name = "fgsm-rs", .eps = 8.0f / 255, .steps = 1, .step_size = NAN,
                  .lambda = NAN},
     .step_factor = 1.25f, .perturbs = true, .random_start = true},
    {.name = "pgd", .title = "projected gradient steps from a random start (Madry et al. 2018)",
     .params = (const char *const[]){"eps", "steps", "step-size", "lambda", NULL},
     .defaults = {.name = "pgd", .eps = 8.0f / 255, .steps = 10, .step_size = NAN, .lambda = NAN},
     .step_factor = 2.5f, .perturbs = true, .random_start = true},
    {.name = "trades", .title = "the clean loss plus the divergence that PGD finds (Zhang et al. "
                                "2019)",
     .params = (const char *const[]){"eps", "steps", "step-size", "beta", NULL},
     .defaults = {.name = "trades", .eps = 8.0f / 255, .steps = 10, .step_size = NAN,
                  .lambda = NAN, .beta = 6},
     .step_factor = 2.5f, .perturbs = true, .trades = true},
    {.name = "static", .title = "clean images and copies that one step perturbed against a fixed "
                                "model",
     .params = (const char *const[]){"eps", "lambda", "compat", NULL},
     .defaults = {.name = "static", .eps = 8.0f / 255, .steps = 1, .step_size = NAN, .lambda = 1},
     .step_factor = 1, .perturbs = true, .fixed = true},
};

const gb_adversary *gb_adversary_all(size_t *count)
{
    *count = GB_COUNT(table);
    return table;
}

const gb_setting *gb_adversary_settings(size_t *count)
{
    *count = GB_COUNT(settings);
    return settings;
}

int gb_adversary_find(const gb_adversary **out, const char *name)
{
    int i = gb_name_find("adversarial training", name, &table[0].name, sizeof *table,
                         GB_COUNT(table));
    if (i >= 0)
        *out = &table[i];
    return i < 0 ? i : 0;
}

int gb_adversary_default(gb_adversary_config *config, const char *name)
{
    const gb_adversary *found;
    int err = gb_adversary_find(&found, name);
    if (err >= 0)
        *config = found->defaults;
    return err;
}

int gb_adversary_resolve(gb_adversary_config *config)
{
    const gb_adversary *method;
    const gb_setting *found;
    int err = 0;
    GB_TRY(gb_adversary_find(&method, config->name));
    for (const char *const *p = method->params; *p; p++) {
        GB_TRY(gb_setting_find(&found, settings, GB_COUNT(settings), method->params, method->name,
                               *p));
        GB_TRY(gb_setting_check(config, found));
    }
    if (method->perturbs && isnan(config->step_size))
        config->step_size = method->step_factor * config->eps / (float)config->steps;
fail:
    return err;
}

static const gb_adversary *method_of(const gb_adversary_config *config)
{
    const gb_adversary *method = &table[0];
    gb_adversary_find(&method, config->name);
    return method;
}

bool gb_adversary_doubles(const gb_adversary_config *config)
{
    return method_of(config)->trades || !isnan(config->lambda);
}

gb_loss gb_adversary_loss(const gb_adversary_config *config)
{
    return method_of(config)->trades ? GB_LOSS_KL : GB_LOSS_CE;
}

// --- the attack ---

enum { START, STEP, KERNELS };

struct gb_perturb {
    const gb_adversary *method;
    gb_session *session;
    gb_buf *x, *x0, *ids; // x: the session's input
    gb_kernel *kernel[KERNELS];
    size_t bytes; // of a batch
    int steps;
};

static int make_start(gb_perturb *p, gb_device *dev, const size_t size[3], const int shape[2],
                      const gb_adversary_config *config, uint64_t seed)
{
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, epoch = 0;
    const size_t any[3] = {0};
    const int normal = p->method->trades;
    const float radius = normal ? 0.001f : config->eps; // at x itself KL has no slope
    int err = 0;
    GB_TRY(gb_kernel_create(&p->kernel[START], dev, "train", "perturb_start", ""));
    gb_kernel *k = p->kernel[START];
    GB_TRY(gb_kernel_arg_buf(k, 0, p->x));
    GB_TRY(gb_kernel_arg_buf(k, 1, p->ids));
    GB_TRY(gb_kernel_arg(k, 2, sizeof epoch, &epoch)); // gb_perturb_run sets it
    GB_TRY(gb_kernel_arg(k, 3, sizeof key[0], &key[0]));
    GB_TRY(gb_kernel_arg(k, 4, sizeof key[1], &key[1]));
    GB_TRY(gb_kernel_arg(k, 5, sizeof shape[0], &shape[0]));
    GB_TRY(gb_kernel_arg(k, 6, sizeof shape[1], &shape[1]));
    GB_TRY(gb_kernel_arg(k, 7, sizeof normal, &normal));
    GB_TRY(gb_kernel_arg(k, 8, sizeof radius, &radius));
    GB_TRY(gb_kernel_size(k, size, any));
fail:
    return err;
}

static int make_step(gb_perturb *p, gb_device *dev, const size_t size[3],
                     const gb_adversary_config *config)
{
    const float least = config->compat == GB_TRAIN_COMPAT_TUTORIAL ? 0 : -1;
    const float beyond = config->compat == GB_TRAIN_COMPAT_NSL ? config->eps : 0;
    const size_t all[3] = {size[0] * size[1], 1, 1}, any[3] = {0};
    int err = 0;
    GB_TRY(gb_kernel_create(&p->kernel[STEP], dev, "train", "perturb_step", ""));
    gb_kernel *k = p->kernel[STEP];
    GB_TRY(gb_kernel_arg_buf(k, 0, p->x));
    GB_TRY(gb_kernel_arg_buf(k, 1, p->x0));
    GB_TRY(gb_kernel_arg_buf(k, 2, gb_session_grad(p->session, 0)->buf));
    GB_TRY(gb_kernel_arg(k, 3, sizeof config->step_size, &config->step_size));
    GB_TRY(gb_kernel_arg(k, 4, sizeof config->eps, &config->eps));
    GB_TRY(gb_kernel_arg(k, 5, sizeof least, &least));
    GB_TRY(gb_kernel_arg(k, 6, sizeof beyond, &beyond));
    GB_TRY(gb_kernel_size(k, all, any));
fail:
    return err;
}

int gb_perturb_create(gb_perturb **out, gb_session *session, const gb_adversary_config *config,
                      uint64_t seed)
{
    gb_device *dev = gb_session_device(session);
    const gb_io *in = gb_session_input(session, 0), *grad = gb_session_grad(session, 0);
    size_t batch = (size_t)in->shape.dim[0];
    size_t pixels = (size_t)gb_shape_count(&in->shape) / batch;
    const size_t size[3] = {pixels, batch, 1};
    const int shape[2] = {(int)pixels, in->view.stride[1] == 1 ? (int)in->shape.dim[1] : 1};
    int err = 0;
    gb_perturb *p = calloc(1, sizeof *p);
    if (!p)
        return gb_fail(GB_ERR_NOMEM, "out of memory for an attack");
    *p = (gb_perturb){.method = method_of(config), .session = session, .x = in->buf,
                      .bytes = batch * pixels * sizeof(float), .steps = config->steps};
    for (int i = 0; i < in->shape.rank; i++)
        if (!grad || grad->view.stride[i] != in->view.stride[i]) {
            err = gb_fail(GB_ERR_UNSUPPORTED, "the session's input and its gradient differ");
            goto fail;
        }
    GB_TRY(gb_buf_create(&p->x0, dev, p->bytes));
    GB_TRY(gb_buf_create(&p->ids, dev, batch * sizeof(uint32_t)));
    GB_TRY(make_start(p, dev, size, shape, config, seed));
    GB_TRY(make_step(p, dev, size, config));
    *out = p;
    return 0;
fail:
    gb_perturb_free(p);
    return err;
}

void gb_perturb_free(gb_perturb *p)
{
    if (!p)
        return;
    for (int i = 0; i < KERNELS; i++)
        gb_kernel_free(p->kernel[i]);
    gb_buf_free(p->x0);
    gb_buf_free(p->ids);
    free(p);
}

gb_buf *gb_perturb_ids(const gb_perturb *p)
{
    return p->ids;
}

int gb_perturb_run(gb_perturb *p, size_t epoch)
{
    uint32_t number = (uint32_t)epoch;
    int err = 0;
    if (p->method->trades) {
        const gb_io *logits = gb_session_output(p->session, 0);
        size_t bytes = (size_t)gb_shape_count(&logits->shape) * sizeof(float);
        GB_TRY(gb_session_forward(p->session));
        GB_TRY(gb_buf_copy(gb_session_targets(p->session), 0, logits->buf, 0, bytes));
    }
    GB_TRY(gb_buf_copy(p->x0, 0, p->x, 0, p->bytes));
    if (p->method->random_start || p->method->trades) {
        GB_TRY(gb_kernel_arg(p->kernel[START], 2, sizeof number, &number));
        GB_TRY(gb_kernel_run(p->kernel[START]));
    }
    for (int i = 0; i < p->steps; i++) {
        GB_TRY(gb_session_gradient(p->session));
        GB_TRY(gb_kernel_run(p->kernel[STEP]));
    }
fail:
    return err;
}
