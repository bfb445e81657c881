//! The roof: the only room with `extern "C"`, one file or folder for each noun. A function here checks its arguments, enters
//! the guard, calls one method of a core type, and turns the result into a status.

// The names and types of C, and pointers that come from there: what each function asks of them stands in its doc
// comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

pub mod account;
pub mod acquire;
pub mod advice;
pub mod arena;
mod arguments;
pub mod block;
pub mod buffer;
pub mod buffers;
pub mod cancel;
pub mod coverage;
pub mod cursor;
pub mod deferred;
pub mod desk;
pub mod file;
pub mod governor;
mod guard;
pub mod hand_over;
pub mod heap;
pub mod lazy;
pub mod lease;
pub mod library;
pub mod magazine;
pub mod mark;
pub mod model;
pub mod orchestrator;
pub mod page_source;
pub mod pool;
pub mod receipt;
pub mod request;
pub mod segment;
pub mod slab;
pub mod status;
mod structs;
pub mod tap;
pub mod templates;
pub mod testkit;
pub mod topology;
pub mod tracing;
pub mod turn;

#[cfg(feature = "faults")]
mod faults;
