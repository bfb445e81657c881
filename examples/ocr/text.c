#define _POSIX_C_SOURCE 200809L
#include "text.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static void *must(void *memory)
{
    if (!memory)
        report_fatal(FAILURE, "there is no memory left for comparing texts");
    return memory;
}

struct characters {
    uint32_t *all;
    size_t count;
};

/* The bytes of each UTF-8 character packed into one number, which is all that comparing needs. */
static struct characters unpack(const char *text, size_t bytes)
{
    struct characters found = {must(malloc((bytes + 1) * sizeof *found.all)), 0};
    bool gap = false;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (isspace(byte)) {
            gap = found.count > 0;
        } else if ((byte & 0xC0) == 0x80 && found.count > 0) {
            found.all[found.count - 1] = found.all[found.count - 1] << 8 | byte;
        } else {
            if (gap)
                found.all[found.count++] = ' ';
            gap = false;
            found.all[found.count++] = byte;
        }
    }
    return found;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* How many characters must be put in, taken out or exchanged to turn one text into the other (Levenshtein). */
static size_t edit_distance(struct characters one, struct characters other)
{
    size_t *row = must(malloc((other.count + 1) * sizeof *row));
    for (size_t j = 0; j <= other.count; j++)
        row[j] = j;
    for (size_t i = 0; i < one.count; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < other.count; j++) {
            size_t exchanged = diagonal + (one.all[i] != other.all[j]);
            diagonal = row[j + 1];
            row[j + 1] = least(exchanged, least(row[j], diagonal) + 1);
        }
    }
    size_t distance = row[other.count];
    free(row);
    return distance;
}

/* The whole file, or NULL when there is none. */
static char *read_text(const char *path, size_t *bytes)
{
    FILE *file = fopen(path, "r");
    if (!file && errno == ENOENT)
        return NULL;
    size_t capacity = 4096;
    char *text = must(malloc(capacity));
    *bytes = 0;
    while (file && (*bytes += fread(text + *bytes, 1, capacity - *bytes, file)) == capacity)
        text = must(realloc(text, capacity *= 2));
    if (!file || ferror(file))
        report_fatal(BAD_INPUT, "the true text \"%s\" cannot be read (%s): make it readable, or take it away", path,
                     strerror(errno));
    fclose(file);
    return text;
}

bool text_compare(const char *image_path, const char *text, size_t bytes, struct accuracy *sum)
{
    int stem = (int)(strrchr(image_path, '.') - image_path);
    char *path = must(malloc((size_t)stem + sizeof ".txt"));
    sprintf(path, "%.*s.txt", stem, image_path);
    size_t truth_bytes;
    char *truth = read_text(path, &truth_bytes);
    free(path);
    if (!truth)
        return false;

    struct characters wanted = unpack(truth, truth_bytes), found = unpack(text, bytes);
    sum->pages++;
    sum->characters += wanted.count;
    sum->errors += edit_distance(wanted, found);
    free(wanted.all);
    free(found.all);
    free(truth);
    return true;
}

double text_accuracy(const struct accuracy *sum)
{
    return sum->characters == 0 ? 0 : 1 - (double)sum->errors / (double)sum->characters;
}
