//! Accounts: bytes held are bytes charged, in one tree whose root is the process.

use super::root::{self, Refused};
use super::window::Window;
use crate::base::Name;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::text::Size;
use crate::base::tracing::{self, Block, Token};
use crate::memory::coverage::{Inspector, Seen};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Arc, Weak};

/// What kind of object an account belongs to. The numbers are those of OSTLER_HOLDER_.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Holder {
    Process = 0,
    Arena = 1,
    Heap = 2,
    Slab = 3,
    Buffers = 4,
    Lazy = 5,
    /// A mapped file.
    File = 6,
    /// Memory that other processes can map.
    Shared = 7,
    Pool = 8,
    Worker = 9,
    /// What a program reports of its own: another runtime's heap, a cache.
    External = 10,
    /// Memory of a device, which counts against no limit of the machine's.
    Device = 11,
}

impl Holder {
    pub fn word(self) -> &'static str {
        match self {
            Holder::Process => "process",
            Holder::Arena => "arena",
            Holder::Heap => "heap",
            Holder::Slab => "slab",
            Holder::Buffers => "buffers",
            Holder::Lazy => "lazy",
            Holder::File => "file",
            Holder::Shared => "shared",
            Holder::Pool => "pool",
            Holder::Worker => "worker",
            Holder::External => "external",
            Holder::Device => "device",
        }
    }
}

/// Where the memory of a charge comes from, which says what limits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    Memory,
    /// The pool of huge pages, which the kernel counts apart: only the host's own limit holds for it.
    HugePool,
    Device,
}

/// How a charge is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    Ordinary,
    /// Granted while memory is critically short, too, as long as no limit is passed.
    Essential,
    /// What is held already, and only told: it cannot be refused.
    Fact,
}

/// The account's own limit leaves no room, or that of an account above it.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{} more would pass the limit of {} of account \"{name}\": it holds {}", Size(*.wanted), Size(*.limit), Size(*.held))]
pub struct OverLimit {
    pub name: Name,
    pub wanted: u64,
    pub held: u64,
    pub limit: u64,
}

#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum ChargeError {
    #[error(transparent)]
    OverLimit(#[from] OverLimit),
    #[error(transparent)]
    Refused(#[from] Refused),
}

#[derive(Debug)]
pub struct Account {
    /// Never used again.
    pub id: u64,
    pub holder: Holder,
    pub name: Name,
    /// Charged for the same bytes; `None`: only the root is.
    parent: Option<Arc<Account>>,
    limit: u64,
    /// What is held, and what the window keeps.
    charged: AtomicU64,
    /// Part of it that is reserved and released again and again.
    window: Window,
    peak: AtomicU64,
    /// How what it is charged for can be looked at, and what was seen last.
    inspector: Mutex<Option<Inspector>>,
    seen: Mutex<Option<Seen>>,
}

/// Every account that is open. Those that are gone are struck out when room is needed for the next.
static ACCOUNTS: Mutex<Vec<Weak<Account>>> = Mutex::new(Vec::new());

/// Those of them that may keep what is released.
static KEEPERS: Mutex<Vec<Weak<Account>>> = Mutex::new(Vec::new());

/// Lets an account keep what is released, for the next reservation.
pub fn let_keep(account: &Arc<Account>) -> Result<(), OutOfMemory> {
    let mut keepers = KEEPERS.lock();
    if keepers.len() == keepers.capacity() {
        keepers.retain(|known| known.strong_count() > 0);
    }
    alloc::try_reserve_one(&mut keepers)?;
    keepers.push(Arc::downgrade(account));
    Ok(())
}

/// What all of them keep together, which nobody holds.
pub fn kept() -> u64 {
    let mut kept = 0;
    each_of(&KEEPERS, |account| kept += account.window.kept());
    kept
}

/// Gives all of that back.
pub fn call_in_all() {
    each_of(&KEEPERS, |account| account.call_in());
}

/// Bytes that all accounts of this process hold together, those of devices left out.
pub fn held() -> u64 {
    root::totals().held
}

/// What an account is and holds.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub id: u64,
    /// 0: the root.
    pub parent: u64,
    pub holder: Holder,
    pub name: Name,
    pub held: u64,
    pub peak: u64,
    /// 0: none.
    pub limit: u64,
    pub seen: Option<Seen>,
}

/// Every open account, largest first.
pub fn list() -> Result<Vec<Entry>, OutOfMemory> {
    let mut entries = alloc::try_vec(ACCOUNTS.lock().len())?;
    let mut refused = None;
    each(|account| match alloc::try_reserve_one(&mut entries) {
        Ok(()) => entries.push(account.entry()),
        Err(error) => refused = Some(error),
    });
    entries.sort_unstable_by_key(|entry| (std::cmp::Reverse(entry.held), entry.id));
    refused.map_or(Ok(entries), Err)
}

/// How many accounts are open.
pub fn count() -> u64 {
    ACCOUNTS.lock().iter().filter(|account| account.strong_count() > 0).count() as u64
}

/// Shows every open account to `each`.
pub fn each(each: impl FnMut(&Arc<Account>)) {
    each_of(&ACCOUNTS, each);
}

fn each_of(accounts: &Mutex<Vec<Weak<Account>>>, mut each: impl FnMut(&Arc<Account>)) {
    // One at a time, so that an account whose last share this is ends outside the lock.
    let at = |place: usize| accounts.lock().get(place).map(Weak::upgrade);
    for account in (0..).map_while(at).flatten() {
        each(&account);
    }
}

/// The account at a place of the list, where one is open; `None` behind its end. Places change when others are opened.
pub fn at(place: usize) -> Option<Option<Arc<Account>>> {
    ACCOUNTS.lock().get(place).map(Weak::upgrade)
}

impl Account {
    pub fn open(holder: Holder, name: Name) -> Result<Arc<Self>, OutOfMemory> {
        Self::open_below(None, holder, name, u64::MAX)
    }

    /// An account whose charges another one pays as well, with a limit of its own.
    pub fn open_below(
        parent: Option<Arc<Account>>,
        holder: Holder,
        name: Name,
        limit: u64,
    ) -> Result<Arc<Self>, OutOfMemory> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let id = IDS.fetch_add(1, Relaxed);
        let (charged, peak) = (AtomicU64::new(0), AtomicU64::new(0));
        let (window, inspector, seen) = (Window::default(), Mutex::new(None), Mutex::new(None));
        let account = Self { id, holder, name, parent, limit, charged, window, peak, inspector, seen };
        let account = alloc::try_arc(account)?;
        let mut accounts = ACCOUNTS.lock();
        if accounts.len() == accounts.capacity() {
            accounts.retain(|known| known.strong_count() > 0);
            // Twice as much as is left, so that this is seldom done.
            let spare = accounts.len().max(16);
            if accounts.capacity() - accounts.len() < spare {
                alloc::check(spare * size_of::<Weak<Account>>())?;
                accounts.reserve(spare);
            }
        }
        accounts.push(Arc::downgrade(&account));
        Ok(account)
    }

    /// Counts bytes that are about to be held, until the charge is dropped.
    pub fn charge(self: &Arc<Self>, bytes: u64) -> Result<Charge, Refused> {
        self.charge_backed(bytes, Backing::Memory)
    }

    /// [`charge`](Self::charge) for memory that comes from elsewhere.
    pub fn charge_backed(self: &Arc<Self>, bytes: u64, backing: Backing) -> Result<Charge, Refused> {
        root::take(bytes, backing, Need::Ordinary)?;
        self.add(bytes);
        let traced = tracing::track(|| Block::mapping(self.tracing_keeper(), bytes));
        Ok(Charge { account: self.clone(), bytes, backing, traced })
    }

    /// Counts bytes until they are given back; nothing is counted after a failure.
    pub fn take(&self, bytes: u64, need: Need) -> Result<(), ChargeError> {
        if self.take_below_limits(bytes, need).is_err() {
            // What is only kept is in nobody's way.
            self.and_above().for_each(Account::call_in);
            self.take_below_limits(bytes, need)?;
        }
        if let Err(refused) = root::take(bytes, self.backing(), need) {
            self.give_below(bytes, None);
            return Err(refused.into());
        }
        self.and_above().for_each(|account| account.note_peak(account.held()));
        Ok(())
    }

    pub fn give(&self, bytes: u64) {
        self.give_below(bytes, None);
        root::give(bytes, self.backing());
    }

    fn backing(&self) -> Backing {
        if self.holder == Holder::Device { Backing::Device } else { Backing::Memory }
    }

    /// Counts in this account and those above it, or in none of them.
    fn take_below_limits(&self, bytes: u64, need: Need) -> Result<(), OverLimit> {
        for account in self.and_above() {
            let fits = |sum: &u64| *sum <= account.limit || need == Need::Fact;
            let within = |held: u64| held.checked_add(bytes).filter(fits);
            if let Err(held) = account.charged.fetch_update(Relaxed, Relaxed, within) {
                self.give_below(bytes, Some(account));
                return Err(OverLimit { name: account.name, wanted: bytes, held, limit: account.limit });
            }
        }
        Ok(())
    }

    /// Takes back what was counted in this account and those above it, up to `end`.
    fn give_below(&self, bytes: u64, end: Option<&Account>) {
        for account in self.and_above().take_while(|account| !end.is_some_and(|end| std::ptr::eq(*account, end))) {
            account.charged.fetch_sub(bytes, Relaxed);
        }
    }

    fn and_above(&self) -> impl Iterator<Item = &Account> {
        std::iter::successors(Some(self), |account| account.parent.as_deref())
    }

    #[inline]
    fn add(&self, bytes: u64) {
        self.charged.fetch_add(bytes, Relaxed);
        self.note_peak(self.held());
    }

    #[inline]
    fn note_peak(&self, held: u64) {
        if held > self.peak.load(Relaxed) {
            self.peak.fetch_max(held, Relaxed);
        }
    }

    pub fn held(&self) -> u64 {
        let kept = self.window.kept();
        self.charged.load(Relaxed).saturating_sub(kept)
    }

    /// Reserves out of what is kept; `false`: there is too little of it, and [`take`](Self::take) is to be asked.
    #[inline]
    pub fn reserve_kept(&self, bytes: u64) -> bool {
        let reserved = self.window.reserve(bytes);
        if reserved {
            self.note_peak(self.held());
        }
        reserved
    }

    /// Notes that so much of what was taken is reserved; what the window has no room for is returned.
    pub fn note_reserved(&self, bytes: u64) -> u64 {
        self.window.add(bytes)
    }

    /// Ends a reservation and keeps what it had, while there is enough for all. `false`: it is to be given back.
    #[inline]
    pub fn keep_released(&self, bytes: u64) -> bool {
        self.parent.is_none() && self.holder != Holder::Device && root::may_keep() && self.window.keep(bytes)
    }

    /// Ends a part of what the window has reserved, at most `bytes`; says how much it was.
    pub fn take_from_window(&self, bytes: u64) -> u64 {
        self.window.remove(bytes)
    }

    pub fn reserved_in_window(&self) -> u64 {
        self.window.reserved()
    }

    /// Gives back what is kept.
    pub fn call_in(&self) {
        let kept = self.window.call_in();
        if kept > 0 {
            self.give(kept);
        }
    }

    /// Has what the account is charged for looked at in this way from now on.
    pub fn let_inspect(&self, inspector: Inspector) {
        *self.inspector.lock() = Some(inspector);
    }

    pub fn inspector(&self) -> Option<Inspector> {
        *self.inspector.lock()
    }

    /// Remembers what was seen of it.
    pub fn note_seen(&self, seen: Seen) {
        *self.seen.lock() = Some(seen);
    }

    /// `None`: nobody looked yet.
    pub fn seen(&self) -> Option<Seen> {
        *self.seen.lock()
    }

    /// Whose memory it is, in the words of traces.
    pub fn tracing_keeper(&self) -> tracing::Keeper {
        tracing::Keeper { holder: self.holder.word(), name: self.name, account: self.id }
    }

    pub fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    /// `None`: it has none.
    pub fn limit(&self) -> Option<u64> {
        (self.limit < u64::MAX).then_some(self.limit)
    }

    fn entry(&self) -> Entry {
        Entry {
            id: self.id,
            parent: self.parent.as_ref().map_or(0, |parent| parent.id),
            holder: self.holder,
            name: self.name,
            held: self.held(),
            peak: self.peak(),
            limit: self.limit().unwrap_or(0),
            seen: self.seen(),
        }
    }

    pub fn parent(&self) -> Option<&Arc<Account>> {
        self.parent.as_ref()
    }
}

/// Bytes that an account is charged for.
#[derive(Debug)]
pub struct Charge {
    account: Arc<Account>,
    bytes: u64,
    backing: Backing,
    traced: Token,
}

impl Charge {
    /// Counts so many of the bytes no more.
    pub fn give_part(&mut self, bytes: u64) {
        self.bytes -= bytes;
        tracing::resize(self.traced, self.bytes);
        self.account.charged.fetch_sub(bytes, Relaxed);
        root::give(bytes, self.backing);
    }

    /// Counts bytes that were given as a part before.
    pub fn take_again(&mut self, bytes: u64) -> Result<(), Refused> {
        root::take(bytes, self.backing, Need::Ordinary)?;
        self.account.add(bytes);
        self.bytes += bytes;
        tracing::resize(self.traced, self.bytes);
        Ok(())
    }

    /// Moves to another account. The process holds no more and no less for that.
    pub fn hand_over(&mut self, to: &Arc<Account>) {
        to.charged.fetch_add(self.bytes, Relaxed);
        self.account.charged.fetch_sub(self.bytes, Relaxed);
        self.account = to.clone();
        tracing::hand_over(self.traced, to.tracing_keeper());
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        tracing::untrack(self.traced);
        self.account.charged.fetch_sub(self.bytes, Relaxed);
        root::give(self.bytes, self.backing);
    }
}

/// The accounts that hold most, for people, with what the others hold together.
pub struct LargestHolders;

const NAMED: usize = 4;

impl fmt::Display for LargestHolders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut largest = [(0, Holder::Process, Name::new()); NAMED];
        let (mut others, mut others_held) = (0, 0);
        each(|account| {
            // What is held below an account is held by it as well.
            if account.holder == Holder::Device || account.parent.is_some() {
                return;
            }
            let mut next = (account.held(), account.holder, account.name);
            for place in &mut largest {
                if place.0 < next.0 {
                    std::mem::swap(place, &mut next);
                }
            }
            others += u64::from(next.0 > 0);
            others_held += next.0;
        });
        for (held, holder, name) in largest.iter().filter(|(held, ..)| *held > 0) {
            write!(formatter, ", {} \"{name}\" {}", holder.word(), Size(*held))?;
        }
        if others > 0 {
            write!(formatter, ", {others} more {}", Size(others_held))?;
        }
        Ok(())
    }
}
