#include "shim_file.h"

ostler_go_failure ostler_go_file_config_init(ostler_file_config *config)
{
    return failure(ostler_file_config_init(config, sizeof *config));
}

ostler_go_created ostler_go_file_open(const char *path, ostler_file_config *config, const ostler_page_source *source)
{
    if (config->mode == OSTLER_FILE_COPY)
        config->source = source;
    ostler_file *file = NULL;
    ostler_go_failure failed = failure(ostler_file_open(path, config, &file));
    return (ostler_go_created){failed, (uintptr_t)file};
}

ostler_go_contents ostler_go_file_get_contents(uintptr_t file)
{
    ostler_go_contents contents = {0};
    contents.failure = failure(ostler_file_get_contents((ostler_file *)file, &contents.data, &contents.bytes));
    return contents;
}

ostler_go_failure ostler_go_file_get_info(uintptr_t file, ostler_file_info *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_file_get_info((ostler_file *)file, out));
}

ostler_go_failure ostler_go_file_get_receipt(uintptr_t file, ostler_receipt *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_file_get_receipt((ostler_file *)file, out));
}

ostler_go_failure ostler_go_file_destroy(uintptr_t file)
{
    return failure(ostler_file_destroy((ostler_file *)file));
}
