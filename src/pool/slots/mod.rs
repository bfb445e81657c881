//! Where a pool's resources live, and the leases that name them.
//!
//! The life of a slot: `VACANT` → `CREATING` → `LEASED` → `RETURNING` → `IDLE` → `LEASED` …, and from `CREATING`,
//! `LEASED` or `RETURNING` back to `VACANT`.
//!
//! What is done to an idle slot in the background is done in place, while its number stays among the idle ones: it is
//! `HELD` meanwhile, and then `IDLE` again, or `HOLLOW` when its resource is gone. A hollow slot is refilled in the same
//! way, or vacated by whoever pops its number. One who pops a number that is held makes it `UNLINKED`: then the holder
//! puts it where it belongs.
//!
//! An idle slot that is at hand for one user is `AT_HAND`: nobody else moves it before it is recalled, and `IDLE` again.

mod plain;

use crate::base::alloc::{self, OutOfMemory};
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};
use std::ffi::c_void;
use std::mem::offset_of;

pub use plain::PlainSlots;

pub const MOST_SLOTS: u32 = 1 << 20;

/// What the host made; it is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Resource(pub *mut c_void);

impl Resource {
    pub const NONE: Self = Self(std::ptr::null_mut());
}

/// Names one use of one resource. 0 is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Lease(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lease {lease:#x} is stale: it was released or discarded before, or is of another pool")]
pub struct StaleLease {
    pub lease: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Phase {
    Vacant = 0,
    Creating = 1,
    Leased = 2,
    Returning = 3,
    Idle = 4,
    Held = 5,
    Hollow = 6,
    Unlinked = 7,
    AtHand = 8,
}

const PHASES: [Phase; 9] = [
    Phase::Vacant,
    Phase::Creating,
    Phase::Leased,
    Phase::Returning,
    Phase::Idle,
    Phase::Held,
    Phase::Hollow,
    Phase::Unlinked,
    Phase::AtHand,
];

// The word of a slot: uses | slot | salt:12 | phase:4, of which the slot takes as few bits as it needs: a pool of 16 has 44
// for the uses, which last for days of nothing but leasing. A lease is the word of its slot while that is leased.
const PHASE: u64 = 0xf;
const SALT_SHIFT: u32 = 4;
const SALT_MASK: u64 = 0xfff;
const SLOT_SHIFT: u32 = 16;
/// One in so many uses of what is at hand is looked at for the peak, which needs a look at every thread.
const LOOKED_AT: u64 = 64;
/// The uses of a slot begin here, so that 0 says that they have come round. One that is looked at, and measured.
const FIRST_USE: u64 = 256;

/// What one who popped a number of an idle slot has then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The slot with its resource, in `RETURNING`.
    Resource,
    /// The slot without one, in `CREATING`.
    Hollow,
    /// Nothing: somebody holds it.
    Nothing,
}

/// What became of a wish to hold an idle slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The caller has it until [`Slot::let_go_idle`] or [`Slot::let_go_hollow`].
    Taken,
    Refused,
    /// Refused, but its number was popped meanwhile: the caller puts it back.
    Unlinked,
}

/// A place for one resource, half a cache line.
#[repr(C, align(32))]
pub struct Slot {
    /// How often it was leased, its name and its phase.
    word: AtomicU64,
    resource: AtomicPtr<c_void>,
    /// Since when it is idle, or leased, as exactly as the pool needs it. Of a lease: 0 when nobody looked at the clock,
    /// and odd when it was looked at for this lease.
    pub since_ns: AtomicU64,
    /// The number of its thread or tap, and `ORDINARY`.
    borrower: AtomicU32,
    /// The pool's when its resource was begun.
    generation: AtomicU32,
}

/// In a borrower: it has a share of what is for everybody. Above any number of a thread or a tap.
const ORDINARY: u32 = 1 << 31;
/// In a borrower: it is the number of a tap. Above any number of a thread.
pub const OF_TAP: u32 = 1 << 30;

/// Who leased it, and since when.
#[derive(Clone, Copy, Debug)]
pub struct Borrower {
    /// The number of a thread, or of a tap with [`OF_TAP`].
    pub number: u32,
    /// Whether it counts among those for whom a share of the pool is not kept.
    pub is_ordinary: bool,
    /// In an odd number it is exact; 0: it is not known.
    pub since_ns: u64,
}

/// What a resource has from its making on.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    /// The pool's generation when it was begun.
    pub generation: u32,
    /// When it is too old.
    pub expires_ns: u64,
}

impl Slot {
    /// Where the fields lie that the inline code of a tap uses, the word first.
    pub const OFFSETS: [usize; 4] = [
        offset_of!(Self, resource),
        offset_of!(Self, since_ns),
        offset_of!(Self, borrower),
        offset_of!(Self, generation),
    ];

    pub fn phase(&self) -> Phase {
        PHASES[(self.word.load(SeqCst) & PHASE) as usize]
    }

    /// Whether its resource lies there for all, or for one user.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase(), Phase::Idle | Phase::AtHand)
    }

    pub fn resource(&self) -> Resource {
        Resource(self.resource.load(Relaxed))
    }

    pub fn borrower(&self) -> Borrower {
        let borrower = self.borrower.load(Relaxed);
        Borrower {
            number: borrower & !ORDINARY,
            is_ordinary: borrower & ORDINARY != 0,
            since_ns: self.since_ns.load(Relaxed),
        }
    }

    /// For the owner of the slot: who has it at hand from now on.
    pub fn set_borrower(&self, number: u32) {
        self.borrower.store(number, Relaxed);
    }

    /// For a lease whose begin nobody has seen.
    pub fn note_since_if_unknown(&self, now_ns: u64) {
        // Whether it was known, or is another's by now, does not matter.
        let _ = self.since_ns.compare_exchange(0, now_ns & !1, Relaxed, Relaxed);
    }

    #[inline]
    pub fn generation(&self) -> u32 {
        self.generation.load(Relaxed)
    }

    /// For the owner of the slot: the resource is the caller's, to be destroyed.
    pub fn end_life(&self) -> Resource {
        // After the end of its lease, for one who reads the two in the other order.
        Resource(self.resource.swap(std::ptr::null_mut(), AcqRel))
    }

    /// For the owner of the slot, when no other thread can move it.
    pub fn set_phase(&self, phase: Phase) {
        let word = self.word.load(Relaxed);
        self.word.store((word & !PHASE) | phase as u64, SeqCst);
    }

    /// For the owner of the slot, right before its number goes among the idle ones.
    #[inline]
    pub fn make_idle(&self) {
        let word = self.word.load(Relaxed);
        self.word.store((word & !PHASE) | Phase::Idle as u64, Release);
    }

    /// For the owner of the slot, right before its number goes to where it is at hand.
    #[inline]
    pub fn make_at_hand(&self) {
        let word = self.word.load(Relaxed);
        self.word.store((word & !PHASE) | Phase::AtHand as u64, Release);
    }

    /// When several may want to move it.
    pub fn move_phase(&self, from: Phase, to: Phase) -> bool {
        let word = self.word.load(Relaxed);
        let expected = (word & !PHASE) | from as u64;
        self.word.compare_exchange(expected, (word & !PHASE) | to as u64, SeqCst, SeqCst).is_ok()
    }

    /// For one who popped its number from among the idle ones, while others may hold it.
    pub fn claim(&self) -> Claim {
        loop {
            if self.move_phase(Phase::Idle, Phase::Returning) {
                return Claim::Resource;
            }
            if self.move_phase(Phase::Held, Phase::Unlinked) {
                return Claim::Nothing;
            }
            if self.move_phase(Phase::Hollow, Phase::Creating) {
                return Claim::Hollow;
            }
            // It was let go or taken between the moves.
        }
    }

    /// Holds it in place, when it is idle since that moment.
    pub fn hold_idle(&self, since_ns: u64) -> Hold {
        if !self.move_phase(Phase::Idle, Phase::Held) {
            return Hold::Refused;
        }
        if self.since_ns.load(Relaxed) == since_ns {
            return Hold::Taken;
        }
        // It was used since the caller looked.
        if self.let_go_idle() { Hold::Refused } else { Hold::Unlinked }
    }

    /// Holds it in place, to make a resource in it.
    pub fn hold_hollow(&self) -> bool {
        self.phase() == Phase::Hollow && self.move_phase(Phase::Hollow, Phase::Held)
    }

    /// The holder leaves it with a resource. True while its number is still among the idle ones; else the caller puts
    /// it back.
    pub fn let_go_idle(&self) -> bool {
        self.move_phase(Phase::Held, Phase::Idle)
    }

    /// The holder leaves it without a resource. True while its number is still among the idle ones; else the caller
    /// makes it vacant.
    pub fn let_go_hollow(&self) -> bool {
        self.move_phase(Phase::Held, Phase::Hollow)
    }
}

/// What is remembered of each resource, for a pool that asks for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub uses: bool,
    pub lifetimes: bool,
    pub tags: bool,
}

/// How the leases of a pool name its slots.
#[derive(Clone, Copy)]
struct Names {
    /// How many bits of a word are not its uses.
    shift: u32,
    /// What one use more adds to a word.
    one_use: u64,
}

impl Names {
    fn of(slots: u32) -> Self {
        let shift = SLOT_SHIFT + u32::BITS - slots.saturating_sub(1).leading_zeros();
        Self { shift, one_use: 1 << shift }
    }

    /// After so many uses of a slot they begin again at 0.
    fn uses_of_a_round(self) -> u64 {
        1 << (u64::BITS - self.shift)
    }

    #[inline(always)]
    fn number_of(self, lease: Lease) -> u32 {
        ((lease.0 & (self.one_use - 1)) >> SLOT_SHIFT) as u32
    }

    /// The slot that a good lease names.
    #[inline(always)]
    fn find(self, slots: &[Slot], lease: Lease) -> Option<(u32, &Slot)> {
        let number = self.number_of(lease);
        let slot = slots.get(number as usize)?;
        let is_good = lease.0 & PHASE == Phase::Leased as u64 && slot.word.load(Acquire) == lease.0;
        is_good.then_some((number, slot))
    }

    /// The word of a slot that had this one in that phase, when it is leased once more.
    #[inline(always)]
    fn leased(self, word: u64, phase: Phase) -> u64 {
        word.wrapping_add(self.one_use) - phase as u64 + Phase::Leased as u64
    }

    #[inline(always)]
    fn is_looked_at(self, word: u64) -> bool {
        word & (self.one_use * (LOOKED_AT - 1)) == 0
    }
}

pub struct Slots {
    slots: Vec<Slot>,
    // By slot, or empty.
    /// How often its resource was leased.
    uses: Vec<AtomicU64>,
    expires_ns: Vec<AtomicU64>,
    /// The settings of its resource.
    tags: Vec<AtomicU64>,
    /// How often the uses of a slot have come round.
    rounds: AtomicU64,
    names: Names,
}

impl Slots {
    pub fn new(count: u32, memory: Memory) -> Result<Self, OutOfMemory> {
        static SALT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let mut slots = alloc::try_vec(count as usize)?;
        let names = Names::of(count);
        let salt = (SALT.fetch_add(1, Relaxed) & SALT_MASK) << SALT_SHIFT;
        let vacant = |number: u64| FIRST_USE * names.one_use + ((number << SLOT_SHIFT) | salt | Phase::Vacant as u64);
        slots.extend((0..u64::from(count)).map(|number| Slot {
            word: AtomicU64::new(vacant(number)),
            resource: AtomicPtr::new(std::ptr::null_mut()),
            since_ns: AtomicU64::new(0),
            borrower: AtomicU32::new(0),
            generation: AtomicU32::new(0),
        }));
        let one_each = |is_wanted: bool| {
            let mut numbers = alloc::try_vec(if is_wanted { count as usize } else { 0 })?;
            numbers.resize_with(numbers.capacity(), AtomicU64::default);
            Ok(numbers)
        };
        Ok(Self {
            slots,
            uses: one_each(memory.uses)?,
            expires_ns: one_each(memory.lifetimes)?,
            tags: one_each(memory.tags)?,
            rounds: AtomicU64::new(0),
            names,
        })
    }

    /// For the owner of the slot: a resource was made in it.
    pub fn begin_life(&self, number: u32, resource: Resource, life: Life) {
        let slot = self.get(number);
        slot.resource.store(resource.0, Release);
        slot.generation.store(life.generation, Relaxed);
        note(&self.uses, number, 0);
        note(&self.expires_ns, number, life.expires_ns);
        self.set_tag(number, 0);
    }

    /// Which use of a slot was its last, counted from [`FIRST_USE`] on and, once they have come round, from 0 on.
    #[inline]
    pub fn uses(&self, number: u32) -> u64 {
        self.get(number).word.load(Relaxed) >> self.names.shift
    }

    /// Whether the use of what is at hand is one to be looked at.
    #[inline]
    pub fn is_looked_at(&self, number: u32) -> bool {
        self.names.is_looked_at(self.get(number).word.load(Relaxed))
    }

    /// Whether the other slot in its cache line is leased by somebody other than that borrower, or at hand for one.
    pub fn is_beside_another(&self, number: u32, borrower: u32) -> bool {
        let is_first = (&raw const *self.get(number)).addr().is_multiple_of(2 * size_of::<Slot>());
        let beside = if is_first { number.checked_add(1) } else { number.checked_sub(1) };
        beside.and_then(|beside| self.slots.get(beside as usize)).is_some_and(|slot| {
            matches!(slot.phase(), Phase::Leased | Phase::AtHand) && slot.borrower().number != borrower
        })
    }

    /// How often the resource of a slot was leased, where that is remembered.
    pub fn uses_of_resource(&self, number: u32) -> u64 {
        noted(&self.uses, number).unwrap_or(0)
    }

    /// How often all of them together were leased.
    pub fn leases_begun(&self) -> u64 {
        let uses_of = |slot: &Slot| match slot.word.load(Relaxed) >> self.names.shift {
            0 => self.names.uses_of_a_round(),
            uses => uses,
        };
        let uses = self.slots.iter().map(|slot| uses_of(slot).wrapping_sub(FIRST_USE)).fold(0, u64::wrapping_add);
        self.rounds.load(Relaxed).wrapping_mul(self.names.uses_of_a_round()).wrapping_add(uses)
    }

    /// As if a slot had been leased until so many uses are left before they come round; tells how often that is.
    #[cfg(test)]
    pub fn age(&self, number: u32, left: u64) -> u64 {
        let leases = self.names.uses_of_a_round() - left - FIRST_USE;
        self.get(number).word.fetch_add(leases * self.names.one_use, Relaxed);
        leases
    }

    pub fn expires_ns(&self, number: u32) -> u64 {
        noted(&self.expires_ns, number).unwrap_or(u64::MAX)
    }

    #[inline]
    pub fn tag(&self, number: u32) -> u64 {
        noted(&self.tags, number).unwrap_or(0)
    }

    /// For the owner of the slot.
    pub fn set_tag(&self, number: u32, tag: u64) {
        note(&self.tags, number, tag);
    }

    /// For code outside of the library that leases as this does: where the slots are, how many, and what one use more adds to a
    /// word.
    pub fn published(&self) -> (*const Slot, u32, u64) {
        (self.slots.as_ptr(), self.slots.len() as u32, self.names.one_use)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    /// The numbers come from the pool's own stacks, so each is there.
    #[inline]
    pub fn get(&self, number: u32) -> &Slot {
        &self.slots[number as usize]
    }

    /// From now on the slot is leased. For its owner.
    #[inline(always)]
    pub fn begin_lease(&self, number: u32, borrower: Borrower) -> Lease {
        let slot = self.get(number);
        let flag = if borrower.is_ordinary { ORDINARY } else { 0 };
        slot.borrower.store(borrower.number | flag, Relaxed);
        slot.since_ns.store(borrower.since_ns, Relaxed);
        let word = slot.word.load(Relaxed);
        if word >> self.names.shift == 0 {
            // Nobody passes by here with this one: 0 is one to be looked at.
            self.rounds.fetch_add(1, Relaxed);
        }
        if let Some(uses) = self.uses.get(number as usize) {
            uses.store(uses.load(Relaxed) + 1, Relaxed);
        }
        let leased = (word & !PHASE).wrapping_add(self.names.one_use) | Phase::Leased as u64;
        slot.word.store(leased, Release);
        Lease(leased)
    }

    /// The slots that are leased at this moment, each with its number and its lease.
    pub fn leased(&self) -> impl Iterator<Item = (u32, Lease, &Slot)> {
        let lease_in = |number| self.lease_in(number).map(|(lease, slot)| (number, lease, slot));
        (0..self.slots.len() as u32).filter_map(lease_in)
    }

    pub fn lease_in(&self, number: u32) -> Option<(Lease, &Slot)> {
        let slot = self.get(number);
        let word = slot.word.load(Acquire);
        (word & PHASE == Phase::Leased as u64).then_some((Lease(word), slot))
    }

    /// Ends a lease: of several who try one gets the slot, in `RETURNING`.
    #[inline]
    pub fn end_lease(&self, lease: Lease) -> Result<u32, StaleLease> {
        let (number, slot) = self.find(lease)?;
        match slot.word.compare_exchange(lease.0, returning(lease), AcqRel, Relaxed) {
            Ok(_) => Ok(number),
            Err(_) => Err(StaleLease { lease: lease.0 }),
        }
    }

    /// Ends a lease of that borrower, while nobody else ends one of its. Nothing when it is another's.
    #[inline]
    pub fn end_own_lease(&self, lease: Lease, borrower: u32) -> Result<Option<u32>, StaleLease> {
        let (number, slot) = self.find(lease)?;
        if slot.borrower.load(Relaxed) != borrower {
            return Ok(None);
        }
        slot.word.store(returning(lease), Release);
        Ok(Some(number))
    }

    #[inline(always)]
    pub fn plain<'a>(&'a self, borrower: u32, generation: &'a AtomicU32, now_ns: &'a AtomicU64) -> PlainSlots<'a> {
        PlainSlots { slots: &self.slots, names: &self.names, borrower, generation, now_ns }
    }

    pub fn resource_of(&self, lease: Lease) -> Result<Resource, StaleLease> {
        let (_, slot) = self.find(lease)?;
        // Acquire, so that the word is looked at after it: a lease that is good then was good when this was read.
        let resource = Resource(slot.resource.load(Acquire));
        if slot.word.load(Acquire) == lease.0 { Ok(resource) } else { Err(StaleLease { lease: lease.0 }) }
    }

    /// The slot that a good lease names.
    #[inline]
    fn find(&self, lease: Lease) -> Result<(u32, &Slot), StaleLease> {
        self.names.find(&self.slots, lease).ok_or(StaleLease { lease: lease.0 })
    }
}

/// The word of a slot whose lease ends.
fn returning(lease: Lease) -> u64 {
    lease.0 - Phase::Leased as u64 + Phase::Returning as u64
}

fn note(numbers: &[AtomicU64], number: u32, value: u64) {
    if let Some(place) = numbers.get(number as usize) {
        place.store(value, Relaxed);
    }
}

#[inline]
fn noted(numbers: &[AtomicU64], number: u32) -> Option<u64> {
    Some(numbers.get(number as usize)?.load(Relaxed))
}
