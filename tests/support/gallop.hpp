// A coroutine for tests of what is awaited.
#ifndef OSTLER_TESTS_GALLOP_HPP
#define OSTLER_TESTS_GALLOP_HPP

#ifdef __cpp_impl_coroutine
#include <coroutine>
#include <exception>

/// Begins at once, and nobody waits for it.
struct gallop {
    struct promise_type {
        gallop get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() noexcept { std::terminate(); }
    };
};
#endif

#endif
