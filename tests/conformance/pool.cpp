/* The conformance vectors, played through the C++ wrapper. */
#include "play.h"
#include <array>
#include <memory>
#include <new>
#include <optional>
#include <ostler.hpp>
#include <stdexcept>
#include <vector>

namespace {

struct resource {
    struct play *play;
    int number;

    resource(struct play *of, int which) : play(of), number(which) {}
    ~resource() noexcept(false)
    {
        if (play_callback(play, PLAY_END, number) == PLAY_THROWS)
            throw std::runtime_error("not destroyed quietly");
    }
};

struct host {
    std::optional<ostler::pool<resource>> pool;
    std::array<ostler::lease<resource>, PLAY_LEASES> leases;
    /* A lease that has ended is empty here, so that what names it is kept beside it. */
    std::array<ostler_lease, PLAY_LEASES> names{};
    std::array<ostler::cancel, PLAY_CANCELS> cancels;
};

host &host_of(struct play *play) { return *static_cast<host *>(play->host); }

void answer(enum play_conduct conduct)
{
    if (conduct == PLAY_FAILS)
        throw std::runtime_error("none today");
    if (conduct == PLAY_THROWS)
        throw 42;
}

struct play_outcome outcome_of(int status) { return play_outcome_of(status, ostler::last_error_message()); }

struct play_outcome outcome_of(const std::error_code &failure) { return outcome_of(failure.value()); }

struct play_outcome outcome_of(ostler::errc status) { return outcome_of(static_cast<int>(status)); }

/* The name of a lease, by the list of those that are out. */
ostler_lease name_of(host &host, const ostler::lease<resource> &lease)
{
    std::error_code failure;
    for (const auto &info : host.pool->leases(failure)) {
        if (info.resource == lease.get())
            return info.raw;
    }
    return {};
}

struct play_outcome leased(host &host, const struct play_step *step, std::vector<ostler::lease<resource>> taken,
                           const std::error_code &failure)
{
    auto outcome = outcome_of(failure);
    const auto count = failure ? 0 : static_cast<std::size_t>(step->leases_count);
    EXPECT_EQ(taken.size(), count);
    for (std::size_t i = 0; i < taken.size(); i++) {
        const auto place = static_cast<std::size_t>(step->leases[i]);
        outcome.resources[i] = taken[i]->number;
        host.names[place] = name_of(host, taken[i]);
        host.leases[place] = std::move(taken[i]);
    }
    return outcome;
}

struct play_outcome leased(host &host, const struct play_step *step, ostler::lease<resource> taken,
                           const std::error_code &failure)
{
    std::vector<ostler::lease<resource>> one;
    if (EXPECT_EQ(static_cast<bool>(taken), !failure) && taken)
        one.push_back(std::move(taken));
    return leased(host, step, std::move(one), failure);
}

struct play_outcome looked(host &host, ostler_lease name)
{
    std::error_code failure;
    for (const auto &info : host.pool->leases(failure)) {
        if (info.raw.value == name.value) {
            auto outcome = outcome_of(failure);
            outcome.resources[0] = info.resource->number;
            return outcome;
        }
    }
    return outcome_of(failure ? failure.value() : static_cast<int>(ostler::errc::stale_lease));
}

ostler::wait_limit limit_of(host &host, const struct play_step *step)
{
    const auto place = static_cast<std::size_t>(step->cancel);
    const ostler::cancel *stop = step->cancel == PLAY_ANY ? nullptr : &host.cancels[place];
    if (step->timeout_ns == OSTLER_FOREVER)
        return {ostler::forever, stop};
    return {std::chrono::nanoseconds(step->timeout_ns), stop};
}

} // namespace

static struct play_outcome host_make(struct play *play)
{
    auto made = std::make_unique<host>();
    auto &host = *made;
    play->host = made.release();
    ostler::pool_callbacks<resource> callbacks;
    callbacks.create = [play]() -> std::unique_ptr<resource> {
        int number = 0;
        const auto conduct = play_create(play, &number);
        answer(conduct);
        return conduct == PLAY_WELL ? std::make_unique<resource>(play, number) : nullptr;
    };
    if (play->vector->validates)
        callbacks.validate = [play](resource &one) {
            const auto conduct = play_callback(play, PLAY_VALIDATE, one.number);
            if (conduct == PLAY_THROWS)
                answer(conduct);
            return conduct == PLAY_WELL;
        };
    if (play->vector->resets)
        callbacks.reset = [play](resource &one) { answer(play_callback(play, PLAY_RESET, one.number)); };
    if (play->vector->retags)
        callbacks.retag = [play](resource &one, std::uint64_t from, std::uint64_t to) {
            EXPECT(from != to);
            answer(play_callback(play, PLAY_RETAG, one.number));
        };
    std::error_code failure;
    host.pool.emplace(ostler::pool<resource>::open(std::move(callbacks), play->vector->config, failure));
    return outcome_of(failure);
}

static struct play_outcome host_perform(struct play *play, const struct play_step *step)
{
    auto &host = host_of(play);
    auto &pool = *host.pool;
    const auto place = static_cast<std::size_t>(step->leases[0]);
    auto &lease = host.leases[place];
    std::error_code failure;
    switch (step->op) {
    case PLAY_ACQUIRE: {
        ostler::demand wanted;
        if (step->priority != 0)
            wanted.priority = static_cast<ostler::priority>(step->priority);
        wanted.tag = step->tag;
        const bool is_plain = step->priority == 0 && step->tag == 0;
        auto taken = is_plain ? pool.acquire(limit_of(host, step), failure)
                              : pool.acquire(wanted, limit_of(host, step), failure);
        return leased(host, step, std::move(taken), failure);
    }
    case PLAY_TRY_ACQUIRE: {
        auto taken = pool.try_acquire(failure);
        return leased(host, step, std::move(taken), failure);
    }
    case PLAY_ACQUIRE_N: {
        auto taken = pool.acquire_n(static_cast<std::uint32_t>(step->leases_count), limit_of(host, step), failure);
        return leased(host, step, std::move(taken), failure);
    }
    case PLAY_LOOK:
        return looked(host, host.names[place]);
    case PLAY_RELEASE:
        return outcome_of(lease ? lease.release() : pool.take_back(host.names[place]));
    case PLAY_DISCARD:
        return outcome_of(lease ? lease.discard() : pool.take_back(host.names[place]));
    case PLAY_REVOKE:
        return outcome_of(pool.revoke(host.names[place]));
    case PLAY_TRIM: {
        const auto trimmed = pool.trim(step->keep_idle, failure);
        auto outcome = outcome_of(failure);
        outcome.trimmed = trimmed;
        return outcome;
    }
    case PLAY_PAUSE:
        pool.pause(failure);
        return outcome_of(failure);
    case PLAY_RESUME:
        pool.resume(failure);
        return outcome_of(failure);
    case PLAY_REFRESH:
        pool.refresh(failure);
        return outcome_of(failure);
    case PLAY_RESIZE:
        pool.resize(step->min_size, step->max_size, failure);
        return outcome_of(failure);
    case PLAY_WAIT_WARM: {
        const auto warmth = pool.wait_warm(limit_of(host, step), failure);
        auto outcome = outcome_of(failure);
        outcome.ready = warmth.ready;
        outcome.wanted = warmth.wanted;
        return outcome;
    }
    case PLAY_CLOSE: {
        const auto still_out = pool.close(limit_of(host, step), failure);
        auto outcome = outcome_of(failure);
        outcome.still_out = still_out;
        return outcome;
    }
    case PLAY_DESTROY:
        return outcome_of(pool.destroy());
    default:
        host.cancels[static_cast<std::size_t>(step->cancel)].signal(failure);
        return outcome_of(failure);
    }
}

static ostler_pool_stats host_numbers(struct play *play) { return host_of(play).pool->stats(); }

static ostler_status host_inside(struct play *play, enum play_conduct conduct)
{
    auto &pool = *host_of(play).pool;
    std::error_code failure;
    switch (conduct) {
    case PLAY_CLOSES:
        pool.close({}, failure);
        return failure.value();
    case PLAY_DESTROYS:
        return static_cast<ostler_status>(pool.destroy());
    case PLAY_WAITS_WARM:
        pool.wait_warm({}, failure);
        return failure.value();
    default: {
        auto taken = pool.acquire({}, failure);
        return failure ? failure.value() : static_cast<ostler_status>(taken.release());
    }
    }
}

static void host_end(struct play *play) { delete static_cast<host *>(play->host); }

#include VECTORS

CHECK_MAIN()
