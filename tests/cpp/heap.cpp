// Heap: blocks, misuse as exceptions and as codes, containers on a heap, pins that end with their scope.
#include "check.h"
#include <ostler.hpp>

#include <cstring>
#include <list>
#include <map>
#include <string>
#include <thread>

namespace {

ostler::heap_config small() { return ostler::heap_config().on(ostler::pages::base).chunks_of(256 << 10); }

template <class Call> ostler::errc thrown_by(Call &&call)
{
    try {
        call();
    } catch (const ostler::error &error) {
        return static_cast<ostler::errc>(error.code().value());
    }
    return ostler::errc{};
}

} // namespace

TEST(blocks_are_resized_and_freed)
{
    ostler::heap heap(small());
    auto *block = static_cast<char *>(heap.allocate(100));
    std::memset(block, 7, 100);
    block = static_cast<char *>(heap.resize(block, 50000, 4096));
    CHECK_EQ(reinterpret_cast<std::uintptr_t>(block) % 4096, 0u);
    CHECK_EQ(block[99], 7);
    CHECK(heap.usable_bytes(block) >= 50000);
    CHECK_EQ(heap.blocks().size(), 1u);
    CHECK_EQ(heap.blocks()[0].requested_bytes, 50000u);
    heap.deallocate(block);
    CHECK_EQ(heap.stats().blocks, 0u);
    CHECK(heap.receipt(0).mapped_bytes >= 256u << 10);
    heap.close();
}

TEST(many_blocks_come_and_go_at_once)
{
    ostler::heap heap(small().at_most(1 << 20));
    std::error_code failure;
    const auto blocks = heap.allocate_n(100, 1000, 64);
    CHECK_EQ(blocks.size(), 100u);
    for (void *block : blocks)
        std::memset(block, 7, 1000);
    CHECK(heap.allocate_n(2000, 1000, 0, failure).empty() && failure == ostler::errc::limit);
    CHECK(thrown_by([&] { (void)heap.allocate_n(2000, 1000); }) == ostler::errc::limit);
    CHECK_EQ(heap.deallocate_n(blocks), 100u);
    CHECK_EQ(heap.deallocate_n({blocks[0], nullptr}, failure), 1u);
    CHECK(failure == ostler::errc::double_free);
    CHECK(heap.allocate_n(0, 1).empty() && heap.deallocate_n({}) == 0);
    heap.close();
}

TEST(misuse_is_thrown_or_told)
{
    ostler::heap heap(small().checking());
    auto *block = static_cast<char *>(heap.allocate(10));
    std::error_code failure;
    block[10] ^= 1;
    CHECK(thrown_by([&] { heap.check(); }) == ostler::errc::overrun);
    heap.deallocate(block, failure);
    CHECK(failure == ostler::errc::overrun);
    block[10] ^= 1;
    heap.deallocate(block);
    CHECK(thrown_by([&] { heap.deallocate(block); }) == ostler::errc::double_free);
    heap.deallocate(&heap, failure);
    CHECK(failure == ostler::errc::foreign_pointer);
    CHECK(!heap.allocate(8, 3, failure) && failure == ostler::errc::invalid_argument);
}

TEST(containers_lie_on_a_heap_and_leave_nothing_behind)
{
    ostler::heap heap(small());
    ostler::heap_resource resource(heap);
    {
        std::pmr::map<int, std::pmr::string> horses(&resource);
        for (int i = 0; i < 2000; i++)
            horses.emplace(i, std::string(static_cast<std::size_t>(i % 100), 'x'));
        for (int i = 0; i < 2000; i += 2)
            horses.erase(i);
        CHECK_EQ(horses.at(77).size(), 77u);
        CHECK(heap.stats().blocks >= 1000);
        // Another thread ends what this one made.
        std::thread([gone = std::move(horses)]() mutable { gone.clear(); }).join();
    }
    CHECK_EQ(heap.stats().blocks, 0u);
    CHECK(heap.trim() > 0);
    CHECK_EQ(heap.stats().mapped_bytes, 0u);
}

TEST(pinned_block_stays_and_the_others_move)
{
    ostler::heap heap(small());
    std::vector<ostler::block> blocks;
    for (int i = 0; i < 800; i++) {
        blocks.push_back(heap.allocate_block(1000));
        std::memset(ostler::pinned_block(heap, blocks.back()).get(), i, 1000);
    }
    {
        ostler::pinned_block last(heap, blocks[799]);
        std::error_code failure;
        heap.deallocate(blocks[799], failure);
        CHECK(failure == ostler::errc::busy);
        for (int i = 0; i < 799; i++)
            if (i % 16)
                heap.deallocate(blocks[static_cast<std::size_t>(i)]);
        const ostler_heap_compaction done = heap.compact();
        CHECK(done.moved_blocks > 0 && done.returned_chunks > 0);
        CHECK(done.fragmentation_after_ppm < done.fragmentation_before_ppm);
        CHECK_EQ(static_cast<unsigned char *>(last.get())[999], 799 % 256);
        CHECK_EQ(heap.info(blocks[799]).pins, 1u);
    }
    CHECK_EQ(heap.info(blocks[799]).pins, 0u);
    for (int i = 0; i < 799; i += 16)
        CHECK_EQ(static_cast<unsigned char *>(ostler::pinned_block(heap, blocks[static_cast<std::size_t>(i)]).get())[999], i % 256);
    heap.resize(blocks[0], 5);
    heap.deallocate(blocks[0]);
    CHECK(thrown_by([&] { ostler::pinned_block(heap, blocks[0]); }) == ostler::errc::stale_block);
}

TEST(adopted_memory_is_used)
{
    alignas(64) static char lent[65536];
    ostler::heap heap(small().adopting());
    std::error_code failure;
    CHECK(!heap.allocate(100, 16, failure) && failure == ostler::errc::limit);
    heap.adopt(lent, sizeof lent);
    auto *block = static_cast<char *>(heap.allocate(100));
    CHECK(block >= lent && block < lent + sizeof lent);
}

CHECK_MAIN()
