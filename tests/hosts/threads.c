/* The library's threads: named, blind to signals, and gone after a shutdown. */
#include "stalls.h"
#include <dirent.h>
#include <signal.h>
#include <sys/syscall.h>

struct seen {
    int threads, ours, unblocked;
    char names[512];
};

/* Looks at every thread of this process. */
static struct seen look(void)
{
    struct seen seen = {0};
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    CHECK(tasks != NULL);
    while ((task = readdir(tasks)) != NULL) {
        char path[300], line[256];
        char name[64] = "";
        unsigned long long blocked = 0;
        if (task->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
        FILE *status = fopen(path, "r");
        if (status == NULL)
            continue;
        while (fgets(line, sizeof line, status) != NULL) {
            sscanf(line, "Name: %63s", name);
            sscanf(line, "SigBlk: %llx", &blocked);
        }
        fclose(status);
        seen.threads++;
        if (strncmp(name, "ostler-", 7) == 0) {
            seen.ours++;
            strncat(seen.names, name, sizeof seen.names - strlen(seen.names) - 2);
            strcat(seen.names, " ");
            /* All but KILL, STOP and the two that the C library keeps for itself. */
            if ((blocked | 1ull << 8 | 1ull << 18 | 1ull << 31 | 1ull << 32) != ~0ull)
                seen.unblocked++;
        }
    }
    closedir(tasks);
    return seen;
}

TEST(program_that_makes_nothing_has_no_thread_of_the_library)
{
    CHECK_STR_EQ(ostler_version_string(), "0.1.0");
    CHECK_EQ(look().ours, 0);
}

static struct seen with_everything(void)
{
    ostler_pool_config config;
    ostler_pool_callbacks callbacks = plain_pool_callbacks();
    ostler_pool *pool;
    ostler_model_config model_config = plain_model_config();
    ostler_orchestrator *orchestrator = make_orchestrator();
    strcpy(model_config.name, "vision");
    model_config.min_workers = 2;
    ostler_model *model = make_model(orchestrator, model_config, plain_model_callbacks(), NULL);
    CHECK_STATUS(ostler_model_wait_ready(model, OSTLER_FOREVER, NULL), OSTLER_OK);
    CHECK_STATUS(ostler_pool_config_init(&config, sizeof config), OSTLER_OK);
    config.min_size = 1;
    CHECK_STATUS(ostler_pool_create(&config, &callbacks, &config, &pool), OSTLER_OK);
    AWAIT(pool_stats(pool).idle == 1);
    /* A thread names itself as the first thing that it does. */
    AWAIT(look().ours == 4);
    return look();
}

static void shut_down(void)
{
    uint64_t still_out;
    CHECK_STATUS(ostler_shutdown(OSTLER_FOREVER, &still_out), OSTLER_OK);
    CHECK_EQ(still_out, 0);
    /* A thread that was joined may still be on its way out of the kernel. */
    AWAIT(look().ours == 0);
}

TEST(threads_are_named_and_block_every_signal)
{
    struct seen seen = with_everything();
    CHECK_EQ(seen.ours, 4);
    CHECK_EQ(seen.unblocked, 0);
    CHECK_STR_CONTAINS(seen.names, "ostler-vision");
    CHECK_STR_CONTAINS(seen.names, "ostler-manager");
    CHECK_STR_CONTAINS(seen.names, "ostler-pool");
    shut_down();
}

TEST(library_can_be_used_again_after_a_shutdown)
{
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(with_everything().ours, 4);
        shut_down();
        shut_down();
    }
}

static pid_t handled_on[64];
static int handled;

static void handle(int number)
{
    (void)number;
    int place = __atomic_fetch_add(&handled, 1, __ATOMIC_SEQ_CST);
    if (place < 64)
        handled_on[place] = (pid_t)syscall(SYS_gettid);
}

TEST(handlers_of_the_host_never_run_on_a_thread_of_the_library)
{
    struct stall stall;
    struct sigaction action = {.sa_handler = handle};
    CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    begin_stall(&stall, plain_model_config());
    ostler_ticket running = stall_worker(&stall);
    for (int i = 0; i < 50; i++) {
        kill(getpid(), SIGUSR1);
        sched_yield();
    }
    AWAIT(__atomic_load_n(&handled, __ATOMIC_SEQ_CST) > 0);
    for (int i = 0; i < 64 && handled_on[i] != 0; i++) {
        char path[64], name[64] = "";
        snprintf(path, sizeof path, "/proc/self/task/%d/comm", handled_on[i]);
        FILE *comm = fopen(path, "r");
        CHECK(comm != NULL);
        CHECK(fscanf(comm, "%63s", name) == 1);
        fclose(comm);
        CHECK(strncmp(name, "ostler-", 7) != 0);
    }
    let_all_go(&stall);
    wait_for(stall.orchestrator, running);
    end_stall(&stall);
}

CHECK_MAIN()
