// Arena and cursor, and both as std::pmr::memory_resource.
#include "check.h"
#include <ostler.hpp>

#include <map>
#include <thread>

TEST(arena_backs_containers)
{
    ostler::arena arena(ostler::arena_config().chunks_of(1 << 20).named("containers"));
    ostler::memory_resource<ostler::arena> memory(arena);
    std::pmr::vector<std::pmr::string> words(&memory);
    for (int i = 0; i < 1000; i++)
        words.emplace_back(std::string(100, static_cast<char>('a' + i % 26)));
    CHECK_EQ(words[27][99], 'b');
    CHECK(arena.stats().used_bytes > 100000);
}

TEST(cursor_backs_containers_on_each_thread)
{
    ostler::arena arena;
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([&, t] {
            ostler::cursor cursor(arena);
            ostler::memory_resource<ostler::cursor> memory(cursor);
            std::pmr::map<int, int> squares(&memory);
            for (int i = 0; i < 1000; i++)
                squares[i] = i * t;
            good += squares.at(999) == 999 * t;
        });
    }
    for (auto &thread : threads)
        thread.join();
    CHECK_EQ(good.load(), 4);
    CHECK_EQ(arena.stats().cursors_open, 0u);
}

TEST(alignments_are_kept)
{
    ostler::arena arena;
    ostler::cursor cursor(arena);
    for (std::size_t alignment = 1; alignment <= 4096; alignment *= 2) {
        CHECK_EQ(reinterpret_cast<std::uintptr_t>(arena.allocate(3, alignment)) % alignment, 0u);
        CHECK_EQ(reinterpret_cast<std::uintptr_t>(cursor.allocate(3, alignment)) % alignment, 0u);
    }
}

TEST(resource_over_its_limit_throws_bad_alloc)
{
    ostler::arena arena(ostler::arena_config().chunks_of(65536).at_most(65536));
    ostler::memory_resource<ostler::arena> memory(arena);
    bool thrown = false;
    try {
        for (int i = 0; i < 100; i++)
            std::memset(memory.allocate(4096), 1, 4096);
    } catch (const std::bad_alloc &) {
        thrown = true;
    }
    CHECK(thrown);
    CHECK_STR_CONTAINS(ostler::last_error_message(), "limit");
}

TEST(marks_and_resets)
{
    ostler::arena arena;
    arena.allocate(100);
    const ostler_mark mark = arena.mark();
    const auto before = arena.stats().used_bytes;
    arena.allocate(1 << 20);
    arena.rewind(mark);
    CHECK_EQ(arena.stats().used_bytes, before);
    arena.reset();
    std::error_code failure;
    arena.rewind(mark, failure);
    CHECK(failure == ostler::errc::stale_mark);
    arena.reset(ostler::reset_mode::return_pages);
}

TEST(receipts_say_what_was_got)
{
    ostler::arena arena(ostler::arena_config().on(ostler::page_source(ostler::pages::base).prefaulted()));
    std::memset(arena.allocate(10000), 1, 10000);
    const ostler_receipt receipt = arena.receipt(0);
    CHECK_EQ(receipt.got_pages, OSTLER_PAGES_BASE);
    CHECK(receipt.resident_bytes >= 10000);
    CHECK_STR_CONTAINS(arena.receipts().c_str(), "base");
    std::error_code failure;
    arena.receipt(7, failure);
    CHECK(failure == ostler::errc::invalid_argument);
}

TEST(options_and_nodes_of_a_source_are_got)
{
    ostler::page_source source(ostler::pages::base);
    source.near_cpus({0}).guarded().not_forked().not_dumped().prefaulted().strictly();
    const ostler_receipt receipt = ostler::arena(ostler::arena_config().on(source)).receipt(0);
    const std::uint32_t all = OSTLER_OPTION_GUARDED | OSTLER_OPTION_NOT_FORKED | OSTLER_OPTION_NOT_DUMPED |
                              OSTLER_OPTION_PREFAULTED;
    CHECK_EQ(receipt.got_options & all, all);
    CHECK_EQ(receipt.got_node_policy, OSTLER_NODE_NEAREST_CPUS);
    CHECK(receipt.placed_by != OSTLER_PLACED_BY_KERNEL);
    std::error_code failure;
    ostler::arena::open(ostler::arena_config().on(ostler::page_source().on_set({0, 1000}).strictly()), failure);
    CHECK(failure == ostler::errc::node_unavailable);
    ostler::arena::open(ostler::arena_config().on(ostler::page_source().near_device("net/none")), failure);
    CHECK(failure == ostler::errc::invalid_argument);
    CHECK(ostler::arena(ostler::arena_config().on(ostler::page_source().interleaved())).receipt(0).node_set[0] != 0);
}

TEST(advice_coverage_and_repair)
{
    const ostler::page_source source = ostler::page_source(ostler::pages::base).prefaulted();
    const ostler_advice advice = ostler::advise(source, 1 << 20);
    CHECK(advice.holds == 1 && advice.page_policy == OSTLER_PAGES_BASE && advice.obstacle_count == 0);
    CHECK_STR_CONTAINS(ostler::print_advice(source, 1 << 20).c_str(), "would get");
    std::error_code failure;
    ostler::advise(source, 0, failure);
    CHECK(failure == ostler::errc::invalid_argument);
    ostler::arena arena(ostler::arena_config().on(source));
    const ostler_coverage coverage = arena.coverage();
    CHECK(coverage.resident_bytes == coverage.mapped_bytes && coverage.small_bytes == 0);
    CHECK_EQ(arena.repair().limit, OSTLER_LIMIT_NONE);
}

TEST(files_are_mapped_and_copied)
{
    const ostler::file mapped("/proc/self/exe"), copied("/proc/self/exe", ostler::file_config().copied_to({}).part(4, 100));
    CHECK(mapped.contents().substr(0, 4) == "\177ELF");
    CHECK(copied.contents() == mapped.contents().substr(4, 100));
    CHECK_EQ(mapped.info().file_bytes, mapped.contents().size());
    CHECK(copied.receipt().mapped_bytes >= 100);
    std::error_code failure;
    ostler::file::open("/nowhere", {}, failure);
    CHECK(failure == ostler::errc::system);
    mapped.receipt(failure);
    CHECK(failure == ostler::errc::unsupported);
}

TEST(scopes_of_a_cursor_free_what_was_allocated_in_them)
{
    ostler::arena arena;
    ostler::cursor cursor(arena);
    cursor.allocate(100, 1);
    // While a tool watches there is room between blocks, the same in each turn.
    char *second = nullptr, *third = nullptr;
    ostler_mark stale{};
    for (int turn = 0; turn < 3; turn++) {
        ostler::cursor::scope outer(cursor);
        char *const now = static_cast<char *>(cursor.allocate(100, 1));
        CHECK(turn == 0 || now == second);
        second = now;
        {
            ostler::cursor::scope inner(cursor);
            stale = cursor.mark();
            cursor.allocate(50'000, 1);
            cursor.allocate(5'000, 1);
        }
        char *const after = static_cast<char *>(cursor.allocate(1, 1));
        CHECK(after >= second + 100 && after < second + 5'000);
        CHECK(turn == 0 || after == third);
        third = after;
    }
    std::error_code failure;
    cursor.rewind(stale, failure);
    CHECK(failure == ostler::errc::stale_mark);
    const ostler_mark mark = cursor.mark(failure);
    CHECK(!failure);
    cursor.rewind(mark);
}

TEST(close_tells_how_many_cursors_are_open)
{
    ostler::arena arena;
    ostler::cursor cursor(arena);
    std::error_code failure;
    CHECK_EQ(arena.close(std::chrono::seconds(0), failure), 1u);
    CHECK(failure == ostler::errc::timeout);
    cursor = ostler::cursor::open(arena, failure);
    CHECK(failure == ostler::errc::closed);
    arena.close();
}

TEST(scopes_nest)
{
    ostler::arena arena;
    arena.allocate(100);
    const auto begin = arena.stats().used_bytes;
    {
        ostler::arena::scope outer(arena);
        arena.allocate(3 << 20);
        const auto before = arena.mark();
        const auto used = arena.stats().used_bytes;
        {
            ostler::arena::scope inner(arena);
            arena.allocate(3 << 20);
            CHECK(arena.stats().used_bytes > used);
        }
        CHECK_EQ(arena.stats().used_bytes, used);
        arena.rewind(before);
    }
    CHECK(arena.stats().used_bytes <= begin);
    {
        ostler::arena::scope over(arena);
        arena.reset();
        arena.allocate(100);
    }
    CHECK(arena.stats().used_bytes > 0u);
}

TEST(arena_over_a_buffer_that_does_not_grow)
{
    alignas(64) static char buffer[16384];
    ostler::arena arena(ostler::arena_config().over(buffer, sizeof buffer).growing(ostler::growth::none));
    ostler::memory_resource<ostler::arena> memory(arena);
    std::pmr::vector<int> numbers(1000, 7, &memory);
    CHECK(reinterpret_cast<char *>(numbers.data()) >= buffer && reinterpret_cast<char *>(numbers.data()) < buffer + 16384);
    std::error_code failure;
    CHECK_EQ(arena.allocate(20000, 8, failure), 0);
    CHECK(failure == ostler::errc::limit);
    static char more[40000];
    arena.adopt(more, sizeof more);
    arena.allocate(20000);
    CHECK_EQ(arena.trim(), 0u);
}

TEST(arena_and_region_are_handed_over)
{
    ostler::arena from, into;
    const ostler_mark region = from.begin_region();
    auto *word = static_cast<int *>(from.allocate(sizeof(int)));
    *word = 42;
    from.hand_over(region, into);
    from.reset(ostler::reset_mode::return_pages);
    ostler::arena heir = into.hand_over();
    CHECK(!into);
    CHECK_EQ(*word, 42);
    std::error_code failure;
    from.hand_over(region, heir, failure);
    CHECK(failure == ostler::errc::stale_mark);
    ostler::cursor cursor(heir);
    CHECK(!heir.hand_over(failure));
    CHECK(failure == ostler::errc::busy);
    CHECK(bool(heir));
}

CHECK_MAIN()
