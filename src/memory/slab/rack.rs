//! The rack: where magazines are kept.

use super::super::stretch::{Stretch, StretchError};
use super::magazine::{Magazine, Setup};

static MAGAZINES: Stretch<Magazine> = Stretch::new("magazine", 1 << 16);

/// The place of a magazine in the rack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place(u32);

impl Place {
    /// Opens a magazine of a slab.
    pub fn open(slab: u64, setup: &Setup) -> Result<Self, StretchError> {
        let place = Self(MAGAZINES.take(slab)?);
        place.magazine().set_up(setup);
        Ok(place)
    }

    /// The magazine behind a pointer that a caller presents, and the handle of its slab.
    pub fn find(pointer: *const Magazine) -> Result<(Self, u64), StretchError> {
        MAGAZINES.find(pointer).map(|(number, slab)| (Self(number), slab))
    }

    /// Takes it from the host, empty as it must be by now. Of several callers one does it.
    pub fn close(self, slab: u64) -> Result<(), StretchError> {
        MAGAZINES.close(self.0, slab)?;
        self.magazine().close();
        Ok(())
    }

    /// Makes a closed magazine vacant.
    pub fn vacate(self) {
        MAGAZINES.vacate(self.0);
    }

    #[inline]
    pub fn magazine(self) -> &'static Magazine {
        MAGAZINES.get(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::geometry::Geometry;
    use super::*;

    const SLAB: u64 = 7;

    fn setup() -> Setup {
        let geometry = Geometry::new(4096 as *mut u8, 64, 10);
        Setup { geometry, states: 0, capacity: 4, inline_capacity: 4 }
    }

    #[test]
    fn pointers_are_told_apart_without_looking_through_them() {
        let _quiet = super::super::super::testing::quiet();
        let place = Place::open(SLAB, &setup()).unwrap();
        let magazine: *const Magazine = place.magazine();
        let other = 0u64;
        assert_eq!(Place::find(magazine), Ok((place, SLAB)));
        assert_eq!(Place::find(std::ptr::null()), Err(StretchError::Null { noun: "magazine" }));
        for stray in [16, usize::MAX, &raw const other as usize, magazine as usize + 8, magazine as usize + (1 << 40)] {
            assert_eq!(
                Place::find(stray as *const Magazine),
                Err(StretchError::Stray { noun: "magazine", address: stray })
            );
        }
        assert!(place.close(SLAB + 1).is_err() && place.close(SLAB).is_ok() && place.close(SLAB).is_err());
        assert_eq!(Place::find(magazine), Err(StretchError::Closed { noun: "magazine", address: magazine as usize }));
        place.vacate();
    }

    #[test]
    fn more_magazines_than_are_made_usable_at_once_can_be_open() {
        let _quiet = super::super::super::testing::quiet();
        let places: Vec<_> = (0..2 * 1024 + 5).map(|_| Place::open(SLAB, &setup()).unwrap()).collect();
        for place in places {
            assert_eq!(Place::find(place.magazine()), Ok((place, SLAB)));
            assert!(place.close(SLAB).is_ok());
            place.vacate();
        }
    }
}
