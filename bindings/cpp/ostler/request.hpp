// What is asked of a model, and what became of it.
#ifndef OSTLER_REQUEST_HPP
#define OSTLER_REQUEST_HPP

#include "buffers.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

namespace ostler {

enum class outcome : std::uint32_t {
    completed = OSTLER_OUTCOME_COMPLETED,
    failed = OSTLER_OUTCOME_FAILED,
    timed_out = OSTLER_OUTCOME_TIMED_OUT,
    cancelled = OSTLER_OUTCOME_CANCELLED,
    shed = OSTLER_OUTCOME_SHED,
};

/// Names an accepted request until its outcome is taken.
using ticket = ostler_ticket;

namespace detail {
inline buffer shared(ostler_buffers *set, ostler_buffer view) noexcept
{
    const bool is_kept = view.value != 0 && ostler_buffers_retain(set, view) == OSTLER_OK;
    return is_kept ? buffer(set, view) : buffer();
}
} // namespace detail

/// What became of a request, with what its run has handed over, which is released when this ends.
class result {
  public:
    result() noexcept : raw_(detail::sized<ostler_result>()) {}
    /// Takes the buffer of a result of C's over.
    explicit result(const ostler_result &raw) noexcept : raw_(raw) {}
    result(result &&other) noexcept : raw_(other.raw_) { other.raw_.output_buffer = {}; }
    result &operator=(result &&other) noexcept
    {
        if (this != &other) {
            (void)take_output();
            raw_ = other.raw_;
            other.raw_.output_buffer = {};
        }
        return *this;
    }
    ~result() { (void)take_output(); }

    ostler::outcome outcome() const noexcept { return static_cast<ostler::outcome>(raw_.outcome); }
    bool completed() const noexcept { return raw_.outcome == OSTLER_OUTCOME_COMPLETED; }
    explicit operator bool() const noexcept { return completed(); }
    std::error_code code() const noexcept { return {raw_.status, category()}; }
    std::string_view message() const noexcept { return raw_.message; }
    std::size_t output_bytes() const noexcept { return raw_.output_bytes; }
    std::uint32_t batch_size() const noexcept { return raw_.batch_size; }
    std::uint32_t worker() const noexcept { return raw_.worker; }
    std::chrono::nanoseconds queued() const noexcept { return std::chrono::nanoseconds(raw_.queue_ns); }
    std::chrono::nanoseconds ran() const noexcept { return std::chrono::nanoseconds(raw_.run_ns); }
    /// Throws when the request was not completed.
    const result &value() const &
    {
        if (!completed())
            detail::raise_it(error(static_cast<errc>(raw_.status), raw_.message));
        return *this;
    }
    result value() &&
    {
        (void)value();
        return std::move(*this);
    }
    /// Another reference to what the run has handed over; none when that is nothing.
    buffer output() const noexcept { return detail::shared(raw_.output_buffers, raw_.output_buffer); }
    /// The reference that came with the result, which has it no longer.
    buffer take_output() noexcept { return {raw_.output_buffers, std::exchange(raw_.output_buffer, {})}; }
    ostler_result *raw() noexcept { return &raw_; }

  private:
    ostler_result raw_;
};

/// What is submitted. The buffers are borrowed until the outcome: declare them before the orchestrator, so that an
/// exception on the way ends the workers first.
struct request : ostler_request {
    request() noexcept : ostler_request(detail::sized<ostler_request>()) {}
    request &from(const_bytes bytes) noexcept
    {
        input_buffers = nullptr, input_buffer = {};
        return input = bytes.data(), input_bytes = bytes.size(), *this;
    }
    /// The view is the input, without a copy. The request has a reference of its own until its outcome is taken.
    request &from(const buffer &view) noexcept
    {
        input = nullptr, input_bytes = 0;
        return input_buffers = view.set(), input_buffer = view.id(), *this;
    }
    request &into(mutable_bytes bytes) noexcept
    {
        return output = bytes.data(), output_capacity_bytes = bytes.size(), *this;
    }
    request &as(ostler::priority urgency) noexcept
    {
        return ostler_request::priority = static_cast<std::uint32_t>(urgency), *this;
    }
    /// Must start within this time, or at once when there is none left.
    request &within(duration time) noexcept
    {
        return deadline_after_ns = time.ns() == OSTLER_FOREVER ? 0 : std::max<std::uint64_t>(time.ns(), 1), *this;
    }
    request &with(void *pointer) noexcept { return user_data = pointer, *this; }
};

/// One request as a run sees it.
class item {
  public:
    explicit item(ostler_item *raw) noexcept : raw_(raw) {}
    const_bytes input() const noexcept { return {raw_->input, raw_->input_bytes}; }
    std::string_view input_text() const noexcept
    {
        return {static_cast<const char *>(raw_->input), raw_->input_bytes};
    }
    /// Another reference to the view that is the input; none when the input is memory of the caller's.
    buffer input_buffer() const noexcept { return detail::shared(raw_->input_buffers, raw_->input_buffer); }
    mutable_bytes output() const noexcept { return {raw_->output, raw_->output_capacity_bytes}; }
    /// Gives a buffer to whoever takes the outcome; one that was handed over before is released.
    void hand_over(buffer view) const noexcept
    {
        const buffer before(raw_->output_buffers, raw_->output_buffer);
        raw_->output_buffers = view.set(), raw_->output_buffer = view.detach();
    }
    /// Says how much of the output was written.
    void wrote(std::size_t bytes) const noexcept { raw_->output_bytes = bytes; }
    /// Copies a result to the output; fails the item when there is no room.
    void write(const_bytes bytes) const noexcept
    {
        if (bytes.size() > raw_->output_capacity_bytes)
            return fail("the output has no room for the result");
        if (bytes.size() != 0)
            std::memcpy(raw_->output, bytes.data(), bytes.size());
        wrote(bytes.size());
    }
    /// This item failed, and the others go on.
    void fail(std::string_view words, errc status = errc::callback_failed) const noexcept
    {
        raw_->status = static_cast<ostler_status>(status);
        detail::set_words(raw_->message, words);
    }
    bool cancelled() const noexcept
    {
        return __atomic_load_n(raw_->cancelled, __ATOMIC_ACQUIRE) != 0;
    }
    template <class T> T *user_data() const noexcept { return static_cast<T *>(raw_->user_data); }
    ostler::priority priority() const noexcept { return static_cast<ostler::priority>(raw_->priority); }
    ostler_item *get() const noexcept { return raw_; }

  private:
    ostler_item *raw_;
};

/// The requests of one run.
class batch {
  public:
    class iterator {
      public:
        explicit iterator(ostler_item *const *at) noexcept : at_(at) {}
        item operator*() const noexcept { return item(*at_); }
        iterator &operator++() noexcept { return ++at_, *this; }
        bool operator!=(const iterator &other) const noexcept { return at_ != other.at_; }

      private:
        ostler_item *const *at_;
    };

    batch(ostler_item *const *items, std::uint32_t count) noexcept : items_(items), count_(count) {}
    std::uint32_t size() const noexcept { return count_; }
    item operator[](std::uint32_t index) const noexcept { return item(items_[index]); }
    iterator begin() const noexcept { return iterator(items_); }
    iterator end() const noexcept { return iterator(items_ + count_); }

  private:
    ostler_item *const *items_;
    std::uint32_t count_;
};

} // namespace ostler

#endif
