/* The conformance vectors, played through the C header. */
#include "play.h"

struct resource {
    struct play *play;
    int number;
};

struct host {
    ostler_pool *pool;
    ostler_lease leases[PLAY_LEASES];
    ostler_cancel *cancels[PLAY_CANCELS];
};

static ostler_status answer(enum play_conduct conduct)
{
    if (conduct == PLAY_WELL)
        return OSTLER_OK;
    EXPECT_STATUS(ostler_callback_set_message("none today"), OSTLER_OK);
    return OSTLER_E_CALLBACK_FAILED;
}

static ostler_status create(void *user_data, void **out)
{
    struct resource *resource = malloc(sizeof *resource);
    resource->play = user_data;
    enum play_conduct conduct = play_create(user_data, &resource->number);
    if (conduct == PLAY_WELL) {
        *out = resource;
        return OSTLER_OK;
    }
    free(resource);
    return conduct == PLAY_GIVES_NULL ? OSTLER_OK : answer(conduct);
}

static ostler_status validate(void *user_data, void *resource)
{
    return answer(play_callback(user_data, PLAY_VALIDATE, ((struct resource *)resource)->number));
}

static ostler_status reset(void *user_data, void *resource)
{
    return answer(play_callback(user_data, PLAY_RESET, ((struct resource *)resource)->number));
}

static ostler_status retag(void *user_data, void *resource, uint64_t from_tag, uint64_t to_tag)
{
    EXPECT(from_tag != to_tag);
    return answer(play_callback(user_data, PLAY_RETAG, ((struct resource *)resource)->number));
}

static void destroy(void *user_data, void *resource)
{
    play_callback(user_data, PLAY_END, ((struct resource *)resource)->number);
    free(resource);
}

static struct play_outcome outcome_of(ostler_status status)
{
    return play_outcome_of(status, ostler_last_error_message());
}

static struct play_outcome host_make(struct play *play)
{
    struct host *host = calloc(1, sizeof *host);
    ostler_pool_callbacks callbacks;
    play->host = host;
    for (int i = 0; i < PLAY_CANCELS; i++)
        CHECK_STATUS(ostler_cancel_create(&host->cancels[i]), OSTLER_OK);
    CHECK_STATUS(ostler_pool_callbacks_init(&callbacks, sizeof callbacks), OSTLER_OK);
    callbacks.create = create;
    callbacks.validate = play->vector->validates ? validate : NULL;
    callbacks.reset = play->vector->resets ? reset : NULL;
    callbacks.retag = play->vector->retags ? retag : NULL;
    callbacks.destroy = destroy;
    return outcome_of(ostler_pool_create(&play->vector->config, &callbacks, play, &host->pool));
}

/* After a failure nothing must be left in the outputs. */
static struct play_outcome leased(const struct play_step *step, struct host *host, ostler_status status,
                                  void **resources)
{
    struct play_outcome outcome = outcome_of(status);
    for (int i = 0; i < step->leases_count; i++) {
        const uint64_t lease = host->leases[step->leases[i]].value;
        EXPECT((status == OSTLER_OK) == (lease != 0));
        if (EXPECT((status == OSTLER_OK) == (resources[i] != NULL)) && resources[i])
            outcome.resources[i] = ((struct resource *)resources[i])->number;
    }
    return outcome;
}

static struct play_outcome host_perform(struct play *play, const struct play_step *step)
{
    struct host *host = play->host;
    ostler_pool *pool = host->pool;
    ostler_cancel *cancel = step->cancel == PLAY_ANY ? NULL : host->cancels[step->cancel];
    ostler_lease *lease = &host->leases[step->leases[0]], many[PLAY_LEASES];
    struct play_outcome outcome;
    void *resources[PLAY_LEASES] = {host};
    switch (step->op) {
    case PLAY_ACQUIRE:
        lease->value = 99;
        if (step->priority != 0 || step->tag != 0) {
            ostler_acquire how;
            EXPECT_STATUS(ostler_acquire_init(&how, sizeof how), OSTLER_OK);
            how.priority = step->priority;
            how.timeout_ns = step->timeout_ns;
            how.cancel = cancel;
            how.tag = step->tag;
            return leased(step, host, ostler_pool_acquire_with(pool, &how, lease, resources), resources);
        }
        return leased(step, host, ostler_pool_acquire(pool, step->timeout_ns, cancel, lease, resources), resources);
    case PLAY_TRY_ACQUIRE:
        lease->value = 99;
        return leased(step, host, ostler_pool_try_acquire(pool, lease, resources), resources);
    case PLAY_ACQUIRE_N: {
        const uint32_t count = (uint32_t)step->leases_count;
        ostler_status status = ostler_pool_acquire_n(pool, count, step->timeout_ns, cancel, many, resources);
        for (uint32_t i = 0; i < count; i++)
            host->leases[step->leases[i]] = many[i];
        return leased(step, host, status, resources);
    }
    case PLAY_LOOK:
        outcome = outcome_of(ostler_pool_get_resource(pool, *lease, resources));
        if (outcome.status == OSTLER_OK)
            outcome.resources[0] = ((struct resource *)resources[0])->number;
        return outcome;
    case PLAY_RELEASE:
        return outcome_of(ostler_pool_release(pool, *lease));
    case PLAY_DISCARD:
        return outcome_of(ostler_pool_discard(pool, *lease));
    case PLAY_REVOKE:
        return outcome_of(ostler_pool_revoke(pool, *lease));
    case PLAY_TRIM: {
        uint32_t trimmed = 99;
        outcome = outcome_of(ostler_pool_trim(pool, step->keep_idle, &trimmed));
        outcome.trimmed = trimmed;
        return outcome;
    }
    case PLAY_PAUSE:
        return outcome_of(ostler_pool_pause(pool));
    case PLAY_RESUME:
        return outcome_of(ostler_pool_resume(pool));
    case PLAY_REFRESH:
        return outcome_of(ostler_pool_refresh(pool));
    case PLAY_RESIZE:
        return outcome_of(ostler_pool_resize(pool, step->min_size, step->max_size));
    case PLAY_WAIT_WARM: {
        uint32_t ready = 99, wanted = 99;
        outcome = outcome_of(ostler_pool_wait_warm(pool, step->timeout_ns, cancel, &ready, &wanted));
        outcome.ready = ready;
        outcome.wanted = wanted;
        return outcome;
    }
    case PLAY_CLOSE: {
        uint64_t still_out = 99;
        outcome = outcome_of(ostler_pool_close(pool, step->timeout_ns, cancel, &still_out));
        outcome.still_out = still_out;
        return outcome;
    }
    case PLAY_DESTROY:
        return outcome_of(ostler_pool_destroy(pool));
    default:
        return outcome_of(ostler_cancel_signal(cancel));
    }
}

static ostler_pool_stats host_numbers(struct play *play)
{
    ostler_pool_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_pool_get_stats(((struct host *)play->host)->pool, &stats), OSTLER_OK);
    return stats;
}

static ostler_status host_inside(struct play *play, enum play_conduct conduct)
{
    ostler_pool *pool = ((struct host *)play->host)->pool;
    ostler_lease lease;
    void *resource;
    switch (conduct) {
    case PLAY_CLOSES:
        return ostler_pool_close(pool, OSTLER_FOREVER, NULL, NULL);
    case PLAY_DESTROYS:
        return ostler_pool_destroy(pool);
    case PLAY_WAITS_WARM:
        return ostler_pool_wait_warm(pool, OSTLER_FOREVER, NULL, NULL, NULL);
    default: {
        ostler_status status = ostler_pool_acquire(pool, OSTLER_FOREVER, NULL, &lease, &resource);
        return status == OSTLER_OK ? ostler_pool_release(pool, lease) : status;
    }
    }
}

static void host_end(struct play *play)
{
    struct host *host = play->host;
    ostler_status status = ostler_pool_destroy(host->pool);
    CHECK(status == OSTLER_OK || status == OSTLER_E_INVALID_HANDLE);
    for (int i = 0; i < PLAY_CANCELS; i++)
        CHECK_STATUS(ostler_cancel_destroy(host->cancels[i]), OSTLER_OK);
    free(host);
}

#include VECTORS

CHECK_MAIN()
