//! A window: the address space of one mapping, aligned, and between two guard pages where they were asked for.

use super::super::system::{self, Errno};
use std::ptr::NonNull;

/// Mapped memory with what guards it. Gives all of it back when it is dropped.
#[derive(Debug)]
pub struct Window {
    address: NonNull<u8>,
    bytes: u64,
    /// Bytes on either side that nobody may touch.
    guard_bytes: u64,
    /// It lies in address space that somebody else has reserved, and leaves it so.
    is_moved: bool,
}

// SAFETY: a window is a range of address space; who may touch which part of it is its user's business.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

/// How often another thread may take the place that was kept for a mapping.
const TRIES: usize = 16;

impl Window {
    /// `map` maps `bytes` at an address that nobody has, or where the kernel likes (`None`).
    pub fn new(
        bytes: u64,
        alignment: u64,
        guarded: bool,
        map: impl Fn(Option<NonNull<u8>>) -> Result<NonNull<u8>, Errno>,
    ) -> Result<Self, Errno> {
        if guarded {
            return Self::guarded(bytes, alignment, map);
        }
        let first = Self { address: map(None)?, bytes, guard_bytes: 0, is_moved: false };
        // New kernels align by themselves.
        if (first.address.as_ptr() as u64).is_multiple_of(alignment) {
            return Ok(first);
        }
        drop(first);
        Self::in_reserved(bytes, alignment, 0, map)
    }

    fn guarded(
        bytes: u64,
        alignment: u64,
        map: impl Fn(Option<NonNull<u8>>) -> Result<NonNull<u8>, Errno>,
    ) -> Result<Self, Errno> {
        Self::in_reserved(bytes, alignment, system::base_page_bytes(), map)
    }

    /// Reserves address space, opens a hole of the right place and size in it, and fills that. A mapping that fails
    /// leaves the hole, which may be another thread's by then, so only what was reserved goes back.
    fn in_reserved(
        bytes: u64,
        alignment: u64,
        guard_bytes: u64,
        map: impl Fn(Option<NonNull<u8>>) -> Result<NonNull<u8>, Errno>,
    ) -> Result<Self, Errno> {
        let wide = bytes.checked_add(alignment).and_then(|sum| sum.checked_add(2 * guard_bytes)).ok_or(libc::ENOMEM)?;
        for _ in 0..TRIES {
            let reserved = Reserved { start: system::reserve(wide)?, bytes: wide };
            let first = reserved.start.as_ptr() as u64 + guard_bytes;
            let head = first.next_multiple_of(alignment) - first;
            let (low, high) = reserved.open(head + guard_bytes, bytes)?;
            match map(Some(low.end())) {
                Ok(address) => {
                    let kept = Self { address, bytes, guard_bytes, is_moved: false };
                    // What is beyond the guards goes back; it is only address space, so a failure costs nothing.
                    let (low, high) = (low.keep(), high.keep());
                    // SAFETY: both ends were reserved above, and nobody knows them.
                    unsafe {
                        let _ = trim(low.start.as_ptr(), low.bytes - guard_bytes);
                        let _ = trim(high.start.as_ptr().add(guard_bytes as usize), high.bytes - guard_bytes);
                    }
                    return Ok(kept);
                }
                Err(libc::EEXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(libc::ENOMEM)
    }

    /// Moves what is mapped onto reserved address space, and gives back where it was.
    ///
    /// # Safety
    /// As for [`system::move_to`].
    pub unsafe fn move_to(&mut self, to: NonNull<u8>) -> Result<(), Errno> {
        let (start, bytes) = (self.address.as_ptr(), self.bytes);
        // SAFETY: the caller's promise. The guards lie on either side, and nobody knows them.
        unsafe {
            system::move_to(start, bytes, to.as_ptr())?;
            let _ = trim(start.sub(self.guard_bytes as usize), self.guard_bytes);
            let _ = trim(start.add(bytes as usize), self.guard_bytes);
        }
        (self.address, self.guard_bytes, self.is_moved) = (to, 0, true);
        Ok(())
    }

    pub fn address(&self) -> NonNull<u8> {
        self.address
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn is_guarded(&self) -> bool {
        self.guard_bytes > 0
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        // SAFETY: the guards lie on either side; the last user of the range is gone.
        let given_back = unsafe {
            let start = self.address.as_ptr().sub(self.guard_bytes as usize);
            match self.is_moved {
                true => system::reserve_again(start, self.bytes),
                false => system::unmap(start, self.bytes + 2 * self.guard_bytes),
            }
        };
        if let Err(errno) = given_back {
            crate::base::log::warn(format_args!("munmap of {} bytes failed: errno {errno}", self.bytes));
        }
    }
}

/// # Safety
/// As for [`system::unmap`].
unsafe fn trim(start: *mut u8, bytes: u64) -> Result<(), Errno> {
    // SAFETY: the caller's promise.
    if bytes > 0 { unsafe { system::unmap(start, bytes) } } else { Ok(()) }
}

/// Address space without memory, given back when it is dropped.
struct Reserved {
    start: NonNull<u8>,
    bytes: u64,
}

impl Reserved {
    /// Gives `bytes` in the middle back, and keeps what lies on either side.
    fn open(self, before: u64, bytes: u64) -> Result<(Reserved, Reserved), Errno> {
        // SAFETY: the range lies in what was reserved, and nobody knows it.
        let (hole, after) = unsafe { (self.start.add(before as usize), self.start.add((before + bytes) as usize)) };
        // SAFETY: as above.
        unsafe { system::unmap(hole.as_ptr(), bytes)? };
        let whole = self.keep();
        let low = Reserved { start: whole.start, bytes: before };
        Ok((low, Reserved { start: after, bytes: whole.bytes - before - bytes }))
    }

    fn end(&self) -> NonNull<u8> {
        // SAFETY: one past the end of what was reserved.
        unsafe { self.start.add(self.bytes as usize) }
    }

    /// No longer gives it back.
    fn keep(self) -> std::mem::ManuallyDrop<Self> {
        std::mem::ManuallyDrop::new(self)
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        // SAFETY: address space that was reserved here, and nobody knows it. When it cannot go back, it costs no memory.
        unsafe {
            let _ = trim(self.start.as_ptr(), self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::testing::in_own_process;

    fn is_mapped(address: *mut u8) -> bool {
        // SAFETY: mincore only asks; it fails where nothing is mapped.
        unsafe { libc::mincore(address.cast(), 1, [0u8].as_mut_ptr()) == 0 }
    }

    #[test]
    fn alignment_does_not_hang_on_the_kernels_own() {
        if !in_own_process() {
            return;
        }
        for (shift, guarded) in [(12, true), (21, false), (21, true), (22, false), (25, true), (30, false), (30, true)]
        {
            let window = Window::new(1 << 21, 1 << shift, guarded, |at| system::map_at(at, 1 << 21, 0)).expect("space");
            let start = window.address().as_ptr();
            assert_eq!((start as u64 % (1 << shift), window.is_guarded()), (0, guarded));
            // SAFETY: within the window, or one base page beyond it, which is only asked about.
            let (before, after) = unsafe {
                start.add((1 << 21) - 1).write(1);
                (start.sub(1), start.add(1 << 21))
            };
            if guarded {
                assert!(is_mapped(before.wrapping_sub(4095)) && is_mapped(after));
                assert!(readable(before).is_err() && readable(after).is_err() && readable(start).is_ok());
            }
            drop(window);
            assert!(!is_mapped(start) && (!guarded || !is_mapped(after)));
        }
    }

    /// The kernel says with an error, and not with a signal, whether a byte can be read.
    fn readable(address: *mut u8) -> Result<(), Errno> {
        let mut ends = [0; 2];
        // SAFETY: the kernel reads one byte, or answers EFAULT.
        unsafe {
            assert_eq!(libc::pipe(ends.as_mut_ptr()), 0);
            let written = libc::write(ends[1], address.cast(), 1);
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
            libc::close(ends[0]);
            libc::close(ends[1]);
            if written == 1 { Ok(()) } else { Err(errno) }
        }
    }

    #[test]
    fn a_mapping_that_fails_leaves_nothing_reserved() {
        if !in_own_process() {
            return;
        }
        let pages = || -> u64 {
            let sizes = std::fs::read_to_string("/proc/self/statm").expect("sizes");
            sizes.split(' ').next().and_then(|first| first.parse().ok()).expect("the size of the address space")
        };
        let before = pages();
        for _ in 0..100 {
            let refused = Window::new(1 << 21, 1 << 21, true, |_| Err(libc::ENOMEM));
            assert_eq!(refused.map(drop), Err(libc::ENOMEM));
            let taken = Window::new(1 << 21, 1 << 21, true, |_| Err(libc::EEXIST));
            assert_eq!(taken.map(drop), Err(libc::ENOMEM));
        }
        // The test's own threads may map something meanwhile, but never as much as half of the windows.
        assert!((pages() - before) * system::base_page_bytes() < 100 << 21);
    }
}
