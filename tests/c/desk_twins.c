/* The inline functions of a desk, the library's and those without a desk do the same. */
#include "desks.h"

/* Both twins and the functions without a desk, on the same sequence, by chance, with a set each: the same statuses and the
 * same numbers. */
enum { WAYS = 3, HELD = 40 };

static ostler_status acquire_in(int way, ostler_deferred *deferred, ostler_desk *desk, ostler_cell *cell)
{
    return way < 2 ? acquires[way](desk, cell) : ostler_deferred_acquire(deferred, cell);
}

static ostler_status complete_in(int way, ostler_deferred *deferred, ostler_desk *desk, ostler_cell cell,
                                 ostler_status outcome, void *value)
{
    return way < 2 ? completes[way](desk, cell, outcome, value) : ostler_deferred_complete(deferred, cell, outcome, value);
}

static ostler_status poll_in(int way, ostler_deferred *deferred, ostler_desk *desk, ostler_cell cell,
                             ostler_status *outcome, void **value)
{
    return way < 2 ? polls[way](desk, cell, outcome, value) : ostler_deferred_poll(deferred, cell, outcome, value);
}

static ostler_status release_in(int way, ostler_deferred *deferred, ostler_desk *desk, ostler_cell cell)
{
    return way < 2 ? releases[way](desk, cell) : ostler_deferred_release(deferred, cell);
}

static void compare(ostler_deferred *const sets[WAYS])
{
    ostler_deferred_stats wanted = stats_of(sets[2]);
    for (int way = 0; way < 2; way++) {
        ostler_deferred_stats stats = stats_of(sets[way]);
        CHECK_EQ(stats.in_use, wanted.in_use);
        CHECK_EQ(stats.pending, wanted.pending);
        CHECK_EQ(stats.acquires, wanted.acquires);
        CHECK_EQ(stats.completed, wanted.completed);
        CHECK_EQ(stats.failed, wanted.failed);
        CHECK_EQ(stats.cancelled, wanted.cancelled);
        CHECK_EQ(stats.released, wanted.released);
        CHECK_EQ(stats.discarded, wanted.discarded);
        CHECK_EQ(stats.refused, wanted.refused);
    }
}

TEST(twins_do_the_same_as_the_functions_without_a_desk)
{
    uint64_t chance = 88172645463325252u;
    for (int round = 0; round < 40; round++) {
        ostler_deferred *sets[WAYS];
        ostler_desk *desks[2][2];
        struct { ostler_cell cell[WAYS]; } held[HELD] = {{{{0}}}};
        int count = 0;
        /* In every second round all use the sets from some step on. */
        int crowded_from = round % 2 ? 1000 : 1 << 30;
        for (int way = 0; way < WAYS; way++)
            sets[way] = make_deferred(1u + (uint32_t)round * 3);
        FOR_EACH_TWIN(i)
            for (int d = 0; d < 2; d++)
                desks[i][d] = open_desk(sets[i]);
        for (int step = 0; step < 3000; step++) {
            chance ^= chance << 13, chance ^= chance >> 7, chance ^= chance << 17;
            int what = (int)(chance >> 16 & 15), at = count ? (int)((chance >> 32) % (unsigned)count) : 0;
            int d = step >= crowded_from && (chance >> 8 & 1);
            bool is_acquire = what < 6 && count < HELD;
            ostler_status status[WAYS] = {1, 1, 1}, outcome[WAYS] = {7, 7, 7};
            void *value[WAYS] = {marks, marks, marks};
            for (int way = 0; way < WAYS; way++) {
                ostler_desk *desk = way < 2 ? desks[way][d] : NULL;
                ostler_cell cell = held[at].cell[way];
                if (is_acquire)
                    status[way] = acquire_in(way, sets[way], desk, &held[count].cell[way]);
                else if (what < 10)
                    status[way] = complete_in(way, sets[way], desk, cell, chance >> 40 & 7 ? OSTLER_OK : -77,
                                              chance >> 44 & 1 ? &marks[chance >> 45 & 1] : NULL);
                else if (what < 14)
                    status[way] = poll_in(way, sets[way], desk, cell, &outcome[way], &value[way]);
                else if (what == 14)
                    status[way] = release_in(way, sets[way], desk, cell);
                else if (step >= crowded_from)
                    status[way] = ostler_deferred_cancel(sets[way], cell);
            }
            for (int way = 0; way < 2; way++) {
                CHECK_STATUS(status[way], status[2]);
                CHECK_STATUS(outcome[way], outcome[2]);
                CHECK_EQ(value[way], value[2]);
            }
            if (is_acquire && status[0] == OSTLER_OK)
                count++;
            /* Now and then a stale one stays in the list. */
            else if ((what >= 10 && what < 15 && status[0] == OSTLER_OK && (chance >> 50 & 3)) ||
                     (status[0] == OSTLER_E_STALE_CELL && count && (chance >> 52 & 1)))
                held[at] = held[--count];
            if (step % 16 == 0)
                compare(sets);
        }
        compare(sets);
        for (int c = 0; c < count; c++)
            for (int way = 0; way < WAYS; way++)
                (void)ostler_deferred_release(sets[way], held[c].cell[way]);
        compare(sets);
        FOR_EACH_TWIN(i)
        {
            CHECK_STATUS(ostler_desk_close(desks[i][0]), OSTLER_OK);
            ends(desks[i][1], sets[i]);
        }
        destroy(sets[2]);
    }
}

CHECK_MAIN()
