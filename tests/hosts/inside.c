/* Destroy, close, drain and shutdown from inside each kind of callback: refused, never a hang, and nothing is lost. */
#include "fixtures.h"

enum where { NOWHERE, CREATE, VALIDATE, RESET, DESTROY, LOAD, RUN, UNLOAD, COMPLETE, LOG };

struct host {
    ostler_pool *pool;
    ostler_orchestrator *orchestrator;
    ostler_model *model;
    enum where where; /* the callback that misbehaves */
    struct tally refused;
};

static void misbehave(struct host *host, enum where here)
{
    uint64_t still_out;
    if (host->where != here)
        return;
    if (host->pool != NULL) {
        EXPECT_STATUS(ostler_pool_destroy(host->pool), OSTLER_E_WOULD_DEADLOCK);
        EXPECT_STATUS(ostler_pool_close(host->pool, OSTLER_FOREVER, NULL, &still_out), OSTLER_E_WOULD_DEADLOCK);
    }
    if (host->model != NULL) {
        EXPECT_STATUS(ostler_model_destroy(host->model), OSTLER_E_WOULD_DEADLOCK);
        EXPECT_STATUS(ostler_model_wait_ready(host->model, OSTLER_FOREVER, NULL), OSTLER_E_WOULD_DEADLOCK);
        EXPECT_STATUS(ostler_orchestrator_destroy(host->orchestrator), OSTLER_E_WOULD_DEADLOCK);
        EXPECT_STATUS(ostler_orchestrator_drain(host->orchestrator, OSTLER_FOREVER, NULL, &still_out),
                      OSTLER_E_WOULD_DEADLOCK);
    }
    EXPECT_STATUS(ostler_shutdown(OSTLER_FOREVER, &still_out), OSTLER_E_WOULD_DEADLOCK);
    tally_add(&host->refused, 1);
}

static ostler_status create(void *user_data, void **resource)
{
    misbehave(user_data, CREATE);
    *resource = user_data;
    return OSTLER_OK;
}

static ostler_status validate(void *user_data, void *resource)
{
    (void)resource;
    misbehave(user_data, VALIDATE);
    return OSTLER_OK;
}

static ostler_status reset(void *user_data, void *resource)
{
    (void)resource;
    misbehave(user_data, RESET);
    return OSTLER_OK;
}

static void destroy(void *user_data, void *resource)
{
    (void)resource;
    misbehave(user_data, DESTROY);
}

static void use_pool(enum where where)
{
    struct host host = {.refused = TALLY_INIT};
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_lease lease;
    void *resource;
    callbacks.create = create;
    callbacks.validate = validate;
    callbacks.reset = reset;
    callbacks.destroy = destroy;
    host.pool = make_pool(1, callbacks, &host);
    host.where = where;
    for (int i = 0; i < 2; i++) {
        CHECK_STATUS(ostler_pool_acquire(host.pool, OSTLER_FOREVER, NULL, &lease, &resource), OSTLER_OK);
        CHECK_STATUS(i == 0 ? ostler_pool_release(host.pool, lease) : ostler_pool_discard(host.pool, lease), OSTLER_OK);
    }
    CHECK_EQ(tally_read(&host.refused), 1);
    host.where = NOWHERE;
    CHECK_STATUS(ostler_pool_destroy(host.pool), OSTLER_OK);
}

TEST(from_create) { use_pool(CREATE); }
TEST(from_validate) { use_pool(VALIDATE); }
TEST(from_reset) { use_pool(RESET); }
TEST(from_destroy) { use_pool(DESTROY); }

static struct tally created = TALLY_INIT;

static ostler_status load(void *user_data, uint32_t worker, void **state)
{
    (void)worker;
    /* The handle of the model is known when its create has returned. */
    tally_await(&created, 1);
    misbehave(user_data, LOAD);
    *state = user_data;
    return OSTLER_OK;
}

static ostler_status run(void *user_data, void *state, ostler_item *const *items, uint32_t count)
{
    (void)state, (void)items, (void)count;
    misbehave(user_data, RUN);
    return OSTLER_OK;
}

static void unload(void *user_data, void *state)
{
    (void)state;
    misbehave(user_data, UNLOAD);
}

static void complete(void *user_data, ostler_ticket ticket, const ostler_result *result)
{
    (void)ticket, (void)result;
    misbehave(user_data, COMPLETE);
}

static void use_model(enum where where)
{
    struct host host = {.refused = TALLY_INIT};
    ostler_model_callbacks callbacks = plain_model_callbacks();
    ostler_model_config config = plain_model_config();
    ostler_request request = plain_request();
    created = (struct tally)TALLY_INIT;
    callbacks.load = load;
    callbacks.run = run;
    callbacks.unload = unload;
    /* A worker above the least number unloads while the model lives. */
    config.max_workers = 2;
    config.idle_timeout_ns = 1000;
    host.orchestrator = make_orchestrator();
    host.where = where;
    host.model = make_model(host.orchestrator, config, callbacks, &host);
    tally_add(&created, 1);
    request.on_complete = complete;
    request.user_data = &host;
    while (tally_read(&host.refused) == 0) {
        ostler_ticket ticket;
        ostler_status status = ostler_model_submit(host.model, &request, &ticket);
        CHECK(status == OSTLER_OK || status == OSTLER_E_QUEUE_FULL);
    }
    host.where = NOWHERE;
    CHECK_STATUS(ostler_orchestrator_drain(host.orchestrator, OSTLER_FOREVER, NULL, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_orchestrator_destroy(host.orchestrator), OSTLER_OK);
}

TEST(from_load) { use_model(LOAD); }
TEST(from_run) { use_model(RUN); }
TEST(from_unload) { use_model(UNLOAD); }
TEST(from_on_complete) { use_model(COMPLETE); }

/* A worker writes this line, which then has the model in its hands. */
static void log_and_misbehave(void *user_data, uint32_t level, const char *line)
{
    (void)level;
    if (strstr(line, "is loaded") == NULL)
        return;
    tally_await(&created, 1);
    misbehave(user_data, LOG);
    EXPECT_STATUS(ostler_log_set(OSTLER_LOG_DEBUG, NULL, NULL), OSTLER_OK);
}

TEST(from_the_log)
{
    struct host host = {.refused = TALLY_INIT, .where = LOG};
    created = (struct tally)TALLY_INIT;
    host.pool = make_pool(1, plain_pool_callbacks(), NULL);
    host.orchestrator = make_orchestrator();
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_DEBUG, log_and_misbehave, &host), OSTLER_OK);
    host.model = make_model(host.orchestrator, plain_model_config(), plain_model_callbacks(), NULL);
    tally_add(&created, 1);
    tally_await(&host.refused, 1);
    CHECK_STATUS(ostler_orchestrator_destroy(host.orchestrator), OSTLER_OK);
    CHECK_STATUS(ostler_pool_destroy(host.pool), OSTLER_OK);
}

CHECK_MAIN()
