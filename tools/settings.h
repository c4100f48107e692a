// Tables of settings (base/setting.h) as options of the command line: attacks, optimisers, ...
#ifndef TOOLS_SETTINGS_H
#define TOOLS_SETTINGS_H

#include "options.h"

#include "base/mem.h"
#include "base/setting.h"

enum { MAX_SETTINGS = 32 };

// One of several things to choose from, with settings of its own.
typedef struct settings_owner {
    const char *name;          // "pgd"
    const char *title;         // "projected gradient descent (Madry et al. 2018)"
    const char *const *params; // NULL-terminated names of the settings that it has
    const void *defaults;      // the fields with their default values
} settings_owner;

// A choice and all its settings.
typedef struct settings_family {
    const char *option; // "method": the option that chooses; NULL: nothing to choose, one owner
    char letter;        // its short form, 0: none
    const char *chosen; // the default choice; NULL: none of them
    const settings_owner *owner;
    size_t n_owner;
    const gb_setting *setting;
    size_t count; // <= MAX_SETTINGS
} settings_family;

// What the user gave: the values of the options below.
typedef struct settings_values {
    const char *chosen;
    const char *text[MAX_SETTINGS]; // in the settings' order; NULL: not given
} settings_values;

// The entries of the choice and of every setting, for a group over a settings_values; NULL when out
// of memory.
const option_entry *settings_options(gb_arena *arena, size_t *n, const settings_family *family);

// Sets the fields that the user gave. GB_ERR_ARG: a wrong value, or a setting that `owner` has not.
int settings_apply(void *fields, const settings_family *family, const settings_values *values,
                   const settings_owner *owner);

#endif
