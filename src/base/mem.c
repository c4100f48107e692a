// The arena: large blocks, bumped; a big piece gets a block of its own.
#include "base/mem.h"

#include "base/number.h"
#include "base/parallel.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { BLOCK = 1 << 16, ALIGN = 64 };

struct gb_arena_block {
    gb_arena_block *next;
    void *adopted;     // freed with the block, or NULL
    size_t used, size; // of data[]
    _Alignas(ALIGN) unsigned char data[];
};

// The first touch of a page costs more than to clear it, and less where a call asks for many.
static void clear_lines(void *data, size_t first, size_t end)
{
    char *from = (char *)data + first * ALIGN, *to = (char *)data + end * ALIGN;
#ifdef MADV_POPULATE_WRITE
    enum { PAGE = 4096 };
    char *page = from + (PAGE - (uintptr_t)from % PAGE) % PAGE;
    if (to - page >= 16 * PAGE)
        madvise(page, (size_t)(to - page) / PAGE * PAGE, MADV_POPULATE_WRITE); // as it can
#endif
    memset(from, 0, (size_t)(to - from));
}

// bytes: a multiple of ALIGN.
static void *clear(void *data, size_t bytes)
{
    gb_parallel(bytes / ALIGN, (1 << 20) / ALIGN, clear_lines, data);
    return data;
}

// A block with room for so many bytes; behind the current one where that may have room yet.
static gb_arena_block *add_block(gb_arena *arena, size_t size, bool behind)
{
    gb_arena_block *block = aligned_alloc(ALIGN, gb_align(sizeof *block + size, ALIGN));
    if (!block) {
        gb_fail(GB_ERR_NOMEM, "out of memory (%zu bytes asked for)", size);
        return NULL;
    }
    gb_arena_block **link = behind && arena->blocks ? &arena->blocks->next : &arena->blocks;
    *block = (gb_arena_block){.next = *link, .size = size};
    return *link = block;
}

void *gb_arena_alloc(gb_arena *arena, size_t bytes)
{
    gb_arena_block *block = arena->blocks;
    if (bytes > SIZE_MAX / 2) {
        gb_fail(GB_ERR_NOMEM, "out of memory (%zu bytes asked for)", bytes);
        return NULL;
    }
    bytes = gb_align(bytes ? bytes : 1, ALIGN);
    if (!block || block->size - block->used < bytes)
        block = add_block(arena, bytes > BLOCK ? bytes : BLOCK, bytes > BLOCK);
    if (!block)
        return NULL;
    void *piece = block->data + block->used;
    block->used += bytes;
    return clear(piece, bytes);
}

void *gb_arena_adopt(gb_arena *arena, void *data)
{
    gb_arena_block *block = add_block(arena, 0, true);
    if (block)
        block->adopted = data;
    else
        free(data);
    return block ? data : NULL;
}

void *gb_alloc_aligned(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    bytes = gb_align(bytes ? bytes : 1, ALIGN);
    void *data = aligned_alloc(ALIGN, bytes);
    return data ? clear(data, bytes) : NULL;
}

void *gb_arena_array(gb_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!gb_mul_size(&bytes, count, size)) {
        gb_fail(GB_ERR_NOMEM, "out of memory (%zu x %zu bytes asked for)", count, size);
        return NULL;
    }
    return gb_arena_alloc(arena, bytes);
}

char *gb_arena_strdup(gb_arena *arena, const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = gb_arena_alloc(arena, bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

char *gb_arena_printf(gb_arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = gb_vformat(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : gb_arena_alloc(arena, (size_t)length + 1);
    if (text)
        gb_vformat(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

void gb_arena_finish(gb_arena *arena)
{
    gb_arena_block *block = arena->blocks;
    while (block) {
        gb_arena_block *next = block->next;
        free(block->adopted);
        free(block);
        block = next;
    }
    arena->blocks = NULL;
}

int gb_grow(void *array_pointer, size_t *capacity, size_t need, size_t size)
{
    void *array;
    size_t bytes, count = *capacity ? *capacity : 16;
    if (need <= *capacity)
        return 0;
    while (count < need)
        count *= 2;
    memcpy(&array, array_pointer, sizeof array);
    if (!gb_mul_size(&bytes, count, size) || !(array = realloc(array, bytes)))
        return gb_fail(GB_ERR_NOMEM, "out of memory (%zu x %zu bytes asked for)", count, size);
    memcpy(array_pointer, &array, sizeof array);
    *capacity = count;
    return 0;
}
