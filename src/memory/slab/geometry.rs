//! Where slots lie: one after the other in one stretch of address space, so that an address says by arithmetic alone
//! whether it is a slot, and which. Inline code of the host does the same arithmetic.

/// Slots of one size, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    base: u64,
    stride: u64,
    slots: u64,
    /// Of the odd part of the stride, modulo 2^64.
    inverse: u64,
    /// How often the stride is divided by two until it is odd.
    shift: u32,
}

impl Geometry {
    /// The stride must not be 0.
    pub fn new(base: *mut u8, stride: u64, slots: u64) -> Self {
        let shift = stride.trailing_zeros();
        let odd = stride >> shift;
        // Newton: each step doubles the bits that are right, and an odd number is its own inverse modulo 8.
        let inverse = (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))));
        Self { base: base as u64, stride, slots, inverse, shift }
    }

    /// The number of the slot that begins at this address. A multiple of the stride times the inverse is the quotient, and
    /// anything else is larger than any quotient can be, so it is the number of no slot.
    #[inline(always)]
    pub fn number_of(&self, address: *const u8) -> u64 {
        (address as u64).wrapping_sub(self.base).wrapping_mul(self.inverse).rotate_right(self.shift)
    }

    /// The slot that begins at this address.
    #[inline]
    pub fn index_of(&self, address: *const u8) -> Option<u32> {
        let number = self.number_of(address);
        (number < self.slots).then_some(number as u32)
    }

    #[inline]
    pub fn slot(&self, index: u32) -> *mut u8 {
        (self.base + u64::from(index) * self.stride) as *mut u8
    }

    pub fn base(&self) -> u64 {
        self.base
    }

    pub fn stride(&self) -> u64 {
        self.stride
    }

    pub fn slots(&self) -> u64 {
        self.slots
    }

    pub fn inverse(&self) -> u64 {
        self.inverse
    }

    pub fn shift(&self) -> u32 {
        self.shift
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_slot_exactly_where_one_begins() {
        for stride in [1u64, 2, 3, 8, 24, 40, 64, 192, 4096, 4160, 1_000_000, 6 << 20] {
            for base in [0x7f00_0000_0000u64, 0x1000] {
                let slots = 37;
                let geometry = Geometry::new(base as *mut u8, stride, slots);
                for index in 0..slots {
                    assert_eq!(geometry.index_of(geometry.slot(index as u32)), Some(index as u32));
                }
                let near = (base.saturating_sub(3 * stride)..base).chain(base + 1..base + 3 * stride);
                for address in near.step_by((stride / 61).max(1) as usize).chain([0, u64::MAX, base + slots * stride]) {
                    let wanted = (address >= base && (address - base).is_multiple_of(stride))
                        .then(|| (address - base) / stride)
                        .filter(|index| *index < slots);
                    assert_eq!(geometry.index_of(address as *const u8), wanted.map(|index| index as u32));
                }
            }
        }
    }
}
