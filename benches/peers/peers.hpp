// The peers in Rust: each does its work `count` times before it returns.
#pragma once

#include <cstdint>

extern "C" {
void peer_r2d2(std::uint64_t count);
void peer_bb8(std::uint64_t count);
void peer_deadpool_managed(std::uint64_t count);
void peer_deadpool_unmanaged(std::uint64_t count);
void peer_oneshot(std::uint64_t count);
void peer_tokio_oneshot(std::uint64_t count);
void peer_oneshot_make(void **senders, void **receivers, std::uint64_t count);
void peer_oneshot_send(void *const *senders, std::uint64_t count);
void peer_oneshot_receive(void *const *receivers, std::uint64_t count);
void peer_rlsf(std::uint64_t count);
void peer_offset_allocator(std::uint64_t count);
void peer_bumpalo(std::uint64_t count);
}
