// An attack made ready, as its own files see it.
#ifndef GB_ATTACK_INTERNAL_H
#define GB_ATTACK_INTERNAL_H

#include "attack/attack.h"
#include "attack/steps.h"

struct gb_attack {
    const gb_method *method;
    gb_attack_config config; // resolved
    gb_session *session;
    gb_steps *steps;
    size_t batch, pixels;
};

#endif
