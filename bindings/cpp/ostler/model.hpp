// What requests run on: workers that each load a state once and keep it warm.
#ifndef OSTLER_MODEL_HPP
#define OSTLER_MODEL_HPP

#include "orchestrator.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace ostler {

struct model_config : ostler_model_config {
    model_config() noexcept : ostler_model_config(detail::sized<ostler_model_config>()) {}
    model_config &workers(std::uint32_t min, std::uint32_t max = 0) noexcept
    {
        return min_workers = min, max_workers = max, *this;
    }
    model_config &batches(std::uint32_t most, duration wait = std::chrono::nanoseconds(0)) noexcept
    {
        return max_batch = most, batch_wait_ns = wait.ns(), *this;
    }
    model_config &queue(std::uint32_t requests) noexcept { return queue_capacity = requests, *this; }
    model_config &idle_timeout(duration time) noexcept { return idle_timeout_ns = time.ns(), *this; }
    /// What each worker holds: charged while it is warm, and given back under pressure by idle ones above the least number.
    model_config &memory(std::uint64_t bytes) noexcept { return memory_bytes = bytes, *this; }
    model_config &named(std::string_view text) noexcept { return detail::set_name(name, text), *this; }
};

/// What requests run on: workers that each load a State once and keep it warm. An exception that leaves load or run is
/// its failure.
template <class State> class model {
  public:
    using load_function = std::function<std::unique_ptr<State>(std::uint32_t worker)>;
    using run_function = std::function<void(State &, const batch &)>;
    using completion = std::function<void(ticket, const result &)>;

    model(orchestrator &owner, load_function load, run_function run, const ostler_model_config &config = model_config())
    {
        *this = detail::thrown(
            [&](std::error_code &failure) { return open(owner, std::move(load), std::move(run), config, failure); });
    }
    /// Throws nothing but std::bad_alloc.
    static model open(orchestrator &owner, load_function load, run_function run, const ostler_model_config &config,
                      std::error_code &failure)
    {
        model made;
        made.functions_ = std::make_shared<functions>(functions{std::move(load), std::move(run)});
        made.owner_ = owner.kept_;
        if (owner.kept_)
            owner.kept_->add(made.functions_);
        auto table = detail::sized<ostler_model_callbacks>();
        table.load = made.functions_->load ? load_one : nullptr;
        table.run = made.functions_->run ? run_batch : nullptr;
        table.unload = unload_one;
        ostler_model *raw = nullptr;
        detail::note(ostler_model_create(owner.get(), &config, &table, made.functions_.get(), &raw), failure);
        made.raw_ = raw_handle(raw);
        if (failure)
            made.drop_functions();
        return made;
    }
    model(model &&) noexcept = default;
    model &operator=(model &&other) noexcept
    {
        if (this != &other) {
            end();
            raw_ = std::move(other.raw_);
            functions_ = std::move(other.functions_);
            owner_ = std::move(other.owner_);
        }
        return *this;
    }
    ~model() { end(); }

    ostler_model *get() const noexcept { return raw_.get(); }
    explicit operator bool() const noexcept { return static_cast<bool>(raw_); }

    /// Waits until the least number of workers is loaded.
    void wait_ready(wait_limit limit = {})
    {
        detail::check(ostler_model_wait_ready(get(), limit.timeout_ns(), limit.stop()));
    }
    void wait_ready(wait_limit limit, std::error_code &failure) noexcept
    {
        detail::note(ostler_model_wait_ready(get(), limit.timeout_ns(), limit.stop()), failure);
    }

    [[nodiscard]] ticket submit(const ostler_request &request)
    {
        return detail::thrown([&](std::error_code &failure) { return submit(request, failure); });
    }
    [[nodiscard]] ticket submit(const ostler_request &request, std::error_code &failure) noexcept
    {
        ticket accepted{};
        detail::note(ostler_model_submit(get(), &request, &accepted), failure);
        return accepted;
    }
    /// The function takes the outcome; the request's own user_data and on_complete are not used.
    ticket submit(request request, completion done)
    {
        return detail::thrown([&](std::error_code &failure) { return submit(request, std::move(done), failure); });
    }
    /// Throws nothing but std::bad_alloc.
    ticket submit(request request, completion done, std::error_code &failure)
    {
        auto kept = std::make_unique<completion>(std::move(done));
        request.on_complete = complete_one;
        request.user_data = kept.get();
        const ticket accepted = submit(request, failure);
        // complete_one owns it now, or may, where the library panicked.
        if (!failure || failure == errc::panic)
            (void)kept.release();
        return accepted;
    }
    /// Submits many in one call; tells how many were accepted before the first that was refused.
    std::size_t submit(const request *requests, std::size_t count, ticket *tickets, std::error_code &failure) noexcept
    {
        std::uint32_t accepted = 0;
        const auto all = static_cast<std::uint32_t>(std::min<std::size_t>(count, UINT32_MAX));
        detail::note(ostler_model_submit_n(get(), requests, all, tickets, &accepted), failure);
        return accepted;
    }
    /// The tickets of those that were accepted before the first that was refused. Throws when none was.
    [[nodiscard]] std::vector<ticket> submit(const std::vector<request> &requests)
    {
        std::vector<ticket> tickets(requests.size());
        std::error_code failure;
        tickets.resize(submit(requests.data(), requests.size(), tickets.data(), failure));
        if (failure && tickets.empty())
            detail::raise(failure.value());
        return tickets;
    }

    ostler_model_stats stats() const
    {
        return detail::thrown([&](std::error_code &failure) { return stats(failure); });
    }
    ostler_model_stats stats(std::error_code &failure) const noexcept
    {
        auto stats = detail::sized<ostler_model_stats>();
        detail::note(ostler_model_get_stats(get(), &stats), failure);
        return stats;
    }

    /// Destroys it now; from inside one of its own callbacks it is would_deadlock, and the model is kept.
    errc destroy() noexcept
    {
        const errc status = raw_.destroy();
        // Any other answer means that workers may be there yet; then the orchestrator keeps the functions until its end.
        if (status == errc::ok)
            drop_functions();
        return status;
    }

  private:
    using raw_handle = handle<ostler_model, ostler_model_destroy>;
    struct functions {
        load_function load;
        run_function run;
    };

    model() noexcept = default;

    static ostler_status load_one(void *user_data, std::uint32_t worker, void **state) noexcept
    {
        return detail::guarded([&] {
            *state = static_cast<functions *>(user_data)->load(worker).release();
            return *state ? OSTLER_OK : detail::fail(OSTLER_E_CALLBACK_FAILED, "load returned no state");
        });
    }
    static ostler_status run_batch(void *user_data, void *state, ostler_item *const *items, std::uint32_t count) noexcept
    {
        return detail::guarded([&] {
            static_cast<functions *>(user_data)->run(*static_cast<State *>(state), batch(items, count));
            return OSTLER_OK;
        });
    }
    static void unload_one(void *, void *state) noexcept
    {
        detail::swallowed([&] { delete static_cast<State *>(state); });
    }
    static void complete_one(void *user_data, ostler_ticket ticket, const ostler_result *outcome) noexcept
    {
        const std::unique_ptr<completion> done(static_cast<completion *>(user_data));
        // The library releases its reference to what was handed over; this one is the result's.
        ostler_result kept = *outcome;
        kept.output_buffer = detail::shared(kept.output_buffers, kept.output_buffer).detach();
        const result given(kept);
        detail::swallowed([&] { (*done)(ticket, given); });
    }

    void drop_functions() noexcept
    {
        if (const auto owner = std::exchange(owner_, {}).lock())
            owner->remove(functions_);
    }
    void end() noexcept
    {
        if (raw_)
            destroy();
        raw_.detach();
    }

    std::shared_ptr<functions> functions_;
    std::weak_ptr<detail::kept_functions> owner_;
    raw_handle raw_;
};

} // namespace ostler

#endif
