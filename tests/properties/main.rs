//! The pool as its header has it, against a model: random sequences of calls, checked step by step and made short when
//! one fails; and random callbacks under load, with an account of every resource.

mod factory;
mod sequences;
mod stress;
