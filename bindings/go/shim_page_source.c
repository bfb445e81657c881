#include "shim_page_source.h"

ostler_go_failure ostler_go_page_source_advise(const ostler_page_source *source, uint64_t size_bytes, ostler_advice *out)
{
    out->struct_size = sizeof *out;
    return failure(ostler_page_source_advise(source, size_bytes, out));
}

ostler_go_printed ostler_go_page_source_print_advice(const ostler_page_source *source, uint64_t size_bytes, char *buffer,
                                                     uint64_t buffer_bytes)
{
    ostler_go_printed printed = {0};
    printed.failure = failure(
        ostler_page_source_print_advice(source, size_bytes, buffer, buffer_bytes, &printed.needed_bytes));
    return printed;
}
