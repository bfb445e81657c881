//! What each thread shows that it uses, so that nobody frees it meanwhile: a number in one of the hazards of its own
//! record (M. Michael's hazard pointers, 2004), without a locked operation. A reader shows the number, and then looks
//! whether what it stands for may still be used. Whoever takes that away makes this visible first, then makes every core
//! pass a barrier (membarrier(2)), and then looks whether a thread still shows the number.

use super::thread::ThreadRecord;
use std::sync::atomic::{AtomicU8, Ordering::*, compiler_fence, fence};

/// One hazard of a thread. Hazards of a thread end in the reverse order of their begin.
pub struct Hazard {
    record: &'static ThreadRecord,
    depth: usize,
}

impl Hazard {
    /// `None` without a record, and when its hazards are used up: such a caller must make itself known otherwise.
    #[inline]
    pub fn take(record: Option<&'static ThreadRecord>) -> Option<Self> {
        let record = record?;
        let depth = record.depth.get();
        if depth == record.hazards.len() {
            return None;
        }
        record.depth.set(depth + 1);
        Some(Self { record, depth })
    }

    /// From now on whoever takes away what the number stands for will see it, unless that was done before: look.
    #[inline]
    pub fn show(&self, number: u64) {
        if let Some(hazard) = self.record.hazards.get(self.depth) {
            hazard.store(number, Relaxed);
        }
        reader_barrier();
    }

    #[inline]
    pub fn let_go(&self) {
        self.record.depth.set(self.depth);
        if let Some(hazard) = self.record.hazards.get(self.depth) {
            hazard.store(0, Release);
        }
    }

    #[inline]
    pub fn record(&self) -> &'static ThreadRecord {
        self.record
    }

    /// Whether this thread shows the same number in a call further out.
    pub fn is_shown_further_out(&self) -> bool {
        let (further_out, own) = self.record.hazards.split_at(self.depth);
        let shown = own.first().map(|hazard| hazard.load(Relaxed));
        further_out.iter().any(|hazard| Some(hazard.load(Relaxed)) == shown)
    }
}

/// Whether a thread shows this number. Right for numbers that were taken away before the last [`settle`].
pub fn is_shown(number: u64) -> bool {
    ThreadRecord::all().any(|record| record.hazards.iter().any(|hazard| hazard.load(SeqCst) == number))
}

/// Readers pay for a fence: membarrier(2) was refused (an old kernel, a sandbox).
const FENCED: u8 = 0;
const BARRIER: u8 = 1;
/// It was there at registration, and a sandbox entered since then took it away: readers that began before may not
/// have fenced.
const LOST: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(FENCED);
static ONCE: std::sync::Once = std::sync::Once::new();

const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
const PRIVATE_EXPEDITED: i32 = 1 << 3;

/// Asks the kernel for the barrier, once, before anything is shown.
pub fn prepare() {
    let mode = || if membarrier(REGISTER_PRIVATE_EXPEDITED) == 0 { BARRIER } else { FENCED };
    ONCE.call_once(|| MODE.store(mode(), SeqCst));
}

/// The reader's side: what stands before it is visible before what stands behind it is looked at, for whoever calls
/// [`settle`] in between.
#[inline]
pub fn reader_barrier() {
    if MODE.load(Relaxed) == BARRIER {
        compiler_fence(SeqCst);
    } else {
        fence(SeqCst);
    }
}

/// The other side: makes every core pass a barrier.
pub fn settle() {
    fence(SeqCst);
    if MODE.load(SeqCst) != FENCED && membarrier(PRIVATE_EXPEDITED) != 0 {
        // Those who began before have had a scheduler tick to make their store visible.
        MODE.store(LOST, SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn membarrier(command: i32) -> i64 {
    // SAFETY: membarrier takes plain numbers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}
