//! Ostler keeps expensive things warm: memory on the pages and nodes asked for, pools, workers that load once, and an
//! orchestrator that feeds them.
//!
//! The house, lowest floor first; a room imports only from the floors below it:
//!
//! - [`base`]: handles, panics, callbacks, waiting, time, injected failures: a seam for the library's tests, a kit for
//!   those of its users.
//! - [`memory`]: topology, pages, arenas and their cursors.
//! - [`pool`]: resources made once and leased out.
//! - [`worker`]: threads that load a state once and stay warm.
//! - [`orchestrator`]: models, requests, queues, batches.
//! - [`abi`]: the roof, the only room with `extern "C"`; `include/ostler.h` is generated from its doc comments.

#[cfg(not(panic = "unwind"))]
compile_error!("Ostler turns panics into statuses, so it must be built with panic = \"unwind\"");
#[cfg(not(target_pointer_width = "64"))]
compile_error!("Ostler needs a 64-bit target: handles are 64-bit numbers in a pointer");

pub mod abi;
pub mod base;
pub mod memory;
pub mod orchestrator;
pub mod pool;
pub mod worker;
