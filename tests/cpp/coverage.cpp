// Coverage: what became of the memory of each noun that is made of chunks, and of all together.
#include "check.h"
#include <ostler.hpp>

#include <string>
#include <type_traits>

namespace {

constexpr std::uint64_t bytes = 1 << 20;
const ostler::page_source base(ostler::pages::base);

/// Throwing and telling forms agree, of an object of one chunk.
template <class Object> void is_looked_at(Object &object)
{
    static_assert(!std::is_copy_constructible_v<Object> && std::is_nothrow_move_constructible_v<Object>);
    std::error_code failure;
    CHECK_EQ(object.receipt(0).mapped_bytes, bytes);
    CHECK_EQ(object.receipt(0, failure).mapped_bytes, bytes);
    CHECK(!failure);
    CHECK_EQ(object.receipt(1, failure).mapped_bytes, 0u);
    CHECK(failure == ostler::errc::invalid_argument);
    CHECK(object.receipts().find("1 MiB") != std::string::npos);
    const ostler_coverage coverage = object.coverage();
    CHECK(coverage.mapped_bytes == bytes && coverage.wanted_huge_bytes == 0 && coverage.remote_bytes == 0);
    CHECK_EQ(object.coverage(failure).mapped_bytes, bytes);
    CHECK(!failure);
    CHECK_EQ(object.repair().small_bytes_after, 0u);
    Object gone = std::move(object);
    CHECK_EQ(object.repair(failure).limit, OSTLER_LIMIT_NONE);
    CHECK(failure == ostler::errc::invalid_handle);
    CHECK(object.receipts(failure).empty() && failure == ostler::errc::invalid_handle);
    CHECK(object.coverage(failure).mapped_bytes == 0 && failure == ostler::errc::invalid_handle);
}

} // namespace

TEST(every_noun_of_chunks_is_looked_at)
{
    ostler::arena arena(ostler::arena_config().on(base).chunks_of(bytes));
    is_looked_at(arena);
    ostler::heap heap(ostler::heap_config().on(base).chunks_of(bytes));
    is_looked_at(heap);
    ostler::slab<long> slab(ostler::slab_config().on(base).chunks_of(bytes).at_most(bytes / sizeof(long)));
    is_looked_at(slab);
    ostler::buffers buffers(ostler::buffers_config().on(base).chunks_of(bytes));
    is_looked_at(buffers);
}

TEST(the_governor_knows_what_was_seen_of_all)
{
    ostler::heap heap(ostler::heap_config().on(base).chunks_of(bytes).named("seen"));
    CHECK_EQ(ostler::governor::stats().seen.age_ns, UINT64_MAX);
    CHECK_EQ(ostler::governor::coverage().mapped_bytes, bytes);
    CHECK_EQ(ostler::governor::stats().seen.mapped_bytes, bytes);
    CHECK_EQ(ostler::governor::accounts()[0].seen.mapped_bytes, bytes);
    CHECK_EQ(ostler::governor::repair().remote_bytes_before, 0u);
    std::error_code failure;
    ostler::governor::configure(ostler::governor::config().looks_every(std::chrono::milliseconds(1)), failure);
    CHECK(failure == ostler::errc::invalid_argument);
    ostler::governor::configure(ostler::governor::config().looks_every(ostler::forever));
    ostler::governor::forget();
}

CHECK_MAIN()
