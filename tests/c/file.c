/* Files in memory: the contents are those of the file, whichever way they come, and a file that others cut is told. */
#include "check.h"
#include <fcntl.h>
#include <ostler.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define FILE_BYTES 1000003

static unsigned char wanted[FILE_BYTES];
static char path[64];

static void write_model(void)
{
    for (size_t i = 0; i < sizeof wanted; i++)
        wanted[i] = (unsigned char)(i * 2654435761u >> 24);
    strcpy(path, "/tmp/ostler-model-XXXXXX");
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK_EQ(write(file, wanted, sizeof wanted), sizeof wanted);
    close(file);
}

static ostler_file *open_model(ostler_file_config config)
{
    ostler_file *file = NULL;
    config.struct_size = sizeof config;
    CHECK_STATUS(ostler_file_open(path, &config, &file), OSTLER_OK);
    return file;
}

static ostler_file_info info_of(ostler_file *file)
{
    ostler_file_info info = {.struct_size = sizeof info};
    CHECK_STATUS(ostler_file_get_info(file, &info), OSTLER_OK);
    return info;
}

static const unsigned char *contents_of(ostler_file *file, uint64_t *bytes)
{
    void *data;
    CHECK_STATUS(ostler_file_get_contents(file, &data, bytes), OSTLER_OK);
    return data;
}

TEST(contents_are_those_of_the_file)
{
    static const ostler_page_source base = {.struct_size = sizeof base, .page_policy = OSTLER_PAGES_BASE};
    static const ostler_file_config configs[] = {
        {0},
        {.prefault = 1},
        {.prefault = 1, .lock = 1},
        {.readahead = OSTLER_READAHEAD_SEQUENTIAL, .offset_bytes = 4096},
        {.readahead = OSTLER_READAHEAD_NONE, .offset_bytes = 777, .length_bytes = 12345},
        {.mode = OSTLER_FILE_COPY, .source = &base},
        {.mode = OSTLER_FILE_COPY, .offset_bytes = FILE_BYTES - 1},
    };
    write_model();
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        uint64_t bytes, length = configs[i].length_bytes ? configs[i].length_bytes : FILE_BYTES - configs[i].offset_bytes;
        ostler_file *file = open_model(configs[i]);
        const unsigned char *data = contents_of(file, &bytes);
        CHECK_EQ(bytes, length);
        CHECK(memcmp(data, wanted + configs[i].offset_bytes, length) == 0);
        ostler_file_info info = info_of(file);
        CHECK(info.bytes == length && info.file_bytes == FILE_BYTES && info.resident_bytes == length);
        CHECK(!info.is_cut && !info.is_changed);
        ostler_receipt receipt = {.struct_size = sizeof receipt};
        CHECK_STATUS(ostler_file_get_receipt(file, &receipt),
                     configs[i].mode == OSTLER_FILE_COPY ? OSTLER_OK : OSTLER_E_UNSUPPORTED);
        CHECK_STATUS(ostler_file_destroy(file), OSTLER_OK);
    }
    unlink(path);
}

static uint64_t held_bytes(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    return stats.held_bytes;
}

TEST(what_is_open_is_charged)
{
    write_model();
    uint64_t before = held_bytes();
    ostler_file *mapped = open_model((ostler_file_config){0});
    CHECK_EQ(held_bytes(), before + FILE_BYTES);
    ostler_file *copied = open_model((ostler_file_config){.mode = OSTLER_FILE_COPY});
    CHECK(held_bytes() >= before + 2 * FILE_BYTES);
    CHECK_STATUS(ostler_file_destroy(mapped), OSTLER_OK);
    CHECK_STATUS(ostler_file_destroy(copied), OSTLER_OK);
    CHECK_EQ(held_bytes(), before);
    unlink(path);
}

/* What the header says of a mapped file that is cut is so: this must die, and a copy must not. */
static int reads_after_a_cut(uint32_t mode)
{
    int status;
    uint64_t bytes;
    write_model();
    ostler_file *file = open_model((ostler_file_config){.mode = mode});
    const volatile unsigned char *data = contents_of(file, &bytes);
    CHECK_EQ(truncate(path, 10), 0);
    ostler_file_info info = info_of(file);
    CHECK(info.is_cut && info.is_changed && info.file_bytes == 10);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGBUS, SIG_DFL);
        _exit(data[FILE_BYTES - 1] == wanted[FILE_BYTES - 1] ? 0 : 1);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_STATUS(ostler_file_destroy(file), OSTLER_OK);
    unlink(path);
    return status;
}

TEST(a_mapped_file_must_not_be_cut_and_a_copy_may)
{
    int mapped = reads_after_a_cut(OSTLER_FILE_MAP), copied = reads_after_a_cut(OSTLER_FILE_COPY);
    CHECK(WIFSIGNALED(mapped) && WTERMSIG(mapped) == SIGBUS);
    CHECK(WIFEXITED(copied) && WEXITSTATUS(copied) == 0);
}

TEST(contents_can_only_be_read)
{
    for (uint32_t mode = OSTLER_FILE_MAP; mode <= OSTLER_FILE_COPY; mode++) {
        uint64_t bytes;
        int zero = open("/dev/zero", O_RDONLY);
        write_model();
        ostler_file *file = open_model((ostler_file_config){.mode = mode});
        /* The kernel answers with an error where a write of ours would be a signal. */
        CHECK(read(zero, (void *)(uintptr_t)contents_of(file, &bytes), 1) == -1);
        CHECK_STATUS(ostler_file_destroy(file), OSTLER_OK);
        close(zero);
        unlink(path);
    }
}

TEST(what_cannot_be_opened_is_named)
{
    ostler_file *file;
    ostler_page_source source = {.struct_size = sizeof source};
    CHECK_STATUS(ostler_file_open("/nowhere/at/all", NULL, &file), OSTLER_E_SYSTEM);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "/nowhere/at/all");
    CHECK_STATUS(ostler_file_open("/proc", NULL, &file), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STATUS(ostler_file_open("/dev/zero", NULL, &file), OSTLER_E_INVALID_ARGUMENT);
    write_model();
    ostler_file_config wrong[] = {
        {.mode = 2},
        {.readahead = 3},
        {.mode = OSTLER_FILE_COPY, .readahead = OSTLER_READAHEAD_NONE},
        {.source = &source},
        {.prefault = 2},
        {.lock = 2},
        {.reserved = 1},
        {.offset_bytes = FILE_BYTES},
        {.length_bytes = FILE_BYTES + 1},
        {.offset_bytes = UINT64_MAX, .length_bytes = UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        wrong[i].struct_size = sizeof wrong[i];
        CHECK_STATUS(ostler_file_open(path, &wrong[i], &file), OSTLER_E_INVALID_ARGUMENT);
        CHECK(file == NULL);
    }
    unlink(path);
}

TEST(a_pipe_without_a_writer_holds_nobody_up)
{
    ostler_file *file;
    char pipe_path[] = "/tmp/ostler-pipe-XXXXXX";
    CHECK(mkdtemp(pipe_path) != NULL);
    rmdir(pipe_path);
    CHECK_EQ(mkfifo(pipe_path, 0600), 0);
    CHECK_STATUS(ostler_file_open(pipe_path, NULL, &file), OSTLER_E_INVALID_ARGUMENT);
    unlink(pipe_path);
}

CHECK_MAIN()
