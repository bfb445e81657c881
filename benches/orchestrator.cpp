// Empty tasks through a warm worker: the round trip of one, and the throughput of many. The peers get a plain closure;
// Ostler carries priority, deadline, statistics and the outcome of each request.
#include "harness.hpp"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include <oneapi/tbb/task_arena.h>

namespace bench {

namespace {

constexpr std::uint64_t kRoundTrips = 2'000;
constexpr std::uint32_t kTasks = 100'000;
constexpr std::uint32_t kChunk = 32;

// The end of the throughput cases: everybody counts down, the producer sleeps until zero.
class Latch {
  public:
    void arm(std::uint32_t count) { left_.store(count, std::memory_order_relaxed); }

    void arrive() {
        if (left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            std::lock_guard lock(mutex_);
            zero_.notify_one();
        }
    }

    void wait() {
        std::unique_lock lock(mutex_);
        zero_.wait(lock, [this] { return left_.load(std::memory_order_acquire) == 0; });
    }

  private:
    std::atomic<std::uint32_t> left_{0};
    std::mutex mutex_;
    std::condition_variable zero_;
};

Latch latch;

// Ours.

ostler_status run(void *, void *, ostler_item *const *, std::uint32_t) { return OSTLER_OK; }
ostler_status load(void *, std::uint32_t, void **) { return OSTLER_OK; }
void complete(void *, ostler_ticket, const ostler_result *) { latch.arrive(); }

struct Ours {
    ostler_orchestrator *orchestrator = nullptr;
    ostler_model *model = nullptr;

    Ours() {
        ostler_orchestrator_config config;
        must(ostler_orchestrator_config_init(&config, sizeof config));
        config.request_slots = kTasks + kChunk;
        must(ostler_orchestrator_create(&config, &orchestrator));
        ostler_model_config model_config;
        must(ostler_model_config_init(&model_config, sizeof model_config));
        model_config.queue_capacity = kTasks + kChunk;
        model_config.max_batch = kChunk;
        ostler_model_callbacks callbacks;
        must(ostler_model_callbacks_init(&callbacks, sizeof callbacks));
        callbacks.load = load;
        callbacks.run = run;
        must(ostler_model_create(orchestrator, &model_config, &callbacks, nullptr, &model));
        must(ostler_model_wait_ready(model, OSTLER_FOREVER, nullptr));
    }
};

Ours &ours() {
    static Ours one;
    return one;
}

double ours_round_trip() {
    ostler_request request;
    must(ostler_request_init(&request, sizeof request));
    return time_each(kRoundTrips, [&](std::uint64_t) {
        ostler_ticket ticket;
        must(ostler_model_submit(ours().model, &request, &ticket));
        ostler_result result;
        result.struct_size = sizeof result;
        must(ostler_orchestrator_wait(ours().orchestrator, ticket, OSTLER_FOREVER, nullptr, &result));
    }) / 1e3;
}

double tasks_per_second(double begin) { return kTasks / (now_ns() - begin) * 1e3; }

double ours_throughput() {
    ostler_request request;
    must(ostler_request_init(&request, sizeof request));
    request.on_complete = complete;
    latch.arm(kTasks);
    const double begin = now_ns();
    for (std::uint32_t i = 0; i < kTasks; ++i) {
        ostler_ticket ticket;
        must(ostler_model_submit(ours().model, &request, &ticket));
    }
    latch.wait();
    return tasks_per_second(begin);
}

double ours_throughput_of_chunks() {
    ostler_request requests[kChunk];
    for (ostler_request &request : requests) {
        must(ostler_request_init(&request, sizeof request));
        request.on_complete = complete;
    }
    latch.arm(kTasks);
    const double begin = now_ns();
    for (std::uint32_t i = 0; i < kTasks; i += kChunk) {
        ostler_ticket tickets[kChunk];
        std::uint32_t accepted;
        must(ostler_model_submit_n(ours().model, requests, kChunk, tickets, &accepted));
    }
    latch.wait();
    return tasks_per_second(begin);
}

// A plain thread pool of one thread.

class ThreadPool {
  public:
    ThreadPool() : worker_([this] { work(); }) {}

    ~ThreadPool() {
        submit(nullptr);
        worker_.join();
    }

    void submit(std::function<void()> task) {
        {
            std::lock_guard lock(mutex_);
            tasks_.push_back(std::move(task));
        }
        arrived_.notify_one();
    }

  private:
    void work() {
        for (;;) {
            std::unique_lock lock(mutex_);
            arrived_.wait(lock, [this] { return !tasks_.empty(); });
            std::function<void()> task = std::move(tasks_.front());
            tasks_.pop_front();
            lock.unlock();
            if (!task)
                return;
            task();
        }
    }

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::deque<std::function<void()>> tasks_;
    std::thread worker_;
};

// oneTBB with one worker besides the caller.

tbb::task_arena &tbb_arena() {
    static tbb::task_arena one(2, 1);
    return one;
}

template <typename Submit> double round_trip(Submit &&submit) {
    return time_each(kRoundTrips, [&](std::uint64_t) {
        latch.arm(1);
        submit([] { latch.arrive(); });
        latch.wait();
    }) / 1e3;
}

template <typename Submit> double throughput(Submit &&submit) {
    latch.arm(kTasks);
    const double begin = now_ns();
    for (std::uint32_t i = 0; i < kTasks; ++i)
        submit([] { latch.arrive(); });
    latch.wait();
    return tasks_per_second(begin);
}

ThreadPool &thread_pool() {
    static ThreadPool one;
    return one;
}

const auto to_thread_pool = [](auto task) { thread_pool().submit(task); };
const auto to_tbb = [](auto task) { tbb_arena().enqueue(task); };

} // namespace

void add_orchestrator(std::vector<Case> &cases) {
    cases.push_back({"orchestrator", "round trip, caller waits", "us", true,
                     {{"submit + wait", ours_round_trip},
                      {"mutex + condvar thread pool", [] { return round_trip(to_thread_pool); }},
                      {"oneTBB task_arena::enqueue", [] { return round_trip(to_tbb); }}},
                     false});
    cases.push_back({"orchestrator", "throughput, one by one", "M/s", false,
                     {{"submit", ours_throughput},
                      {"mutex + condvar thread pool", [] { return throughput(to_thread_pool); }},
                      {"oneTBB task_arena::enqueue", [] { return throughput(to_tbb); }}},
                     false});
    cases.push_back({"orchestrator", "throughput, 32 at once", "M/s", false,
                     {{"submit_n", ours_throughput_of_chunks},
                      {"mutex + condvar thread pool", [] { return throughput(to_thread_pool); }},
                      {"oneTBB task_arena::enqueue", [] { return throughput(to_tbb); }}},
                     false});
}

} // namespace bench
