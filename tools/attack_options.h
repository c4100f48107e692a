// The options that choose an attack and its parameters, shared by the commands that attack.
#ifndef TOOLS_ATTACK_OPTIONS_H
#define TOOLS_ATTACK_OPTIONS_H

#include "settings.h"

#include "attack/attack.h"

// The entries of --method and of every parameter of attacks, over a settings_values; NULL when out
// of memory.
const option_entry *attack_options(gb_arena *arena, size_t *n);

// The configuration that the user's options ask for; `targeted` and `seed` are the caller's.
int attack_configure(gb_attack_config *config, const settings_values *values);

#endif
