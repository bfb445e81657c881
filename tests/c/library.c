/* Version, names of statuses, messages, the log, shutdown. */
#include "fixtures.h"

struct status {
    ostler_status number;
    const char *name;
};

/* Every status of the header, found in it by run.sh. */
static const struct status statuses[] = {
#define STATUS(name) {name, #name},
#include "statuses.inc"
#undef STATUS
};
#define STATUSES (sizeof statuses / sizeof *statuses)

static ostler_pool *pool_with(ostler_status (*create)(void *, void **), ostler_status (*reset)(void *, void *))
{
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    callbacks.create = create;
    callbacks.reset = reset;
    static int horse;
    return make_pool(0, callbacks, &horse);
}

TEST(version_is_that_of_the_header)
{
    char text[32];
    snprintf(text, sizeof text, "%d.%d.%d", OSTLER_VERSION_MAJOR, OSTLER_VERSION_MINOR, OSTLER_VERSION_PATCH);
    CHECK_EQ(ostler_version(), OSTLER_VERSION_NUMBER);
    CHECK_STR_EQ(ostler_version_string(), text);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER), OSTLER_OK);
}

TEST(version_check_refuses_headers_that_do_not_fit)
{
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER + 1), OSTLER_E_UNSUPPORTED);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER + 1000), OSTLER_E_UNSUPPORTED);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER + 1000000), OSTLER_E_UNSUPPORTED);
    CHECK_STATUS(ostler_version_check((OSTLER_VERSION_MAJOR + 7) * 1000000 + 8009), OSTLER_E_UNSUPPORTED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "7.8.9");
    CHECK_STR_CONTAINS(ostler_last_error_message(), ostler_version_string());
}

TEST(every_status_has_its_name_and_no_other_number_has_one)
{
    CHECK(STATUSES > 20);
    for (size_t i = 0; i < STATUSES; i++) {
        CHECK_STR_EQ(ostler_status_name(statuses[i].number), statuses[i].name);
        for (size_t j = 0; j < i; j++)
            CHECK(statuses[i].number != statuses[j].number);
    }
    size_t known = 0;
    for (ostler_status number = -2000; number <= 2000; number++)
        known += strcmp(ostler_status_name(number), "OSTLER_E_UNKNOWN") != 0;
    CHECK_EQ(known, STATUSES);
    CHECK_STR_EQ(ostler_status_name(INT32_MIN), "OSTLER_E_UNKNOWN");
    CHECK_STR_EQ(ostler_status_name(INT32_MAX), "OSTLER_E_UNKNOWN");
}

static void *fail_on_another_thread(void *unused)
{
    EXPECT_STR_EQ(ostler_last_error_message(), "");
    EXPECT_STATUS(ostler_version_check(9000000), OSTLER_E_UNSUPPORTED);
    EXPECT_STR_CONTAINS(ostler_last_error_message(), "9.0.0");
    return unused;
}

TEST(message_belongs_to_its_thread_and_outlives_successes)
{
    char before[512];
    pthread_t thread;
    CHECK_STATUS(ostler_version_check(8000000), OSTLER_E_UNSUPPORTED);
    snprintf(before, sizeof before, "%s", ostler_last_error_message());
    pthread_create(&thread, NULL, fail_on_another_thread, NULL);
    pthread_join(thread, NULL);
    CHECK_STATUS(ostler_version_check(OSTLER_VERSION_NUMBER), OSTLER_OK);
    CHECK_STR_EQ(ostler_last_error_message(), before);
    CHECK_STATUS(ostler_pool_close((ostler_pool *)before, 0, NULL, NULL), OSTLER_E_INVALID_HANDLE);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "pool");
}

struct heard {
    struct tally lines;
    uint32_t worst;
    char words[512];
};

static void hear(void *user_data, uint32_t level, const char *message)
{
    struct heard *heard = user_data;
    EXPECT(level >= OSTLER_LOG_ERROR && level <= OSTLER_LOG_DEBUG);
    EXPECT(strchr(message, '\n') == NULL);
    heard->worst = heard->worst == 0 || level < heard->worst ? level : heard->worst;
    if (strstr(message, "muddy"))
        snprintf(heard->words, sizeof heard->words, "%s", message);
    tally_add(&heard->lines, 1);
}

static ostler_status refuse_muddy(void *user_data, void *resource)
{
    (void)user_data, (void)resource;
    EXPECT_STATUS(ostler_callback_set_message("the saddle is muddy"), OSTLER_OK);
    return OSTLER_E_CALLBACK_FAILED;
}

static void lease_and_release(ostler_pool *pool)
{
    CHECK_STATUS(ostler_pool_release(pool, acquire_now(pool)), OSTLER_OK);
}

TEST(log_tells_failures_that_no_call_returns)
{
    struct heard heard = {.lines = TALLY_INIT};
    ostler_pool *pool = pool_with(lend_user_data, refuse_muddy);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_DEBUG, hear, &heard), OSTLER_OK);
    lease_and_release(pool);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_DEBUG, NULL, NULL), OSTLER_OK);
    CHECK_STR_CONTAINS(heard.words, "the saddle is muddy");
    long lines = tally_read(&heard.lines);
    lease_and_release(pool);
    CHECK_EQ(tally_read(&heard.lines), lines);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(log_leaves_out_what_is_above_its_level)
{
    struct heard heard = {.lines = TALLY_INIT};
    ostler_pool *pool = pool_with(lend_user_data, refuse_muddy);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_ERROR, hear, &heard), OSTLER_OK);
    lease_and_release(pool);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_ERROR, NULL, NULL), OSTLER_OK);
    CHECK(tally_read(&heard.lines) == 0 || heard.worst == OSTLER_LOG_ERROR);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(log_level_outside_its_range_is_refused)
{
    CHECK_STATUS(ostler_log_set(0, hear, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "max_level is 0");
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_DEBUG + 1, hear, NULL), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "max_level is 5");
}

/* A log callback that uses the library, on the very call that it reports about, and then silences itself. */
static void log_and_call_back(void *user_data, uint32_t level, const char *message)
{
    (void)level, (void)message;
    ostler_cancel *cancel;
    EXPECT_STATUS(ostler_cancel_create(&cancel), OSTLER_OK);
    EXPECT_STATUS(ostler_cancel_destroy(cancel), OSTLER_OK);
    EXPECT_STATUS(ostler_log_set(OSTLER_LOG_WARN, NULL, NULL), OSTLER_OK);
    tally_add(user_data, 1);
}

TEST(log_callback_may_call_the_library)
{
    struct tally lines = TALLY_INIT;
    ostler_pool *pool = pool_with(lend_user_data, refuse_muddy);
    CHECK_STATUS(ostler_log_set(OSTLER_LOG_DEBUG, log_and_call_back, &lines), OSTLER_OK);
    lease_and_release(pool);
    lease_and_release(pool);
    CHECK_EQ(tally_read(&lines), 1);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

TEST(words_of_a_callback_have_no_place_outside_of_one)
{
    CHECK_STATUS(ostler_callback_set_message("nobody asked"), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "message");
}

static ostler_status create_with_long_words(void *user_data, void **resource)
{
    char words[4 * OSTLER_MESSAGE_BYTES];
    (void)user_data, (void)resource;
    memset(words, 'n', sizeof words);
    memcpy(words, "begin", 5);
    words[sizeof words - 1] = 0;
    EXPECT_STATUS(ostler_callback_set_message("overwritten"), OSTLER_OK);
    EXPECT_STATUS(ostler_callback_set_message(words), OSTLER_OK);
    return -77777;
}

TEST(words_of_a_callback_are_cut_and_the_last_ones_count)
{
    ostler_lease lease;
    void *resource;
    ostler_pool *pool = pool_with(create_with_long_words, NULL);
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &lease, &resource), OSTLER_E_CREATE_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "beginnnnn");
    CHECK_STR_CONTAINS(ostler_last_error_message(), "nnn (status -77777)");
    CHECK(strstr(ostler_last_error_message(), "overwritten") == NULL);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

static ostler_status next_answer;

static ostler_status create_never(void *user_data, void **resource)
{
    (void)user_data, (void)resource;
    return next_answer;
}

/* The library's own statuses have names; the one that only says that it failed adds nothing to the words. */
TEST(status_of_a_callback_is_told_by_its_name)
{
    static const struct {
        ostler_status status;
        const char *words;
    } answers[] = {
        {OSTLER_E_CALLBACK_FAILED, "no resource could be made: create callback failed"},
        {OSTLER_E_OUT_OF_MEMORY, "no resource could be made: create callback failed (OSTLER_E_OUT_OF_MEMORY)"},
        {-77777, "no resource could be made: create callback failed (status -77777)"},
        {7, "no resource could be made: create callback failed (status 7)"},
    };
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        ostler_lease lease;
        void *resource;
        ostler_pool *pool = pool_with(create_never, NULL);
        next_answer = answers[i].status;
        CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &lease, &resource), OSTLER_E_CREATE_FAILED);
        CHECK_STR_EQ(ostler_last_error_message(), answers[i].words);
        CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
    }
}

/* One letter in Latin-1 at the front, and one that would be cut in the middle of its replacement. */
static ostler_status create_in_another_encoding(void *user_data, void **resource)
{
    char words[OSTLER_MESSAGE_BYTES + 8];
    (void)user_data, (void)resource;
    memset(words, 'n', sizeof words);
    memcpy(words, "refus\xe9 ", 7);
    words[OSTLER_MESSAGE_BYTES - 4] = '\xe9';
    words[sizeof words - 1] = 0;
    EXPECT_STATUS(ostler_callback_set_message(words), OSTLER_OK);
    return OSTLER_E_CALLBACK_FAILED;
}

TEST(words_in_another_encoding_are_not_lost)
{
    ostler_lease lease;
    void *resource;
    ostler_pool *pool = pool_with(create_in_another_encoding, NULL);
    CHECK_STATUS(ostler_pool_acquire(pool, 0, NULL, &lease, &resource), OSTLER_E_CREATE_FAILED);
    CHECK_STR_CONTAINS(ostler_last_error_message(), ": refus\xef\xbf\xbd nnn");
    CHECK(strchr(strchr(ostler_last_error_message(), '\xef') + 1, '\xef') == NULL);
    CHECK_STATUS(ostler_pool_destroy(pool), OSTLER_OK);
}

/* One of everything, so that a shutdown has something of each kind to end. */
struct everything {
    ostler_cancel *cancel;
    ostler_topology *topology;
    ostler_arena *arena;
    ostler_pool *pool;
    ostler_orchestrator *orchestrator;
    ostler_model *model;
};

static void make_everything(struct everything *all)
{
    CHECK_STATUS(ostler_cancel_create(&all->cancel), OSTLER_OK);
    CHECK_STATUS(ostler_topology_create("pack:1 core:1 pu:1", &all->topology), OSTLER_OK);
    CHECK_STATUS(ostler_arena_create(NULL, &all->arena), OSTLER_OK);
    all->pool = pool_with(lend_user_data, NULL);
    all->orchestrator = make_orchestrator();
    all->model = make_model(all->orchestrator, plain_model_config(), plain_model_callbacks(), NULL);
}

static void check_everything_is_gone(const struct everything *all)
{
    CHECK_STATUS(ostler_cancel_destroy(all->cancel), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_topology_destroy(all->topology), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_arena_destroy(all->arena), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_pool_destroy(all->pool), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_model_destroy(all->model), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_orchestrator_destroy(all->orchestrator), OSTLER_E_INVALID_HANDLE);
}

TEST(shutdown_ends_everything_and_the_library_goes_on)
{
    for (int round = 0; round < 3; round++) {
        struct everything all;
        uint64_t still_out = 99;
        make_everything(&all);
        CHECK_STATUS(ostler_shutdown(OSTLER_FOREVER, &still_out), OSTLER_OK);
        CHECK_EQ(still_out, 0);
        check_everything_is_gone(&all);
    }
    CHECK_STATUS(ostler_shutdown(0, NULL), OSTLER_OK);
}

TEST(shutdown_says_what_is_still_out)
{
    uint64_t still_out = 0;
    ostler_pool *pool = pool_with(lend_user_data, NULL);
    ostler_lease lease = acquire_now(pool);
    CHECK_STATUS(ostler_shutdown(0, &still_out), OSTLER_E_TIMEOUT);
    CHECK_EQ(still_out, 1);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_OK);
    CHECK_STATUS(ostler_pool_release(pool, lease), OSTLER_E_INVALID_HANDLE);
    CHECK_STATUS(ostler_shutdown(0, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
}

struct release_later {
    ostler_pool *pool;
    ostler_lease lease;
};

/* Releases once the shutdown that waits for it has destroyed the pool. */
static void *release_when_closing(void *argument)
{
    struct release_later *later = argument;
    ostler_pool_stats stats = {.struct_size = sizeof stats};
    while (ostler_pool_get_stats(later->pool, &stats) == OSTLER_OK)
        sched_yield();
    EXPECT_STATUS(ostler_pool_release(later->pool, later->lease), OSTLER_OK);
    return NULL;
}

TEST(shutdown_waits_for_what_is_out)
{
    struct release_later later;
    pthread_t thread;
    uint64_t still_out = 99;
    later.pool = pool_with(lend_user_data, NULL);
    later.lease = acquire_now(later.pool);
    pthread_create(&thread, NULL, release_when_closing, &later);
    CHECK_STATUS(ostler_shutdown(OSTLER_FOREVER, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    pthread_join(thread, NULL);
}

CHECK_MAIN()
