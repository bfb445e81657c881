//! What is out: every slot that was got and not put, in the order of addresses.

use super::Slab;
use super::gate::Leave;
use super::states::OUT;
use crate::base::clock;
use crate::base::tracing::census::Census;
use crate::base::tracing::{Block, CallSite, Kind, Traced};
use std::fmt;

/// A slot that is out.
#[derive(Clone, Copy, Debug)]
pub struct LiveSlot {
    pub slot: *mut u8,
    /// How long, as far as is known: since it was got while tracing followed it, else since somebody first looked.
    pub held_ns: u64,
    /// The thread that got it, as gettid(2) has it; 0: tracing did not follow it.
    pub thread: u32,
    pub site: CallSite,
}

impl Slab {
    /// Every slot that is out at this moment, the lowest address first.
    pub fn live(&self) -> impl Iterator<Item = LiveSlot> {
        let now_ns = clock::now_ns();
        (0..self.geometry.slots() as u32).filter_map(move |index| {
            let borrower = self.states.borrower(index)?;
            let held_ns = if borrower.since_ns == 0 { 0 } else { now_ns.saturating_sub(borrower.since_ns) };
            let slot = self.geometry.slot(index);
            Some(LiveSlot { slot, held_ns, thread: borrower.thread, site: borrower.site })
        })
    }

    /// How many are out.
    pub fn out(&self) -> u64 {
        (0..self.geometry.slots() as u32).filter(|index| self.states.of(*index) >= OUT).count() as u64
    }
}

impl Census for Slab {
    /// What is in magazines goes where all find it, so that inline code asks the library, which now settles them so.
    fn follow_each(&self) {
        self.alone(Leave::AsItWas, || {});
    }

    fn each_traced(&self, each: &mut dyn FnMut(Traced)) {
        let keeper = self.account.tracing_keeper();
        for borrower in (0..self.geometry.slots() as u32).filter_map(|index| self.states.noted(index)) {
            if borrower.stands_for > 0.0 {
                let block = Block { kind: Kind::Block, keeper, bytes: self.config.slot_bytes };
                let (stands_for, since_ns) = (borrower.stands_for.into(), borrower.since_ns);
                each(Traced { block, stands_for, since_ns, site: borrower.site });
            }
        }
    }
}

/// For people: one line.
impl fmt::Display for LiveSlot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.held_ns / 1_000_000;
        let thread = self.thread;
        write!(formatter, "{:#018x} {millis:>10} ms {thread:>10}  {}", self.slot as usize, self.site)
    }
}
