/* Magazine: the inline calls and their exported twins do the same, nobody goes short while a slot lies in a magazine, and
 * no slot has two owners. With ANOTHER_LAYOUT the inline is one of the next header version, which looks elsewhere for floor
 * and ceiling, has to leave the struct alone and takes the exported calls. */
#include "check.h"
#include <ostler.h>
#ifdef ANOTHER_LAYOUT
#include "next/ostler_inline.h"
#else
#include <ostler_inline.h>
#endif
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLOT_BYTES 96

static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};

struct twin {
    ostler_status (*get)(ostler_magazine *, void **);
    ostler_status (*put)(ostler_magazine *, void *);
    ostler_status (*get_n)(ostler_magazine *, uint32_t, void **);
    ostler_status (*put_n)(ostler_magazine *, void *const *, uint32_t, uint32_t *);
};

static ostler_status get_inline(ostler_magazine *magazine, void **out)
{
    return ostler_magazine_get_inline(magazine, out);
}

static ostler_status put_inline(ostler_magazine *magazine, void *slot)
{
    return ostler_magazine_put_inline(magazine, slot);
}

static ostler_status get_n_inline(ostler_magazine *magazine, uint32_t count, void **slots)
{
    return ostler_magazine_get_n_inline(magazine, count, slots);
}

static ostler_status put_n_inline(ostler_magazine *magazine, void *const *slots, uint32_t count, uint32_t *put)
{
    return ostler_magazine_put_n_inline(magazine, slots, count, put);
}

static const struct twin twins[] = {{get_inline, put_inline, get_n_inline, put_n_inline},
                                    {ostler_magazine_get, ostler_magazine_put, ostler_magazine_get_n,
                                     ostler_magazine_put_n}};

static ostler_slab *make_slab(uint64_t max, uint32_t magazine_slots)
{
    ostler_slab_config config;
    ostler_slab *slab;
    CHECK_STATUS(ostler_slab_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.slot_bytes = SLOT_BYTES;
    config.max_slots = max;
    config.chunk_bytes = 64 << 10;
    config.magazine_slots = magazine_slots;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &slab), OSTLER_OK);
    return slab;
}

static ostler_magazine *open_magazine(ostler_slab *slab)
{
    ostler_magazine *magazine;
    CHECK_STATUS(ostler_magazine_open(slab, &magazine), OSTLER_OK);
    return magazine;
}

static ostler_slab_stats stats_of(ostler_slab *slab)
{
    ostler_slab_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_slab_get_stats(slab, &stats), OSTLER_OK);
    return stats;
}

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return *seed >> 16;
}

/* One slab for each twin, and the same calls for both. Slots are compared by their number. */
TEST(inline_and_exported_twins_do_the_same)
{
    for (uint64_t seed = 1; seed <= 30; seed++) {
        enum { MOST = 300 };
        ostler_slab *slabs[2];
        ostler_magazine *magazines[2];
        void *held[2][MOST];
        char *base[2];
        int count = 0;
        uint64_t state = seed;
        for (int i = 0; i < 2; i++) {
            void *first;
            slabs[i] = make_slab(MOST, (uint32_t)(2 + seed * 5 % 100));
            magazines[i] = open_magazine(slabs[i]);
            CHECK_STATUS(twins[i].get(magazines[i], &first), OSTLER_OK);
            base[i] = first;
            CHECK_STATUS(twins[i].put(magazines[i], first), OSTLER_OK);
        }
        for (int call = 0; call < 3000; call++) {
            uint64_t random = next_random(&state);
            uint32_t many = (uint32_t)(random >> 20) % 40;
            ostler_status status[2];
            void *got[2][40];
            uint32_t put[2] = {77, 77};
            int what = (int)(random % 8), which = count ? (int)((random >> 8) % (uint64_t)count) : 0;
            for (int i = 0; i < 2; i++) {
                void *odd = base[i] + SLOT_BYTES * (random >> 30 & 511) + (random >> 40 & 3);
                memset(got[i], 0xff, sizeof got[i]);
                switch (what) {
                case 0:
                case 1:
                    many = 1;
                    status[i] = twins[i].get(magazines[i], got[i]);
                    break;
                case 2:
                case 3:
                    status[i] = count ? twins[i].put(magazines[i], held[i][which]) : OSTLER_OK;
                    break;
                case 4:
                case 5:
                    status[i] = twins[i].get_n(magazines[i], many, got[i]);
                    break;
                case 6:
                    many = many < (uint32_t)count ? many : (uint32_t)count;
                    status[i] = twins[i].put_n(magazines[i], &held[i][count - (int)many], many, &put[i]);
                    break;
                default:
                    /* One that may be out, free, or none. */
                    for (int slot = 0; slot < count; slot++)
                        if (held[i][slot] == odd)
                            odd = NULL;
                    status[i] = twins[i].put(magazines[i], odd);
                    CHECK(status[i] != OSTLER_OK);
                }
            }
            CHECK_EQ(status[0], status[1]);
            CHECK_EQ(put[0], put[1]);
            if (what <= 1 || what == 4 || what == 5)
                for (uint32_t slot = 0; slot < many; slot++) {
                    if (status[0] == OSTLER_OK) {
                        CHECK_EQ((char *)got[0][slot] - base[0], (char *)got[1][slot] - base[1]);
                        for (int i = 0; i < 2; i++)
                            held[i][count] = got[i][slot];
                        count++;
                    } else {
                        CHECK(got[0][slot] == NULL && got[1][slot] == NULL);
                    }
                }
            else if ((what == 2 || what == 3) && count) {
                count--;
                for (int i = 0; i < 2; i++)
                    held[i][which] = held[i][count];
            } else if (what == 6) {
                CHECK_EQ(put[0], many);
                count -= (int)many;
            }
            CHECK_EQ(stats_of(slabs[0]).refills, stats_of(slabs[1]).refills);
            CHECK_EQ(stats_of(slabs[0]).flushes, stats_of(slabs[1]).flushes);
            CHECK_EQ(stats_of(slabs[0]).out, count);
            CHECK_EQ(stats_of(slabs[1]).out, count);
        }
        for (int i = 0; i < 2; i++) {
            CHECK_STATUS(twins[i].put_n(magazines[i], held[i], (uint32_t)count, NULL), OSTLER_OK);
            CHECK_STATUS(ostler_magazine_close(magazines[i]), OSTLER_OK);
            CHECK_STATUS(ostler_slab_destroy(slabs[i]), OSTLER_OK);
        }
    }
}

TEST(what_is_put_last_is_got_first_without_a_call)
{
    ostler_slab *slab = make_slab(1000, 64);
    ostler_magazine *magazine = open_magazine(slab);
    void *slot, *again;
    CHECK_EQ(magazine->layout, OSTLER_MAGAZINE_LAYOUT);
    CHECK_STATUS(ostler_magazine_get_inline(magazine, &slot), OSTLER_OK);
    if (magazine->ceiling == 0)
        SKIP("a tool watches, so every call goes into the library");
    uint64_t refills = stats_of(slab).refills;
    for (int i = 0; i < 1000; i++) {
        CHECK_STATUS(ostler_magazine_put_inline(magazine, slot), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_get_inline(magazine, &again), OSTLER_OK);
        CHECK_EQ(again, slot);
    }
    CHECK_EQ(stats_of(slab).refills, refills);
    CHECK_STATUS(ostler_magazine_put_inline(magazine, slot), OSTLER_OK);
    CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

/* What lay in a place of the magazine is known there again, so both ways of a put are asked: with what was got from that
 * place, and with another. */
TEST(slots_put_in_any_order_are_all_told_apart)
{
    enum { COUNT = 24 };
    for (int i = 0; i < 2; i++) {
        ostler_slab *slab = make_slab(100, 64);
        ostler_magazine *magazine = open_magazine(slab);
        void *slots[COUNT];
        uint64_t seed = 7;
        for (int round = 0; round < 200; round++) {
            CHECK_STATUS(twins[i].get_n(magazine, COUNT, slots), OSTLER_OK);
            for (uint32_t at = 0; at < COUNT; at++) {
                const uint64_t random = next_random(&seed);
                const uint32_t other = (random & 3) == 0 ? at : at + (uint32_t)(random >> 8) % (COUNT - at);
                void *const slot = slots[other];
                slots[other] = slots[at];
                slots[at] = slot;
                CHECK_EQ(stats_of(slab).out, COUNT - at);
                CHECK_STATUS(twins[i].put(magazine, slot), OSTLER_OK);
                CHECK_STATUS(twins[i].put(magazine, slots[random % (at + 1)]), OSTLER_E_DOUBLE_FREE);
            }
        }
        CHECK_EQ(stats_of(slab).out, 0);
        CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
        CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    }
}

/* Of the slab that a magazine served before nothing is known in it. The other has one slot, so that its get leaves the first
 * place as it was. */
TEST(magazine_that_is_opened_again_knows_only_its_own_slab)
{
    enum { MANY = 600 };
    ostler_slab *before = make_slab(100, 16), *slab = make_slab(1, 16);
    void *stray, *slot;
    CHECK_STATUS(ostler_slab_get(before, &stray), OSTLER_OK);
    /* So many that each is one that was closed before, and of either slab by turns. */
    for (int i = 0; i < MANY; i++) {
        ostler_magazine *magazine = open_magazine(before);
        CHECK_STATUS(ostler_magazine_put_inline(magazine, stray), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_get_inline(magazine, &stray), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_close(open_magazine(before)), OSTLER_OK);
        magazine = open_magazine(slab);
        CHECK_STATUS(ostler_magazine_get_inline(magazine, &slot), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_put_inline(magazine, stray), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(ostler_magazine_put_inline(magazine, NULL), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(ostler_magazine_put_inline(magazine, slot), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_put_inline(magazine, NULL), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
    }
    CHECK_STATUS(ostler_slab_put(before, stray), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(before), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

TEST(misuse_is_told_by_both_twins)
{
    for (int i = 0; i < 2; i++) {
        ostler_slab *slab = make_slab(100, 16), *other = make_slab(100, 16);
        ostler_magazine *magazine = open_magazine(slab), *others = open_magazine(other);
        void *slot, *elsewhere = NULL, *three[3];
        uint32_t put = 9;
        CHECK_STATUS(twins[i].get(magazine, &slot), OSTLER_OK);
        CHECK_STATUS(twins[i].get(others, &elsewhere), OSTLER_OK);
        CHECK_STATUS(twins[i].put(magazine, elsewhere), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(twins[i].put(magazine, &slot), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(twins[i].put(magazine, NULL), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(twins[i].put(magazine, (char *)slot + 1), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(twins[i].put(magazine, (char *)slot + SLOT_BYTES * 100), OSTLER_E_FOREIGN_POINTER);
        CHECK_STATUS(twins[i].put(magazine, slot), OSTLER_OK);
        CHECK_STATUS(twins[i].put(magazine, slot), OSTLER_E_DOUBLE_FREE);
        CHECK_STATUS(twins[i].put(magazine, slot), OSTLER_E_DOUBLE_FREE);
        CHECK_STATUS(twins[i].get_n(magazine, 3, three), OSTLER_OK);
        void *with_one_twice[] = {three[0], three[0], elsewhere, three[1], three[2]};
        CHECK_STATUS(twins[i].put_n(magazine, with_one_twice, 5, &put), OSTLER_E_DOUBLE_FREE);
        CHECK_EQ(put, 3);
        CHECK_EQ(stats_of(slab).out, 0);
        CHECK_STATUS(twins[i].put_n(magazine, NULL, 1, &put), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(twins[i].get_n(magazine, 1, NULL), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(twins[i].get(magazine, NULL), OSTLER_E_INVALID_ARGUMENT);
        CHECK_STATUS(twins[i].get(NULL, &slot), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(twins[i].put(NULL, slot), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(twins[i].put_n(NULL, three, 3, &put), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(put, 0);
        CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_E_INVALID_HANDLE);
        slot = slab;
        CHECK_STATUS(twins[i].get(magazine, &slot), OSTLER_E_INVALID_HANDLE);
        CHECK_EQ(slot, NULL);
        CHECK_STATUS(twins[i].get_n(magazine, 0, three), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(twins[i].put_n(magazine, three, 0, &put), OSTLER_E_INVALID_HANDLE);
        /* One that was never used is as full as a ceiling of 0 allows. */
        magazine = open_magazine(slab);
        CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
        CHECK_STATUS(twins[i].put_n(magazine, three, 0, &put), OSTLER_E_INVALID_HANDLE);
        CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
        /* The slab stays until its last slot is put and its magazine closed. */
        CHECK_STATUS(ostler_slab_destroy(other), OSTLER_OK);
        CHECK_STATUS(twins[i].get(others, &slot), OSTLER_E_CLOSED);
        CHECK_STATUS(twins[i].put(others, elsewhere), OSTLER_OK);
        CHECK_STATUS(twins[i].put(others, elsewhere), OSTLER_E_DOUBLE_FREE);
        CHECK_STATUS(ostler_magazine_close(others), OSTLER_OK);
        CHECK_STATUS(twins[i].put(others, elsewhere), OSTLER_E_INVALID_HANDLE);
    }
}

TEST(nobody_goes_short_while_a_slot_lies_in_a_magazine)
{
    for (int i = 0; i < 2; i++) {
        ostler_slab *slab = make_slab(64, 64);
        ostler_magazine *one = open_magazine(slab), *other = open_magazine(slab);
        void *slots[64], *more;
        CHECK_STATUS(twins[i].get_n(one, 64, slots), OSTLER_OK);
        CHECK_STATUS(twins[i].get(other, &more), OSTLER_E_EXHAUSTED);
        CHECK_STATUS(twins[i].put_n(one, slots, 64, NULL), OSTLER_OK);
        CHECK_STATUS(twins[i].get_n(other, 64, slots), OSTLER_OK);
        CHECK_STATUS(twins[i].get(one, &more), OSTLER_E_EXHAUSTED);
        CHECK_STATUS(twins[i].put(other, slots[0]), OSTLER_OK);
        CHECK_STATUS(ostler_slab_get(slab, &slots[0]), OSTLER_OK);
        CHECK_STATUS(ostler_slab_put(slab, slots[0]), OSTLER_OK);
        CHECK_STATUS(twins[i].get(one, &slots[0]), OSTLER_OK);
        CHECK(stats_of(slab).recalls > 0);
        CHECK_STATUS(twins[i].put_n(one, slots, 64, NULL), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_close(one), OSTLER_OK);
        CHECK_STATUS(ostler_magazine_close(other), OSTLER_OK);
        CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
    }
}

/* Threads hold as many slots as there are, each through a magazine of its own, pass some on, and never go short. */
enum { THREADS = 4, EACH = 40, SLOTS = THREADS * EACH };

struct melee {
    ostler_slab *slab;
    char *base;
    atomic_int owners[SLOTS];
    _Atomic(void *) passed[THREADS];
    atomic_int next, failed;
};

static void *fight(void *argument)
{
    struct melee *melee = argument;
    int me = melee->next++, count = 0;
    const struct twin *twin = &twins[me % 2];
    void *held[EACH + 1];
    uint64_t seed = (uint64_t)me + 1;
    ostler_magazine *magazine;
    if (!EXPECT_STATUS(ostler_magazine_open(melee->slab, &magazine), OSTLER_OK))
        return NULL;
    for (int round = 0; round < 40000; round++) {
        uint64_t random = next_random(&seed);
        /* What was passed on counts as its giver's, so all get along. */
        if (random % 16 < 9 && count < EACH - 1) {
            if (!EXPECT_STATUS(twin->get(magazine, &held[count]), OSTLER_OK))
                break;
            long number = ((char *)held[count] - melee->base) / SLOT_BYTES;
            if (!EXPECT_EQ(atomic_fetch_add(&melee->owners[number], 1), 0))
                break;
            memset(held[count], me, SLOT_BYTES);
            count++;
        } else if (count > 0) {
            void *slot = held[--count];
            if (random >> 20 & 1)
                slot = atomic_exchange(&melee->passed[random >> 30 & (THREADS - 1)], slot);
            if (slot) {
                atomic_fetch_sub(&melee->owners[((char *)slot - melee->base) / SLOT_BYTES], 1);
                EXPECT_STATUS(twin->put(magazine, slot), OSTLER_OK);
            }
        }
        if ((random >> 40) % 4096 == 0)
            EXPECT_STATUS(ostler_slab_trim(melee->slab, NULL), OSTLER_OK);
    }
    while (count > 0) {
        void *slot = held[--count];
        atomic_fetch_sub(&melee->owners[((char *)slot - melee->base) / SLOT_BYTES], 1);
        EXPECT_STATUS(twin->put(magazine, slot), OSTLER_OK);
    }
    EXPECT_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
    return NULL;
}

TEST(no_slot_has_two_owners_and_nobody_goes_short)
{
    static struct melee melee;
    pthread_t threads[THREADS];
    ostler_slab_live first;
    uint64_t count;
    void *slot, *slots[SLOTS];
    melee.slab = make_slab(SLOTS, 16);
    CHECK_STATUS(ostler_slab_get(melee.slab, &slot), OSTLER_OK);
    CHECK_STATUS(ostler_slab_list_live(melee.slab, &first, 1, &count), OSTLER_OK);
    melee.base = first.slot;
    CHECK_STATUS(ostler_slab_put(melee.slab, slot), OSTLER_OK);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, fight, &melee);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++)
        if (melee.passed[i])
            CHECK_STATUS(ostler_slab_put(melee.slab, melee.passed[i]), OSTLER_OK);
    ostler_slab_stats stats = stats_of(melee.slab);
    CHECK_EQ(stats.out, 0);
    CHECK_EQ(stats.exhausted, 0);
    CHECK_EQ(stats.double_puts, 0);
    CHECK_STATUS(ostler_slab_get_n(melee.slab, SLOTS, slots), OSTLER_OK);
    CHECK_STATUS(ostler_slab_put_n(melee.slab, slots, SLOTS, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(melee.slab), OSTLER_OK);
}

/* Two threads put one slot in the same moment, again and again: each time at least one is told, or the slot is told of
 * later; no slot is lost, and afterwards all is as it was. */
struct race {
    ostler_slab *slab;
    pthread_barrier_t start;
    void *slot;
    atomic_int accepted;
};

static void *race(void *argument)
{
    struct race *race = argument;
    for (int round = 0; round < 2000; round++) {
        pthread_barrier_wait(&race->start);
        ostler_status status = ostler_slab_put(race->slab, race->slot);
        if (status == OSTLER_OK)
            race->accepted++;
        else
            EXPECT_STATUS(status, OSTLER_E_DOUBLE_FREE);
        pthread_barrier_wait(&race->start);
        pthread_barrier_wait(&race->start);
    }
    return NULL;
}

TEST(of_two_puts_at_the_same_moment_a_checked_slab_takes_one)
{
    static struct race both;
    ostler_slab_config config;
    pthread_t threads[2];
    CHECK_STATUS(ostler_slab_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.slot_bytes = SLOT_BYTES;
    config.max_slots = 64;
    config.checked = 1;
    CHECK_STATUS(ostler_slab_create(&config, NULL, NULL, &both.slab), OSTLER_OK);
    pthread_barrier_init(&both.start, NULL, 3);
    CHECK_STATUS(ostler_slab_get(both.slab, &both.slot), OSTLER_OK);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, race, &both);
    for (int round = 0; round < 2000; round++) {
        pthread_barrier_wait(&both.start);
        pthread_barrier_wait(&both.start);
        EXPECT_EQ(atomic_exchange(&both.accepted, 0), 1);
        EXPECT_STATUS(ostler_slab_get(both.slab, &both.slot), OSTLER_OK);
        pthread_barrier_wait(&both.start);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_STATUS(ostler_slab_put(both.slab, both.slot), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(both.slab), OSTLER_OK);
}

/* A struct that this test made up, and that no library knows. The inline of the library's own layout trusts it; one of
 * another layout asks the library, which does not. */
TEST(inline_trusts_only_its_own_layout)
{
    static unsigned char room[4 * SLOT_BYTES], states[4];
    static ostler_magazine made_up;
    void *slot = room;
    memset(&made_up, 0, sizeof made_up);
    made_up.layout = OSTLER_MAGAZINE_LAYOUT;
    made_up.top = 1;
    made_up.ceiling = 4;
    made_up.next_floor = INT64_MAX;
    made_up.base = (uintptr_t)room;
    made_up.inverse = 0xaaaaaaaaaaaaaaab; /* of 3, which is 96 without its twos */
    made_up.shift = 5;
    made_up.slots = 4;
    made_up.states = states;
    made_up.items[0] = room + SLOT_BYTES;
    made_up.item_states[0] = &states[1];
    ostler_status status = ostler_magazine_get_inline(&made_up, &slot);
#ifdef ANOTHER_LAYOUT
    CHECK_STATUS(status, OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(slot, NULL);
    CHECK_EQ(made_up.top, 1);
#else
    CHECK_STATUS(status, OSTLER_OK);
    CHECK_EQ(slot, room + SLOT_BYTES);
    CHECK_EQ(states[1], 2);
    CHECK_STATUS(ostler_magazine_put_inline(&made_up, slot), OSTLER_OK);
    CHECK_EQ(states[1], 1);
    states[3] = 2;
    CHECK_STATUS(ostler_magazine_put_inline(&made_up, room + 3 * SLOT_BYTES), OSTLER_OK);
    CHECK(states[3] == 1 && made_up.item_states[1] == &states[3] && made_up.top == 2);
#endif
}

TEST(forked_child_is_told_by_the_inline_calls)
{
    ostler_slab *slab = make_slab(100, 16);
    ostler_magazine *magazine = open_magazine(slab);
    void *slot, *more;
    CHECK_STATUS(ostler_magazine_get_inline(magazine, &slot), OSTLER_OK);
    pid_t child = fork();
    if (child == 0)
        _exit(ostler_magazine_get_inline(magazine, &more) == OSTLER_E_FORKED &&
                      ostler_magazine_put_inline(magazine, slot) == OSTLER_E_FORKED &&
                      ostler_magazine_get_n_inline(magazine, 0, &more) == OSTLER_E_FORKED &&
                      ostler_magazine_put_n_inline(magazine, &slot, 0, NULL) == OSTLER_E_FORKED
                  ? 0
                  : 1);
    int ended;
    waitpid(child, &ended, 0);
    CHECK(WIFEXITED(ended) && WEXITSTATUS(ended) == 0);
    CHECK_STATUS(ostler_magazine_put_inline(magazine, slot), OSTLER_OK);
    CHECK_STATUS(ostler_magazine_close(magazine), OSTLER_OK);
    CHECK_STATUS(ostler_slab_destroy(slab), OSTLER_OK);
}

CHECK_MAIN()
