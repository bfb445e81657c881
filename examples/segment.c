/*
 * Two processes share memory: one makes a segment and writes a list into it, the other attaches by a file descriptor and
 * reads it at another address. Build it with
 *   cc -std=c11 examples/segment.c $(pkg-config --cflags --libs ostler) -o segment
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <ostler.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

/* Pointers mean nothing in another process; blocks do. */
struct horse {
    ostler_segment_block next;
    char name[24];
};

static int read_list(int fd)
{
    ostler_segment *segment;
    ostler_segment_block block;
    must(ostler_segment_attach(fd, OSTLER_ACCESS_READ_ONLY, &segment));
    must(ostler_segment_get_root(segment, &block));
    while (block.value != 0) {
        void *memory;
        must(ostler_segment_get(segment, block, &memory, NULL));
        const struct horse *horse = memory;
        printf("in the stable: %s\n", horse->name);
        block = horse->next;
    }
    must(ostler_segment_destroy(segment));
    return 0;
}

int main(int count, char **arguments)
{
    if (count == 2)
        return read_list(atoi(arguments[1]));

    static const char *const names[] = {"Brandy", "Copper", "Dapple"};
    ostler_segment *segment;
    ostler_segment_block last = {0};
    must(ostler_segment_create(NULL, &segment));
    for (int i = 0; i < 3; i++) {
        ostler_segment_block block;
        void *memory;
        must(ostler_segment_alloc(segment, sizeof(struct horse), 0, &block, &memory));
        struct horse *horse = memory;
        snprintf(horse->name, sizeof horse->name, "%s", names[i]);
        horse->next = last;
        last = block;
    }
    must(ostler_segment_set_root(segment, last));

    /* The other process gets the descriptor across an exec; over a socket it would be SCM_RIGHTS. */
    int32_t fd;
    int status = 1;
    char number[16];
    must(ostler_segment_get_fd(segment, OSTLER_ACCESS_READ_ONLY, &fd));
    fcntl(fd, F_SETFD, 0);
    snprintf(number, sizeof number, "%d", fd);
    pid_t reader = fork();
    if (reader == 0) {
        execl("/proc/self/exe", arguments[0], number, (char *)NULL);
        _exit(127);
    }
    if (reader > 0)
        waitpid(reader, &status, 0);
    close(fd);
    must(ostler_segment_destroy(segment));
    return status == 0 ? 0 : 1;
}
