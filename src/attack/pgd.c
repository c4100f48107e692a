// FGSM (Goodfellow et al. 2015) and PGD (Madry et al. 2018): steps along the gradient of a loss,
// each projected onto the ball around the image. FGSM is the one step of length eps.
#include "attack/method.h"
#include "attack/steps.h"

#include <math.h>

static int check_pgd(const gb_attack_config *config)
{
    if (config->restarts > 1 && !config->random_start)
        return gb_fail(GB_ERR_ARG, "%d restarts without a random start would all be the same",
                       config->restarts);
    return 0;
}

static int check_fgsm(const gb_attack_config *config)
{
    if (config->steps != 1 || config->restarts != 1)
        return gb_fail(GB_ERR_ARG, "fgsm takes one step; for %d steps and %d restarts use pgd",
                       config->steps, config->restarts);
    return 0;
}

// Keras's Adam with the tutorial's numbers, which are in levels of 0 to 255: a clip of 2/255 of a
// level, a rate of 5e-3, or 0.1 where any wrong class will do.
static void tutorial_pgd(gb_attack_config *config)
{
    config->random_start = config->early_stop = config->keep_best = config->eight_bit = 0;
    if (config->optimizer == GB_STEP_SIGN)
        config->optimizer = GB_STEP_ADAM;
    if (config->targeted)
        config->loss = GB_LOSS_PAIR;
    if (isnan(config->eps))
        config->eps = 2.0f / 255 / 255;
    if (isnan(config->step_size))
        config->step_size = (config->targeted ? 5e-3f : 0.1f) / 255;
}

static const char *const fgsm_params[] = {"norm", "eps", "loss", "compat", NULL};
static const char *const pgd_params[] = {
    "norm", "eps",        "step-size", "steps",     "restarts",  "random-start",
    "loss", "early-stop", "keep-best", "eight-bit", "optimizer", "compat", NULL};

const gb_method gb_method_fgsm = {
    .name = "fgsm",
    .title = "fast gradient sign method: one step of length eps",
    .params = fgsm_params,
    .defaults = {.norm = GB_NORM_LINF, .loss = GB_LOSS_CE, .eps = NAN, .step_size = NAN, .steps = 1,
                 .restarts = 1},
    .step_factor = 1.0f,
    .check = check_fgsm,
    .move = gb_steps_move,
};

const gb_method gb_method_pgd = {
    .name = "pgd",
    .title = "projected gradient descent: many small steps, projected onto the ball",
    .params = pgd_params,
    .defaults = {.norm = GB_NORM_LINF, .loss = GB_LOSS_CE, .eps = NAN, .step_size = NAN,
                 .steps = 10, .restarts = 1, .random_start = 1, .early_stop = 1,
                 .keep_best = 1, .eight_bit = 1},
    .step_factor = 2.5f,
    .tutorial = tutorial_pgd,
    .check = check_pgd,
    .move = gb_steps_move,
};
