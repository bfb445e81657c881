/* Desk: cells are got, ended and taken at it as without it, and its free ones are everybody's all the same. */
#include "desks.h"
#include <sys/wait.h>
#include <unistd.h>

/* As another thread that has no desk. */
static void *visit_set(void *deferred)
{
    ostler_cell cell = {0};
    EXPECT_STATUS(ostler_deferred_acquire(deferred, &cell), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_release(deferred, cell), OSTLER_OK);
    return NULL;
}

static void let_another_come(ostler_deferred *deferred)
{
    pthread_t thread;
    pthread_create(&thread, NULL, visit_set, deferred);
    pthread_join(thread, NULL);
}

/* Everything that a cell can be told at a desk; `with` does each thing, as the desk that it was acquired at or another. */
static void use_in_every_way(int twin, ostler_desk *desk, ostler_desk *with)
{
    ostler_cell cell = acquire(twin, desk);
    ostler_status outcome = 7;
    void *value = &outcome;
    CHECK_STATUS(polls[twin](with, cell, &outcome, &value), OSTLER_E_NOT_READY);
    CHECK_EQ(outcome, 0);
    CHECK_EQ(value, NULL);
    complete(twin, with, cell, &marks[1]);
    CHECK_STATUS(completes[twin](desk, cell, OSTLER_OK, NULL), OSTLER_E_ALREADY_COMPLETED);
    CHECK_EQ(take(twin, with, cell, OSTLER_OK), &marks[1]);
    CHECK_STATUS(polls[twin](desk, cell, &outcome, &value), OSTLER_E_STALE_CELL);
    CHECK_STATUS(completes[twin](with, cell, OSTLER_OK, NULL), OSTLER_E_STALE_CELL);
    CHECK_STATUS(completes[twin](with, cell, -77, NULL), OSTLER_E_STALE_CELL);
    CHECK_STATUS(releases[twin](desk, cell), OSTLER_E_STALE_CELL);

    ostler_cell next = acquire(twin, with);
    CHECK(next.value != cell.value);
    CHECK_STATUS(completes[twin](desk, cell, OSTLER_OK, &marks[0]), OSTLER_E_STALE_CELL);
    CHECK_STATUS(releases[twin](with, cell), OSTLER_E_STALE_CELL);
    CHECK_STATUS(completes[twin](desk, next, -77, &marks[1]), OSTLER_OK);
    CHECK_STATUS(polls[twin](with, cell, &outcome, &value), OSTLER_E_STALE_CELL);
    CHECK_EQ(take(twin, with, next, -77), &marks[1]);

    cell = acquire(twin, desk);
    complete(twin, with, cell, NULL);
    CHECK_STATUS(polls[twin](desk, cell, &outcome, NULL), OSTLER_OK);
    CHECK_EQ(outcome, 0);

    cell = acquire(twin, desk);
    CHECK_STATUS(releases[twin](with, cell), OSTLER_OK);
    CHECK_STATUS(releases[twin](with, cell), OSTLER_E_STALE_CELL);
    CHECK_STATUS(completes[twin](with, cell, OSTLER_OK, &marks[0]), OSTLER_E_STALE_CELL);
    cell = acquire(twin, desk);
    complete(twin, with, cell, NULL);
    CHECK_STATUS(releases[twin](with, cell), OSTLER_OK);
    CHECK_STATUS(polls[twin](with, cell, &outcome, &value), OSTLER_E_STALE_CELL);

    CHECK_STATUS(completes[twin](with, (ostler_cell){0}, OSTLER_OK, NULL), OSTLER_E_STALE_CELL);
    CHECK_STATUS(polls[twin](with, (ostler_cell){UINT64_MAX}, &outcome, &value), OSTLER_E_STALE_CELL);
    CHECK_STATUS(releases[twin](with, (ostler_cell){UINT64_MAX}), OSTLER_E_STALE_CELL);
}

TEST(cell_at_a_desk_is_a_cell_like_any_other)
{
    FOR_EACH_TWIN(i)
    {
        for (int alone = 1; alone >= 0; alone--) {
            ostler_deferred *deferred = make_deferred(64);
            ostler_desk *desk = open_desk(deferred);
            warm(i, desk);
            CHECK(is_alone(desk));
            CHECK(desk->count > 0);
            if (!alone)
                let_another_come(deferred);
            use_in_every_way(i, desk, desk);
            CHECK_EQ(is_alone(desk), alone);
            ostler_deferred_stats stats = stats_of(deferred);
            CHECK_EQ(stats.in_use, 0);
            CHECK_EQ(stats.acquires, CALM + 5 + !alone);
            CHECK_EQ(stats.completed, CALM + 3);
            CHECK_EQ(stats.failed, 1);
            CHECK_EQ(stats.released, 1 + !alone);
            CHECK_EQ(stats.peak_in_use, 1);
            ends(desk, deferred);
        }
    }
}

TEST(two_desks_of_a_set_are_there_for_all_cells_of_it)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *deferred = make_deferred(64);
        ostler_desk *desk = open_desk(deferred), *other = open_desk(deferred);
        warm(i, desk);
        CHECK(is_alone(desk));
        warm(i, other);
        CHECK_EQ(*desk->who, ALL);
        use_in_every_way(i, desk, other);
        use_in_every_way(i, other, desk);
        CHECK_STATUS(ostler_desk_close(other), OSTLER_OK);
        ends(desk, deferred);
    }
}

TEST(cell_of_another_set_is_stale_at_a_desk)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *one = make_deferred(4), *two = make_deferred(4);
        ostler_desk *desk = open_desk(one), *other = open_desk(two);
        ostler_status outcome;
        void *value;
        warm(i, desk);
        warm(i, other);
        ostler_cell cell = acquire(i, desk), same = acquire(i, other);
        CHECK_STATUS(completes[i](other, cell, OSTLER_OK, NULL), OSTLER_E_STALE_CELL);
        CHECK_STATUS(releases[i](other, cell), OSTLER_E_STALE_CELL);
        complete_and_take(i, desk, cell);
        complete(i, other, same, NULL);
        CHECK_STATUS(polls[i](desk, same, &outcome, &value), OSTLER_E_STALE_CELL);
        CHECK_EQ(take(i, other, same, OSTLER_OK), NULL);
        CHECK(is_alone(desk) && is_alone(other));
        ends(desk, one);
        ends(other, two);
    }
}

TEST(desk_takes_over_from_its_own_thread_and_from_a_desk_before_it)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *deferred = make_deferred(64);
        ostler_cell cell;
        ostler_status outcome;
        CHECK_STATUS(ostler_deferred_acquire(deferred, &cell), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, NULL), OSTLER_OK);
        ostler_desk *desk = open_desk(deferred);
        CHECK(*desk->who != NOBODY && *desk->who != ALL && !is_alone(desk));
        CHECK_EQ(take(i, desk, cell, OSTLER_OK), NULL);
        CHECK(is_alone(desk));
        CHECK_STATUS(ostler_desk_close(desk), OSTLER_OK);
        desk = open_desk(deferred);
        CHECK_EQ(*desk->who, NOBODY);
        warm(i, desk);
        CHECK(is_alone(desk));
        /* The same thread without it is another user. */
        cell = acquire(i, desk);
        CHECK_STATUS(ostler_deferred_complete(deferred, cell, OSTLER_OK, &marks[0]), OSTLER_OK);
        CHECK_EQ(*desk->who, ALL);
        CHECK_EQ(take(i, desk, cell, OSTLER_OK), &marks[0]);
        cell = acquire(i, desk);
        complete(i, desk, cell, &marks[1]);
        CHECK_STATUS(ostler_deferred_poll(deferred, cell, &outcome, NULL), OSTLER_OK);
        ends(desk, deferred);
    }
}

/* What came to a cell by other means than complete. */
TEST(cancelled_cell_is_told_at_a_desk)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *deferred = make_deferred(64);
        ostler_desk *desk = open_desk(deferred);
        warm(i, desk);
        ostler_cell cell = acquire(i, desk);
        CHECK_STATUS(ostler_deferred_cancel(deferred, cell), OSTLER_OK);
        CHECK_STATUS(completes[i](desk, cell, OSTLER_OK, NULL), OSTLER_E_ALREADY_COMPLETED);
        CHECK_EQ(take(i, desk, cell, OSTLER_E_CANCELLED), NULL);
        CHECK_EQ(stats_of(deferred).cancelled, 1);
        ends(desk, deferred);
    }
}

struct call {
    int count;
    ostler_status outcome;
    void *value;
    ostler_desk *desk;
};

static void note_call(void *user_data, ostler_cell cell, ostler_status outcome, void *value)
{
    struct call *call = user_data;
    (void)cell;
    call->count++;
    call->outcome = outcome;
    call->value = value;
    /* A callback may use the desk. */
    complete_and_take(1, call->desk, acquire(1, call->desk));
}

TEST(callback_takes_what_comes_at_a_desk)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *deferred = make_deferred(64);
        ostler_desk *desk = open_desk(deferred);
        struct call call = {.desk = desk};
        ostler_status outcome;
        void *value;
        for (int round = 1; round <= 3; round++) {
            warm(i, desk);
            ostler_cell cell = acquire(i, desk);
            if (round == 2)
                complete(i, desk, cell, &marks[1]);
            CHECK_STATUS(ostler_deferred_on_complete(deferred, cell, note_call, &call), OSTLER_OK);
            if (round != 2) {
                CHECK_EQ(call.count, round - 1);
                CHECK_STATUS(polls[i](desk, cell, &outcome, &value), OSTLER_E_BUSY);
                complete(i, desk, cell, &marks[1]);
            }
            CHECK_EQ(call.count, round);
            CHECK_STATUS(call.outcome, OSTLER_OK);
            CHECK_EQ(call.value, &marks[1]);
            CHECK_STATUS(completes[i](desk, cell, OSTLER_OK, NULL), OSTLER_E_STALE_CELL);
        }
        ends(desk, deferred);
    }
}

static void count_discarded(void *user_data, void *value)
{
    CHECK_EQ(value, &marks[1]);
    ++*(int *)user_data;
}

TEST(value_that_nobody_takes_at_a_desk_is_discarded)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred_config config;
        ostler_deferred *deferred;
        int discarded = 0;
        CHECK_STATUS(ostler_deferred_config_init(&config, sizeof config), OSTLER_OK);
        config.discard = count_discarded;
        config.user_data = &discarded;
        CHECK_STATUS(ostler_deferred_create(&config, &deferred), OSTLER_OK);
        ostler_desk *desk = open_desk(deferred);
        warm(i, desk);
        ostler_cell cell = acquire(i, desk);
        complete(i, desk, cell, &marks[1]);
        CHECK_STATUS(releases[i](desk, cell), OSTLER_OK);
        CHECK_EQ(discarded, 1);
        CHECK_EQ(stats_of(deferred).discarded, 1);
        ends(desk, deferred);
    }
}

/* No caller goes without while a free cell lies in a desk, and none is given out twice. */
TEST(what_lies_in_a_desk_is_everybodys)
{
    FOR_EACH_TWIN(i)
    {
        for (uint32_t capacity = 1; capacity <= 1024; capacity *= 4) {
            ostler_deferred *deferred = make_deferred(capacity);
            ostler_desk *desk = open_desk(deferred), *other = open_desk(deferred);
            static ostler_cell cells[1024];
            ostler_cell more = {7};
            for (int round = 0; round < 6; round++) {
                warm(i, desk);
                if (round == 0)
                    CHECK(desk->count > 0);
                if (round % 3 == 0)
                    CHECK_STATUS(ostler_deferred_acquire_n(deferred, capacity, cells), OSTLER_OK);
                for (uint32_t c = 0; c < capacity && round % 3 == 1; c++)
                    CHECK_STATUS(ostler_deferred_acquire(deferred, &cells[c]), OSTLER_OK);
                for (uint32_t c = 0; c < capacity && round % 3 == 2; c++)
                    cells[c] = acquire(i, other);
                CHECK_EQ(desk->count, 0);
                CHECK_STATUS(acquires[i](desk, &more), OSTLER_E_EXHAUSTED);
                CHECK_EQ(more.value, 0);
                CHECK_STR_CONTAINS(ostler_last_error_message(), "but 0 of");
                CHECK_STATUS(acquires[i](other, &more), OSTLER_E_EXHAUSTED);
                CHECK_STATUS(ostler_deferred_acquire(deferred, &more), OSTLER_E_EXHAUSTED);
                CHECK_EQ(stats_of(deferred).in_use, capacity);
                for (uint32_t c = 0; c < capacity; c++)
                    complete_and_take(i, c % 2 ? desk : other, cells[c]);
            }
            CHECK_EQ(stats_of(deferred).peak_in_use, capacity);
            CHECK_STATUS(ostler_desk_close(other), OSTLER_OK);
            ends(desk, deferred);
        }
    }
}

TEST(most_that_were_out_at_a_desk_are_told)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *deferred = make_deferred(1024);
        ostler_desk *desk = open_desk(deferred);
        ostler_cell cells[300];
        warm(i, desk);
        CHECK_EQ(stats_of(deferred).peak_in_use, 1);
        for (int most = 1; most <= 300; most += 13) {
            for (int c = 0; c < most; c++)
                cells[c] = acquire(i, desk);
            CHECK_EQ(stats_of(deferred).in_use, most);
            for (int c = 0; c < most; c++)
                complete_and_take(i, desk, cells[c]);
            CHECK_EQ(stats_of(deferred).peak_in_use, most);
            CHECK_EQ(stats_of(deferred).in_use, 0);
        }
        CHECK(is_alone(desk));
        ends(desk, deferred);
    }
}

/* The names of a cell begin anew when they are used up, and none of them is 0. */
TEST(last_name_of_a_cell_is_counted)
{
    FOR_EACH_TWIN(i)
    {
        const uint64_t last = (uint64_t)UINT32_MAX << 32;
        for (int is_released = 0; is_released < 2; is_released++) {
            ostler_deferred *deferred = make_deferred(1);
            ostler_desk *desk = open_desk(deferred);
            warm(i, desk);
            CHECK_EQ(desk->count, 1);
            CHECK_EQ(desk->cells[0].word, (uint64_t)(CALM + 1) << 32);
            desk->cells[0].word = last;
            desk->free[0] = (uint32_t)desk->free[0] | last;
            ostler_cell cell = acquire(i, desk);
            CHECK_EQ(cell.value >> 32, UINT32_MAX);
            if (is_released)
                CHECK_STATUS(releases[i](desk, cell), OSTLER_OK);
            else
                complete_and_take(i, desk, cell);
            CHECK_EQ(stats_of(deferred).acquires, UINT32_MAX);
            cell = acquire(i, desk);
            CHECK_EQ(cell.value >> 32, 1);
            complete_and_take(i, desk, cell);
            CHECK_EQ(stats_of(deferred).acquires, (uint64_t)UINT32_MAX + 1);
            CHECK_STATUS(ostler_desk_close(desk), OSTLER_OK);
            CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
        }
    }
}

/* A destroyed set lasts as long as a desk of it is open. */
TEST(desk_outlives_its_set)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *deferred = make_deferred(64);
        ostler_desk *desk = open_desk(deferred);
        ostler_cell pending, done, given_up, more = {7};
        ostler_status outcome;
        void *value;
        warm(i, desk);
        pending = acquire(i, desk);
        done = acquire(i, desk);
        given_up = acquire(i, desk);
        complete(i, desk, done, &marks[1]);
        CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
        CHECK_EQ(desk->count, 0);
        CHECK_STATUS(acquires[i](desk, &more), OSTLER_E_CLOSED);
        CHECK_EQ(more.value, 0);
        CHECK_STATUS(completes[i](desk, pending, OSTLER_OK, NULL), OSTLER_E_ALREADY_COMPLETED);
        CHECK_EQ(take(i, desk, pending, OSTLER_E_CLOSED), NULL);
        CHECK_EQ(take(i, desk, done, OSTLER_OK), &marks[1]);
        CHECK_STATUS(releases[i](desk, given_up), OSTLER_OK);
        /* All cells are back, and the desk is open. */
        CHECK_STATUS(releases[i](desk, given_up), OSTLER_E_STALE_CELL);
        CHECK_STATUS(acquires[i](desk, &more), OSTLER_E_CLOSED);
        CHECK_STATUS(ostler_desk_close(desk), OSTLER_OK);
        CHECK_STATUS(ostler_desk_close(desk), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(acquires[i](desk, &more), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(completes[i](desk, done, OSTLER_OK, NULL), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(polls[i](desk, done, &outcome, &value), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(releases[i](desk, done), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(ostler_deferred_poll(deferred, done, &outcome, NULL), OSTLER_E_INVALID_HANDLE);
    }
    uint64_t objects;
    CHECK_STATUS(ostler_shutdown(0, &objects), OSTLER_OK);
    CHECK_EQ(objects, 0);
}

TEST(cells_outlive_the_desk_at_which_they_were_acquired)
{
    FOR_EACH_TWIN(i)
    {
        ostler_deferred *deferred = make_deferred(64);
        ostler_desk *desk = open_desk(deferred);
        ostler_status outcome;
        void *value;
        warm(i, desk);
        ostler_cell pending = acquire(i, desk), done = acquire(i, desk);
        complete(i, desk, done, &marks[1]);
        CHECK_STATUS(ostler_desk_close(desk), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_poll(deferred, done, &outcome, &value), OSTLER_OK);
        CHECK_EQ(value, &marks[1]);
        CHECK_STATUS(ostler_deferred_complete(deferred, pending, OSTLER_OK, &marks[0]), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_poll(deferred, pending, &outcome, &value), OSTLER_OK);
        CHECK_STATUS(ostler_deferred_poll(deferred, pending, &outcome, &value), OSTLER_E_INVALID_HANDLE);
    }
}

TEST(pointers_that_are_no_desks_are_refused)
{
    FOR_EACH_TWIN(i)
    {
        static _Alignas(128) ostler_desk made_up;
        ostler_cell cell = {7};
        ostler_status outcome = 7;
        void *value = &cell;
        ostler_desk *const bad[] = {NULL, &made_up};
        for (int k = 0; k < 2; k++) {
            CHECK_STATUS(acquires[i](bad[k], &cell), OSTLER_E_INVALID_HANDLE);
            CHECK_EQ(cell.value, 0);
            CHECK_STATUS(completes[i](bad[k], cell, OSTLER_OK, NULL), OSTLER_E_INVALID_HANDLE);
            CHECK_STATUS(polls[i](bad[k], cell, &outcome, &value), OSTLER_E_INVALID_HANDLE);
            CHECK_EQ(outcome, 0);
            CHECK_EQ(value, NULL);
            CHECK_STATUS(releases[i](bad[k], cell), OSTLER_E_INVALID_HANDLE);
        }
        CHECK_STATUS(ostler_desk_close(&made_up), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(ostler_desk_close(NULL), OSTLER_OK);
        ostler_deferred *deferred = make_deferred(64);
        ostler_desk *desk = NULL;
        CHECK_STATUS(ostler_desk_open(deferred, NULL), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(ostler_desk_open(NULL, &desk), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(desk, NULL);
        desk = open_desk(deferred);
        warm(i, desk);
        CHECK_STATUS(acquires[i](desk, NULL), OSTLER_E_INVALID_ARGUMENT);
        cell = acquire(i, desk);
        complete(i, desk, cell, NULL);
        value = &cell;
        CHECK_STATUS(polls[i](desk, cell, NULL, &value), OSTLER_E_INVALID_ARGUMENT);
        CHECK_EQ(value, NULL);
        CHECK_EQ(take(i, desk, cell, OSTLER_OK), NULL);
        ends(desk, deferred);
    }
}

/* As a desk of a library that has another layout; the inline code that used its fields all the same would crash. */
static ostler_desk *of_another_layout(ostler_desk *desk)
{
    desk->layout = OSTLER_DESK_LAYOUT + 1;
    desk->cells = NULL;
    return desk;
}

TEST(desk_of_another_layout_asks_the_library)
{
    ostler_deferred *deferred = make_deferred(64);
    ostler_desk *desk = open_desk(deferred);
    ostler_cell_state *const cells = desk->cells;
    warm(INLINE, desk);
    CHECK(is_alone(desk) && desk->count > 0);
    /* Each call may say anew that it is of this layout. */
    ostler_cell cell = acquire(INLINE, of_another_layout(desk));
    complete(INLINE, of_another_layout(desk), cell, &marks[0]);
    CHECK_EQ(take(INLINE, of_another_layout(desk), cell, OSTLER_OK), &marks[0]);
    cell = acquire(INLINE, of_another_layout(desk));
    CHECK_STATUS(ostler_desk_release_inline(of_another_layout(desk), cell), OSTLER_OK);
    desk->cells = cells;
    ends(desk, deferred);
}

/* What the host writes into a desk by mistake leads the inline code nowhere. */
TEST(desk_that_was_written_to_asks_the_library)
{
    ostler_deferred *deferred = make_deferred(64);
    ostler_desk *desk = open_desk(deferred);
    warm(INLINE, desk);
    const uint32_t count = desk->count;
    ostler_cell_state *const cells = desk->cells;
    CHECK(count > 0);
    desk->cells = NULL;
    desk->count = OSTLER_DESK_ROOM + 1;
    ostler_cell cell = {0};
    ostler_desk_enter_(desk);
    CHECK(!ostler_desk_take_(desk, &cell));
    desk->count = count;
    const uint64_t kept = desk->free[count - 1];
    desk->free[count - 1] = kept ^ desk->capacity;
    CHECK(!ostler_desk_take_(desk, &cell));
    ostler_desk_leave_(desk);
    CHECK_EQ(cell.value, 0);
    CHECK_EQ(desk->count, count);
    desk->free[count - 1] = kept;
    desk->cells = cells;
    complete_and_take(INLINE, desk, acquire(INLINE, desk));
    ends(desk, deferred);
}

TEST(forked_child_is_told_so_at_a_desk)
{
    ostler_deferred *deferred = make_deferred(64);
    ostler_desk *desk = open_desk(deferred);
    warm(1, desk);
    ostler_cell pending = acquire(1, desk), done = acquire(1, desk);
    complete(1, desk, done, &marks[0]);
    pid_t child = fork();
    if (child == 0) {
        ostler_cell cell;
        ostler_status outcome;
        void *value;
        int is_told = ostler_desk_acquire_inline(desk, &cell) == OSTLER_E_FORKED &&
                      ostler_desk_complete_inline(desk, pending, OSTLER_OK, NULL) == OSTLER_E_FORKED &&
                      ostler_desk_poll_inline(desk, done, &outcome, &value) == OSTLER_E_FORKED &&
                      ostler_desk_release_inline(desk, done) == OSTLER_E_FORKED &&
                      ostler_desk_close(desk) == OSTLER_E_FORKED;
        _exit(is_told ? 0 : 1);
    }
    int status = 1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    complete_and_take(1, desk, pending);
    CHECK_EQ(take(1, desk, done, OSTLER_OK), &marks[0]);
    ends(desk, deferred);
}

CHECK_MAIN()
