/*
 * Ostler's hot paths as inline code over published structs. C11 and C++17.
 *
 * Each function here does what its exported twin in ostler.h does, and calls that when it cannot go on by itself: when
 * a region is used up, an argument is wrong, or the library in use has another layout than this header. So a program
 * that was compiled with an older header stays correct with a newer library; it is only slower.
 */
#ifndef OSTLER_INLINE_H
#define OSTLER_INLINE_H

#include "ostler.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

static_assert(sizeof(ostler_cursor) == 64, "an ostler_cursor is a cache line");
static_assert(offsetof(ostler_cursor, layout) == 0, "the layout of an ostler_cursor comes first");
static_assert(offsetof(ostler_cursor, next) == 8 && offsetof(ostler_cursor, end) == 16, "two words of a region");
static_assert(sizeof(void *) == 8, "Ostler needs a 64-bit target");

/* The largest alignment, and sizes that inline code leaves to the library. */
#define OSTLER_INLINE_ALIGN_MAX_ ((uint64_t)2097152)
#define OSTLER_INLINE_SIZE_MAX_ ((uint64_t)1 << 47)

/*
 * Allocates from a cursor's region; see ostler_cursor_alloc for parameters and statuses. With a literal size and
 * alignment the checks of both fold away.
 *
 * Another thread may empty the region at a destroy, by setting its end to NULL; whatever else was read then, the room
 * is negative, and the library answers.
 */
static inline ostler_status ostler_cursor_alloc_inline(ostler_cursor *cursor, uint64_t size_bytes, uint64_t align_bytes,
                                                       void **out)
{
    const uint64_t align = align_bytes != 0 ? align_bytes : 16;
    const int plain = align <= OSTLER_INLINE_ALIGN_MAX_ && (align & (align - 1)) == 0 &&
                      size_bytes - 1 < OSTLER_INLINE_SIZE_MAX_ && cursor != NULL && out != NULL;
    if (plain && __builtin_expect(__atomic_load_n(&cursor->layout, __ATOMIC_RELAXED) == OSTLER_CURSOR_LAYOUT, 1)) {
        uint8_t *next = __atomic_load_n(&cursor->next, __ATOMIC_RELAXED);
        uint8_t *end = __atomic_load_n(&cursor->end, __ATOMIC_RELAXED);
        const uint64_t padding = (0 - (uint64_t)(uintptr_t)next) & (align - 1);
        const int64_t room = (int64_t)((uint64_t)(uintptr_t)end - (uint64_t)(uintptr_t)next - padding);
        if (__builtin_expect(room >= (int64_t)size_bytes, 1)) {
            uint8_t *start = next + padding;
            __atomic_store_n(&cursor->next, start + size_bytes, __ATOMIC_RELAXED);
            *out = start;
            return OSTLER_OK;
        }
    }
    return ostler_cursor_alloc(cursor, size_bytes, align_bytes, out);
}

#endif /* OSTLER_INLINE_H */
