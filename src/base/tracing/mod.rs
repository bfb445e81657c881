//! Tracing: who took what, and from where. Off, it costs one relaxed load.
//!
//! [`unwind`] walks a call stack by `rules` that it keeps, [`modules`] makes of its addresses what stays true after a `dlclose`, [`stacks`] keeps
//! each call stack once, and a [`CallSite`] is the number of one. [`sampler`] says which blocks are followed, [`blocks`]
//! follows them, [`census`] asks those who do so themselves, [`report`] sorts what is alive, and [`symbols`] finds the names when somebody reads them.

use super::InvalidField;
use super::alloc::OutOfMemory;
use super::faults::{self, Point};
use parking_lot::Mutex;
use std::alloc::Layout;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::*};

pub mod blocks;
mod call_site;
pub mod census;
pub mod modules;
pub mod report;
#[cfg(target_arch = "x86_64")]
mod rules;
pub mod sampler;
mod stacks;
pub mod symbols;
mod unwind;

pub use blocks::{Block, Keeper, Kind, Token, Traced, hand_over, resize, track, track_sampled, untrack};
pub use call_site::CallSite;
pub use unwind::MAX_FRAMES;

pub const DEFAULT_FRAMES: u32 = 32;
pub const DEFAULT_SAMPLE_BYTES: u64 = 16 << 20;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Frames of a call stack that are kept, innermost first; 0: [`DEFAULT_FRAMES`].
    pub max_frames: u32,
    /// Bytes from one block that is followed to the next, on average; 1: each block; 0: [`DEFAULT_SAMPLE_BYTES`].
    pub sample_bytes: u64,
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TracingError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    pub is_on: bool,
    pub sample_bytes: u64,
    pub followed: u64,
    pub lost: u64,
    pub call_stacks: u64,
}

/// While it is on: a number that no earlier start had. 0: off.
static STARTED: AtomicU32 = AtomicU32::new(0);
/// It is on, and every block is followed.
static EACH: AtomicBool = AtomicBool::new(false);
/// The number of the last start. Held while tracing is switched.
static LAST_START: Mutex<u32> = Mutex::new(0);

/// Whether each use of an object is to be remembered, with its call site: tracing is on, and not for a sample only. The
/// fast paths that cannot remember anything are closed meanwhile.
#[inline(always)]
pub fn enabled() -> bool {
    EACH.load(Relaxed)
}

/// Whether call sites are wanted.
#[inline(always)]
pub fn is_on() -> bool {
    started() != 0
}

#[inline(always)]
fn started() -> u32 {
    STARTED.load(Relaxed)
}

/// Switches tracing on. When it is on already, the new configuration holds from now on.
pub fn start(config: Config) -> Result<(), TracingError> {
    let config = checked(config)?;
    let mut last_start = LAST_START.lock();
    stacks::prepare()?;
    blocks::prepare()?;
    unwind::prepare(config.max_frames);
    sampler::prepare(config.sample_bytes, config.seed);
    *last_start = last_start.checked_add(1).unwrap_or(1);
    STARTED.store(*last_start, Release);
    let follows_each = config.sample_bytes == 1;
    EACH.store(follows_each, Release);
    drop(last_start);
    if follows_each {
        census::follow_each();
    }
    Ok(())
}

/// Switches tracing off. Call sites that were taken keep their meaning, and blocks are followed until they end.
pub fn stop() {
    let _switching = LAST_START.lock();
    EACH.store(false, Release);
    STARTED.store(0, Release);
}

pub fn stats() -> Stats {
    Stats {
        is_on: started() != 0,
        sample_bytes: sampler::distance(),
        followed: followed(),
        lost: blocks::lost(),
        call_stacks: stacks::count(),
    }
}

fn followed() -> u64 {
    let mut followed = blocks::all().count() as u64;
    census::each(&mut |_| followed += 1);
    followed
}

fn checked(mut config: Config) -> Result<Config, InvalidField> {
    if config.max_frames == 0 {
        config.max_frames = DEFAULT_FRAMES;
    }
    if config.sample_bytes == 0 {
        config.sample_bytes = DEFAULT_SAMPLE_BYTES;
    }
    const _: () = assert!(MAX_FRAMES == 64);
    if config.max_frames as usize > MAX_FRAMES {
        let bound = "must be at most 64";
        return Err(InvalidField { field: "max_frames", value: config.max_frames.into(), bound });
    }
    const MOST: u64 = 1 << 40;
    if config.sample_bytes > MOST {
        let bound = "must be at most 1099511627776 (1 TiB)";
        return Err(InvalidField { field: "sample_bytes", value: config.sample_bytes, bound });
    }
    Ok(config)
}

/// A type of which all zeros is a value.
///
/// # Safety
/// It is so.
unsafe trait Zeroable {}

/// A large table of zeros, for which the system gives memory only where it is used. `None` when it cannot be had.
fn zeroed<T: Zeroable>() -> Option<Box<T>> {
    if faults::hit(Point::Allocation).is_some() {
        return None;
    }
    // SAFETY: the layout is that of `T`, for which all zeros is a value; a box may own what the allocator gave.
    unsafe {
        let memory = std::alloc::alloc_zeroed(Layout::new::<T>()).cast::<T>();
        (!memory.is_null()).then(|| Box::from_raw(memory))
    }
}

/// Makes the table that a start needs, once and for ever. A refusal leaves it to the next start.
fn keep<T: Zeroable>(place: &'static OnceLock<Box<T>>) -> Option<&'static T> {
    if place.get().is_none() {
        // Starts take turns, so nobody was faster.
        let _ = place.set(zeroed()?);
    }
    place.get().map(|table| &**table)
}

#[cfg(test)]
mod tests;
