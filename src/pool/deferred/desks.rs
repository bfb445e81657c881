//! The desks of a set of cells: opened, closed, and used where inline code does not go on. What lies in one is nobody's alone:
//! whoever finds no free cell, or destroys the set, has it recalled like what a thread has at hand.

use super::{Content, Deferred, DeferredError, Settled};
use crate::base::alloc;
use crate::base::barrier;
use crate::base::pockets::{Place, Reach};
use crate::base::thread::ThreadRecord;
use crate::memory::stretch::{Stretch, StretchError};
use crate::pool::cells::Key;
use crate::pool::cells::desk::{Desk, Published};
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::*};

static DESKS: Stretch<Desk> = Stretch::new("desk", 1 << 16);

/// A desk that is open: its number among all, and the handle of its set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenDesk {
    number: u32,
    pub deferred: u64,
}

impl OpenDesk {
    /// The one behind a pointer that a caller presents.
    pub fn find(pointer: *const Desk) -> Result<Self, StretchError> {
        DESKS.find(pointer).map(|(number, deferred)| Self { number, deferred })
    }

    fn desk(self) -> &'static Desk {
        DESKS.get(self.number)
    }
}

/// The open desks of one set of cells. They come and go while neither what is at hand nor who uses the set changes, so that
/// one who waits for windows meets each that is open.
#[derive(Default)]
pub(super) struct Desks {
    list: Mutex<Vec<u32>>,
    count: AtomicU32,
}

impl Desks {
    pub fn count(&self) -> u32 {
        self.count.load(SeqCst)
    }

    pub fn visit(&self, each: &mut dyn FnMut(&dyn Place)) {
        if self.count() > 0 {
            // Without the lock around `each`, which may wait for a window in which another visits them.
            (0..).map_while(|place| self.at(place)).for_each(|desk| each(desk));
        }
    }

    fn at(&self, place: usize) -> Option<&'static Desk> {
        self.list.lock().get(place).map(|number| DESKS.get(*number))
    }

    fn add(&self, number: u32) -> Result<(), alloc::OutOfMemory> {
        let mut list = self.list.lock();
        alloc::try_reserve_one(&mut list)?;
        list.push(number);
        self.count.fetch_add(1, SeqCst);
        Ok(())
    }

    fn remove(&self, number: u32) {
        self.list.lock().retain(|listed| *listed != number);
    }
}

impl Deferred {
    pub fn open_desk(&self) -> Result<*mut Desk, StretchError> {
        let number = DESKS.take(self.owner.0)?;
        let desk = DESKS.get(number);
        let (cells, salt) = self.cells.published();
        desk.set_up(&Published {
            owner: self.owner,
            state: self.runs.state(),
            who: self.users.who(),
            cells: cells.cast(),
            salt,
            capacity: self.cells.capacity(),
            released: &raw const self.counters.released,
            room: self.runs.longest(),
        });
        let is_listed = self.users.unchanged(|| self.runs.unchanged(|| self.desks.add(number)));
        if let Err(no_memory) = is_listed {
            let _ = DESKS.close(number, self.owner.0);
            desk.clear();
            DESKS.vacate(number);
            return Err(StretchError::OutOfMemory(no_memory));
        }
        desk.set_inline(barrier::is_asymmetric());
        Ok((&raw const *desk).cast_mut())
    }

    /// What was at hand is free for all. Cells that were acquired at it stay good.
    pub fn close_desk(&self, open: OpenDesk) -> Result<(), StretchError> {
        DESKS.close(open.number, open.deferred)?;
        let desk = open.desk();
        desk.set_inline(false);
        self.users.without(desk, || {
            self.runs.unchanged(|| {
                // Its user has no call under way; one that breaks this rule is waited for.
                barrier::heavy();
                barrier::wait_while(|| desk.busy().load(Acquire) != 0);
                while let Some(number) = desk.take(self.owner) {
                    self.cells.put_back(number);
                }
                self.desks.remove(open.number);
            });
        });
        desk.clear();
        DESKS.vacate(open.number);
        // From now on the set may go.
        self.desks.count.fetch_sub(1, SeqCst);
        Ok(())
    }

    /// Takes a free cell, first of all one that is at hand.
    pub fn acquire_at(&self, open: OpenDesk) -> Result<Key, DeferredError> {
        let desk = open.desk();
        let key = |number| self.cells.key(number);
        let in_window = self.in_window_of(desk, || self.runs.take_at_desk(desk, self.free(), self, key));
        in_window.map_or_else(|| self.acquire(), |number| Ok(self.open(number)))
    }

    /// [`Deferred::complete`] for the user of a desk.
    pub fn complete_at(&self, open: OpenDesk, cell: Key, settled: Settled) -> Result<(), DeferredError> {
        self.admit_at(open);
        self.complete_admitted(cell, settled)
    }

    /// Takes what came when it is there, and has the cell at hand then.
    pub fn poll_at(&self, open: OpenDesk, cell: Key) -> Result<Settled, DeferredError> {
        self.admit_at(open);
        let taken = self.cells.poll_out(cell, Content::read);
        let (number, settled) = taken.map_err(|error| DeferredError::of(cell, error))?;
        let (key, desk) = (self.cells.key(number), open.desk());
        self.in_window_of(desk, || self.runs.put_at_desk(number, key, desk, self.free()));
        Ok(settled)
    }

    /// [`Deferred::release`] for the user of a desk.
    pub fn release_at(&self, open: OpenDesk, cell: Key) -> Result<(), DeferredError> {
        self.admit_at(open);
        self.release_admitted(cell)
    }

    fn in_window_of<R>(&self, desk: &Desk, body: impl FnOnce() -> R) -> R {
        let _window = Reach::begin(desk, self.owner);
        body()
    }

    /// For the user of a desk in no window, before it ends or takes what comes.
    fn admit_at(&self, open: OpenDesk) {
        let desk = open.desk();
        // Where a fence has begun to cost something, inline code does not go on any more.
        desk.set_inline(barrier::is_asymmetric());
        self.users.admit_at(desk, || ThreadRecord::known().map(|record| record.pocket(self.owner)), self);
    }
}
