// Acquire and release of idle resources: by one thread, by two that have enough, by two that have one and by three that
// have two, and many at once; and of one resource that passes between two threads.
#include "harness.hpp"
#include "peers/peers.hpp"

#include <ostler_inline.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include <apr_general.h>
#include <apr_reslist.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace bench {

namespace {

constexpr std::uint64_t kPairs = 1'000'000;
constexpr std::uint64_t kContendedPairs = 200'000;
constexpr std::uint64_t kScarcePairs = 20'000;
constexpr std::uint64_t kHandOvers = 10'000;
constexpr std::uint64_t kWakeUps = 2'000;
constexpr double kHoldNs = 20'000;
constexpr int kLooks = 100; // before a thread gives up its CPU: a few microseconds
constexpr std::uint32_t kResources = 8;
constexpr std::uint32_t kScarce = 2;
constexpr std::uint64_t kHolds = 2'000;
constexpr std::uint32_t kAtOnce = 32;

ostler_status create(void *, void **resource) {
    *resource = std::malloc(64);
    return *resource ? OSTLER_OK : OSTLER_E_OUT_OF_MEMORY;
}

void destroy(void *, void *resource) { std::free(resource); }

// Each thread runs the loop over so many pairs, once all are there; nanoseconds for one pair of one thread, the slowest's.
template <typename Loop> double loop_by_threads(int count, std::uint64_t pairs, Loop &&loop) {
    std::atomic<int> missing{count};
    std::vector<double> took(static_cast<std::size_t>(count));
    std::vector<std::thread> threads;
    for (double &mine : took)
        threads.emplace_back([&] {
            for (missing--; missing.load() > 0;)
                std::this_thread::yield();
            mine = time_loop(pairs, loop);
        });
    for (auto &thread : threads)
        thread.join();
    return *std::max_element(took.begin(), took.end());
}

template <typename Pair> double by_threads(int count, std::uint64_t pairs, Pair &&pair) {
    return loop_by_threads(count, pairs, [&](std::uint64_t each) {
        for (std::uint64_t n = 0; n < each; ++n)
            pair();
    });
}

ostler_pool *make_pool(std::uint32_t resources, std::uint64_t barging_ns = 0) {
    ostler_pool_config config;
    must(ostler_pool_config_init(&config, sizeof config));
    config.max_size = resources;
    config.barging_ns = barging_ns;
    ostler_pool_callbacks callbacks;
    must(ostler_pool_callbacks_init(&callbacks, sizeof callbacks));
    callbacks.create = create;
    callbacks.destroy = destroy;
    ostler_pool *made = nullptr;
    must(ostler_pool_create(&config, &callbacks, nullptr, &made));
    return made;
}

void use(ostler_pool *pool) {
    ostler_lease lease;
    void *resource;
    must(ostler_pool_acquire(pool, OSTLER_FOREVER, nullptr, &lease, &resource));
    keep(resource);
    must(ostler_pool_release(pool, lease));
}

ostler_pool *roomy_pool() {
    static ostler_pool *const pool = make_pool(kResources);
    return pool;
}

ostler_pool *scarce_pool() {
    static ostler_pool *const pool = make_pool(kScarce);
    return pool;
}

double ostler_pair() {
    return time_each(kPairs, [](std::uint64_t) { use(roomy_pool()); });
}

ostler_tap *open_tap(ostler_pool *pool) {
    ostler_tap *made = nullptr;
    must(ostler_tap_open(pool, &made));
    return made;
}

double time_tap(std::uint64_t pairs, ostler_tap *tap) {
    return time_each(pairs, [tap](std::uint64_t) {
        ostler_lease lease;
        void *resource;
        must(ostler_tap_acquire_inline(tap, OSTLER_FOREVER, nullptr, &lease, &resource));
        keep(resource);
        must(ostler_tap_release_inline(tap, lease));
    });
}

// Two of one pool.
ostler_tap *tap_of(int user) {
    static ostler_pool *const pool = make_pool(kResources);
    static ostler_tap *const taps[] = {open_tap(pool), open_tap(pool)};
    return taps[user];
}

double ostler_tap_pair() { return time_tap(kPairs, tap_of(0)); }

double ostler_taps_of_two() {
    std::atomic<int> users{0};
    return loop_by_threads(2, kPairs, [&](std::uint64_t pairs) { time_tap(pairs, tap_of(users++)); });
}

double ostler_many() {
    static ostler_pool *const pool = make_pool(kAtOnce);
    return time_each(kPairs / kAtOnce, [](std::uint64_t) {
               ostler_lease leases[kAtOnce];
               void *resources[kAtOnce];
               must(ostler_pool_acquire_n(pool, kAtOnce, OSTLER_FOREVER, nullptr, leases, resources));
               keep(resources);
               must(ostler_pool_release_n(pool, leases, kAtOnce, nullptr));
           }) /
           kAtOnce;
}

double ostler_tap_many() {
    static ostler_tap *const opened = open_tap(make_pool(kAtOnce));
    return time_each(kPairs / kAtOnce, [tap = opened](std::uint64_t) {
               ostler_lease leases[kAtOnce];
               void *resources[kAtOnce];
               must(ostler_tap_acquire_n_inline(tap, kAtOnce, OSTLER_FOREVER, nullptr, leases, resources));
               keep(resources);
               must(ostler_tap_release_n_inline(tap, leases, kAtOnce, nullptr));
           }) /
           kAtOnce;
}

apr_status_t apr_create(void **resource, void *, apr_pool_t *) {
    *resource = std::malloc(64);
    return APR_SUCCESS;
}

apr_status_t apr_destroy(void *resource, void *, apr_pool_t *) {
    std::free(resource);
    return APR_SUCCESS;
}

apr_reslist_t *make_list(int resources) {
    apr_pool_t *pool = nullptr;
    apr_reslist_t *made = nullptr;
    if (apr_initialize() != APR_SUCCESS || apr_pool_create(&pool, nullptr) != APR_SUCCESS ||
        apr_reslist_create(&made, 0, resources, resources, 0, apr_create, apr_destroy, nullptr, pool) != APR_SUCCESS) {
        std::fprintf(stderr, "apr_reslist could not be created\n");
        std::exit(1);
    }
    return made;
}

void use(apr_reslist_t *list) {
    void *resource;
    apr_reslist_acquire(list, &resource);
    keep(resource);
    apr_reslist_release(list, resource);
}

apr_reslist_t *roomy_list() {
    static apr_reslist_t *const list = make_list(kResources);
    return list;
}

apr_reslist_t *scarce_list() {
    static apr_reslist_t *const list = make_list(kScarce);
    return list;
}

double apr_pair() {
    return time_each(kPairs, [](std::uint64_t) { use(roomy_list()); });
}

// What people write by hand.
class MutexPool {
  public:
    explicit MutexPool(std::uint32_t resources) {
        for (std::uint32_t i = 0; i < resources; ++i)
            idle_.push_back(std::malloc(64));
    }

    void *acquire() {
        std::unique_lock lock(mutex_);
        released_.wait(lock, [this] { return !idle_.empty(); });
        void *resource = idle_.back();
        idle_.pop_back();
        return resource;
    }

    void release(void *resource) {
        {
            std::lock_guard lock(mutex_);
            idle_.push_back(resource);
        }
        released_.notify_one();
    }

  private:
    std::mutex mutex_;
    std::condition_variable released_;
    std::vector<void *> idle_;
};

void use(MutexPool &pool) {
    void *resource = pool.acquire();
    keep(resource);
    pool.release(resource);
}

MutexPool &roomy_mutex_pool() {
    static MutexPool pool(kResources);
    return pool;
}

MutexPool &scarce_mutex_pool() {
    static MutexPool pool(kScarce);
    return pool;
}

ostler_pool *single_pool() {
    static ostler_pool *const pool = make_pool(1);
    return pool;
}

apr_reslist_t *single_list() {
    static apr_reslist_t *const list = make_list(1);
    return list;
}

MutexPool &single_mutex_pool() {
    static MutexPool pool(1);
    return pool;
}

double cpu_ns() {
    timespec time{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double mutex_pair() {
    return time_each(kPairs, [](std::uint64_t) { use(roomy_mutex_pool()); });
}

void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" : : : "memory");
#endif
}

// Puts the calling thread on one of the CPUs that it may use, a different one for each index as far as they go. Left to
// the scheduler, two threads that wake each other are now on one CPU and now on two, which differs by a factor.
void stay_on_cpu(int index) {
    cpu_set_t allowed, chosen;
    sched_getaffinity(0, sizeof allowed, &allowed);
    int skipped = index % CPU_COUNT(&allowed);
    int cpu = 0;
    while (!CPU_ISSET(cpu, &allowed) || skipped-- > 0)
        ++cpu;
    CPU_ZERO(&chosen);
    CPU_SET(cpu, &chosen);
    sched_setaffinity(0, sizeof chosen, &chosen);
}

// Two threads, each on a CPU of its own, have one resource: nanoseconds of that clock for each pair of both.
template <typename Pair> double one_for_two(double (*clock)(), Pair &&pair, std::uint64_t pairs = kScarcePairs) {
    const auto run = [&](int me) {
        stay_on_cpu(me);
        for (std::uint64_t n = 0; n < pairs; ++n)
            pair(me);
    };
    const double begin = clock();
    std::thread one(run, 0), other(run, 1);
    one.join();
    other.join();
    return (clock() - begin) / (2.0 * static_cast<double>(pairs));
}

// With enough pairs for many changes of hands.
double ostler_barging_pair(double (*clock)()) {
    static ostler_pool *const pool = make_pool(1, 1'000'000);
    return one_for_two(clock, [](int) { use(pool); }, kPairs);
}

// Two threads use one resource for kHoldNs each time. Of a thousand waits the second longest, as a multiple of the time
// that the other holds it.
template <typename Acquire, typename Release> double late_wait(Acquire &&acquire, Release &&release) {
    std::vector<double> waits[2];
    const auto run = [&](int me) {
        stay_on_cpu(me);
        for (std::uint64_t n = 0; n < kHolds; ++n) {
            const double begin = now_ns();
            auto held = acquire(me);
            const double end = now_ns();
            waits[me].push_back(end - begin);
            while (now_ns() - end < kHoldNs)
                ;
            release(me, held);
        }
    };
    std::thread one(run, 0), other(run, 1);
    one.join();
    other.join();
    waits[0].insert(waits[0].end(), waits[1].begin(), waits[1].end());
    const auto place = waits[0].begin() + static_cast<std::ptrdiff_t>(waits[0].size() * 999 / 1000);
    std::nth_element(waits[0].begin(), place, waits[0].end());
    return *place / kHoldNs;
}

// Two threads, 0 and 1, acquire and release one resource until it has changed hands so often. Each keeps it until the
// other comes for it: otherwise the one that runs would have it again and again, and nobody would wait. `taken` is called
// after each change, `hold` before each release, both with the resource in hand.
template <typename Baton, typename Taken, typename Hold>
void alternate(Baton &baton, std::uint64_t wanted, Taken &&taken, Hold &&hold) {
    std::atomic<bool> comes[2] = {};
    int holder = -1;
    std::uint64_t changes = 0; // like the holder, for who has the resource to touch
    const auto run = [&](int me) {
        stay_on_cpu(me);
        for (bool again = true; again;) {
            comes[me] = true;
            baton.acquire(me);
            comes[me] = false;
            if (std::exchange(holder, me) != me) {
                ++changes;
                taken();
            }
            again = changes < wanted;
            for (int look = 0; again && !comes[1 - me]; ++look)
                look < kLooks ? relax() : std::this_thread::yield();
            hold();
            baton.release(me);
        }
    };
    std::thread one(run, 0), other(run, 1);
    one.join();
    other.join();
}

// Nanoseconds for each change of hands.
template <typename Baton> double hand_over(Baton &baton) {
    return time_loop(kHandOvers, [&](std::uint64_t wanted) { alternate(baton, wanted, [] {}, [] {}); });
}

// Nanoseconds from a release to the end of the other's wait, when the other has waited for so long that it sleeps.
template <typename Baton> double wake_up(Baton &baton) {
    double released = now_ns(), total = 0;
    const auto taken = [&] { total += now_ns() - released; };
    const auto hold = [&] {
        for (const double begin = now_ns(); now_ns() - begin < kHoldNs;)
            ;
        released = now_ns();
    };
    alternate(baton, kWakeUps, taken, hold);
    return total / kWakeUps;
}

class OstlerBaton {
  public:
    void acquire(int) {
        ostler_lease lease;
        void *resource;
        must(ostler_pool_acquire(pool_, OSTLER_FOREVER, nullptr, &lease, &resource));
        lease_ = lease;
    }

    void release(int) { must(ostler_pool_release(pool_, lease_)); }

  private:
    ostler_pool *pool_ = make_pool(1);
    ostler_lease lease_{}; // of the holder
};

// The least that two threads can do: a word says whose turn it is, and whether the other sleeps.
class FutexBaton {
  public:
    explicit FutexBaton(int looks) : looks_(looks) {}

    void acquire(int me) {
        for (int look = 0; look < looks_ && !is_turn_of(me, word_.load(std::memory_order_relaxed)); ++look)
            relax();
        for (;;) {
            std::uint32_t word = word_.load(std::memory_order_acquire);
            if (is_turn_of(me, word))
                return;
            if ((word & kAsleep) || word_.compare_exchange_weak(word, word | kAsleep, std::memory_order_relaxed))
                futex(FUTEX_WAIT_PRIVATE, word | kAsleep);
        }
    }

    void release(int me) {
        if (word_.exchange(static_cast<std::uint32_t>(1 - me), std::memory_order_acq_rel) & kAsleep)
            futex(FUTEX_WAKE_PRIVATE, 1);
    }

  private:
    static constexpr std::uint32_t kAsleep = 2;

    static bool is_turn_of(int me, std::uint32_t word) { return (word & ~kAsleep) == static_cast<std::uint32_t>(me); }

    void futex(int operation, std::uint32_t value) { syscall(SYS_futex, &word_, operation, value, nullptr); }

    const int looks_; // before it sleeps
    std::atomic<std::uint32_t> word_{0};
};

// What people write by hand, with a turn: without, who releases would acquire again before the other is awake.
class MutexBaton {
  public:
    void acquire(int me) {
        std::unique_lock lock(mutex_);
        released_.wait(lock, [=] { return turn_ == me && is_idle_; });
        is_idle_ = false;
    }

    void release(int me) {
        {
            std::lock_guard lock(mutex_);
            is_idle_ = true;
            turn_ = 1 - me;
        }
        released_.notify_one();
    }

  private:
    std::mutex mutex_;
    std::condition_variable released_;
    bool is_idle_ = true;
    int turn_ = 0;
};

double ostler_late_wait() {
    const auto acquire = [](int) {
        ostler_lease lease;
        void *resource;
        must(ostler_pool_acquire(single_pool(), OSTLER_FOREVER, nullptr, &lease, &resource));
        return lease;
    };
    return late_wait(acquire, [](int, ostler_lease lease) { must(ostler_pool_release(single_pool(), lease)); });
}

double mutex_late_wait() {
    return late_wait([](int) { return single_mutex_pool().acquire(); },
                     [](int, void *resource) { single_mutex_pool().release(resource); });
}

// The least that the machine makes of two who take turns.
double futex_late_wait() {
    static FutexBaton baton(0);
    return late_wait(
        [](int me) {
            baton.acquire(me);
            return me;
        },
        [](int me, int) { baton.release(me); });
}

// Each has it in its turn, as where turns are kept.
double mutex_turns_pair(double (*clock)()) {
    static MutexBaton baton;
    return one_for_two(clock, [](int me) {
        baton.acquire(me);
        baton.release(me);
    });
}

OstlerBaton &ostler_baton() {
    static OstlerBaton baton;
    return baton;
}

FutexBaton sleeping_baton(0);
FutexBaton looking_baton(kLooks);
MutexBaton mutex_baton;

} // namespace

void add_pool(std::vector<Case> &cases) {
    cases.push_back({"pool", "acquire + release, one thread", "ns", true,
                     {{"ostler_pool_acquire/release", ostler_pair},
                      {"apr_reslist", apr_pair},
                      {"mutex + condvar + vector", mutex_pair},
                      {"r2d2", [] { return time_loop(kPairs, peer_r2d2); }},
                      {"bb8", [] { return time_loop(kPairs, peer_bb8); }},
                      {"deadpool, managed", [] { return time_loop(kPairs, peer_deadpool_managed); }},
                      {"deadpool, unmanaged", [] { return time_loop(kPairs, peer_deadpool_unmanaged); }}}});
    cases.push_back({"pool", "the same through a tap, inline", "ns", true,
                     {{"ostler_tap_acquire/release_inline", ostler_tap_pair},
                      {"ostler_pool_acquire/release", ostler_pair},
                      {"apr_reslist", apr_pair},
                      {"mutex + condvar + vector", mutex_pair}}});
    cases.push_back({"pool", "the same, 32 at once, each", "ns", true,
                     {{"ostler_tap_acquire_n/release_n_inline", ostler_tap_many},
                      {"ostler_pool_acquire_n/release_n", ostler_many},
                      {"ostler_pool_acquire/release", ostler_pair},
                      {"apr_reslist, one by one", apr_pair}}});
    cases.push_back({"pool", "two threads, 8 resources, each", "ns", true,
                     {{"ostler_pool_acquire/release",
                       [] { return by_threads(2, kContendedPairs, [] { use(roomy_pool()); }); }},
                      {"apr_reslist", [] { return by_threads(2, kContendedPairs, [] { use(roomy_list()); }); }},
                      {"mutex + condvar + vector",
                       [] { return by_threads(2, kContendedPairs, [] { use(roomy_mutex_pool()); }); }},
                      {"r2d2", [] { return loop_by_threads(2, kContendedPairs, peer_r2d2); }},
                      {"bb8", [] { return loop_by_threads(2, kContendedPairs, peer_bb8); }},
                      {"deadpool, managed", [] { return loop_by_threads(2, kContendedPairs, peer_deadpool_managed); }},
                      {"deadpool, unmanaged",
                       [] { return loop_by_threads(2, kContendedPairs, peer_deadpool_unmanaged); }}},
                     false});
    cases.push_back({"pool", "the same through a tap for each, inline", "ns", true,
                     {{"ostler_tap_acquire/release_inline", ostler_taps_of_two},
                      {"the same, one thread", ostler_tap_pair},
                      {"apr_reslist", [] { return by_threads(2, kContendedPairs, [] { use(roomy_list()); }); }},
                      {"r2d2", [] { return loop_by_threads(2, kContendedPairs, peer_r2d2); }}},
                     false});
    cases.push_back({"pool", "two threads, 1 resource, each pair", "ns", true,
                     {{"ostler_pool_acquire/release, barging 1 ms", [] { return ostler_barging_pair(now_ns); }},
                      {"the same, one thread", ostler_pair},
                      {"ostler_pool_acquire/release, in turns",
                       [] { return one_for_two(now_ns, [](int) { use(single_pool()); }); }},
                      {"apr_reslist", [] { return one_for_two(now_ns, [](int) { use(single_list()); }); }},
                      {"mutex + condvar + vector",
                       [] { return one_for_two(now_ns, [](int) { use(single_mutex_pool()); }); }},
                      {"mutex + condvar, in turns", [] { return mutex_turns_pair(now_ns); }}},
                     false});
    cases.push_back({"pool", "the same, CPU time", "ns", true,
                     {{"ostler_pool_acquire/release, barging 1 ms", [] { return ostler_barging_pair(cpu_ns); }},
                      {"ostler_pool_acquire/release, in turns",
                       [] { return one_for_two(cpu_ns, [](int) { use(single_pool()); }); }},
                      {"apr_reslist", [] { return one_for_two(cpu_ns, [](int) { use(single_list()); }); }},
                      {"mutex + condvar + vector",
                       [] { return one_for_two(cpu_ns, [](int) { use(single_mutex_pool()); }); }},
                      {"mutex + condvar, in turns", [] { return mutex_turns_pair(cpu_ns); }}},
                     false});
    cases.push_back({"pool", "the same, 20 us each, p99.9 wait", "holds", true,
                     {{"ostler_pool_acquire/release", ostler_late_wait},
                      {"futex, in turns", futex_late_wait},
                      {"mutex + condvar + vector", mutex_late_wait}},
                     false});
    cases.push_back({"pool", "three threads, 2 resources, each", "ns", true,
                     {{"ostler_pool_acquire/release",
                       [] { return by_threads(3, kScarcePairs, [] { use(scarce_pool()); }); }},
                      {"apr_reslist", [] { return by_threads(3, kScarcePairs, [] { use(scarce_list()); }); }},
                      {"mutex + condvar + vector",
                       [] { return by_threads(3, kScarcePairs, [] { use(scarce_mutex_pool()); }); }}},
                     false});
    cases.push_back({"pool", "blocked hand-over, two CPUs", "ns", true,
                     {{"ostler_pool_acquire/release", [] { return hand_over(ostler_baton()); }},
                      {"futex", [] { return hand_over(sleeping_baton); }},
                      {"futex, after 100 looks", [] { return hand_over(looking_baton); }},
                      {"mutex + condvar + turn", [] { return hand_over(mutex_baton); }}},
                     false});
    const std::vector<Candidate> wake_ups{{"ostler_pool_acquire/release", [] { return wake_up(ostler_baton()); }},
                                          {"futex", [] { return wake_up(sleeping_baton); }},
                                          {"futex, after 100 looks", [] { return wake_up(looking_baton); }},
                                          {"mutex + condvar + turn", [] { return wake_up(mutex_baton); }}};
    cases.push_back({"pool", "the same, to one who sleeps", "ns", true, wake_ups, false});
    cases.push_back({"pool", "the same, both on CPU 0", "ns", true, wake_ups});
}

} // namespace bench
