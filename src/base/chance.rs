//! What the library does by chance: how much shorter a time is, what is looked at. A test may give it a seed, so that the
//! same calls have the same luck in each run.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

static IS_SEEDED: AtomicBool = AtomicBool::new(false);
/// Of a seeded chance: where its next number comes from.
static STATE: AtomicU64 = AtomicU64::new(0);

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// From now on every number comes from this seed, for the whole process.
pub fn seed(seed: u64) {
    STATE.store(seed, SeqCst);
    IS_SEEDED.store(true, SeqCst);
}

/// From now on nobody can foretell them any more.
pub fn unseed() {
    IS_SEEDED.store(false, SeqCst);
}

pub fn any() -> u64 {
    if IS_SEEDED.load(Relaxed) { mix(STATE.fetch_add(STEP, Relaxed).wrapping_add(STEP)) } else { fastrand::u64(..) }
}

pub fn within(range: RangeInclusive<u64>) -> u64 {
    let (least, most) = range.into_inner();
    match most.wrapping_sub(least).wrapping_add(1) {
        0 => any(),
        count => least + ((u128::from(any()) * u128::from(count)) >> 64) as u64,
    }
}

/// SplitMix64, by Steele, Lea and Flood.
pub fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_within_their_bounds() {
        for _ in 0..1000 {
            assert!((3..=7).contains(&within(3..=7)));
            assert_eq!(within(5..=5), 5);
            within(0..=u64::MAX);
        }
    }
}
