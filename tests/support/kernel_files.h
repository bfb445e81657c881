/* Files of the kernel that hold one number. */
#ifndef OSTLER_TESTS_KERNEL_FILES_H
#define OSTLER_TESTS_KERNEL_FILES_H

#include <stdio.h>

/* A number in a file of the kernel, -1 when it cannot be read. */
static inline long long read_number(const char *path)
{
    long long number = -1;
    FILE *file = fopen(path, "r");
    if (file && fscanf(file, "%lld", &number) != 1)
        number = -1;
    if (file)
        fclose(file);
    return number;
}

#endif
