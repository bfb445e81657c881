//! Walks the calling thread's stack by its unwind tables, which compiled code has for exceptions anyway; frame pointers
//! it need not have. It goes by [`rules`] that were read before, and where those do not do asks the compiler's unwinder.

use super::modules;
#[cfg(target_arch = "x86_64")]
use super::rules::{self, Known, Plain, Rule};
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

/// Places of a call stack, as words, innermost first.
pub struct Frames {
    list: [u64; MAX_FRAMES],
    count: usize,
    wanted: usize,
    own: Range<u64>,
}

impl Frames {
    /// None, with room for as many as are wanted.
    fn none() -> Self {
        Self {
            list: [0; MAX_FRAMES],
            count: 0,
            wanted: WANTED.load(Relaxed).min(MAX_FRAMES),
            own: OWN_START.load(Relaxed)..OWN_END.load(Relaxed),
        }
    }

    pub fn as_slice(&self) -> &[u64] {
        &self.list[..self.count]
    }

    fn is_full(&self) -> bool {
        self.count == self.wanted
    }

    /// Adds what is no frame of this library's.
    #[inline]
    fn add(&mut self, address: u64, word: u64) {
        if !self.own.contains(&address)
            && !self.is_full()
            && let Some(place) = self.list.get_mut(self.count)
        {
            *place = word;
            self.count += 1;
        }
    }
}

/// To be called before the first [`capture`].
pub fn prepare(max_frames: u32) {
    let own = modules::library_around(prepare as *const () as u64).unwrap_or(0..0);
    OWN_START.store(own.start, Relaxed);
    OWN_END.store(own.end, Relaxed);
    WANTED.store(max_frames as usize, Relaxed);
}

/// The calls that led here, without those inside this library. Each place lies in the call, not behind it.
#[inline(always)]
pub fn capture() -> Frames {
    let mut found = Frames::none();
    if !walk(&mut found) {
        found.count = 0;
        unwind(&mut found);
    }
    found
}

/// By the rules that are kept. `false`: they do not do.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn walk(found: &mut Frames) -> bool {
    let (mut address, mut stack_pointer, mut frame_pointer): (u64, u64, u64);
    // SAFETY: it copies registers.
    unsafe {
        std::arch::asm!(
            "lea {}, [rip]", "mov {}, rsp", "mov {}, rbp",
            out(reg) address, out(reg) stack_pointer, out(reg) frame_pointer,
            options(nomem, nostack, preserves_flags)
        );
    }
    let changes = modules::changes();
    while !found.is_full() {
        let Known { place, rule } = rules::at(address, changes);
        found.add(address, place.word());
        let Plain { is_from_frame_pointer, distance, saved_frame_pointer } = match rule {
            Rule::Plain(plain) => plain,
            Rule::Last => break,
            Rule::Involved => return false,
        };
        let base = if is_from_frame_pointer { frame_pointer } else { stack_pointer };
        let begin = base.wrapping_add_signed(distance.into());
        if begin <= stack_pointer || !begin.is_multiple_of(8) {
            return false;
        }
        // SAFETY: the tables say that this frame reaches up to there, and that it has the return address and what it saved
        // there.
        let word = |words: i64| unsafe { ((begin as i64 + 8 * words) as *const u64).read() };
        if let Some(words) = saved_frame_pointer {
            frame_pointer = word(words.into());
        }
        // What is returned to may already belong to what follows the function.
        address = match word(-1) {
            0 => break,
            returned_to => returned_to - 1,
        };
        stack_pointer = begin;
    }
    true
}

#[cfg(not(target_arch = "x86_64"))]
fn walk(_: &mut Frames) -> bool {
    false
}

/// By the compiler's unwinder, which reads the tables each time.
#[cold]
#[inline(never)]
fn unwind(found: &mut Frames) {
    // SAFETY: the unwinder calls `add` for each frame, with the pointer given here, which is live meanwhile.
    unsafe { _Unwind_Backtrace(add, (&raw mut *found).cast()) };
    modules::locate(&mut found.list[..found.count]);
}

const GO_ON: c_int = 0;
/// Any code but 0 ends the walk.
const ENOUGH: c_int = 4;

unsafe extern "C" {
    fn _Unwind_Backtrace(each: extern "C" fn(*mut c_void, *mut c_void) -> c_int, argument: *mut c_void) -> c_int;
    fn _Unwind_GetIPInfo(context: *mut c_void, is_before: *mut c_int) -> usize;
}

extern "C" fn add(context: *mut c_void, found: *mut c_void) -> c_int {
    // SAFETY: `unwind` passed its own live value.
    let found = unsafe { &mut *found.cast::<Frames>() };
    let mut is_before = 0;
    // SAFETY: the unwinder's context, during its call.
    let address = unsafe { _Unwind_GetIPInfo(context, &mut is_before) } as u64;
    // A return address may already belong to what follows the function; that of a signal handler's caller does not.
    let address = if is_before == 0 { address.wrapping_sub(1) } else { address };
    if address == 0 || address == u64::MAX || found.is_full() {
        return ENOUGH;
    }
    found.add(address, address);
    GO_ON
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[inline(never)]
    fn both() -> [Frames; 2] {
        let [mut walked, mut unwound] = [Frames::none(), Frames::none()];
        assert!(walk(&mut walked), "the rules are plain");
        unwind(&mut unwound);
        [walked, unwound]
    }

    /// Keeps a frame pointer, since nobody knows how much it has on the stack.
    #[inline(never)]
    fn deep(calls: usize, each: &mut dyn FnMut()) {
        if calls == 0 {
            return each();
        }
        let bytes = vec![calls as u8; calls % 7 * 100];
        deep(calls - 1, each);
        std::hint::black_box(bytes);
    }

    #[test]
    fn the_rules_find_what_the_unwinder_finds() {
        let _turn = super::super::tests::TURN.lock();
        prepare(MAX_FRAMES as u32);
        for calls in [0, 1, 5, 30, 80] {
            for _ in 0..2 {
                deep(calls, &mut || {
                    let [walked, unwound] = both();
                    // Each begins at a place of its own: the first in this function, the second one call further in.
                    assert!(walked.count > calls.min(MAX_FRAMES / 2));
                    assert!(walked.is_full() || walked.count + 1 == unwound.count);
                    let rest = walked.as_slice().iter().skip(1).zip(unwound.as_slice().iter().skip(2));
                    assert!(rest.clone().count() > 1 && rest.clone().all(|(walked, unwound)| walked == unwound));
                });
            }
        }
    }
}
