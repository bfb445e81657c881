//! Tells a forked child from the process that loaded the library: threads and locks do not survive a fork.

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::*};

/// A word on a page that the kernel wipes in a forked child (MADV_WIPEONFORK, Linux 4.14). Before there is one, a word that a
/// child leaves as it is.
static WORD: AtomicPtr<AtomicU32> = AtomicPtr::new(UNWATCHED);
static UNWATCHED_WORD: AtomicU32 = AtomicU32::new(ALIVE);
const UNWATCHED: *mut AtomicU32 = (&raw const UNWATCHED_WORD).cast_mut();

// The word, 0 in a child. It also says what the shortest calls have to know, so that they look at one word.
const ALIVE: u32 = 1;
const SWIFT: u32 = 2;

#[inline(always)]
fn word() -> &'static AtomicU32 {
    // SAFETY: a static, or the page of `watch`, which is never unmapped.
    unsafe { &*WORD.load(Acquire) }
}

/// Whether this process is a forked child of the one that called [`watch`].
#[inline(always)]
pub fn is_forked() -> bool {
    word().load(Relaxed) & ALIVE == 0
}

/// Whether this process is none, and [`set_swift`] was told that calls may be swift.
#[inline(always)]
pub fn is_swift() -> bool {
    word().load(Relaxed) == ALIVE | SWIFT
}

/// Tells whether a call needs no fence of its own, after [`watch`].
pub fn set_swift(is_swift: bool) {
    if is_swift {
        word().fetch_or(SWIFT, SeqCst);
    } else {
        word().fetch_and(!SWIFT, SeqCst);
    }
}

/// Begins to watch. Called before the first object exists; later calls do nothing.
pub fn watch() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    if WORD.load(Acquire) == UNWATCHED {
        ONCE.call_once(|| WORD.store(wiped_page().unwrap_or_else(atfork_flag), Release));
    }
}

fn wiped_page() -> Option<*mut AtomicU32> {
    // SAFETY: a fresh anonymous mapping of one page, kept for the life of the process.
    unsafe {
        let bytes = libc::sysconf(libc::_SC_PAGESIZE) as usize;
        let page = libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        );
        if page == libc::MAP_FAILED {
            return None;
        }
        if libc::madvise(page, bytes, libc::MADV_WIPEONFORK) != 0 {
            libc::munmap(page, bytes);
            return None;
        }
        let alive = page.cast::<AtomicU32>();
        (*alive).store(ALIVE, Relaxed);
        Some(alive)
    }
}

fn atfork_flag() -> *mut AtomicU32 {
    static WATCHED_WORD: AtomicU32 = AtomicU32::new(ALIVE);
    extern "C" fn in_child() {
        WATCHED_WORD.store(0, Relaxed);
    }
    // SAFETY: the handler only stores to statics, and the library is never unloaded. Refused only when memory is out;
    // then a fork goes unnoticed, as it would without any watch.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    (&raw const WATCHED_WORD).cast_mut()
}
