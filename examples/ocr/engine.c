#define _POSIX_C_SOURCE 200809L
#include "engine.h"

#include <leptonica/allheaders.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

/* OpenMP reads its environment before main begins, so setting a variable here is too late for this process. */
void engine_keep_to_one_thread(char **argv)
{
    if (getenv("OMP_THREAD_LIMIT"))
        return;
    if (setenv("OMP_THREAD_LIMIT", "1", 1) == 0)
        execv("/proc/self/exe", argv);
    /* Still here: all works, only slower. */
}

/* Tesseract itself is content when one of several languages loads. */
void engine_require_languages(const char *languages)
{
    char *names = strdup(languages), *rest = NULL;
    if (!names)
        report_fatal(FAILURE, "there is no memory left");
    for (char *name = strtok_r(names, "+", &rest); name; name = strtok_r(NULL, "+", &rest)) {
        TessBaseAPI *engine = engine_create(name);
        if (!engine)
            report_fatal(BAD_INPUT,
                         "Tesseract has no data for the language \"%s\": install it (apt-cache search tesseract-ocr "
                         "lists Debian's packages), or set TESSDATA_PREFIX to the folder that holds %s.traineddata",
                         name, name);
        engine_destroy(engine);
    }
    free(names);
}

TessBaseAPI *engine_create(const char *languages)
{
    TessBaseAPI *engine = TessBaseAPICreate();
    if (TessBaseAPIInit3(engine, NULL, languages) == 0)
        return engine;
    engine_destroy(engine);
    return NULL;
}

const char *engine_read(TessBaseAPI *engine, const void *image, uint64_t image_bytes, char *text,
                        uint64_t capacity_bytes, uint64_t *text_bytes)
{
    PIX *picture = pixReadMem(image, image_bytes);
    if (!picture)
        return "it is no image, or a damaged one";

    TessBaseAPISetImage2(engine, picture);
    char *found = TessBaseAPIGetUTF8Text(engine);
    size_t found_bytes = found ? strlen(found) : 0;
    const char *trouble = NULL;
    if (!found) {
        trouble = "Tesseract cannot make text of it";
    } else if (found_bytes > capacity_bytes) {
        trouble = "it holds more text than a page can";
    } else {
        memcpy(text, found, found_bytes);
        *text_bytes = found_bytes;
    }
    TessDeleteText(found);
    TessBaseAPIClear(engine);
    pixDestroy(&picture);
    return trouble;
}

void engine_destroy(TessBaseAPI *engine) { TessBaseAPIDelete(engine); }
