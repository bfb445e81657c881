//! The two sides of an asymmetric fence: those who pass often pay nothing, the rare other side makes every core pass a
//! barrier (membarrier(2), Linux 4.14).

use super::fork;
use std::sync::atomic::{AtomicU8, Ordering::*, compiler_fence, fence};
use std::time::Duration;

/// Those who pass often pay for a fence: membarrier was refused (an old kernel, a sandbox).
const FENCED: u8 = 0;
const BARRIER: u8 = 1;
/// It was there at registration, and a sandbox entered since then took it away: who began before may not have fenced.
const LOST: u8 = 2;

static MODE: AtomicU8 = AtomicU8::new(FENCED);
static ONCE: std::sync::Once = std::sync::Once::new();

const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
const PRIVATE_EXPEDITED: i32 = 1 << 3;

/// To be called before the first object exists, and after [`fork::watch`].
pub fn choose() {
    ONCE.call_once(|| {
        if membarrier(REGISTER_PRIVATE_EXPEDITED) == 0 {
            MODE.store(BARRIER, SeqCst);
            fork::set_swift(true);
        }
    });
}

/// Whether the frequent side pays nothing, so that it may be inline code of the host.
pub fn is_asymmetric() -> bool {
    MODE.load(Relaxed) == BARRIER
}

/// Between what the frequent side writes and what it then reads.
#[inline]
pub fn light() {
    if MODE.load(Relaxed) == BARRIER {
        compiler_fence(SeqCst);
    } else {
        fence(SeqCst);
    }
}

/// Between what the rare side writes and what it then reads.
pub fn heavy() {
    fence(SeqCst);
    if MODE.load(SeqCst) != FENCED && membarrier(PRIVATE_EXPEDITED) != 0 {
        // Those who began before have had a scheduler tick to make their store visible.
        MODE.store(LOST, SeqCst);
        fork::set_swift(false);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sleeps, longer each time, until the frequent side has moved on.
pub fn wait_while(mut condition: impl FnMut() -> bool) {
    let mut pause_us = 1;
    while condition() {
        std::thread::sleep(Duration::from_micros(pause_us));
        pause_us = (pause_us * 2).min(1000);
    }
}

fn membarrier(command: i32) -> i64 {
    // SAFETY: membarrier takes plain numbers.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }
}
