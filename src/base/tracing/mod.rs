//! Tracing: who took what, and from where. Off, it costs one relaxed load.
//!
//! [`unwind`] walks a call stack, [`modules`] makes of its addresses what stays true after a `dlclose`, [`stacks`] keeps
//! each call stack once, and a [`CallSite`] is the number of one. [`symbols`] finds the names, when somebody reads them.

use super::InvalidField;
use super::alloc::OutOfMemory;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::*};

mod call_site;
pub mod modules;
mod stacks;
pub mod symbols;
mod unwind;

pub use call_site::CallSite;
pub use unwind::MAX_FRAMES;

pub const DEFAULT_FRAMES: u32 = 32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Frames of a call stack that are kept, innermost first; 0: [`DEFAULT_FRAMES`].
    pub max_frames: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TracingError {
    #[error(transparent)]
    Field(#[from] InvalidField),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

static ON: AtomicBool = AtomicBool::new(false);
/// Held while tracing is switched.
static SWITCH: Mutex<()> = Mutex::new(());

#[inline(always)]
pub fn enabled() -> bool {
    ON.load(Relaxed)
}

/// Switches tracing on. When it is on already, the new configuration holds from now on.
pub fn start(config: Config) -> Result<(), TracingError> {
    let config = checked(config)?;
    let _switching = SWITCH.lock();
    stacks::prepare()?;
    unwind::prepare(config.max_frames);
    ON.store(true, Release);
    Ok(())
}

/// Switches tracing off. Call sites that were taken keep their meaning.
pub fn stop() {
    let _switching = SWITCH.lock();
    ON.store(false, Release);
}

fn checked(mut config: Config) -> Result<Config, InvalidField> {
    if config.max_frames == 0 {
        config.max_frames = DEFAULT_FRAMES;
    }
    const _: () = assert!(MAX_FRAMES == 64);
    if config.max_frames as usize > MAX_FRAMES {
        return Err(InvalidField { field: "max_frames", value: config.max_frames.into(), bound: "must be at most 64" });
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
