//! The buffers that tracing follows: a sample of those that were leased. What becomes of a buffer is seen by its record, so
//! that a release has nothing to do for it.

use super::record::Records;
use super::view::View;
use crate::base::tracing::{Block, CallSite, Keeper, Kind, Traced};
use crate::base::{alloc, clock};
use parking_lot::Mutex;

/// Some of them have ended; those are struck out when there is no room for the next.
#[derive(Default)]
pub struct Traces(Mutex<Vec<Followed>>);

struct Followed {
    view: View,
    bytes: u64,
    stands_for: f64,
    since_ns: u64,
    site: CallSite,
}

impl Followed {
    fn is_alive(&self, records: &Records) -> bool {
        records.find(self.view).is_some_and(|(_, record)| record.word.keeps(self.view))
    }
}

impl Traces {
    /// Without memory for it the buffer is not followed.
    #[cold]
    #[inline(never)]
    pub fn add(&self, records: &Records, view: View, bytes: u64, stands_for: f64) {
        let followed = Followed { view, bytes, stands_for, since_ns: clock::now_ns(), site: CallSite::here() };
        let mut list = self.0.lock();
        if list.len() == list.capacity() {
            list.retain(|one| one.is_alive(records));
            // Room for twice as many as are alive, so that this is seldom done.
            let spare = list.len().max(16);
            if list.capacity() - list.len() < spare && alloc::try_reserve(&mut list, spare).is_err() {
                return;
            }
        }
        list.push(followed);
    }

    /// Shows those that are still in use.
    pub fn each(&self, records: &Records, keeper: Keeper, each: &mut dyn FnMut(Traced)) {
        for one in self.0.lock().iter().filter(|one| one.is_alive(records)) {
            let block = Block { kind: Kind::Block, keeper, bytes: one.bytes };
            each(Traced { block, stands_for: one.stands_for, since_ns: one.since_ns, site: one.site });
        }
    }
}
