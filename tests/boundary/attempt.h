/* One call with its arguments, and the judgement of its answer. */
#ifndef OSTLER_TESTS_ATTEMPT_H
#define OSTLER_TESTS_ATTEMPT_H

#include "boundary.h"

/* Any status that the function's comment lists. No status is positive. */
#define WHAT_IT_SAYS 1

/* No one argument is to blame. */
#define NOBODY MOST_PARAMETERS

/* What arguments point to lies in blocks of exactly the size that they claim, so that valgrind sees every byte read or
 * written beyond. */
struct attempt {
    const struct function *function;
    struct world world;
    union argument arguments[MOST_PARAMETERS];
    unsigned char *blocks[MOST_PARAMETERS];
    size_t block_bytes[MOST_PARAMETERS];
    ostler_status status;
    char what[160];
};

/* Makes a world with what the function needs, and every argument valid. */
void begin(struct attempt *attempt, const struct function *function);

/* Calls, and judges the answer. `culprit` is the argument to blame, `what` says what is wrong with it. */
__attribute__((format(printf, 4, 5))) void expect(struct attempt *attempt, size_t culprit, ostler_status wanted,
                                                  const char *what, ...);

/* Gives back what the call has handed out, if it did, and ends the world. */
void finish(struct attempt *attempt);

__attribute__((format(printf, 2, 3))) void complain(const struct attempt *attempt, const char *format, ...);

/* A new block for an argument, in place of the one it had. */
void *block(struct attempt *attempt, size_t index, size_t bytes, int value);

/* The parameter of that name, or NOBODY. */
size_t find(const struct function *function, const char *name);
size_t find_size_of(const struct function *function, const char *buffer);

bool is_zero(const unsigned char *bytes, size_t count);

#endif
