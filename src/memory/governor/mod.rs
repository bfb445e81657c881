//! The governor of memory: one for the process. It knows who holds how much, how much there may be, and how short the
//! machine is.
//!
//! An [`account`] is charged for what an object holds, and the [`root`] of all accounts admits a charge or refuses it, by
//! one comparison with the [`limit`]. The limit is the least of what the host set and what the kernel allows; a [`look`]
//! reads it anew, on the way of a charge that finds the last look too old, and says by the fill of every limit and by
//! [`stall`]s what the [`level`] is. A [`reservation`] is an account of the host's own, and keeps in a [`window`] what is
//! released and reserved again.
//!
//! Once the host configures or watches the governor, a thread, the [`keeper`], looks at every tick, and tells who keeps a
//! [`watch`]. Who can give memory back is listed in [`reclaim`], and is asked while memory is short. In [`rounds`] the
//! memory of all accounts is looked at again.

pub mod account;
pub mod keeper;
pub mod level;
pub mod limit;
pub mod look;
pub mod reclaim;
pub mod reservation;
pub mod root;
pub mod rounds;
pub mod stall;
pub mod watch;
pub mod window;

pub use account::{Account, Charge, Holder};
pub use root::Refused;

use crate::base::alloc::OutOfMemory;
use crate::base::thread::SpawnError;

/// Governs the process by this configuration from now on; the thread is there before anything is changed.
pub fn configure(config: look::Config) -> Result<(), SpawnError> {
    keeper::start()?;
    look::configure(config);
    look::activate();
    Ok(())
}

/// As before the first configuration. The thread goes unless somebody keeps a watch.
pub fn forget() {
    look::forget();
    if !keeper::send_away_unless_watched() {
        look::activate();
    }
}

#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

/// Has a listener told of each change of the level.
pub fn watch(listener: Box<dyn watch::Listener>) -> Result<u64, WatchError> {
    let id = watch::add(listener)?;
    if let Err(error) = keeper::start() {
        watch::remove(id);
        return Err(error.into());
    }
    look::activate();
    Ok(id)
}

/// Ends a watch. `false`: there is no such watch.
pub fn unwatch(id: u64) -> bool {
    watch::remove(id)
}

/// Ends the thread, with every callback, and forgets what the host said; for a shutdown.
pub fn end() {
    keeper::stop();
    watch::clear();
    look::forget();
}
