#define _POSIX_C_SOURCE 200809L
#include "report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static FILE *voice;

static FILE *errors(void) { return voice ? voice : stderr; }

void report_silence_libraries(void)
{
    int copy = dup(STDERR_FILENO);
    voice = copy < 0 ? NULL : fdopen(copy, "w");
    if (voice && !freopen("/dev/null", "w", stderr))
        report_fatal(FAILURE, "standard error cannot be pointed to /dev/null");
}

static void say(const char *format, va_list arguments)
{
    fflush(stdout);
    fputs("ocr: ", errors());
    vfprintf(errors(), format, arguments);
    fputc('\n', errors());
    fflush(errors());
}

void report_trouble(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
}

void report_fatal(int exit_code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    exit(exit_code);
}

uint64_t report_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

void report_progress(const char *title, uint64_t done, uint64_t total)
{
    static const char full[] = "########################################";
    const int width = (int)sizeof full - 1;
    int filled = (int)(done * (uint64_t)width / total);

    if (isatty(fileno(errors())))
        fprintf(errors(), "\r%-16s [%.*s%*s] %" PRIu64 "/%" PRIu64 "%s", title, filled, full, width - filled, "", done,
                total, done == total ? "\n" : "");
    else if (done == total)
        fprintf(errors(), "%s: %" PRIu64 " requests done\n", title, total);
    fflush(errors());
}

static int by_run_time(const void *left, const void *right)
{
    const struct sample *a = left, *b = right;
    return (a->ran_ns > b->ran_ns) - (a->ran_ns < b->ran_ns);
}

static int by_urgency_and_wait(const void *left, const void *right)
{
    const struct sample *a = left, *b = right;
    if (a->urgency != b->urgency)
        return a->urgency < b->urgency ? -1 : 1;
    return (a->waited_ns > b->waited_ns) - (a->waited_ns < b->waited_ns);
}

/* The smallest sample that at least `percent` of the sorted ones do not exceed. */
static const struct sample *percentile(const struct sample *sorted, uint64_t count, uint64_t percent)
{
    static const struct sample none = {0};
    return count == 0 ? &none : &sorted[(count * percent + 99) / 100 - 1];
}

static double milliseconds(uint64_t ns) { return (double)ns / 1e6; }

static double per_second(const struct column *column)
{
    return column->elapsed_ns == 0 ? 0 : (double)column->completed * 1e9 / (double)column->elapsed_ns;
}

static double run_time(const struct column *column, uint64_t percent)
{
    return milliseconds(percentile(column->samples, column->completed, percent)->ran_ns);
}

static void row(const char *name, const char *unit, int decimals, double cold, double warm)
{
    printf("%-20s %16.*f%-3s %16.*f%s\n", name, decimals, cold, unit, decimals, warm, unit);
}

void report_columns(struct column *cold, struct column *warm)
{
    qsort(cold->samples, cold->completed, sizeof *cold->samples, by_run_time);
    qsort(warm->samples, warm->completed, sizeof *warm->samples, by_run_time);

    printf("\n%-20s %16s    %16s\n", "", cold->title, warm->title);
    row("requests", "", 0, (double)cold->requests, (double)warm->requests);
    row("engines loaded", "", 0, (double)cold->engines, (double)warm->engines);
    row("reuse rate", " %", 1, 100 * cold->reuse_rate, 100 * warm->reuse_rate);
    row("requests/s", "", 2, per_second(cold), per_second(warm));
    row("p50 on a worker", " ms", 1, run_time(cold, 50), run_time(warm, 50));
    row("p99 on a worker", " ms", 1, run_time(cold, 99), run_time(warm, 99));
}

void report_waiting(struct column *column, const struct urgency *urgencies, uint32_t count)
{
    qsort(column->samples, column->completed, sizeof *column->samples, by_urgency_and_wait);

    printf("\n%-20s %16s    %16s    %10s\n", column->title, "p50 of waiting", "p99 of waiting", "deadline");
    const struct sample *first = column->samples, *end = first + column->completed;
    for (uint32_t urgency = 0; urgency < count; urgency++) {
        const struct sample *last = first;
        while (last < end && last->urgency == urgency)
            last++;
        uint64_t found = (uint64_t)(last - first);
        if (found > 0)
            printf("%-20s %16.1f ms %16.1f ms %10.1f s\n", urgencies[urgency].name,
                   milliseconds(percentile(first, found, 50)->waited_ns),
                   milliseconds(percentile(first, found, 99)->waited_ns),
                   milliseconds(urgencies[urgency].deadline_ns) / 1e3);
        first = last;
    }
}

void report_coverage(const char *moment, uint64_t resident, uint64_t huge, uint64_t remote)
{
    printf("%-20s %5.1f %% of %" PRIu64 " KiB in huge pages, %" PRIu64 " KiB on another node\n", moment,
           resident == 0 ? 0 : 100 * (double)huge / (double)resident, resident / 1024, remote / 1024);
}

bool report_verdict(uint64_t pages, uint64_t failed, const struct accuracy *accuracy, double least)
{
    printf("\n%" PRIu64 " of %" PRIu64 " pages were read", pages - failed, pages);
    if (accuracy->characters == 0) {
        printf("; how well is not known, no true text lies beside them\n");
        return failed == 0;
    }
    double reached = text_accuracy(accuracy);
    printf("; %.2f %% of the %" PRIu64 " characters with a true text to compare are right (at least %.0f %% must be)\n",
           100 * reached, accuracy->characters, 100 * least);
    if (reached < least)
        report_trouble("too many characters are wrong: %" PRIu64 " of %" PRIu64, accuracy->errors,
                       accuracy->characters);
    return failed == 0 && reached >= least;
}
