//! How long things took: histograms with two significant digits (G. Tene's HdrHistogram), from a microsecond's
//! thousandth to an hour.

use crate::base::alloc;
use hdrhistogram::Histogram;
use parking_lot::Mutex;

const LONGEST_NS: u64 = 3_600_000_000_000;
const DIGITS: u8 = 2;
/// What a histogram of these bounds takes.
const BYTES: usize = 36 << 10;

/// Empty, and small, until the first time is noted.
#[derive(Default)]
pub struct Times(Mutex<Option<Histogram<u64>>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimesSnapshot {
    pub count: u64,
    pub min_ns: u64,
    pub mean_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
}

impl Times {
    /// Notes one. Nobody waits for it: one that meets a reader is left out.
    #[cold]
    pub fn note(&self, time_ns: u64) {
        let Some(mut histogram) = self.0.try_lock() else { return };
        if histogram.is_none() && alloc::probe(BYTES).is_ok() {
            *histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS).ok();
        }
        if let Some(histogram) = &mut *histogram {
            histogram.saturating_record(time_ns);
        }
    }

    pub fn snapshot(&self) -> TimesSnapshot {
        let histogram = self.0.lock();
        let Some(times) = &*histogram else { return TimesSnapshot::default() };
        TimesSnapshot {
            count: times.len(),
            min_ns: times.min(),
            mean_ns: times.mean() as u64,
            p50_ns: times.value_at_quantile(0.5),
            p90_ns: times.value_at_quantile(0.9),
            p99_ns: times.value_at_quantile(0.99),
            p999_ns: times.value_at_quantile(0.999),
            max_ns: times.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_two_digits() {
        let times = Times::default();
        assert_eq!(times.snapshot(), TimesSnapshot::default());
        (1..=1000).for_each(|microseconds| times.note(microseconds * 1000));
        let found = times.snapshot();
        let near = |value: u64, wanted: u64| value.abs_diff(wanted) * 100 <= wanted;
        assert_eq!(found.count, 1000);
        assert!(
            near(found.p50_ns, 500_000) && near(found.p99_ns, 990_000) && near(found.max_ns, 1_000_000),
            "{found:?}"
        );
        assert!(near(found.min_ns, 1000) && near(found.mean_ns, 500_500), "{found:?}");
    }

    #[test]
    fn what_is_too_long_counts_as_the_longest() {
        let times = Times::default();
        times.note(u64::MAX);
        times.note(0);
        assert_eq!(times.snapshot().count, 2);
        assert!(times.snapshot().max_ns >= LONGEST_NS);
    }
}
