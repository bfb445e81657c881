/* Heap: threads free the blocks of one another, and its end waits for the last or takes what is out with it. */
#include "heaps.h"
#include "tally.h"
#include <stdatomic.h>

TEST(close_waits_for_the_last_block)
{
    ostler_heap *heap = make_heap(small_heap());
    void *small = get(heap, 10, 0), *large = get(heap, 10000, 0), *none;
    uint64_t still_out;
    CHECK_STATUS(ostler_heap_close(heap, 1000000, NULL, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 2);
    CHECK_STATUS(ostler_heap_alloc(heap, 1, 0, &none), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_heap_resize(heap, small, 1, 0, &none), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_heap_trim(heap, 0, NULL), OSTLER_E_CLOSED);
    CHECK_FREE(heap, small);
    CHECK_STATUS(ostler_heap_free(heap, small), OSTLER_E_DOUBLE_FREE);
    CHECK_EQ(heap_stats(heap).blocks, 1);
    CHECK_FREE(heap, large);
    CHECK_STATUS(ostler_heap_close(heap, OSTLER_FOREVER, NULL, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
    CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_E_INVALID_HANDLE);
}

struct freer {
    ostler_heap *heap;
    void *blocks[100];
};

static void *free_all(void *data)
{
    struct freer *freer = data;
    for (int i = 0; i < 100; i++) {
        usleep(100);
        EXPECT_STATUS(ostler_heap_free(freer->heap, freer->blocks[i]), OSTLER_OK);
    }
    return NULL;
}

TEST(close_ends_when_another_thread_frees_the_last_block)
{
    struct freer freer = {.heap = make_heap(small_heap())};
    pthread_t thread;
    for (int i = 0; i < 100; i++)
        freer.blocks[i] = get(freer.heap, (uint64_t)(100 - i) * 50, 0); /* the last is one that a thread could keep at hand */
    CHECK_EQ(pthread_create(&thread, NULL, free_all, &freer), 0);
    CHECK_STATUS(ostler_heap_close(freer.heap, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_STATUS(ostler_heap_destroy(freer.heap), OSTLER_OK);
}

TEST(destroy_takes_blocks_that_are_out_with_it)
{
    for (int i = 0; i < 100; i++) {
        ostler_heap *heap = make_heap(i % 2 ? checked_heap() : small_heap());
        void *block = get(heap, 100, 0);
        get(heap, 100000, 0);
        CHECK_STATUS(ostler_heap_destroy(heap), OSTLER_OK);
        CHECK_STATUS(ostler_heap_free(heap, block), OSTLER_E_INVALID_HANDLE);
    }
}

/* --- many threads --- */

enum { EXCHANGES = 64, WORKERS = 4 };

struct market {
    ostler_heap *heap;
    _Atomic(void *) stalls[EXCHANGES];
    uint64_t steps;
};

struct worker {
    struct market *market;
    uint64_t seed;
};

/* A block that says how long it is, and repeats that to its end. */
static void fill(unsigned char *block, uint32_t size)
{
    memcpy(block, &size, sizeof size);
    memset(block + sizeof size, (int)(size % 251), size - sizeof size);
}

static int is_whole(const unsigned char *block)
{
    uint32_t size;
    memcpy(&size, block, sizeof size);
    for (uint32_t i = sizeof size; i < size; i++)
        if (block[i] != (unsigned char)(size % 251))
            return 0;
    return 1;
}

/* Puts a block of its own where another was, and frees that, whoever allocated it. */
static void *trade(void *data)
{
    struct worker *worker = data;
    struct market *market = worker->market;
    for (uint64_t i = 0; i < market->steps; i++) {
        uint64_t random = next_random(&worker->seed);
        uint32_t size = 4 + (uint32_t)(random % (random % 16 ? 1500 : 40000));
        void *block;
        if (!EXPECT_STATUS(ostler_heap_alloc(market->heap, size, 0, &block), OSTLER_OK))
            return NULL;
        fill(block, size);
        void *other = atomic_exchange(&market->stalls[(random >> 32) % EXCHANGES], block);
        if (other) {
            EXPECT(is_whole(other));
            EXPECT_STATUS(ostler_heap_free(market->heap, other), OSTLER_OK);
        }
        if (random >> 54 == 0)
            EXPECT_STATUS(ostler_heap_trim(market->heap, 0, NULL), OSTLER_OK);
    }
    return NULL;
}

static void run_market(ostler_heap_config config, uint64_t steps)
{
    struct market market = {.heap = make_heap(config), .steps = steps};
    struct worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){&market, (uint64_t)i * 7919 + 1};
        CHECK_EQ(pthread_create(&threads[i], NULL, trade, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < EXCHANGES; i++)
        if (market.stalls[i]) {
            CHECK(is_whole(market.stalls[i]));
            CHECK_FREE(market.heap, market.stalls[i]);
        }
    check_empty(market.heap);
    CHECK_STATUS(ostler_heap_destroy(market.heap), OSTLER_OK);
}

TEST(threads_free_each_others_blocks)
{
    run_market(small_heap(), 50000);
}

TEST(threads_free_each_others_blocks_of_a_checked_heap)
{
    run_market(checked_heap(), 5000);
}

struct race {
    ostler_heap *heap;
    void *block;
    pthread_barrier_t start;
    struct tally freed, refused;
};

static void *free_in_a_race(void *data)
{
    struct race *race = data;
    pthread_barrier_wait(&race->start);
    ostler_status status = ostler_heap_free(race->heap, race->block);
    if (status == OSTLER_OK)
        tally_add(&race->freed, 1);
    else if (EXPECT_STATUS(status, OSTLER_E_DOUBLE_FREE))
        tally_add(&race->refused, 1);
    return NULL;
}

TEST(checked_heap_finds_a_block_freed_by_two_threads_at_once)
{
    struct race race = {.heap = make_heap(checked_heap()), .freed = TALLY_INIT, .refused = TALLY_INIT};
    for (int round = 0; round < 200; round++) {
        pthread_t threads[2];
        race.block = get(race.heap, 100, 0);
        CHECK_EQ(pthread_barrier_init(&race.start, NULL, 2), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_create(&threads[i], NULL, free_in_a_race, &race), 0);
        for (int i = 0; i < 2; i++)
            CHECK_EQ(pthread_join(threads[i], NULL), 0);
        pthread_barrier_destroy(&race.start);
    }
    CHECK_EQ(tally_read(&race.freed), 200);
    CHECK_EQ(tally_read(&race.refused), 200);
    check_empty(race.heap);
    CHECK_STATUS(ostler_heap_destroy(race.heap), OSTLER_OK);
}

CHECK_MAIN()
