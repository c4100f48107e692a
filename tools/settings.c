// Makes options, with help that tells every default, of tables of settings.
#include "settings.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static bool has(const settings_owner *owner, const char *name)
{
    for (const char *const *p = owner->params; *p; p++) {
        if (!strcmp(*p, name))
            return true;
    }
    return false;
}

// "radius of the ball (default: 8/255 for linf; steps: fgsm 1, pgd 10)"
static const char *setting_help(gb_arena *arena, const settings_family *f, const gb_setting *s)
{
    size_t n = 0;
    char each[64], first[64] = "", list[512] = "";
    bool same = true;
    for (size_t i = 0; i < f->n_owner; i++) {
        const settings_owner *owner = &f->owner[i];
        if (!has(owner, s->name))
            continue;
        gb_setting_text(each, sizeof each, owner->defaults, s);
        if (!n++)
            memcpy(first, each, sizeof first);
        same = same && !strcmp(first, each);
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s for %s", used ? ", " : "", each,
                 owner->name);
    }
    return gb_arena_printf(arena, "%s (default: %s)", s->help, same ? first : list);
}

// What help calls a value.
static const char *value_name(gb_arena *arena, const gb_setting *s)
{
    char list[128] = "";
    if (s->kind != GB_SETTING_ENUM)
        return s->kind == GB_SETTING_INT ? "N" : "X";
    for (int k = 0; s->choices[k]; k++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? "|" : "", s->choices[k]);
    }
    return gb_arena_strdup(arena, list);
}

const option_entry *settings_options(gb_arena *arena, size_t *n, const settings_family *f)
{
    option_entry *entry = gb_arena_array(arena, f->count + 1, sizeof *entry);
    size_t first = f->option ? 1 : 0;
    char names[768] = "";
    if (!entry)
        return NULL;
    for (size_t i = 0; i < f->n_owner; i++) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s, %s", used ? "; or " : "",
                 f->owner[i].name, f->owner[i].title);
    }
    if (f->option)
        entry[0] = (option_entry){
            f->option, f->letter, OPTION_TEXT, offsetof(settings_values, chosen), "NAME",
            gb_arena_printf(arena, "%s (default: %s)", names, f->chosen ? f->chosen : "none")};
    for (size_t i = 0; i < f->count; i++) {
        const gb_setting *s = &f->setting[i];
        entry[first + i] = (option_entry){
            .name = s->name,
            .kind = s->kind == GB_SETTING_FLAG ? OPTION_SWITCH : OPTION_TEXT,
            .offset = offsetof(settings_values, text) + i * sizeof(const char *),
            .arg = value_name(arena, s),
            .help = setting_help(arena, f, s),
        };
        if (!entry[first + i].arg || !entry[first + i].help)
            return NULL;
    }
    *n = first + f->count;
    return entry[0].help ? entry : NULL;
}

int settings_apply(void *fields, const settings_family *f, const settings_values *values,
                   const settings_owner *owner)
{
    const gb_setting *found;
    int err = 0;
    for (size_t i = 0; i < f->count; i++) {
        if (!values->text[i])
            continue;
        GB_TRY(gb_setting_find(&found, f->setting, f->count, owner->params, owner->name,
                               f->setting[i].name));
        GB_TRY(gb_setting_set(fields, found, values->text[i]));
    }
fail:
    return err;
}
