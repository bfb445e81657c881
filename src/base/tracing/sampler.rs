//! Which blocks are followed: a sample by bytes. On average one falls into every so many bytes, and the distance to the next
//! is drawn anew each time, so that no pattern of sizes can escape it (a Poisson process, as other allocators' heap
//! profilers have it). A block of half the distance is found with a chance of 39 %, and then stands for two and a half.

use crate::base::thread::ThreadRecord;
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*};

/// Bytes from one sample to the next, on average.
static DISTANCE: AtomicU64 = AtomicU64::new(0);
static SEED: AtomicU64 = AtomicU64::new(0);
/// How many threads have drawn since the start.
static THREADS: AtomicU64 = AtomicU64::new(0);

/// One thread's way to its next sample.
#[derive(Default)]
pub struct Sampler {
    /// The start of tracing that this belongs to; 0: none yet.
    start: Cell<u32>,
    left: Cell<u64>,
    random: Cell<u64>,
}

pub(super) fn prepare(distance: u64, seed: u64) {
    DISTANCE.store(distance, Relaxed);
    SEED.store(seed, Relaxed);
    THREADS.store(0, Relaxed);
}

pub fn distance() -> u64 {
    DISTANCE.load(Relaxed)
}

/// Counts a block of so many bytes that this thread is given now, unless [`falls_on`] has to say whether the sample falls on
/// it. For fast paths: it draws nothing.
#[inline(always)]
pub fn passes(record: &ThreadRecord, bytes: u64) -> bool {
    let start = super::started();
    let sampler = &record.sampler;
    let left = sampler.left.get();
    if start == 0 {
        return true;
    }
    let is_passed = sampler.start.get() == start && left > bytes;
    if is_passed {
        sampler.left.set(left - bytes);
    }
    is_passed
}

/// Whether this thread's sample falls on a block of so many bytes that it is given now; then, for how many such blocks
/// it stands, itself included.
#[inline]
pub fn falls_on(record: &ThreadRecord, bytes: u64) -> Option<f64> {
    let start = super::started();
    if start == 0 {
        return None;
    }
    let sampler = &record.sampler;
    let left = sampler.left.get();
    if sampler.start.get() == start && left > bytes {
        sampler.left.set(left - bytes);
        return None;
    }
    sampler.draw(start, bytes).then(|| stands_for(bytes))
}

impl Sampler {
    #[cold]
    fn draw(&self, start: u32, bytes: u64) -> bool {
        if self.start.get() != start {
            self.start.set(start);
            let thread = THREADS.fetch_add(1, Relaxed);
            self.random.set(SEED.load(Relaxed) ^ thread.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            self.left.set(self.next_distance());
            if self.left.get() > bytes {
                self.left.set(self.left.get() - bytes);
                return false;
            }
        }
        // What reaches past the sample is not of the way to the next: that way has no memory.
        self.left.set(self.next_distance());
        true
    }

    /// Drawn from the exponential distribution.
    fn next_distance(&self) -> u64 {
        if distance() <= 1 {
            return 0;
        }
        let uniform = (self.next_random() >> 11) as f64 / (1u64 << 53) as f64;
        (-(1.0 - uniform).ln() * distance() as f64) as u64 + 1
    }

    /// SplitMix64.
    fn next_random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// One over the chance to find a block of this size.
fn stands_for(bytes: u64) -> f64 {
    let parts = bytes.max(1) as f64 / distance().max(1) as f64;
    if distance() <= 1 { 1.0 } else { 1.0 / -(-parts).exp_m1() }
}
