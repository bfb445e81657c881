//! What happens to a pool, for a host that wants to hear of it.

use super::pool::Pool;
use super::slots::Resource;
use crate::base::callback;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Event {
    Created = 1,
    Destroyed = 2,
    BreakerOpened = 3,
    BreakerClosed = 4,
    Paused = 5,
    Resumed = 6,
    Resized = 7,
    Refreshed = 8,
    Closed = 9,
}

impl Pool {
    /// No lock may be held.
    pub(super) fn tell(&self, event: Event, resource: Resource) {
        if self.factory.hears() {
            callback::run(self.owner, || self.factory.event(event, resource));
        }
    }
}
