//! Properties that hold whatever is drawn at random. The pool as its header has it, against a model: sequences of calls,
//! checked step by step and made short when one fails; and callbacks under load, with an account of every resource. And
//! the planning of memory, on machines of any shape.

mod factory;
mod machine;
#[cfg(feature = "faults")]
mod nodes;
mod planning;
mod sequences;
mod stress;
