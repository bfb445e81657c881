/* An engine of Tesseract: takes long to load, serves one thread at a time, and is as good as new after each page. */
#ifndef OCR_ENGINE_H
#define OCR_ENGINE_H

#include <stdint.h>
#include <tesseract/capi.h>

/* Tesseract would start threads of its own in every worker, and all of them would fight for the same processors. Starts
 * the program anew with OMP_THREAD_LIMIT=1, unless the variable is set already. */
void engine_keep_to_one_thread(char **argv);

/* Ends the program with exit code 2 when one of the languages ("eng", "eng+deu") has no data. */
void engine_require_languages(const char *languages);

/* NULL when it does not load. */
TessBaseAPI *engine_create(const char *languages);

/* Writes the text of an encoded image. Returns NULL, or the reason why there is none. */
const char *engine_read(TessBaseAPI *engine, const void *image, uint64_t image_bytes, char *text,
                        uint64_t capacity_bytes, uint64_t *text_bytes);

void engine_destroy(TessBaseAPI *engine);

#endif
