// Memory: checked sizes and an arena that frees everything at once.
#ifndef GB_BASE_MEM_H
#define GB_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GB_COUNT(array) (sizeof(array) / sizeof *(array))

// *out = a * b; false on overflow.
static inline bool gb_mul_size(size_t *out, size_t a, size_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline size_t gb_align(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

// An arena: zeroed, 64-byte aligned pieces, freed together. A zeroed gb_arena is empty and valid.
typedef struct gb_arena_block gb_arena_block;
typedef struct gb_arena {
    gb_arena_block *blocks;
} gb_arena;

// Zeroed memory that lives until gb_arena_finish; NULL (with a recorded error) when out of memory.
void *gb_arena_alloc(gb_arena *arena, size_t bytes);
void *gb_arena_array(gb_arena *arena, size_t count, size_t size);
// Takes over malloc'ed memory, aligned as that is, also in failure (NULL, with a recorded error).
void *gb_arena_adopt(gb_arena *arena, void *data);
char *gb_arena_strdup(gb_arena *arena, const char *text);
char *gb_arena_printf(gb_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void gb_arena_finish(gb_arena *arena);

// Zeroed memory, 64-byte aligned, which a device's buffer may become; for free(). NULL: out of
// memory.
void *gb_alloc_aligned(size_t bytes);

// Grows a malloc'ed array to hold at least `need` elements; doubles. 0 or GB_ERR_NOMEM.
int gb_grow(void *array_pointer, size_t *capacity, size_t need, size_t size);

#endif
