//! Allocations that can fail: what an object needs is taken through here, so that a refusal becomes a status.

use crate::base::faults::{self, Point};
use std::alloc::Layout;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of memory: {bytes} bytes could not be allocated")]
pub struct OutOfMemory {
    pub bytes: u64,
}

/// Asks whether `bytes` can be had now. For containers of the standard library that offer no fallible form: they
/// allocate right after this, so a refusal is told here instead of ending the process.
pub fn check(bytes: usize) -> Result<(), OutOfMemory> {
    if faults::hit(Point::Allocation).is_some() {
        return Err(OutOfMemory { bytes: bytes as u64 });
    }
    probe(bytes)
}

/// [`check`] without the seam for failures, for the few that are made before a panic could be caught.
pub fn probe(bytes: usize) -> Result<(), OutOfMemory> {
    let refusal = OutOfMemory { bytes: bytes as u64 };
    let layout = Layout::from_size_align(bytes.max(1), 16).map_err(|_| refusal)?;
    // SAFETY: the layout has a size above 0; the block goes back at once with the same layout.
    unsafe {
        let block = std::alloc::alloc(layout);
        if block.is_null() {
            return Err(refusal);
        }
        std::alloc::dealloc(block, layout);
    }
    Ok(())
}

pub fn try_arc<T>(value: T) -> Result<Arc<T>, OutOfMemory> {
    check(size_of::<T>() + 2 * size_of::<usize>())?;
    Ok(Arc::new(value))
}

pub fn try_box<T>(value: T) -> Result<Box<T>, OutOfMemory> {
    check(size_of::<T>())?;
    Ok(Box::new(value))
}

pub fn try_vec<T>(capacity: usize) -> Result<Vec<T>, OutOfMemory> {
    let refusal = OutOfMemory { bytes: (capacity as u64).saturating_mul(size_of::<T>() as u64) };
    if faults::hit(Point::Allocation).is_some() {
        return Err(refusal);
    }
    let mut vector = Vec::new();
    vector.try_reserve_exact(capacity).map_err(|_| refusal)?;
    Ok(vector)
}

/// Makes room for one more before a push that must not end the process.
pub fn try_reserve_one<T>(vector: &mut Vec<T>) -> Result<(), OutOfMemory> {
    try_reserve(vector, 1)
}

/// Makes room for so many more.
pub fn try_reserve<T>(vector: &mut Vec<T>, more: usize) -> Result<(), OutOfMemory> {
    if faults::hit(Point::Allocation).is_some() || vector.try_reserve(more).is_err() {
        return Err(OutOfMemory { bytes: (more as u64).saturating_mul(size_of::<T>() as u64) });
    }
    Ok(())
}

/// Counts what each thread takes from the heap, for the tests of paths that promise to take nothing.
#[cfg(test)]
pub mod counted {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    thread_local! {
        static TAKEN: Cell<u64> = const { Cell::new(0) };
    }

    /// How often this thread took memory.
    pub fn taken() -> u64 {
        TAKEN.get()
    }

    struct Counted;

    // SAFETY: everything is passed on to the system's allocator.
    unsafe impl GlobalAlloc for Counted {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            TAKEN.set(TAKEN.get() + 1);
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: as the caller promises.
            unsafe { System.dealloc(block, layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
            TAKEN.set(TAKEN.get() + 1);
            // SAFETY: as the caller promises.
            unsafe { System.realloc(block, layout, bytes) }
        }
    }

    #[global_allocator]
    static HEAP: Counted = Counted;
}
