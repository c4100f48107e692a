// The table of learning rate schedules.
#include "optim/schedule.h"

#include "base/mem.h"
#include "base/name.h"
#include "base/status.h"

#include <math.h>
#include <string.h>

#define FIELD(name) offsetof(gb_schedule_config, name)
static const gb_setting settings[] = {
    {.name = "lr-step", .kind = GB_SETTING_INT, .offset = FIELD(lr_step), .min = 1, .max = 1e6,
     .help = "epochs until the rate falls, and falls again"},
    {.name = "lr-gamma", .kind = GB_SETTING_REAL, .offset = FIELD(lr_gamma), .min = 0, .max = 1,
     .help = "the factor of each fall"},
    {.name = "lr-min", .kind = GB_SETTING_REAL, .offset = FIELD(lr_min), .min = 0, .max = 1e6,
     .help = "the rate at the end"},
    {.name = "lr-warmup", .kind = GB_SETTING_REAL, .offset = FIELD(lr_warmup), .min = 0, .max = 1,
     .help = "the part of the run in which the rate rises"},
    {.name = "lr-start-div", .kind = GB_SETTING_REAL, .offset = FIELD(lr_start_div), .min = 1,
     .max = 1e6, .help = "the rate begins at lr / X"},
    {.name = "lr-end-div", .kind = GB_SETTING_REAL, .offset = FIELD(lr_end_div), .min = 1,
     .max = 1e9, .help = "the rate ends at that beginning / X"},
};

static double constant(const gb_schedule_config *c, double lr, int64_t step, int64_t epoch,
                       int64_t total)
{
    (void)c, (void)step, (void)epoch, (void)total;
    return lr;
}

static double stairs(const gb_schedule_config *c, double lr, int64_t step, int64_t epoch,
                     int64_t total)
{
    (void)total;
    return lr * pow(c->lr_gamma, (double)(step / epoch / c->lr_step));
}

// From a to b as part goes from 0 to 1, along half a wave.
static double wave(double a, double b, double part)
{
    return b + (a - b) / 2 * (1 + cos(M_PI * part));
}

static double cosine(const gb_schedule_config *c, double lr, int64_t step, int64_t epoch,
                     int64_t total)
{
    (void)epoch;
    return wave(lr, c->lr_min, (double)step / (double)total);
}

// Smith & Topin 2019: up to lr, then down far below the beginning.
static double one_cycle(const gb_schedule_config *c, double lr, int64_t step, int64_t epoch,
                        int64_t total)
{
    (void)epoch;
    double first = lr / c->lr_start_div, last = first / c->lr_end_div;
    double top = fmax(c->lr_warmup * (double)total - 1, 0), end = (double)total - 1;
    if ((double)step < top)
        return wave(first, lr, (double)step / top);
    return end > top ? wave(lr, last, ((double)step - top) / (end - top)) : lr;
}

static const gb_schedule table[] = {
    {.name = "constant", .title = "the same rate throughout",
     .params = (const char *const[]){NULL},
     .defaults = {.name = "constant"}, .rate = constant},
    {.name = "step", .title = "falls by a factor every few epochs",
     .params = (const char *const[]){"lr-step", "lr-gamma", NULL},
     .defaults = {.name = "step", .lr_step = 10, .lr_gamma = 0.1}, .rate = stairs},
    {.name = "cosine", .title = "falls along half a cosine",
     .params = (const char *const[]){"lr-min", NULL},
     .defaults = {.name = "cosine"}, .rate = cosine, .needs_total = true},
    {.name = "one-cycle", .title = "rises to lr, then falls to almost nothing",
     .params = (const char *const[]){"lr-warmup", "lr-start-div", "lr-end-div", NULL},
     .defaults = {.name = "one-cycle", .lr_warmup = 0.3, .lr_start_div = 25, .lr_end_div = 1e4},
     .rate = one_cycle, .needs_total = true},
};

const gb_schedule *gb_schedule_all(size_t *count)
{
    *count = GB_COUNT(table);
    return table;
}

const gb_setting *gb_schedule_settings(size_t *count)
{
    *count = GB_COUNT(settings);
    return settings;
}

int gb_schedule_find(const gb_schedule **out, const char *name)
{
    int i = gb_name_find("schedule", name, &table[0].name, sizeof *table, GB_COUNT(table));
    if (i >= 0)
        *out = &table[i];
    return i < 0 ? i : 0;
}

int gb_schedule_default(gb_schedule_config *config, const char *name)
{
    const gb_schedule *found;
    int err = gb_schedule_find(&found, name);
    if (err >= 0)
        *config = found->defaults;
    return err;
}

int gb_schedule_check(const gb_schedule_config *config)
{
    const gb_schedule *found;
    int err = 0;
    GB_TRY(gb_schedule_find(&found, config->name));
    for (const char *const *p = found->params; *p; p++)
        for (size_t i = 0; i < GB_COUNT(settings); i++)
            if (!strcmp(*p, settings[i].name))
                GB_TRY(gb_setting_check(config, &settings[i]));
fail:
    return err;
}
