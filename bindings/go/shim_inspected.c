#include "shim_inspected.h"

#define CALL(call, ...)                                                                                                \
    switch (noun) {                                                                                                    \
    case OSTLER_GO_ARENA:                                                                                              \
        return failure(ostler_arena_##call((ostler_arena *)object, __VA_ARGS__));                                      \
    case OSTLER_GO_HEAP:                                                                                               \
        return failure(ostler_heap_##call((ostler_heap *)object, __VA_ARGS__));                                        \
    case OSTLER_GO_SLAB:                                                                                               \
        return failure(ostler_slab_##call((ostler_slab *)object, __VA_ARGS__));                                        \
    case OSTLER_GO_BUFFERS:                                                                                            \
        return failure(ostler_buffers_##call((ostler_buffers *)object, __VA_ARGS__));                                  \
    }                                                                                                                  \
    return (ostler_go_failure){OSTLER_E_INVALID_HANDLE, NULL}

ostler_go_failure ostler_go_get_receipt(ostler_go_noun noun, uintptr_t object, uint64_t chunk, ostler_receipt *out)
{
    out->struct_size = sizeof *out;
    CALL(get_receipt, chunk, out);
}

static ostler_go_failure print_receipts(ostler_go_noun noun, uintptr_t object, char *buffer, uint64_t buffer_bytes,
                                        uint64_t *needed_bytes)
{
    CALL(print_receipts, buffer, buffer_bytes, needed_bytes);
}

ostler_go_printed ostler_go_print_receipts(ostler_go_noun noun, uintptr_t object, char *buffer, uint64_t buffer_bytes)
{
    ostler_go_printed printed = {0};
    printed.failure = print_receipts(noun, object, buffer, buffer_bytes, &printed.needed_bytes);
    return printed;
}

ostler_go_failure ostler_go_get_coverage(ostler_go_noun noun, uintptr_t object, ostler_coverage *out)
{
    out->struct_size = sizeof *out;
    CALL(get_coverage, out);
}

ostler_go_failure ostler_go_repair(ostler_go_noun noun, uintptr_t object, ostler_repair *out)
{
    out->struct_size = sizeof *out;
    CALL(repair, out);
}
