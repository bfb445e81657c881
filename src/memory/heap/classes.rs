//! Size classes: the sizes in which small blocks are cut, so that what one thread freed fits what is asked next. Up to 256
//! bytes there is one every 16, then eight to each doubling, and sixteen to the last, so that less than an eighth of a
//! block, or 15 bytes, is lost to rounding.

/// Blocks begin and end on a multiple of this.
pub const GRANULE: u64 = 16;
pub const CLASSES: usize = 48;
/// The largest size that has a class.
pub const LARGEST_BYTES: u64 = 2048;
const LARGEST: usize = (LARGEST_BYTES / GRANULE) as usize;

/// The granules of each class.
const GRANULES: [u8; CLASSES] = {
    let mut granules = [0; CLASSES];
    let mut class = 0;
    let mut size = 1;
    while class < CLASSES {
        granules[class] = size;
        let step = match size {
            ..16 => 1,
            16..32 => 2,
            _ => 4,
        };
        size += step;
        class += 1;
    }
    assert!(granules[CLASSES - 1] as usize == LARGEST);
    granules
};

/// The class for each number of granules.
const CLASS_FOR: [u8; LARGEST + 1] = {
    let mut classes = [0; LARGEST + 1];
    let mut granules = 0;
    let mut class = 0;
    while granules <= LARGEST {
        if granules > GRANULES[class as usize] as usize {
            class += 1;
        }
        classes[granules] = class;
        granules += 1;
    }
    classes
};

/// The smallest class that holds so many bytes; none above [`LARGEST_BYTES`].
#[inline]
pub fn class_for(bytes: u64) -> Option<usize> {
    if bytes > LARGEST_BYTES {
        return None;
    }
    CLASS_FOR.get(bytes.div_ceil(GRANULE) as usize).map(|class| usize::from(*class))
}

/// The class of exactly so many granules.
pub fn class_of(granules: u32) -> Option<usize> {
    let class = usize::from(*CLASS_FOR.get(granules as usize)?);
    (granules_of(class) == granules).then_some(class)
}

#[inline]
pub fn granules_of(class: usize) -> u32 {
    u32::from(GRANULES[class])
}

#[inline]
pub const fn bytes_of(class: usize) -> u64 {
    GRANULES[class] as u64 * GRANULE
}

/// How many granules a block for so many bytes has: those of its class, or as many as are needed. `None`: more than any
/// chunk has.
pub fn granules_for(bytes: u64) -> Option<u32> {
    match class_for(bytes.max(1)) {
        Some(class) => Some(granules_of(class)),
        None => u32::try_from(bytes.div_ceil(GRANULE)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it_and_loses_little() {
        for bytes in 1..=LARGEST_BYTES {
            let class = class_for(bytes).unwrap();
            let lost = bytes_of(class) - bytes;
            assert!(class == 0 || bytes_of(class - 1) < bytes, "{bytes}");
            assert!(lost < GRANULE || lost * 8 < bytes_of(class), "{bytes} in {}", bytes_of(class));
            assert!(lost < 64, "the tags have six bits for it");
            assert_eq!(class_of(granules_of(class)), Some(class));
        }
        assert_eq!((class_for(LARGEST_BYTES + 1), class_for(u64::MAX), class_of(17)), (None, None, None));
        assert_eq!(granules_for(0), Some(1));
        assert_eq!(granules_for(2049), Some(129));
        assert_eq!(granules_for(u64::MAX), None);
    }
}
