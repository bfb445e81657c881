/* Segment: one memory in several processes, some of which are killed, and descriptors that are no segment's. */
#include "check.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ostler.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MIB ((uint64_t)1 << 20)

static const ostler_page_source base_pages = {.struct_size = sizeof base_pages, .page_policy = OSTLER_PAGES_BASE};

static ostler_segment_config of_bytes(uint64_t bytes)
{
    ostler_segment_config config;
    CHECK_STATUS(ostler_segment_config_init(&config, sizeof config), OSTLER_OK);
    config.source = &base_pages;
    config.bytes = bytes;
    return config;
}

static ostler_segment *make_segment(ostler_segment_config config)
{
    ostler_segment *segment = NULL;
    CHECK_STATUS(ostler_segment_create(&config, &segment), OSTLER_OK);
    return segment;
}

static ostler_segment_stats segment_stats(ostler_segment *segment)
{
    ostler_segment_stats stats = {.struct_size = sizeof stats};
    EXPECT_STATUS(ostler_segment_get_stats(segment, &stats), OSTLER_OK);
    return stats;
}

static int fd_of(ostler_segment *segment, uint32_t access)
{
    int32_t fd = -1;
    CHECK_STATUS(ostler_segment_get_fd(segment, access, &fd), OSTLER_OK);
    return fd;
}

static ostler_segment *attach_to(ostler_segment *segment, uint32_t access)
{
    ostler_segment *attached = NULL;
    int fd = fd_of(segment, access);
    CHECK_STATUS(ostler_segment_attach(fd, access, &attached), OSTLER_OK);
    close(fd);
    return attached;
}

static int open_descriptors(void)
{
    int count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (all && readdir(all))
        count++;
    if (all)
        closedir(all);
    return count;
}

/* Another process of this program, which plays the role with the descriptor. */
static pid_t play(const char *role, int fd)
{
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    pid_t child = fork();
    if (child == 0) {
        fcntl(fd, F_SETFD, 0);
        execl("/proc/self/exe", "segment", role, number, (char *)NULL);
        _exit(127);
    }
    return child;
}

static int status_of(pid_t child)
{
    int status = -1;
    CHECK_EQ(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* What lies in the root: an answer in a block that the other process made. */
struct question {
    uint64_t asked;
    ostler_segment_block answer;
};

#define MUST(call, wanted)                                                                                             \
    do {                                                                                                               \
        ostler_status must_be = (call);                                                                                \
        if (must_be != (wanted)) {                                                                                     \
            fprintf(stderr, "%s: %s: %s\n", #call, ostler_status_name(must_be), ostler_last_error_message());          \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static int answer(int fd)
{
    ostler_segment *segment;
    ostler_segment_block root;
    struct question *question;
    uint64_t *reply, size;
    MUST(ostler_segment_attach(fd, OSTLER_ACCESS_READ_WRITE, &segment), OSTLER_OK);
    MUST(ostler_segment_get_root(segment, &root), OSTLER_OK);
    MUST(ostler_segment_get(segment, root, (void **)&question, &size), OSTLER_OK);
    if (size != sizeof *question || question->asked != 21)
        return 2;
    ostler_segment_block block;
    MUST(ostler_segment_alloc(segment, sizeof *reply, 0, &block, (void **)&reply), OSTLER_OK);
    *reply = 2 * question->asked;
    question->answer = block;
    MUST(ostler_segment_reset(segment), OSTLER_E_UNSUPPORTED);
    MUST(ostler_segment_destroy(segment), OSTLER_OK);
    return 0;
}

static int only_read(int fd)
{
    ostler_segment *segment;
    ostler_segment_block root;
    uint64_t *word;
    MUST(ostler_segment_attach(fd, OSTLER_ACCESS_READ_WRITE, &segment), OSTLER_E_UNSUPPORTED);
    MUST(ostler_segment_attach(fd, OSTLER_ACCESS_READ_ONLY, &segment), OSTLER_OK);
    MUST(ostler_segment_get_root(segment, &root), OSTLER_OK);
    MUST(ostler_segment_get(segment, root, (void **)&word, NULL), OSTLER_OK);
    if (*word != 21)
        return 2;
    MUST(ostler_segment_alloc(segment, 8, 0, &root, NULL), OSTLER_E_UNSUPPORTED);
    MUST(ostler_segment_set_root(segment, root), OSTLER_E_UNSUPPORTED);
    int32_t other;
    MUST(ostler_segment_get_fd(segment, OSTLER_ACCESS_READ_WRITE, &other), OSTLER_E_UNSUPPORTED);
    MUST(ostler_segment_destroy(segment), OSTLER_OK);
    return 0;
}

static int send_descriptor(int socket, int fd)
{
    char byte = 'x', room[CMSG_SPACE(sizeof fd)] = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return sendmsg(socket, &message, 0) == 1 ? 0 : 1;
}

static int receive_descriptor(int socket)
{
    char byte, room[CMSG_SPACE(sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room};
    int fd = -1;
    if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

/* Makes a segment, passes it on, and lives until it is killed, with a child that outlives it. */
static int own(int socket)
{
    ostler_segment *segment;
    ostler_segment_block block;
    uint64_t *word;
    int32_t fd;
    MUST(ostler_segment_create(NULL, &segment), OSTLER_OK);
    MUST(ostler_segment_alloc(segment, 8, 0, &block, (void **)&word), OSTLER_OK);
    *word = 21;
    MUST(ostler_segment_set_root(segment, block), OSTLER_OK);
    MUST(ostler_segment_get_fd(segment, OSTLER_ACCESS_READ_WRITE, &fd), OSTLER_OK);
    if (fork() == 0) {
        alarm(3);
        for (;;)
            pause();
    }
    if (send_descriptor(socket, fd) != 0)
        return 2;
    for (;;)
        pause();
}

/* Allocates until it is killed, or has done enough. */
static int allocate(int fd)
{
    ostler_segment *segment;
    MUST(ostler_segment_attach(fd, OSTLER_ACCESS_READ_WRITE, &segment), OSTLER_OK);
    uint64_t seed = (uint64_t)getpid() * 977;
    for (int i = 0; i < 100000; i++) {
        ostler_segment_block block;
        void *memory;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t size = 8 + (seed >> 33) % 200;
        MUST(ostler_segment_alloc(segment, size, 0, &block, &memory), OSTLER_OK);
        memset(memory, (int)(size & 0xff), size);
    }
    for (;;)
        pause();
}

TEST(two_processes_share_what_they_allocate)
{
    ostler_segment *segment = make_segment(of_bytes(MIB));
    ostler_segment_block root;
    struct question *question;
    uint64_t *reply;
    int before = open_descriptors();
    CHECK_STATUS(ostler_segment_alloc(segment, sizeof *question, 0, &root, (void **)&question), OSTLER_OK);
    question->asked = 21;
    CHECK_STATUS(ostler_segment_set_root(segment, root), OSTLER_OK);
    int fd = fd_of(segment, OSTLER_ACCESS_READ_WRITE);
    CHECK_EQ(status_of(play("answer", fd)), 0);
    CHECK_STATUS(ostler_segment_get(segment, question->answer, (void **)&reply, NULL), OSTLER_OK);
    CHECK_EQ(*reply, 42);
    close(fd);
    CHECK_EQ(open_descriptors(), before);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

TEST(read_only_is_read_only)
{
    ostler_segment *segment = make_segment(of_bytes(MIB));
    ostler_segment_block root;
    uint64_t *word;
    CHECK_STATUS(ostler_segment_alloc(segment, 8, 0, &root, (void **)&word), OSTLER_OK);
    *word = 21;
    CHECK_STATUS(ostler_segment_set_root(segment, root), OSTLER_OK);
    int fd = fd_of(segment, OSTLER_ACCESS_READ_ONLY);
    CHECK_EQ(status_of(play("only_read", fd)), 0);
    close(fd);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

TEST(sole_writer_is_the_only_one)
{
    ostler_segment_config config = of_bytes(MIB);
    config.sole_writer = 1;
    ostler_segment *segment = make_segment(config);
    ostler_segment_block root;
    uint64_t *word;
    CHECK_STATUS(ostler_segment_alloc(segment, 8, 0, &root, (void **)&word), OSTLER_OK);
    *word = 21;
    CHECK_STATUS(ostler_segment_set_root(segment, root), OSTLER_OK);
    /* Even with a descriptor that is open for writing. */
    int fd = fd_of(segment, OSTLER_ACCESS_READ_WRITE);
    CHECK_EQ(status_of(play("only_read", fd)), 0);
    CHECK_EQ(write(fd, "x", 1), -1);
    close(fd);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

TEST(owner_that_is_killed_is_found_dead_and_its_memory_is_whole)
{
    int sockets[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets), 0);
    pid_t owner = play("own", sockets[1]);
    close(sockets[1]);
    int fd = receive_descriptor(sockets[0]);
    CHECK(fd >= 0);
    ostler_segment *segment;
    ostler_segment_block root;
    uint64_t *word;
    CHECK_STATUS(ostler_segment_attach(fd, OSTLER_ACCESS_READ_WRITE, &segment), OSTLER_OK);
    CHECK_EQ(segment_stats(segment).owner, OSTLER_OWNER_ALIVE);
    CHECK_EQ(segment_stats(segment).owner_process, owner);
    kill(owner, SIGKILL);
    CHECK_EQ(status_of(owner), -SIGKILL);
    CHECK_EQ(segment_stats(segment).owner, OSTLER_OWNER_DIED);
    CHECK_STATUS(ostler_segment_get_root(segment, &root), OSTLER_OK);
    CHECK_STATUS(ostler_segment_get(segment, root, (void **)&word, NULL), OSTLER_OK);
    CHECK_EQ(*word, 21);
    CHECK_STATUS(ostler_segment_alloc(segment, 100, 0, &root, NULL), OSTLER_OK);
    close(fd);
    close(sockets[0]);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

TEST(processes_that_are_killed_while_they_allocate_harm_nobody)
{
    ostler_segment *segment = make_segment(of_bytes(64 * MIB));
    int fd = fd_of(segment, OSTLER_ACCESS_READ_WRITE);
    uint64_t used = 0;
    for (int round = 0; round < 20; round++) {
        pid_t children[3];
        CHECK_STATUS(ostler_segment_reset(segment), OSTLER_OK);
        for (int i = 0; i < 3; i++)
            children[i] = play("allocate", fd);
        /* At least one of them is at work. */
        while (segment_stats(segment).used_bytes < 200000)
            sched_yield();
        for (int i = 0; i < 3; i++)
            kill(children[i], SIGKILL);
        for (int i = 0; i < 3; i++)
            CHECK_EQ(status_of(children[i]), -SIGKILL);
        used = segment_stats(segment).used_bytes;
        ostler_segment_block block;
        CHECK_STATUS(ostler_segment_alloc(segment, 64, 0, &block, NULL), OSTLER_OK);
    }
    /* Whatever is a block is one as a whole; what nobody finished is none. */
    void *begin;
    ostler_segment_block first;
    CHECK_STATUS(ostler_segment_alloc(segment, 1, 0, &first, &begin), OSTLER_OK);
    unsigned char *base = (unsigned char *)begin - (segment_stats(segment).used_bytes - 16);
    uint64_t blocks = 0, next = 0;
    for (uint64_t at = 0; at < used; at += 16) {
        ostler_segment_block block;
        void *memory;
        uint64_t size;
        if (ostler_segment_find(segment, base + at, &block) != OSTLER_OK)
            continue;
        CHECK_STATUS(ostler_segment_get(segment, block, &memory, &size), OSTLER_OK);
        CHECK(memory == base + at && at >= next);
        next = at + size;
        blocks++;
    }
    CHECK(blocks > 1000);
    close(fd);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

TEST(last_process_that_has_it_keeps_it)
{
    ostler_segment *segment = make_segment(of_bytes(MIB)), *attached = attach_to(segment, OSTLER_ACCESS_READ_WRITE);
    ostler_segment_block block;
    void *memory;
    CHECK_STATUS(ostler_segment_alloc(segment, 8, 0, &block, &memory), OSTLER_OK);
    memset(memory, 7, 8);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_E_INVALID_HANDLE);
    CHECK_EQ(segment_stats(attached).owner, OSTLER_OWNER_CLOSED);
    CHECK_STATUS(ostler_segment_get(attached, block, &memory, NULL), OSTLER_OK);
    CHECK_EQ(*(unsigned char *)memory, 7);
    CHECK_STATUS(ostler_segment_alloc(attached, 8, 0, &block, NULL), OSTLER_E_CLOSED);
    CHECK_STATUS(ostler_segment_destroy(attached), OSTLER_OK);
}

TEST(reset_makes_every_block_stale_for_all)
{
    ostler_segment *segment = make_segment(of_bytes(MIB)), *attached = attach_to(segment, OSTLER_ACCESS_READ_WRITE);
    ostler_segment_block block, again;
    void *memory = segment;
    uint64_t size = 9;
    CHECK_STATUS(ostler_segment_alloc(attached, 8, 0, &block, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_segment_reset(segment), OSTLER_OK);
    CHECK_STATUS(ostler_segment_get(attached, block, &memory, &size), OSTLER_E_STALE_BLOCK);
    CHECK(memory == NULL && size == 0);
    CHECK_STATUS(ostler_segment_alloc(attached, 8, 0, &again, NULL), OSTLER_OK);
    CHECK(again.value != block.value);
    CHECK_STATUS(ostler_segment_set_root(segment, block), OSTLER_E_STALE_BLOCK);
    CHECK_STATUS(ostler_segment_destroy(attached), OSTLER_OK);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

/* An anonymous file with these bytes, as long as told, and sealed if asked. */
static int file_with(const void *bytes, size_t count, off_t length, int seals)
{
    int fd = memfd_create("not-a-segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    CHECK(fd >= 0 && ftruncate(fd, length) == 0);
    CHECK_EQ(pwrite(fd, bytes, count, 0), (ssize_t)count);
    if (seals)
        CHECK_EQ(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void is_refused(int fd, ostler_status wanted, const char *words)
{
    int before = open_descriptors();
    for (uint32_t access = 0; access < 2; access++) {
        ostler_segment *segment = (ostler_segment *)(uintptr_t)1;
        CHECK_STATUS(ostler_segment_attach(fd, access, &segment), wanted);
        CHECK_STR_CONTAINS(ostler_last_error_message(), words);
        CHECK(segment == NULL);
    }
    CHECK_EQ(open_descriptors(), before);
    close(fd);
}

TEST(descriptors_that_are_no_segments_are_refused)
{
    static unsigned char whole[65536];
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW;
    ostler_segment *segment = make_segment(of_bytes(sizeof whole));
    int fd = fd_of(segment, OSTLER_ACCESS_READ_ONLY), ends[2];
    CHECK_EQ(pread(fd, whole, sizeof whole, 0), (ssize_t)sizeof whole);

    is_refused(-1, OSTLER_E_INVALID_ARGUMENT, "fd is -1");
    is_refused(12345, OSTLER_E_INVALID_ARGUMENT, "fd is 12345");
    is_refused(open("/dev/null", O_RDWR | O_CLOEXEC), OSTLER_E_INVALID_ARGUMENT, "anonymous file");
    is_refused(open("/", O_RDONLY | O_CLOEXEC), OSTLER_E_INVALID_ARGUMENT, "anonymous file");
    CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
    is_refused(ends[0], OSTLER_E_INVALID_ARGUMENT, "anonymous file");
    is_refused(ends[1], OSTLER_E_INVALID_ARGUMENT, "anonymous file");

    is_refused(file_with(whole, sizeof whole, sizeof whole, 0), OSTLER_E_INVALID_ARGUMENT, "sealed");
    is_refused(file_with(whole, sizeof whole, sizeof whole, F_SEAL_GROW), OSTLER_E_INVALID_ARGUMENT, "sealed");
    is_refused(file_with(whole, 0, 0, seals), OSTLER_E_INVALID_ARGUMENT, "no segment");
    is_refused(file_with(whole, 40, 40, seals), OSTLER_E_INVALID_ARGUMENT, "no segment");
    is_refused(file_with(whole + 64, 4096, 4096, seals), OSTLER_E_INVALID_ARGUMENT, "no segment");
    is_refused(file_with(whole, 4096, 4096, seals), OSTLER_E_INVALID_ARGUMENT, "as long as");
    is_refused(file_with(whole, 4096, sizeof whole, seals), OSTLER_E_INVALID_ARGUMENT, "holes");
    whole[8]++;
    is_refused(file_with(whole, sizeof whole, sizeof whole, seals), OSTLER_E_UNSUPPORTED, "layout 2");
    whole[8]--;
    whole[0]++;
    is_refused(file_with(whole, sizeof whole, sizeof whole, seals), OSTLER_E_INVALID_ARGUMENT, "no segment");
    close(fd);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

TEST(nobody_can_cut_a_segment_short)
{
    ostler_segment *segment = make_segment(of_bytes(MIB));
    int fd = fd_of(segment, OSTLER_ACCESS_READ_WRITE);
    for (off_t length = 0; length <= (off_t)(2 * MIB); length += (off_t)MIB / 2)
        if (length != (off_t)MIB)
            CHECK(ftruncate(fd, length) == -1 && errno == EPERM);
    CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == -1);
    close(fd);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

static uint64_t free_huge_pages(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "r");
    if (file && fscanf(file, "%llu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages;
}

TEST(segment_of_huge_pages_gets_them_or_says_why)
{
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_2M};
    ostler_segment_config config = of_bytes(4 * MIB);
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    ostler_segment_block block;
    void *memory;
    config.source = &source;
    ostler_segment *segment = make_segment(config);
    CHECK_STATUS(ostler_segment_get_receipt(segment, &receipt), OSTLER_OK);
    CHECK_EQ(receipt.asked_pages, OSTLER_PAGES_2M);
    CHECK_EQ(receipt.asked_bytes, 4 * MIB);
    if (receipt.got_pages != OSTLER_PAGES_2M) {
        CHECK(receipt.step_count >= 1 && receipt.steps[0].page_policy == OSTLER_PAGES_2M);
        CHECK(receipt.steps[0].limit != OSTLER_LIMIT_NONE);
    } else {
        CHECK_EQ(receipt.page_bytes, 2 * MIB);
        CHECK_EQ(segment_stats(segment).page_bytes, 2 * MIB);
    }
    ostler_segment *attached = attach_to(segment, OSTLER_ACCESS_READ_WRITE);
    CHECK_STATUS(ostler_segment_alloc(attached, 3 * MIB, 0, &block, &memory), OSTLER_OK);
    memset(memory, 1, 3 * MIB);
    CHECK_STATUS(ostler_segment_get(segment, block, &memory, NULL), OSTLER_OK);
    CHECK_EQ(((unsigned char *)memory)[3 * MIB - 1], 1);
    CHECK_STATUS(ostler_segment_destroy(attached), OSTLER_OK);
    CHECK_STATUS(ostler_segment_destroy(segment), OSTLER_OK);
}

TEST(more_huge_pages_than_there_are_is_a_status_or_a_step_down)
{
    ostler_page_source source = {.struct_size = sizeof source, .page_policy = OSTLER_PAGES_2M, .strict = 1};
    ostler_segment_config config = of_bytes((free_huge_pages() + 512) * 2 * MIB);
    ostler_segment *segment;
    int before = open_descriptors();
    config.source = &source;
    CHECK_STATUS(ostler_segment_create(&config, &segment), OSTLER_E_PAGES_UNAVAILABLE);
    CHECK(segment == NULL);
    CHECK_EQ(open_descriptors(), before);
}

TEST(configurations_that_cannot_be_had_are_named)
{
    ostler_segment *segment;
    ostler_segment_config config = of_bytes(4095);
    CHECK_STATUS(ostler_segment_create(&config, &segment), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "bytes is 4095");
    config = of_bytes(UINT64_MAX);
    CHECK_STATUS(ostler_segment_create(&config, &segment), OSTLER_E_INVALID_ARGUMENT);
    config = of_bytes(MIB);
    config.sole_writer = 2;
    CHECK_STATUS(ostler_segment_create(&config, &segment), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "sole_writer is 2");
    CHECK_STATUS(ostler_segment_attach(0, 2, &segment), OSTLER_E_INVALID_ARGUMENT);
    CHECK_STR_CONTAINS(ostler_last_error_message(), "access is 2");
}

struct check_run check_run;

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        int (*play)(int fd);
    } roles[] = {{"answer", answer}, {"only_read", only_read}, {"own", own}, {"allocate", allocate}};
    for (size_t i = 0; count == 3 && i < sizeof roles / sizeof *roles; i++)
        if (strcmp(arguments[1], roles[i].name) == 0)
            return roles[i].play(atoi(arguments[2]));
    return check_main(count, arguments);
}
