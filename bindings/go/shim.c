/* The other side of shim.h: the library's calls as Go makes them, and the library's callbacks on their way to Go. */
#include "shim.h"

#include <string.h>
#include <unistd.h>

ostler_go_failure ostler_go_version_check(void)
{
    return failure(ostler_version_check(OSTLER_VERSION_NUMBER));
}

struct log_line {
    uint32_t level, bytes;
    char text[1016];
};

/* A line goes to a pipe and not to Go, so that no call can turn into a call back only because it has something to say.
 * A line is shorter than PIPE_BUF, so it comes through whole, or not at all where Go reads too slowly. */
static void log_to_pipe(void *pipe, uint32_t level, const char *message)
{
    struct log_line line = {level, (uint32_t)strnlen(message, sizeof line.text), {0}};
    memcpy(line.text, message, line.bytes);
    ssize_t written = write((int)(intptr_t)pipe, &line, offsetof(struct log_line, text) + line.bytes);
    (void)written;
}

ostler_go_failure ostler_go_log_to_pipe(uint32_t max_level, int pipe)
{
    return failure(ostler_log_set(max_level, log_to_pipe, (void *)(intptr_t)pipe));
}

ostler_go_failure ostler_go_log_off(void)
{
    return failure(ostler_log_set(OSTLER_LOG_ERROR, NULL, NULL));
}

ostler_go_waited ostler_go_shutdown(uint64_t timeout_ns)
{
    ostler_go_waited waited = {0};
    waited.failure = failure(ostler_shutdown(timeout_ns, &waited.still_out));
    return waited;
}
