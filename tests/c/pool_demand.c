/* Pool: whose turn it is, what is kept for whom, and who is refused when too much is asked. */
#include "farm.h"
#include "frozen.h"

static ostler_acquire how_with(uint32_t priority, uint64_t timeout_ns)
{
    ostler_acquire how;
    CHECK_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
    how.priority = priority;
    how.timeout_ns = timeout_ns;
    return how;
}

static ostler_status acquire_as(ostler_pool *pool, uint32_t priority, ostler_lease *lease)
{
    ostler_acquire how = how_with(priority, 0);
    void *resource;
    return ostler_pool_acquire_with(pool, &how, lease, &resource);
}

static void release(ostler_pool *pool, ostler_lease lease)
{
    EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
}

/* A caller on a thread of its own, which notes when its turn came. */
struct rider {
    ostler_pool *pool;
    uint32_t priority;
    uint64_t timeout_ns;
    pthread_t thread;
    ostler_status status;
    ostler_lease lease;
    int turn;
    atomic_int *turns;
    struct tally *gate; /* NULL, or so many may give back */
};

static void *ride(void *argument)
{
    struct rider *rider = argument;
    ostler_acquire how = {.struct_size = sizeof how, .priority = rider->priority, .timeout_ns = rider->timeout_ns};
    void *resource;
    rider->status = ostler_pool_acquire_with(rider->pool, &how, &rider->lease, &resource);
    rider->turn = atomic_fetch_add(rider->turns, 1);
    if (rider->gate)
        tally_await(rider->gate, rider->turn + 1);
    if (rider->status == OSTLER_OK)
        release(rider->pool, rider->lease);
    return NULL;
}

static void set_out_gated(struct rider *rider, ostler_pool *pool, uint32_t priority, uint64_t timeout_ns,
                          atomic_int *turns, struct tally *gate)
{
    uint64_t before = pool_stats(pool).waiting;
    *rider = (struct rider){.pool = pool, .priority = priority, .timeout_ns = timeout_ns, .turns = turns,
                             .gate = gate};
    pthread_create(&rider->thread, NULL, ride, rider);
    AWAIT(pool_stats(pool).waiting == before + 1);
}

static void set_out(struct rider *rider, ostler_pool *pool, uint32_t priority, uint64_t timeout_ns, atomic_int *turns)
{
    set_out_gated(rider, pool, priority, timeout_ns, turns, NULL);
}

TEST(higher_class_is_served_first_and_within_a_class_the_first)
{
    static const uint32_t priorities[] = {OSTLER_PRIORITY_BATCH, OSTLER_PRIORITY_NORMAL, OSTLER_PRIORITY_DEFAULT,
                                          OSTLER_PRIORITY_HIGH,  OSTLER_PRIORITY_LOW,    OSTLER_PRIORITY_CRITICAL};
    static const int turns_wanted[] = {5, 2, 3, 1, 4, 0};
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    struct rider riders[6];
    atomic_int turns = 0;
    ostler_lease lease = acquire_now(pool);
    for (int i = 0; i < 6; i++)
        set_out(&riders[i], pool, priorities[i], OSTLER_FOREVER, &turns);
    release(pool, lease);
    for (int i = 0; i < 6; i++) {
        pthread_join(riders[i].thread, NULL);
        CHECK_STATUS(riders[i].status, OSTLER_OK);
        CHECK_EQ(riders[i].turn, turns_wanted[i]);
    }
    end(pool, farm);
}

TEST(priority_is_checked)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_lease lease;
    CHECK_STATUS(acquire_as(pool, 6, &lease), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "priority is 6");
    end(pool, farm);
}

TEST(share_is_kept_for_callers_of_high_priority)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(3);
    ostler_lease ordinary[2], high, refused;
    struct rider normal, critical;
    atomic_int turns = 0;
    config.reserved_high = 1;
    ostler_pool *pool = pool_of(farm, config);
    CHECK_STATUS(acquire_as(pool, OSTLER_PRIORITY_BATCH, &ordinary[0]), OSTLER_OK);
    CHECK_STATUS(acquire_as(pool, OSTLER_PRIORITY_NORMAL, &ordinary[1]), OSTLER_OK);
    CHECK_STATUS(acquire_as(pool, OSTLER_PRIORITY_NORMAL, &refused), OSTLER_E_TIMEOUT);
    CHECK_STATUS(acquire_as(pool, OSTLER_PRIORITY_HIGH, &high), OSTLER_OK);
    /* What a high caller gives back is not for the normal one that waits, but for the next high one. */
    set_out(&normal, pool, OSTLER_PRIORITY_NORMAL, OSTLER_FOREVER, &turns);
    release(pool, high);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    CHECK_STATUS(acquire_as(pool, OSTLER_PRIORITY_CRITICAL, &high), OSTLER_OK);
    set_out(&critical, pool, OSTLER_PRIORITY_CRITICAL, OSTLER_FOREVER, &turns);
    release(pool, high);
    pthread_join(critical.thread, NULL);
    CHECK_STATUS(critical.status, OSTLER_OK);
    CHECK_EQ(pool_stats(pool).waiting, 1);
    CHECK_STATUS(ostler_pool_discard(pool, ordinary[0]), OSTLER_OK);
    pthread_join(normal.thread, NULL);
    CHECK_STATUS(normal.status, OSTLER_OK);
    release(pool, ordinary[1]);
    /* A high caller may have all of them, an ordinary one never. */
    ostler_lease many[3];
    void *resources[3];
    CHECK_STATUS(ostler_pool_acquire_n(pool, 3, 0, NULL, many, resources), OSTLER_E_LIMIT);
    CHECK_STATUS(ostler_pool_acquire_n(pool, 2, 0, NULL, many, resources), OSTLER_OK);
    CHECK_STATUS(acquire_as(pool, OSTLER_PRIORITY_NORMAL, &refused), OSTLER_E_TIMEOUT);
    CHECK_STATUS(ostler_pool_release_n(pool, many, 2, NULL), OSTLER_OK);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(acquire_as(pool, OSTLER_PRIORITY_HIGH, &many[i]), OSTLER_OK);
    for (int i = 0; i < 3; i++)
        release(pool, many[i]);
    CHECK_STATUS(ostler_pool_resize(pool, 0, 1), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "reserved_high");
    end(pool, farm);
}

TEST(share_must_leave_something_for_others)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(2);
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool;
    config.reserved_high = 2;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &pool), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "reserved_high is 2");
    config.reserved_high = 0;
    config.refuse_hopeless = 2;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, farm, &pool), OSTLER_E_INVALID_ARGUMENT);
    free(farm);
}

/* Many threads of all classes, some of which give up: shares are neither lost nor doubled. */
struct fair {
    ostler_pool *pool;
    atomic_int ordinary, all;
    unsigned seed;
};

static void *trade(void *argument)
{
    struct fair *fair = argument;
    unsigned seed = __atomic_fetch_add(&fair->seed, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 1500; i++) {
        uint32_t priority = OSTLER_PRIORITY_CRITICAL + (uint32_t)rand_r(&seed) % 5;
        ostler_acquire how = {.struct_size = sizeof how, .priority = priority, .timeout_ns = (uint64_t)rand_r(&seed) % MS};
        int is_ordinary = priority > OSTLER_PRIORITY_HIGH;
        ostler_lease lease;
        void *resource;
        ostler_status status = ostler_pool_acquire_with(fair->pool, &how, &lease, &resource);
        EXPECT(status == OSTLER_OK || status == OSTLER_E_TIMEOUT);
        if (status != OSTLER_OK)
            continue;
        EXPECT(atomic_fetch_add(&fair->all, 1) < 4);
        EXPECT(atomic_fetch_add(&fair->ordinary, is_ordinary) < 3 || !is_ordinary);
        if (rand_r(&seed) % 8 == 0)
            sched_yield();
        atomic_fetch_sub(&fair->ordinary, is_ordinary);
        atomic_fetch_sub(&fair->all, 1);
        if (rand_r(&seed) % 8)
            EXPECT_STATUS(ostler_pool_release(fair->pool, lease), OSTLER_OK);
        else
            EXPECT_STATUS(ostler_pool_discard(fair->pool, lease), OSTLER_OK);
    }
    return NULL;
}

TEST(shares_are_neither_lost_nor_doubled)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(4);
    pthread_t threads[6];
    ostler_lease lease[4];
    config.reserved_high = 1;
    struct fair fair = {.pool = pool_of(farm, config)};
    for (int i = 0; i < 6; i++)
        pthread_create(&threads[i], NULL, trade, &fair);
    for (int i = 0; i < 6; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        CHECK_STATUS(acquire_as(fair.pool, OSTLER_PRIORITY_NORMAL, &lease[i]), OSTLER_OK);
    CHECK_STATUS(acquire_as(fair.pool, OSTLER_PRIORITY_NORMAL, &lease[3]), OSTLER_E_TIMEOUT);
    CHECK_STATUS(acquire_as(fair.pool, OSTLER_PRIORITY_HIGH, &lease[3]), OSTLER_OK);
    for (int i = 0; i < 4; i++)
        release(fair.pool, lease[i]);
    end(fair.pool, farm);
}

/* Resources with settings. */
struct tack {
    uint64_t tag;
};

struct tack_room {
    struct tack tacks[64];
    int made, retags;
    uint64_t from, to;
    int refuse;
};

static ostler_status make_tack(void *user_data, void **resource)
{
    struct tack_room *room = user_data;
    *resource = &room->tacks[room->made++];
    return OSTLER_OK;
}

static ostler_status retag(void *user_data, void *resource, uint64_t from, uint64_t to)
{
    struct tack_room *room = user_data;
    struct tack *tack = resource;
    EXPECT_EQ(tack->tag, from);
    room->retags++;
    room->from = from;
    room->to = to;
    if (room->refuse)
        return refuse("it does not fit");
    tack->tag = to;
    return OSTLER_OK;
}

static struct tack *acquire_tagged(ostler_pool *pool, uint64_t tag, ostler_lease *lease)
{
    ostler_acquire how = how_with(0, 0);
    void *resource;
    how.tag = tag;
    CHECK_STATUS(ostler_pool_acquire_with(pool, &how, lease, &resource), OSTLER_OK);
    CHECK_EQ(((struct tack *)resource)->tag, tag);
    return resource;
}

static ostler_pool *tagged_pool(struct tack_room *room, uint32_t max_size)
{
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    callbacks.create = make_tack;
    callbacks.retag = retag;
    return make_pool(max_size, callbacks, room);
}

TEST(resource_with_the_same_tag_is_preferred)
{
    struct tack_room room = {0};
    ostler_pool *pool = tagged_pool(&room, 4);
    ostler_lease leases[4];
    struct tack *tacks[4];
    for (uint64_t i = 0; i < 4; i++)
        tacks[i] = acquire_tagged(pool, i * 1000, &leases[i]);
    CHECK_EQ(room.retags, 3);
    for (int i = 0; i < 4; i++)
        release(pool, leases[i]);
    /* In any order, each is found by its tag and needs nothing. */
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 4; i++)
            CHECK_EQ(acquire_tagged(pool, (uint64_t)((i + round) % 4) * 1000, &leases[i]), tacks[(i + round) % 4]);
        for (int i = 0; i < 4; i++)
            release(pool, leases[i]);
    }
    CHECK_EQ(room.retags, 3);
    CHECK_EQ(room.made, 4);
    /* One that nobody has is made of another: of one without a tag while there is one. */
    CHECK_EQ(acquire_tagged(pool, 77, &leases[0]), tacks[0]);
    CHECK_EQ(room.from, 0);
    CHECK_EQ(room.to, 77);
    ostler_lease plain = acquire_now(pool);
    CHECK_EQ(room.to, 0);
    CHECK_EQ(pool_stats(pool).retags, 5);
    release(pool, plain);
    release(pool, leases[0]);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(resource_that_cannot_be_retagged_goes_alone)
{
    struct tack_room room = {0};
    ostler_pool *pool = tagged_pool(&room, 1);
    ostler_acquire how = how_with(0, 0);
    ostler_lease lease;
    void *resource;
    acquire_tagged(pool, 1, &lease);
    release(pool, lease);
    room.refuse = 1;
    how.tag = 2;
    CHECK_STATUS(ostler_pool_acquire_with(pool, &how, &lease, &resource), OSTLER_E_CREATE_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "it does not fit");
    CHECK_EQ(room.made, 1);
    CHECK_EQ(pool_stats(pool).destroyed_reset, 1);
    room.refuse = 0;
    acquire_tagged(pool, 2, &lease);
    CHECK_EQ(room.made, 2);
    release(pool, lease);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(tag_is_ignored_where_nothing_can_be_retagged)
{
    struct farm *farm = make_farm();
    ostler_pool *pool = pool_of(farm, config_with(1));
    ostler_acquire how = how_with(0, 0);
    ostler_lease lease;
    void *resource;
    how.tag = 5;
    CHECK_STATUS(ostler_pool_acquire_with(pool, &how, &lease, &resource), OSTLER_OK);
    release(pool, lease);
    CHECK_EQ(farm->created, 1);
    end(pool, farm);
}

TEST(caller_that_would_wait_in_vain_is_refused_at_once)
{
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    struct rider riders[13];
    struct tally gate = TALLY_INIT;
    atomic_int turns = 0;
    ostler_lease lease, none;
    config.refuse_hopeless = 1;
    ostler_pool *pool = pool_of(farm, config);
    lease = acquire_now(pool);
    for (int i = 0; i < 12; i++)
        set_out_gated(&riders[i], pool, 0, OSTLER_FOREVER, &turns, &gate);
    /* Nothing is known of the rate yet. */
    ostler_acquire how = how_with(0, 1);
    void *resource;
    CHECK_STATUS(ostler_pool_acquire_with(pool, &how, &none, &resource), OSTLER_E_TIMEOUT);
    release(pool, lease);
    /* Ten have had their turn, one holds it, and one waits: no turn takes less than a nanosecond. */
    tally_add(&gate, 10);
    AWAIT(atomic_load(&turns) == 11 && pool_stats(pool).waiting == 1);
    CHECK_STATUS(ostler_pool_acquire_with(pool, &how, &none, &resource), OSTLER_E_OVERLOADED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "overloaded: 1 callers wait");
    CHECK_EQ(pool_stats(pool).refused, 1);
    /* Who has the time may wait. */
    set_out(&riders[12], pool, 0, OSTLER_FOREVER, &turns);
    tally_add(&gate, 100);
    for (int i = 0; i < 13; i++) {
        pthread_join(riders[i].thread, NULL);
        CHECK_STATUS(riders[i].status, OSTLER_OK);
    }
    end(pool, farm);
}

TEST(standing_queue_refuses_those_who_waited_too_long)
{
    enum { RIDERS = 12 };
    struct farm *farm = make_farm();
    ostler_pool_config config = config_with(1);
    struct rider riders[RIDERS];
    struct tally gate = TALLY_INIT;
    atomic_int turns = 0;
    int refused = 0;
    config.target_wait_ns = 1 * MS;
    config.wait_interval_ns = 10 * MS;
    freeze();
    ostler_pool *pool = pool_of(farm, config);
    ostler_lease lease = acquire_now(pool);
    for (int i = 0; i < RIDERS; i++)
        set_out_gated(&riders[i], pool, 0, OSTLER_FOREVER, &turns, &gate);
    /* The first has waited long, but it is not known yet whether that is so for all. */
    advance(5 * MS);
    release(pool, lease);
    AWAIT(atomic_load(&turns) == 1);
    /* A whole interval later nobody has waited less. */
    advance(12 * MS);
    tally_add(&gate, RIDERS);
    for (int i = 0; i < RIDERS; i++) {
        pthread_join(riders[i].thread, NULL);
        CHECK(riders[i].status == OSTLER_OK || riders[i].status == OSTLER_E_OVERLOADED);
        refused += riders[i].status == OSTLER_E_OVERLOADED;
    }
    CHECK_EQ(refused, RIDERS - 1);
    CHECK_EQ(pool_stats(pool).refused, RIDERS - 1);
    /* The queue has run empty; long afterwards one who waits as long is the only one, and no queue stands. */
    advance(1000 * MS);
    lease = acquire_now(pool);
    set_out(&riders[0], pool, 0, OSTLER_FOREVER, &turns);
    advance(20 * MS);
    release(pool, lease);
    pthread_join(riders[0].thread, NULL);
    CHECK_STATUS(riders[0].status, OSTLER_OK);
    thaw();
    end(pool, farm);
}

CHECK_MAIN()
