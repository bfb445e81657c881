//! A slab: many objects of one size, side by side on the pages asked for, given out and taken back one by one.
//!
//! [`config`] says what a slab is asked to be and [`geometry`] where its slots lie; [`chunks`] are the memory under them.
//! [`states`] has what becomes of each slot, [`depot`] the free ones, and a [`magazine`] those that one thread has at hand;
//! magazines are kept in the [`rack`]. The [`gate`] lets each thread move slots without a lock, and one get at all of them.
//! On these [`getting`] and [`putting`] stand, [`room`] grows and trims, [`live`] tells what is out, [`inspection`] shows
//! the chunks to who looks at them again, and [`ending`] lets a slab go when the last of it is back.

pub mod chunks;
pub mod config;
pub mod depot;
mod ending;
pub mod gate;
pub mod geometry;
mod getting;
mod inspection;
mod live;
pub mod magazine;
mod putting;
pub mod rack;
mod room;
pub mod states;

pub use config::{SlabConfig, Upkeep};
pub use live::LiveSlot;

use super::governor::reclaim::{self, Reclaimer};
use super::governor::{Account, Holder};
use super::inspection::inspector;
use super::lanes::Lanes;
use super::sanitizers;
use super::source::SourceError;
use super::stretch::StretchError;
use super::system::Errno;
use crate::base::alloc::{self, OutOfMemory};
use crate::base::callback::CallbackFailure;
use crate::base::cancel::WaitEnd;
use crate::base::handles::Laned;
use crate::base::park::Parker;
use crate::base::thread::ThreadRecord;
use crate::base::tracing::census::{self, Census};
use crate::base::{Owner, barrier, tracing};
use chunks::{ChunkError, Chunks, Plan, Space};
use depot::{Depot, Run};
use gate::Gate;
use geometry::Geometry;
use magazine::{Magazine, Setup};
use parking_lot::Mutex;
use rack::Place;
use states::{States, StatesError};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering::*};
use std::sync::{Arc, Weak};

#[derive(Debug, thiserror::Error)]
pub enum SlabError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("there is no address space for {bytes} bytes of slots: errno {errno}")]
    Space { bytes: u64, errno: Errno },
    #[error(transparent)]
    States(#[from] StatesError),
    #[error(transparent)]
    Chunk(#[from] ChunkError),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
    #[error(transparent)]
    Magazine(#[from] StretchError),
    #[error("the slab is closing: it takes no new work")]
    Closed,
    #[error("{wanted} slots are wanted, and fewer are free: max_slots is {max}")]
    Exhausted { wanted: u64, max: u64 },
    #[error(transparent)]
    Callback(#[from] CallbackFailure),
    #[error("{address:#x} is not the begin of a slot of this slab")]
    Foreign { address: usize },
    #[error("slot {address:#x} was never got since its memory came")]
    NeverGot { address: usize },
    #[error("slot {address:#x} was put before")]
    PutTwice { address: usize },
    #[error("the slab was destroyed with slots still out")]
    Destroyed,
    #[error("{0}, with slots still out")]
    Wait(#[from] WaitEnd),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlabStats {
    pub slot_bytes: u64,
    pub max_slots: u64,
    pub out: u64,
    pub chunks: u64,
    pub mapped_bytes: u64,
    pub magazines_open: u64,
    pub refills: u64,
    pub flushes: u64,
    pub recalls: u64,
    pub exhausted: u64,
    pub trims: u64,
    pub put_twice: u64,
    pub foreign: u64,
    pub step_downs: u64,
}

#[derive(Default)]
struct Counters {
    /// Of magazines that are closed; each that is open counts its own.
    refills: AtomicU64,
    flushes: AtomicU64,
    recalls: AtomicU64,
    exhausted: AtomicU64,
    trims: AtomicU64,
    put_twice: AtomicU64,
    foreign: AtomicU64,
}

/// What a thread that holds no magazine has of a slab.
#[derive(Default)]
struct Lane {
    /// One that the slab keeps for it; null until it is needed.
    magazine: AtomicPtr<Magazine>,
}

pub struct Slab {
    owner: Owner,
    config: SlabConfig,
    upkeep: Box<dyn Upkeep>,
    /// Every call looks exactly: asked for, or a tool watches.
    checked: bool,
    creates: bool,
    resets: bool,
    account: Arc<Account>,
    plan: Plan,
    geometry: Geometry,
    states: States,
    depot: Depot,
    gate: Gate,
    lanes: Lanes<Lane>,
    /// Before the space that they lie in.
    chunks: Mutex<Chunks>,
    space: Space,
    /// Held by the thread that maps the next chunk.
    growth: Mutex<()>,
    /// How often there was more.
    growths: AtomicU64,
    last_growth_ns: AtomicU64,
    /// Magazines that are open: of hosts, and of lanes. Held by one who has the gate alone.
    magazines: Mutex<Vec<Place>>,
    /// Those of hosts among them.
    magazines_open: AtomicU64,
    waiters: Mutex<Vec<&'static Parker>>,
    destroyed: AtomicBool,
    /// Slots that are out, from when the gate is sealed.
    left: AtomicI64,
    /// A trim is under way.
    trimming: AtomicBool,
    counters: Counters,
}

impl Slab {
    pub fn new(owner: Owner, config: SlabConfig, upkeep: Box<dyn Upkeep>) -> Result<Arc<Self>, SlabError> {
        let config = config.checked()?;
        let account = Account::open(Holder::Slab, config.name)?;
        let plan = Plan {
            source: config.source,
            name: config.name,
            chunk_bytes: config.chunk_bytes,
            stride: config.slot_bytes,
            slots: config.max_slots,
        };
        let bytes = (config.max_slots * config.slot_bytes).next_multiple_of(config.chunk_bytes);
        let space = Space::reserve(bytes, config.alignment()).map_err(|errno| SlabError::Space { bytes, errno })?;
        let (creates, resets) = (upkeep.creates(), upkeep.resets());
        let slab = alloc::try_arc(Self {
            owner,
            config,
            upkeep,
            checked: config.checked || sanitizers::watch(),
            creates,
            resets,
            states: States::new(config.max_slots, &account)?,
            account,
            geometry: Geometry::new(space.base(), config.slot_bytes, config.max_slots),
            depot: Depot::new(config.max_slots as u32)?,
            gate: Gate::default(),
            lanes: Lanes::default(),
            chunks: Mutex::new(Chunks::new(plan)?),
            plan,
            space,
            growth: Mutex::new(()),
            growths: AtomicU64::new(0),
            last_growth_ns: AtomicU64::new(0),
            magazines: Mutex::new(Vec::new()),
            magazines_open: AtomicU64::new(0),
            waiters: Mutex::new(Vec::new()),
            destroyed: AtomicBool::new(false),
            left: AtomicI64::new(0),
            trimming: AtomicBool::new(false),
            counters: Counters::default(),
        })?;
        // What cannot be had is said at once.
        for growths in 0..config.initial_chunks() {
            slab.grow(growths)?;
        }
        let reclaimer: Weak<dyn Reclaimer> = Arc::downgrade(&(slab.clone() as Arc<dyn Reclaimer>));
        reclaim::register::<Self>(owner, reclaimer)?;
        let census: Weak<dyn Census> = Arc::downgrade(&(slab.clone() as Arc<dyn Census>));
        census::register::<Self>(owner, census)?;
        slab.account.let_inspect(inspector::<Self>(owner));
        Ok(slab)
    }

    /// Whether a call needs no more than a magazine.
    #[inline]
    fn is_plain(&self) -> bool {
        !self.checked && !tracing::enabled()
    }

    /// Whether inline code may use magazines now.
    fn is_inline(&self) -> bool {
        self.is_plain() && barrier::is_asymmetric()
    }

    /// Whether inline code is still kept out of a magazine by what is over: a tracing of each block.
    #[inline]
    fn is_to_settle(&self, magazine: &Magazine) -> bool {
        magazine.is_for_calls_alone() && self.is_inline()
    }

    /// The magazine that a thread has already.
    fn at_hand(&self, record: &'static ThreadRecord) -> Option<&'static Magazine> {
        // SAFETY: magazines lie in the rack, which is never given back.
        unsafe { self.lanes.taken_by(record)?.magazine.load(Relaxed).as_ref() }
    }

    /// The magazine that is kept for a thread.
    #[inline]
    fn kept_for(&self, record: Option<&'static ThreadRecord>) -> Option<&'static Magazine> {
        let record = record?;
        let lane = self.lanes.of(record)?;
        // SAFETY: magazines lie in the rack, which is never given back.
        match unsafe { lane.magazine.load(Relaxed).as_ref() } {
            Some(magazine) => Some(magazine),
            None => self.keep_one(record, lane),
        }
    }

    /// Without one, a call goes to the depot.
    #[cold]
    fn keep_one(&self, record: &'static ThreadRecord, lane: &Lane) -> Option<&'static Magazine> {
        if self.checked {
            return None;
        }
        let magazine = self.open().ok()?.magazine();
        lane.magazine.store((&raw const *magazine).cast_mut(), Relaxed);
        record.has_a_new_lane();
        Some(magazine)
    }

    fn open(&self) -> Result<Place, SlabError> {
        let setup = Setup {
            geometry: self.geometry,
            states: self.states.address(),
            capacity: self.config.magazine_slots,
            // A put that has to clean needs a call.
            inline_capacity: if self.resets { 0 } else { self.config.magazine_slots },
        };
        let mut magazines = self.magazines.lock();
        if self.gate.is_sealed() {
            return Err(SlabError::Closed);
        }
        alloc::try_reserve_one(&mut magazines)?;
        let place = Place::open(self.owner.0, &setup)?;
        magazines.push(place);
        Ok(place)
    }

    /// Opens a magazine for a host's thread.
    pub fn open_magazine(&self) -> Result<*mut Magazine, SlabError> {
        let place = self.open()?;
        self.magazines_open.fetch_add(1, SeqCst);
        Ok((&raw const *place.magazine()).cast_mut())
    }

    /// Closes a magazine of this slab; what is in it stays free. Of several callers one does it.
    pub fn close_magazine(&self, place: Place) -> Result<(), StretchError> {
        let mut magazines = self.magazines.lock();
        place.close(self.owner.0)?;
        self.empty(place.magazine());
        self.counters.refills.fetch_add(place.magazine().refills.load(Relaxed), Relaxed);
        self.counters.flushes.fetch_add(place.magazine().flushes.load(Relaxed), Relaxed);
        magazines.retain(|open| *open != place);
        drop(magazines);
        place.vacate();
        self.destroy_free();
        self.magazines_open.fetch_sub(1, SeqCst);
        Ok(())
    }

    /// Puts what is in a magazine that is shut where all find it.
    fn empty(&self, magazine: &Magazine) {
        let _visit = self.gate.visit(Some(magazine));
        self.give_all(|each| magazine.drain(each));
        self.depot.let_go(&magazine.claim);
    }

    /// Puts slots into the depot that `all` tells, runs of one word at once.
    fn give_all(&self, all: impl FnOnce(&mut dyn FnMut(*mut u8))) {
        let mut run = Run::default();
        all(&mut |slot| {
            if let Some(full) = self.geometry.index_of(slot).and_then(|index| run.add(index)) {
                self.depot.give_run(full, |index| self.put_twice_at_once(index));
            }
        });
        self.depot.give_run(run, |index| self.put_twice_at_once(index));
    }

    /// Puts a slot of a magazine into the depot.
    fn give(&self, slot: *mut u8) {
        if let Some(index) = self.geometry.index_of(slot) {
            self.give_index(index);
        }
    }

    fn give_index(&self, index: u32) {
        if !self.depot.give(index) {
            self.put_twice_at_once(index);
        }
    }

    /// Only of two puts at the same moment the second is not seen before.
    #[cold]
    fn put_twice_at_once(&self, index: u32) {
        self.counters.put_twice.fetch_add(1, Relaxed);
        let address = self.geometry.slot(index) as usize;
        crate::base::log::warn(format_args!("{}: slot {address:#x} was put twice at once", self.config.name));
    }

    /// Runs `body` while every free slot is in the depot and none moves.
    fn alone<R>(&self, leave: gate::Leave, body: impl FnOnce() -> R) -> R {
        let magazines = self.magazines.lock();
        self.gate.alone(|| magazines.iter().map(|place| place.magazine()), leave, |slot| self.give(slot), body)
    }

    pub fn stats(&self) -> SlabStats {
        let chunks = self.chunks.lock();
        let (count, mapped_bytes, step_downs) = (chunks.count(), chunks.mapped_bytes, chunks.step_downs);
        drop(chunks);
        let counted = |counter: &AtomicU64| counter.load(Relaxed);
        let magazines = self.magazines.lock();
        let of_all = |closed: &AtomicU64, of_one: fn(&Magazine) -> &AtomicU64| {
            magazines.iter().fold(counted(closed), |sum, place| sum + counted(of_one(place.magazine())))
        };
        SlabStats {
            slot_bytes: self.config.slot_bytes,
            max_slots: self.config.max_slots,
            out: self.out(),
            chunks: count,
            mapped_bytes,
            magazines_open: self.magazines_open.load(SeqCst),
            refills: of_all(&self.counters.refills, |magazine| &magazine.refills),
            flushes: of_all(&self.counters.flushes, |magazine| &magazine.flushes),
            recalls: counted(&self.counters.recalls),
            exhausted: counted(&self.counters.exhausted),
            trims: counted(&self.counters.trims),
            put_twice: counted(&self.counters.put_twice),
            foreign: counted(&self.counters.foreign),
            step_downs,
        }
    }
}

impl Laned for Slab {
    type Lane = Magazine;

    fn lane_of(&self, record: &'static ThreadRecord, _: Owner) -> Option<&Magazine> {
        self.at_hand(record)
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        for place in self.magazines.get_mut().drain(..) {
            if place.close(self.owner.0).is_ok() {
                place.vacate();
            }
        }
    }
}

#[cfg(test)]
mod tests;
