// The options that choose an attack and its parameters, shared by the commands that attack.
#ifndef TOOLS_ATTACK_OPTIONS_H
#define TOOLS_ATTACK_OPTIONS_H

#include "settings.h"

#include "attack/attack.h"

// How a command asks for an attack.
typedef struct attack_choice {
    const char *option; // "method": the option that chooses
    char letter;        // its short form, 0: none
    const char *chosen; // the default; NULL: no attack
    bool floats;        // rounding to 8 bits does not matter here unless asked for
    bool all_steps;     // images do not rest at their first success unless asked to
} attack_choice;

// The entries of the choice and of every parameter of attacks, over a settings_values; NULL when
// out of memory.
const option_entry *attack_options(gb_arena *arena, size_t *n, const attack_choice *choice);

// The configuration that the user's options ask for; `targeted` and `seed` are the caller's.
// Without an attack config->method is NULL, and parameters are an error.
int attack_configure(gb_attack_config *config, const settings_values *values,
                     const attack_choice *choice);

#endif
