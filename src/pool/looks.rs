//! How one who waits looks for its turn before it sleeps: a sleep and a wake-up cost more than to look on for a few
//! microseconds, when the turn comes that soon. Where it does not, as with one CPU or resources that are kept for long,
//! almost nobody looks.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// About half as long as a sleep and a wake-up.
pub const LOOKS: u32 = 300;
/// What it was worth to look, at most and from where on somebody does; one success makes up for so many failures.
const MOST: u32 = 64;
const ENOUGH: u32 = 16;
const GAIN: u32 = 8;
/// One in so many looks all the same, to find out.
const TRIED: u32 = 16;

/// Counted as roughly as a load and a store do.
pub struct Looks {
    worth: AtomicU32,
    waits: AtomicU32,
}

impl Default for Looks {
    fn default() -> Self {
        Self { worth: AtomicU32::new(MOST), waits: AtomicU32::new(0) }
    }
}

impl Looks {
    pub fn look_for(&self, has_come: impl Fn() -> bool) {
        if has_come() {
            return;
        }
        let (worth, waits) = (self.worth.load(Relaxed), self.waits.load(Relaxed).wrapping_add(1));
        self.waits.store(waits, Relaxed);
        if worth < ENOUGH && !waits.is_multiple_of(TRIED) {
            return;
        }
        for _ in 0..LOOKS {
            std::hint::spin_loop();
            if has_come() {
                return self.worth.store((worth + GAIN).min(MOST), Relaxed);
            }
        }
        self.worth.store(worth.saturating_sub(1), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    /// How often one looks whose turn comes at that look.
    fn looks_until(looks: &Looks, turn: u32) -> u32 {
        let seen = Cell::new(0);
        looks.look_for(|| {
            seen.set(seen.get() + 1);
            seen.get() > turn
        });
        seen.get()
    }

    #[test]
    fn who_looks_in_vain_stops_and_finds_out_when_it_is_worth_while_again() {
        let looks = Looks::default();
        assert_eq!(looks_until(&looks, 0), 1);
        assert_eq!(looks_until(&looks, 9), 10);
        let in_vain = |count: u32| (0..count).filter(|_| looks_until(&looks, u32::MAX) > 1).count();
        assert_eq!(in_vain(48), 48);
        assert_eq!(in_vain(160), 11, "one that makes it too little, and one in sixteen");
        let turns = (0..64).filter(|_| looks_until(&looks, 9) == 10).count();
        assert!(turns > 30, "after a few that come soon everybody looks: {turns}");
    }
}
