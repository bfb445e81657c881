/* Everything that can be wrong, one thing at a time. */
#include "attempt.h"

static void attack_null(const struct function *function, size_t index)
{
    const struct parameter *parameter = &function->parameters[index];
    size_t name_length = strlen(function->name);
    bool is_free = strcmp(function->name, "ostler_heap_free") == 0;
    bool ends_it = (name_length > 8 && strcmp(function->name + name_length - 8, "_destroy") == 0) ||
                   strcmp(function->name, "ostler_cursor_close") == 0 ||
                   strcmp(function->name, "ostler_magazine_close") == 0 || strcmp(function->name, "ostler_tap_close") == 0 ||
                   strcmp(function->name, "ostler_desk_close") == 0 || strcmp(function->name, "ostler_reader_close") == 0;
    ostler_status wanted = OSTLER_E_INVALID_ARGUMENT;
    struct attempt attempt;

    if (parameter->nullable || parameter->shape == OPAQUE)
        wanted = function->answer;
    else if (parameter->shape == ADDRESS && is_free)
        wanted = OSTLER_OK;
    else if (parameter->shape == HANDLE)
        wanted = ends_it ? OSTLER_OK : OSTLER_E_INVALID_HANDLE;

    begin(&attempt, function);
    attempt.arguments[index] = (union argument){.pointer = NULL};
    if (parameter->shape == BUFFER) {
        expect(&attempt, index, OSTLER_E_INVALID_ARGUMENT, "%s NULL and its size not 0", parameter->name);
        attempt.arguments[find_size_of(function, parameter->name)].number = 0;
    }
    expect(&attempt, index, wanted, "%s NULL", parameter->name);
    finish(&attempt);
}

static uint64_t random_word(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void attack_with_strays(const struct function *function, size_t index)
{
    static char data[64];
    const char *name = function->parameters[index].name;
    uint64_t local = 0;
    void *heap = calloc(1, ROOM_BYTES);
    const uint64_t strays[] = {
        1,           7,          8,         64,         4096,          0x1000000000000, (uintptr_t)&local,       (uintptr_t)data,
        (uintptr_t)heap, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63, INT64_MAX, UINT32_MAX, (uintptr_t)attack,
    };
    struct attempt attempt;

    begin(&attempt, function);
    void *valid = attempt.arguments[index].pointer;
    for (size_t i = 0; i < sizeof strays / sizeof *strays; i++) {
        attempt.arguments[index].pointer = (void *)(uintptr_t)strays[i];
        expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s stray (%p)", name, attempt.arguments[index].pointer);
    }
    for (int i = 0; i < 20; i++) {
        attempt.arguments[index].pointer = (void *)(uintptr_t)random_word();
        expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s random (%p)", name, attempt.arguments[index].pointer);
    }
    for (int bit = 0; bit < 64; bit++) {
        attempt.arguments[index].pointer = (void *)((uintptr_t)valid ^ (uintptr_t)1 << bit);
        expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s with bit %d flipped", name, bit);
    }
    attempt.arguments[index].pointer = valid;
    expect(&attempt, NOBODY, function->answer, "%s valid again", name);
    finish(&attempt);
    free(heap);
}

static void attack_with_other_kinds(const struct function *function, size_t index)
{
    const struct parameter *parameter = &function->parameters[index];
    struct world others = {0};
    struct attempt attempt;

    begin(&attempt, function);
    for (enum kind kind = NOTHING + 1; kind < HANDLES; kind++) {
        world_make(&others, kind);
        if (kind == parameter->kind)
            continue;
        attempt.arguments[index].pointer = others.handles[kind];
        expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s the handle of a %s", parameter->name, kind_name(kind));
    }
    if (!world_is_well(&others))
        complain(&attempt, "harmed it");
    finish(&attempt);
    world_end(&others);
}

static void attack_with_destroyed(const struct function *function, size_t index)
{
    const struct parameter *parameter = &function->parameters[index];
    struct attempt attempt;

    begin(&attempt, function);
    void **handle = &attempt.world.handles[parameter->kind];
    /* With its children out it would not be gone. */
    CHECK_STATUS(end_token(&attempt.world, LEASE, &attempt.world.lease), OSTLER_OK);
    CHECK_STATUS(end_token(&attempt.world, TICKET, &attempt.world.ticket), OSTLER_OK);
    CHECK_STATUS(end_token(&attempt.world, CELL, &attempt.world.cell), OSTLER_OK);
    CHECK_STATUS(end_token(&attempt.world, MOVABLE, &attempt.world.movable), OSTLER_OK);
    CHECK_STATUS(end_token(&attempt.world, TEMPLATE, &attempt.world.template), OSTLER_OK);
    CHECK_STATUS(end_token(&attempt.world, VIEW, &attempt.world.view), OSTLER_OK);
    CHECK_STATUS(destroy_handle(parameter->kind, *handle), OSTLER_OK);
    expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s destroyed", parameter->name);
    CHECK_STATUS(destroy_handle(parameter->kind, *handle), OSTLER_E_INVALID_HANDLE);
    expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s destroyed twice", parameter->name);

    if (parameter->kind == CURSOR || parameter->kind == TAP || parameter->kind == READER) {
        /* Each is a real address, which the next one may have; its parent is what can be taken from under it. */
        enum kind parent = parameter->kind == CURSOR ? ARENA : parameter->kind == TAP ? POOL : LAZY;
        CHECK_STATUS(destroy_handle(parent, attempt.world.handles[parent]), OSTLER_OK);
        expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s closed and its parent gone", parameter->name);
    } else {
        *handle = NULL;
        world_make(&attempt.world, parameter->kind);
        expect(&attempt, index, OSTLER_E_INVALID_HANDLE, "%s destroyed and its place taken by another", parameter->name);
        CHECK_STATUS(destroy_handle(parameter->kind, *handle), OSTLER_OK);
    }
    finish(&attempt);
}

/* A lease, ticket, cell, template or mark that is not one of this object. */
static void attack_with_stale_tokens(const struct function *function, size_t index)
{
    const struct parameter *parameter = &function->parameters[index];
    ostler_status wanted = stale_status(parameter->kind);
    struct attempt attempt;

    begin(&attempt, function);
    unsigned char *token =
        parameter->shape == TOKEN ? (unsigned char *)&attempt.arguments[index] : attempt.blocks[index];
    unsigned char valid[16];
    CHECK(parameter->bytes <= sizeof valid);
    memcpy(valid, token, parameter->bytes);
    memset(token, 0, parameter->bytes);
    expect(&attempt, index, wanted, "%s of zeros", parameter->name);
    memset(token, 0xff, parameter->bytes);
    expect(&attempt, index, wanted, "%s of ones", parameter->name);
    for (int i = 0; i < 20; i++) {
        for (size_t at = 0; at < parameter->bytes; at++)
            token[at] = (unsigned char)random_word();
        expect(&attempt, index, wanted, "%s random", parameter->name);
    }
    for (size_t bit = 0; bit < parameter->bytes * 8; bit++) {
        memcpy(token, valid, parameter->bytes);
        token[bit / 8] ^= (unsigned char)(1 << bit % 8);
        expect(&attempt, index, wanted, "%s with bit %zu flipped", parameter->name, bit);
    }
    memcpy(token, valid, parameter->bytes);
    expect(&attempt, NOBODY, function->answer, "%s valid again", parameter->name);
    finish(&attempt);
}

static void attack_with_numbers(const struct function *function, size_t index)
{
    static const uint64_t numbers[] = {
        0,          1,          2,         3,          7,          255,         256,
        4096,       65536,      INT32_MAX, (uint64_t)INT32_MAX + 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1,
        (uint64_t)1 << 40, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX - 4095, UINT64_MAX - 1, UINT64_MAX,
    };
    const struct parameter *parameter = &function->parameters[index];
    uint64_t most = parameter->bits == 32 && parameter->most > UINT32_MAX ? UINT32_MAX : parameter->most;
    struct attempt attempt;

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (numbers[i] > most)
            continue;
        begin(&attempt, function);
        attempt.arguments[index].number = numbers[i];
        expect(&attempt, index, WHAT_IT_SAYS, "%s %llu", parameter->name, (unsigned long long)numbers[i]);
        finish(&attempt);
    }
}

static void attack_with_texts(const struct function *function, size_t index)
{
    const char *name = function->parameters[index].name;
    struct attempt attempt;

    begin(&attempt, function);
    block(&attempt, index, 1, 0);
    expect(&attempt, index, WHAT_IT_SAYS, "%s empty", name);
    finish(&attempt);

    begin(&attempt, function);
    memcpy(block(&attempt, index, 4, 0), "a\xff\xfe", 3);
    expect(&attempt, index, OSTLER_E_INVALID_ARGUMENT, "%s not UTF-8", name);
    finish(&attempt);

    begin(&attempt, function);
    memset(block(&attempt, index, 100001, 0), 'x', 100000);
    expect(&attempt, index, WHAT_IT_SAYS, "%s of 100,000 letters", name);
    finish(&attempt);
}

/* Sizes that no struct has: smaller than any that was ever published, larger than any that will be. */
static const uint32_t absurd_sizes[] = {0, 1, 4, 7, ROOM_BYTES + 1, INT32_MAX, UINT32_MAX};
#define ABSURD_SIZES (sizeof absurd_sizes / sizeof *absurd_sizes)

/* A struct that claims a size, in a block of just that size as long as that is possible. */
static unsigned char *claim(struct attempt *attempt, size_t index, uint32_t struct_size)
{
    size_t count = find(attempt->function, "count");
    size_t bytes = struct_size < sizeof struct_size ? sizeof struct_size : struct_size;
    if (bytes > ROOM_BYTES)
        bytes = ROOM_BYTES;
    if (count != NOBODY)
        attempt->arguments[count].number = 1;
    return memcpy(block(attempt, index, bytes, 0), &struct_size, sizeof struct_size);
}

static void attack_with_struct_sizes(const struct function *function, size_t index)
{
    const struct parameter *parameter = &function->parameters[index];
    uint32_t own = (uint32_t)parameter->bytes;
    const uint32_t sizes[] = {8, own, own + 8, ROOM_BYTES};
    struct attempt attempt;

    for (size_t i = 0; i < ABSURD_SIZES; i++) {
        begin(&attempt, function);
        claim(&attempt, index, absurd_sizes[i]);
        expect(&attempt, index, OSTLER_E_INVALID_ARGUMENT, "%s->struct_size %u", parameter->name, absurd_sizes[i]);
        finish(&attempt);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        bool is_cut_input = parameter->shape == IN_STRUCT && sizes[i] < own;
        begin(&attempt, function);
        claim(&attempt, index, sizes[i]);
        if (parameter->shape == IN_STRUCT)
            parameter->fill(attempt.blocks[index], sizes[i]);
        /* What is cut off an input may be what is required, such as a callback. */
        expect(&attempt, NOBODY, is_cut_input ? WHAT_IT_SAYS : function->answer, "%s->struct_size %u", parameter->name,
               sizes[i]);
        if (parameter->shape == OUT_STRUCT && attempt.status == OSTLER_OK) {
            if (memcmp(attempt.blocks[index], &sizes[i], sizeof *sizes) != 0)
                complain(&attempt, "struct_size was changed");
            if (sizes[i] > own && !is_zero(attempt.blocks[index] + own, sizes[i] - own))
                complain(&attempt, "the tail that this library does not know is not zero");
        }
        finish(&attempt);
    }
    if (parameter->shape != IN_STRUCT)
        return;
    for (uint32_t dirty = own; dirty < own + 16; dirty += 15) {
        begin(&attempt, function);
        claim(&attempt, index, own + 16);
        parameter->fill(attempt.blocks[index], own + 16);
        attempt.blocks[index][dirty] = 1;
        expect(&attempt, index, OSTLER_E_UNSUPPORTED, "%s newer and with a value at byte %u", parameter->name, dirty);
        finish(&attempt);
    }
}

/* The size that an init function is told, of the struct beside it. */
static void attack_with_sizes_of(const struct function *function, size_t index)
{
    struct attempt attempt;
    size_t target = 0;
    while (function->parameters[target].shape != OUT_INIT)
        target++;
    uint32_t own = (uint32_t)function->parameters[target].bytes;
    const uint32_t sizes[] = {8, own, own + 8, ROOM_BYTES};

    for (size_t i = 0; i < ABSURD_SIZES; i++) {
        begin(&attempt, function);
        attempt.arguments[index].number = absurd_sizes[i];
        expect(&attempt, index, OSTLER_E_INVALID_ARGUMENT, "struct_size %u", absurd_sizes[i]);
        finish(&attempt);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        begin(&attempt, function);
        block(&attempt, target, sizes[i], 0);
        attempt.arguments[index].number = sizes[i];
        expect(&attempt, index, function->answer, "struct_size %u", sizes[i]);
        if (memcmp(attempt.blocks[target], &sizes[i], sizeof *sizes) != 0)
            complain(&attempt, "struct_size is not what was told");
        finish(&attempt);
    }
}

static void attack_parameter(const struct function *function, size_t index)
{
    switch (function->parameters[index].shape) {
    case HANDLE:
        attack_null(function, index);
        attack_with_strays(function, index);
        attack_with_other_kinds(function, index);
        attack_with_destroyed(function, index);
        break;
    case IN_TOKEN:
        attack_null(function, index);
        attack_with_stale_tokens(function, index);
        break;
    case TOKEN:
        attack_with_stale_tokens(function, index);
        break;
    case NUMBER:
        attack_with_numbers(function, index);
        break;
    case SIZE_OF:
        attack_with_sizes_of(function, index);
        break;
    case TEXT:
        attack_null(function, index);
        attack_with_texts(function, index);
        break;
    case IN_STRUCT:
    case OUT_STRUCT:
        attack_null(function, index);
        attack_with_struct_sizes(function, index);
        break;
    case BUFFER:
    case BYTES:
    case OPAQUE:
    case ADDRESS:
    case CALLBACK:
    case OUT_INIT:
    case OUT:
        attack_null(function, index);
        break;
    }
}

void attack(const struct function *function)
{
    struct attempt attempt;
    begin(&attempt, function);
    expect(&attempt, NOBODY, function->answer, "nothing wrong");
    finish(&attempt);
    for (size_t i = 0; i < function->parameter_count; i++)
        attack_parameter(function, i);
    EXPECT_EQ(resources_alive(), 0);
}

ostler_status answer_of_text(const char *text)
{
    return text && strnlen(text, ROOM_BYTES) < ROOM_BYTES ? OSTLER_OK : OSTLER_E_INVALID_ARGUMENT;
}

/* The tests themselves are generated, one for each function. */
CHECK_MAIN()
