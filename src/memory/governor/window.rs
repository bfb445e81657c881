//! The window of an account: a part of what it is charged for, in one word, that is reserved and released again and again.
//! What is released is kept for the next reservation, so that neither touches the root of all accounts, which every thread
//! of the process would touch.

use std::sync::atomic::{AtomicU64, Ordering::*};

/// The upper half: bytes that are reserved. The lower half: bytes that are kept.
#[derive(Debug, Default)]
pub struct Window(AtomicU64);

/// Reserved and kept together.
const MOST: u64 = 8 << 20;

const HALF: u32 = 32;

const fn reserved_in(word: u64) -> u64 {
    word >> HALF
}

const fn kept_in(word: u64) -> u64 {
    word & u32::MAX as u64
}

const fn word_of(reserved: u64, kept: u64) -> u64 {
    reserved << HALF | kept
}

impl Window {
    pub fn reserved(&self) -> u64 {
        reserved_in(self.0.load(Relaxed))
    }

    pub fn kept(&self) -> u64 {
        kept_in(self.0.load(Relaxed))
    }

    /// Reserves what is kept, if there is so much.
    #[inline]
    pub fn reserve(&self, bytes: u64) -> bool {
        self.update(|reserved, kept| Some((reserved + bytes.min(MOST), kept.checked_sub(bytes)?)))
    }

    /// Keeps what was reserved, if there is so much.
    #[inline]
    pub fn keep(&self, bytes: u64) -> bool {
        self.update(|reserved, kept| Some((reserved.checked_sub(bytes)?, kept + bytes)))
    }

    #[inline]
    fn update(&self, to: impl Fn(u64, u64) -> Option<(u64, u64)>) -> bool {
        let next = |word| to(reserved_in(word), kept_in(word)).map(|(reserved, kept)| word_of(reserved, kept));
        self.0.fetch_update(Relaxed, Relaxed, next).is_ok()
    }

    /// Notes so much more that is reserved. What does not fit is returned.
    pub fn add(&self, bytes: u64) -> u64 {
        let fits = self.update(|reserved, kept| {
            let sum = reserved.checked_add(bytes)?;
            (sum + kept <= MOST).then_some((sum, kept))
        });
        if fits { 0 } else { bytes }
    }

    /// Takes away what is reserved, at most `bytes`; says how much it was.
    pub fn remove(&self, bytes: u64) -> u64 {
        let least = |word| reserved_in(word).min(bytes);
        let without = |word| Some(word_of(reserved_in(word) - least(word), kept_in(word)));
        self.0.fetch_update(Relaxed, Relaxed, without).map_or(0, least)
    }

    /// Takes away what is kept; says how much it was.
    pub fn call_in(&self) -> u64 {
        let without = |word| Some(word_of(reserved_in(word), 0));
        self.0.fetch_update(Relaxed, Relaxed, without).map_or(0, kept_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_is_reserved_or_kept_and_never_both() {
        let window = Window::default();
        let parts = || (window.reserved(), window.kept());
        assert!(!window.reserve(1) && !window.keep(1) && window.reserve(0));
        assert_eq!((window.add(MOST + 1), window.add(u64::MAX), parts()), (MOST + 1, u64::MAX, (0, 0)));
        assert_eq!((window.add(MOST - 1), window.add(2), window.add(1), parts()), (0, 2, 0, (MOST, 0)));
        assert!(window.keep(MOST) && !window.keep(1));
        assert_eq!((parts(), window.add(1)), ((0, MOST), 1));
        assert!(!window.reserve(MOST + 1) && !window.reserve(u64::MAX) && window.reserve(MOST - 3));
        assert_eq!((parts(), window.call_in(), window.call_in()), ((MOST - 3, 3), 3, 0));
        assert_eq!((window.remove(5), window.remove(u64::MAX), parts()), (5, MOST - 8, (0, 0)));
    }

    /// Threads reserve, release and call in at random; what is charged is what is left in the end.
    #[test]
    fn threads_lose_nothing() {
        let (window, charged) = (Window::default(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for seed in 1..5u64 {
                let (window, charged) = (&window, &charged);
                scope.spawn(move || {
                    let mut random = seed;
                    for _ in 0..20_000 {
                        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        let bytes = (random >> 40) % (MOST / 2);
                        match random >> 33 & 3 {
                            0 if window.reserve(bytes) => {}
                            0 => drop(charged.fetch_add(bytes - window.add(bytes), Relaxed)),
                            1 if window.keep(bytes) => {}
                            1 | 2 => drop(charged.fetch_sub(window.remove(bytes), Relaxed)),
                            _ => drop(charged.fetch_sub(window.call_in(), Relaxed)),
                        }
                        assert!(window.reserved() <= MOST && window.kept() <= MOST);
                    }
                });
            }
        });
        assert_eq!(window.reserved() + window.kept(), charged.load(Relaxed));
    }
}
