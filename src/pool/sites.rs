//! From where in the host's program each lease was taken, while tracing is on; nothing is kept before it was.

use super::slots::Lease;
use crate::base::alloc;
use crate::base::tracing::CallSite;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

#[derive(Default)]
pub(super) struct Sites {
    /// By slot; empty where there was no memory for them.
    places: OnceLock<Vec<Place>>,
}

#[derive(Default)]
struct Place {
    /// The lease that the site is of.
    lease: AtomicU64,
    site: AtomicU32,
}

impl Sites {
    /// For the owner of the slot, of which there are so many.
    #[cold]
    pub fn note(&self, capacity: u32, number: u32, lease: Lease, site: CallSite) {
        let places = self.places.get_or_init(|| {
            let mut places = alloc::try_vec(capacity as usize).unwrap_or_default();
            places.resize_with(places.capacity().min(capacity as usize), Place::default);
            places
        });
        if let Some(place) = places.get(number as usize) {
            place.lease.store(0, SeqCst);
            place.site.store(site.number(), SeqCst);
            place.lease.store(lease.0, SeqCst);
        }
    }

    /// Of a lease in that slot.
    pub fn of(&self, number: u32, lease: Lease) -> CallSite {
        let Some(place) = self.places.get().and_then(|places| places.get(number as usize)) else {
            return CallSite::NONE;
        };
        let site = place.site.load(SeqCst);
        // Looked at afterwards, so that the site is not a later one's.
        if place.lease.load(SeqCst) == lease.0 { CallSite::from_number(site) } else { CallSite::NONE }
    }
}
