/* What the command line of the OCR demo asks for. */
#ifndef OCR_COMMAND_H
#define OCR_COMMAND_H

#include <stdint.h>

struct command {
    const char *folder, *language;
    uint32_t workers, rounds;
};

/* Whatever is wrong with the command line ends the program: one sentence, exit code 2. */
struct command command_read(int argc, char **argv);

#endif
