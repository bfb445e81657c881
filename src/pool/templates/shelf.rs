//! Immutable entries by key. Readers take no lock: each shows the entry that it uses (see [`crate::base::hazards`]). Writers
//! exclude one another by the [`Kept`] that they must have; an entry that they take away goes into the limbo, and out of
//! it when its last reader is gone. Only who has read such an entry looks there, under the limbo's own lock.

use super::table::Table;
use super::usage::{Eviction, Usage};
use crate::base::alloc::{self, OutOfMemory};
use crate::base::barrier;
use crate::base::chance;
use crate::base::hazards::{self, Hazard};
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Mutex, Ordering::*};
use crate::base::thread::ThreadRecord;
use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

/// Of more entries than these, so many are picked at random, and the least used of them goes.
const MOST_LOOKED_AT: usize = 128;

/// An entry with a line of its own, away from the counts of its shares.
#[repr(align(64))]
pub struct Entry<T> {
    hash: u64,
    key: Vec<u8>,
    /// See [`Usage`].
    mark: AtomicU64,
    /// Its place among the kept ones, and how many were put before it; for writers.
    place: AtomicU64,
    turn: AtomicU64,
    /// In a [`Chain`].
    next: AtomicPtr<Entry<T>>,
    content: T,
}

impl<T> Entry<T> {
    pub fn new(hash: u64, key: Vec<u8>, content: T) -> Self {
        Self {
            hash,
            key,
            mark: AtomicU64::new(0),
            place: AtomicU64::new(0),
            turn: AtomicU64::new(0),
            next: AtomicPtr::new(std::ptr::null_mut()),
            content,
        }
    }

    #[inline]
    fn is(&self, hash: u64, key: &[u8]) -> bool {
        self.hash == hash && self.key == key
    }
}

fn address<T>(entry: &Arc<Entry<T>>) -> *mut Entry<T> {
    Arc::as_ptr(entry).cast_mut()
}

impl<T> Deref for Entry<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.content
    }
}

/// Entries that were taken away, linked through themselves, so that taking one away needs no memory.
pub struct Chain<T> {
    first: *mut Entry<T>,
    length: u64,
}

// SAFETY: it owns a share of each entry in it, as a vector of them would.
unsafe impl<T: Send + Sync> Send for Chain<T> {}

impl<T> Default for Chain<T> {
    fn default() -> Self {
        Self { first: std::ptr::null_mut(), length: 0 }
    }
}

impl<T> Chain<T> {
    pub fn push(&mut self, entry: Arc<Entry<T>>) {
        entry.next.store(self.first, Relaxed);
        self.first = Arc::into_raw(entry).cast_mut();
        self.length += 1;
    }

    pub fn pop(&mut self) -> Option<Arc<Entry<T>>> {
        if self.first.is_null() {
            return None;
        }
        // SAFETY: `push` made it of a share, which only this takes back.
        let entry = unsafe { Arc::from_raw(self.first.cast_const()) };
        self.first = entry.next.load(Relaxed);
        self.length -= 1;
        Some(entry)
    }

    /// The addresses of the entries.
    fn addresses(&self) -> impl Iterator<Item = u64> {
        let mut next = self.first;
        std::iter::from_fn(move || {
            let address = next as u64;
            // SAFETY: the chain has a share of each entry in it.
            next = unsafe { next.as_ref() }?.next.load(Relaxed);
            Some(address)
        })
    }
}

impl<T> Drop for Chain<T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

/// An entry during a read: there is a share of it meanwhile.
pub struct Found<'a, T>(*const Entry<T>, PhantomData<&'a Entry<T>>);

impl<T> Deref for Found<'_, T> {
    type Target = Entry<T>;

    #[inline]
    fn deref(&self) -> &Entry<T> {
        // SAFETY: there is a share of it.
        unsafe { &*self.0 }
    }
}

impl<'a, T> Found<'a, T> {
    /// For one who has a share already.
    pub fn of(entry: &'a Arc<Entry<T>>) -> Self {
        Self(Arc::as_ptr(entry), PhantomData)
    }

    /// A share that outlives the read.
    pub fn share(&self) -> Arc<Entry<T>> {
        // SAFETY: every entry that is found is in an `Arc`, of which there is a share.
        unsafe {
            Arc::increment_strong_count(self.0);
            Arc::from_raw(self.0)
        }
    }
}

/// What the writers of a shelf must have: the shares of its entries, in no order.
pub struct Kept<T> {
    entries: Vec<Arc<Entry<T>>>,
    puts: u64,
    /// Since the marks were last aged.
    evictions: usize,
}

impl<T> Kept<T> {
    pub fn new(most: usize) -> Result<Self, OutOfMemory> {
        Ok(Self { entries: alloc::try_vec(most)?, puts: 0, evictions: 0 })
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }
}

pub struct Shelf<T> {
    usage: Usage,
    table: Table<Entry<T>>,
    /// Readers whose hazards are used up.
    shared_readers: AtomicU64,
    leaving: Leaving,
    /// Entries that were taken away and have, or had, readers.
    limbo: Mutex<Chain<T>>,
}

impl<T> Shelf<T> {
    pub fn new(most: usize, eviction: Eviction) -> Result<Self, OutOfMemory> {
        Ok(Self {
            usage: Usage::new(eviction),
            table: Table::new(most)?,
            shared_readers: AtomicU64::new(0),
            leaving: Leaving::new()?,
            limbo: Mutex::new(Chain::default()),
        })
    }

    /// Uses the entry of a key in `body`, or gives that back when there is none.
    #[inline]
    pub fn read<R, F: FnOnce(&Found<'_, T>) -> R>(
        &self,
        record: Option<&'static ThreadRecord>,
        hash: u64,
        key: &[u8],
        body: F,
    ) -> Result<R, F> {
        let (result, is_sweep_due) = self.read_only(record, hash, key, body);
        if is_sweep_due {
            self.sweep();
        }
        result
    }

    /// The same for one who may let nothing go here; tells whether a [`sweep`](Self::sweep) is due.
    #[inline(always)]
    pub fn read_only<R, F: FnOnce(&Found<'_, T>) -> R>(
        &self,
        record: Option<&'static ThreadRecord>,
        hash: u64,
        key: &[u8],
        body: F,
    ) -> (Result<R, F>, bool) {
        let reader = Reader::new(self, record);
        let result = match self.find(hash, key, |entry| reader.show(entry)) {
            Some(entry) => {
                // It was on the shelf after it was shown, so the share there, or then in the limbo, lasts as long as the
                // reader.
                let found = Found(entry, PhantomData);
                self.usage.note(&found.mark);
                Ok(body(&found))
            }
            None => Err(body),
        };
        let shown = reader.end();
        barrier::light();
        // Either this is seen here, or whoever takes the entry away sees that this reader is gone.
        (result, self.leaving.may_have(shown))
    }

    #[inline]
    fn find(&self, hash: u64, key: &[u8], show: impl Fn(*mut Entry<T>)) -> Option<*mut Entry<T>> {
        for place in self.table.candidates(hash) {
            let mut entry = place.load(Acquire);
            while !entry.is_null() {
                show(entry);
                let now = place.load(SeqCst);
                if !std::ptr::eq(now, entry) {
                    entry = now;
                    continue;
                }
                // SAFETY: it is on the shelf, and the caller sees to it that it stays there or is seen to be used.
                if unsafe { &*entry }.is(hash, key) {
                    return Some(entry);
                }
                break;
            }
        }
        None
    }

    /// The entry of a key, for a writer.
    pub fn find_kept<'a>(&self, kept: &'a Kept<T>, hash: u64, key: &[u8]) -> Option<&'a Arc<Entry<T>>> {
        // Nobody takes one away meanwhile.
        let found = self.find(hash, key, |_| {})?;
        // SAFETY: as above.
        kept.entries.get(unsafe { &*found }.place.load(Relaxed) as usize)
    }

    /// There is room, and no entry of the same key.
    pub fn put(&self, kept: &mut Kept<T>, entry: Arc<Entry<T>>) {
        entry.place.store(kept.entries.len() as u64, Relaxed);
        kept.puts += 1;
        entry.turn.store(kept.puts, Relaxed);
        entry.mark.store(self.usage.begin(), Relaxed);
        self.table.insert(entry.hash, address(&entry));
        kept.entries.push(entry);
    }

    /// Takes the entry of a key away. The caller retires it, without any lock.
    pub fn take(&self, kept: &mut Kept<T>, hash: u64, key: &[u8]) -> Option<Arc<Entry<T>>> {
        let place = self.find_kept(kept, hash, key)?.place.load(Relaxed) as usize;
        Some(self.take_from(kept, place))
    }

    /// Takes away the one that is used least, as far as it is looked for. The caller retires it.
    pub fn take_least_used(&self, kept: &mut Kept<T>) -> Option<Arc<Entry<T>>> {
        let count = kept.entries.len();
        let rank = |place: &usize| {
            let entry = &kept.entries[*place];
            (entry.mark.load(Relaxed), entry.turn.load(Relaxed))
        };
        let least = if count <= MOST_LOOKED_AT {
            (0..count).min_by_key(rank)?
        } else {
            (0..MOST_LOOKED_AT).map(|_| chance::within(0..=count as u64 - 1) as usize).min_by_key(rank)?
        };
        kept.evictions += 1;
        if kept.evictions >= count {
            kept.evictions = 0;
            self.usage.age(kept.entries.iter().map(|entry| &entry.mark));
        }
        Some(self.take_from(kept, least))
    }

    fn take_from(&self, kept: &mut Kept<T>, place: usize) -> Arc<Entry<T>> {
        let taken = kept.entries.swap_remove(place);
        self.table.remove(taken.hash, address(&taken));
        if let Some(moved) = kept.entries.get(place) {
            moved.place.store(place as u64, Relaxed);
        }
        taken
    }

    pub fn take_all(&self, kept: &mut Kept<T>) -> Chain<T> {
        let mut taken = Chain::default();
        while let Some(entry) = kept.entries.pop() {
            self.table.remove(entry.hash, address(&entry));
            taken.push(entry);
        }
        taken
    }

    /// Lets entries that were taken away go when their readers are gone.
    pub fn retire(&self, mut taken: Chain<T>) {
        if taken.length == 0 {
            return;
        }
        taken.addresses().for_each(|address| self.leaving.add(address));
        // Before it they were taken away, and their readers were told to look after them.
        barrier::heavy();
        {
            let mut limbo = self.limbo.lock();
            while let Some(entry) = taken.pop() {
                limbo.push(entry);
            }
        }
        self.sweep();
    }

    /// Lets go what nobody reads any more.
    #[cold]
    pub fn sweep(&self) {
        let mut gone = Chain::default();
        {
            let mut limbo = self.limbo.lock();
            let mut rest = std::mem::take(&mut *limbo);
            while let Some(entry) = rest.pop() {
                let is_read = self.shared_readers.load(SeqCst) > 0 || hazards::is_shown(address(&entry) as u64);
                if is_read { limbo.push(entry) } else { gone.push(entry) }
            }
        }
        gone.addresses().for_each(|address| self.leaving.remove(address));
        // What goes here may be the host's, so no lock is held.
        drop(gone);
    }
}

const BUCKETS: usize = 256;

/// How many entries are in the limbo, or on the way there, by a hash of their addresses: so that one which has a slow
/// reader does not send the readers of the others there.
struct Leaving {
    buckets: Vec<AtomicU32>,
    sum: AtomicU32,
}

impl Leaving {
    fn new() -> Result<Self, OutOfMemory> {
        let mut buckets = alloc::try_vec(BUCKETS)?;
        buckets.extend((0..BUCKETS).map(|_| AtomicU32::new(0)));
        Ok(Self { buckets, sum: AtomicU32::new(0) })
    }

    #[inline]
    fn bucket(&self, address: u64) -> &AtomicU32 {
        // Fibonacci hashing.
        &self.buckets[(address.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as usize]
    }

    fn add(&self, address: u64) {
        self.bucket(address).fetch_add(1, SeqCst);
        self.sum.fetch_add(1, SeqCst);
    }

    fn remove(&self, address: u64) {
        self.bucket(address).fetch_sub(1, SeqCst);
        self.sum.fetch_sub(1, SeqCst);
    }

    /// Whether one of those that a reader has shown may be there.
    #[inline]
    fn may_have(&self, shown: Shown) -> bool {
        match shown {
            Shown::Nothing => false,
            Shown::One(address) => self.bucket(address).load(SeqCst) > 0,
            Shown::Several => self.sum.load(SeqCst) > 0,
        }
    }
}

/// What a reader may have kept from going.
#[derive(Clone, Copy)]
enum Shown {
    Nothing,
    One(u64),
    Several,
}

/// One read. While it lives, what it shows does.
struct Reader<'a, T> {
    shelf: &'a Shelf<T>,
    hazard: Option<Hazard>,
    shown: Cell<Shown>,
}

impl<'a, T> Reader<'a, T> {
    #[inline]
    fn new(shelf: &'a Shelf<T>, record: Option<&'static ThreadRecord>) -> Self {
        let hazard = Hazard::take(record);
        if hazard.is_none() {
            shelf.shared_readers.fetch_add(1, SeqCst);
        }
        let shown = if hazard.is_some() { Shown::Nothing } else { Shown::Several };
        Self { shelf, hazard, shown: Cell::new(shown) }
    }

    #[inline]
    fn show(&self, entry: *mut Entry<T>) {
        if let Some(hazard) = &self.hazard {
            hazard.show(entry as u64);
            self.shown.set(match self.shown.get() {
                Shown::Nothing => Shown::One(entry as u64),
                Shown::One(_) | Shown::Several => Shown::Several,
            });
        }
    }

    #[inline]
    fn end(self) -> Shown {
        self.shown.get()
    }
}

impl<T> Drop for Reader<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match &self.hazard {
            Some(hazard) => hazard.let_go(),
            None => {
                self.shelf.shared_readers.fetch_sub(1, SeqCst);
            }
        }
    }
}
