/* An arena of local memory: what a thread takes is on the node that it runs on, whoever else takes from the same arena. */
#include "nodes.h"

#define BLOCKS 200
#define BLOCK_BYTES 4096

struct worker {
    ostler_arena *arena;
    int node;
    int through_cursor;
    pthread_barrier_t *turn;
    unsigned char *blocks[BLOCKS];
};

static void *take_on_a_node(void *argument)
{
    struct worker *worker = argument;
    ostler_cursor *cursor = NULL;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(worker->node, &cpus);
    EXPECT_EQ(sched_setaffinity(0, sizeof cpus, &cpus), 0);
    if (worker->through_cursor)
        EXPECT_STATUS(ostler_cursor_open(worker->arena, &cursor), OSTLER_OK);
    for (int i = 0; i < BLOCKS; i++) {
        void *block = NULL;
        /* Blocks of all nodes come in turn. */
        if (i % 20 == 0)
            pthread_barrier_wait(worker->turn);
        EXPECT_STATUS(cursor ? ostler_cursor_alloc(cursor, BLOCK_BYTES, BLOCK_BYTES, &block)
                             : ostler_arena_alloc(worker->arena, BLOCK_BYTES, BLOCK_BYTES, &block),
                      OSTLER_OK);
        worker->blocks[i] = block;
        if (block)
            memset(block, worker->node + 1, BLOCK_BYTES);
    }
    if (cursor)
        EXPECT_STATUS(ostler_cursor_close(cursor), OSTLER_OK);
    return NULL;
}

static void take_on_every_node(ostler_arena *arena, int through_cursors)
{
    static struct worker workers[NODES];
    pthread_barrier_t turn;
    pthread_t threads[NODES];
    pthread_barrier_init(&turn, NULL, NODES);
    for (int node = 0; node < NODES; node++) {
        workers[node] = (struct worker){.arena = arena, .node = node, .through_cursor = through_cursors, .turn = &turn};
        CHECK_EQ(pthread_create(&threads[node], NULL, take_on_a_node, &workers[node]), 0);
    }
    for (int node = 0; node < NODES; node++)
        pthread_join(threads[node], NULL);
    pthread_barrier_destroy(&turn);
    for (int node = 0; node < NODES; node++)
        for (int i = 0; i < BLOCKS; i++) {
            uint64_t on_node[NODES];
            CHECK(workers[node].blocks[i] != NULL);
            for (int at = 0; at < BLOCK_BYTES; at++)
                if (workers[node].blocks[i][at] != node + 1)
                    FAIL("block %d of node %d was given out twice", i, node);
            kernel_nodes((uint64_t)(uintptr_t)workers[node].blocks[i], BLOCK_BYTES, on_node);
            CHECK_EQ(on_node[node], BLOCK_BYTES);
        }
}

static ostler_arena *local_arena(void)
{
    run_on_node(0);
    return make(asking_for(OSTLER_PAGES_BASE, OSTLER_NODE_LOCAL, 0), MIB);
}

TEST(cursors_take_from_their_own_node)
{
    ostler_arena *arena = local_arena();
    take_on_every_node(arena, 1);
    /* At least one chunk for each node, each where its receipt says. */
    CHECK(chunks_of(arena) >= NODES);
    for (uint64_t chunk = 0; chunk < chunks_of(arena); chunk++) {
        ostler_receipt receipt = receipt_of(arena, chunk);
        CHECK_EQ(receipt.node_count, 1);
        check_nodes(&receipt);
    }
    destroy(arena);
}

TEST(threads_without_a_cursor_do_too)
{
    ostler_arena *arena = local_arena();
    take_on_every_node(arena, 0);
    destroy(arena);
}

TEST(chunks_that_a_reset_keeps_stay_with_their_node)
{
    ostler_arena *arena = local_arena();
    ostler_mark mark;
    void *block;
    take_on_every_node(arena, 1);
    uint64_t chunks = chunks_of(arena);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    take_on_every_node(arena, 1);
    CHECK_EQ(chunks_of(arena), chunks);
    CHECK_STATUS(ostler_arena_reset(arena, OSTLER_RESET_KEEP_PAGES), OSTLER_OK);
    CHECK_STATUS(ostler_arena_alloc(arena, 64, 0, &block), OSTLER_OK);
    memset(block, 9, 64);
    CHECK_STATUS(ostler_arena_mark(arena, &mark), OSTLER_OK);
    for (int round = 0; round < 3; round++) {
        take_on_every_node(arena, round % 2);
        CHECK_STATUS(ostler_arena_rewind(arena, &mark), OSTLER_OK);
    }
    CHECK_EQ(((char *)block)[63], 9);
    destroy(arena);
}

CHECK_MAIN()
