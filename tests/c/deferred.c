/* Deferred: one-shot cells, from their acquire to the one who takes what came. */
#include "cells.h"
#include <stdatomic.h>

static ostler_cell acquire(ostler_deferred *deferred)
{
    ostler_cell cell = {0};
    CHECK_STATUS(ostler_deferred_acquire(deferred, &cell), OSTLER_OK);
    CHECK(cell.value != 0);
    return cell;
}

static void complete(ostler_deferred *deferred, ostler_cell cell, void *value)
{
    EXPECT_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, value), OSTLER_OK);
}

/* Takes what came; the outcome must be this one. */
static void *take(ostler_deferred *deferred, ostler_cell cell, ostler_status wanted)
{
    ostler_status outcome = 1;
    void *value = NULL;
    EXPECT_STATUS(ostler_deferred_wait(deferred, cell, OSTLER_FOREVER, NULL, &outcome, &value), OSTLER_OK);
    EXPECT_STATUS(outcome, wanted);
    return value;
}

static void destroy(ostler_deferred *deferred)
{
    ostler_deferred_stats stats = stats_of(deferred);
    CHECK_EQ(stats.in_use, 0);
    CHECK_EQ(stats.acquires, stats.completed + stats.failed + stats.cancelled + stats.released);
    CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
}

TEST(value_goes_from_one_to_the_other)
{
    ostler_deferred *deferred = make_deferred(4);
    ostler_cell cell = acquire(deferred);
    ostler_status outcome;
    void *value;
    int what;
    CHECK_STATUS(ostler_deferred_poll(deferred, cell, &outcome, &value), OSTLER_E_NOT_READY);
    complete(deferred, cell, &what);
    CHECK_EQ(stats_of(deferred).pending, 0);
    CHECK_EQ(stats_of(deferred).in_use, 1);
    CHECK_STATUS(ostler_deferred_poll(deferred, cell, &outcome, &value), OSTLER_OK);
    CHECK_STATUS(outcome, OSTLER_OK);
    CHECK_EQ(value, &what);
    CHECK_EQ(stats_of(deferred).completed, 1);
    destroy(deferred);
}

TEST(poll_of_a_cell_to_which_nothing_has_come_says_so)
{
    ostler_deferred *deferred = make_deferred(4);
    ostler_cell cell = acquire(deferred);
    /* The first of a thread goes another way than the others. */
    for (int i = 0; i < 3; i++) {
        ostler_status outcome = 1;
        void *value = &cell;
        CHECK_STATUS(ostler_deferred_poll(NULL, cell, &outcome, NULL), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(ostler_deferred_poll(deferred, cell, &outcome, &value), OSTLER_E_NOT_READY);
        CHECK_STR_CONTAINS(ostler_last_error_message(), "nothing has come yet");
        CHECK_STATUS(outcome, OSTLER_OK);
        CHECK_EQ(value, NULL);
        CHECK_STATUS(ostler_deferred_poll(deferred, cell, &outcome, NULL), OSTLER_E_NOT_READY);
        CHECK_STATUS(ostler_deferred_poll(deferred, cell, NULL, &value), OSTLER_E_INVALID_ARGUMENT);
    }
    CHECK_STATUS(ostler_deferred_release(deferred, cell), OSTLER_OK);
    destroy(deferred);
}

TEST(failure_carries_its_status_and_a_value)
{
    ostler_deferred *deferred = make_deferred(1);
    ostler_cell cell = acquire(deferred);
    char why[] = "no such host";
    CHECK_STATUS(ostler_deferred_complete(deferred, cell, -77, why), OSTLER_OK);
    CHECK_EQ(take(deferred, cell, -77), why);
    CHECK_EQ(stats_of(deferred).failed, 1);
    destroy(deferred);
}

TEST(cell_that_is_used_again_is_another_one)
{
    ostler_deferred *deferred = make_deferred(1);
    ostler_cell old = acquire(deferred);
    ostler_status outcome;
    void *value;
    int first, second;
    complete(deferred, old, &first);
    CHECK_EQ(take(deferred, old, OSTLER_OK), &first);
    for (int i = 0; i < 100; i++) {
        ostler_cell cell = acquire(deferred);
        CHECK(cell.value != old.value);
        CHECK_STATUS(ostler_deferred_complete(deferred, old, OSTLER_OK, &first), OSTLER_E_STALE_CELL);
        CHECK_STATUS(ostler_deferred_cancel(deferred, old), OSTLER_E_STALE_CELL);
        CHECK_STATUS(ostler_deferred_poll(deferred, old, &outcome, &value), OSTLER_E_STALE_CELL);
        CHECK_STATUS(ostler_deferred_wait(deferred, old, 0, NULL, &outcome, &value), OSTLER_E_STALE_CELL);
        CHECK_STATUS(ostler_deferred_release(deferred, old), OSTLER_E_STALE_CELL);
        complete(deferred, cell, &second);
        CHECK_STATUS(ostler_deferred_poll(deferred, old, &outcome, &value), OSTLER_E_STALE_CELL);
        CHECK_EQ(take(deferred, cell, OSTLER_OK), &second);
        old = cell;
    }
    destroy(deferred);
}

TEST(cell_of_another_set_is_stale)
{
    ostler_deferred *one = make_deferred(1), *other = make_deferred(1);
    ostler_cell cell = acquire(one), others = acquire(other);
    CHECK_STATUS(ostler_deferred_complete(other, cell, OSTLER_OK, NULL), OSTLER_E_STALE_CELL);
    CHECK_STATUS(ostler_deferred_release(one, others), OSTLER_E_STALE_CELL);
    CHECK_STATUS(ostler_deferred_release(one, cell), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_release(other, others), OSTLER_OK);
    destroy(one);
    destroy(other);
}

TEST(second_completion_is_refused_and_changes_nothing)
{
    ostler_deferred *deferred = make_deferred(1);
    ostler_cell cell = acquire(deferred);
    int first, second;
    complete(deferred, cell, &first);
    CHECK_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, &second), OSTLER_E_ALREADY_COMPLETED);
    CHECK_STATUS(ostler_deferred_cancel(deferred, cell), OSTLER_E_ALREADY_COMPLETED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "before");
    CHECK_EQ(take(deferred, cell, OSTLER_OK), &first);
    destroy(deferred);
}

TEST(set_without_a_free_cell_says_so)
{
    ostler_deferred *deferred = make_deferred(3);
    ostler_cell cells[3], more[2];
    CHECK_STATUS(ostler_deferred_acquire_n(deferred, 2, cells), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_acquire_n(deferred, 2, more), OSTLER_E_EXHAUSTED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "2 cells are wanted, but 1 of 3");
    CHECK_EQ(more[0].value | more[1].value, 0);
    CHECK_STATUS(ostler_deferred_acquire_n(deferred, 1, &cells[2]), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_acquire(deferred, &more[0]), OSTLER_E_EXHAUSTED);
    CHECK_EQ(stats_of(deferred).refused, 2);
    CHECK_EQ(stats_of(deferred).peak_in_use, 3);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(ostler_deferred_release(deferred, cells[i]), OSTLER_OK);
    CHECK_EQ(stats_of(deferred).released, 3);
    destroy(deferred);
}

TEST(configuration_is_checked)
{
    ostler_deferred_config config;
    ostler_deferred *deferred;
    CHECK_STATUS(ostler_deferred_config_init(&config, sizeof config), OSTLER_OK);
    config.capacity = (1 << 20) + 1;
    CHECK_STATUS(ostler_deferred_create(&config, &deferred), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "capacity is 1048577");
    CHECK_STATUS(ostler_deferred_create(NULL, &deferred), OSTLER_OK);
    CHECK_EQ(stats_of(deferred).capacity, 1024);
    destroy(deferred);
}

static void note_discarded(void *user_data, void *value)
{
    *(void **)user_data = value;
}

TEST(value_that_nobody_takes_is_discarded)
{
    void *discarded = NULL;
    int what;
    ostler_deferred_config config;
    ostler_deferred *deferred;
    CHECK_STATUS(ostler_deferred_config_init(&config, sizeof config), OSTLER_OK);
    config.discard = note_discarded;
    config.user_data = &discarded;
    CHECK_STATUS(ostler_deferred_create(&config, &deferred), OSTLER_OK);
    ostler_cell unwanted = acquire(deferred), late = acquire(deferred), taken = acquire(deferred);
    complete(deferred, unwanted, &what);
    CHECK_EQ(discarded, NULL);
    CHECK_STATUS(ostler_deferred_release(deferred, unwanted), OSTLER_OK);
    CHECK_EQ(discarded, &what);
    /* What comes too late stays with whoever made it. */
    discarded = NULL;
    CHECK_STATUS(ostler_deferred_release(deferred, late), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_complete(deferred, late, OSTLER_OK, &what), OSTLER_E_STALE_CELL);
    complete(deferred, taken, &what);
    CHECK_EQ(take(deferred, taken, OSTLER_OK), &what);
    CHECK_EQ(discarded, NULL);
    CHECK_EQ(stats_of(deferred).discarded, 1);
    destroy(deferred);
}

TEST(cancelled_cell_is_told_to_both_sides)
{
    ostler_deferred *deferred = make_deferred(1);
    ostler_cell cell = acquire(deferred);
    CHECK_STATUS(ostler_deferred_cancel(deferred, cell), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, &cell), OSTLER_E_ALREADY_COMPLETED);
    CHECK_EQ(take(deferred, cell, OSTLER_E_CANCELLED), NULL);
    CHECK_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, &cell), OSTLER_E_STALE_CELL);
    CHECK_EQ(stats_of(deferred).cancelled, 1);
    destroy(deferred);
}

/* Somebody who waits on a thread of their own. */
struct waiter {
    ostler_deferred *deferred;
    ostler_cell cell;
    ostler_cancel *cancel;
    pthread_t thread;
    ostler_status status, outcome;
    void *value;
};

static void *wait_on_a_thread(void *argument)
{
    struct waiter *waiter = argument;
    waiter->status = ostler_deferred_wait(waiter->deferred, waiter->cell, OSTLER_FOREVER, waiter->cancel,
                                          &waiter->outcome, &waiter->value);
    return NULL;
}

/* Returns when the other thread waits: only then is the cell refused to this one. */
static void begin_waiting(struct waiter *waiter, ostler_deferred *deferred, ostler_cell cell, ostler_cancel *cancel)
{
    ostler_status outcome;
    *waiter = (struct waiter){.deferred = deferred, .cell = cell, .cancel = cancel};
    pthread_create(&waiter->thread, NULL, wait_on_a_thread, waiter);
    AWAIT(ostler_deferred_poll(deferred, cell, &outcome, NULL) == OSTLER_E_BUSY);
}

TEST(wait_sleeps_until_something_comes)
{
    ostler_deferred *deferred = make_deferred(1);
    struct waiter waiter;
    ostler_cell cell = acquire(deferred);
    begin_waiting(&waiter, deferred, cell, NULL);
    CHECK_STATUS(ostler_deferred_release(deferred, cell), OSTLER_E_BUSY);
    complete(deferred, cell, &waiter);
    pthread_join(waiter.thread, NULL);
    CHECK_STATUS(waiter.status, OSTLER_OK);
    CHECK_EQ(waiter.value, &waiter);
    CHECK_EQ(stats_of(deferred).waits.count, 1);
    destroy(deferred);
}

TEST(wait_ends_with_its_time_or_its_cancel_and_the_cell_stays)
{
    ostler_deferred *deferred = make_deferred(1);
    ostler_cancel *cancel;
    ostler_status outcome;
    struct waiter waiter;
    ostler_cell cell = acquire(deferred);
    CHECK_STATUS(ostler_deferred_wait(deferred, cell, 1000000, NULL, &outcome, NULL), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_cancel_create(&cancel), OSTLER_OK);
    begin_waiting(&waiter, deferred, cell, cancel);
    CHECK_STATUS(ostler_cancel_signal(cancel), OSTLER_OK);
    pthread_join(waiter.thread, NULL);
    CHECK_STATUS(waiter.status, OSTLER_E_CANCELLED);
    CHECK_STATUS(ostler_cancel_destroy(cancel), OSTLER_OK);
    complete(deferred, cell, &cell);
    CHECK_EQ(take(deferred, cell, OSTLER_OK), &cell);
    destroy(deferred);
}

TEST(any_and_all_leave_what_came)
{
    ostler_deferred *deferred = make_deferred(3);
    ostler_cell cells[3];
    uint32_t index = 9;
    CHECK_STATUS(ostler_deferred_acquire_n(deferred, 3, cells), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_wait_any(deferred, cells, 3, 0, NULL, &index), OSTLER_E_TIMEOUT);
    CHECK_EQ(index, 0);
    complete(deferred, cells[2], &cells[2]);
    CHECK_STATUS(ostler_deferred_wait_any(deferred, cells, 3, OSTLER_FOREVER, NULL, &index), OSTLER_OK);
    CHECK_EQ(index, 2);
    CHECK_STATUS(ostler_deferred_wait_all(deferred, cells, 3, 1000000, NULL), OSTLER_E_TIMEOUT);
    complete(deferred, cells[0], &cells[0]);
    CHECK_STATUS(ostler_deferred_cancel(deferred, cells[1]), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_wait_all(deferred, cells, 3, 0, NULL), OSTLER_OK);
    CHECK_EQ(take(deferred, cells[0], OSTLER_OK), &cells[0]);
    CHECK_STATUS(ostler_deferred_wait_all(deferred, cells, 3, 0, NULL), OSTLER_E_STALE_CELL);
    CHECK_EQ(take(deferred, cells[1], OSTLER_E_CANCELLED), NULL);
    CHECK_EQ(take(deferred, cells[2], OSTLER_OK), &cells[2]);
    CHECK_STATUS(ostler_deferred_wait_all(deferred, NULL, 0, 0, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_wait_any(deferred, cells, 0, 0, NULL, &index), OSTLER_E_INVALID_ARGUMENT);
    destroy(deferred);
}

TEST(cell_that_stands_twice_in_a_list_is_refused)
{
    ostler_deferred *deferred = make_deferred(1);
    ostler_cell cell = acquire(deferred), twice[] = {cell, cell};
    CHECK_STATUS(ostler_deferred_wait_all(deferred, twice, 2, OSTLER_FOREVER, NULL), OSTLER_E_BUSY);
    CHECK_STATUS(ostler_deferred_release(deferred, cell), OSTLER_OK);
    destroy(deferred);
}

struct relay {
    ostler_deferred *deferred;
    ostler_cell *cells;
    int count;
};

static void *complete_backwards(void *argument)
{
    struct relay *relay = argument;
    for (int i = relay->count - 1; i >= 0; i--)
        complete(relay->deferred, relay->cells[i], &relay->cells[i]);
    return NULL;
}

TEST(many_are_waited_for_at_once)
{
    ostler_deferred *deferred = make_deferred(64);
    ostler_cell cells[64];
    for (int round = 0; round < 50; round++) {
        struct relay relay = {deferred, cells, 64};
        pthread_t thread;
        uint32_t index;
        CHECK_STATUS(ostler_deferred_acquire_n(deferred, 64, cells), OSTLER_OK);
        pthread_create(&thread, NULL, complete_backwards, &relay);
        CHECK_STATUS(ostler_deferred_wait_any(deferred, cells, 64, OSTLER_FOREVER, NULL, &index), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_wait_all(deferred, cells, 64, OSTLER_FOREVER, NULL), OSTLER_OK);
        for (int i = 0; i < 64; i++)
            CHECK_EQ(take(deferred, cells[i], OSTLER_OK), &cells[i]);
        pthread_join(thread, NULL);
    }
    destroy(deferred);
}

struct call {
    atomic_int calls;
    ostler_deferred *deferred;
    ostler_cell cell;
    ostler_status outcome;
    void *value;
    ostler_status destroyed, polled;
};

static void note_call(void *user_data, ostler_cell cell, ostler_status outcome, void *value)
{
    struct call *call = user_data;
    ostler_status ignored;
    call->cell = cell;
    call->outcome = outcome;
    call->value = value;
    if (call->deferred) {
        call->destroyed = ostler_deferred_destroy(call->deferred);
        call->polled = ostler_deferred_poll(call->deferred, cell, &ignored, NULL);
    }
    atomic_fetch_add(&call->calls, 1);
}

TEST(callback_takes_what_comes)
{
    ostler_deferred *deferred = make_deferred(1);
    struct call call = {.deferred = deferred};
    ostler_status outcome;
    ostler_cell cell = acquire(deferred);
    CHECK_STATUS(ostler_deferred_on_complete(deferred, cell, note_call, &call), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_on_complete(deferred, cell, note_call, &call), OSTLER_E_BUSY);
    CHECK_STATUS(ostler_deferred_wait(deferred, cell, OSTLER_FOREVER, NULL, &outcome, NULL), OSTLER_E_BUSY);
    CHECK_EQ(call.calls, 0);
    CHECK_STATUS(ostler_deferred_complete(deferred, cell, -5, &call), OSTLER_OK);
    CHECK_EQ(call.calls, 1);
    CHECK_EQ(call.cell.value, cell.value);
    CHECK_STATUS(call.outcome, -5);
    CHECK_EQ(call.value, &call);
    CHECK_STATUS(call.destroyed, OSTLER_E_WOULD_DEADLOCK);
    CHECK_STATUS(call.polled, OSTLER_E_BUSY);
    CHECK_STATUS(ostler_deferred_poll(deferred, cell, &outcome, NULL), OSTLER_E_STALE_CELL);
    destroy(deferred);
}

TEST(late_callback_is_called_at_once)
{
    ostler_deferred *deferred = make_deferred(1);
    struct call call = {0};
    ostler_cell cell = acquire(deferred);
    complete(deferred, cell, &call);
    CHECK_STATUS(ostler_deferred_on_complete(deferred, cell, note_call, &call), OSTLER_OK);
    CHECK_EQ(call.calls, 1);
    CHECK_EQ(call.value, &call);
    destroy(deferred);
}

TEST(release_takes_a_callback_back)
{
    ostler_deferred *deferred = make_deferred(1);
    struct call call = {0};
    ostler_cell cell = acquire(deferred);
    CHECK_STATUS(ostler_deferred_on_complete(deferred, cell, note_call, &call), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_release(deferred, cell), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, &call), OSTLER_E_STALE_CELL);
    CHECK_EQ(call.calls, 0);
    destroy(deferred);
}

TEST(destroy_ends_what_is_pending)
{
    ostler_deferred *deferred = make_deferred(4);
    struct call call = {0};
    struct waiter waiter;
    ostler_cell waited = acquire(deferred), called = acquire(deferred), came = acquire(deferred), left = acquire(deferred);
    ostler_cell more;
    CHECK_STATUS(ostler_deferred_on_complete(deferred, called, note_call, &call), OSTLER_OK);
    complete(deferred, came, &came);
    begin_waiting(&waiter, deferred, waited, NULL);
    CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
    pthread_join(waiter.thread, NULL);
    CHECK_STATUS(waiter.status, OSTLER_OK);
    CHECK_STATUS(waiter.outcome, OSTLER_E_CLOSED);
    CHECK_EQ(call.calls, 1);
    CHECK_STATUS(call.outcome, OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_deferred_acquire(deferred, &more), OSTLER_E_CLOSED);
    /* What is out stays valid. */
    CHECK_EQ(take(deferred, came, OSTLER_OK), &came);
    CHECK_STATUS(ostler_deferred_complete(deferred, left, OSTLER_OK, &left), OSTLER_E_ALREADY_COMPLETED);
    CHECK_STATUS(ostler_deferred_release(deferred, left), OSTLER_OK);
    CHECK_STATUS(ostler_deferred_acquire(deferred, &more), OSTLER_E_INVALID_HANDLE);
}

/* Each cell is completed by one thread, cancelled by another, and taken or released by a third, all at once. */
struct melee {
    ostler_deferred *deferred;
    pthread_barrier_t *start;
    ostler_cell *cell;
    atomic_long *accepted, *seen;
    int part;
};

enum { BOUTS = 2000 };

static void count_value(void *user_data, void *value)
{
    (void)value;
    atomic_fetch_add((atomic_long *)user_data, 1);
}

static void *fight(void *argument)
{
    struct melee *melee = argument;
    ostler_status outcome;
    void *value;
    for (int i = 0; i < BOUTS; i++) {
        pthread_barrier_wait(melee->start);
        ostler_cell cell = *melee->cell;
        if (melee->part == 0) {
            ostler_status status = ostler_deferred_complete(melee->deferred, cell, OSTLER_OK, melee);
            EXPECT(status == OSTLER_OK || status == OSTLER_E_STALE_CELL || status == OSTLER_E_ALREADY_COMPLETED);
            atomic_fetch_add(melee->accepted, status == OSTLER_OK);
        } else if (melee->part == 1) {
            if (i % 2)
                ostler_deferred_cancel(melee->deferred, cell);
        } else if (i % 3) {
            EXPECT_STATUS(ostler_deferred_wait(melee->deferred, cell, OSTLER_FOREVER, NULL, &outcome, &value), OSTLER_OK);
            EXPECT((outcome == OSTLER_OK) == (value != NULL));
            atomic_fetch_add(melee->seen, outcome == OSTLER_OK);
        } else {
            EXPECT_STATUS(ostler_deferred_release(melee->deferred, cell), OSTLER_OK);
        }
        pthread_barrier_wait(melee->start);
    }
    return NULL;
}

TEST(every_accepted_value_is_taken_or_discarded)
{
    atomic_long accepted = 0, seen = 0;
    ostler_deferred_config config;
    ostler_deferred *deferred;
    ostler_cell cell;
    pthread_barrier_t start;
    pthread_t threads[3];
    struct melee melees[3];
    CHECK_STATUS(ostler_deferred_config_init(&config, sizeof config), OSTLER_OK);
    config.capacity = 2;
    config.discard = count_value;
    config.user_data = &seen;
    CHECK_STATUS(ostler_deferred_create(&config, &deferred), OSTLER_OK);
    pthread_barrier_init(&start, NULL, 4);
    for (int i = 0; i < 3; i++) {
        melees[i] = (struct melee){deferred, &start, &cell, &accepted, &seen, i};
        pthread_create(&threads[i], NULL, fight, &melees[i]);
    }
    for (int i = 0; i < BOUTS; i++) {
        EXPECT_STATUS(ostler_deferred_acquire(deferred, &cell), OSTLER_OK);
        pthread_barrier_wait(&start);
        pthread_barrier_wait(&start);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
    CHECK_EQ(accepted, seen);
    destroy(deferred);
}

CHECK_MAIN()
