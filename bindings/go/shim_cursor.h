#ifndef OSTLER_GO_SHIM_CURSOR_H
#define OSTLER_GO_SHIM_CURSOR_H

#include "shim.h"

typedef struct ostler_go_marked {
    ostler_go_failure failure;
    ostler_mark mark;
} ostler_go_marked;

ostler_go_memory ostler_go_cursor_open(uintptr_t arena);
ostler_go_memory ostler_go_cursor_alloc(ostler_cursor *cursor, uint64_t size_bytes, uint64_t align_bytes);
ostler_go_marked ostler_go_cursor_mark(ostler_cursor *cursor);
ostler_go_failure ostler_go_cursor_rewind(ostler_cursor *cursor, ostler_mark mark);
ostler_go_failure ostler_go_cursor_close(ostler_cursor *cursor);

#endif
