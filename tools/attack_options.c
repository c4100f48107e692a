// The table of attacks as options of the command line.
#include "attack_options.h"

enum { MAX_METHODS = 32 };

static void family(settings_family *out, settings_owner owner[MAX_METHODS])
{
    size_t count;
    const gb_method *const *method = gb_method_all(&count);
    *out = (settings_family){.option = "method", .letter = 'm', .chosen = "pgd", .owner = owner};
    for (size_t i = 0; i < count && i < MAX_METHODS; i++)
        owner[out->n_owner++] = (settings_owner){method[i]->name, method[i]->title,
                                                 method[i]->params, &method[i]->defaults};
    out->setting = gb_attack_settings(&out->count);
}

const option_entry *attack_options(gb_arena *arena, size_t *n)
{
    settings_family f;
    settings_owner owner[MAX_METHODS];
    family(&f, owner);
    return settings_options(arena, n, &f);
}

int attack_configure(gb_attack_config *config, const settings_values *values)
{
    settings_family f;
    settings_owner owner[MAX_METHODS];
    const gb_method *method;
    int err = 0;
    family(&f, owner);
    const char *name = values->chosen ? values->chosen : f.chosen;
    GB_TRY(gb_attack_default(config, name));
    GB_TRY(gb_method_find(&method, name));
    const settings_owner chosen = {method->name, method->title, method->params, &method->defaults};
    GB_TRY(settings_apply(config, &f, values, &chosen));
fail:
    return err;
}
