/* A message of the network in a buffer: its parts are views of the same memory, which is idle again with the last one.
 *
 *     cc buffers.c -lostler && ./a.out
 */
#include <ostler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static void check(ostler_status status)
{
    if (status != OSTLER_OK) {
        fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
        exit(1);
    }
}

int main(void)
{
    ostler_buffers_config config;
    check(ostler_buffers_config_init(&config, sizeof config));
    config.limit_bytes = 64 << 20; /* of all buffers together */
    strcpy(config.name, "network");
    ostler_buffers *buffers;
    check(ostler_buffers_create(&config, &buffers));

    /* As read(2) would fill it. */
    ostler_buffer message;
    void *data;
    check(ostler_buffers_get(buffers, 16384, &message, &data));
    const char arrived[] = "POST /model\nsome input";
    memcpy(data, arrived, strlen(arrived));
    check(ostler_buffers_truncate(buffers, message, strlen(arrived)));

    /* The head and the body go to different places, and nothing is copied. */
    ostler_buffer parts[2];
    check(ostler_buffers_slice(buffers, message, 0, 12, &parts[0]));
    check(ostler_buffers_slice(buffers, message, 12, strlen(arrived) - 12, &parts[1]));
    check(ostler_buffers_release(buffers, message));

    ostler_iovec pieces[2];
    uint64_t total;
    check(ostler_buffers_export(buffers, parts, 2, pieces, &total));
    if (writev(STDOUT_FILENO, (const struct iovec *)pieces, 2) != (ssize_t)total)
        return 1;
    puts("");

    check(ostler_buffers_release_n(buffers, parts, 2, NULL));
    /* A second release harms nobody. */
    printf("%s\n", ostler_status_name(ostler_buffers_release(buffers, parts[0])));
    check(ostler_buffers_destroy(buffers));
    return 0;
}
