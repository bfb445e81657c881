//! Readers: how a thread pins the value of a lazy without a locked operation.
//!
//! A reader's word says how many pins it holds. To pin, its holder counts there, passes the light side of an asymmetric
//! fence, and then looks at the published value. Whoever takes the value away withdraws it first, passes the heavy side, and
//! then looks at the words: either it sees the pin, or the reader sees that the value is gone. A value that was taken away
//! while a reader held a pin is ended when that reader has let go of its last one; it is told to look by its *attention*.

use crate::base::barrier;
use crate::base::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

/// The layout that inline code of this version knows. 0 sends every pin into the library.
pub const LAYOUT: u32 = 1;

/// What the host sees of a reader.
#[repr(C, align(64))]
pub struct Reader {
    layout: AtomicU32,
    /// 1: whoever lets go of the last pin tells the library.
    attention: AtomicU32,
    /// times pinned:32 | pins:32.
    word: AtomicU64,
    /// Where the value stands.
    published: AtomicPtr<AtomicPtr<()>>,
    _private: [u64; 5],
}

const PINS: u64 = u32::MAX as u64;
const ONE_TIME: u64 = 1 << 32;

/// The end of a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unpinned {
    Quietly,
    /// It was the last one, and somebody waits for that.
    Awaited,
    /// There was none.
    Not,
}

impl Reader {
    /// One outside the stretch that all others lie in.
    #[cfg(test)]
    pub fn alone() -> Self {
        Self {
            layout: AtomicU32::new(0),
            attention: AtomicU32::new(0),
            word: AtomicU64::new(0),
            published: AtomicPtr::new(std::ptr::null_mut()),
            _private: [0; 5],
        }
    }

    /// Lets its holder use it; inline only when the light side of the fence is free.
    pub fn open(&self, published: &AtomicPtr<()>) {
        self.word.store(0, Relaxed);
        self.attention.store(0, Relaxed);
        self.published.store((&raw const *published).cast_mut(), Relaxed);
        self.layout.store(if barrier::is_asymmetric() { LAYOUT } else { 0 }, Release);
    }

    pub fn close(&self) {
        self.layout.store(0, Release);
    }

    /// Pins the value that stands there, if one does; for its holder.
    #[inline]
    pub fn pin(&self, published: &AtomicPtr<()>) -> Option<*mut ()> {
        let word = self.word.load(Relaxed);
        if word & PINS == PINS {
            return None;
        }
        self.word.store(word.wrapping_add(ONE_TIME + 1), Relaxed);
        barrier::light();
        let value = published.load(Acquire);
        if value.is_null() {
            self.word.store(word, Release);
            return None;
        }
        Some(value)
    }

    /// Lets go of a pin; for its holder.
    #[inline]
    pub fn unpin(&self) -> Unpinned {
        let word = self.word.load(Relaxed);
        if word & PINS == 0 {
            return Unpinned::Not;
        }
        self.word.store(word - 1, Release);
        barrier::light();
        if word & PINS == 1 && self.attention.load(Relaxed) != 0 { Unpinned::Awaited } else { Unpinned::Quietly }
    }

    pub fn is_pinned(&self) -> bool {
        self.word.load(SeqCst) & PINS != 0
    }

    /// Whether it can hold no more pins.
    pub fn is_full(&self) -> bool {
        self.word.load(Relaxed) & PINS == PINS
    }

    /// How often it pinned, modulo 2^32.
    pub fn times(&self) -> u64 {
        self.word.load(Relaxed) >> 32
    }

    /// Asks its holder to tell of its last unpin. Right for pins that end after the next heavy side.
    pub fn ask(&self, attention: bool) {
        self.attention.store(u32::from(attention), SeqCst);
    }
}

/// Which of the values that were taken away a reader still holds: those with the serials of a range, because it let go of
/// none of them since the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owed {
    pub first: u64,
    /// Before the first: nothing.
    pub last: u64,
}

impl Owed {
    pub const NOTHING: Self = Self { first: 1, last: 0 };

    pub fn add(&mut self, serial: u64) {
        if self.is_nothing() {
            self.first = serial;
        }
        self.last = serial;
    }

    pub fn is_nothing(self) -> bool {
        self.last < self.first
    }

    pub fn has(self, serial: u64) -> bool {
        (self.first..=self.last).contains(&serial)
    }
}
