#ifndef OSTLER_GO_SHIM_FILE_H
#define OSTLER_GO_SHIM_FILE_H

#include "shim.h"

typedef struct {
    ostler_go_failure failure;
    void *data;
    uint64_t bytes;
} ostler_go_contents;

ostler_go_failure ostler_go_file_config_init(ostler_file_config *config);
ostler_go_created ostler_go_file_open(const char *path, ostler_file_config *config, const ostler_page_source *source);
ostler_go_contents ostler_go_file_get_contents(uintptr_t file);
ostler_go_failure ostler_go_file_get_info(uintptr_t file, ostler_file_info *out);
ostler_go_failure ostler_go_file_get_receipt(uintptr_t file, ostler_receipt *out);
ostler_go_failure ostler_go_file_destroy(uintptr_t file);

#endif
