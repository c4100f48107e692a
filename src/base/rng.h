// Philox 4x32-10, a counter-based random number generator (Salmon et al., SC 2011): the same
// counter and key give the same numbers on host and device, in any order. cl/random.cl holds its
// twin.
#ifndef GB_BASE_RNG_H
#define GB_BASE_RNG_H

#include <stdint.h>

typedef struct gb_philox {
    uint32_t v[4];
} gb_philox;

static inline gb_philox gb_philox4x32(gb_philox ctr, uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53u * ctr.v[0], b = (uint64_t)0xCD9E8D57u * ctr.v[2];
        ctr = (gb_philox){{(uint32_t)(b >> 32) ^ ctr.v[1] ^ k0, (uint32_t)b,
                           (uint32_t)(a >> 32) ^ ctr.v[3] ^ k1, (uint32_t)a}};
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return ctr;
}

// A number in (0,1), never 0 or 1: 23 bits and a half, since 24 and a half would round to 1.
static inline float gb_uniform(uint32_t bits)
{
    return ((float)(bits >> 9) + 0.5f) * 0x1p-23f;
}

#endif
