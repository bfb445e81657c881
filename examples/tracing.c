/* Who holds memory, and what was never given back. Build it with
 *
 *     cc -g tracing.c $(pkg-config --cflags --libs ostler) -o tracing
 */
#include <ostler.h>
#include <stdio.h>
#include <stdlib.h>

static void check(ostler_status status)
{
    if (status != OSTLER_OK) {
        fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
        exit(1);
    }
}

/* Arenas with a name are easier to tell apart. */
static ostler_arena *make_arena(const char *name)
{
    ostler_arena_config config;
    ostler_arena *arena;
    check(ostler_arena_config_init(&config, sizeof config));
    snprintf(config.name, sizeof config.name, "%s", name);
    check(ostler_arena_create(&config, &arena));
    return arena;
}

static ostler_arena *cache_pages(void) { return make_arena("pages"); }

static void serve_a_request(void)
{
    ostler_arena *scratch = make_arena("scratch");
    check(ostler_arena_destroy(scratch));
}

static void forget_something(void) { make_arena("forgotten"); }

static void tell(void *user_data, uint32_t level, const char *line)
{
    (void)user_data, (void)level;
    puts(line);
}

int main(void)
{
    static char report[16384];
    check(ostler_log_set(OSTLER_LOG_WARN, tell, NULL));
    check(ostler_tracing_start(NULL));

    ostler_arena *pages = cache_pages();
    serve_a_request();
    forget_something();

    check(ostler_tracing_report(OSTLER_TRACING_BY_STACK, report, sizeof report, NULL));
    printf("Alive now:\n%s\n", report);

    check(ostler_arena_destroy(pages));
    /* Tells the log what is left: the arena that was forgotten. */
    return ostler_shutdown(OSTLER_FOREVER, NULL) != OSTLER_OK;
}
