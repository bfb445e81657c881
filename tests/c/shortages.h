/* Pages run short: what the tests of that set up, and see to it that it is as it was before, however they end. */
#ifndef OSTLER_TESTS_SHORTAGES_H
#define OSTLER_TESTS_SHORTAGES_H

#include "arenas.h"
#include "kernel_files.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define HUGE_BYTES ((uint64_t)2 << 20)
#define HUGE_POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define HUGE_GROUPS "/sys/fs/cgroup/unified/"
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static inline int write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY);
    int written = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text);
    if (file >= 0)
        close(file);
    return written;
}

static inline long long set_pool(long long pages)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", pages);
    write_text(HUGE_POOL "nr_hugepages", text);
    return read_number(HUGE_POOL "nr_hugepages");
}

/* The counters of the pool, which must be afterwards what they were before. */
struct pool {
    long long total, free, promised, surplus;
};

static inline struct pool pool_now(void)
{
    return (struct pool){read_number(HUGE_POOL "nr_hugepages"), read_number(HUGE_POOL "free_hugepages"),
                         read_number(HUGE_POOL "resv_hugepages"), read_number(HUGE_POOL "surplus_hugepages")};
}

static inline void end_pool(void) { set_pool(0); }

/* Makes the pool have so many pages, or skips the test. */
static inline void begin_pool(long long pages)
{
    if (read_number(HUGE_POOL "nr_hugepages") != 0)
        SKIP("there is a pool of 2 MiB pages already");
    if (set_pool(pages) != pages || read_number(HUGE_POOL "free_hugepages") != pages) {
        end_pool();
        SKIP("the pool of 2 MiB pages cannot be made to have %lld pages", pages);
    }
}

static inline int may_groups_limit_huge_pages(void)
{
    char enabled[256] = "";
    FILE *file = fopen(HUGE_GROUPS "cgroup.subtree_control", "r");
    if (file && !fgets(enabled, sizeof enabled, file))
        enabled[0] = 0;
    if (file)
        fclose(file);
    return strstr(enabled, "hugetlb") != NULL;
}

static inline void let_groups_limit_huge_pages(int may)
{
    if (may != may_groups_limit_huge_pages())
        write_text(HUGE_GROUPS "cgroup.subtree_control", may ? "+hugetlb" : "-hugetlb");
}

/* The control group of a process of tests. */
static inline void name_group(char group[128], pid_t tests)
{
    snprintf(group, 128, HUGE_GROUPS "ostler-test-%d", (int)tests);
}

/* Runs the body in a new process; what it finds wrong is told. Its wait status. */
static inline int run(void (*body)(void))
{
    int status, ends[2];
    char why[sizeof check_run.why] = "";
    CHECK_EQ(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        /* Nothing may be printed. */
        int nowhere = open("/tmp", O_TMPFILE | O_RDWR, 0600);
        dup2(nowhere, 1);
        dup2(nowhere, 2);
        if (setjmp(check_run.over) == 0)
            body();
        if (check_run.outcome == CHECK_PASSED && lseek(nowhere, 0, SEEK_END) > 0)
            check_note(CHECK_FAILED, "something was printed");
        if (check_run.outcome != CHECK_PASSED && write(ends[1], check_run.why, strlen(check_run.why)) < 0)
            _exit(3);
        _exit(check_run.outcome == CHECK_PASSED ? 0 : check_run.outcome == CHECK_SKIPPED ? 77 : 1);
    }
    close(ends[1]);
    ssize_t length = read(ends[0], why, sizeof why - 1);
    (void)length;
    close(ends[0]);
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        check_note(CHECK_FAILED, "died of signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == 77)
        check_note(CHECK_SKIPPED, "%s", why);
    else if (WEXITSTATUS(status) != 0)
        check_note(CHECK_FAILED, "%s", why);
    return status;
}

static inline ostler_page_source asking_for(uint32_t pages, uint32_t strict)
{
    return (ostler_page_source){.struct_size = sizeof(ostler_page_source), .page_policy = pages, .strict = strict,
                                .prefault = 1};
}

static inline ostler_status create(ostler_page_source source, uint64_t bytes, ostler_arena **arena)
{
    ostler_arena_config config = {.struct_size = sizeof config, .source = &source, .chunk_bytes = bytes};
    return ostler_arena_create(&config, arena);
}

static inline ostler_receipt receipt_of(ostler_arena *arena)
{
    ostler_receipt receipt = {.struct_size = sizeof receipt};
    CHECK_STATUS(ostler_arena_get_receipt(arena, 0, &receipt), OSTLER_OK);
    return receipt;
}

/* What of a chunk nobody has allocated is poisoned under AddressSanitizer; the kernel has its pages all the same, and
 * these two ask for them. */
#define UNWATCHED __attribute__((no_sanitize("address")))

UNWATCHED static inline void fill(const ostler_receipt *receipt, unsigned char value)
{
    for (uint64_t at = 0; at < receipt->mapped_bytes; at += 512)
        ((volatile unsigned char *)(uintptr_t)receipt->address)[at] = value;
}

UNWATCHED static inline int is_filled(const ostler_receipt *receipt, unsigned char value)
{
    for (uint64_t at = 0; at < receipt->mapped_bytes; at += 512)
        if (((const volatile unsigned char *)(uintptr_t)receipt->address)[at] != value)
            return 0;
    return 1;
}

/* Writes to all of the first chunk. */
static inline void use(const ostler_receipt *receipt) { fill(receipt, 1); }

static inline uint64_t held_bytes(void)
{
    ostler_governor_stats stats = {.struct_size = sizeof stats};
    CHECK_STATUS(ostler_governor_get_stats(&stats), OSTLER_OK);
    return stats.held_bytes;
}

/* Each of the following asks so often. */
enum { TRIES = 10000 };

/* Asks for `pages` huge pages where fewer are to be had, again and again. What a failed try costs is little beside a look
 * at the books and at the kernel's counters, so that is done with every hundredth. */
static inline void ask_in_vain(int pages, uint32_t limit)
{
    struct pool before = pool_now(), after;
    for (int i = 0; i < TRIES; i++) {
        ostler_arena *arena;
        CHECK_STATUS(create(asking_for(OSTLER_PAGES_2M, 1), (uint64_t)pages * HUGE_BYTES, &arena),
                     OSTLER_E_PAGES_UNAVAILABLE);
        if (i % 100 == 0) {
            after = pool_now();
            CHECK(memcmp(&before, &after, sizeof before) == 0);
            CHECK_EQ(held_bytes(), 0);
            CHECK_STATUS(create(asking_for(OSTLER_PAGES_2M, 0), (uint64_t)pages * HUGE_BYTES, &arena), OSTLER_OK);
            ostler_receipt receipt = receipt_of(arena);
            CHECK(receipt.got_pages != OSTLER_PAGES_2M && receipt.step_count >= 1);
            CHECK_EQ(receipt.steps[0].page_policy, OSTLER_PAGES_2M);
            CHECK_EQ(receipt.steps[0].limit, limit);
            CHECK(receipt.steps[0].os_errno == ENOMEM || receipt.steps[0].os_errno == EFAULT);
            use(&receipt);
            CHECK_STATUS(ostler_arena_destroy(arena), OSTLER_OK);
        }
    }
    CHECK_EQ(held_bytes(), 0);
}

/* Makes a system call fail with an errno from now on; with `argument` 0 to 5, only when that argument is `value`. */
static inline void refuse(const int *calls, size_t count, int os_errno, int argument, uint32_t value)
{
    struct sock_filter filter[64];
    unsigned short length = 0;
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < count; i++) {
        unsigned char skip = argument < 0 ? 1 : 4;
        filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)calls[i], 0, skip);
        if (argument >= 0) {
            unsigned at = offsetof(struct seccomp_data, args) + 8 * (unsigned)argument;
            filter[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at);
            filter[length++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
        }
        filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)os_errno);
        if (argument >= 0)
            filter[length++] =
                (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    }
    filter[length++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {length, filter};
    CHECK_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    CHECK_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0), 0);
}

/* Runs the tests in a process of its own. When that has ended, also at its alarm, nothing of it runs on, and the machine is as
 * it was. */
static inline int run_tests(int argc, char **argv)
{
    char group[128];
    int status;
    long long pages = read_number(HUGE_POOL "nr_hugepages");
    int may_limit = may_groups_limit_huge_pages();
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    pid_t tests = fork();
    if (tests == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        setpgid(0, 0);
        exit(check_main(argc, argv));
    }
    if (tests < 0 || waitpid(tests, &status, 0) != tests)
        return 1;
    kill(-tests, SIGKILL);
    while (wait(NULL) > 0)
        ;
    name_group(group, tests);
    rmdir(group);
    let_groups_limit_huge_pages(may_limit);
    if (pages != read_number(HUGE_POOL "nr_hugepages"))
        set_pool(pages);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define SHORTAGE_MAIN()                                                                                                \
    struct check_run check_run;                                                                                        \
    int main(int argc, char **argv)                                                                                    \
    {                                                                                                                  \
        return run_tests(argc, argv);                                                                                  \
    }

#endif
