// The table of attacks as options of the command line.
#include "attack_options.h"

enum { MAX_METHODS = 32 };

typedef struct family {
    settings_family all;
    settings_owner owner[MAX_METHODS];
    gb_attack_config defaults[MAX_METHODS];
} family;

static void fill(family *f, const attack_choice *choice)
{
    size_t count;
    const gb_method *const *method = gb_method_all(&count);
    f->all = (settings_family){.option = choice->option, .letter = choice->letter,
                               .chosen = choice->chosen, .owner = f->owner};
    for (size_t i = 0; i < count && i < MAX_METHODS; i++) {
        f->defaults[i] = method[i]->defaults;
        f->defaults[i].method = method[i]->name;
        if (choice->floats)
            f->defaults[i].eight_bit = 0;
        if (choice->all_steps)
            f->defaults[i].early_stop = 0;
        f->owner[f->all.n_owner++] = (settings_owner){method[i]->name, method[i]->title,
                                                      method[i]->params, &f->defaults[i]};
    }
    f->all.setting = gb_attack_settings(&f->all.count);
}

const option_entry *attack_options(gb_arena *arena, size_t *n, const attack_choice *choice)
{
    family f;
    fill(&f, choice);
    return settings_options(arena, n, &f.all);
}

int attack_configure(gb_attack_config *config, const settings_values *values,
                     const attack_choice *choice)
{
    family f;
    const gb_method *method;
    const char *name = values->chosen ? values->chosen : choice->chosen;
    int err = 0;
    fill(&f, choice);
    *config = (gb_attack_config){0};
    for (size_t i = 0; i < f.all.count && !name; i++) {
        if (values->text[i])
            return gb_fail(GB_ERR_ARG, "--%s is of an attack: give --%s too",
                           f.all.setting[i].name, choice->option);
    }
    if (!name)
        return 0;
    GB_TRY(gb_method_find(&method, name));
    for (size_t i = 0; i < f.all.n_owner; i++) {
        if (f.defaults[i].method != method->name)
            continue;
        *config = f.defaults[i];
        GB_TRY(settings_apply(config, &f.all, values, &f.owner[i]));
    }
fail:
    return err;
}
