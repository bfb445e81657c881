//! Stretches: where structs live that the host's code reads and writes inline.
//!
//! All structs of one kind lie in one stretch of address space that is never given back. So a pointer that a caller
//! presents is looked up by its address alone: it is one of ours, a closed one, or nothing of ours, and nothing is read
//! through it before that is known. Which object it belongs to is kept beside, where a stray write of the host does not
//! reach it so easily.

use super::system;
use crate::base::alloc::OutOfMemory;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering::*};

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StretchError {
    #[error("{noun} is NULL")]
    Null { noun: &'static str },
    #[error("{noun} {address:#x} is not one that this library gave out")]
    Stray { noun: &'static str, address: usize },
    #[error("{noun} {address:#x} was closed")]
    Closed { noun: &'static str, address: usize },
    #[error("too many: {most} {noun}s are open")]
    Full { noun: &'static str, most: u32 },
    #[error("there is no room for another {noun}: errno {errno}")]
    System { noun: &'static str, errno: i32 },
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

/// Structs whose memory is made usable at once: whole pages, of whatever size.
const STEP: u32 = 1 << 10;
/// So many must have been closed since before one is given out again, to tell stale pointers for longer.
const REST: usize = 1 << 8;

/// Structs of one kind, for each of which all bytes 0 must be a closed one. Their size is a multiple of 64 bytes.
pub struct Stretch<T: 'static> {
    noun: &'static str,
    most: u32,
    /// The first struct; behind the last one stands for each the object that it belongs to, or 0 while it is closed.
    first: AtomicPtr<T>,
    /// How many have memory behind them.
    usable: AtomicU32,
    vacancies: Mutex<Vacancies>,
}

struct Vacancies {
    /// Structs to give out again, oldest first.
    closed: VecDeque<u32>,
    /// The first that was never given out.
    fresh: u32,
}

impl<T: Sync> Stretch<T> {
    /// For at most so many, a multiple of [`STEP`].
    pub const fn new(noun: &'static str, most: u32) -> Self {
        assert!(most.is_multiple_of(STEP) && size_of::<T>().is_multiple_of(64));
        let vacancies = Vacancies { closed: VecDeque::new(), fresh: 0 };
        Self {
            noun,
            most,
            first: AtomicPtr::new(std::ptr::null_mut()),
            usable: AtomicU32::new(0),
            vacancies: Mutex::new(vacancies),
        }
    }

    /// Takes a vacant struct for an object; tells its number.
    pub fn take(&self, object: u64) -> Result<u32, StretchError> {
        let mut vacancies = self.vacancies.lock();
        let rested = vacancies.closed.len() >= REST || vacancies.fresh == self.most;
        let number = match if rested { vacancies.closed.pop_front() } else { None } {
            Some(number) => number,
            None => {
                let number = vacancies.fresh;
                if number == self.most {
                    return Err(StretchError::Full { noun: self.noun, most: self.most });
                }
                self.make_usable(number)?;
                // So that closing never needs memory.
                let refusal = OutOfMemory { bytes: u64::from(number) * 4 };
                vacancies.closed.try_reserve(number as usize + 1).map_err(|_| refusal)?;
                vacancies.fresh = number + 1;
                number
            }
        };
        self.owner(number).store(object, SeqCst);
        Ok(number)
    }

    /// The number behind a pointer that a caller presents, and the object that it belongs to.
    #[inline]
    pub fn find(&self, pointer: *const T) -> Result<(u32, u64), StretchError> {
        let (noun, address) = (self.noun, pointer as usize);
        if pointer.is_null() {
            return Err(StretchError::Null { noun });
        }
        let number = self.number_at(pointer).ok_or(StretchError::Stray { noun, address })?;
        match self.owner(number).load(SeqCst) {
            0 => Err(StretchError::Closed { noun, address }),
            object => Ok((number, object)),
        }
    }

    /// The number of the struct at this address, open or closed. Nothing is read but where the stretch lies.
    #[inline]
    pub fn number_at(&self, pointer: *const T) -> Option<u32> {
        let usable = self.usable.load(Acquire);
        let offset = (pointer as usize).wrapping_sub(self.first.load(Relaxed) as usize);
        let number = offset / size_of::<T>();
        (offset.is_multiple_of(size_of::<T>()) && number < usable as usize).then_some(number as u32)
    }

    /// Takes it from the host. Of several callers one does it.
    pub fn close(&self, number: u32, object: u64) -> Result<(), StretchError> {
        let closed = self.owner(number).compare_exchange(object, 0, SeqCst, SeqCst);
        let address = (&raw const *self.get(number)) as usize;
        closed.map(drop).map_err(|_| StretchError::Closed { noun: self.noun, address })
    }

    /// Makes a closed one vacant.
    pub fn vacate(&self, number: u32) {
        self.vacancies.lock().closed.push_back(number);
    }

    /// The number must be one that [`take`](Self::take) gave.
    #[inline]
    pub fn get(&self, number: u32) -> &'static T {
        // SAFETY: numbers that were given out are usable, and the stretch is never given back.
        unsafe { &*self.first.load(Acquire).add(number as usize) }
    }

    fn owner(&self, number: u32) -> &'static AtomicU64 {
        // SAFETY: as above; the owners stand behind the last struct, zeroed, which is a closed one.
        unsafe { &*self.first.load(Acquire).add(self.most as usize).cast::<AtomicU64>().add(number as usize) }
    }

    /// Puts memory behind the struct with this number, and the ones after it.
    fn make_usable(&self, number: u32) -> Result<(), StretchError> {
        if number < self.usable.load(Relaxed) {
            return Ok(());
        }
        let refused = |errno| StretchError::System { noun: self.noun, errno };
        let bytes = u64::from(self.most) * size_of::<T>() as u64;
        let mut first = self.first.load(Acquire);
        if first.is_null() {
            let owners = u64::from(self.most) * size_of::<AtomicU64>() as u64;
            let space = system::reserve(bytes + owners).map_err(refused)?.as_ptr();
            // SAFETY: the owners' part of the space that was just reserved. In a forked child the structs are all zeroes
            // then, and inline code calls the library, which says no; a kernel without this advice lets a child go on
            // with its copy of the memory.
            unsafe {
                if let Err(errno) = system::commit(space.add(bytes as usize), owners) {
                    let _ = system::unmap(space, bytes + owners);
                    return Err(refused(errno));
                }
                let _ = system::advise(space, bytes, libc::MADV_WIPEONFORK);
            }
            first = space.cast();
            self.first.store(first, Release);
        }
        // SAFETY: the range lies in the reserved space: `number` is a multiple of STEP and below `most`.
        unsafe { system::commit(first.add(number as usize).cast(), u64::from(STEP) * size_of::<T>() as u64) }
            .map_err(refused)?;
        self.usable.store(number + STEP, Release);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(align(64))]
    struct Thing {
        word: AtomicU64,
    }

    static THINGS: Stretch<Thing> = Stretch::new("thing", 2 * STEP);

    #[test]
    fn pointers_are_told_apart_without_looking_through_them() {
        let _quiet = super::super::testing::quiet();
        let number = THINGS.take(7).unwrap();
        let thing: *const Thing = THINGS.get(number);
        let other = 0u64;
        assert_eq!(THINGS.find(thing), Ok((number, 7)));
        assert_eq!(THINGS.get(number).word.load(Relaxed), 0);
        assert_eq!(THINGS.find(std::ptr::null()), Err(StretchError::Null { noun: "thing" }));
        for address in [16, usize::MAX, &raw const other as usize, thing as usize + 8, thing as usize + (1 << 40)] {
            assert_eq!(THINGS.find(address as *const Thing), Err(StretchError::Stray { noun: "thing", address }));
        }
        assert!(THINGS.close(number, 8).is_err());
        assert_eq!(THINGS.close(number, 7), Ok(()));
        assert!(THINGS.close(number, 7).is_err());
        assert_eq!(THINGS.find(thing), Err(StretchError::Closed { noun: "thing", address: thing as usize }));
        THINGS.vacate(number);
        for _ in 0..REST / 2 {
            let next = THINGS.take(7).unwrap();
            assert_ne!(next, number, "a closed one rests before it is given out again");
            THINGS.close(next, 7).unwrap();
            THINGS.vacate(next);
        }
        let taken = std::iter::repeat_with(|| THINGS.take(9)).find_map(Result::err);
        assert_eq!(taken, Some(StretchError::Full { noun: "thing", most: 2 * STEP }));
    }
}
