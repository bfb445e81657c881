/* One who has used a set alone at a desk, and others that come in the middle of it; and a crowd with desks and without. */
#include "desks.h"
#include <stdatomic.h>

enum { ROUNDS = 200, CELLS = 24 };

/* One set, whose cells are out when another comes; what each of the two did to each cell. */
struct visit {
    ostler_deferred *deferred;
    ostler_desk *desk;
    bool has_desk;
    ostler_cell cells[CELLS];
    bool completed[2][CELLS], taken[2][CELLS], released[2][CELLS];
    pthread_barrier_t begin;
    pthread_t other;
};

/* The other begins when this thread does what is to be done first; in every second round it has a desk of its own. */
static void begin(struct visit *visit, int round, bool are_done, void *(*other)(void *))
{
    *visit = (struct visit){.deferred = make_deferred(64), .has_desk = round % 2};
    visit->desk = open_desk(visit->deferred);
    pthread_barrier_init(&visit->begin, NULL, 2);
    warm(INLINE, visit->desk);
    for (int i = 0; i < CELLS; i++) {
        CHECK_STATUS(ostler_desk_acquire_inline(visit->desk, &visit->cells[i]), OSTLER_OK);
        if (are_done)
            CHECK_STATUS(ostler_desk_complete_inline(visit->desk, visit->cells[i], OSTLER_OK, &marks[0]), OSTLER_OK);
    }
    CHECK(is_alone(visit->desk));
    pthread_create(&visit->other, NULL, other, visit);
}

static void end(struct visit *visit)
{
    pthread_join(visit->other, NULL);
    ostler_deferred_stats stats = stats_of(visit->deferred);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.acquires, CALM + CELLS);
    CHECK_EQ(stats.completed + stats.released, CALM + CELLS);
    CHECK_STATUS(ostler_desk_close(visit->desk), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_destroy(visit->deferred), OSTLER_OK);
    pthread_barrier_destroy(&visit->begin);
}

/* What one of the two does to all cells: the one with the first desk, the other with one of its own or with none. */
static void complete_all(struct visit *visit, int me, ostler_desk *desk)
{
    pthread_barrier_wait(&visit->begin);
    for (int i = 0; i < CELLS; i++) {
        ostler_status status =
            desk ? ostler_desk_complete_inline(desk, visit->cells[i], OSTLER_OK, &marks[me])
                 : ostler_deferred_complete(visit->deferred, visit->cells[i], OSTLER_OK, &marks[me]);
        visit->completed[me][i] = status == OSTLER_OK;
        if (status != OSTLER_OK)
            EXPECT_STATUS(status, OSTLER_E_ALREADY_COMPLETED);
    }
}

static void take_all(struct visit *visit, int me, ostler_desk *desk)
{
    pthread_barrier_wait(&visit->begin);
    for (int i = 0; i < CELLS; i++) {
        ostler_status outcome = 1;
        void *value = NULL;
        ostler_status status = desk ? ostler_desk_poll_inline(desk, visit->cells[i], &outcome, &value)
                                    : ostler_deferred_poll(visit->deferred, visit->cells[i], &outcome, &value);
        visit->taken[me][i] = status == OSTLER_OK;
        if (status != OSTLER_OK)
            EXPECT_STATUS(status, OSTLER_E_STALE_CELL);
        else
            EXPECT_EQ(value, &marks[visit->completed[1][i]]);
    }
}

static void release_all(struct visit *visit, int me, ostler_desk *desk)
{
    pthread_barrier_wait(&visit->begin);
    for (int i = 0; i < CELLS; i++) {
        ostler_status status = desk ? ostler_desk_release_inline(desk, visit->cells[i])
                                    : ostler_deferred_release(visit->deferred, visit->cells[i]);
        visit->released[me][i] = status == OSTLER_OK;
        if (status != OSTLER_OK)
            EXPECT_STATUS(status, OSTLER_E_STALE_CELL);
    }
}

static void as_the_other(struct visit *visit, void (*all)(struct visit *, int, ostler_desk *))
{
    ostler_desk *desk = visit->has_desk ? open_desk(visit->deferred) : NULL;
    all(visit, 1, desk);
    EXPECT_STATUS(ostler_desk_close(desk), OSTLER_OK);
}

static void *complete_too(void *visit)
{
    as_the_other(visit, complete_all);
    return NULL;
}

static void *take_too(void *visit)
{
    as_the_other(visit, take_all);
    return NULL;
}

static void *release_too(void *visit)
{
    as_the_other(visit, release_all);
    return NULL;
}

TEST(cell_is_completed_once_when_another_comes)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        begin(&visit, round, false, complete_too);
        complete_all(&visit, 0, visit.desk);
        pthread_join(visit.other, NULL);
        pthread_create(&visit.other, NULL, take_too, &visit);
        take_all(&visit, 0, NULL);
        for (int i = 0; i < CELLS; i++)
            CHECK(visit.completed[0][i] != visit.completed[1][i]);
        end(&visit);
    }
}

TEST(what_came_is_taken_once_when_another_comes)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        begin(&visit, round, true, take_too);
        take_all(&visit, 0, visit.desk);
        end(&visit);
        for (int i = 0; i < CELLS; i++)
            CHECK(visit.taken[0][i] != visit.taken[1][i]);
    }
}

TEST(cell_is_released_once_when_another_comes)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        begin(&visit, round, false, release_too);
        release_all(&visit, 0, visit.desk);
        pthread_join(visit.other, NULL);
        CHECK_EQ(stats_of(visit.deferred).released, CELLS);
        for (int i = 0; i < CELLS; i++)
            CHECK(visit.released[0][i] != visit.released[1][i]);
        pthread_create(&visit.other, NULL, release_too, &visit);
        release_all(&visit, 0, visit.desk);
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
        begin(&visit, round, false, wait_for_all);
        complete_all(&visit, 0, visit.desk);
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

/* Whatever is acquired while the set is being destroyed ends with it. */
TEST(cell_ends_once_when_another_destroys_the_set)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct visit visit;
        ostler_cell late[CELLS] = {{0}};
        ostler_status outcome;
        begin(&visit, round, false, destroy_set);
        complete_all(&visit, 0, visit.desk);
        for (int i = 0; i < CELLS; i++)
            if (ostler_desk_acquire_inline(visit.desk, &late[i]) != OSTLER_OK)
                break;
        pthread_join(visit.other, NULL);
        for (int i = 0; i < CELLS; i++) {
            CHECK_STATUS(ostler_desk_poll_inline(visit.desk, visit.cells[i], &outcome, NULL), OSTLER_OK);
            CHECK_STATUS(outcome, visit.completed[0][i] ? OSTLER_OK : OSTLER_E_CLOSED);
        }
        for (int i = 0; i < CELLS && late[i].value != 0; i++) {
            CHECK_STATUS(ostler_desk_poll_inline(visit.desk, late[i], &outcome, NULL), OSTLER_OK);
            CHECK_STATUS(outcome, OSTLER_E_CLOSED);
        }
        CHECK_STATUS(ostler_desk_close(visit.desk), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_poll(visit.deferred, visit.cells[0], &outcome, NULL), OSTLER_E_INVALID_HANDLE);
        pthread_barrier_destroy(&visit.begin);
    }
}

/* Threads with desks of their own and others without, which have fewer cells than they want, and tell one another theirs. */
enum { RIDERS = 4, RIDES = 20000, SHOWN = 8 };

struct rider {
    pthread_t thread;
    ostler_deferred *deferred;
    int kind;
    _Atomic uint64_t *shown;
    uint64_t completed, taken, released;
};

static ostler_status acquire_as(struct rider *rider, ostler_desk *desk, ostler_cell *cell)
{
    return desk ? ostler_desk_acquire_inline(desk, cell) : ostler_deferred_acquire(rider->deferred, cell);
}

static void complete_as(struct rider *rider, ostler_desk *desk, ostler_cell cell)
{
    void *value = (void *)(uintptr_t)cell.value;
    ostler_status status = desk ? ostler_desk_complete_inline(desk, cell, OSTLER_OK, value)
                                : ostler_deferred_complete(rider->deferred, cell, OSTLER_OK, value);
    rider->completed += status == OSTLER_OK;
    if (status != OSTLER_OK && status != OSTLER_E_ALREADY_COMPLETED)
        EXPECT_STATUS(status, OSTLER_E_STALE_CELL);
}

static void take_as(struct rider *rider, ostler_desk *desk, ostler_cell cell)
{
    ostler_status outcome = 1;
    void *value = NULL;
    ostler_status status = desk ? ostler_desk_poll_inline(desk, cell, &outcome, &value)
                                : ostler_deferred_poll(rider->deferred, cell, &outcome, &value);
    rider->taken += status == OSTLER_OK;
    if (status == OSTLER_OK)
        EXPECT_EQ(value, (void *)(uintptr_t)cell.value);
    else if (status != OSTLER_E_NOT_READY)
        EXPECT_STATUS(status, OSTLER_E_STALE_CELL);
}

static void release_as(struct rider *rider, ostler_desk *desk, ostler_cell cell)
{
    ostler_status status =
        desk ? ostler_desk_release_inline(desk, cell) : ostler_deferred_release(rider->deferred, cell);
    rider->released += status == OSTLER_OK;
    if (status != OSTLER_OK)
        EXPECT_STATUS(status, OSTLER_E_STALE_CELL);
}

static void *ride(void *argument)
{
    struct rider *rider = argument;
    ostler_desk *desk = rider->kind < 3 ? open_desk(rider->deferred) : NULL;
    uint64_t chance = 0x9e3779b97f4a7c15u * (uint64_t)(rider->kind + 1);
    for (int i = 0; i < RIDES; i++) {
        chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
        ostler_cell cell = {0};
        while (acquire_as(rider, desk, &cell) == OSTLER_E_EXHAUSTED)
            sched_yield();
        _Atomic uint64_t *place = &rider->shown[chance >> 32 & (SHOWN - 1)];
        ostler_cell theirs = {atomic_load(place)};
        if (chance % 4 == 0)
            atomic_store(place, cell.value);
        /* Theirs may have ended, and be another's by now under another name. */
        if (chance >> 8 & 1)
            complete_as(rider, desk, theirs);
        if (chance >> 9 & 1)
            take_as(rider, desk, theirs);
        if (chance >> 10 & 1)
            complete_as(rider, desk, cell);
        if (chance >> 11 & 1)
            take_as(rider, desk, cell);
        release_as(rider, desk, cell);
        if (desk && chance % 4096 == 0) {
            EXPECT_STATUS(ostler_desk_close(desk), OSTLER_OK);
            desk = open_desk(rider->deferred);
        }
    }
    EXPECT_STATUS(ostler_desk_close(desk), OSTLER_OK);
    return NULL;
}

TEST(cells_are_used_once_with_desks_and_without)
{
    for (uint32_t capacity = 3; capacity <= 192; capacity *= 8) {
        static _Atomic uint64_t shown[SHOWN];
        struct rider riders[RIDERS];
        uint64_t completed = 0, taken = 0, released = 0;
        ostler_deferred *deferred = make_deferred(capacity);
        for (int i = 0; i < RIDERS; i++) {
            riders[i] = (struct rider){.deferred = deferred, .kind = i, .shown = shown};
            pthread_create(&riders[i].thread, NULL, ride, &riders[i]);
        }
        for (int i = 0; i < RIDERS; i++) {
            pthread_join(riders[i].thread, NULL);
            completed += riders[i].completed;
            taken += riders[i].taken;
            released += riders[i].released;
        }
        ostler_deferred_stats stats = stats_of(deferred);
        CHECK_EQ(stats.in_use, 0);
        CHECK_EQ(stats.acquires, RIDERS * RIDES);
        CHECK_EQ(stats.completed, completed);
        CHECK_EQ(stats.completed + stats.released, stats.acquires);
        CHECK_EQ(taken + released, stats.acquires);
        CHECK(stats.peak_in_use <= capacity);
        CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
    }
}

CHECK_MAIN()
