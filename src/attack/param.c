// The parameters of attacks as data.
#include "attack/attack.h"

static const char *const norms[] = {"linf", "l2", NULL};
static const char *const losses[] = {"ce", "margin", "dlr", "pair", NULL};
static const char *const rules[] = {"sign", "sgd", "adam", "rmsprop", "adagrad", "ftrl", NULL};
static const char *const habits[] = {"none", "tutorial", NULL};

#define FIELD(name) offsetof(gb_attack_config, name)
static const gb_setting params[] = {
    {.name = "norm", .kind = GB_SETTING_ENUM, .offset = FIELD(norm), .choices = norms,
     .first = GB_NORM_LINF, .help = "the ball around each image"},
    {.name = "eps", .kind = GB_SETTING_EPS, .offset = FIELD(eps), .min = 0, .max = 1e4,
     .unset = "8/255 for linf, 1 for l2",
     .help = "radius of the ball, as a fraction of the pixel range: 8/255 or 0.03"},
    {.name = "step-size", .kind = GB_SETTING_EPS, .offset = FIELD(step_size), .min = 0, .max = 1e4,
     .unset = "2.5 eps / steps", .help = "length of a step, in the units of eps"},
    {.name = "steps", .kind = GB_SETTING_INT, .offset = FIELD(steps), .min = 1, .max = 1e6,
     .help = "gradient steps of each restart"},
    {.name = "restarts", .kind = GB_SETTING_INT, .offset = FIELD(restarts), .min = 1, .max = 1e6,
     .help = "random starts tried on images that are not broken yet"},
    {.name = "random-start", .kind = GB_SETTING_FLAG, .offset = FIELD(random_start),
     .help = "start at a uniformly random point of the ball"},
    {.name = "loss", .kind = GB_SETTING_ENUM, .offset = FIELD(loss), .choices = losses,
     .first = GB_LOSS_CE,
     .help = "what the steps ascend: cross-entropy, margin, logit ratio, or cross-entropy with the "
             "target less that with the class to leave (pair)"},
    {.name = "optimizer", .kind = GB_SETTING_ENUM, .offset = FIELD(optimizer), .choices = rules,
     .first = GB_STEP_SIGN,
     .help = "what makes a step of a gradient: its sign (l2: its direction), or an optimiser with "
             "Keras's defaults and step-size as its rate"},
    {.name = "compat", .kind = GB_SETTING_ENUM, .offset = FIELD(compat), .choices = habits,
     .first = GB_COMPAT_NONE,
     .help = "tutorial: as a well-known tutorial does it, which enforces no eps (pgd) or only "
             "brightens (fgsm)"},
    {.name = "early-stop", .kind = GB_SETTING_FLAG, .offset = FIELD(early_stop),
     .help = "an image rests at its first success"},
    {.name = "keep-best", .kind = GB_SETTING_FLAG, .offset = FIELD(keep_best),
     .help = "return the best iterate (success, then loss) instead of the last"},
    {.name = "eight-bit", .kind = GB_SETTING_FLAG, .offset = FIELD(eight_bit),
     .help = "do not stop early at a success that rounding to 8 bits would undo"},
};

const gb_setting *gb_attack_settings(size_t *count)
{
    *count = GB_COUNT(params);
    return params;
}

int gb_attack_setting(const gb_setting **out, const gb_method *method, const char *name)
{
    return gb_setting_find(out, params, GB_COUNT(params), method->params, method->name, name);
}
