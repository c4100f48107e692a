// The table of attack methods, and the checks of a whole configuration.
#include "attack/method.h"

#include "base/name.h"

#include <math.h>
#include <string.h>

static const gb_method *const methods[] = {&gb_method_fgsm, &gb_method_pgd};

const gb_method *const *gb_method_all(size_t *count)
{
    *count = GB_COUNT(methods);
    return methods;
}

int gb_method_find(const gb_method **out, const char *name)
{
    const char *names[GB_COUNT(methods)];
    for (size_t i = 0; i < GB_COUNT(methods); i++)
        names[i] = methods[i]->name;
    int i = gb_name_find("method", name, names, sizeof *names, GB_COUNT(methods));
    if (i >= 0)
        *out = methods[i];
    return i < 0 ? i : 0;
}

int gb_attack_default(gb_attack_config *config, const char *method)
{
    const gb_method *found;
    if (!config || !method)
        return gb_fail(GB_ERR_ARG, "gb_attack_default: an argument is NULL");
    int err = gb_method_find(&found, method);
    if (err < 0)
        return err;
    *config = found->defaults;
    config->method = found->name;
    return 0;
}

static int check_loss(const gb_attack_config *config)
{
    if (config->loss == GB_LOSS_PAIR && !config->targeted)
        return gb_fail(GB_ERR_ARG, "the loss pair needs a target beside the class to leave");
    return 0;
}

float gb_attack_radius(const gb_attack_config *config)
{
    const gb_method *method;
    bool loose = config->compat == GB_COMPAT_TUTORIAL &&
                 gb_method_find(&method, config->method) == 0 && method->tutorial;
    return loose ? 1.0f : config->eps;
}

int gb_attack_resolve(gb_attack_config *config)
{
    const gb_method *method;
    const gb_setting *param;
    int err = 0;
    size_t count;
    GB_TRY(gb_method_find(&method, config->method));
    config->method = method->name;
    param = gb_attack_settings(&count);
    for (size_t i = 0; i < count; i++)
        GB_TRY(gb_setting_check(config, &param[i]));
    if (config->compat == GB_COMPAT_TUTORIAL && config->norm != GB_NORM_LINF)
        return gb_fail(GB_ERR_ARG, "the tutorial knows the norm linf alone");
    if (config->compat == GB_COMPAT_TUTORIAL && method->tutorial)
        method->tutorial(config);
    GB_TRY(check_loss(config));
    if (isnan(config->eps))
        config->eps = config->norm == GB_NORM_LINF ? 8.0f / 255 : 1.0f;
    if (config->norm == GB_NORM_LINF && config->eps > 1)
        return gb_fail(GB_ERR_ARG,
                       "eps %g is larger than the whole pixel range [0,1]: did you mean %g/255?",
                       (double)config->eps, (double)config->eps);
    if (method->check)
        GB_TRY(method->check(config));
    if (isnan(config->step_size))
        config->step_size = method->step_factor * config->eps / (float)config->steps;
fail:
    return err;
}
