// Slab: typed slots, objects that end where they should, and magazines.
#include "check.h"
#include <ostler.hpp>

#include <set>
#include <stdexcept>
#include <thread>

namespace {

struct foal {
    static inline std::atomic<int> alive{0};
    int number;
    alignas(32) char mane[32];
    explicit foal(int it) : number(it)
    {
        if (it < 0)
            throw std::invalid_argument("no such foal");
        alive++;
    }
    ~foal() { alive--; }
};

ostler::slab_config of(std::uint64_t foals) { return ostler::slab_config().on(ostler::pages::base).at_most(foals); }

} // namespace

TEST(objects_live_in_slots_of_their_own_and_are_walked_in_order)
{
    ostler::slab<foal> slab(of(100));
    std::vector<ostler::slab<foal>::pointer> herd;
    for (int i = 0; i < 100; i++)
        herd.push_back(slab.make(i));
    CHECK_EQ(foal::alive.load(), 100);
    std::error_code failure;
    CHECK(!slab.try_make(failure, 100) && failure == ostler::errc::exhausted);
    const foal *last = nullptr;
    std::set<int> seen;
    slab.for_each([&](const foal &one) {
        CHECK(!last || &one == last + 1);
        last = &one;
        seen.insert(one.number);
    });
    CHECK_EQ(seen.size(), 100u);
    CHECK_EQ(slab.live().size(), 100u);
    herd.resize(40);
    CHECK_EQ(foal::alive.load(), 40);
    CHECK_EQ(slab.stats().out, 40u);
    CHECK_EQ(slab.stats().slot_bytes, sizeof(foal));
    CHECK(slab.receipt(0).mapped_bytes >= 100 * sizeof(foal));
}

TEST(constructor_that_throws_leaves_the_slot_free)
{
    ostler::slab<foal> slab(of(1));
    ostler::magazine<foal> magazine(slab);
    for (int i = 0; i < 10; i++) {
        std::error_code failure;
        try {
            (i % 2 ? magazine.make(-1).get() : slab.make(-1).get());
            CHECK(false);
        } catch (const std::invalid_argument &) {
        }
        CHECK_EQ(slab.stats().out, 0u);
    }
    CHECK_EQ(magazine.make(7)->number, 7);
    CHECK_EQ(foal::alive.load(), 0);
}

TEST(object_ends_on_another_thread)
{
    ostler::slab<foal> slab(of(1000));
    for (int round = 0; round < 20; round++) {
        std::vector<ostler::slab<foal>::pointer> herd;
        for (int i = 0; i < 100; i++)
            herd.push_back(slab.make(i));
        std::thread([&slab, herd = std::move(herd)]() mutable {
            ostler::magazine<foal> magazine(slab);
            for (auto &one : herd)
                magazine.adopt(std::move(one));
        }).join();
        CHECK_EQ(foal::alive.load(), 0);
    }
    CHECK_EQ(slab.stats().out, 0u);
    slab.close(std::chrono::seconds(1));
}

TEST(object_outlives_its_slab)
{
    ostler::slab<foal>::pointer last;
    {
        ostler::slab<foal> slab(of(10));
        last = slab.make(5);
    }
    CHECK_EQ(last->number, 5);
    last.reset();
    CHECK_EQ(foal::alive.load(), 0);
}

TEST(failures_are_thrown_or_told)
{
    std::error_code failure;
    CHECK(!ostler::slab<foal>::open(of(1ull << 40), failure) && failure == ostler::errc::invalid_argument);
    try {
        ostler::slab<foal> slab(of(1ull << 40));
        CHECK(false);
    } catch (const ostler::error &error) {
        CHECK_STR_CONTAINS(error.what(), "max_slots");
    }
    ostler::slab<foal> slab(of(10));
    auto out = slab.make(1);
    CHECK_EQ(slab.close(std::chrono::milliseconds(1), failure), 1u);
    CHECK(failure == ostler::errc::timeout);
    ostler::magazine<foal> none = ostler::magazine<foal>::open(slab, failure);
    CHECK(!none && failure == ostler::errc::closed);
    CHECK_STR_CONTAINS(slab.live_table().c_str(), "0x");
    out.reset();
    CHECK_EQ(slab.trim(), 0u);
}

CHECK_MAIN()
