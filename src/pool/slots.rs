//! Where a pool's resources live, and the leases that name them.
//!
//! The life of a slot: `VACANT` → `CREATING` → `LEASED` → `RETURNING` → `IDLE` → `LEASED` …, and from `CREATING`,
//! `LEASED` or `RETURNING` back to `VACANT`. What was idle too long goes `IDLE` → `RETIRING` → `HOLLOW`, while its
//! number stays on the idle stack: whoever pops a hollow number may create in it. One who pops a number that is just
//! retiring makes it `UNLINKED`, and the retirement then ends in `VACANT`.

use crate::base::alloc::{self, OutOfMemory};
use crate::base::sync::{AtomicPtr, AtomicU64, Ordering::*};
use std::ffi::c_void;

pub const MOST_SLOTS: u32 = 1 << 20;

/// What the host made; it is the host's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource(pub *mut c_void);

/// Names one use of one resource. 0 is no lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Retiring = 5,
    Hollow = 6,
    Unlinked = 7,
}

const PHASES: [Phase; 8] = [
    Phase::Vacant,
    Phase::Creating,
    Phase::Leased,
    Phase::Returning,
    Phase::Idle,
    Phase::Retiring,
    Phase::Hollow,
    Phase::Unlinked,
];

// The word of a slot: generation:28 | phase:4. A lease: generation:28 | salt:16 | slot:20.
const GENERATION_SHIFT: u32 = 4;
const GENERATION_MASK: u64 = (1 << 28) - 1;
const LEASE_GENERATION_SHIFT: u32 = 36;
const SALT_SHIFT: u32 = 20;
const SALT_MASK: u64 = 0xffff;

/// What one who popped a number from the idle stack has then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The slot with its resource, in `RETURNING`.
    Resource,
    /// The slot without one, in `CREATING`.
    Hollow,
    /// Nothing: its retirement, which is under way, ends in `VACANT`.
    Nothing,
}

/// What became of a wish to retire a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retirement {
    /// The caller destroys its resource, then ends the retirement.
    Begun,
    Refused,
    /// Refused, but its number was popped meanwhile: the caller puts it back.
    Unlinked,
}

#[repr(align(64))]
pub struct Slot {
    word: AtomicU64,
    resource: AtomicPtr<c_void>,
    /// When it became idle, as exactly as the pool needs it.
    pub idle_since_ns: AtomicU64,
    /// How often it was leased; written by whoever owns the slot.
    uses: AtomicU64,
}

impl Slot {
    pub fn phase(&self) -> Phase {
        PHASES[(self.word.load(SeqCst) & 7) as usize]
    }

    pub fn resource(&self) -> Resource {
        Resource(self.resource.load(Relaxed))
    }

    pub fn uses(&self) -> u64 {
        self.uses.load(Relaxed)
    }

    pub fn put(&self, resource: Resource) {
        self.resource.store(resource.0, Relaxed);
    }

    /// For the owner of the slot, when no other thread can move it.
    pub fn set_phase(&self, phase: Phase) {
        let word = self.word.load(Relaxed);
        self.word.store((word & !7) | phase as u64, SeqCst);
    }

    /// For the owner of the slot, right before its number goes onto the idle stack.
    #[inline]
    pub fn make_idle(&self) {
        let word = self.word.load(Relaxed);
        self.word.store((word & !7) | Phase::Idle as u64, Release);
    }

    /// When several may want to move it.
    pub fn move_phase(&self, from: Phase, to: Phase) -> bool {
        let word = self.word.load(Relaxed);
        let expected = (word & !7) | from as u64;
        self.word.compare_exchange(expected, (word & !7) | to as u64, SeqCst, SeqCst).is_ok()
    }

    /// For one who popped its number from the idle stack, while it may be retired.
    pub fn claim(&self) -> Claim {
        loop {
            if self.move_phase(Phase::Idle, Phase::Returning) {
                return Claim::Resource;
            }
            if self.move_phase(Phase::Retiring, Phase::Unlinked) {
                return Claim::Nothing;
            }
            if self.phase() == Phase::Hollow {
                self.set_phase(Phase::Creating);
                return Claim::Hollow;
            }
            // A retirement was called off between the two moves: it is idle again.
        }
    }

    /// Begins to retire it, when it is idle since that moment.
    pub fn begin_retirement(&self, idle_since_ns: u64) -> Retirement {
        if !self.move_phase(Phase::Idle, Phase::Retiring) {
            return Retirement::Refused;
        }
        if self.idle_since_ns.load(Relaxed) == idle_since_ns {
            return Retirement::Begun;
        }
        // It was used since the caller looked.
        if self.move_phase(Phase::Retiring, Phase::Idle) { Retirement::Refused } else { Retirement::Unlinked }
    }

    /// Its resource is gone. True while its number is still on the idle stack; else the caller makes it vacant.
    pub fn end_retirement(&self) -> bool {
        self.move_phase(Phase::Retiring, Phase::Hollow)
    }
}

pub struct Slots {
    slots: Vec<Slot>,
    salt: u64,
}

impl Slots {
    pub fn new(count: u32) -> Result<Self, OutOfMemory> {
        static SALT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
        let mut slots = alloc::try_vec(count as usize)?;
        slots.extend((0..count).map(|_| Slot {
            word: AtomicU64::new(0),
            resource: AtomicPtr::new(std::ptr::null_mut()),
            idle_since_ns: AtomicU64::new(0),
            uses: AtomicU64::new(0),
        }));
        Ok(Self { slots, salt: SALT.fetch_add(1, Relaxed) & SALT_MASK })
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
    #[inline]
    pub fn begin_lease(&self, number: u32) -> Lease {
        let slot = self.get(number);
        // 0 is left out, so that no lease is.
        let generation = (((slot.word.load(Relaxed) >> GENERATION_SHIFT) + 1) & GENERATION_MASK).max(1);
        slot.uses.store(slot.uses.load(Relaxed) + 1, Relaxed);
        slot.word.store((generation << GENERATION_SHIFT) | Phase::Leased as u64, Release);
        Lease((generation << LEASE_GENERATION_SHIFT) | (self.salt << SALT_SHIFT) | u64::from(number))
    }

    /// Ends a lease: of several who try one gets the slot, in `RETURNING`.
    #[inline]
    pub fn end_lease(&self, lease: Lease) -> Result<u32, StaleLease> {
        let (number, slot, leased) = self.find(lease)?;
        let returning = leased - Phase::Leased as u64 + Phase::Returning as u64;
        match slot.word.compare_exchange(leased, returning, AcqRel, Relaxed) {
            Ok(_) => Ok(number),
            Err(_) => Err(StaleLease { lease: lease.0 }),
        }
    }

    pub fn resource_of(&self, lease: Lease) -> Result<Resource, StaleLease> {
        let (_, slot, leased) = self.find(lease)?;
        // Acquire, so that the word is looked at after it: a lease that is good then was good when this was read.
        let resource = Resource(slot.resource.load(Acquire));
        if slot.word.load(Acquire) == leased { Ok(resource) } else { Err(StaleLease { lease: lease.0 }) }
    }

    /// The slot that a lease names, and its word while the lease is good.
    #[inline]
    fn find(&self, lease: Lease) -> Result<(u32, &Slot, u64), StaleLease> {
        let stale = StaleLease { lease: lease.0 };
        if lease.0 == 0 || (lease.0 >> SALT_SHIFT) & SALT_MASK != self.salt {
            return Err(stale);
        }
        let number = (lease.0 & u64::from(MOST_SLOTS - 1)) as u32;
        let slot = self.slots.get(number as usize).ok_or(stale)?;
        let generation = lease.0 >> LEASE_GENERATION_SHIFT;
        Ok((number, slot, (generation << GENERATION_SHIFT) | Phase::Leased as u64))
    }
}
