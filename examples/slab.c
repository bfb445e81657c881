/*
 * A slab: messages of one size that come and go, each got and put without a call into the library.
 *
 *     cc -std=c11 examples/slab.c $(pkg-config --cflags --libs ostler) -o slab && ./slab
 */
#include <ostler_inline.h>
#include <stdio.h>
#include <stdlib.h>

struct message {
    int number;
    char text[60];
};

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "%s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

int main(void)
{
    ostler_slab_config config;
    ostler_slab *slab;
    ostler_magazine *magazine;
    must(ostler_slab_config_init(&config, sizeof config));
    config.slot_bytes = sizeof(struct message);
    config.max_slots = 100000;
    must(ostler_slab_create(&config, NULL, NULL, &slab));

    /* One for each thread that gets and puts often. */
    must(ostler_magazine_open(slab, &magazine));
    long sum = 0;
    for (int i = 1; i <= 1000; i++) {
        void *slot;
        must(ostler_magazine_get_inline(magazine, &slot));
        struct message *message = slot;
        message->number = i;
        sum += message->number;
        must(ostler_magazine_put_inline(magazine, message));
        /* What was put is told when it is put again. */
        if (ostler_magazine_put_inline(magazine, message) != OSTLER_E_DOUBLE_FREE)
            return 1;
    }
    printf("1000 messages in one slot, sum %ld\n", sum);

    must(ostler_magazine_close(magazine));
    must(ostler_slab_destroy(slab));
    return 0;
}
