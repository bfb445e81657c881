/* Free cells that lie at hand for threads: nobody goes without one, none is lost, and they are counted. */
#include "cells.h"
#include <stdatomic.h>

/* More uses in peace than it takes until cells stay at hand. */
enum { CALM = 200 };

static void complete_and_take(ostler_deferred *deferred, ostler_cell cell)
{
    ostler_status outcome = 1;
    void *value = NULL;
    EXPECT_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, &value), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_poll(deferred, cell, &outcome, &value), OSTLER_OK);
    EXPECT_STATUS(outcome, OSTLER_OK);
    EXPECT_EQ(value, &value);
}

static void *use_some(void *argument)
{
    ostler_deferred *deferred = argument;
    for (int i = 0; i < CALM; i++) {
        ostler_cell cell = {0};
        EXPECT_STATUS(ostler_deferred_acquire(deferred, &cell), OSTLER_OK);
        complete_and_take(deferred, cell);
    }
    return NULL;
}

static void use_some_elsewhere(ostler_deferred *deferred)
{
    pthread_t thread;
    pthread_create(&thread, NULL, use_some, deferred);
    pthread_join(thread, NULL);
}

TEST(most_that_were_out_are_told)
{
    ostler_deferred *deferred = make_deferred(1024);
    ostler_cell cells[300];
    use_some(deferred);
    CHECK_EQ(stats_of(deferred).peak_in_use, 1);
    for (int most = 1; most <= 300; most += 13) {
        for (int i = 0; i < most; i++)
            CHECK_STATUS(ostler_deferred_acquire(deferred, &cells[i]), OSTLER_OK);
        CHECK_EQ(stats_of(deferred).in_use, most);
        for (int i = 0; i < most; i++)
            complete_and_take(deferred, cells[i]);
        CHECK_EQ(stats_of(deferred).peak_in_use, most);
        CHECK_EQ(stats_of(deferred).in_use, 0);
    }
    CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
}

TEST(nobody_goes_without_what_another_has_at_hand)
{
    for (uint32_t capacity = 1; capacity <= 128; capacity *= 2) {
        ostler_deferred *deferred = make_deferred(capacity);
        ostler_cell cells[128], more;
        use_some(deferred);
        for (int round = 0; round < 3; round++) {
            use_some_elsewhere(deferred);
            if (round % 2)
                CHECK_STATUS(ostler_deferred_acquire_n(deferred, capacity, cells), OSTLER_OK);
            else
                for (uint32_t i = 0; i < capacity; i++)
                    CHECK_STATUS(ostler_deferred_acquire(deferred, &cells[i]), OSTLER_OK);
            CHECK_STATUS(ostler_deferred_acquire(deferred, &more), OSTLER_E_EXHAUSTED);
            CHECK_STR_CONTAINS(ostler_last_error_message(), "but 0 of");
            CHECK_EQ(stats_of(deferred).in_use, capacity);
            for (uint32_t i = 0; i < capacity; i++)
                complete_and_take(deferred, cells[i]);
        }
        CHECK_EQ(stats_of(deferred).peak_in_use, capacity);
        CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
    }
}

TEST(several_sets_have_theirs_at_hand_at_once)
{
    /* More than a thread has pockets. */
    ostler_deferred *sets[20];
    for (int i = 0; i < 20; i++)
        sets[i] = make_deferred(64);
    for (int i = 0; i < 200; i++)
        use_some(sets[i % 20]);
    for (int i = 0; i < 20; i++) {
        ostler_cell cells[64];
        CHECK_STATUS(ostler_deferred_acquire_n(sets[i], 64, cells), OSTLER_OK);
        for (int k = 0; k < 64; k++)
            complete_and_take(sets[i], cells[k]);
        CHECK_STATUS(ostler_deferred_destroy(sets[i]), OSTLER_OK);
    }
}

/* A ring of cells that one thread gets, the next completes, and the last takes. */
enum { ROUNDS = 20000, RING = 32 };

struct line {
    ostler_deferred *deferred;
    _Atomic uint64_t acquired[RING], completed[RING];
    uintptr_t taken;
};

static uint64_t await_cell(_Atomic uint64_t *place)
{
    uint64_t cell;
    while ((cell = atomic_exchange(place, 0)) == 0)
        sched_yield();
    return cell;
}

static void put_cell(_Atomic uint64_t *place, uint64_t cell)
{
    while (atomic_load(place) != 0)
        sched_yield();
    atomic_store(place, cell);
}

static void *get_cells(void *argument)
{
    struct line *line = argument;
    for (int i = 0; i < ROUNDS; i++) {
        ostler_cell cell = {0};
        while (ostler_deferred_acquire(line->deferred, &cell) == OSTLER_E_EXHAUSTED)
            sched_yield();
        put_cell(&line->acquired[i % RING], cell.value);
    }
    return NULL;
}

static void *complete_cells(void *argument)
{
    struct line *line = argument;
    for (uintptr_t i = 0; i < ROUNDS; i++) {
        ostler_cell cell = {await_cell(&line->acquired[i % RING])};
        EXPECT_STATUS(ostler_deferred_complete(line->deferred, cell, OSTLER_OK, (void *)(i + 1)), OSTLER_OK);
        put_cell(&line->completed[i % RING], cell.value);
    }
    return NULL;
}

static void *take_cells(void *argument)
{
    struct line *line = argument;
    for (uintptr_t i = 0; i < ROUNDS; i++) {
        ostler_cell cell = {await_cell(&line->completed[i % RING])};
        ostler_status outcome = 1;
        void *value = NULL;
        EXPECT_STATUS(ostler_deferred_poll(line->deferred, cell, &outcome, &value), OSTLER_OK);
        EXPECT_EQ(value, (void *)(i + 1));
        EXPECT_STATUS(ostler_deferred_poll(line->deferred, cell, &outcome, &value), OSTLER_E_STALE_CELL);
        line->taken += (uintptr_t)value == 0;
    }
    return NULL;
}

TEST(cells_go_from_thread_to_thread)
{
    /* Of which a thread has one, a few, and many at hand. */
    static const uint32_t capacities[] = {2, 64, 1024};
    for (int i = 0; i < 3; i++) {
        static struct line line;
        void *(*const parts[])(void *) = {get_cells, complete_cells, take_cells};
        pthread_t threads[3];
        line = (struct line){.deferred = make_deferred(capacities[i])};
        use_some(line.deferred);
        for (int part = 0; part < 3; part++)
            pthread_create(&threads[part], NULL, parts[part], &line);
        for (int part = 0; part < 3; part++)
            pthread_join(threads[part], NULL);
        CHECK_EQ(line.taken, ROUNDS);
        CHECK_EQ(stats_of(line.deferred).in_use, 0);
        CHECK_EQ(stats_of(line.deferred).completed, ROUNDS + CALM);
        CHECK_EQ(stats_of(line.deferred).acquires, ROUNDS + CALM);
        CHECK(stats_of(line.deferred).peak_in_use <= capacities[i]);
        CHECK_STATUS(ostler_deferred_destroy(line.deferred), OSTLER_OK);
    }
}

static void *take_last(void *argument)
{
    struct line *line = argument;
    ostler_status outcome;
    ostler_cell cell = {await_cell(&line->completed[0])};
    EXPECT_STATUS(ostler_deferred_poll(line->deferred, cell, &outcome, NULL), OSTLER_OK);
    return NULL;
}

TEST(set_goes_with_the_last_cell_whoever_brings_it)
{
    for (int round = 0; round < 300; round++) {
        static struct line line;
        pthread_t thread;
        ostler_cell cells[2];
        ostler_status outcome;
        line = (struct line){.deferred = make_deferred(64)};
        use_some(line.deferred);
        CHECK_STATUS(ostler_deferred_acquire_n(line.deferred, 2, cells), OSTLER_OK);
        for (int i = 0; i < 2; i++)
            CHECK_STATUS(ostler_deferred_complete(line.deferred, cells[i], OSTLER_OK, &line), OSTLER_OK);
        pthread_create(&thread, NULL, take_last, &line);
        put_cell(&line.completed[0], cells[0].value);
        CHECK_STATUS(ostler_deferred_destroy(line.deferred), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_poll(line.deferred, cells[1], &outcome, NULL), OSTLER_OK);
        pthread_join(thread, NULL);
        CHECK_STATUS(ostler_deferred_poll(line.deferred, cells[1], &outcome, NULL), OSTLER_E_INVALID_HANDLE);
    }
}

CHECK_MAIN()
