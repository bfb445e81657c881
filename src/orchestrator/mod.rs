//! The orchestrator: requests go to models, wait by priority and deadline, run in batches on warm workers, and end
//! in exactly one outcome.
//!
//! - [`request`]: what a request is, and what becomes of it.
//! - [`parcel`]: the buffers that travel in it.
//! - [`table`]: the pre-allocated slots in which requests live, and the tickets that name them.
//! - [`inbox`]: where submitters put requests down without a lock.
//! - [`queue`]: a model's requests in order, and its sleeping workers.
//! - [`model`]: submits, runs, and ends the requests of one model.
//! - [`memory`]: what loaded workers are charged for, and which of them go when memory runs short.
//! - [`shared`]: what an orchestrator and its models share.
//! - [`manager`]: the one thread of an orchestrator: deadlines, and more workers when they are needed.

mod error;
pub mod inbox;
pub mod manager;
mod memory;
pub mod model;
#[allow(clippy::module_inception)]
mod orchestrator;
mod parcel;
pub mod queue;
pub mod request;
pub mod shared;
pub mod table;

pub use error::{CreateError, DrainError, SubmitError, TicketError};
pub use model::{Backend, Model, ModelConfig, ModelStats, State};
pub use orchestrator::{Orchestrator, OrchestratorConfig, OrchestratorStats};
pub use parcel::ParcelError;
pub use request::{Completion, Item, Outcome, OutcomeKind, Parcel, Priority, Request, Ticket};

#[cfg(test)]
mod tests;
