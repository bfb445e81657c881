//! Walks the calling thread's stack by its unwind tables, which compiled code has for exceptions anyway; frame pointers
//! it need not have.

use super::modules;
use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

/// Frames that a call stack may have.
pub const MAX_FRAMES: usize = 64;

static WANTED: AtomicUsize = AtomicUsize::new(0);
/// Where this library is mapped. Empty when it is part of the program itself: then the reader of a call stack finds
/// its frames by their names.
static OWN_START: AtomicU64 = AtomicU64::new(0);
static OWN_END: AtomicU64 = AtomicU64::new(0);

/// Addresses of a call stack, innermost first.
pub struct Addresses {
    list: [u64; MAX_FRAMES],
    count: usize,
    wanted: usize,
    own: Range<u64>,
}

impl Addresses {
    pub fn as_mut_slice(&mut self) -> &mut [u64] {
        &mut self.list[..self.count]
    }
}

/// To be called before the first [`capture`].
pub fn prepare(max_frames: u32) {
    let own = modules::library_around(prepare as *const () as u64).unwrap_or(0..0);
    OWN_START.store(own.start, Relaxed);
    OWN_END.store(own.end, Relaxed);
    WANTED.store(max_frames as usize, Relaxed);
}

/// The calls that led here, without those inside this library. Each address lies in the call, not behind it.
pub fn capture() -> Addresses {
    let mut found = Addresses {
        list: [0; MAX_FRAMES],
        count: 0,
        wanted: WANTED.load(Relaxed).min(MAX_FRAMES),
        own: OWN_START.load(Relaxed)..OWN_END.load(Relaxed),
    };
    // SAFETY: the unwinder calls `add` for each frame, with the pointer given here, which is live meanwhile.
    unsafe { _Unwind_Backtrace(add, (&raw mut found).cast()) };
    found
}

const GO_ON: c_int = 0;
/// Any code but 0 ends the walk.
const ENOUGH: c_int = 4;

unsafe extern "C" {
    fn _Unwind_Backtrace(each: extern "C" fn(*mut c_void, *mut c_void) -> c_int, argument: *mut c_void) -> c_int;
    fn _Unwind_GetIPInfo(context: *mut c_void, is_before: *mut c_int) -> usize;
}

extern "C" fn add(context: *mut c_void, found: *mut c_void) -> c_int {
    // SAFETY: `capture` passed its own live value.
    let found = unsafe { &mut *found.cast::<Addresses>() };
    let mut is_before = 0;
    // SAFETY: the unwinder's context, during its call.
    let address = unsafe { _Unwind_GetIPInfo(context, &mut is_before) } as u64;
    // A return address may already belong to what follows the function; that of a signal handler's caller does not.
    let address = if is_before == 0 { address.wrapping_sub(1) } else { address };
    if address == 0 || address == u64::MAX {
        return ENOUGH;
    }
    if found.own.contains(&address) {
        return GO_ON;
    }
    match found.list.get_mut(found.count) {
        Some(place) if found.count < found.wanted => {
            *place = address;
            found.count += 1;
            GO_ON
        }
        _ => ENOUGH,
    }
}
