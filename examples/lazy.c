/* A file that is read when it is first needed, used in place, and dropped when memory runs short.
 *
 *     cc lazy.c -lostler && ./a.out FILE
 */
#include <ostler_inline.h>
#include <stdio.h>
#include <stdlib.h>

static void check(ostler_status status)
{
    if (status != OSTLER_OK) {
        fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
        exit(1);
    }
}

int main(int argc, char **argv)
{
    ostler_lazy *file;
    check(ostler_lazy_open_file(NULL, argc > 1 ? argv[1] : argv[0], &file));

    /* Each thread has a reader: a pin is a few plain loads and stores. */
    ostler_reader *reader;
    check(ostler_reader_open(file, &reader));
    for (int use = 0; use < 3; use++) {
        void *value;
        check(ostler_reader_pin_inline(reader, OSTLER_FOREVER, NULL, &value)); /* the first one loads */
        const ostler_lazy_content *content = value;
        printf("%s\n", content->size_bytes > 0 ? "it is there" : "it is empty");
        check(ostler_reader_unpin_inline(reader));
    }

    /* As the governor does when memory runs short; the next pin would load it again. */
    uint64_t freed;
    check(ostler_lazy_drop(file, &freed));
    printf("%s\n", freed > 0 ? "it was dropped" : "nothing was held");
    check(ostler_reader_close(reader));
    check(ostler_lazy_destroy(file));
    return 0;
}
