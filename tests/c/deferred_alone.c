/* Cells that one thread has used alone, and others that come in the middle of it. */
#include "cells.h"

enum { ROUNDS = 200, CELLS = 48, CALM = 200 };

/* Long enough for every short way. */
static void *use_some(void *argument)
{
    ostler_deferred *deferred = argument;
    for (int i = 0; i < CALM; i++) {
        ostler_cell cell = {0};
        ostler_status outcome = 1, wanted = i % 2 ? OSTLER_OK : -77;
        void *value = NULL;
        EXPECT_STATUS(ostler_deferred_acquire(deferred, &cell), OSTLER_OK);
        EXPECT_STATUS(ostler_deferred_poll(deferred, cell, &outcome, &value), OSTLER_E_NOT_READY);
        EXPECT_STATUS(ostler_deferred_complete(deferred, cell, wanted, &value), OSTLER_OK);
        EXPECT_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, NULL), OSTLER_E_ALREADY_COMPLETED);
        EXPECT_STATUS(ostler_deferred_poll(deferred, cell, &outcome, &value), OSTLER_OK);
        EXPECT_STATUS(outcome, wanted);
        EXPECT_EQ(value, &value);
        EXPECT_STATUS(ostler_deferred_poll(deferred, cell, &outcome, &value), OSTLER_E_STALE_CELL);
        EXPECT_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, NULL), OSTLER_E_STALE_CELL);
    }
    return NULL;
}

/* One set, whose cells are out when another thread comes; what each of the two did to each cell. */
struct visit {
    ostler_deferred *deferred;
    ostler_cell cells[CELLS];
    bool completed[2][CELLS], taken[2][CELLS];
    pthread_barrier_t begin;
    pthread_t other;
};

static int marks[2];

/* The other begins when this thread does what is to be done first. */
static void begin(struct visit *visit, bool are_done, void *(*other)(void *))
{
    *visit = (struct visit){.deferred = make_deferred(0)};
    pthread_barrier_init(&visit->begin, NULL, 2);
    use_some(visit->deferred);
    for (int i = 0; i < CELLS; i++) {
        CHECK_STATUS(ostler_deferred_acquire(visit->deferred, &visit->cells[i]), OSTLER_OK);
        if (are_done)
            CHECK_STATUS(ostler_deferred_complete(visit->deferred, visit->cells[i], OSTLER_OK, &marks[0]), OSTLER_OK);
    }
    pthread_create(&visit->other, NULL, other, visit);
}

static void end(struct visit *visit)
{
    CHECK_EQ(stats_of(visit->deferred).in_use, 0);
    CHECK_EQ(stats_of(visit->deferred).acquires, CALM + CELLS);
    CHECK_EQ(stats_of(visit->deferred).completed, CALM / 2 + CELLS);
    CHECK_STATUS(ostler_deferred_destroy(visit->deferred), OSTLER_OK);
    pthread_barrier_destroy(&visit->begin);
}

static void complete_all(struct visit *visit, int me)
{
    pthread_barrier_wait(&visit->begin);
    for (int i = 0; i < CELLS; i++) {
        ostler_status status = ostler_deferred_complete(visit->deferred, visit->cells[i], OSTLER_OK, &marks[me]);
        visit->completed[me][i] = status == OSTLER_OK;
        if (status != OSTLER_OK)
            EXPECT_STATUS(status, OSTLER_E_ALREADY_COMPLETED);
    }
}

static void *complete_too(void *visit)
{
    complete_all(visit, 1);
    return NULL;
}

TEST(cell_is_completed_once_when_another_comes)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        begin(&visit, false, complete_too);
        complete_all(&visit, 0);
        pthread_join(visit.other, NULL);
        for (int i = 0; i < CELLS; i++) {
            ostler_status outcome = 1;
            void *value = NULL;
            CHECK(visit.completed[0][i] != visit.completed[1][i]);
            CHECK_STATUS(ostler_deferred_poll(visit.deferred, visit.cells[i], &outcome, &value), OSTLER_OK);
            CHECK_EQ(value, &marks[visit.completed[1][i]]);
        }
        end(&visit);
    }
}

static void take_all(struct visit *visit, int me)
{
    pthread_barrier_wait(&visit->begin);
    for (int i = 0; i < CELLS; i++) {
        ostler_status outcome = 1;
        void *value = NULL;
        ostler_status status = ostler_deferred_poll(visit->deferred, visit->cells[i], &outcome, &value);
        visit->taken[me][i] = status == OSTLER_OK;
        if (status != OSTLER_OK)
            EXPECT_STATUS(status, OSTLER_E_STALE_CELL);
        else
            EXPECT_EQ(value, &marks[0]);
    }
}

static void *take_too(void *visit)
{
    take_all(visit, 1);
    return NULL;
}

TEST(what_came_is_taken_once_when_another_comes)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        begin(&visit, true, take_too);
        take_all(&visit, 0);
        pthread_join(visit.other, NULL);
        for (int i = 0; i < CELLS; i++)
            CHECK(visit.taken[0][i] != visit.taken[1][i]);
        end(&visit);
    }
}

static void *wait_for_all(void *argument)
{
    struct visit *visit = argument;
    pthread_barrier_wait(&visit->begin);
    wait_for_each(visit->deferred, visit->cells, CELLS, &marks[0]);
    return NULL;
}

TEST(one_who_comes_and_waits_misses_nothing)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        begin(&visit, false, wait_for_all);
        complete_all(&visit, 0);
        pthread_join(visit.other, NULL);
        end(&visit);
    }
}

static void *destroy_set(void *argument)
{
    struct visit *visit = argument;
    pthread_barrier_wait(&visit->begin);
    EXPECT_STATUS(ostler_deferred_destroy(visit->deferred), OSTLER_OK);
    return NULL;
}

TEST(cell_ends_once_when_another_destroys_the_set)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        ostler_status outcome;
        begin(&visit, false, destroy_set);
        complete_all(&visit, 0);
        pthread_join(visit.other, NULL);
        for (int i = 0; i < CELLS; i++) {
            CHECK_STATUS(ostler_deferred_poll(visit.deferred, visit.cells[i], &outcome, NULL), OSTLER_OK);
            CHECK_STATUS(outcome, visit.completed[0][i] ? OSTLER_OK : OSTLER_E_CLOSED);
        }
        CHECK_STATUS(ostler_deferred_poll(visit.deferred, visit.cells[0], &outcome, NULL), OSTLER_E_INVALID_HANDLE);
        pthread_barrier_destroy(&visit.begin);
    }
}

TEST(one_thread_after_the_other_uses_a_set)
{
    enum { THREADS = 20 };
    ostler_deferred *deferred = make_deferred(0);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, use_some, deferred);
        pthread_join(thread, NULL);
    }
    use_some(deferred);
    CHECK_EQ(stats_of(deferred).in_use, 0);
    CHECK_EQ(stats_of(deferred).completed, (THREADS + 1) * CALM / 2);
    CHECK_EQ(stats_of(deferred).failed, (THREADS + 1) * CALM / 2);
    CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
}

CHECK_MAIN()
