/* Plays the conformance vectors of the pool: the part that C and C++ share.
 *
 * A vector is a list of steps. A step is one call on the pool, made by the runner or by a named thread, which makes
 * nothing but such calls; or a look at the pool's numbers and at what its callbacks did. Nothing here sleeps:
 * that a caller waits is seen in the pool's numbers, and callbacks wait until the runner changes their conduct.
 *
 * The program that includes this makes the calls (the functions host_... below), in its own language. */
#ifndef OSTLER_CONFORMANCE_PLAY_H
#define OSTLER_CONFORMANCE_PLAY_H

#include "check.h"
#include <ostler.h>
#include <sched.h>
#include <stddef.h>

enum {
    PLAY_LEASES = 8,
    PLAY_THREADS = 4,
    PLAY_CANCELS = 2,
    PLAY_RESOURCES = 32,
    PLAY_LINES = 64,
    PLAY_LINE_BYTES = 64,
    PLAY_WORDS_BYTES = 512,
    PLAY_RUNNER = -1, /* the thread of a step */
    PLAY_ANY = -1     /* an expectation that there is not */
};

enum play_op {
    PLAY_ACQUIRE,
    PLAY_TRY_ACQUIRE,
    PLAY_ACQUIRE_N,
    PLAY_LOOK, /* what a lease names */
    PLAY_RELEASE,
    PLAY_DISCARD,
    PLAY_REVOKE,
    PLAY_TRIM,
    PLAY_PAUSE,
    PLAY_RESUME,
    PLAY_REFRESH,
    PLAY_RESIZE,
    PLAY_WAIT_WARM,
    PLAY_CLOSE,
    PLAY_DESTROY,
    PLAY_SIGNAL,
    /* The runner's own. */
    PLAY_BEHAVE,
    PLAY_ENDED,        /* the thread's call has ended, with what it was to give */
    PLAY_AWAIT,        /* until the numbers are these */
    PLAY_AWAIT_CLOSED, /* until the pool refuses new work */
    PLAY_NUMBERS,
    PLAY_EVENTS
};

enum play_callback { PLAY_CREATE, PLAY_VALIDATE, PLAY_RESET, PLAY_RETAG, PLAY_END, PLAY_CALLBACKS };

/* What a callback does. Those below HOLD do it once, and are well again. */
enum play_conduct {
    PLAY_UNCHANGED,
    PLAY_WELL,
    PLAY_FAILS,
    PLAY_THROWS,
    PLAY_GIVES_NULL,
    PLAY_HOLDS, /* until the conduct changes */
    PLAY_FAILS_ONCE,
    PLAY_CLOSES,
    PLAY_DESTROYS,
    PLAY_WAITS_WARM,
    PLAY_ACQUIRES
};

struct play_number {
    const char *name;
    size_t offset; /* in ostler_pool_stats; SIZE_MAX: callbacks that are held */
    uint64_t value;
};

struct play_step {
    enum play_op op;
    int thread;
    int starts; /* not waited for: a later PLAY_ENDED is */
    int again;  /* as long as it fails with CREATE_FAILED */
    int leases[PLAY_LEASES];
    int leases_count;
    uint64_t timeout_ns;
    uint32_t priority;
    uint64_t tag;
    int cancel;
    uint32_t min_size, max_size, keep_idle;
    enum play_conduct conduct[PLAY_CALLBACKS];
    const struct play_number *numbers;
    int numbers_count;
    const char *const *events;
    int events_count;
    /* What is expected. */
    ostler_status gives;
    const char *says;
    long resource, still_out, ready, wanted, trimmed;
};

struct play_vector {
    ostler_pool_config config;
    int validates, resets, retags;
    enum play_conduct conduct[PLAY_CALLBACKS];
    ostler_status gives;
    const char *says;
    const struct play_step *steps;
    int steps_count;
};

/* What came of a call. */
struct play_outcome {
    ostler_status status;
    char words[PLAY_WORDS_BYTES];
    int resources[PLAY_LEASES];
    uint64_t still_out;
    uint32_t ready, wanted, trimmed;
};

struct play_actor {
    pthread_t thread;
    int is_there;
    const struct play_step *step;
    struct play_outcome outcome;
};

struct play {
    const struct play_vector *vector;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum play_conduct conduct[PLAY_CALLBACKS];
    uint64_t held;
    int made;
    int users[PLAY_RESOURCES], gone[PLAY_RESOURCES];
    int is_good[PLAY_LEASES], resource_of[PLAY_LEASES];
    char lines[PLAY_LINES][PLAY_LINE_BYTES];
    int lines_count, lines_seen;
    struct play_actor actors[PLAY_THREADS];
    int is_over;
    void *host;
};

/* In the language of the program. */
static struct play_outcome host_make(struct play *play);
static struct play_outcome host_perform(struct play *play, const struct play_step *step);
static ostler_pool_stats host_numbers(struct play *play);
static ostler_status host_inside(struct play *play, enum play_conduct conduct);
/* Destroys the pool when it is still there. */
static void host_end(struct play *play);

static inline void play_note(struct play *play, const char *what, const char *which)
{
    pthread_mutex_lock(&play->lock);
    if (EXPECT(play->lines_count < PLAY_LINES))
        snprintf(play->lines[play->lines_count++], PLAY_LINE_BYTES, "%s %s", what, which);
    pthread_mutex_unlock(&play->lock);
}

static inline void play_note_resource(struct play *play, const char *what, int resource)
{
    char number[16];
    snprintf(number, sizeof number, "%d", resource);
    play_note(play, what, number);
}

/* The conduct of a callback that is called now. */
static inline enum play_conduct play_conduct_of(struct play *play, enum play_callback callback)
{
    pthread_mutex_lock(&play->lock);
    if (play->conduct[callback] == PLAY_HOLDS) {
        play->held++;
        while (play->conduct[callback] == PLAY_HOLDS)
            pthread_cond_wait(&play->changed, &play->lock);
        play->held--;
    }
    enum play_conduct conduct = play->conduct[callback];
    if (conduct > PLAY_HOLDS)
        play->conduct[callback] = PLAY_WELL;
    pthread_mutex_unlock(&play->lock);
    if (conduct <= PLAY_FAILS_ONCE)
        return conduct == PLAY_FAILS_ONCE ? PLAY_FAILS : conduct;
    play_note(play, "inside", ostler_status_name(host_inside(play, conduct)));
    return PLAY_WELL;
}

/* For the program's create callback: what it shall do, and the number of the resource when it shall be well. */
static inline enum play_conduct play_create(struct play *play, int *resource)
{
    enum play_conduct conduct = play_conduct_of(play, PLAY_CREATE);
    if (conduct != PLAY_WELL) {
        play_note(play, "create", "failed");
        return conduct;
    }
    pthread_mutex_lock(&play->lock);
    *resource = play->made++;
    pthread_mutex_unlock(&play->lock);
    EXPECT(*resource < PLAY_RESOURCES);
    play_note_resource(play, "created", *resource);
    return conduct;
}

/* One user at a time: a lease or a callback. */
static inline void play_begin_use(struct play *play, int resource)
{
    pthread_mutex_lock(&play->lock);
    EXPECT_EQ(play->users[resource]++, 0);
    EXPECT_EQ(play->gone[resource], 0);
    pthread_mutex_unlock(&play->lock);
}

static inline void play_end_use(struct play *play, int resource)
{
    pthread_mutex_lock(&play->lock);
    play->users[resource]--;
    pthread_mutex_unlock(&play->lock);
}

/* For the program's other callbacks. */
static inline enum play_conduct play_callback(struct play *play, enum play_callback callback, int resource)
{
    static const char *const words[PLAY_CALLBACKS][2] = {
        {"", ""},
        {"valid", "invalid"},
        {"reset", "not reset"},
        {"retagged", "not retagged"},
        {"destroyed", "destroyed"},
    };
    play_begin_use(play, resource);
    enum play_conduct conduct = play_conduct_of(play, callback);
    play_note_resource(play, words[callback][conduct != PLAY_WELL], resource);
    play_end_use(play, resource);
    if (callback == PLAY_END) {
        pthread_mutex_lock(&play->lock);
        EXPECT_EQ(play->gone[resource]++, 0);
        pthread_mutex_unlock(&play->lock);
    }
    return conduct;
}

static inline void play_perform(struct play *play, const struct play_step *step, struct play_outcome *outcome)
{
    const int ends = step->op == PLAY_RELEASE || step->op == PLAY_DISCARD;
    const int begins = step->op <= PLAY_ACQUIRE_N;
    for (int i = 0; ends && i < step->leases_count; i++) {
        const int lease = step->leases[i];
        if (play->is_good[lease])
            play_end_use(play, play->resource_of[lease]);
        play->is_good[lease] = 0;
    }
    do
        *outcome = host_perform(play, step);
    while (step->again && outcome->status == OSTLER_E_CREATE_FAILED);
    for (int i = 0; begins && outcome->status == OSTLER_OK && i < step->leases_count; i++) {
        play_begin_use(play, outcome->resources[i]);
        play->resource_of[step->leases[i]] = outcome->resources[i];
        play->is_good[step->leases[i]] = 1;
    }
    if (step->op == PLAY_CLOSE || step->op == PLAY_DESTROY)
        play_note(play, step->op == PLAY_CLOSE ? "close" : "destroy", ostler_status_name(outcome->status));
}

struct play_part {
    struct play *play;
    struct play_actor *actor;
};

static inline void *play_act(void *argument)
{
    struct play_part part = *(struct play_part *)argument;
    struct play *play = part.play;
    free(argument);
    pthread_mutex_lock(&play->lock);
    while (1) {
        while (!part.actor->step && !play->is_over)
            pthread_cond_wait(&play->changed, &play->lock);
        if (!part.actor->step)
            break;
        const struct play_step *step = part.actor->step;
        struct play_outcome outcome;
        pthread_mutex_unlock(&play->lock);
        play_perform(play, step, &outcome);
        pthread_mutex_lock(&play->lock);
        part.actor->outcome = outcome;
        part.actor->step = NULL;
        pthread_cond_broadcast(&play->changed);
    }
    pthread_mutex_unlock(&play->lock);
    return NULL;
}

static inline void play_start(struct play *play, struct play_actor *actor, const struct play_step *step)
{
    if (!actor->is_there) {
        struct play_part *part = (struct play_part *)malloc(sizeof *part);
        part->play = play;
        part->actor = actor;
        actor->is_there = pthread_create(&actor->thread, NULL, play_act, part) == 0;
        CHECK(actor->is_there);
    }
    pthread_mutex_lock(&play->lock);
    const int is_idle = actor->step == NULL;
    actor->step = step;
    pthread_cond_broadcast(&play->changed);
    pthread_mutex_unlock(&play->lock);
    CHECK(is_idle);
}

static inline void play_join(struct play *play, struct play_actor *actor)
{
    pthread_mutex_lock(&play->lock);
    while (actor->step)
        pthread_cond_wait(&play->changed, &play->lock);
    pthread_mutex_unlock(&play->lock);
}

static inline void play_check_number(int place, const char *what, long wanted, uint64_t got)
{
    if (wanted != PLAY_ANY && (uint64_t)wanted != got)
        FAIL("step %d: %s is %llu, not %ld", place, what, (unsigned long long)got, wanted);
}

static inline void play_check(int place, const struct play_step *step, const struct play_outcome *outcome)
{
    if (outcome->status != step->gives)
        FAIL("step %d gives %s, not %s: \"%s\"", place, ostler_status_name(outcome->status),
             ostler_status_name(step->gives), outcome->words);
    if (step->says && !strstr(outcome->words, step->says))
        FAIL("step %d: \"%s\" does not say \"%s\"", place, outcome->words, step->says);
    play_check_number(place, "the resource", step->resource, (uint64_t)outcome->resources[0]);
    play_check_number(place, "still_out", step->still_out, outcome->still_out);
    play_check_number(place, "ready", step->ready, outcome->ready);
    play_check_number(place, "wanted", step->wanted, outcome->wanted);
    play_check_number(place, "trimmed", step->trimmed, outcome->trimmed);
}

/* The first number that is not as wanted, or NULL. */
static inline const struct play_number *play_differs(struct play *play, const struct play_step *step, uint64_t *got)
{
    int asks_pool = 0;
    for (int i = 0; i < step->numbers_count; i++)
        asks_pool |= step->numbers[i].offset != SIZE_MAX;
    ostler_pool_stats stats;
    memset(&stats, 0, sizeof stats);
    if (asks_pool)
        stats = host_numbers(play);
    pthread_mutex_lock(&play->lock);
    const uint64_t held = play->held;
    pthread_mutex_unlock(&play->lock);
    for (int i = 0; i < step->numbers_count; i++) {
        const struct play_number *number = &step->numbers[i];
        *got = held;
        if (number->offset != SIZE_MAX)
            memcpy(got, (const char *)&stats + number->offset, sizeof *got);
        if (*got != number->value)
            return number;
    }
    return NULL;
}

static inline void play_check_events(struct play *play, int place, const struct play_step *step)
{
    pthread_mutex_lock(&play->lock);
    const int seen = play->lines_seen, count = play->lines_count - seen;
    play->lines_seen = play->lines_count;
    pthread_mutex_unlock(&play->lock);
    for (int i = 0; i < step->events_count && i < count; i++) {
        if (strcmp(play->lines[seen + i], step->events[i]) != 0)
            FAIL("step %d: \"%s\" happened, not \"%s\"", place, play->lines[seen + i], step->events[i]);
    }
    if (count > step->events_count)
        FAIL("step %d: \"%s\" happened, and was not to", place, play->lines[seen + step->events_count]);
    if (count < step->events_count)
        FAIL("step %d: \"%s\" did not happen", place, step->events[count]);
}

static inline void play_behave(struct play *play, const enum play_conduct *conduct)
{
    pthread_mutex_lock(&play->lock);
    for (int i = 0; i < PLAY_CALLBACKS; i++) {
        if (conduct[i] != PLAY_UNCHANGED)
            play->conduct[i] = conduct[i];
    }
    pthread_cond_broadcast(&play->changed);
    pthread_mutex_unlock(&play->lock);
}

static inline void play_await_closed(struct play *play)
{
    struct play_step tries;
    struct play_step gives_back;
    memset(&tries, 0, sizeof tries);
    tries.op = PLAY_TRY_ACQUIRE;
    tries.leases[0] = PLAY_LEASES - 1;
    tries.leases_count = 1;
    gives_back = tries;
    gives_back.op = PLAY_RELEASE;
    while (1) {
        struct play_outcome outcome;
        play_perform(play, &tries, &outcome);
        if (outcome.status == OSTLER_E_CLOSED)
            return;
        if (outcome.status == OSTLER_OK)
            play_perform(play, &gives_back, &outcome);
        sched_yield();
    }
}

static inline void play_step(struct play *play, int place, const struct play_step *step)
{
    struct play_outcome outcome;
    const struct play_number *number;
    uint64_t got = 0;
    struct play_actor *actor = step->thread == PLAY_RUNNER ? NULL : &play->actors[step->thread];
    switch (step->op) {
    case PLAY_BEHAVE:
        play_behave(play, step->conduct);
        break;
    case PLAY_ENDED:
        play_join(play, actor);
        play_check(place, step, &actor->outcome);
        break;
    case PLAY_AWAIT:
        while (play_differs(play, step, &got))
            sched_yield();
        break;
    case PLAY_AWAIT_CLOSED:
        play_await_closed(play);
        break;
    case PLAY_NUMBERS:
        number = play_differs(play, step, &got);
        if (number)
            FAIL("step %d: %s is %llu, not %llu", place, number->name, (unsigned long long)got,
                 (unsigned long long)number->value);
        break;
    case PLAY_EVENTS:
        play_check_events(play, place, step);
        break;
    default:
        if (!actor) {
            play_perform(play, step, &outcome);
            play_check(place, step, &outcome);
            break;
        }
        play_start(play, actor, step);
        if (!step->starts) {
            play_join(play, actor);
            play_check(place, step, &actor->outcome);
        }
    }
}

/* A play that fails is left as it stands, for there may be threads in it. */
static inline void play(const struct play_vector *vector)
{
    struct play *play = (struct play *)calloc(1, sizeof *play);
    play->vector = vector;
    pthread_mutex_init(&play->lock, NULL);
    pthread_cond_init(&play->changed, NULL);
    for (int i = 0; i < PLAY_CALLBACKS; i++)
        play->conduct[i] = PLAY_WELL;
    play_behave(play, vector->conduct);
    struct play_outcome outcome = host_make(play);
    if (outcome.status != vector->gives)
        FAIL("the pool gives %s, not %s: \"%s\"", ostler_status_name(outcome.status), ostler_status_name(vector->gives),
             outcome.words);
    if (vector->says && !strstr(outcome.words, vector->says))
        FAIL("the pool: \"%s\" does not say \"%s\"", outcome.words, vector->says);
    for (int i = 0; i < vector->steps_count; i++)
        play_step(play, i + 1, &vector->steps[i]);

    pthread_mutex_lock(&play->lock);
    play->is_over = 1;
    pthread_cond_broadcast(&play->changed);
    pthread_mutex_unlock(&play->lock);
    for (int i = 0; i < PLAY_THREADS; i++) {
        if (play->actors[i].is_there)
            pthread_join(play->actors[i].thread, NULL);
    }
    host_end(play);
    for (int i = 0; i < play->made; i++) {
        if (play->gone[i] != 1)
            FAIL("at the end: resource %d was destroyed %d times", i, play->gone[i]);
    }
    pthread_cond_destroy(&play->changed);
    pthread_mutex_destroy(&play->lock);
    free(play);
}

static inline struct play_outcome play_outcome_of(ostler_status status, const char *words)
{
    struct play_outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    outcome.status = status;
    if (status != OSTLER_OK)
        snprintf(outcome.words, sizeof outcome.words, "%s", words);
    return outcome;
}

#endif
