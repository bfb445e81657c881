/* A folder of page images. */
#ifndef OCR_FOLDER_H
#define OCR_FOLDER_H

#include <stdint.h>

struct folder {
    char **paths; /* in alphabetical order */
    uint32_t count;
};

/* Ends the program with exit code 2 when there is no such folder or no page image in it. */
struct folder folder_open(const char *path);
void folder_close(struct folder *folder);

/* How large an image file is, and its bytes. Both return NULL, or the reason why the file cannot be read. */
const char *image_size(const char *path, uint64_t *bytes);
const char *image_read(const char *path, void *buffer, uint64_t bytes);

#endif
