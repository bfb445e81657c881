/* Pools and what belongs to them, when something is refused or panics. */
#include "faults.h"
#include <stdatomic.h>

static int resources;

static ostler_status create_counted(void *user_data, void **resource)
{
    __atomic_add_fetch(&resources, 1, __ATOMIC_SEQ_CST);
    *resource = user_data;
    return OSTLER_OK;
}

static ostler_status look_at(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
    return OSTLER_OK;
}

static void destroy_counted(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
    __atomic_sub_fetch(&resources, 1, __ATOMIC_SEQ_CST);
}

static ostler_status use_pool(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_config config = {.struct_size = sizeof config, .min_size = 1, .max_size = 2, .idle_timeout_ns = 1000};
    ostler_pool_callbacks callbacks = {.struct_size = sizeof callbacks, .create = create_counted, .validate = look_at,
                                       .reset = look_at, .destroy = destroy_counted};
    ostler_pool *pool = NULL;
    ostler_lease leases[3] = {{0}};
    void *resource;
    TRY(ostler_pool_create(&config, &callbacks, &config, &pool));
    if (pool == NULL)
        return status;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2; i++)
            TRY(ostler_pool_acquire(pool, 60000000000, NULL, &leases[i], &resource));
        for (int i = 0; i < 2; i++)
            if (leases[i].value != 0)
                EXPECT_STATUS(round == 0 ? ostler_pool_release(pool, leases[i]) : ostler_pool_discard(pool, leases[i]),
                              OSTLER_OK);
    }
    TRY(ostler_pool_close(pool, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    EXPECT_EQ(__atomic_load_n(&resources, __ATOMIC_SEQ_CST), 0);
    return status;
}

/* With all that a pool does in the background, and all that is done to it at once. */
static ostler_status use_lively_pool(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_config config = {.struct_size = sizeof config, .min_size = 2, .max_size = 3, .capacity = 4, .min_idle = 1,
                                 .creator_threads = 2, .max_uses = 2, .max_lifetime_ns = 2000000,
                                 .keepalive_ns = 1000000, .lease_limit_ns = 1000000};
    ostler_pool_callbacks callbacks = {.struct_size = sizeof callbacks, .create = create_counted, .validate = look_at,
                                       .reset = look_at, .destroy = destroy_counted};
    ostler_pool *pool = NULL;
    ostler_lease leases[2];
    ostler_lease_info infos[2];
    void *held[2];
    uint64_t count;
    TRY(ostler_pool_create(&config, &callbacks, &config, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_pool_wait_warm(pool, 60000000000, NULL, NULL, NULL));
    for (int round = 0; round < 3; round++) {
        ostler_status leased = ostler_pool_acquire_n(pool, 2, 60000000000, NULL, leases, held);
        TRY(leased);
        TRY(ostler_pool_resize(pool, 1, 2 + (uint32_t)round));
        TRY(ostler_pool_refresh(pool));
        TRY(ostler_pool_list_leases(pool, infos, 2, &count));
        if (leased == OSTLER_OK)
            EXPECT_STATUS(ostler_pool_release_n(pool, leases, 2, NULL), OSTLER_OK);
    }
    TRY(ostler_pool_close(pool, OSTLER_FOREVER, NULL, NULL));
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    EXPECT_EQ(__atomic_load_n(&resources, __ATOMIC_SEQ_CST), 0);
    return status;
}

static ostler_status use_tap(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool = NULL;
    ostler_tap *tap = NULL;
    ostler_lease lease = {0};
    void *resource;
    TRY(ostler_pool_create(NULL, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_tap_open(pool, &tap));
    if (tap != NULL) {
        for (int i = 0; i < 100; i++) {
            TRY(ostler_tap_acquire(tap, OSTLER_FOREVER, NULL, &lease, &resource));
            if (lease.value != 0)
                EXPECT_STATUS(ostler_tap_release(tap, lease), OSTLER_OK);
        }
        TRY(ostler_tap_close(tap));
    }
    TRY(ostler_pool_destroy(pool));
    return status;
}

static void hear_no_bell(void *user_data) { (void)user_data; }

static ostler_status use_turns(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 1};
    const ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = OSTLER_FOREVER};
    ostler_pool *pool = NULL;
    ostler_lease held = {0}, lease = {0};
    ostler_ticket ticket = {0};
    uint64_t look_again_ns;
    void *resource;
    TRY(ostler_pool_create(&config, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_pool_begin_acquire(pool, &how, hear_no_bell, NULL, &ticket, &look_again_ns, &held, &resource));
    if (held.value != 0) {
        TRY(ostler_pool_begin_acquire(pool, &how, hear_no_bell, NULL, &ticket, &look_again_ns, &lease, &resource));
        EXPECT_STATUS(ostler_pool_release(pool, held), OSTLER_OK);
        if (ticket.value != 0)
            TRY(ostler_pool_continue_acquire(pool, ticket, 0, &look_again_ns, &lease, &resource));
        if (lease.value != 0)
            EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    TRY(ostler_pool_destroy(pool));
    return status;
}

static ostler_status use_turns_of_many(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 2};
    const ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = OSTLER_FOREVER};
    ostler_pool *pool = NULL;
    ostler_lease held[2] = {{0}}, leases[2] = {{0}};
    ostler_ticket ticket = {0};
    uint64_t look_again_ns;
    void *resources[2];
    TRY(ostler_pool_create(&config, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_pool_begin_acquire_n(pool, &how, 2, hear_no_bell, NULL, &ticket, &look_again_ns, held, resources));
    if (held[0].value != 0) {
        TRY(ostler_pool_begin_acquire_n(pool, &how, 2, hear_no_bell, NULL, &ticket, &look_again_ns, leases, resources));
        EXPECT_STATUS(ostler_pool_release_n(pool, held, 2, NULL), OSTLER_OK);
        if (ticket.value != 0)
            TRY(ostler_pool_continue_acquire_n(pool, ticket, 2, 0, &look_again_ns, leases, resources));
        if (leases[0].value != 0)
            EXPECT_STATUS(ostler_pool_release_n(pool, leases, 2, NULL), OSTLER_OK);
    }
    TRY(ostler_pool_destroy(pool));
    return status;
}

static ostler_status use_deferred(void)
{
    ostler_status status = OSTLER_OK, outcome = OSTLER_OK;
    ostler_deferred_config config = {.struct_size = sizeof config, .capacity = 4};
    ostler_deferred *deferred = NULL;
    ostler_cell cells[2] = {{0}};
    uint32_t index;
    TRY(ostler_deferred_create(&config, &deferred));
    if (deferred == NULL)
        return status;
    EXPECT_STATUS(ostler_deferred_acquire_n(deferred, 2, cells), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_complete(deferred, cells[0], OSTLER_OK, &config), OSTLER_OK);
    TRY(ostler_deferred_wait_any(deferred, cells, 2, OSTLER_FOREVER, NULL, &index));
    EXPECT_STATUS(ostler_deferred_wait(deferred, cells[0], OSTLER_FOREVER, NULL, &outcome, NULL), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_release(deferred, cells[1]), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
    return status;
}

static ostler_status use_desk(void)
{
    ostler_status status = OSTLER_OK, outcome = OSTLER_OK;
    ostler_deferred *deferred = NULL;
    ostler_desk *desk = NULL;
    TRY(ostler_deferred_create(NULL, &deferred));
    if (deferred == NULL)
        return status;
    TRY(ostler_desk_open(deferred, &desk));
    for (int i = 0; desk != NULL && i < 100; i++) {
        ostler_cell cell;
        EXPECT_STATUS(ostler_desk_acquire(desk, &cell), OSTLER_OK);
        EXPECT_STATUS(ostler_desk_complete(desk, cell, OSTLER_OK, &outcome), OSTLER_OK);
        EXPECT_STATUS(ostler_desk_poll(desk, cell, &outcome, NULL), OSTLER_OK);
    }
    EXPECT_STATUS(ostler_desk_close(desk), OSTLER_OK);
    EXPECT_STATUS(ostler_deferred_destroy(deferred), OSTLER_OK);
    return status;
}

static ostler_status use_testkit(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_testkit_fault fault = {.struct_size = sizeof fault, .callback = OSTLER_TESTKIT_CREATE, .first = 1};
    ostler_pool *pool = NULL;
    ostler_lease lease = {0};
    void *resource;
    fault.delay_ns = 1;
    TRY(ostler_pool_create(NULL, &callbacks, &pool, &pool));
    if (pool == NULL)
        return status;
    TRY(ostler_testkit_pool_inject(pool, &fault));
    TRY(ostler_testkit_pool_inject(pool, &fault));
    TRY(ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &lease, &resource));
    if (lease.value != 0)
        EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    EXPECT_STATUS(ostler_testkit_pool_clear(pool, OSTLER_TESTKIT_CREATE), OSTLER_OK);
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    return status;
}

static atomic_int pages;

static ostler_status build_page(void *user_data, const void *key, uint64_t key_bytes, void **data, uint64_t *data_bytes,
                                uint64_t *charge_bytes)
{
    (void)user_data, (void)key, (void)key_bytes, (void)charge_bytes;
    *data = calloc(1, 64);
    *data_bytes = 64;
    atomic_fetch_add(&pages, 1);
    return OSTLER_OK;
}

static void destroy_page(void *user_data, void *data, uint64_t data_bytes)
{
    (void)user_data, (void)data_bytes;
    free(data);
    atomic_fetch_sub(&pages, 1);
}

static ostler_status clone_page(void *user_data, const void *data, uint64_t data_bytes, void *target)
{
    (void)user_data;
    memcpy(target, data, data_bytes);
    return OSTLER_OK;
}

static ostler_status use_templates(void)
{
    ostler_status status = OSTLER_OK;
    ostler_templates_config config = {.struct_size = sizeof config, .max_templates = 2, .max_references = 2};
    ostler_templates_callbacks callbacks = {
        .struct_size = sizeof callbacks, .build = build_page, .clone = clone_page, .destroy = destroy_page};
    ostler_templates *templates = NULL;
    ostler_template reference = {0};
    char bytes[64];
    TRY(ostler_templates_create(&config, &callbacks, NULL, &templates));
    if (templates == NULL)
        return status;
    for (int i = 0; i < 4; i++)
        TRY(ostler_templates_instantiate(templates, &i, sizeof i, bytes, sizeof bytes, OSTLER_FOREVER, NULL, NULL));
    TRY(ostler_templates_get(templates, "a", 1, OSTLER_FOREVER, NULL, &reference, NULL, NULL));
    EXPECT_STATUS(ostler_templates_invalidate_all(templates), OSTLER_OK);
    if (reference.value != 0)
        EXPECT_STATUS(ostler_templates_release(templates, reference), OSTLER_OK);
    EXPECT_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
    EXPECT_EQ(pages, 0);
    return status;
}

/* On a machine with four nodes, for which this one is taken. */
static ostler_status use_pool_by_node(void)
{
    ostler_status status = OSTLER_OK;
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 4, .affinity = OSTLER_AFFINITY_NODE};
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool = NULL;
    ostler_lease lease = {0};
    void *resource;
    ostler_faults_set_machine("numa:4 core:2 pu:1");
    TRY(ostler_pool_create(&config, &callbacks, &resources, &pool));
    ostler_faults_set_machine(NULL);
    if (pool == NULL)
        return status;
    for (uint32_t cpu = 0; cpu < 8; cpu++) {
        ostler_faults_run_on_cpu(cpu);
        TRY(ostler_pool_acquire(pool, 0, NULL, &lease, &resource));
        if (lease.value != 0)
            EXPECT_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    }
    EXPECT_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    return status;
}

/* What a callback that was failed by injection answers is its errno, negative. */
static const struct scenario pool = {
    use_pool, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_CREATE_FAILED, OSTLER_E_TIMEOUT, OSTLER_OK}};
static const struct scenario lively_pool = {
    use_lively_pool, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_CREATE_FAILED, OSTLER_E_TIMEOUT, OSTLER_OK}};
static const struct scenario tap = {
    use_tap, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_E_CREATE_FAILED, OSTLER_E_INVALID_HANDLE, OSTLER_OK}};
static const struct scenario turns = {
    use_turns, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_CREATE_FAILED, OSTLER_E_INVALID_HANDLE, OSTLER_OK}};
static const struct scenario turns_of_many = {
    use_turns_of_many, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_CREATE_FAILED, OSTLER_E_INVALID_HANDLE, OSTLER_OK}};
static const struct scenario deferred = {use_deferred, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario desk = {use_desk, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario testkit = {use_testkit, {OSTLER_E_OUT_OF_MEMORY, OSTLER_OK}};
static const struct scenario templates = {
    use_templates, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_BUILD_FAILED, OSTLER_E_CALLBACK_FAILED, OSTLER_OK}};
static const struct scenario pool_by_node = {use_pool_by_node, {OSTLER_E_OUT_OF_MEMORY, OSTLER_E_SYSTEM, OSTLER_OK}};

TEST(allocations_of_a_pool) { fail_each_visit(&pool, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(threads_of_a_pool) { fail_each_visit(&pool, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(callbacks_of_a_pool) { fail_each_visit(&pool, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_a_lively_pool) { fail_each_visit(&lively_pool, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(threads_of_a_lively_pool) { fail_each_visit(&lively_pool, OSTLER_FAULT_THREAD_START, EAGAIN); }
TEST(callbacks_of_a_lively_pool) { fail_each_visit(&lively_pool, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_a_tap) { fail_each_visit(&tap, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_turns) { fail_each_visit(&turns, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(callbacks_of_turns) { fail_each_visit(&turns, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_turns_of_many) { fail_each_visit(&turns_of_many, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(callbacks_of_turns_of_many) { fail_each_visit(&turns_of_many, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_a_deferred) { fail_each_visit(&deferred, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_a_desk) { fail_each_visit(&desk, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_the_testkit) { fail_each_visit(&testkit, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(allocations_of_templates) { fail_each_visit(&templates, OSTLER_FAULT_ALLOCATION, ENOMEM); }
TEST(callbacks_of_templates) { fail_each_visit(&templates, OSTLER_FAULT_CALLBACK, EIO); }
TEST(allocations_of_a_pool_by_node) { fail_each_visit(&pool_by_node, OSTLER_FAULT_ALLOCATION, ENOMEM); }

/* Panics of the library. */

TEST(panic_in_each_guarded_call_is_a_status_and_quarantines_its_object)
{
    ostler_pool *lame = make_pool(2, plain_pool_callbacks(), &resources), *sound = make_pool(2, plain_pool_callbacks(), &resources);
    ostler_lease lease;
    void *resource;
    ostler_faults_set(OSTLER_FAULT_CALL, 1, PANICS, 0);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER), OSTLER_E_PANIC);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "injected panic");
    ostler_faults_set(OSTLER_FAULT_CALL, 0, 0, 0);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER), OSTLER_OK);

    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 0);
    CHECK_STATUS(ostler_pool_acquire(lame, 0, NULL, &lease, &resource), OSTLER_E_PANIC);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    CHECK_EQ(lease.value, 0);
    CHECK(resource == NULL);
    CHECK_STATUS(ostler_pool_acquire(lame, 0, NULL, &lease, &resource), OSTLER_E_QUARANTINED);
    CHECK_STATUS(ostler_pool_acquire(sound, 0, NULL, &lease, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(sound, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(lame), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(sound), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
}

/* A pool whose callbacks are held up until they may go on. */
struct gate {
    ostler_pool *pool;
    atomic_int inside, may_go_on;
    ostler_status status;
};

static ostler_status wait_at(struct gate *gate)
{
    atomic_fetch_add(&gate->inside, 1);
    while (!atomic_load(&gate->may_go_on))
        sched_yield();
    return OSTLER_OK;
}

static ostler_status validate_at_the_gate(void *gate, void *resource)
{
    (void)resource;
    return wait_at(gate);
}

static ostler_status create_at_the_gate(void *gate, void **resource)
{
    *resource = gate;
    return wait_at(gate);
}

static ostler_status create_at_once(void *gate, void **resource)
{
    *resource = gate;
    return OSTLER_OK;
}

static ostler_status retag_at_once(void *gate, void *resource, uint64_t from, uint64_t to)
{
    (void)gate, (void)resource, (void)from, (void)to;
    return OSTLER_OK;
}

static void destroy_at_once(void *gate, void *resource)
{
    (void)gate, (void)resource;
}

static ostler_pool_callbacks gate_callbacks(void)
{
    ostler_pool_callbacks callbacks;
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.destroy = destroy_at_once;
    return callbacks;
}

static void *acquire_with_a_tag(void *argument)
{
    struct gate *gate = argument;
    ostler_acquire how = {.struct_size = sizeof how, .timeout_ns = OSTLER_FOREVER, .tag = 7};
    ostler_lease lease;
    void *resource;
    EXPECT_STATUS(ostler_pool_acquire_with(gate->pool, &how, &lease, &resource), OSTLER_E_PANIC);
    return NULL;
}

static void *close_for_ever(void *argument)
{
    struct gate *gate = argument;
    uint64_t still_out;
    gate->status = ostler_pool_close(gate->pool, OSTLER_FOREVER, NULL, &still_out);
    EXPECT_EQ(still_out, 1);
    EXPECT(strstr(ostler_last_error_message(), "quarantined") != NULL);
    return NULL;
}

TEST(close_that_waits_ends_when_its_pool_is_quarantined)
{
    struct gate gate = {0};
    pthread_t acquirer, closer;
    ostler_lease lease, held;
    void *resource;
    ostler_pool_callbacks callbacks = gate_callbacks();
    callbacks.create = create_at_once;
    callbacks.retag = retag_at_once;
    callbacks.validate = validate_at_the_gate;
    gate.pool = make_pool(2, callbacks, &gate);
    CHECK_STATUS(ostler_pool_acquire(gate.pool, 0, NULL, &lease, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_acquire(gate.pool, 0, NULL, &held, &resource), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(gate.pool, lease), OSTLER_OK);
    pthread_create(&acquirer, NULL, acquire_with_a_tag, &gate);
    while (!atomic_load(&gate.inside))
        sched_yield();
    pthread_create(&closer, NULL, close_for_ever, &gate);
    while (ostler_pool_try_acquire(gate.pool, &lease, &resource) != OSTLER_E_CLOSED)
        sched_yield();
    /* The next callback that is called is retag. */
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 0);
    atomic_store(&gate.may_go_on, 1);
    pthread_join(acquirer, NULL);
    pthread_join(closer, NULL);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    CHECK_STATUS(gate.status, OSTLER_E_QUARANTINED);
    CHECK_STATUS(ostler_pool_destroy(gate.pool), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(gate.pool, held), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
}

static void *wait_until_warm(void *argument)
{
    struct gate *gate = argument;
    uint32_t ready, wanted;
    gate->status = ostler_pool_wait_warm(gate->pool, OSTLER_FOREVER, NULL, &ready, &wanted);
    EXPECT(strstr(ostler_last_error_message(), "quarantined") != NULL);
    return NULL;
}

TEST(wait_for_warmth_ends_when_its_pool_is_quarantined)
{
    struct gate gate = {0};
    pthread_t waiter;
    ostler_lease lease;
    void *resource;
    ostler_pool_config config = {.struct_size = sizeof config, .max_size = 2, .min_size = 1};
    ostler_pool_callbacks callbacks = gate_callbacks();
    callbacks.create = create_at_the_gate;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, &gate, &gate.pool), OSTLER_OK);
    while (!atomic_load(&gate.inside))
        sched_yield();
    pthread_create(&waiter, NULL, wait_until_warm, &gate);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 0);
    CHECK_STATUS(ostler_pool_acquire(gate.pool, 0, NULL, &lease, &resource), OSTLER_E_PANIC);
    ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
    pthread_join(waiter, NULL);
    CHECK_STATUS(gate.status, OSTLER_E_QUARANTINED);
    atomic_store(&gate.may_go_on, 1);
    CHECK_STATUS(ostler_pool_destroy(gate.pool), OSTLER_OK);
    check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
}

static void *ask_for_a_page(void *templates)
{
    char bytes[64];
    ostler_status status = ostler_templates_instantiate(templates, "a", 1, bytes, sizeof bytes, OSTLER_FOREVER, NULL, NULL);
    /* The one who builds, those who wait for it, and those who come later. */
    EXPECT(status == OSTLER_E_PANIC || status == OSTLER_E_BUILD_FAILED || status == OSTLER_E_QUARANTINED);
    if (status == OSTLER_E_BUILD_FAILED)
        EXPECT(strstr(ostler_last_error_message(), "the library panicked") != NULL);
    return NULL;
}

TEST(panic_in_a_build_is_told_to_those_who_wait)
{
    for (int round = 0; round < 20; round++) {
        ostler_templates_callbacks callbacks = {
            .struct_size = sizeof callbacks, .build = build_page, .destroy = destroy_page};
        ostler_templates *templates;
        pthread_t threads[4];
        CHECK_STATUS(ostler_templates_create(NULL, &callbacks, NULL, &templates), OSTLER_OK);
        ostler_faults_set(OSTLER_FAULT_CALLBACK, 1, PANICS, 1);
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, ask_for_a_page, templates);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
        ostler_faults_set(OSTLER_FAULT_CALLBACK, 0, 0, 0);
        CHECK_STATUS(ostler_templates_destroy(templates), OSTLER_OK);
        check_nothing_is_left(OSTLER_FAULT_CALLBACK, 1);
    }
}

CHECK_MAIN()
