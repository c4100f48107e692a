// A 64-bit content hash (FNV-1a): cache keys and spotting equal bytes, nothing secret.
#ifndef GB_BASE_HASH_H
#define GB_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define GB_HASH_INIT UINT64_C(0xcbf29ce484222325)

// Continues `hash` over more bytes; start from GB_HASH_INIT.
static inline uint64_t gb_hash(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
    return hash;
}

#endif
