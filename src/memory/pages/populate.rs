//! Populating: pages are brought in while the kernel can still answer with an error, and never past a limit whose
//! answer would be a kill.

use super::super::crew::{Crew, Refusal};
use super::super::system::{self, Errno};
use super::{Limit, Mapping};

/// Has a crew bring the pages in. What was populated before a failure stays so, until the mapping is dropped.
pub fn populate<A>(
    mapping: &Mapping,
    crew: &Crew,
    admit: &(impl Fn(u64) -> Result<A, Limit> + Sync),
) -> Result<(), Refusal> {
    crew.bring_in(mapping.bytes, mapping.page_bytes, admit, &|offset, bytes| {
        // SAFETY: the part lies in the mapping, which nobody else knows yet; populating changes no contents.
        unsafe {
            let start = mapping.address().add(offset as usize);
            match system::advise(start, bytes, libc::MADV_POPULATE_WRITE) {
                // Before Linux 5.14.
                Err(libc::EINVAL) => touch(start, bytes, mapping.step_bytes()),
                other => other,
            }
        }
    })
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
