//! How long to wait after a failure before the next attempt: twice as long each time, up to a bound.

pub const FIRST_NS: u64 = 100_000_000;
const LONGEST_NS: u64 = 30_000_000_000;

#[derive(Debug)]
pub struct BackOff {
    next_ns: u64,
}

impl Default for BackOff {
    fn default() -> Self {
        Self { next_ns: FIRST_NS }
    }
}

impl BackOff {
    pub fn next_ns(&mut self) -> u64 {
        let now = self.next_ns;
        self.next_ns = (now * 2).min(LONGEST_NS);
        now
    }
}

/// A pause that is up to a quarter shorter by chance, so that many who failed at once do not try again at once.
pub fn shortened(pause_ns: u64) -> u64 {
    pause_ns - super::chance::within(0..=pause_ns / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_bound() {
        let mut back_off = BackOff::default();
        let waits: Vec<u64> = (0..11).map(|_| back_off.next_ns() / 1_000_000).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]);
    }
}
