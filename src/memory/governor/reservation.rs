//! An account of the host's own: what it is about to take, which can be refused, and what it holds already, which can
//! only be told.

use super::account::{self, Account, ChargeError, Holder, Need};
use super::reclaim::{self, ReclaimKind, Reclaimer};
use super::root;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::handles::{Handled, Kind};
use crate::base::{InvalidField, Name, Owner, callback, clock};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Weak};

/// Frees about so many bytes of what an account holds, and tells how many they were.
pub type Free = Box<dyn Fn(u64) -> u64 + Send + Sync>;

pub struct ReservationConfig {
    /// [`Holder::External`] or [`Holder::Device`], or another kind whose memory the library does not map itself.
    pub holder: Holder,
    pub parent: Option<Arc<Account>>,
    /// 0: none.
    pub limit: u64,
    /// Whether all of it is granted while memory is critically short.
    pub essential: bool,
    pub name: Name,
    /// Whether what is held can be done without, and how it is freed.
    pub reclaim: Option<(ReclaimKind, Free)>,
}

/// How many accounts can be below each other.
const MOST_LEVELS: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum ReservationError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error("{MOST_LEVELS} accounts are below each other: no more are allowed")]
    TooDeep,
    #[error("a {child} cannot be part of a {parent}: what counts against other limits has an account of its own", child = .child.word(), parent = .parent.word())]
    OtherLimits { child: Holder, parent: Holder },
    #[error(transparent)]
    Charge(#[from] ChargeError),
    #[error("bytes is {given}, but only {reserved} are reserved")]
    NotReserved { given: u64, reserved: u64 },
    #[error("the account is closing: it takes no new work")]
    Closed,
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

pub struct Reservation {
    pub account: Arc<Account>,
    essential: bool,
    /// What is reserved beside the account's window.
    reserved: AtomicU64,
    /// Held while a report is counted, so that of two the later one holds.
    reported: Mutex<u64>,
    is_closed: AtomicBool,
    /// Asked when memory runs short.
    dispensable: Option<Arc<Dispensable>>,
}

/// The memory of an account that can be done without. The host's callback runs only while the account is there.
struct Dispensable {
    owner: Owner,
    account: Arc<Account>,
    kind: ReclaimKind,
    free: Free,
    last_used_ns: AtomicU64,
}

impl Dispensable {
    fn note_use(&self) {
        self.last_used_ns.store(clock::now_ns(), Relaxed);
    }
}

impl Reclaimer for Dispensable {
    fn kind(&self) -> ReclaimKind {
        self.kind
    }

    fn reclaimable_bytes(&self) -> u64 {
        self.account.held()
    }

    fn last_used_ns(&self) -> u64 {
        self.last_used_ns.load(Relaxed)
    }

    fn reclaim(&self, bytes: u64) -> u64 {
        callback::run(self.owner, || (self.free)(bytes))
    }

    fn account(&self) -> Option<&Arc<Account>> {
        Some(&self.account)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReservationStats {
    pub held: u64,
    pub reserved: u64,
    pub reported: u64,
    pub peak: u64,
    pub limit: u64,
}

impl Reservation {
    pub fn new(owner: Owner, config: ReservationConfig) -> Result<Arc<Self>, ReservationError> {
        let limit = if config.limit == 0 { u64::MAX } else { config.limit };
        if let Some(parent) = &config.parent {
            let levels = std::iter::successors(Some(parent), |account| account.parent()).count();
            if levels >= MOST_LEVELS {
                return Err(ReservationError::TooDeep);
            }
            if (parent.holder == Holder::Device) != (config.holder == Holder::Device) {
                return Err(ReservationError::OtherLimits { child: config.holder, parent: parent.holder });
            }
        }
        let account = Account::open_below(config.parent, config.holder, config.name, limit)?;
        account::let_keep(&account)?;
        let dispensable = match config.reclaim {
            None => None,
            Some((kind, free)) => {
                let (account, last_used_ns) = (account.clone(), AtomicU64::new(clock::now_ns()));
                let dispensable = alloc::try_arc(Dispensable { owner, account, kind, free, last_used_ns })?;
                let weak: Weak<Dispensable> = Arc::downgrade(&dispensable);
                reclaim::register::<Self>(owner, weak)?;
                Some(dispensable)
            }
        };
        Ok(alloc::try_arc(Self {
            account,
            essential: config.essential,
            reserved: AtomicU64::new(0),
            reported: Mutex::new(0),
            is_closed: AtomicBool::new(false),
            dispensable,
        })?)
    }

    /// Grants bytes that are about to be taken, or refuses them.
    pub fn reserve(&self, bytes: u64, essential: bool) -> Result<(), ReservationError> {
        check(bytes)?;
        self.check_open()?;
        self.note_use();
        if root::is_fresh() && self.account.reserve_kept(bytes) {
            return Ok(());
        }
        self.reserve_anew(bytes, if essential || self.essential { Need::Essential } else { Need::Ordinary })
    }

    #[cold]
    fn reserve_anew(&self, bytes: u64, need: Need) -> Result<(), ReservationError> {
        // What is kept would be charged beside it.
        self.account.call_in();
        self.account.take(bytes, need)?;
        // The account is charged for as much, so the sum fits.
        self.reserved.fetch_add(self.account.note_reserved(bytes), Relaxed);
        Ok(())
    }

    fn check_open(&self) -> Result<(), ReservationError> {
        if self.is_closed.load(Relaxed) { Err(ReservationError::Closed) } else { Ok(()) }
    }

    /// What is held was of use just now, so that it goes later than what was not.
    pub fn note_use(&self) {
        if let Some(dispensable) = &self.dispensable {
            dispensable.note_use();
        }
    }

    /// Ends a part of what was reserved.
    pub fn release(&self, bytes: u64) -> Result<(), ReservationError> {
        if self.account.keep_released(bytes) {
            return Ok(());
        }
        let refused = |reserved| ReservationError::NotReserved { given: bytes, reserved };
        let reserved = self.reserved();
        if bytes > reserved {
            return Err(refused(reserved));
        }
        // From both, or, where another release was quicker, from none of them.
        let in_window = self.account.take_from_window(bytes);
        let without = |beside: u64| beside.checked_sub(bytes - in_window);
        if in_window < bytes
            && let Err(beside) = self.reserved.fetch_update(Relaxed, Relaxed, without)
        {
            self.reserved.fetch_add(self.account.note_reserved(in_window), Relaxed);
            return Err(refused(beside + in_window));
        }
        self.account.give(bytes);
        Ok(())
    }

    fn reserved(&self) -> u64 {
        self.reserved.load(Relaxed) + self.account.reserved_in_window()
    }

    /// Tells what is held beside all reservations, in place of what was told before.
    pub fn report(&self, bytes: u64) -> Result<(), ReservationError> {
        check(bytes)?;
        self.note_use();
        self.check_open()?;
        let mut reported = self.reported.lock();
        match bytes.checked_sub(*reported) {
            Some(more) => self.account.take(more, Need::Fact)?,
            None => self.account.give(*reported - bytes),
        }
        *reported = bytes;
        Ok(())
    }

    pub fn stats(&self) -> ReservationStats {
        ReservationStats {
            held: self.account.held(),
            reserved: self.reserved(),
            reported: *self.reported.lock(),
            peak: self.account.peak(),
            limit: self.account.limit().unwrap_or(0),
        }
    }
}

/// So that sums fit where nothing else limits them.
fn check(bytes: u64) -> Result<(), InvalidField> {
    const MOST: u64 = 1 << 56;
    if bytes <= MOST {
        return Ok(());
    }
    Err(InvalidField { field: "bytes", value: bytes, bound: "must be at most 72057594037927936 (2^56)" })
}

impl Handled for Reservation {
    const KIND: Kind = Kind::Account;

    fn begin_destroy(&self) {
        self.is_closed.store(true, SeqCst);
    }

    /// What was reserved or reported is held no more.
    fn finish_destroy(&self) {
        let reported = std::mem::take(&mut *self.reported.lock());
        self.account.call_in();
        let reserved = self.reserved.swap(0, Relaxed) + self.account.take_from_window(u64::MAX);
        self.account.give(reserved + reported);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{account, root};
    use super::*;
    use crate::base::Name;
    use crate::memory::testing::in_own_process;

    const MIB: u64 = 1 << 20;

    fn reservation(name: &str, parent: Option<&Arc<Reservation>>) -> Arc<Reservation> {
        let config = ReservationConfig {
            holder: Holder::External,
            parent: parent.map(|parent| parent.account.clone()),
            limit: 0,
            essential: false,
            name: Name::from(name),
            reclaim: None,
        };
        Reservation::new(Owner(1), config).expect("memory")
    }

    /// What is kept is held by nobody, is no peak, and is in nobody's way.
    #[test]
    fn what_is_kept_counts_nowhere() {
        if !in_own_process() {
            return;
        }
        let [first, second] = ["first", "second"].map(|name| reservation(name, None));
        let part = reservation("part", Some(&first));
        let held = || (root::totals().held, first.account.held(), second.account.held());
        first.reserve(6 * MIB, false).expect("room");
        first.release(6 * MIB).expect("reserved");
        assert_eq!((held(), account::kept(), root::totals().peak), ((0, 0, 0), 6 * MIB, 6 * MIB));
        // Out of what is kept, and into it.
        for _ in 0..3 {
            first.reserve(4 * MIB, false).expect("room");
            assert_eq!((held(), account::kept()), ((4 * MIB, 4 * MIB, 0), 2 * MIB));
            assert!(matches!(first.release(4 * MIB + 1), Err(ReservationError::NotReserved { .. })));
            assert_eq!((held(), first.stats().reserved), ((4 * MIB, 4 * MIB, 0), 4 * MIB));
            first.release(4 * MIB).expect("reserved");
            assert_eq!((held(), account::kept()), ((0, 0, 0), 6 * MIB));
        }
        second.reserve(3 * MIB, false).expect("room");
        assert_eq!((held(), root::totals().peak), ((3 * MIB, 0, 3 * MIB), 6 * MIB));
        second.reserve(4 * MIB, false).expect("room");
        assert_eq!((held(), root::totals().peak, account::kept()), ((7 * MIB, 0, 7 * MIB), 7 * MIB, 0));
        // Larger than what is kept at all, and across its edge.
        first.reserve(100 * MIB, false).expect("room");
        first.reserve(5 * MIB, false).expect("room");
        first.release(103 * MIB).expect("reserved");
        assert_eq!((held(), first.stats().reserved), ((9 * MIB, 2 * MIB, 7 * MIB), 2 * MIB));
        first.report(MIB).expect("a fact");
        assert_eq!((first.account.held(), first.account.peak()), (3 * MIB, 105 * MIB));
        // Below another account nothing is kept, because that is charged as well.
        part.reserve(MIB, false).expect("room");
        part.release(MIB).expect("reserved");
        assert_eq!((first.account.held(), account::kept()), (3 * MIB, 0));
        second.release(7 * MIB).expect("reserved");
        assert_eq!((second.account.held(), account::kept()), (0, 7 * MIB));
        for one in [&part, &first, &second] {
            one.begin_destroy();
            one.finish_destroy();
        }
        assert_eq!((held(), account::kept(), root::totals().held), ((0, 0, 0), 0, 0));
    }
}
