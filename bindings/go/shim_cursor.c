#include "shim_cursor.h"

ostler_go_memory ostler_go_cursor_open(uintptr_t arena)
{
    ostler_cursor *cursor = NULL;
    ostler_go_failure failed = failure(ostler_cursor_open((ostler_arena *)arena, &cursor));
    return (ostler_go_memory){failed, cursor};
}

ostler_go_memory ostler_go_cursor_alloc(ostler_cursor *cursor, uint64_t size_bytes, uint64_t align_bytes)
{
    ostler_go_memory memory = {0};
    memory.failure = failure(ostler_cursor_alloc(cursor, size_bytes, align_bytes, &memory.address));
    return memory;
}

ostler_go_marked ostler_go_cursor_mark(ostler_cursor *cursor)
{
    ostler_go_marked marked = {0};
    marked.failure = failure(ostler_cursor_mark(cursor, &marked.mark));
    return marked;
}

ostler_go_failure ostler_go_cursor_rewind(ostler_cursor *cursor, ostler_mark mark)
{
    return failure(ostler_cursor_rewind(cursor, &mark));
}

ostler_go_failure ostler_go_cursor_close(ostler_cursor *cursor)
{
    return failure(ostler_cursor_close(cursor));
}
