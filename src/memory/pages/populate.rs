//! Populating: pages are brought in while the kernel can still answer with an error, and never past a limit whose
//! answer would be a kill.

use super::super::system::{self, Errno};
use super::{Limit, Mapping};

/// Populated at once, between two looks at the headroom.
const SLICE: u64 = 64 << 20;

pub enum Refusal {
    Limit(Limit),
    Errno(Errno),
}

/// Brings the pages in, slice by slice; before each, all that is still to come is admitted anew. What was populated
/// before a failure stays so, until the mapping is dropped.
pub fn populate<A>(mapping: &Mapping, mut admit: impl FnMut(u64) -> Result<A, Limit>) -> Result<(), Refusal> {
    let slice = SLICE.max(mapping.page_bytes);
    let mut done = 0;
    while done < mapping.bytes {
        let bytes = slice.min(mapping.bytes - done);
        let _admission = admit(mapping.bytes - done).map_err(Refusal::Limit)?;
        // SAFETY: the slice lies in the mapping, which nobody else knows yet; populating changes no contents.
        let populated = unsafe {
            let start = mapping.address().add(done as usize);
            match system::advise(start, bytes, libc::MADV_POPULATE_WRITE) {
                // Before Linux 5.14.
                Err(libc::EINVAL) => touch(start, bytes, mapping.step_bytes()),
                other => other,
            }
        };
        populated.map_err(Refusal::Errno)?;
        done += bytes;
    }
    Ok(())
}

/// Brings fresh, zeroed memory in, page by page, through the kernel's own writes: where there is no page to be had they
/// fail with EFAULT, and a write of ours would be answered with SIGBUS.
///
/// # Safety
/// The range is mapped, `step` is the size of its pages, and nobody else knows it yet.
unsafe fn touch(start: *mut u8, bytes: u64, step: u64) -> Result<(), Errno> {
    for offset in (0..bytes as usize).step_by(step as usize) {
        // SAFETY: the caller's promise.
        unsafe { system::touch(start.add(offset).cast())? };
    }
    Ok(())
}
