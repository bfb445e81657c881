/* Random calls of many threads on one heap, beside a model of what each block is: its size, its alignment, and what was
 * written to it. Blocks change hands, are resized, pinned, and moved by compactions that go on meanwhile; in between come
 * calls that must be refused. HEAP_MELEE_STEPS in the environment makes it longer. */
#include "arenas.h"
#include "governed.h"

enum { THREADS = 4, STALLS = 96, OWN = 24 };

/* A block that somebody has: by its address, or by its handle when address is NULL. */
struct thing {
    unsigned char *address;
    ostler_block block;
    uint32_t size, align;
    uint64_t seed;
};

struct stall {
    pthread_mutex_t lock;
    struct thing thing; /* size 0: none */
};

struct melee {
    ostler_heap *heap;
    uint64_t steps;
    int checked;
    struct stall stalls[STALLS];
};

struct fighter {
    struct melee *melee;
    uint64_t random, things;
};

static uint64_t dice(struct fighter *fighter, uint64_t sides) { return (next_random(&fighter->random) >> 16) % sides; }

static unsigned char byte_of(const struct thing *thing, uint32_t at) { return (unsigned char)((thing->seed >> (at % 7 * 8)) + at); }

static void write_thing(const struct thing *thing, unsigned char *to)
{
    for (uint32_t at = 0; at < thing->size; at++)
        to[at] = byte_of(thing, at);
}

static int is_as_written(const struct thing *thing, const unsigned char *there, uint32_t size)
{
    for (uint32_t at = 0; at < size; at++)
        if (there[at] != byte_of(thing, at))
            return 0;
    return 1;
}

static uint32_t any_size(struct fighter *fighter)
{
    uint64_t kind = dice(fighter, 64);
    return 1 + (uint32_t)dice(fighter, kind == 0 ? 400000 : kind < 8 ? 20000 : 1500);
}

static unsigned char *pinned(struct melee *melee, const struct thing *thing)
{
    void *address = NULL;
    EXPECT_STATUS(ostler_heap_pin(melee->heap, thing->block, &address), OSTLER_OK);
    return address;
}

static void unpin(struct melee *melee, const struct thing *thing)
{
    EXPECT_STATUS(ostler_heap_unpin(melee->heap, thing->block), OSTLER_OK);
}

static int make(struct fighter *fighter, struct thing *thing)
{
    struct melee *melee = fighter->melee;
    *thing = (struct thing){.size = any_size(fighter), .seed = next_random(&fighter->random)};
    thing->align = dice(fighter, 8) ? 0 : (uint32_t)1 << dice(fighter, 14);
    if (dice(fighter, 3)) {
        void *address = &address;
        if (!EXPECT_STATUS(ostler_heap_alloc(melee->heap, thing->size, thing->align, &address), OSTLER_OK))
            return 0;
        thing->address = address;
        write_thing(thing, thing->address);
        uint64_t usable = 0;
        EXPECT_STATUS(ostler_heap_get_usable_bytes(melee->heap, address, &usable), OSTLER_OK);
        EXPECT(melee->checked ? usable == thing->size : usable >= thing->size);
    } else {
        if (!EXPECT_STATUS(ostler_heap_alloc_block(melee->heap, thing->size, thing->align, &thing->block), OSTLER_OK))
            return 0;
        write_thing(thing, pinned(melee, thing));
        unpin(melee, thing);
    }
    fighter->things++;
    return 1;
}

/* Looks at all of it, at an address that does not change while it is pinned. */
static void look_at(struct fighter *fighter, const struct thing *thing, uint32_t size)
{
    unsigned char *address = thing->address ? thing->address : pinned(fighter->melee, thing);
    EXPECT_EQ((uintptr_t)address % (thing->align > 16 ? thing->align : 16), 0);
    EXPECT(is_as_written(thing, address, size));
    if (thing->address == NULL) {
        unsigned char *again = pinned(fighter->melee, thing);
        EXPECT(again == address);
        EXPECT_STATUS(ostler_heap_free_block(fighter->melee->heap, thing->block), OSTLER_E_BUSY);
        unpin(fighter->melee, thing);
        unpin(fighter->melee, thing);
    }
}

static void end(struct fighter *fighter, struct thing *thing)
{
    ostler_heap *heap = fighter->melee->heap;
    look_at(fighter, thing, thing->size);
    if (thing->address) {
        EXPECT_STATUS(ostler_heap_free(heap, thing->address), OSTLER_OK);
    } else {
        void *address;
        EXPECT_STATUS(ostler_heap_free_block(heap, thing->block), OSTLER_OK);
        EXPECT_STATUS(ostler_heap_pin(heap, thing->block, &address), OSTLER_E_STALE_BLOCK);
        EXPECT_EQ(address, NULL);
    }
    thing->size = 0;
}

static void resize(struct fighter *fighter, struct thing *thing)
{
    ostler_heap *heap = fighter->melee->heap;
    uint32_t size = any_size(fighter), kept = size < thing->size ? size : thing->size;
    if (thing->address) {
        void *address = NULL;
        if (!EXPECT_STATUS(ostler_heap_resize(heap, thing->address, size, thing->align, &address), OSTLER_OK))
            return;
        thing->address = address;
    } else if (!EXPECT_STATUS(ostler_heap_resize_block(heap, thing->block, size), OSTLER_OK)) {
        return;
    }
    look_at(fighter, thing, kept);
    thing->size = size;
    thing->seed = next_random(&fighter->random);
    write_thing(thing, thing->address ? thing->address : pinned(fighter->melee, thing));
    if (thing->address == NULL)
        unpin(fighter->melee, thing);
}

/* Calls that change nothing. */
static void misuse(struct fighter *fighter, const struct thing *thing)
{
    ostler_heap *heap = fighter->melee->heap;
    void *none = &none;
    uint64_t number = 0;
    EXPECT_STATUS(ostler_heap_free(heap, &number), OSTLER_E_FOREIGN_POINTER);
    EXPECT_STATUS(ostler_heap_alloc(heap, UINT64_MAX - dice(fighter, 64), 0, &none), OSTLER_E_OUT_OF_MEMORY);
    EXPECT_EQ(none, NULL);
    EXPECT_STATUS(ostler_heap_alloc(heap, 1, 3, &none), OSTLER_E_INVALID_ARGUMENT);
    if (thing->address && thing->size > 1) {
        unsigned char *inside = thing->address + 1 + dice(fighter, thing->size - 1);
        EXPECT_STATUS(ostler_heap_free(heap, inside), OSTLER_E_FOREIGN_POINTER);
        EXPECT_STATUS(ostler_heap_resize(heap, inside, 10, 0, &none), OSTLER_E_FOREIGN_POINTER);
        EXPECT_STATUS(ostler_heap_get_usable_bytes(heap, inside, &number), OSTLER_E_FOREIGN_POINTER);
    } else if (thing->address == NULL) {
        EXPECT_STATUS(ostler_heap_unpin(heap, thing->block), OSTLER_E_INVALID_ARGUMENT);
        EXPECT_STATUS(ostler_heap_free(heap, pinned(fighter->melee, thing)), OSTLER_E_FOREIGN_POINTER);
        unpin(fighter->melee, thing);
    }
}

static void keep_house(struct fighter *fighter)
{
    ostler_heap *heap = fighter->melee->heap;
    ostler_heap_compaction done = {.struct_size = sizeof done};
    ostler_heap_stats stats = {.struct_size = sizeof stats};
    uint64_t most = dice(fighter, 2) ? 0 : 1 + dice(fighter, 100000), count;
    ostler_heap_block listed[16];
    switch (dice(fighter, 5)) {
    case 0:
        EXPECT_STATUS(ostler_heap_trim(heap, most, NULL), OSTLER_OK);
        break;
    case 1:
        EXPECT_STATUS(ostler_heap_check(heap), OSTLER_OK);
        break;
    case 2:
        EXPECT_STATUS(ostler_heap_list_blocks(heap, 0, listed, 16, &count), OSTLER_OK);
        for (uint64_t i = 1; i < 16 && i < count; i++)
            EXPECT(listed[i - 1].address + listed[i - 1].requested_bytes <= listed[i].address);
        break;
    case 3:
        EXPECT_STATUS(ostler_heap_get_stats(heap, &stats), OSTLER_OK);
        EXPECT(stats.returned_bytes < stats.mapped_bytes + 1 && stats.repairs == 0);
        break;
    default:
        EXPECT_STATUS(ostler_heap_compact(heap, most, &done), OSTLER_OK);
        EXPECT(most == 0 || done.moved_bytes <= most);
        break;
    }
}

/* Exchanges what it has for what lies in a stall, whoever made it. */
static void trade(struct fighter *fighter, struct thing *own)
{
    struct stall *stall = &fighter->melee->stalls[dice(fighter, STALLS)];
    pthread_mutex_lock(&stall->lock);
    struct thing other = stall->thing;
    stall->thing = *own;
    pthread_mutex_unlock(&stall->lock);
    *own = other;
}

static void *fight(void *data)
{
    struct fighter *fighter = data;
    struct thing own[OWN] = {0};
    for (uint64_t step = 0; step < fighter->melee->steps; step++) {
        struct thing *thing = &own[dice(fighter, OWN)];
        uint64_t what = dice(fighter, 200);
        if (thing->size == 0) {
            if (!make(fighter, thing))
                break;
        } else if (what < 90) {
            end(fighter, thing);
        } else if (what < 120) {
            resize(fighter, thing);
        } else if (what < 190) {
            trade(fighter, thing);
        } else if (what < 198) {
            misuse(fighter, thing);
        } else {
            keep_house(fighter);
        }
    }
    for (int i = 0; i < OWN; i++)
        if (own[i].size)
            end(fighter, &own[i]);
    return NULL;
}

static void fight_on(int checked)
{
    uint64_t held = governor_stats().held_bytes;
    static struct melee melee;
    struct fighter fighters[THREADS];
    pthread_t threads[THREADS];
    ostler_heap_config config;
    const char *steps = getenv("HEAP_MELEE_STEPS");
    CHECK_STATUS(ostler_heap_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.chunk_bytes = CHUNK_BYTES;
    config.checked = (uint32_t)checked;
    melee = (struct melee){.steps = steps ? strtoull(steps, NULL, 10) : 10000, .checked = checked};
    CHECK_STATUS(ostler_heap_create(&config, &melee.heap), OSTLER_OK);
    for (int i = 0; i < STALLS; i++)
        pthread_mutex_init(&melee.stalls[i].lock, NULL);
    for (int i = 0; i < THREADS; i++) {
        fighters[i] = (struct fighter){&melee, (uint64_t)i * 7919 + 1 + (uint64_t)checked, 0};
        CHECK_EQ(pthread_create(&threads[i], NULL, fight, &fighters[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < STALLS; i++)
        if (melee.stalls[i].thing.size)
            end(&fighters[0], &melee.stalls[i].thing);
    CHECK(fighters[0].things > 1000);
    CHECK_STATUS(ostler_heap_close(melee.heap, 0, NULL, NULL), OSTLER_OK);
    ostler_heap_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_heap_get_stats(melee.heap, &stats), OSTLER_OK);
    CHECK_EQ(stats.blocks, 0);
    CHECK_EQ(stats.requested_bytes, 0);
    CHECK_EQ(stats.used_bytes, 0);
    CHECK_EQ(stats.repairs, 0);
    CHECK_EQ(governor_stats().held_bytes - held, stats.mapped_bytes - stats.returned_bytes);
    CHECK_STATUS(ostler_heap_destroy(melee.heap), OSTLER_OK);
    CHECK_EQ(governor_stats().held_bytes, held);
}

TEST(every_block_is_what_its_owner_made_it) { fight_on(0); }
TEST(every_block_of_a_checked_heap_is_what_its_owner_made_it) { fight_on(1); }

/* Each block there is is followed, and none is left over. */
TEST(every_block_is_what_its_owner_made_it_while_all_are_traced)
{
    ostler_tracing_config config;
    ostler_tracing_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_tracing_config_init(&config, sizeof config), OSTLER_OK);
    config.sample_bytes = 1;
    CHECK_STATUS(ostler_tracing_start(&config), OSTLER_OK);
    fight_on(0);
    CHECK_STATUS(ostler_tracing_get_stats(&stats), OSTLER_OK);
    CHECK_EQ(stats.followed, 0);
    CHECK_STATUS(ostler_tracing_stop(), OSTLER_OK);
}

CHECK_MAIN()
