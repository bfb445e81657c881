/* What the OCR demo says while it works and when it is done. */
#ifndef OCR_REPORT_H
#define OCR_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

enum { FAILURE = 1, BAD_INPUT = 2 }; /* exit codes */

/* How much a request is in a hurry. */
struct urgency {
    const char *name;
    uint32_t priority;
    uint64_t deadline_ns;
};

/* A request that was completed. */
struct sample {
    uint32_t urgency; /* its place in the list of urgencies */
    uint64_t waited_ns, ran_ns;
};

/* One way of reading the pages: a column of the table. */
struct column {
    const char *title;
    uint64_t requests, answered, completed, engines, elapsed_ns;
    double reuse_rate;
    struct sample *samples; /* of the completed requests */
};

/* Tesseract, Leptonica and the image libraries below them write to standard error whatever they think. After this call
 * only the functions here are heard, and what matters they say with the name of the page. */
void report_silence_libraries(void);

/* "ocr: ..." on standard error. */
__attribute__((format(printf, 1, 2))) void report_trouble(const char *format, ...);

/* The same, and the end of the program. */
__attribute__((format(printf, 2, 3))) _Noreturn void report_fatal(int exit_code, const char *format, ...);

/* A bar that moves, where standard error is a terminal; elsewhere one line at the end. */
void report_progress(const char *title, uint64_t done, uint64_t total);

/* Nanoseconds of a clock that nobody turns back. */
uint64_t report_clock_ns(void);

/* Both sort the samples as they need them. */
void report_columns(struct column *cold, struct column *warm);
void report_waiting(struct column *column, const struct urgency *urgencies, uint32_t count);

/* Where `resident` bytes are at a moment: how many in huge pages, and how many on another node than asked for. */
void report_coverage(const char *moment, uint64_t resident, uint64_t huge, uint64_t remote);

/* How many pages were read and how well. True when that is all of them, and well enough. */
bool report_verdict(uint64_t pages, uint64_t failed, const struct accuracy *accuracy, double least);

#endif
