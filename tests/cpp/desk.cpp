// Desk: cells that are got, completed and taken without a call.
#include "check.h"
#include <ostler.hpp>

#include <thread>

namespace {

struct parcel {
    explicit parcel(int what) : what(what) { ++alive; }
    parcel(const parcel &) = delete;
    ~parcel() { --alive; }
    int what;
    static inline int alive = 0;
};

bool is_alone(const ostler::desk<parcel> &desk)
{
    return *desk.get()->who == reinterpret_cast<std::uintptr_t>(desk.get());
}

void warm(ostler::desk<parcel> &desk)
{
    for (int i = 0; i < 200; i++) {
        std::error_code failure;
        auto cell = desk.acquire();
        desk.complete(cell.completer(), std::make_unique<parcel>(i));
        CHECK_EQ(desk.poll(cell, failure)->what, i);
        CHECK(!failure && !cell);
    }
}

} // namespace

TEST(value_goes_over_the_desk)
{
    ostler::deferred<parcel> set(64);
    ostler::desk<parcel> desk(set);
    warm(desk);
    CHECK(is_alone(desk));
    const auto at_hand = desk.get()->count;
    CHECK(at_hand > 0);
    {
        auto cell = desk.acquire();
        CHECK_EQ(desk.get()->count, at_hand - 1);
        std::error_code failure;
        CHECK(!desk.poll(cell, failure));
        CHECK(failure == ostler::errc::not_ready);
        CHECK(cell);
        CHECK(desk.release(cell) == ostler::errc::ok);
        CHECK(desk.release(cell) == ostler::errc::ok);
        CHECK(!cell);
    }
    CHECK_EQ(desk.get()->count, at_hand);
    CHECK(is_alone(desk));
    CHECK_EQ(set.stats().released, 1u);
    CHECK_EQ(set.stats().completed, 200u);
    CHECK_EQ(set.stats().in_use, 0u);
    CHECK_EQ(parcel::alive, 0);
}

TEST(failure_and_refusal_are_told)
{
    ostler::deferred<parcel> set(1);
    ostler::desk<parcel> desk(set);
    std::error_code failure;
    auto cell = desk.acquire();
    CHECK(!desk.acquire(failure));
    CHECK(failure == ostler::errc::exhausted);
    try {
        (void)desk.acquire();
        CHECK(!"it throws");
    } catch (const ostler::error &caught) {
        CHECK(caught.code() == ostler::errc::exhausted);
    }
    const auto completer = cell.completer();
    desk.fail(completer, 0, failure);
    CHECK(failure == ostler::errc::invalid_argument);
    desk.fail(completer, -77);
    auto late = std::make_unique<parcel>(7);
    desk.complete(completer, std::move(late), failure);
    CHECK(failure == ostler::errc::already_completed);
    CHECK(late && late->what == 7);
    try {
        desk.complete(completer, std::move(late));
        CHECK(!"it throws");
    } catch (const ostler::error &caught) {
        CHECK(caught.code() == ostler::errc::already_completed);
    }
    CHECK(late);
    CHECK(!desk.poll(cell, failure));
    CHECK_EQ(failure.value(), -77);
    CHECK(!cell);
    CHECK(!desk.poll(cell, failure));
    CHECK(failure == ostler::errc::stale_cell);
}

TEST(cell_that_was_moved_away_is_no_way_to_the_cell)
{
    ostler::deferred<parcel> set(64);
    ostler::desk<parcel> desk(set);
    warm(desk);
    auto moved = desk.acquire();
    auto cell = std::move(moved);
    desk.complete(cell.completer(), std::make_unique<parcel>(3));
    std::error_code failure;
    CHECK(!desk.poll(moved, failure));
    CHECK(failure == ostler::errc::stale_cell);
    CHECK(desk.release(moved) == ostler::errc::ok);
    CHECK_EQ(desk.poll(cell, failure)->what, 3);
    CHECK(!failure);
}

TEST(cell_that_a_desk_refuses_is_not_lost)
{
    ostler::deferred<parcel> set(64), other_set(64);
    {
        ostler::desk<parcel> desk(set), other(other_set), gone(set);
        const auto moved = std::move(gone);
        warm(desk);
        warm(other);
        auto cell = desk.acquire();
        CHECK(other.release(cell) == ostler::errc::stale_cell);
        CHECK(gone.release(cell) == ostler::errc::invalid_handle);
        CHECK(cell);
        CHECK_EQ(set.stats().in_use, 1u);
        CHECK(desk.release(cell) == ostler::errc::ok);
        CHECK(!cell);
        auto left = desk.acquire();
        CHECK(gone.release(left) == ostler::errc::invalid_handle);
    }
    CHECK_EQ(set.stats().in_use, 0u);
    CHECK_EQ(set.stats().released, 2u);
}

TEST(cell_of_a_desk_is_completed_elsewhere_and_waited_for)
{
    ostler::deferred<parcel> set(64);
    ostler::desk<parcel> desk(set);
    warm(desk);
    auto cell = desk.acquire(), given_up = desk.acquire();
    const auto completer = cell.completer();
    std::thread other([completer] {
        auto side = completer;
        side.complete(std::make_unique<parcel>(9));
    });
    CHECK_EQ(cell.wait()->what, 9);
    other.join();
    CHECK(!is_alone(desk));
    desk.complete(given_up.completer(), std::make_unique<parcel>(1));
    given_up = {};
    warm(desk);
    CHECK_EQ(set.stats().discarded, 1u);
    CHECK_EQ(parcel::alive, 0);
}

TEST(desk_and_its_cells_outlive_the_set)
{
    ostler::cell<parcel> cell;
    std::error_code failure;
    {
        auto set = std::make_unique<ostler::deferred<parcel>>(64);
        ostler::desk<parcel> desk(*set), moved(std::move(desk));
        CHECK(!desk && moved);
        cell = moved.acquire();
        set.reset();
        CHECK(!moved.acquire(failure));
        CHECK(failure == ostler::errc::closed);
    }
    CHECK(!cell.poll(failure));
    CHECK(failure == ostler::errc::closed);
    CHECK(!cell);
}

TEST(set_that_was_moved_away_has_no_desk)
{
    ostler::deferred<parcel> moved(1);
    const auto set = std::move(moved);
    std::error_code failure;
    ostler::desk<parcel> desk(moved, failure);
    CHECK(!desk);
    CHECK(failure == ostler::errc::invalid_handle);
    try {
        ostler::desk<parcel> none(moved);
        CHECK(!"it throws");
    } catch (const ostler::error &caught) {
        CHECK(caught.code() == ostler::errc::invalid_handle);
    }
}

CHECK_MAIN()
