//! The sizes in which buffers come: four to each doubling, so that rounding up wastes less than a fifth of a buffer.

/// Where the sizes begin, and what every one is a multiple of.
pub const SMALLEST_BYTES: u64 = 256;
pub const LARGEST_BYTES: u64 = 1 << 30;
const STEPS: u64 = 4;
/// How many sizes there can be: all from the smallest to the largest.
pub const MOST_CLASSES: usize = class_of(LARGEST_BYTES) + 1;

/// The number of the smallest size that holds so many bytes. A buffer of 0 bytes has the smallest size.
#[inline]
pub const fn class_of(bytes: u64) -> usize {
    if bytes <= SMALLEST_BYTES {
        return 0;
    }
    // Between two powers of two, of which the lower one is below `bytes`.
    let doubling = (bytes - 1).ilog2() as u64;
    let step = ((bytes - 1) >> (doubling - STEPS.ilog2() as u64)) - STEPS;
    ((doubling - SMALLEST_BYTES.ilog2() as u64) * STEPS + step + 1) as usize
}

#[inline]
pub const fn bytes_of(class: usize) -> u64 {
    let (doubling, step) = (class as u64 / STEPS, class as u64 % STEPS);
    (SMALLEST_BYTES << doubling) / STEPS * (STEPS + step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_is_the_smallest_that_fits_and_wastes_less_than_a_fifth() {
        for class in 1..MOST_CLASSES {
            let (below, bytes) = (bytes_of(class - 1), bytes_of(class));
            assert!(below < bytes && bytes.is_multiple_of(64), "{class}");
            assert_eq!((class_of(bytes), class_of(below + 1), class_of(bytes - 1)), (class, class, class));
            assert!((bytes - below - 1) * 5 < bytes, "{class}: {below} to {bytes}");
        }
        assert_eq!((class_of(0), class_of(1), bytes_of(0)), (0, 0, SMALLEST_BYTES));
        assert_eq!(bytes_of(MOST_CLASSES - 1), LARGEST_BYTES);
    }

    /// What the header promises of a buffer's address.
    #[test]
    fn from_16_kib_on_every_size_is_whole_pages() {
        assert!((class_of(16384)..MOST_CLASSES).all(|class| bytes_of(class).is_multiple_of(4096)));
    }
}
