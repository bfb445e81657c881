/* How right a recognised text is, beside the true one. */
#ifndef OCR_TEXT_H
#define OCR_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct accuracy {
    uint64_t pages, characters, errors;
};

/* Compares a text with the true one, which lies beside the image (page.png, page.txt), and adds the result to `sum`.
 * Both are UTF-8; any white space counts as one space. False when there is no true text. */
bool text_compare(const char *image_path, const char *text, size_t bytes, struct accuracy *sum);

/* The share of characters that are right, from 0 to 1: 1 less the edit distance for each true character. */
double text_accuracy(const struct accuracy *sum);

#endif
