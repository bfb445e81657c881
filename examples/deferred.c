/* Results that other threads bring: each in a cell that was made beforehand, and waited for together.
 *     cc -std=c11 deferred.c $(pkg-config --cflags --libs ostler) -pthread -o deferred && ./deferred */
#include <ostler.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARTS = 4, NUMBERS = 1000000 };

static void must(ostler_status status)
{
    if (status == OSTLER_OK)
        return;
    fprintf(stderr, "deferred: %s: %s\n", ostler_status_name(status), ostler_last_error_message());
    exit(1);
}

/* What one thread works on, and the cell that it brings the result to. */
struct part {
    ostler_deferred *results;
    ostler_cell cell;
    uint64_t begin, end, sum;
};

static void *add_up(void *argument)
{
    struct part *part = argument;
    for (uint64_t number = part->begin; number < part->end; number++)
        part->sum += number;
    /* From here on the value is with whoever takes it. */
    must(ostler_deferred_complete(part->results, part->cell, OSTLER_OK, &part->sum));
    return NULL;
}

int main(void)
{
    ostler_deferred *results;
    ostler_cell cells[PARTS];
    struct part parts[PARTS];
    pthread_t threads[PARTS];
    must(ostler_deferred_create(NULL, &results));
    must(ostler_deferred_acquire_n(results, PARTS, cells));
    for (uint64_t i = 0; i < PARTS; i++) {
        parts[i] = (struct part){results, cells[i], i * NUMBERS / PARTS, (i + 1) * NUMBERS / PARTS, 0};
        if (pthread_create(&threads[i], NULL, add_up, &parts[i]) != 0)
            return 1;
    }

    uint64_t sum = 0;
    must(ostler_deferred_wait_all(results, cells, PARTS, OSTLER_FOREVER, NULL));
    for (int i = 0; i < PARTS; i++) {
        ostler_status outcome;
        void *value;
        must(ostler_deferred_wait(results, cells[i], OSTLER_FOREVER, NULL, &outcome, &value));
        must(outcome);
        sum += *(uint64_t *)value;
    }
    printf("the sum is %llu\n", (unsigned long long)sum);

    /* What was taken is stale: a second look is an error, and never another's value. */
    ostler_status again = ostler_deferred_poll(results, cells[0], &(ostler_status){0}, &(void *){NULL});
    printf("taken twice: %s\n", ostler_status_name(again));
    for (int i = 0; i < PARTS; i++)
        pthread_join(threads[i], NULL);
    must(ostler_deferred_destroy(results));
    return 0;
}
