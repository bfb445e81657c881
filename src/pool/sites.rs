//! From where in the host's program each lease was taken, and when, while tracing is on; nothing is kept before it was.
//! Where it is declared what a resource holds, its lease is a block that tracing follows.

use super::pool::Pool;
use super::slots::Lease;
use crate::base::alloc;
use crate::base::clock;
use crate::base::tracing::census::Census;
use crate::base::tracing::{Block, CallSite, Kind, Traced};
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
    since_ns: AtomicU64,
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
            place.since_ns.store(clock::now_ns(), SeqCst);
            place.lease.store(lease.0, SeqCst);
        }
    }

    /// Of a lease in that slot.
    pub fn of(&self, number: u32, lease: Lease) -> CallSite {
        self.noted(number, lease).map_or(CallSite::NONE, |(site, _)| site)
    }

    /// Of a lease in that slot: its site, and since when it is out.
    fn noted(&self, number: u32, lease: Lease) -> Option<(CallSite, u64)> {
        let place = self.places.get()?.get(number as usize)?;
        let (site, since_ns) = (place.site.load(SeqCst), place.since_ns.load(SeqCst));
        // Looked at afterwards, so that both are not a later one's.
        (place.lease.load(SeqCst) == lease.0).then(|| (CallSite::from_number(site), since_ns))
    }
}

impl Census for Pool {
    fn each_traced(&self, each: &mut dyn FnMut(Traced)) {
        let Some((bytes, account)) = self.memory.declared() else { return };
        let block = Block { kind: Kind::Block, keeper: account.tracing_keeper(), bytes };
        for (number, lease, _) in self.slots.leased() {
            if let Some((site, since_ns)) = self.sites.noted(number, lease) {
                each(Traced { block, stands_for: 1.0, since_ns, site });
            }
        }
    }
}
