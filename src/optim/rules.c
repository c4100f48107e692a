// The optimisers' table: their settings, defaults (PyTorch's; FTRL's are Keras's) and coefficients.
#include "optim/optim.h"

#include "base/name.h"

#include <math.h>
#include <string.h>

#define FIELD(name) offsetof(gb_optim_config, name)
static const gb_setting settings[] = {
    {.name = "lr", .kind = GB_SETTING_REAL, .offset = FIELD(lr), .min = 0, .max = 1e6,
     .help = "learning rate: the length of a step"},
    {.name = "momentum", .kind = GB_SETTING_REAL, .offset = FIELD(momentum), .min = 0, .max = 1,
     .help = "how much of the last step goes on"},
    {.name = "nesterov", .kind = GB_SETTING_FLAG, .offset = FIELD(nesterov),
     .help = "Nesterov's momentum: look ahead along it"},
    {.name = "beta1", .kind = GB_SETTING_REAL, .offset = FIELD(beta1), .min = 0, .max = 0.999999,
     .help = "how slowly the average of gradients forgets"},
    {.name = "beta2", .kind = GB_SETTING_REAL, .offset = FIELD(beta2), .min = 0, .max = 0.999999,
     .help = "how slowly the average of squared gradients forgets"},
    {.name = "alpha", .kind = GB_SETTING_REAL, .offset = FIELD(alpha), .min = 0, .max = 1,
     .help = "how slowly the average of squared gradients forgets"},
    {.name = "opt-eps", .kind = GB_SETTING_REAL, .offset = FIELD(eps), .min = 0, .max = 1,
     .help = "added to the denominator"},
    {.name = "weight-decay", .kind = GB_SETTING_REAL, .offset = FIELD(weight_decay), .min = 0,
     .max = 1e3, .help = "pulls the weights toward zero"},
    {.name = "lr-decay", .kind = GB_SETTING_REAL, .offset = FIELD(lr_decay), .min = 0, .max = 1e3,
     .help = "step t has length lr / (1 + (t - 1) X)"},
    {.name = "accumulator", .kind = GB_SETTING_REAL, .offset = FIELD(accumulator), .min = 0,
     .max = 1e6, .help = "what the sum of squared gradients begins with"},
    {.name = "lr-power", .kind = GB_SETTING_REAL, .offset = FIELD(lr_power), .min = -1, .max = 0,
     .help = "steps fall with this power of that sum"},
    {.name = "l1", .kind = GB_SETTING_REAL, .offset = FIELD(l1), .min = 0, .max = 1e6,
     .help = "penalty on magnitudes: small weights become zero"},
    {.name = "l2", .kind = GB_SETTING_REAL, .offset = FIELD(l2), .min = 0, .max = 1e6,
     .help = "penalty on squares"},
};

static void sgd(double k[8], const gb_optim_config *c, double lr, int64_t step)
{
    (void)step;
    k[0] = lr;
    k[2] = c->momentum;
    k[3] = c->nesterov ? 1 : 0;
}

// Shared by Adam and AdamW: the averages start at 0, which 1 - beta^t makes up for.
static void averages(double k[8], const gb_optim_config *c, double lr, int64_t step)
{
    k[0] = lr / (1 - pow(c->beta1, (double)step));
    k[2] = c->beta1;
    k[3] = 1 - c->beta1;
    k[4] = c->beta2;
    k[5] = 1 - c->beta2;
    k[6] = sqrt(1 - pow(c->beta2, (double)step));
    k[7] = c->eps;
}

static void adamw(double k[8], const gb_optim_config *c, double lr, int64_t step)
{
    averages(k, c, lr, step);
    k[1] = 1 - lr * c->weight_decay;
}

static void rmsprop(double k[8], const gb_optim_config *c, double lr, int64_t step)
{
    (void)step;
    k[0] = lr;
    k[2] = c->alpha;
    k[3] = 1 - c->alpha;
    k[4] = c->momentum;
    k[7] = c->eps;
}

static void adagrad(double k[8], const gb_optim_config *c, double lr, int64_t step)
{
    k[0] = lr / (1 + (double)(step - 1) * c->lr_decay);
    k[7] = c->eps;
}

static void ftrl(double k[8], const gb_optim_config *c, double lr, int64_t step)
{
    (void)step;
    k[0] = (1 / lr);
    k[2] = -c->lr_power;
    k[3] = c->l1;
    k[4] = 2 * c->l2;
}

static const gb_optimizer table[] = {
    {.name = "sgd", .title = "stochastic gradient descent, with momentum where asked for",
     .params = (const char *const[]){"lr", "momentum", "nesterov", "weight-decay", NULL},
     .defaults = {.name = "sgd", .lr = 0.01}, .states = 1, .coefficients = sgd},
    {.name = "adam", .title = "adaptive moments (Kingma & Ba 2015)",
     .params = (const char *const[]){"lr", "beta1", "beta2", "opt-eps", "weight-decay", NULL},
     .defaults = {.name = "adam", .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
     .states = 2, .coefficients = averages},
    {.name = "adamw", .title = "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
     .params = (const char *const[]){"lr", "beta1", "beta2", "opt-eps", "weight-decay", NULL},
     .defaults = {.name = "adamw", .lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8,
                  .weight_decay = 0.01},
     .states = 2, .coefficients = adamw},
    {.name = "rmsprop", .title = "steps divided by the root mean square of recent gradients",
     .params = (const char *const[]){"lr", "alpha", "momentum", "opt-eps", "weight-decay", NULL},
     .defaults = {.name = "rmsprop", .lr = 0.01, .alpha = 0.99, .eps = 1e-8},
     .states = 2, .coefficients = rmsprop},
    {.name = "adagrad", .title = "steps divided by the root of all squared gradients' sum",
     .params = (const char *const[]){"lr", "lr-decay", "accumulator", "opt-eps", "weight-decay",
                                     NULL},
     .defaults = {.name = "adagrad", .lr = 0.01, .eps = 1e-10},
     .states = 1, .coefficients = adagrad},
    {.name = "ftrl", .title = "follow the regularised leader (McMahan et al. 2013)",
     .params = (const char *const[]){"lr", "lr-power", "accumulator", "l1", "l2", NULL},
     .defaults = {.name = "ftrl", .lr = 1e-3, .accumulator = 0.1, .lr_power = -0.5},
     .states = 2, .coefficients = ftrl},
};

const gb_optimizer *gb_optimizer_all(size_t *count)
{
    *count = GB_COUNT(table);
    return table;
}

const gb_setting *gb_optim_settings(size_t *count)
{
    *count = GB_COUNT(settings);
    return settings;
}

int gb_optimizer_find(const gb_optimizer **out, const char *name)
{
    int i = gb_name_find("optimizer", name, &table[0].name, sizeof *table, GB_COUNT(table));
    if (i >= 0)
        *out = &table[i];
    return i < 0 ? i : 0;
}

int gb_optim_default(gb_optim_config *config, const char *name)
{
    const gb_optimizer *found;
    int err = gb_optimizer_find(&found, name);
    if (err >= 0)
        *config = found->defaults;
    return err;
}

int gb_optim_check(const gb_optim_config *config)
{
    const gb_optimizer *rule;
    int err = 0;
    GB_TRY(gb_optimizer_find(&rule, config->name));
    for (size_t i = 0; i < GB_COUNT(settings); i++)
        GB_TRY(gb_setting_check(config, &settings[i]));
    if (config->nesterov && config->momentum == 0)
        return gb_fail(GB_ERR_ARG, "nesterov needs a momentum, 0.9 for instance");
    if (rule->coefficients == ftrl && config->lr == 0)
        return gb_fail(GB_ERR_ARG, "ftrl divides by its lr, which is 0");
fail:
    return err;
}
