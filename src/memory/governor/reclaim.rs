//! What can be given back when memory runs short: who could give how much, in the order in which it costs least to get
//! it back, and what each of them really gave when it was asked.

use super::account::{Account, Holder};
use super::root;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::handles::{self, Handled};
use crate::base::thread::ThreadRecord;
use crate::base::{Name, Owner, clock, log, panics};
use crate::memory::kernel;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};
use std::sync::{Arc, Weak};

/// In the order of what it costs to get it back. The numbers are those of OSTLER_RECLAIM_.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum ReclaimKind {
    /// Empty chunks of slabs, arenas and buffers.
    Empty = 0,
    /// Values that are loaded again at the next access.
    Lazy = 1,
    /// Idle resources of pools.
    Pool = 2,
    /// Blocks of heaps that can be moved together.
    Compact = 3,
    /// Idle workers.
    Worker = 4,
}

impl ReclaimKind {
    pub const ALL: [Self; 5] = [Self::Empty, Self::Lazy, Self::Pool, Self::Compact, Self::Worker];

    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u32 == number)
    }
}

/// An object that holds memory which it can do without. Called with no lock held, on the governor's thread or on that of
/// a host that asks for memory back.
pub trait Reclaimer: Send + Sync {
    fn kind(&self) -> ReclaimKind;
    /// What a [`reclaim`](Self::reclaim) could free now, as far as that is known.
    fn reclaimable_bytes(&self) -> u64;
    /// When it was last of use, on the library's clock; what was used longest ago goes first.
    fn last_used_ns(&self) -> u64;
    /// Gives back about `bytes`, and says how much it was.
    fn reclaim(&self, bytes: u64) -> u64;
    /// Whose memory it is; `None`: no account is charged for it.
    fn account(&self) -> Option<&Arc<Account>> {
        None
    }
}

/// Who can be asked; the dead are forgotten when the next one comes.
static RECLAIMERS: Mutex<Vec<Known>> = Mutex::new(Vec::new());

#[derive(Clone)]
struct Known {
    /// Tells those apart that are the same in every other way.
    serial: u64,
    reclaimer: Weak<dyn Reclaimer>,
    /// The object that it belongs to, and how that is pinned.
    owner: Owner,
    while_pinned: fn(Owner, &mut dyn FnMut()),
}

impl Known {
    /// Shows it while its object is pinned: a destroy waits for that, so that no share is left when it returns. A panic
    /// meanwhile has quarantined the object, and is told here.
    fn show(&self, show: impl FnOnce(&dyn Reclaimer)) {
        let mut show = Some(show);
        let mut body = || {
            if let (Some(reclaimer), Some(show)) = (self.reclaimer.upgrade(), show.take()) {
                show(&*reclaimer);
            }
        };
        if let Err(caught) = panics::catch(|| (self.while_pinned)(self.owner, &mut body)) {
            log::warn(format_args!("governor: a reclaimer panicked: {}", caught.message()));
        }
    }
}

/// Makes what belongs to an object one that is asked when memory runs short, for as long as both live.
pub fn register<T: Handled>(owner: Owner, reclaimer: Weak<dyn Reclaimer>) -> Result<(), OutOfMemory> {
    add(reclaimer, owner, |owner, body| {
        // One that is going or in quarantine is asked for nothing.
        let _ = handles::with::<T, _>(ThreadRecord::current(), owner.0, |_| body());
    })
}

fn add(
    reclaimer: Weak<dyn Reclaimer>,
    owner: Owner,
    while_pinned: fn(Owner, &mut dyn FnMut()),
) -> Result<(), OutOfMemory> {
    static SERIALS: AtomicU64 = AtomicU64::new(1);
    let serial = SERIALS.fetch_add(1, Relaxed);
    let mut list = RECLAIMERS.lock();
    if list.len() == list.capacity() {
        list.retain(|known| known.reclaimer.strong_count() > 0);
    }
    alloc::try_reserve_one(&mut list)?;
    list.push(Known { serial, reclaimer, owner, while_pinned });
    Ok(())
}

/// Shows everybody who can be asked, one at a time and outside the lock.
fn each(mut each: impl FnMut(&Known, &dyn Reclaimer)) {
    let mut place = 0;
    loop {
        let Some(known) = RECLAIMERS.lock().get(place).cloned() else { return };
        known.show(|reclaimer| each(&known, reclaimer));
        place += 1;
    }
}

/// What could be given back, and by whom.
#[derive(Clone, Copy, Debug)]
pub struct Suggestion {
    pub kind: ReclaimKind,
    pub bytes: u64,
    pub last_used_ns: u64,
    serial: u64,
    /// 0: of no account.
    pub account: u64,
    pub holder: Holder,
    pub name: Name,
}

/// What goes first: what costs least, and among that what was not used for longest.
type Order = (ReclaimKind, u64, u64);

impl Suggestion {
    fn of(serial: u64, reclaimer: &dyn Reclaimer) -> Self {
        let (kind, account) = (reclaimer.kind(), reclaimer.account());
        let usual = match kind {
            ReclaimKind::Empty => Holder::Process,
            ReclaimKind::Lazy => Holder::Lazy,
            ReclaimKind::Pool => Holder::Pool,
            ReclaimKind::Compact => Holder::Heap,
            ReclaimKind::Worker => Holder::Worker,
        };
        Self {
            kind,
            bytes: reclaimer.reclaimable_bytes(),
            last_used_ns: reclaimer.last_used_ns(),
            serial,
            account: account.map_or(0, |account| account.id),
            holder: account.map_or(usual, |account| account.holder),
            name: account.map_or(Name::new(), |account| account.name),
        }
    }

    fn order(&self) -> Order {
        (self.kind, self.last_used_ns, self.serial)
    }
}

/// Everything that could be given back, in the order in which it would be asked for.
pub fn suggestions() -> Result<Vec<Suggestion>, OutOfMemory> {
    let mut list = alloc::try_vec(RECLAIMERS.lock().len())?;
    let mut refused = None;
    each(|known, reclaimer| {
        let suggestion = Suggestion::of(known.serial, reclaimer);
        match alloc::try_reserve_one(&mut list) {
            _ if suggestion.bytes == 0 => {}
            Ok(()) => list.push(suggestion),
            Err(error) => refused = Some(error),
        }
    });
    list.sort_by_key(Suggestion::order);
    refused.map_or(Ok(list), Err)
}

/// What somebody was asked for, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Reclaimed {
    pub from: Suggestion,
    pub asked: u64,
    /// What it says to have freed.
    pub claimed: u64,
    /// What is charged less than before: to its account, or to all without one.
    pub freed: u64,
    /// What is resident less than before; other threads take and free meanwhile.
    pub resident: u64,
}

/// What was done since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// How often somebody was asked.
    pub asked: u64,
    pub freed: u64,
}

static ASKED: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);
static IS_UNDERWAY: AtomicBool = AtomicBool::new(false);

pub fn done() -> Done {
    Done { asked: ASKED.load(Relaxed), freed: FREED.load(Relaxed) }
}

/// One at a time asks for memory back, so that nobody is asked by two for the same.
struct Turn(());

impl Turn {
    fn take() -> Option<Self> {
        (!IS_UNDERWAY.swap(true, SeqCst)).then(|| Self(()))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        IS_UNDERWAY.store(false, SeqCst);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("memory is being asked back already, on another thread or further out on this one")]
pub struct Underway;

/// Asks for `wanted` bytes back, what costs least first and among that what was not used for longest, up to a kind. Tells
/// of each who was asked, and how much was freed. Needs no memory itself.
pub fn reclaim(wanted: u64, up_to: ReclaimKind, mut told: impl FnMut(&Reclaimed)) -> Result<u64, Underway> {
    let _turn = Turn::take().ok_or(Underway)?;
    let mut freed = 0u64;
    let mut last = None;
    // A few at a time in order, because the whole list may be long and memory may be gone.
    while freed < wanted
        && let Some(next) = Few::after(last, up_to)
    {
        last = next.last_order();
        for (known, from) in next.in_order() {
            if freed >= wanted {
                break;
            }
            let mut asked = None;
            known.show(|reclaimer| asked = Some(ask(reclaimer, from, wanted - freed)));
            // Or it was destroyed meanwhile, or panicked.
            let Some(one) = asked else { continue };
            freed = freed.saturating_add(one.freed.max(one.claimed.min(one.resident)));
            told(&one);
        }
    }
    Ok(freed)
}

fn ask(reclaimer: &dyn Reclaimer, from: Suggestion, wanted: u64) -> Reclaimed {
    let charged = || reclaimer.account().map_or_else(|| root::totals().held, |account| account.held());
    let asked = wanted.min(from.bytes);
    let (charged_before, resident_before) = (charged(), kernel::resident_bytes());
    ASKED.fetch_add(1, Relaxed);
    let claimed = reclaimer.reclaim(asked);
    let freed = charged_before.saturating_sub(charged());
    FREED.fetch_add(freed, Relaxed);
    Reclaimed { from, asked, claimed, freed, resident: resident_before.saturating_sub(kernel::resident_bytes()) }
}

const FEW: usize = 16;

/// The first in order of those that come after another.
#[derive(Default)]
struct Few {
    list: [Option<(Known, Suggestion)>; FEW],
}

impl Few {
    /// `None`: there is nobody left.
    fn after(last: Option<Order>, up_to: ReclaimKind) -> Option<Self> {
        let mut few = Self::default();
        each(|known, reclaimer| {
            let suggestion = Suggestion::of(known.serial, reclaimer);
            let is_next = last.is_none_or(|last| suggestion.order() > last);
            if is_next && suggestion.kind <= up_to && suggestion.bytes > 0 {
                few.insert((known.clone(), suggestion));
            }
        });
        few.list.first()?.is_some().then_some(few)
    }

    fn insert(&mut self, entry: (Known, Suggestion)) {
        let mut next = Some(entry);
        for place in &mut self.list {
            let order = |entry: &Option<(Known, Suggestion)>| entry.as_ref().map(|(_, from)| from.order());
            if place.is_none() || order(&next) < order(place) {
                std::mem::swap(place, &mut next);
            }
            if next.is_none() {
                return;
            }
        }
    }

    fn in_order(&self) -> impl Iterator<Item = (&Known, Suggestion)> {
        self.list.iter().flatten().map(|(known, from)| (known, *from))
    }

    fn last_order(&self) -> Option<Order> {
        self.list.iter().flatten().last().map(|(_, from)| from.order())
    }
}

/// How long something was of no use.
pub fn idle_ns(last_used_ns: u64) -> u64 {
    clock::now_ns().saturating_sub(last_used_ns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::handles::Kind;
    use crate::memory::arena::{Arena, ArenaConfig};
    use crate::memory::policy::Pages;
    use crate::memory::source::PageSource;
    use crate::memory::testing::in_own_process;

    /// For what belongs to no object.
    fn register_alone(reclaimer: Weak<dyn Reclaimer>) {
        add(reclaimer, Owner(0), |_, body| body()).unwrap();
    }

    /// Holds bytes of an account, and gives back whole hundreds.
    struct Fake {
        kind: ReclaimKind,
        last_used_ns: u64,
        account: Arc<Account>,
        held: AtomicU64,
        boasts: bool,
    }

    impl Fake {
        fn new(kind: ReclaimKind, last_used_ns: u64, bytes: u64) -> Arc<Self> {
            let name = Name::format(format_args!("{kind:?} {last_used_ns}"));
            let account = Account::open(Holder::External, name).unwrap();
            account.take(bytes, super::super::account::Need::Fact).unwrap();
            let fake = Arc::new(Self { kind, last_used_ns, account, held: AtomicU64::new(bytes), boasts: false });
            let weak: Weak<Fake> = Arc::downgrade(&fake);
            register_alone(weak);
            fake
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            self.account.give(self.held.load(Relaxed));
        }
    }

    impl Reclaimer for Fake {
        fn kind(&self) -> ReclaimKind {
            self.kind
        }

        fn reclaimable_bytes(&self) -> u64 {
            self.held.load(Relaxed)
        }

        fn last_used_ns(&self) -> u64 {
            self.last_used_ns
        }

        fn reclaim(&self, bytes: u64) -> u64 {
            // Nobody else gets a turn meanwhile.
            assert_eq!(reclaim(1, ReclaimKind::Worker, |_| ()), Err(Underway));
            let given = bytes.div_ceil(100).saturating_mul(100).min(self.held.load(Relaxed));
            self.held.fetch_sub(given, Relaxed);
            self.account.give(given);
            if self.boasts { given * 2 } else { given }
        }

        fn account(&self) -> Option<&Arc<Account>> {
            Some(&self.account)
        }
    }

    fn asked(wanted: u64, up_to: ReclaimKind) -> (u64, Vec<String>) {
        let mut list = Vec::new();
        let freed =
            reclaim(wanted, up_to, |one| list.push(format!("{}: {} of {}", one.from.name, one.freed, one.asked)));
        (freed.unwrap(), list)
    }

    #[test]
    fn what_costs_least_goes_first_and_then_what_was_not_used_for_longest() {
        if !in_own_process() {
            return;
        }
        let fakes = [
            Fake::new(ReclaimKind::Pool, 1, 1000),
            Fake::new(ReclaimKind::Empty, 9, 1000),
            Fake::new(ReclaimKind::Empty, 3, 250),
            Fake::new(ReclaimKind::Worker, 0, 1000),
        ];
        let names: Vec<_> = suggestions().unwrap().iter().map(|one| one.name.to_string()).collect();
        assert_eq!(names, ["Empty 3", "Empty 9", "Pool 1", "Worker 0"]);
        assert_eq!(
            asked(300, ReclaimKind::Pool),
            (350, vec!["Empty 3: 250 of 250".into(), "Empty 9: 100 of 50".into()])
        );
        assert_eq!(
            asked(10_000, ReclaimKind::Pool),
            (1900, vec!["Empty 9: 900 of 900".into(), "Pool 1: 1000 of 1000".into()])
        );
        assert_eq!(asked(1, ReclaimKind::Compact), (0, vec![]));
        drop(fakes);
        assert!(suggestions().unwrap().is_empty());
    }

    #[test]
    fn more_than_fit_at_once_are_asked_in_order_and_each_once() {
        if !in_own_process() {
            return;
        }
        let fakes: Vec<_> = (0..50).map(|place| Fake::new(ReclaimKind::Lazy, (place * 37) % 50, 100)).collect();
        let (freed, list) = asked(u64::MAX, ReclaimKind::Worker);
        let expected: Vec<_> = (0..50).map(|place| format!("Lazy {place}: 100 of 100")).collect();
        assert_eq!((freed, list), (5000, expected));
        drop(fakes);
    }

    #[test]
    fn who_boasts_frees_what_it_really_freed() {
        if !in_own_process() {
            return;
        }
        let name = Name::from("boasts");
        let account = Account::open(Holder::External, name).unwrap();
        account.take(500, super::super::account::Need::Fact).unwrap();
        let kind = ReclaimKind::Empty;
        let fake = Arc::new(Fake { kind, last_used_ns: 0, account, held: AtomicU64::new(500), boasts: true });
        let weak: Weak<Fake> = Arc::downgrade(&fake);
        register_alone(weak);
        let mut found = None;
        reclaim(500, ReclaimKind::Worker, |one| found = Some((one.claimed, one.freed))).unwrap();
        assert_eq!(found, Some((1000, 500)));
    }

    /// Belongs to an object.
    struct Panics {
        is_unsure: bool,
        woken: AtomicU64,
    }

    impl Reclaimer for Panics {
        fn kind(&self) -> ReclaimKind {
            ReclaimKind::Empty
        }
        fn reclaimable_bytes(&self) -> u64 {
            assert!(!self.is_unsure, "cannot tell");
            1
        }
        fn last_used_ns(&self) -> u64 {
            0
        }
        fn reclaim(&self, _bytes: u64) -> u64 {
            panic!("cannot");
        }
    }

    struct Object(Arc<Panics>);

    impl Handled for Object {
        const KIND: Kind = Kind::Heap;
        fn begin_destroy(&self) {}
        fn finish_destroy(&self) {}
        fn quarantined(&self) {
            self.0.woken.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn an_object_that_panics_goes_into_quarantine_and_others_are_asked() {
        if !in_own_process() {
            return;
        }
        panics::install_hook();
        for is_unsure in [false, true] {
            let slot = handles::reserve(Kind::Heap).unwrap();
            let panics = Arc::new(Panics { is_unsure, woken: AtomicU64::new(0) });
            let weak: Weak<Panics> = Arc::downgrade(&panics);
            register::<Object>(slot.owner(), weak).unwrap();
            let handle = slot.publish(Arc::new(Object(panics.clone())));
            let _fake = Fake::new(ReclaimKind::Lazy, 1, 300);
            assert_eq!(asked(150, ReclaimKind::Worker).0, 200);
            assert_eq!(asked(100, ReclaimKind::Worker).0, 100);
            let found = handles::pin::<Object>(handle).err();
            assert!(matches!(found, Some(handles::HandleError::Quarantined { .. })), "{found:?}");
            assert_eq!(panics.woken.load(SeqCst), 1);
            handles::destroy::<Object>(handle).unwrap();
        }
    }

    /// Whose memory goes with its destroy, whoever asks for memory back meanwhile.
    #[test]
    fn a_destroy_ends_what_is_about_to_be_asked() {
        if !in_own_process() {
            return;
        }
        let source = PageSource { pages: Pages::Base, ..PageSource::default() };
        let arenas = [(); 3].map(|()| {
            let slot = handles::reserve(Kind::Arena).unwrap();
            let config = ArenaConfig { source, chunk_bytes: 64 << 10, ..ArenaConfig::default() };
            let arena = Arena::new(slot.owner(), config).unwrap();
            let mark = arena.mark().unwrap();
            arena.alloc(100_000, 1).unwrap();
            arena.alloc(100_000, 1).unwrap();
            arena.rewind(mark).unwrap();
            assert!(arena.reclaimable_bytes() > 0);
            slot.publish(arena)
        });
        let mut asked = 0;
        reclaim(u64::MAX, ReclaimKind::Worker, |_| {
            asked += 1;
            for arena in arenas {
                let _ = handles::destroy::<Arena>(arena);
            }
            assert_eq!(super::super::account::held(), 0);
        })
        .unwrap();
        assert_eq!(asked, 1);
    }
}
