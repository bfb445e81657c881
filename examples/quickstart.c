/* Ostler in one sitting: memory from an arena, a lease from a pool, an answer from a warm worker.
 *
 *     cc -std=c11 quickstart.c $(pkg-config --cflags --libs ostler) -o quickstart */
#include <inttypes.h>
#include <ostler.h>
#include <ostler_inline.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(call) check((call), #call)

static void check(ostler_status status, const char *call)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "quickstart: %s: %s (%s)\n", call, ostler_last_error_message(), ostler_status_name(status));
    exit(1);
}

/* A pool makes what is dear once and lends it out: here a compiled regular expression. */
static ostler_status compile_pattern(void *pattern, void **resource)
{
    *resource = malloc(sizeof(regex_t));
    if (*resource && regcomp(*resource, pattern, REG_EXTENDED | REG_NOSUB) == 0)
        return OSTLER_OK;
    free(*resource);
    return OSTLER_E_CALLBACK_FAILED;
}

static void free_pattern(void *pattern, void *resource)
{
    (void)pattern;
    regfree(resource);
    free(resource);
}
