// Puts the tables of training, optimisers, schedules and adversaries among the options.
#include "train_options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { RUN, OPTIM, SCHEDULE, ADVERSARY, MAX_OWNERS = 8 };

typedef struct tables {
    gb_train_config defaults;
    settings_owner owner[TRAIN_GROUPS][MAX_OWNERS];
    settings_family family[TRAIN_GROUPS];
} tables;

static const char *const run_params[] = {"batch", "epochs", "label-smoothing", "flip", "crop",
                                         NULL};

static void fill(tables *t)
{
    size_t n;
    const gb_optimizer *optimizer = gb_optimizer_all(&n);
    t->defaults = gb_train_default();
    t->owner[RUN][0] = (settings_owner){"training", "", run_params, &t->defaults};
    t->family[RUN] = (settings_family){.n_owner = 1};
    t->family[RUN].setting = gb_train_settings(&t->family[RUN].count);
    t->family[OPTIM] = (settings_family){.option = "optimizer", .chosen = t->defaults.optim.name,
                                         .n_owner = n};
    for (size_t i = 0; i < n; i++)
        t->owner[OPTIM][i] = (settings_owner){optimizer[i].name, optimizer[i].title,
                                              optimizer[i].params, &optimizer[i].defaults};
    t->family[OPTIM].setting = gb_optim_settings(&t->family[OPTIM].count);
    const gb_schedule *schedule = gb_schedule_all(&n);
    t->family[SCHEDULE] = (settings_family){.option = "schedule", .n_owner = n,
                                            .chosen = t->defaults.schedule.name};
    for (size_t i = 0; i < n; i++)
        t->owner[SCHEDULE][i] = (settings_owner){schedule[i].name, schedule[i].title,
                                                 schedule[i].params, &schedule[i].defaults};
    t->family[SCHEDULE].setting = gb_schedule_settings(&t->family[SCHEDULE].count);
    const gb_adversary *adversary = gb_adversary_all(&n);
    t->family[ADVERSARY] = (settings_family){.option = "adversarial", .n_owner = n,
                                             .chosen = t->defaults.adversary.name};
    for (size_t i = 0; i < n; i++)
        t->owner[ADVERSARY][i] = (settings_owner){adversary[i].name, adversary[i].title,
                                                  adversary[i].params, &adversary[i].defaults};
    t->family[ADVERSARY].setting = gb_adversary_settings(&t->family[ADVERSARY].count);
    for (int i = 0; i < TRAIN_GROUPS; i++)
        t->family[i].owner = t->owner[i];
}

void train_options(option_group *group, gb_arena *arena, train_values *values)
{
    static const char *const title[] = {"the run", "the optimizer", "the learning rate",
                                        "adversarial training"};
    tables t;
    fill(&t);
    for (int i = 0; i < TRAIN_GROUPS; i++) {
        group[i] = (option_group){.title = title[i], .values = &values->part[i]};
        group[i].entry = settings_options(arena, &group[i].count, &t.family[i]);
    }
}

static const settings_owner *chosen(const tables *t, int part, const char *name)
{
    const settings_owner *owner = t->family[part].owner;
    while (strcmp(owner->name, name))
        owner++;
    return owner;
}

static int apply(const tables *t, int part, void *fields, const train_values *v, const char *name)
{
    return settings_apply(fields, &t->family[part], &v->part[part], chosen(t, part, name));
}

int train_configure(gb_train_config *c, const train_values *v)
{
    const char *name;
    tables t;
    int err = 0;
    fill(&t);
    *c = t.defaults;
    GB_TRY(apply(&t, RUN, c, v, "training"));
    if ((name = v->part[OPTIM].chosen))
        GB_TRY(gb_optim_default(&c->optim, name));
    GB_TRY(apply(&t, OPTIM, &c->optim, v, c->optim.name));
    if ((name = v->part[SCHEDULE].chosen))
        GB_TRY(gb_schedule_default(&c->schedule, name));
    GB_TRY(apply(&t, SCHEDULE, &c->schedule, v, c->schedule.name));
    if ((name = v->part[ADVERSARY].chosen))
        GB_TRY(gb_adversary_default(&c->adversary, name));
    GB_TRY(apply(&t, ADVERSARY, &c->adversary, v, c->adversary.name));
    GB_TRY(gb_train_resolve(c));
fail:
    return err;
}

void train_summary(char *buf, size_t size, const char *model, const gb_train_config *c,
                   const gb_epoch *last, size_t epochs)
{
    const gb_adversary_config *a = &c->adversary;
    const char *slash = strrchr(model, '/');
    char against[64] = "", held[64] = "";
    if (strcmp(a->name, "none"))
        snprintf(against, sizeof against, " against %s with eps %.3g", a->name, (double)a->eps);
    if (!isnan(last->held_accuracy))
        snprintf(held, sizeof held, "; %.2f %% of held-out images right",
                 100 * last->held_accuracy);
    snprintf(buf, size, "%s, %zu epoch%s of %s%s%s", slash ? slash + 1 : model, epochs,
             epochs == 1 ? "" : "s", c->optim.name, against, held);
}
