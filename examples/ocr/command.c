#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "report.h"

#define USAGE "ocr [--workers N] [--language LANG] [--rounds N] FOLDER"

enum { MOST_WORKERS = 256, MOST_ROUNDS = 10000 };

static uint32_t whole_number(const char *option, const char *text, uint32_t most)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 1 || number > (long)most)
        report_fatal(BAD_INPUT, "--%s is \"%s\": give a whole number from 1 to %u, for example --%s 2", option, text,
                     most, option);
    return (uint32_t)number;
}

static uint32_t processors(void)
{
    cpu_set_t allowed;
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    return (uint32_t)(count > MOST_WORKERS ? MOST_WORKERS : count);
}

struct command command_read(int argc, char **argv)
{
    static const struct option options[] = {
        {"workers", required_argument, NULL, 'w'},
        {"language", required_argument, NULL, 'l'},
        {"rounds", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct command command = {.language = "eng", .workers = processors(), .rounds = 5};

    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, ":", options, NULL)) != -1;) {
        switch (option) {
        case 'w': command.workers = whole_number("workers", optarg, MOST_WORKERS); break;
        case 'r': command.rounds = whole_number("rounds", optarg, MOST_ROUNDS); break;
        case 'l': command.language = optarg; break;
        case 'h': puts("usage: " USAGE); exit(0);
        case ':': report_fatal(BAD_INPUT, "%s wants a value: " USAGE, argv[optind - 1]);
        default:
            if (optopt)
                report_fatal(BAD_INPUT, "there is no option -%c: " USAGE, optopt);
            report_fatal(BAD_INPUT, "there is no option %s: " USAGE, argv[optind - 1]);
        }
    }
    if (*command.language == '\0')
        report_fatal(BAD_INPUT, "--language is empty: name a language of Tesseract, for example --language eng");
    if (optind != argc - 1)
        report_fatal(BAD_INPUT, "name one folder with page images, not %d: " USAGE, argc - optind);
    command.folder = argv[optind];
    return command;
}
