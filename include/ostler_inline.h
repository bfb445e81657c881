/*
 * Ostler's hot paths as inline code over published structs. C11 and C++17.
 *
 * Each function here does what its exported twin in ostler.h does, and calls that when it cannot go on by itself: when
 * a region is used up, nothing is at hand, an argument is wrong, or the library in use is a newer library of another
 * layout. So a program that was compiled with an older header stays correct with a newer library; it is only slower.
 */
#ifndef OSTLER_INLINE_H
#define OSTLER_INLINE_H

#include "ostler.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static_assert(sizeof(ostler_cursor) == 64, "an ostler_cursor is a cache line");
static_assert(offsetof(ostler_cursor, layout) == 0, "the layout of an ostler_cursor comes first");
static_assert(offsetof(ostler_cursor, next) == 8 && offsetof(ostler_cursor, end) == 16, "two words of a region");
static_assert(offsetof(ostler_cursor, depth) == 4 && offsetof(ostler_cursor, stage) == 24 &&
                  offsetof(ostler_cursor, moments) == 32 && offsetof(ostler_cursor, count) == 40 &&
                  offsetof(ostler_cursor, capacity) == 48,
              "the marks of an ostler_cursor");
static_assert(offsetof(ostler_cursor, inline_end) == 56, "the end of a region comes last");
static_assert(sizeof(ostler_cursor_moment) == 32, "an ostler_cursor_moment is half a cache line");
static_assert(sizeof(ostler_tap) == 256, "an ostler_tap is four cache lines");
static_assert(offsetof(ostler_tap, layout) == 0, "the layout of an ostler_tap comes first");
static_assert(offsetof(ostler_tap, slots) == 48 && offsetof(ostler_tap, idle) == 72, "an ostler_tap as the library has it");
static_assert(sizeof(ostler_slot) == 32 && offsetof(ostler_slot, borrower) == 24, "an ostler_slot is half a cache line");
static_assert(sizeof(void *) == 8, "Ostler needs a 64-bit target");

/* The alignment of any block, the largest one, and a literal size that needs no check. */
#define OSTLER_INLINE_ALIGN_ ((uint64_t)16)
#define OSTLER_INLINE_ALIGN_MAX_ ((uint64_t)2097152)
#define OSTLER_INLINE_IS_SMALL_(size_bytes) (__builtin_constant_p(size_bytes) && (size_bytes) - 1 < ((uint64_t)1 << 47))

/*
 * Allocates from a cursor's region; see ostler_cursor_alloc for parameters and statuses. With a literal size and
 * alignment the checks of both fold away.
 *
 * In every layout `next` and `inline_end` lie here, and any version may allocate up to `inline_end`; NULL sends each
 * allocation into the library. The layout is about marks. Another thread may empty the region at a destroy, by setting
 * `inline_end` to NULL; whatever is read then, what is given out lies in the region, which stays
 * while the cursor is open. So the end is read as any other word, which lets a compiler compare it where it lies.
 */
static inline ostler_status ostler_cursor_alloc_inline(ostler_cursor *cursor, uint64_t size_bytes, uint64_t align_bytes,
                                                       void **out)
{
    /* In the place of NULL, so that a loop need not look for it each time. It has no room. */
    static ostler_cursor none;
    ostler_cursor *const from = cursor != NULL ? cursor : &none;
    const uint64_t align = align_bytes != 0 ? align_bytes : OSTLER_INLINE_ALIGN_;
    const int plain = align <= OSTLER_INLINE_ALIGN_MAX_ && (align & (align - 1)) == 0 && out != NULL;
    if (__builtin_expect(plain, 1)) {
        const uint64_t next = (uint64_t)(uintptr_t)__atomic_load_n(&from->next, __ATOMIC_RELAXED);
        const uint64_t start = (next + (align - 1)) & ~(align - 1), stop = start + size_bytes;
        /* A size of 0 stops where it starts, and one that wraps around before that. */
        if (__builtin_expect(OSTLER_INLINE_IS_SMALL_(size_bytes) || stop > start, 1) &&
            __builtin_expect(stop <= (uint64_t)(uintptr_t)from->inline_end, 1)) {
            __atomic_store_n(&from->next, (uint8_t *)(uintptr_t)stop, __ATOMIC_RELAXED);
            *out = (void *)(uintptr_t)start;
            return OSTLER_OK;
        }
    }
    /* Into a variable of its own, so that the caller's need not lie in memory. */
    void *made = NULL;
    const ostler_status status = ostler_cursor_alloc(cursor, size_bytes, align_bytes, out != NULL ? &made : NULL);
    if (out != NULL)
        *out = made;
    return status;
}

/* The place of a mark among the moments of its cursor. */
#define OSTLER_INLINE_PLACE_(serial) ((uint32_t)(serial) & ((1u << OSTLER_CURSOR_PLACE_BITS) - 1))

/* Remembers where a cursor is; see ostler_cursor_mark for parameters and statuses. */
static inline ostler_status ostler_cursor_mark_inline(ostler_cursor *cursor, ostler_mark *out)
{
    if (cursor != NULL && out != NULL &&
        __builtin_expect(cursor->layout == OSTLER_CURSOR_LAYOUT, 1)) {
        const uint32_t depth = __atomic_load_n(&cursor->depth, __ATOMIC_RELAXED);
        if (__builtin_expect(depth < __atomic_load_n(&cursor->capacity, __ATOMIC_RELAXED), 1)) {
            ostler_cursor_moment *moment = &cursor->moments[depth];
            const uint64_t count =
                __atomic_load_n(&cursor->count, __ATOMIC_RELAXED) + ((uint64_t)1 << OSTLER_CURSOR_PLACE_BITS);
            __atomic_store_n(&cursor->count, count, __ATOMIC_RELAXED);
            __atomic_store_n(&moment->serial, count | depth, __ATOMIC_RELAXED);
            __atomic_store_n(&moment->next, __atomic_load_n(&cursor->next, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
            __atomic_store_n(&moment->end, __atomic_load_n(&cursor->end, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
            __atomic_store_n(&moment->stage, __atomic_load_n(&cursor->stage, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
            __atomic_store_n(&cursor->depth, depth + 1, __ATOMIC_RELAXED);
            out->owner = (uint64_t)(uintptr_t)cursor;
            out->serial = count | depth;
            return OSTLER_OK;
        }
    }
    return ostler_cursor_mark(cursor, out);
}

/*
 * Goes back to a mark of a cursor; see ostler_cursor_rewind for parameters and statuses. Inline as long as the library did
 * nothing for the cursor since, so that it is in the same region.
 */
static inline ostler_status ostler_cursor_rewind_inline(ostler_cursor *cursor, const ostler_mark *mark)
{
    if (cursor != NULL && mark != NULL &&
        __builtin_expect(cursor->layout == OSTLER_CURSOR_LAYOUT, 1)) {
        const uint32_t place = OSTLER_INLINE_PLACE_(mark->serial);
        if (__builtin_expect(mark->owner == (uint64_t)(uintptr_t)cursor, 1) &&
            __builtin_expect(place < __atomic_load_n(&cursor->depth, __ATOMIC_RELAXED), 1)) {
            const ostler_cursor_moment *moment = &cursor->moments[place];
            if (__builtin_expect(__atomic_load_n(&moment->serial, __ATOMIC_RELAXED) == mark->serial, 1) &&
                __builtin_expect(__atomic_load_n(&moment->stage, __ATOMIC_RELAXED) ==
                                     __atomic_load_n(&cursor->stage, __ATOMIC_RELAXED), 1)) {
                __atomic_store_n(&cursor->next, __atomic_load_n(&moment->next, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
                __atomic_store_n(&cursor->depth, place, __ATOMIC_RELAXED);
                return OSTLER_OK;
            }
        }
    }
    return ostler_cursor_rewind(cursor, mark);
}

/* The word of a slot, which is its lease while it is leased, and what is read of the state of a pool. */
#define OSTLER_INLINE_PHASE_ ((uint64_t)15)
#define OSTLER_INLINE_LEASED_ ((uint64_t)2)
#define OSTLER_INLINE_AT_HAND_ ((uint64_t)8)
#define OSTLER_INLINE_SLOT_SHIFT_ 16
#define OSTLER_INLINE_OPEN_ 1u
/* One use of a slot in so many goes through the library, which measures it. */
#define OSTLER_INLINE_MEASURED_ ((uint64_t)255)
/* How many leases a call takes at most. */
#define OSTLER_INLINE_MOST_LEASES_ 1048576u

/*
 * Begins a window: from here to ostler_tap_leave_ nobody takes from the tap, if it is open. The library makes this thread
 * pass a fence when it wants to know whether one has begun (membarrier); where it cannot, no tap has this layout.
 */
static inline int ostler_tap_enter_(ostler_tap *tap)
{
    __atomic_store_n(&tap->busy, tap->pool, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return (__atomic_load_n(tap->state, __ATOMIC_ACQUIRE) & 3u) == OSTLER_INLINE_OPEN_;
}

static inline void ostler_tap_leave_(ostler_tap *tap)
{
    __atomic_store_n(&tap->busy, 0, __ATOMIC_RELEASE);
}

/* Leases what is idle in the tap, which is at it; 0 when nothing is, or the library is to be asked. */
static inline int ostler_tap_take_(ostler_tap *tap, ostler_lease *lease, void **resource)
{
    const uint32_t left = __atomic_load_n(&tap->count, __ATOMIC_RELAXED) - 1;
    if (left >= OSTLER_TAP_ROOM)
        return 0;
    const uint32_t number = __atomic_load_n(&tap->idle[left], __ATOMIC_RELAXED);
    ostler_slot *slot = tap->slots + number;
    const uint64_t word = __atomic_load_n(&slot->word, __ATOMIC_RELAXED);
    const uint64_t leased = word + tap->one_use - OSTLER_INLINE_AT_HAND_ + OSTLER_INLINE_LEASED_;
    if ((word & OSTLER_INLINE_PHASE_) != OSTLER_INLINE_AT_HAND_ || (word & (tap->one_use * OSTLER_INLINE_MEASURED_)) == 0)
        return 0;
    __atomic_store_n(&slot->since_ns, __atomic_load_n(tap->tick_ns, __ATOMIC_RELAXED) & ~(uint64_t)1, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->word, leased, __ATOMIC_RELEASE);
    __atomic_store_n(&tap->count, left, __ATOMIC_RELAXED);
    lease->value = leased;
    *resource = __atomic_load_n(&slot->resource, __ATOMIC_RELAXED);
    return 1;
}

/* Ends a lease that was taken through the tap, which is at it; 0 when it is none, or the library is to be asked. */
static inline int ostler_tap_put_(ostler_tap *tap, ostler_lease lease)
{
    const uint32_t number = (uint32_t)((lease.value & (tap->one_use - 1)) >> OSTLER_INLINE_SLOT_SHIFT_);
    const uint32_t count = __atomic_load_n(&tap->count, __ATOMIC_RELAXED);
    if (number >= tap->capacity || count >= OSTLER_TAP_ROOM)
        return 0;
    ostler_slot *slot = tap->slots + number;
    if ((lease.value & OSTLER_INLINE_PHASE_) != OSTLER_INLINE_LEASED_ ||
        __atomic_load_n(&slot->word, __ATOMIC_ACQUIRE) != lease.value ||
        __atomic_load_n(&slot->borrower, __ATOMIC_RELAXED) != tap->mark ||
        __atomic_load_n(&slot->generation, __ATOMIC_RELAXED) != __atomic_load_n(tap->generation, __ATOMIC_RELAXED) ||
        (__atomic_load_n(&slot->since_ns, __ATOMIC_RELAXED) & 1) != 0)
        return 0;
    __atomic_store_n(&slot->since_ns, __atomic_load_n(tap->tick_ns, __ATOMIC_RELAXED), __ATOMIC_RELAXED);
    __atomic_store_n(&slot->word, lease.value - OSTLER_INLINE_LEASED_ + OSTLER_INLINE_AT_HAND_, __ATOMIC_RELEASE);
    __atomic_store_n(&tap->idle[count], number, __ATOMIC_RELAXED);
    __atomic_store_n(&tap->count, count + 1, __ATOMIC_RELEASE);
    return 1;
}

/* A borrower and a generation as they lie side by side in a slot, to be compared at once. */
static inline uint64_t ostler_holder_(uint32_t borrower, uint32_t generation)
{
    const uint32_t both[2] = {borrower, generation};
    uint64_t holder;
    memcpy(&holder, both, sizeof holder);
    return holder;
}

/* Those of a slot. Only its lease, which is known to be good, may be read so: nobody writes them then. */
static inline uint64_t ostler_slot_holder_(const ostler_slot *slot)
{
    uint64_t holder;
    memcpy(&holder, (const char *)slot + offsetof(ostler_slot, borrower), sizeof holder);
    return holder;
}

/* Leases so many of those that are idle in the tap, which is at it; 0 when there are fewer, or the library is to be asked. */
static inline int ostler_tap_take_n_(ostler_tap *tap, uint32_t count, ostler_lease *leases, void **resources)
{
    const uint32_t idle = __atomic_load_n(&tap->count, __ATOMIC_RELAXED);
    if (idle > OSTLER_TAP_ROOM || count > idle)
        return 0;
    const uint32_t *const numbers = &tap->idle[idle - count];
    ostler_slot *const slots = tap->slots;
    const uint64_t tick_ns = __atomic_load_n(tap->tick_ns, __ATOMIC_RELAXED) & ~(uint64_t)1;
    const uint64_t more = tap->one_use - OSTLER_INLINE_AT_HAND_ + OSTLER_INLINE_LEASED_;
    const uint64_t measured = tap->one_use * OSTLER_INLINE_MEASURED_;
    /* Looked at first, so that none is leased when not all are: nobody sees a lease that was none. */
    for (uint32_t at = 0; at < count; at++)
        if (__builtin_expect((__atomic_load_n(&slots[numbers[at]].word, __ATOMIC_RELAXED) & measured) == 0, 0))
            return 0;
    for (uint32_t at = 0; at < count; at++) {
        ostler_slot *slot = slots + numbers[at];
        const uint64_t leased = __atomic_load_n(&slot->word, __ATOMIC_RELAXED) + more;
        __atomic_store_n(&slot->since_ns, tick_ns, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->word, leased, __ATOMIC_RELEASE);
        leases[at].value = leased;
        resources[at] = __atomic_load_n(&slot->resource, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&tap->count, idle - count, __ATOMIC_RELAXED);
    return 1;
}

/* Ends the first of these leases, as long as they were taken through the tap, which is at it, and there is room; tells how many. */
static inline uint32_t ostler_tap_put_n_(ostler_tap *tap, const ostler_lease *leases, uint32_t count)
{
    const uint32_t idle = __atomic_load_n(&tap->count, __ATOMIC_RELAXED);
    const uint32_t room = idle < OSTLER_TAP_ROOM ? OSTLER_TAP_ROOM - idle : 0, most = count < room ? count : room;
    uint32_t *const numbers = &tap->idle[OSTLER_TAP_ROOM - room];
    ostler_slot *const slots = tap->slots;
    const uint64_t tick_ns = __atomic_load_n(tap->tick_ns, __ATOMIC_RELAXED), number_mask = tap->one_use - 1;
    const uint64_t holder = ostler_holder_(tap->mark, __atomic_load_n(tap->generation, __ATOMIC_RELAXED));
    const uint32_t capacity = tap->capacity;
    uint32_t at = 0;
    for (; at < most; at++) {
        const uint64_t lease = leases[at].value;
        const uint32_t number = (uint32_t)((lease & number_mask) >> OSTLER_INLINE_SLOT_SHIFT_);
        if (__builtin_expect(number >= capacity || (lease & OSTLER_INLINE_PHASE_) != OSTLER_INLINE_LEASED_, 0))
            break;
        ostler_slot *slot = slots + number;
        if (__builtin_expect(__atomic_load_n(&slot->word, __ATOMIC_ACQUIRE) != lease, 0) ||
            __builtin_expect(ostler_slot_holder_(slot) != holder, 0) ||
            __builtin_expect((__atomic_load_n(&slot->since_ns, __ATOMIC_RELAXED) & 1) != 0, 0))
            break;
        __atomic_store_n(&slot->since_ns, tick_ns, __ATOMIC_RELAXED);
        __atomic_store_n(&slot->word, lease - OSTLER_INLINE_LEASED_ + OSTLER_INLINE_AT_HAND_, __ATOMIC_RELEASE);
        numbers[at] = number;
    }
    __atomic_store_n(&tap->count, idle + at, __ATOMIC_RELEASE);
    return at;
}

/* Leases a resource that is idle in the tap, else through the library; see ostler_tap_acquire for parameters and statuses. */
static inline ostler_status ostler_tap_acquire_inline(ostler_tap *tap, uint64_t timeout_ns, ostler_cancel *cancel,
                                                      ostler_lease *lease, void **resource)
{
    if (tap != NULL && lease != NULL && resource != NULL &&
        __builtin_expect(__atomic_load_n(&tap->layout, __ATOMIC_RELAXED) == OSTLER_TAP_LAYOUT, 1)) {
        const int taken = ostler_tap_enter_(tap) && ostler_tap_take_(tap, lease, resource);
        ostler_tap_leave_(tap);
        if (__builtin_expect(taken, 1))
            return OSTLER_OK;
    }
    return ostler_tap_acquire(tap, timeout_ns, cancel, lease, resource);
}

/* Gives a resource back to the tap, else through the library; see ostler_tap_release for parameters and statuses. */
static inline ostler_status ostler_tap_release_inline(ostler_tap *tap, ostler_lease lease)
{
    if (tap != NULL && __builtin_expect(__atomic_load_n(&tap->layout, __ATOMIC_RELAXED) == OSTLER_TAP_LAYOUT, 1)) {
        const int put = ostler_tap_enter_(tap) && ostler_tap_put_(tap, lease);
        ostler_tap_leave_(tap);
        if (__builtin_expect(put, 1))
            return OSTLER_OK;
    }
    return ostler_tap_release(tap, lease);
}

/* Leases many resources that are idle in the tap, else through the library; see ostler_tap_acquire_n for parameters and statuses. */
static inline ostler_status ostler_tap_acquire_n_inline(ostler_tap *tap, uint32_t count, uint64_t timeout_ns,
                                                        ostler_cancel *cancel, ostler_lease *leases, void **resources)
{
    if (tap != NULL && leases != NULL && resources != NULL && count > 0 &&
        __builtin_expect(__atomic_load_n(&tap->layout, __ATOMIC_RELAXED) == OSTLER_TAP_LAYOUT, 1)) {
        const int taken = ostler_tap_enter_(tap) && ostler_tap_take_n_(tap, count, leases, resources);
        ostler_tap_leave_(tap);
        if (__builtin_expect(taken, 1))
            return OSTLER_OK;
    }
    return ostler_tap_acquire_n(tap, count, timeout_ns, cancel, leases, resources);
}

/*
 * Gives many resources back to the tap; see ostler_tap_release_n for parameters and statuses. One that needs the library goes
 * there by itself; a second one behind it, or one that is not good, with all that follow.
 */
static inline ostler_status ostler_tap_release_n_inline(ostler_tap *tap, const ostler_lease *leases, uint32_t count,
                                                        uint32_t *released)
{
    uint32_t done = 0, rest = 0;
    while (tap != NULL && leases != NULL && count - 1 < OSTLER_INLINE_MOST_LEASES_ &&
           __builtin_expect(__atomic_load_n(&tap->layout, __ATOMIC_RELAXED) == OSTLER_TAP_LAYOUT, 1)) {
        const uint32_t put = ostler_tap_enter_(tap) ? ostler_tap_put_n_(tap, leases + done, count - done) : 0;
        ostler_tap_leave_(tap);
        done += put;
        if (__builtin_expect(done == count, 1)) {
            if (released != NULL)
                *released = done;
            return OSTLER_OK;
        }
        if (put == 0 || ostler_tap_release_n(tap, leases + done, 1, NULL) != OSTLER_OK)
            break;
        done++;
    }
    const ostler_status status =
        ostler_tap_release_n(tap, leases != NULL ? leases + done : NULL, count - done, &rest);
    if (released != NULL)
        *released = done + rest;
    return status;
}

static_assert(sizeof(ostler_desk) == 384, "an ostler_desk is six cache lines");
static_assert(offsetof(ostler_desk, layout) == 0, "the layout of an ostler_desk comes first");
static_assert(offsetof(ostler_desk, cells) == 40 && offsetof(ostler_desk, released) == 56 &&
                  offsetof(ostler_desk, free) == 72,
              "an ostler_desk as the library has it");
static_assert(sizeof(ostler_cell_state) == 64 && offsetof(ostler_cell_state, end) == 16 &&
                  offsetof(ostler_cell_state, value) == 24,
              "an ostler_cell_state is a cache line");

/* The word of a cell: the high half of its name, and where it stands. */
#define OSTLER_INLINE_PENDING_ ((uint64_t)1)
#define OSTLER_INLINE_FILLING_ ((uint64_t)15)
#define OSTLER_INLINE_DONE_ ((uint64_t)16)
/* One use of a cell later in its name and in its word; and who uses a set when all do. */
#define OSTLER_INLINE_NEXT_USE_ ((uint64_t)1 << 32)
#define OSTLER_INLINE_ALL_ ((uint64_t)1)

/*
 * Begins a window: from here to ostler_desk_leave_ nobody takes free cells from the desk, if that is open, and nobody else
 * changes the words of cells, if its user is alone. The library makes this thread pass a fence when it wants to know whether
 * one has begun (membarrier); where it cannot, no desk has this layout.
 */
static inline void ostler_desk_enter_(ostler_desk *desk)
{
    __atomic_store_n(&desk->busy, desk->deferred, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void ostler_desk_leave_(ostler_desk *desk)
{
    __atomic_store_n(&desk->busy, 0, __ATOMIC_RELEASE);
}

static inline int ostler_desk_is_open_(const ostler_desk *desk)
{
    return (__atomic_load_n(desk->state, __ATOMIC_ACQUIRE) & 1u) != 0;
}

/* The cell with that name; NULL when it is of another set. */
static inline ostler_cell_state *ostler_desk_find_(const ostler_desk *desk, ostler_cell cell)
{
    const uint32_t number = (uint32_t)cell.value ^ desk->salt;
    return __builtin_expect(number < desk->capacity, 1) ? desk->cells + number : NULL;
}

/* The word that the cell with that name has where it stands there, and nothing else is to be known of it. */
static inline uint64_t ostler_cell_word_(ostler_cell cell, uint64_t stage)
{
    return cell.value >> 32 << 32 | stage;
}

static inline int ostler_cell_is_at_(const ostler_cell_state *state, ostler_cell cell, uint64_t stage)
{
    return __builtin_expect(__atomic_load_n(&state->word, __ATOMIC_ACQUIRE) == ostler_cell_word_(cell, stage), 1);
}

/* Takes a free cell from the desk, whose user is at it; 0 when it has none, or the library is to be asked. */
static inline int ostler_desk_take_(ostler_desk *desk, ostler_cell *out)
{
    const uint32_t count = __atomic_load_n(&desk->count, __ATOMIC_RELAXED);
    if (__builtin_expect(count <= __atomic_load_n(&desk->floor, __ATOMIC_RELAXED) || count > OSTLER_DESK_ROOM, 0))
        return 0;
    const ostler_cell cell = {__atomic_load_n(&desk->free[count - 1], __ATOMIC_RELAXED)};
    ostler_cell_state *state = ostler_desk_find_(desk, cell);
    if (state == NULL)
        return 0;
    __atomic_store_n(&state->word, ostler_cell_word_(cell, OSTLER_INLINE_PENDING_), __ATOMIC_RELEASE);
    __atomic_store_n(&desk->count, count - 1, __ATOMIC_RELAXED);
    *out = cell;
    return 1;
}

/* Whether a cell may be the desk's when it is free: there is room, and it is not used up. */
static inline int ostler_desk_has_room_(const ostler_desk *desk, ostler_cell cell)
{
    return __builtin_expect(__atomic_load_n(&desk->count, __ATOMIC_RELAXED) < desk->room, 1) &&
           __builtin_expect(cell.value + OSTLER_INLINE_NEXT_USE_ >= OSTLER_INLINE_NEXT_USE_, 1);
}

/* Lays a cell whose last use had that name into the desk, which has room for it. */
static inline void ostler_desk_put_(ostler_desk *desk, ostler_cell cell)
{
    const uint32_t count = __atomic_load_n(&desk->count, __ATOMIC_RELAXED);
    __atomic_store_n(&desk->free[count], cell.value + OSTLER_INLINE_NEXT_USE_, __ATOMIC_RELAXED);
    __atomic_store_n(&desk->count, count + 1, __ATOMIC_RELEASE);
}

/* Completes a pending cell with a value; 0 when the library is to be asked. */
static inline int ostler_desk_fill_(ostler_desk *desk, ostler_cell cell, void *value)
{
    ostler_cell_state *state = ostler_desk_find_(desk, cell);
    const uint64_t who = __atomic_load_n(desk->who, __ATOMIC_ACQUIRE);
    if (state == NULL || !ostler_cell_is_at_(state, cell, OSTLER_INLINE_PENDING_))
        return 0;
    if (__builtin_expect(who != (uint64_t)(uintptr_t)desk, 0)) {
        uint64_t pending = ostler_cell_word_(cell, OSTLER_INLINE_PENDING_);
        if (who != OSTLER_INLINE_ALL_ ||
            !__atomic_compare_exchange_n(&state->word, &pending, ostler_cell_word_(cell, OSTLER_INLINE_FILLING_), 0,
                                         __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
            return 0;
        /* While it is FILLING nobody else changes the word. */
    }
    __atomic_store_n(&state->end, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&state->value, value, __ATOMIC_RELAXED);
    __atomic_store_n(&state->word, ostler_cell_word_(cell, OSTLER_INLINE_DONE_), __ATOMIC_RELEASE);
    return 1;
}

/* Makes a cell free that stands there; 0 when the library is to be asked. */
static inline int ostler_desk_vacate_(ostler_desk *desk, ostler_cell_state *state, ostler_cell cell, uint64_t stage)
{
    const uint64_t who = __atomic_load_n(desk->who, __ATOMIC_ACQUIRE);
    const uint64_t next = ostler_cell_word_(cell, 0) + OSTLER_INLINE_NEXT_USE_;
    if (__builtin_expect(who == (uint64_t)(uintptr_t)desk, 1)) {
        __atomic_store_n(&state->word, next, __ATOMIC_RELEASE);
        return 1;
    }
    uint64_t word = ostler_cell_word_(cell, stage);
    return who == OSTLER_INLINE_ALL_ &&
           __atomic_compare_exchange_n(&state->word, &word, next, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* Takes the value that a cell was completed with, at the open desk; 0 when the library is to be asked. */
static inline int ostler_desk_empty_(ostler_desk *desk, ostler_cell cell, void **value)
{
    ostler_cell_state *state = ostler_desk_find_(desk, cell);
    if (state == NULL || !ostler_desk_has_room_(desk, cell) || !ostler_cell_is_at_(state, cell, OSTLER_INLINE_DONE_) ||
        __atomic_load_n(&state->end, __ATOMIC_RELAXED) != 0)
        return 0;
    /* What was read before is right if the cell is still there. */
    void *found = __atomic_load_n(&state->value, __ATOMIC_RELAXED);
    if (!ostler_desk_vacate_(desk, state, cell, OSTLER_INLINE_DONE_))
        return 0;
    ostler_desk_put_(desk, cell);
    if (value != NULL)
        *value = found;
    return 1;
}

/* Gives a pending cell back, at the open desk; 0 when the library is to be asked. */
static inline int ostler_desk_withdraw_(ostler_desk *desk, ostler_cell cell)
{
    ostler_cell_state *state = ostler_desk_find_(desk, cell);
    if (state == NULL || !ostler_desk_has_room_(desk, cell) || !ostler_cell_is_at_(state, cell, OSTLER_INLINE_PENDING_) ||
        __atomic_load_n(desk->who, __ATOMIC_ACQUIRE) != (uint64_t)(uintptr_t)desk)
        return 0;
    /* Nobody else counts here while its user is alone. */
    __atomic_store_n(desk->released, __atomic_load_n(desk->released, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    __atomic_store_n(&state->word, ostler_cell_word_(cell, 0) + OSTLER_INLINE_NEXT_USE_, __ATOMIC_RELEASE);
    ostler_desk_put_(desk, cell);
    return 1;
}

static inline int ostler_desk_is_inline_(const ostler_desk *desk)
{
    return __builtin_expect(desk != NULL, 1) && __builtin_expect(desk->layout == OSTLER_DESK_LAYOUT, 1);
}

/* Takes a free cell from the desk, else through the library; see ostler_desk_acquire for parameters and statuses. */
static inline ostler_status ostler_desk_acquire_inline(ostler_desk *desk, ostler_cell *out)
{
    if (out != NULL && ostler_desk_is_inline_(desk)) {
        ostler_desk_enter_(desk);
        const int taken = ostler_desk_is_open_(desk) && ostler_desk_take_(desk, out);
        ostler_desk_leave_(desk);
        if (__builtin_expect(taken, 1))
            return OSTLER_OK;
    }
    /* Into a variable of its own, so that the caller's need not lie in memory. */
    ostler_cell acquired = {0};
    const ostler_status status = ostler_desk_acquire(desk, out != NULL ? &acquired : NULL);
    if (out != NULL)
        *out = acquired;
    return status;
}

/* Completes a cell, else through the library; see ostler_desk_complete for parameters and statuses. */
static inline ostler_status ostler_desk_complete_inline(ostler_desk *desk, ostler_cell cell, ostler_status outcome,
                                                        void *value)
{
    if (outcome == OSTLER_OK && ostler_desk_is_inline_(desk)) {
        ostler_desk_enter_(desk);
        const int completed = ostler_desk_fill_(desk, cell, value);
        ostler_desk_leave_(desk);
        if (__builtin_expect(completed, 1))
            return OSTLER_OK;
    }
    return ostler_desk_complete(desk, cell, outcome, value);
}

/* Takes what has come, else through the library; see ostler_desk_poll for parameters and statuses. */
static inline ostler_status ostler_desk_poll_inline(ostler_desk *desk, ostler_cell cell, ostler_status *outcome,
                                                    void **value)
{
    if (outcome != NULL && ostler_desk_is_inline_(desk)) {
        ostler_desk_enter_(desk);
        const int taken = ostler_desk_is_open_(desk) && ostler_desk_empty_(desk, cell, value);
        ostler_desk_leave_(desk);
        if (__builtin_expect(taken, 1)) {
            *outcome = OSTLER_OK;
            return OSTLER_OK;
        }
    }
    ostler_status came = OSTLER_OK;
    void *found = NULL;
    const ostler_status status = ostler_desk_poll(desk, cell, outcome != NULL ? &came : NULL, &found);
    if (outcome != NULL)
        *outcome = came;
    if (value != NULL)
        *value = found;
    return status;
}

/* Gives a cell back, else through the library; see ostler_desk_release for parameters and statuses. */
static inline ostler_status ostler_desk_release_inline(ostler_desk *desk, ostler_cell cell)
{
    if (ostler_desk_is_inline_(desk)) {
        ostler_desk_enter_(desk);
        const int released = ostler_desk_is_open_(desk) && ostler_desk_withdraw_(desk, cell);
        ostler_desk_leave_(desk);
        if (__builtin_expect(released, 1))
            return OSTLER_OK;
    }
    return ostler_desk_release(desk, cell);
}

static_assert(sizeof(ostler_magazine) == 2240, "an ostler_magazine is thirty-five cache lines");
static_assert(offsetof(ostler_magazine, layout) == 0 && offsetof(ostler_magazine, shift) == 4, "the layout comes first");
static_assert(offsetof(ostler_magazine, top) == 8 && offsetof(ostler_magazine, floor) == 16 &&
                  offsetof(ostler_magazine, ceiling) == 24,
              "a top between its bounds");
static_assert(offsetof(ostler_magazine, base) == 32 && offsetof(ostler_magazine, inverse) == 40 &&
                  offsetof(ostler_magazine, states) == 48 && offsetof(ostler_magazine, slots) == 56,
              "what tells a slot fits into the first line");
static_assert(offsetof(ostler_magazine, stride) == 64, "how far slots lie from each other");
static_assert(offsetof(ostler_magazine, next_floor) == 72 && offsetof(ostler_magazine, next_ceiling) == 80,
              "the bounds of the next layout");
static_assert(offsetof(ostler_magazine, items) == 192 && offsetof(ostler_magazine, item_states) == 1216,
              "the items of an ostler_magazine");

/*
 * A newer library of another layout keeps the floor that is read here above every top, and the ceiling at 0, so that one
 * look tells both, what is in a magazine and whether this code knows its way about it.
 */

/* The states of a slot that inline code knows. */
#define OSTLER_SLOT_FREE_ ((uint8_t)1)
#define OSTLER_SLOT_OUT_ ((uint8_t)2)

/* The state of the slot that begins at this address, or NULL when none does. */
static inline uint8_t *ostler_slot_state_(const ostler_magazine *magazine, const void *slot)
{
    const uint64_t quotient = ((uint64_t)(uintptr_t)slot - magazine->base) * magazine->inverse;
    const uint64_t number = quotient >> (magazine->shift & 63) | quotient << (-magazine->shift & 63);
    return __builtin_expect(number < magazine->slots, 1) ? magazine->states + number : NULL;
}

/*
 * Lets a slot lie in this place, and tells its state; NULL when it is none. One that was got from there lies there still:
 * then nothing is computed, and nothing stored that the next get would wait for.
 */
static inline uint8_t *ostler_magazine_lay_(ostler_magazine *magazine, int64_t place, void *slot)
{
    if (__builtin_expect(__atomic_load_n(&magazine->items[place], __ATOMIC_RELAXED) == slot, 1))
        return magazine->item_states[place];
    uint8_t *state = ostler_slot_state_(magazine, slot);
    if (state != NULL) {
        __atomic_store_n(&magazine->items[place], slot, __ATOMIC_RELAXED);
        magazine->item_states[place] = state;
    }
    return state;
}

/*
 * Gets a slot; see ostler_magazine_get for parameters and statuses.
 *
 * The library may take what is in a magazine at any moment: it raises the floor, makes every core pass a fence, and
 * reads the top. So the top is lowered before the floor is looked at; nothing but the compiler must keep that order.
 */
static inline ostler_status ostler_magazine_get_inline(ostler_magazine *magazine, void **out)
{
    if (__builtin_expect(magazine != NULL && out != NULL, 1)) {
        const int64_t top = __atomic_load_n(&magazine->top, __ATOMIC_RELAXED) - 1;
        __atomic_store_n(&magazine->top, top, __ATOMIC_RELAXED);
        __atomic_signal_fence(__ATOMIC_SEQ_CST);
        if (__builtin_expect(top >= __atomic_load_n(&magazine->floor, __ATOMIC_RELAXED), 1)) {
            void *slot = __atomic_load_n(&magazine->items[top], __ATOMIC_RELAXED);
            __atomic_store_n(magazine->item_states[top], OSTLER_SLOT_OUT_, __ATOMIC_RELAXED);
            *out = slot;
            return OSTLER_OK;
        }
        __atomic_store_n(&magazine->top, top + 1, __ATOMIC_RELAXED);
    }
    /* Into a variable of its own, so that the caller's need not lie in memory. */
    void *got = NULL;
    const ostler_status status = ostler_magazine_get(magazine, out != NULL ? &got : NULL);
    if (out != NULL)
        *out = got;
    return status;
}

/* Puts a slot; see ostler_magazine_put for parameters and statuses. */
static inline ostler_status ostler_magazine_put_inline(ostler_magazine *magazine, void *slot)
{
    if (__builtin_expect(magazine != NULL, 1)) {
        const int64_t top = __atomic_load_n(&magazine->top, __ATOMIC_RELAXED);
        if (__builtin_expect(top < __atomic_load_n(&magazine->ceiling, __ATOMIC_RELAXED), 1)) {
            uint8_t *state = ostler_magazine_lay_(magazine, top, slot);
            if (__builtin_expect(state != NULL, 1) &&
                __builtin_expect(__atomic_load_n(state, __ATOMIC_RELAXED) >= OSTLER_SLOT_OUT_, 1)) {
                __atomic_store_n(state, OSTLER_SLOT_FREE_, __ATOMIC_RELAXED);
                __atomic_store_n(&magazine->top, top + 1, __ATOMIC_RELEASE);
                return OSTLER_OK;
            }
        }
    }
    return ostler_magazine_put(magazine, slot);
}

/* Whether many slots lie side by side, as those do that come from the depot together. */
static inline int ostler_slots_are_run_(void *const *slots, uint32_t count, uint64_t stride)
{
    uint64_t next = (uint64_t)(uintptr_t)slots[0];
    for (; count >= 4; slots += 4, count -= 4, next += 4 * stride)
        if ((uint64_t)(uintptr_t)slots[0] != next || (uint64_t)(uintptr_t)slots[1] != next + stride ||
            (uint64_t)(uintptr_t)slots[2] != next + 2 * stride || (uint64_t)(uintptr_t)slots[3] != next + 3 * stride)
            return 0;
    for (; count > 0; slots++, count--, next += stride)
        if ((uint64_t)(uintptr_t)slots[0] != next)
            return 0;
    return 1;
}

/* Whether so many states are all of slots that are out: only those have the second bit. */
static inline int ostler_states_are_out_(const uint8_t *states, uint32_t count)
{
    const uint64_t out = 0x0202020202020202;
    uint64_t all = out;
    for (; count >= 8; states += 8, count -= 8) {
        uint64_t eight;
        memcpy(&eight, states, sizeof eight);
        all &= eight;
    }
    for (; count > 0; states++, count--)
        all &= *states | (out & ~(uint64_t)OSTLER_SLOT_OUT_);
    return all == out;
}

/* Puts a run of slots that are all out, from this place on; 0 when they are not. */
static inline int ostler_magazine_put_run_(ostler_magazine *magazine, int64_t place, void *const *slots, uint32_t count)
{
    uint8_t *states = ostler_slot_state_(magazine, slots[0]);
    if (states == NULL || count > magazine->slots - (uint64_t)(states - magazine->states) ||
        !ostler_states_are_out_(states, count))
        return 0;
    memset(states, OSTLER_SLOT_FREE_, count);
    /* As a rule they lie there still. */
    if (memcmp(&magazine->items[place], slots, count * sizeof *slots) != 0)
        for (uint32_t at = 0; at < count; at++) {
            __atomic_store_n(&magazine->items[place + at], slots[at], __ATOMIC_RELAXED);
            magazine->item_states[place + at] = states + at;
        }
    return 1;
}

/* Gets many slots, or none; see ostler_magazine_get_n for parameters and statuses. */
static inline ostler_status ostler_magazine_get_n_inline(ostler_magazine *magazine, uint32_t count, void **slots)
{
    if (magazine != NULL && slots != NULL && count > 0) {
        const int64_t top = __atomic_load_n(&magazine->top, __ATOMIC_RELAXED), next = top - (int64_t)count;
        /* Looked at first, so that what is too little is not hidden from others for a moment. */
        if (__builtin_expect(next >= __atomic_load_n(&magazine->floor, __ATOMIC_RELAXED), 1)) {
            __atomic_store_n(&magazine->top, next, __ATOMIC_RELAXED);
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
            if (__builtin_expect(next >= __atomic_load_n(&magazine->floor, __ATOMIC_RELAXED), 1)) {
                /* Only this thread writes items, and nobody else the states of slots that it has. */
                memcpy(slots, &magazine->items[next], count * sizeof *slots);
                if (ostler_slots_are_run_(slots, count, magazine->stride)) {
                    memset(magazine->item_states[next], OSTLER_SLOT_OUT_, count);
                    return OSTLER_OK;
                }
                for (; count > 0; count--)
                    __atomic_store_n(magazine->item_states[top - count], OSTLER_SLOT_OUT_, __ATOMIC_RELAXED);
                return OSTLER_OK;
            }
            __atomic_store_n(&magazine->top, top, __ATOMIC_RELAXED);
        }
    }
    return ostler_magazine_get_n(magazine, count, slots);
}

/*
 * Puts many slots; see ostler_magazine_put_n for parameters and statuses. The first that needs the library goes there with
 * all that follow.
 */
static inline ostler_status ostler_magazine_put_n_inline(ostler_magazine *magazine, void *const *slots, uint32_t count,
                                                         uint32_t *put)
{
    uint32_t done = 0, rest = 0;
    if (magazine != NULL && slots != NULL && count > 0) {
        const int64_t top = __atomic_load_n(&magazine->top, __ATOMIC_RELAXED);
        if (__builtin_expect(top + (int64_t)count <= __atomic_load_n(&magazine->ceiling, __ATOMIC_RELAXED), 1)) {
            if (ostler_slots_are_run_(slots, count, magazine->stride) &&
                ostler_magazine_put_run_(magazine, top, slots, count))
                done = count;
            for (; done < count; done++) {
                uint8_t *state = ostler_magazine_lay_(magazine, top + done, slots[done]);
                if (__builtin_expect(state == NULL, 0) ||
                    __builtin_expect(__atomic_load_n(state, __ATOMIC_RELAXED) < OSTLER_SLOT_OUT_, 0))
                    break;
                __atomic_store_n(state, OSTLER_SLOT_FREE_, __ATOMIC_RELAXED);
            }
            __atomic_store_n(&magazine->top, top + done, __ATOMIC_RELEASE);
            if (__builtin_expect(done == count, 1)) {
                if (put != NULL)
                    *put = done;
                return OSTLER_OK;
            }
        }
    }
    const ostler_status status = ostler_magazine_put_n(magazine, slots + done, count - done, &rest);
    if (put != NULL)
        *put = done + rest;
    return status;
}

static_assert(sizeof(ostler_reader) == 64, "an ostler_reader is a cache line");
static_assert(offsetof(ostler_reader, attention) == 4 && offsetof(ostler_reader, word) == 8, "the pins of a reader");
static_assert(offsetof(ostler_reader, published) == 16, "where the value of a lazy stands");

/*
 * Pins a lazy value; see ostler_reader_pin for parameters and statuses. Whoever takes the value away withdraws it, makes
 * every core pass a barrier, and then looks at the word of each reader: so here the order of the compiler is enough.
 */
static inline ostler_status ostler_reader_pin_inline(ostler_reader *reader, uint64_t timeout_ns, ostler_cancel *cancel,
                                                     void **value)
{
    if (reader != NULL && value != NULL &&
        __builtin_expect(__atomic_load_n(&reader->layout, __ATOMIC_RELAXED) == OSTLER_READER_LAYOUT, 1)) {
        const uint64_t word = __atomic_load_n(&reader->word, __ATOMIC_RELAXED);
        if (__builtin_expect((uint32_t)word != UINT32_MAX, 1)) {
            __atomic_store_n(&reader->word, word + (((uint64_t)1 << 32) + 1), __ATOMIC_RELAXED);
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
            void *found = __atomic_load_n(reader->published, __ATOMIC_ACQUIRE);
            if (__builtin_expect(found != NULL, 1)) {
                *value = found;
                return OSTLER_OK;
            }
            __atomic_store_n(&reader->word, word, __ATOMIC_RELEASE);
        }
    }
    return ostler_reader_pin(reader, timeout_ns, cancel, value);
}

/* Lets go of a pin; see ostler_reader_unpin. */
static inline ostler_status ostler_reader_unpin_inline(ostler_reader *reader)
{
    if (reader != NULL &&
        __builtin_expect(__atomic_load_n(&reader->layout, __ATOMIC_RELAXED) == OSTLER_READER_LAYOUT, 1)) {
        const uint64_t word = __atomic_load_n(&reader->word, __ATOMIC_RELAXED);
        /* When somebody waits for the last pin, or there is none, the library is told. */
        if (__builtin_expect((uint32_t)word > 1, 0)) {
            __atomic_store_n(&reader->word, word - 1, __ATOMIC_RELEASE);
            return OSTLER_OK;
        }
        if (__builtin_expect((uint32_t)word == 1, 1)) {
            __atomic_store_n(&reader->word, word - 1, __ATOMIC_RELEASE);
            __atomic_signal_fence(__ATOMIC_SEQ_CST);
            if (__builtin_expect(__atomic_load_n(&reader->attention, __ATOMIC_RELAXED) == 0, 1))
                return OSTLER_OK;
            return ostler_reader_settle(reader);
        }
    }
    return ostler_reader_unpin(reader);
}

#endif /* OSTLER_INLINE_H */
