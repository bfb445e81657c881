/* Arenas for tests: small chunks of base pages unless a test asks for more. */
#ifndef OSTLER_TESTS_ARENAS_H
#define OSTLER_TESTS_ARENAS_H

#include "check.h"
#include <ostler.h>

#define CHUNK_BYTES ((uint64_t)256 << 10)

/* Base pages, which every machine has. */
static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};

static inline ostler_arena_config small_chunks(void)
{
    ostler_arena_config config;
    CHECK_STATUS(ostler_arena_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.chunk_bytes = CHUNK_BYTES;
    return config;
}

static inline ostler_arena *make_arena(ostler_arena_config config)
{
    ostler_arena *arena;
    CHECK_STATUS(ostler_arena_create(&config, &arena), OSTLER_OK);
    return arena;
}

static inline ostler_arena_stats arena_stats(ostler_arena *arena)
{
    ostler_arena_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_arena_get_stats(arena, &stats), OSTLER_OK);
    return stats;
}

static inline void *take(ostler_arena *arena, uint64_t size_bytes, uint64_t align_bytes)
{
    void *bytes = NULL;
    CHECK_STATUS(ostler_arena_alloc(arena, size_bytes, align_bytes, &bytes), OSTLER_OK);
    CHECK(bytes != NULL);
    return bytes;
}

static inline ostler_cursor *open_cursor(ostler_arena *arena)
{
    ostler_cursor *cursor = NULL;
    CHECK_STATUS(ostler_cursor_open(arena, &cursor), OSTLER_OK);
    CHECK(cursor != NULL);
    return cursor;
}

static inline ostler_mark mark_of(ostler_arena *arena)
{
    ostler_mark mark;
    CHECK_STATUS(ostler_arena_mark(arena, &mark), OSTLER_OK);
    return mark;
}

/* A block of memory filled with a tag of its own: whoever else is given a part of it destroys the tag. */
struct tagged {
    unsigned char *bytes;
    size_t size;
    unsigned char tag;
};

static inline struct tagged tag_block(void *bytes, size_t size, unsigned char tag)
{
    memset(bytes, tag, size);
    return (struct tagged){bytes, size, tag};
}

static inline int is_untouched(const struct tagged *block)
{
    for (size_t i = 0; i < block->size; i++)
        if (block->bytes[i] != block->tag)
            return 0;
    return 1;
}

/* xorshift64 of a seed that is not 0. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static inline ostler_arena *named_arena(const char *name, uint64_t chunk_bytes)
{
    ostler_arena_config config = small_chunks();
    config.chunk_bytes = chunk_bytes;
    snprintf(config.name, sizeof config.name, "%s", name);
    return make_arena(config);
}

#endif
