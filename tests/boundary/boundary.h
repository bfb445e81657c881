/* The vocabulary of the boundary test: what generate.py writes about each function, and what attacks it. */
#ifndef OSTLER_TESTS_BOUNDARY_H
#define OSTLER_TESTS_BOUNDARY_H

#include "check.h"
#include <ostler.h>
#include <stdbool.h>

/* Elements of each array that is passed, and bytes of each buffer. The latter is also the largest size that a struct may
 * claim, so that an honest struct of any size fits. */
#define ITEMS 2
#define ROOM_BYTES 4096
#define KEY_BYTES 255
/* A descriptor that nothing else has. */
#define SEGMENT_FD 200

enum kind {
    NOTHING,
    CANCEL,
    TOPOLOGY,
    ARENA,
    HEAP,
    CURSOR,
    POOL,
    TAP,
    ORCHESTRATOR,
    MODEL,
    DEFERRED,
    DESK,
    TEMPLATES,
    SEGMENT,
    ACCOUNT,
    SLAB,
    MAGAZINE,
    BUFFERS,
    CONTENTS,
    LAZY,
    READER,
    HANDLES, /* above are the kinds of handles, below what an object gives out */
    CURSOR_MARK = HANDLES,
    MARK,
    LEASE,
    TICKET,
    MOVABLE,
    CELL,
    TEMPLATE,
    VIEW,
    BLOCK,
    KINDS
};

enum shape {
    HANDLE,
    TOKEN,      /* a lease, ticket, cell, template or view, by value */
    IN_TOKEN,   /* a pointer to a mark */
    NUMBER,     /* bits wide; more than `most` would lie about memory */
    SIZE_OF,    /* the size of the OUT_INIT beside it */
    ADDRESS,    /* a block of a heap; the tests give one of their own, which is of none */
    TEXT,       /* const char * */
    BUFFER,     /* char *, its size beside it */
    BYTES,      /* void * with its size beside it, or an array of them that is read */
    OPAQUE,     /* user_data, or what is no slot */
    CALLBACK,
    IN_STRUCT,  /* begins with struct_size */
    OUT_STRUCT, /* the same, to be filled */
    OUT_INIT,   /* the same, to be set to its defaults */
    OUT         /* anything else that is written, NULL or 0 after a failure */
};

union argument {
    void *pointer;
    uint64_t number;
    ostler_lease lease;
    ostler_ticket ticket;
    ostler_block movable;
    ostler_cell cell;
    ostler_template template;
    ostler_buffer view;
    ostler_segment_block block;
    void (*function)(void);
};

struct parameter {
    const char *name;
    enum shape shape;
    bool nullable;
    bool many;                               /* an array of `count` */
    enum kind kind;                          /* of the handle or token, or of what the output gives */
    unsigned bits;
    uint64_t valid, most;
    size_t bytes;                            /* of what is pointed to, or of the token */
    void (*fill)(void *target, uint32_t struct_size);
    void (*function)(void);
};

struct function {
    const char *name;
    ostler_status (*call)(const union argument *arguments);
    const struct parameter *parameters;
    size_t parameter_count;
    const ostler_status *statuses;           /* that its comment lists */
    size_t status_count;
    ostler_status answer;                    /* with nothing wrong */
};

#define MOST_PARAMETERS 9

/* Calls the function with everything that can be wrong, one thing at a time. */
void attack(const struct function *function);

/* A call whose result is a text: it must be one. */
ostler_status answer_of_text(const char *text);

/* One valid object of each kind that was asked for, with what it needs. */
struct world {
    void *handles[HANDLES];
    ostler_mark cursor_mark;
    ostler_mark mark;
    ostler_lease lease;
    ostler_block movable;
    ostler_ticket ticket;
    ostler_cell cell;
    ostler_template template;
    ostler_buffer view;
    ostler_segment_block block;
};

void world_make(struct world *world, enum kind kind);
void world_end(struct world *world);
/* Gives a lease, ticket, cell, template or view back; one of zeros is nothing to do. */
ostler_status end_token(const struct world *world, enum kind kind, const void *token);
bool world_is_well(const struct world *world);
ostler_status destroy_handle(enum kind kind, void *handle);
ostler_status stale_status(enum kind kind);
/* Makes SEGMENT_FD a descriptor of a segment's file. */
void open_segment_fd(void);
const char *kind_name(enum kind kind);

/* Resources and states that callbacks made and have not destroyed. */
int resources_alive(void);

/* Valid contents of each struct that a function reads, and a callback for each type of one. */
void fill_ostler_arena_config(void *target, uint32_t struct_size);
void fill_ostler_segment_config(void *target, uint32_t struct_size);
void fill_ostler_governor_config(void *target, uint32_t struct_size);
void fill_ostler_account_config(void *target, uint32_t struct_size);
void fill_ostler_slab_config(void *target, uint32_t struct_size);
void fill_ostler_slab_callbacks(void *target, uint32_t struct_size);
void fill_ostler_lazy_config(void *target, uint32_t struct_size);
void fill_ostler_lazy_callbacks(void *target, uint32_t struct_size);
void fill_ostler_buffers_config(void *target, uint32_t struct_size);
void fill_ostler_file_config(void *target, uint32_t struct_size);
void fill_ostler_page_source(void *target, uint32_t struct_size);
void fill_ostler_heap_config(void *target, uint32_t struct_size);
void fill_ostler_pool_config(void *target, uint32_t struct_size);
void fill_ostler_pool_callbacks(void *target, uint32_t struct_size);
void fill_ostler_orchestrator_config(void *target, uint32_t struct_size);
void fill_ostler_model_config(void *target, uint32_t struct_size);
void fill_ostler_model_callbacks(void *target, uint32_t struct_size);
void fill_ostler_request(void *target, uint32_t struct_size);
void fill_ostler_acquire(void *target, uint32_t struct_size);
void fill_ostler_deferred_config(void *target, uint32_t struct_size);
void fill_ostler_testkit_fault(void *target, uint32_t struct_size);
void fill_ostler_testkit_fault_of_model(void *target, uint32_t struct_size);
void fill_ostler_testkit_fault_of_templates(void *target, uint32_t struct_size);
void fill_ostler_templates_config(void *target, uint32_t struct_size);
void fill_ostler_templates_callbacks(void *target, uint32_t struct_size);
void fill_ostler_tracing_config(void *target, uint32_t struct_size);
void callback_ostler_level_callback(void *user_data, const ostler_level_change *change);
void callback_ostler_log_callback(void *user_data, uint32_t level, const char *message);
void callback_ostler_acquired_callback(void *user_data, ostler_ticket ticket, ostler_status status, ostler_lease lease,
                                       void *resource);
void callback_ostler_bell_callback(void *user_data);
void callback_ostler_tracing_callback(void *user_data, const ostler_trace_group *group);
void callback_ostler_buffer_release_callback(void *user_data, void *data);
void callback_ostler_cell_callback(void *user_data, ostler_cell cell, ostler_status outcome, void *value);

#endif
