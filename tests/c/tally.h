/* A number that threads raise and wait for: how tests know that something has happened, without any sleep. */
#ifndef OSTLER_TESTS_TALLY_H
#define OSTLER_TESTS_TALLY_H

#include <pthread.h>

struct tally {
    pthread_mutex_t lock;
    pthread_cond_t raised;
    long value;
};

#define TALLY_INIT {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0}

/* The value after the addition. */
static inline long tally_add(struct tally *tally, long by)
{
    pthread_mutex_lock(&tally->lock);
    long value = tally->value += by;
    pthread_cond_broadcast(&tally->raised);
    pthread_mutex_unlock(&tally->lock);
    return value;
}

static inline long tally_read(struct tally *tally)
{
    return tally_add(tally, 0);
}

static inline void tally_await(struct tally *tally, long at_least)
{
    pthread_mutex_lock(&tally->lock);
    while (tally->value < at_least)
        pthread_cond_wait(&tally->raised, &tally->lock);
    pthread_mutex_unlock(&tally->lock);
}

#endif
