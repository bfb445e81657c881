//! The governor of memory: one for the process. It knows who holds how much, how much there may be, and how short the
//! machine is.
//!
//! An [`account`] is charged for what an object holds, and the [`root`] of all accounts admits a charge or refuses it, by
//! one comparison with the [`limit`]. The limit is the least of what the host set and what the kernel allows; a [`look`]
//! reads it anew, on the way of a charge that finds the last look too old. A [`reservation`] is an account of the
//! host's own. Who can give memory back is listed in [`reclaim`].

pub mod account;
pub mod limit;
pub mod look;
pub mod reclaim;
pub mod reservation;
pub mod root;

pub use account::{Account, Charge, Holder};
pub use limit::{Limit, Source};
pub use root::Refused;
