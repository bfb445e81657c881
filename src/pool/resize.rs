//! The bounds of a pool, and their change while it is in use: slots are withdrawn when they come free, and readmitted.

use super::config::PoolConfig;
use super::events::Event;
use super::housekeeper;
use super::numbers::Reason;
use super::pool::Pool;
use super::slots::{Claim, Phase, Resource};
use super::stack::{Links, Stack};
use crate::base::InvalidField;
use crate::base::thread::SpawnError;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// The bounds that a resize changes.
pub(super) struct Limits {
    /// The least and the greatest number of resources, which change together.
    bounds: AtomicU64,
    /// Slots that are not withdrawn. While there are more than `max_size`, those that come free are.
    circulating: AtomicU32,
    withdrawn: Stack,
}

impl Limits {
    pub fn new(config: &PoolConfig, links: &Arc<Links>) -> Self {
        let withdrawn = Stack::with(links);
        (config.max_size..config.capacity).rev().for_each(|slot| withdrawn.push(slot));
        Self {
            bounds: AtomicU64::new(Self::pack(config.min_size, config.max_size)),
            circulating: AtomicU32::new(config.max_size),
            withdrawn,
        }
    }

    fn pack(min_size: u32, max_size: u32) -> u64 {
        u64::from(min_size) << 32 | u64::from(max_size)
    }

    #[inline]
    pub fn bounds(&self) -> (u32, u32) {
        let bounds = self.bounds.load(SeqCst);
        ((bounds >> 32) as u32, bounds as u32)
    }

    pub fn min_size(&self) -> u32 {
        self.bounds().0
    }

    #[inline]
    pub fn max_size(&self) -> u32 {
        self.bounds().1
    }

    #[inline]
    pub fn circulating(&self) -> u32 {
        self.circulating.load(Relaxed)
    }

    fn set(&self, min_size: u32, max_size: u32) {
        self.bounds.store(Self::pack(min_size, max_size), SeqCst);
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ResizeError {
    #[error(transparent)]
    InvalidField(#[from] InvalidField),
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl Pool {
    /// Changes the bounds while the pool is in use. What is too much goes as it comes free.
    pub fn resize(self: &Arc<Self>, min_size: u32, max_size: u32) -> Result<(), ResizeError> {
        if !(1..=self.config.capacity).contains(&max_size) {
            let bound = "must be 1 to the pool's capacity";
            return Err(InvalidField { field: "max_size", value: max_size.into(), bound }.into());
        }
        if max_size <= self.config.reserved_high {
            let bound = "must be more than the pool's reserved_high";
            return Err(InvalidField { field: "max_size", value: max_size.into(), bound }.into());
        }
        if min_size > max_size {
            return Err(
                InvalidField { field: "min_size", value: min_size.into(), bound: "must be at most max_size" }.into()
            );
        }
        if min_size > self.config.soft_max_size {
            let bound = "must be at most the pool's soft_max_size";
            return Err(InvalidField { field: "min_size", value: min_size.into(), bound }.into());
        }
        if min_size > 0 && self.config.creator_threads == 0 {
            housekeeper::start(self)?;
        }
        self.limits.set(min_size, max_size);
        self.recall();
        self.readmit();
        self.withdraw_what_is_free();
        self.serve();
        self.refill();
        // Some may want more than there can be now, others may make what they wait for.
        self.waiters.wake_all(&**self);
        self.warmed.wake_all();
        self.tell(Event::Resized, Resource::NONE);
        Ok(())
    }

    #[inline]
    pub(super) fn is_too_large(&self) -> bool {
        self.limits.circulating() > self.limits.max_size()
    }

    /// Destroys a resource of the caller's with its place, when there are too many.
    #[inline]
    pub(super) fn withdraw_surplus(&self, number: u32) -> bool {
        let is_withdrawn = self.is_too_large() && self.withdraw(number, Some(Reason::Surplus));
        if is_withdrawn {
            // The bound may have been raised meanwhile, and the slot be vacant now.
            self.after_vacant();
        }
        is_withdrawn
    }

    /// Takes a slot of the caller's out of circulation, when there are too many; a resource that is in it goes for the
    /// reason given.
    pub(super) fn withdraw(&self, number: u32, resource_goes: Option<Reason>) -> bool {
        let max_size = self.limits.max_size();
        let one_less = |circulating: u32| (circulating > max_size).then(|| circulating - 1);
        if self.limits.circulating.fetch_update(SeqCst, SeqCst, one_less).is_err() {
            return false;
        }
        if let Some(reason) = resource_goes {
            self.destroy_resource(number, reason);
        }
        self.slots.get(number).set_phase(Phase::Vacant);
        self.limits.withdrawn.push(number);
        // The bound may have been raised before it was there to be readmitted.
        self.readmit();
        self.tell_ended();
        true
    }

    /// Brings withdrawn slots back, up to the bound.
    fn readmit(&self) {
        let limits = &self.limits;
        let one_more = |circulating: u32| (circulating < limits.max_size()).then_some(circulating + 1);
        while limits.circulating.load(SeqCst) < limits.max_size()
            && let Some((number, _)) = limits.withdrawn.pop()
        {
            if limits.circulating.fetch_update(SeqCst, SeqCst, one_more).is_ok() {
                self.vacant.push(number);
            } else {
                limits.withdrawn.push(number);
            }
        }
    }

    /// Withdraws slots with nothing in use, while there are too many.
    pub(super) fn withdraw_what_is_free(&self) {
        while self.is_too_large() {
            if let Some((number, _)) = self.vacant.pop() {
                self.vacate(number);
            } else if let Some(number) = self.idle.pop() {
                match self.slots.get(number).claim() {
                    Claim::Resource => self.put_idle(number),
                    Claim::Hollow => self.vacate(number),
                    Claim::Nothing => {}
                }
            } else {
                return;
            }
        }
    }
}
