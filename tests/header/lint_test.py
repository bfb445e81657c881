#!/usr/bin/env python3
"""Shows that the lint finds what it is for: takes one thing at a time out of a good header, or puts one in."""

import sys

from lint import faults

GOOD = """\
#ifndef EXAMPLE_H
#define EXAMPLE_H
/*
 *   Thread-safe   from any thread at any time.
 *   Exclusive     by one thread at a time.
 *   Thread-bound  only on the thread that made the object.
 */
#define OSTLER_OK 0
#define OSTLER_E_TIMEOUT -4
#ifdef __cplusplus
extern "C" {
#endif
typedef int32_t ostler_status;
typedef void (*ostler_done)(void *user_data, int32_t status);
struct ostler_pair { int32_t (*first)(int32_t value); int32_t second; };

/**
 * Waits for the kettle; with a colon: this line is still about the purpose.
 *
 * Parameters:
 * - kettle: borrowed
 * - timeout_ns: nanoseconds; 0 does not wait,
 *   OSTLER_FOREVER waits without bound
 * - done: borrowed for the call
 * - user_data: given to done as it is
 * - heat: written only on success
 *
 * Returns: OSTLER_OK, OSTLER_E_TIMEOUT
 * Thread-safety: Thread-safe
 * NULL: done may be NULL
 * Blocking: up to timeout_ns
 * Since: 0.1
 */
OSTLER_NODISCARD
ostler_status ostler_kettle_wait(const struct ostler_kettle *kettle, uint64_t timeout_ns,
                                 int32_t (*done)(void *user_data, int32_t heat), void *user_data, int32_t *heat);

/**
 * Says how many kettles there are.
 *
 * Returns: the count
 * Thread-safety: Exclusive, as nobody may boil meanwhile
 * NULL: takes no pointer
 * Blocking: never
 * Since: 0.1
 */
uint32_t ostler_kettle_count(void);
#ifdef __cplusplus
}
#endif
#endif
"""

WAIT, COUNT = "ostler_kettle_wait: ", "ostler_kettle_count: "

# What is replaced, by what, and the one fault that the lint then names.
CASES = {
    "purpose": (" * Says how many kettles there are.\n", "", COUNT + "no paragraph that says what it is for"),
    "parameters": (" * Parameters:\n", "", WAIT + 'no line "Parameters:"'),
    "one parameter": (" * - done: borrowed for the call\n", "", WAIT + 'no line "- done: ..." under "Parameters:"'),
    "empty parameter": ("- kettle: borrowed", "- kettle:", WAIT + 'no line "- kettle: ..." under "Parameters:"'),
    "strange parameter": (" * - heat:", " * - cold: of nothing\n * - heat:", WAIT + '"- cold:" describes no parameter of it'),
    "ownership": ("- kettle: borrowed", "- kettle: of copper", WAIT + '"- kettle:" does not say whether it is borrowed, owned or written'),
    "needless parameters": (" * Returns: the count", " * Parameters:\n * - x: y\n * Returns: the count", COUNT + 'it has "Parameters:" and takes none'),
    "returns": (" * Returns: the count\n", "", COUNT + 'no line "Returns:"'),
    "returns OK": ("OSTLER_OK, OSTLER_E_T", "OSTLER_E_T", WAIT + '"Returns:" does not name OSTLER_OK'),
    "known status": ("OSTLER_OK, OSTLER_E_TIMEOUT", "OSTLER_OK, OSTLER_E_TIME", WAIT + '"Returns:" names OSTLER_E_TIME, which the header does not define'),
    "thread-safety": (" * Thread-safety: Thread-safe\n", "", WAIT + 'no line "Thread-safety:"'),
    "three words": ("safety: Exclusive,", "safety: Serial,", COUNT + '"Thread-safety:" begins with none of the words Thread-safe, Exclusive, Thread-bound'),
    "NULL": (" * NULL: takes no pointer\n", "", COUNT + 'no line "NULL:"'),
    "blocking": (" * Blocking: never\n", "", COUNT + 'no line "Blocking:"'),
    "empty blocking": (" * Blocking: never\n", " * Blocking:\n", COUNT + 'nothing after "Blocking:"'),
    "since": (" * Blocking: never\n * Since: 0.1\n", " * Blocking: never\n", COUNT + 'no line "Since:"'),
    "version": (" * Blocking: never\n * Since: 0.1\n", " * Blocking: never\n * Since: today\n", COUNT + '"Since:" is not a version such as 0.1'),
    "order": (" * NULL: takes no pointer\n * Blocking: never\n", " * Blocking: never\n * NULL: takes no pointer\n", COUNT + "the lines stand in the order Returns, Thread-safety, Blocking, NULL, Since and not Returns, Thread-safety, NULL, Blocking, Since"),
    "twice": (" * Blocking: never\n", " * Blocking: never\n * Blocking: never\n", COUNT + '"Blocking:" stands there 2 times'),
    "no block": (GOOD[GOOD.index("/**\n * Says") : GOOD.index("uint32_t ostler_kettle_count")], "", COUNT + "no comment block directly before it"),
    "plain comment": ("/**\n * Says", "/*\n * Says", COUNT + "no comment block directly before it"),
    "undefined word": (" *   Thread-bound  only on", " *   Only on", 'the word "Thread-bound" is not defined (a line "Thread-bound  ..." at the top of the header)'),
    "word defined twice": (" *   Exclusive     by", " *   Exclusive  so.\n *   Exclusive     by", 'the word "Exclusive" is defined 2 times'),
    "no function": (GOOD[GOOD.index("/**") : GOOD.rindex("#ifdef")], "", "the header declares no function"),
}


def main():
    failures = 0

    def report(name, wanted, found):
        nonlocal failures
        if wanted == found:
            print(f"ok lint/{name}")
        else:
            failures += 1
            print(f"not ok lint/{name}: wanted {wanted}, found {found}")

    report("a good header has no fault", [], list(faults(GOOD)))
    for name, (old, new, fault) in CASES.items():
        assert GOOD.count(old) == 1, f"{name}: {old!r} does not stand in the good header once"
        report(f"finds {name}", [fault], list(faults(GOOD.replace(old, new))))
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
