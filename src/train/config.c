// The settings of a training run.
#include "base/number.h"
#include "train/internal.h"

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(name) offsetof(gb_train_config, name)
static const gb_setting settings[] = {
    {.name = "batch", .kind = GB_SETTING_INT, .offset = FIELD(batch), .min = 1, .max = 65536,
     .help = "images of a step"},
    {.name = "epochs", .kind = GB_SETTING_INT, .offset = FIELD(epochs), .min = 1, .max = 1e6,
     .help = "passes over the data"},
    {.name = "label-smoothing", .kind = GB_SETTING_REAL, .offset = FIELD(label_smoothing),
     .min = 0, .max = 1, .help = "the share of the target that is spread over all classes"},
    {.name = "flip", .kind = GB_SETTING_FLAG, .offset = FIELD(flip),
     .help = "mirror every other image"},
    {.name = "crop", .kind = GB_SETTING_INT, .offset = FIELD(crop), .min = 0, .max = 1024,
     .help = "shift images by up to N pixels, black coming in"},
};

const gb_setting *gb_train_settings(size_t *count)
{
    *count = GB_COUNT(settings);
    return settings;
}

gb_train_config gb_train_default(void)
{
    gb_train_config c = {.batch = 64, .epochs = 10};
    gb_optim_default(&c.optim, "adam");
    gb_schedule_default(&c.schedule, "constant");
    gb_adversary_default(&c.adversary, "none");
    return c;
}

int gb_train_resolve(gb_train_config *config)
{
    int err = 0;
    for (size_t i = 0; i < GB_COUNT(settings); i++)
        GB_TRY(gb_setting_check(config, &settings[i]));
    GB_TRY(gb_optim_check(&config->optim));
    GB_TRY(gb_schedule_check(&config->schedule));
    GB_TRY(gb_adversary_resolve(&config->adversary));
fail:
    return err;
}

// Lines for people, and into *bits what tells numbers apart that these round.
static void describe(FILE *out, uint64_t *bits, const char *what, const char *owner,
                     const char *const *params, const gb_setting *setting, size_t count,
                     const void *fields)
{
    const gb_setting *found;
    char text[64];
    fprintf(out, "%s %s\n", what, owner);
    for (const char *const *p = params; *p; p++) {
        if (gb_setting_find(&found, setting, count, params, owner, *p) < 0)
            continue;
        fprintf(out, "%s %s\n", *p, gb_setting_text(text, sizeof text, fields, found));
        gb_setting_exact(text, sizeof text, fields, found);
        *bits = gb_hash(*bits, text, strlen(text) + 1);
    }
}

char *gb_train_describe(const gb_train_config *c)
{
    const gb_optimizer *optimizer;
    const gb_schedule *schedule;
    const gb_adversary *adversary;
    const gb_setting *setting;
    char *text = NULL;
    size_t size, count;
    uint64_t bits = gb_hash(GB_HASH_INIT, &c->label_smoothing, sizeof c->label_smoothing);
    FILE *out = open_memstream(&text, &size);
    if (!out || gb_optimizer_find(&optimizer, c->optim.name) < 0 ||
        gb_schedule_find(&schedule, c->schedule.name) < 0 ||
        gb_adversary_find(&adversary, c->adversary.name) < 0)
        goto fail;
    setting = gb_optim_settings(&count);
    describe(out, &bits, "optimizer", optimizer->name, optimizer->params, setting, count,
             &c->optim);
    setting = gb_schedule_settings(&count);
    describe(out, &bits, "schedule", schedule->name, schedule->params, setting, count,
             &c->schedule);
    setting = gb_adversary_settings(&count);
    describe(out, &bits, "adversarial", adversary->name, adversary->params, setting, count,
             &c->adversary);
    gb_print(out, "batch %d\nlabel-smoothing %.9g\nflip %s\ncrop %d\nseed %llu\n", c->batch,
             c->label_smoothing, c->flip ? "yes" : "no", c->crop, (unsigned long long)c->seed);
    if (schedule->needs_total) // else a run may be made longer
        fprintf(out, "epochs %d\n", c->epochs);
    fprintf(out, "exact numbers %016" PRIx64 "\n", bits);
    if (fclose(out) == 0)
        return text;
    out = NULL;
fail:
    if (out)
        fclose(out);
    free(text);
    return NULL;
}
