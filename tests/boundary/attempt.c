/* One call with its arguments, and the judgement of its answer by the function's own comment. */
#include "attempt.h"
#include <sched.h>

/* What a text should be in the places where its words matter; elsewhere any text does. */
#define VALID_TEXT "pack:1 core:2 pu:1"
#define VALID_PATH "/proc/self/exe"

#define POISON 0xa5

void complain(const struct attempt *attempt, const char *format, ...)
{
    char why[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    fprintf(stderr, "# %s with %s: %s\n", attempt->function->name, attempt->what, why);
    check_note(CHECK_FAILED, "with %s: %s", attempt->what, why);
}

size_t find(const struct function *function, const char *name)
{
    for (size_t i = 0; i < function->parameter_count; i++)
        if (strcmp(function->parameters[i].name, name) == 0)
            return i;
    return NOBODY;
}

size_t find_size_of(const struct function *function, const char *buffer)
{
    char name[64];
    snprintf(name, sizeof name, "%s_bytes", buffer);
    size_t bytes = find(function, name);
    return bytes < function->parameter_count ? bytes : find(function, "capacity");
}

void *block(struct attempt *attempt, size_t index, size_t bytes, int value)
{
    free(attempt->blocks[index]);
    attempt->blocks[index] = malloc(bytes);
    attempt->block_bytes[index] = bytes;
    memset(attempt->blocks[index], value, bytes);
    attempt->arguments[index].pointer = attempt->blocks[index];
    return attempt->blocks[index];
}

/* How much of an output the call may write: of an array, `count` elements. */
static size_t written_bytes(const struct attempt *attempt, size_t index)
{
    if (!attempt->function->parameters[index].many)
        return attempt->block_bytes[index];
    return attempt->block_bytes[index] / ITEMS * attempt->arguments[find(attempt->function, "count")].number;
}

static const void *token(const struct world *world, enum kind kind)
{
    switch (kind) {
    case CURSOR_MARK:
        return &world->cursor_mark;
    case MARK:
        return &world->mark;
    case LEASE:
        return &world->lease;
    case MOVABLE:
        return &world->movable;
    case CELL:
        return &world->cell;
    case TEMPLATE:
        return &world->template;
    case VIEW:
        return &world->view;
    case BLOCK:
        return &world->block;
    default:
        return &world->ticket;
    }
}

static void make_valid(struct attempt *attempt, size_t index)
{
    const struct parameter *parameter = &attempt->function->parameters[index];
    union argument *argument = &attempt->arguments[index];
    uint32_t struct_size = (uint32_t)parameter->bytes;

    switch (parameter->shape) {
    case HANDLE:
        world_make(&attempt->world, parameter->kind);
        argument->pointer = attempt->world.handles[parameter->kind];
        break;
    case TOKEN:
        world_make(&attempt->world, parameter->kind);
        memcpy(argument, token(&attempt->world, parameter->kind), parameter->bytes);
        break;
    case IN_TOKEN:
        world_make(&attempt->world, parameter->kind);
        memcpy(block(attempt, index, parameter->bytes, 0),
               token(&attempt->world, parameter->kind), parameter->bytes);
        break;
    case NUMBER:
        argument->number = parameter->valid;
        if (strcmp(parameter->name, "fd") == 0)
            open_segment_fd();
        break;
    case SIZE_OF:
        for (size_t i = 0; i < attempt->function->parameter_count; i++)
            if (attempt->function->parameters[i].shape == OUT_INIT)
                argument->number = attempt->function->parameters[i].bytes;
        break;
    case TEXT:
        if (strcmp(parameter->name, "path") == 0)
            memcpy(block(attempt, index, sizeof VALID_PATH, 0), VALID_PATH, sizeof VALID_PATH);
        else
            memcpy(block(attempt, index, sizeof VALID_TEXT, 0), VALID_TEXT, sizeof VALID_TEXT);
        break;
    case OPAQUE:
    case ADDRESS:
        argument->pointer = attempt;
        break;
    case CALLBACK:
        argument->function = parameter->function;
        break;
    case IN_STRUCT:
        block(attempt, index, parameter->bytes * (parameter->many ? ITEMS : 1), 0);
        for (size_t i = 0; i < (parameter->many ? ITEMS : 1); i++)
            parameter->fill(attempt->blocks[index] + i * parameter->bytes, struct_size);
        break;
    case OUT_STRUCT:
        memcpy(block(attempt, index, parameter->bytes, POISON), &struct_size, sizeof struct_size);
        break;
    case BUFFER:
    case BYTES:
    case OUT_INIT:
    case OUT:
        block(attempt, index, parameter->bytes, POISON);
        break;
    }
}

/* What an account was told to hold, however absurd, makes memory critically short for as long as the level cools down. */
static void wait_until_memory_is_granted(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    do {
        sched_yield();
        CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    } while (stats.level >= OSTLER_LEVEL_CRITICAL);
}

void begin(struct attempt *attempt, const struct function *function)
{
    static bool was_account;
    if (was_account)
        wait_until_memory_is_granted();
    was_account = strncmp(function->name, "ostler_account_", strlen("ostler_account_")) == 0;
    memset(attempt, 0, sizeof *attempt);
    attempt->function = function;
    CHECK(function->parameter_count <= MOST_PARAMETERS);
    for (size_t i = 0; i < function->parameter_count; i++)
        make_valid(attempt, i);
}

/* Gives back what a call that succeeded has handed out. */
static void give_back(struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->function->parameter_count; i++) {
        const struct parameter *parameter = &attempt->function->parameters[i];
        if (parameter->shape == CALLBACK)
            CHECK_STATUS(ostler_log_set(OSTLER_LOG_WARN, NULL, NULL), OSTLER_OK);
        if (parameter->shape != OUT || !attempt->arguments[i].pointer)
            continue;
        if (parameter->kind > MARK) {
            for (size_t at = 0; at < written_bytes(attempt, i); at += sizeof(uint64_t))
                CHECK_STATUS(end_token(&attempt->world, parameter->kind, attempt->blocks[i] + at), OSTLER_OK);
        } else if (parameter->kind > NOTHING && parameter->kind < HANDLES) {
            void *handle;
            memcpy(&handle, attempt->blocks[i], sizeof handle);
            CHECK_STATUS(destroy_handle(parameter->kind, handle), OSTLER_OK);
        }
    }
}

bool is_zero(const unsigned char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i])
            return false;
    return true;
}

static void poison_outputs(struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->function->parameter_count; i++) {
        enum shape shape = attempt->function->parameters[i].shape;
        size_t kept = shape == OUT_STRUCT ? sizeof(uint32_t) : 0;
        if (attempt->arguments[i].pointer && (shape == OUT_STRUCT || shape == OUT_INIT || shape == OUT || shape == BUFFER))
            memset(attempt->blocks[i] + kept, POISON, attempt->block_bytes[i] - kept);
    }
}

/* After a failure every output is NULL or 0, as far as the caller has said how much of it there is. */
static void expect_empty_outputs(const struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->function->parameter_count; i++) {
        const struct parameter *parameter = &attempt->function->parameters[i];
        const unsigned char *bytes = attempt->blocks[i];
        uint32_t claimed;
        if (!attempt->arguments[i].pointer)
            continue;
        if (parameter->shape == OUT && !is_zero(bytes, written_bytes(attempt, i)))
            complain(attempt, "%s is not empty after a failure", parameter->name);
        if (parameter->shape == BUFFER && attempt->arguments[find_size_of(attempt->function, parameter->name)].number > 0 &&
            bytes[0] != 0)
            complain(attempt, "%s is not an empty text after a failure", parameter->name);
        if (parameter->shape != OUT_STRUCT)
            continue;
        memcpy(&claimed, bytes, sizeof claimed);
        if (claimed >= 8 && claimed <= attempt->block_bytes[i] && !is_zero(bytes + sizeof claimed, claimed - sizeof claimed))
            complain(attempt, "%s is not empty after a failure", parameter->name);
    }
}

static bool is_listed(const struct function *function, ostler_status status)
{
    for (size_t i = 0; i < function->status_count; i++)
        if (function->statuses[i] == status)
            return true;
    return false;
}

void expect(struct attempt *attempt, size_t culprit, ostler_status wanted, const char *what, ...)
{
    const struct function *function = attempt->function;
    char message_before[512];
    const char *message;
    va_list arguments;
    va_start(arguments, what);
    vsnprintf(attempt->what, sizeof attempt->what, what, arguments);
    va_end(arguments);

    poison_outputs(attempt);
    ostler_version_check(UINT32_MAX); /* leaves a message that is not ours */
    snprintf(message_before, sizeof message_before, "%s", ostler_last_error_message());
    attempt->status = function->call(attempt->arguments);
    message = ostler_last_error_message();

    if (wanted != WHAT_IT_SAYS && attempt->status != wanted)
        complain(attempt, "%s, not %s; the message is \"%s\"", ostler_status_name(attempt->status),
                 ostler_status_name(wanted), message);
    if (attempt->status == OSTLER_E_PANIC || attempt->status == OSTLER_E_QUARANTINED ||
        attempt->status == OSTLER_E_FORKED)
        complain(attempt, "%s: \"%s\"", ostler_status_name(attempt->status), message);
    if (!is_listed(function, attempt->status))
        complain(attempt, "%s, which its comment does not list", ostler_status_name(attempt->status));
    if (attempt->status == OSTLER_OK)
        return;
    if (message[0] == 0)
        complain(attempt, "%s without a message", ostler_status_name(attempt->status));
    if (strcmp(message, message_before) == 0 && strcmp(function->name, "ostler_version_check"))
        complain(attempt, "%s with the message of an earlier failure", ostler_status_name(attempt->status));
    if (attempt->status == OSTLER_E_INVALID_ARGUMENT && culprit != NOBODY &&
        !strstr(message, function->parameters[culprit].name))
        complain(attempt, "the message \"%s\" does not name %s", message, function->parameters[culprit].name);
    expect_empty_outputs(attempt);
}

void finish(struct attempt *attempt)
{
    if (attempt->status == OSTLER_OK)
        give_back(attempt);
    world_end(&attempt->world);
    for (size_t i = 0; i < MOST_PARAMETERS; i++)
        free(attempt->blocks[i]);
}
