/* How tests in C and C++ are written: TEST(name) { CHECK(...); }, and CHECK_MAIN() once in each program.
 *
 * A failing CHECK ends its test, so it belongs on the test's own thread and outside callbacks of the library. Everywhere
 * else use EXPECT: it notes the failure and goes on. Each test prints one line: `ok NAME`, `not ok NAME: FILE:LINE: why`
 * or `skip NAME: reason`. The program's first argument selects the tests whose names contain it; CHECK_SECONDS in the
 * environment is how long one test may take. */
#ifndef OSTLER_TESTS_CHECK_H
#define OSTLER_TESTS_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __cplusplus
#include <exception>
#include <type_traits>
#endif

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CHECK_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CHECK_SANITIZED 1
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

enum check_outcome { CHECK_PASSED, CHECK_FAILED, CHECK_SKIPPED };

struct check_test {
    const char *name;
    void (*body)(void);
    struct check_test *next;
};

struct check_run {
    struct check_test *first, *last, *current;
    pthread_t thread;
    pthread_mutex_t lock;
    enum check_outcome outcome;
    char why[1024];
    jmp_buf over;
};

extern struct check_run check_run; /* defined by CHECK_MAIN */

#ifdef __cplusplus
}
struct check_over {};
#endif

static inline void check_register(struct check_test *test)
{
    if (check_run.last)
        check_run.last->next = test;
    else
        check_run.first = test;
    check_run.last = test;
}

/* Notes the first thing worth telling about the current test; a failure outranks a skip. */
__attribute__((format(printf, 2, 3))) static inline void check_note(enum check_outcome outcome, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    pthread_mutex_lock(&check_run.lock);
    if (check_run.outcome == CHECK_PASSED || (check_run.outcome == CHECK_SKIPPED && outcome == CHECK_FAILED)) {
        check_run.outcome = outcome;
        vsnprintf(check_run.why, sizeof check_run.why, format, arguments);
    }
    pthread_mutex_unlock(&check_run.lock);
    va_end(arguments);
}

/* Leaves the test, if this is the thread that runs it. */
static inline void check_leave(void)
{
    if (!pthread_equal(pthread_self(), check_run.thread))
        return;
#ifdef __cplusplus
    throw check_over();
#else
    longjmp(check_run.over, 1);
#endif
}

static inline int check_that(int holds, const char *file, int line, const char *what)
{
    if (!holds)
        check_note(CHECK_FAILED, "%s:%d: %s does not hold", file, line, what);
    return holds;
}

static inline int check_same(const char *file, int line, const char *what, long long got, const char *wanted_text,
                             long long wanted)
{
    if (got != wanted)
        check_note(CHECK_FAILED, "%s:%d: %s is %lld (0x%llx), not %s, which is %lld (0x%llx)", file, line, what, got,
                   (unsigned long long)got, wanted_text, wanted, (unsigned long long)wanted);
    return got == wanted;
}

/* The two functions come as arguments so that tests which do not use the library need not link it. */
static inline int check_status(const char *file, int line, const char *what, int32_t got, int32_t wanted,
                               const char *(*name)(int32_t), const char *(*message)(void))
{
    if (got != wanted)
        check_note(CHECK_FAILED, "%s:%d: %s is %s (%d), not %s; the last message is \"%s\"", file, line, what, name(got),
                   (int)got, name(wanted), message());
    return got == wanted;
}

static inline int check_contains(const char *file, int line, const char *what, const char *text, const char *part)
{
    int holds = text && part && strstr(text, part);
    if (!holds)
        check_note(CHECK_FAILED, "%s:%d: %s is \"%s\" and does not contain \"%s\"", file, line, what,
                   text ? text : "(null)", part ? part : "(null)");
    return holds;
}

static inline int check_text(const char *file, int line, const char *what, const char *text, const char *wanted)
{
    int holds = text && wanted && strcmp(text, wanted) == 0;
    if (!holds)
        check_note(CHECK_FAILED, "%s:%d: %s is \"%s\", not \"%s\"", file, line, what, text ? text : "(null)",
                   wanted ? wanted : "(null)");
    return holds;
}

#ifdef __cplusplus
/* Whole numbers, enumerators and pointers are compared as numbers, whatever their signs; all else by its own ==. */
template <class Got, class Wanted>
inline bool check_equal(const char *file, int line, const char *what, const Got &got, const char *wanted_text,
                        const Wanted &wanted)
{
    constexpr bool numbers = (std::is_integral_v<Got> || std::is_enum_v<Got>) &&
                             (std::is_integral_v<Wanted> || std::is_enum_v<Wanted>);
    if constexpr (numbers) {
        return check_same(file, line, what, static_cast<long long>(got), wanted_text, static_cast<long long>(wanted)) != 0;
    } else if constexpr (std::is_pointer_v<Got> && std::is_integral_v<Wanted>) {
        return check_equal(file, line, what, reinterpret_cast<uintptr_t>(got), wanted_text, wanted); /* NULL is a number */
    } else {
        const bool holds = got == wanted;
        if (!holds)
            check_note(CHECK_FAILED, "%s:%d: %s is not equal to %s", file, line, what, wanted_text);
        return holds;
    }
}
#define CHECK_EQUAL_(got, wanted) check_equal(__FILE__, __LINE__, #got, (got), #wanted, (wanted))
#else
/* Whole numbers and pointers; fractions would be cut, so they do not compile. */
#define CHECK_WHOLE_(value) _Generic((value), float: (struct check_run *)0, double: (struct check_run *)0, default: 0LL)
#define CHECK_EQUAL_(got, wanted)                                                                                      \
    check_same(__FILE__, __LINE__, #got, (long long)(got) + CHECK_WHOLE_(got), #wanted,                                \
               (long long)(wanted) + CHECK_WHOLE_(wanted))
#endif

#define CHECK_STOP_UNLESS_(holds)                                                                                      \
    do {                                                                                                               \
        if (!(holds))                                                                                                  \
            check_leave();                                                                                             \
    } while (0)

#define CHECK(condition) CHECK_STOP_UNLESS_(EXPECT(condition))
#define CHECK_EQ(got, wanted) CHECK_STOP_UNLESS_(EXPECT_EQ(got, wanted))
#define CHECK_STATUS(call, wanted) CHECK_STOP_UNLESS_(EXPECT_STATUS(call, wanted))
#define CHECK_STR_CONTAINS(text, part) CHECK_STOP_UNLESS_(EXPECT_STR_CONTAINS(text, part))
#define CHECK_STR_EQ(text, wanted) CHECK_STOP_UNLESS_(EXPECT_STR_EQ(text, wanted))

/* The same without leaving: for callbacks and other threads. Each is an expression that says whether it held. */
#define EXPECT(condition) check_that(!!(condition), __FILE__, __LINE__, #condition)
#define EXPECT_EQ(got, wanted) CHECK_EQUAL_(got, wanted)
#define EXPECT_STATUS(call, wanted)                                                                                    \
    check_status(__FILE__, __LINE__, #call, (call), (wanted), ostler_status_name, ostler_last_error_message)
#define EXPECT_STR_CONTAINS(text, part) check_contains(__FILE__, __LINE__, #text, (text), (part))
#define EXPECT_STR_EQ(text, wanted) check_text(__FILE__, __LINE__, #text, (text), (wanted))

#define FAIL(...)                                                                                                      \
    do {                                                                                                               \
        check_note(CHECK_FAILED, __VA_ARGS__);                                                                         \
        check_leave();                                                                                                 \
    } while (0)

#define SKIP(...)                                                                                                      \
    do {                                                                                                               \
        check_note(CHECK_SKIPPED, __VA_ARGS__);                                                                        \
        check_leave();                                                                                                 \
    } while (0)

#define TEST(name)                                                                                                     \
    static void test_##name(void);                                                                                     \
    __attribute__((constructor)) static void register_##name(void)                                                     \
    {                                                                                                                  \
        static struct check_test test = {#name, test_##name, NULL};                                                    \
        check_register(&test);                                                                                         \
    }                                                                                                                  \
    static void test_##name(void)

static inline void check_say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(1);
}

/* A test that hangs or crashes still gets its line, with nothing but what a signal handler may use. */
static inline void check_died(int signal_number)
{
    char text[] = "signal 00\n";
    text[7] = (char)('0' + signal_number / 10);
    text[8] = (char)('0' + signal_number % 10);
    check_say("not ok ");
    check_say(check_run.current ? check_run.current->name : "(between tests)");
    check_say(signal_number == SIGALRM ? ": still running after its time was up\n" : ": died of ");
    if (signal_number == SIGALRM)
        _exit(1);
    check_say(text);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static inline void check_run_body(struct check_test *test)
{
#ifdef __cplusplus
    try {
        test->body();
    } catch (const check_over &) {
    } catch (const std::exception &exception) {
        check_note(CHECK_FAILED, "exception: %s", exception.what());
    } catch (...) {
        check_note(CHECK_FAILED, "exception of an unknown type");
    }
#else
    if (setjmp(check_run.over) == 0)
        test->body();
#endif
}

static inline int check_main(int argc, char **argv)
{
    const char *seconds = getenv("CHECK_SECONDS");
    struct check_test *test;
    int run = 0, failed = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    check_run.thread = pthread_self();
    pthread_mutex_init(&check_run.lock, NULL);
    signal(SIGALRM, check_died);
    signal(SIGABRT, check_died);
#ifndef CHECK_SANITIZED
    signal(SIGSEGV, check_died);
    signal(SIGBUS, check_died);
    signal(SIGFPE, check_died);
    signal(SIGILL, check_died);
#endif
    for (test = check_run.first; test; test = test->next) {
        if (argc > 1 && !strstr(test->name, argv[1]))
            continue;
        run++;
        check_run.current = test;
        check_run.outcome = CHECK_PASSED;
        alarm(seconds ? (unsigned)atoi(seconds) : 600);
        check_run_body(test);
        alarm(0);
        check_run.current = NULL;
        if (check_run.outcome == CHECK_PASSED) {
            printf("ok %s\n", test->name);
        } else if (check_run.outcome == CHECK_SKIPPED) {
            printf("skip %s: %s\n", test->name, check_run.why);
        } else {
            printf("not ok %s: %s\n", test->name, check_run.why);
            failed = 1;
        }
    }
    if (run == 0) {
        printf("not ok %s: no test has \"%s\" in its name\n", argv[0], argc > 1 ? argv[1] : "");
        failed = 1;
    }
    return failed;
}

#define CHECK_MAIN()                                                                                                   \
    struct check_run check_run;                                                                                        \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return check_main(argc, argv);                                                                                 \
    }

#endif
