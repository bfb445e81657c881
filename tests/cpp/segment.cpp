// Segment: one memory at two addresses.
#include "check.h"
#include <ostler.hpp>

#include <unistd.h>

TEST(a_block_is_found_at_another_address)
{
    ostler::segment ours(ostler::segment_config(1 << 20).on(ostler::pages::base).named("shared"));
    const int fd = ours.descriptor();
    ostler::segment theirs = ostler::segment::attach(fd);
    close(fd);
    const auto made = ours.allocate(sizeof(int));
    *static_cast<int *>(made.memory) = 42;
    ours.set_root(made.block);
    const auto found = theirs.at(theirs.root());
    CHECK_EQ(found.size, sizeof(int));
    CHECK(found.memory != made.memory);
    CHECK_EQ(*static_cast<int *>(found.memory), 42);
    CHECK_EQ(theirs.find(found.memory).value, made.block.value);
    CHECK(theirs.owner() == ostler::owner_state::alive);
    CHECK_EQ(ours.receipt().mapped_bytes, ours.stats().bytes);
    std::error_code failure;
    CHECK_EQ(theirs.find(made.memory, failure).value, 0u);
    CHECK(failure == ostler::errc::foreign_pointer);
    ours.reset();
    CHECK(!theirs.at(made.block, failure).memory);
    CHECK(failure == ostler::errc::stale_block);
    ours.destroy();
    CHECK(theirs.owner() == ostler::owner_state::closed);
}

TEST(what_cannot_be_attached_throws)
{
    bool thrown = false;
    try {
        ostler::segment::attach(0);
    } catch (const ostler::error &caught) {
        thrown = caught.status() == ostler::errc::invalid_argument;
    }
    CHECK(thrown);
    std::error_code failure;
    ostler::segment ours;
    const int fd = ours.descriptor(ostler::access::read_only);
    CHECK(!ostler::segment::attach(fd, ostler::access::read_write, failure));
    CHECK(failure == ostler::errc::unsupported);
    ostler::segment theirs = ostler::segment::attach(fd, ostler::access::read_only, failure);
    CHECK(!failure && bool(theirs));
    CHECK_EQ(theirs.allocate(1, 1, failure).memory, 0);
    CHECK(failure == ostler::errc::unsupported);
    CHECK_EQ(theirs.descriptor(ostler::access::read_write, failure), -1);
    close(fd);
}

CHECK_MAIN()
