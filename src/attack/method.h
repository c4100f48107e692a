// The methods' descriptors, for the table in method.c.
#ifndef GB_ATTACK_METHOD_H
#define GB_ATTACK_METHOD_H

#include "attack/attack.h"

extern const gb_method gb_method_fgsm, gb_method_pgd;

#endif
