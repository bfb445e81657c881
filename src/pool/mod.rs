//! The resource pool: things that are expensive to make are made once, checked, leased out, and taken back.
//!
//! - [`config`]: what a pool is told when it is made.
//! - [`pool`]: what all of its parts share.
//! - [`acquire`], [`preparing`], [`release`]: the way of a resource through a lease.
//! - [`demand`]: what a caller asks for.
//! - [`waiting`]: an acquire that cannot be had at once.
//! - [`attendant`]: an acquire that holds no thread up.
//! - [`turns`]: an acquire in two steps, between which its host waits in its own way.
//! - [`many`]: the same for many at once.
//! - [`life`]: what becomes of a resource between its leases, and what is done to all of them at once.
//! - [`closing`]: the end of all of them.
//! - [`resize`]: the bounds, and their change.
//! - [`slots`]: where resources live, and the leases that name them.
//! - [`stack`], [`shelf`], [`by_node`], [`idle`]: the lock-free sets of slot numbers, one for all or one for each node.
//! - [`at_hand`]: idle resources in the pockets of threads.
//! - [`taps`], [`tap`]: the same in places that a host's own code leases from.
//! - [`waiters`], [`looks`]: callers who wait, first come first served, and who look for their turn before they sleep.
//! - [`barging`]: waiters that may be overtaken for a while.
//! - [`overload`]: who is refused when more is asked than can be given.
//! - [`reclaim`]: leases that are revoked, and idle resources that go when memory is needed.
//! - [`memory`]: what resources are charged for, and what goes when memory runs short.
//! - [`events`]: what a host hears.
//! - [`creators`]: the threads that make resources in the background.
//! - [`breaker`]: how often a create that fails is tried again.
//! - [`housekeeper`]: the thread that keeps the least number ready and lets go what is too old.
//! - [`borrowers`], [`sites`]: who has what, and from where in the host's program.
//! - [`numbers`], [`times`]: what a pool counts and measures.
//! - [`cells`]: cells that each carry one result at a time, under keys that are never taken for one another; and the free ones
//!   that threads have at hand.
//! - [`deferred`]: such cells for the host's own results, and the desks at which its own code uses them.
//! - [`templates`]: initial data that is built once for each key, and copied without a lock.

mod acquire;
mod at_hand;
mod attendant;
mod barging;
mod borrowers;
mod breaker;
mod by_node;
pub mod cells;
mod closing;
mod config;
mod creators;
mod deferred;
mod demand;
mod events;
mod housekeeper;
mod idle;
mod life;
mod looks;
mod many;
mod memory;
mod numbers;
mod overload;
#[allow(clippy::module_inception)]
mod pool;
mod preparing;
mod reclaim;
mod release;
mod resize;
mod shelf;
mod sites;
mod slots;
mod stack;
mod tap;
mod taps;
pub mod templates;
mod times;
mod turns;
mod waiters;
mod waiting;

pub use attendant::{Acquired, Begun, Hearer, Outcome};
pub use borrowers::LeaseInfo;
pub use cells::desk::{Desk, LAYOUT as DESK_LAYOUT, ROOM as DESK_ROOM};
pub use closing::{CloseError, Left};
pub use config::{Affinity, IdleOrder, PoolConfig};
pub use deferred::{
    CELL_BYTES, CELL_OFFSETS, Completion, CreateDeferredError, Deferred, DeferredError, DeferredStats, End, OpenDesk,
    Recipient, Settled,
};
pub use demand::Demand;
pub use events::Event;
pub use life::WarmError;
pub use numbers::{PoolStats, PoolTimes};
pub use pool::{CreateError, Factory, Pool};
pub use reclaim::RevokeError;
pub use resize::ResizeError;
pub use slots::{Lease, MOST_SLOTS, Resource, Slot, StaleLease};
pub use tap::{LAYOUT as TAP_LAYOUT, ROOM as TAP_ROOM, Tap};
pub use taps::OpenTap;
pub use times::TimesSnapshot;
pub use turns::Step;
pub use waiters::Bell;
pub use waiting::AcquireError;

#[cfg(test)]
mod tests;
