#define _GNU_SOURCE
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "report.h"

static const char *const endings[] = {".png", ".jpg", ".jpeg", ".tif", ".tiff",
                                      ".bmp", ".pnm", ".pgm",  ".pbm", ".webp"};

static int is_page_image(const struct dirent *entry)
{
    const char *ending = strrchr(entry->d_name, '.');
    if (!ending || entry->d_name[0] == '.')
        return 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (strcasecmp(ending, endings[i]) == 0)
            return 1;
    return 0;
}

struct folder folder_open(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_page_image, alphasort);
    if (count < 0 && errno == ENOENT)
        report_fatal(BAD_INPUT, "there is no folder \"%s\": name the one that holds the page images", path);
    if (count < 0)
        report_fatal(BAD_INPUT, "the folder \"%s\" cannot be read (%s): name the one that holds the page images", path,
                     strerror(errno));
    if (count == 0)
        report_fatal(BAD_INPUT,
                     "the folder \"%s\" holds no page image: put .png, .jpg, .tif, .bmp, .pnm or .webp files into it",
                     path);

    struct folder folder = {calloc((size_t)count, sizeof *folder.paths), (uint32_t)count};
    for (int i = 0; i < count; i++) {
        if (!folder.paths || asprintf(&folder.paths[i], "%s/%s", path, entries[i]->d_name) < 0)
            report_fatal(FAILURE, "there is no memory left for the names of %d pages", count);
        free(entries[i]);
    }
    free(entries);
    return folder;
}

void folder_close(struct folder *folder)
{
    for (uint32_t i = 0; i < folder->count; i++)
        free(folder->paths[i]);
    free(folder->paths);
}

const char *image_size(const char *path, uint64_t *bytes)
{
    struct stat about;
    *bytes = 0;
    if (stat(path, &about) != 0)
        return strerror(errno);
    if (!S_ISREG(about.st_mode))
        return "it is not a file";
    if (about.st_size == 0)
        return "it is empty";
    *bytes = (uint64_t)about.st_size;
    return NULL;
}

const char *image_read(const char *path, void *buffer, uint64_t bytes)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return strerror(errno);
    const char *trouble = NULL;
    if (fread(buffer, 1, bytes, file) != bytes)
        trouble = ferror(file) ? strerror(errno) : "it became shorter while it was read";
    fclose(file);
    return trouble;
}
