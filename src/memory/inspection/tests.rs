//! A chunk that the kernel took apart, in an object of one.

use super::super::pages::{Limit, Request};
use super::super::source::PageSource;
use super::super::testing::{ACCOUNT, quiet};
use super::super::{kernel, system};
use super::*;
use parking_lot::Mutex;

const HUGE: u64 = 2 << 20;

struct Single {
    mapping: Mapping,
    bare: Vec<Range<u64>>,
    noted: Mutex<Coverage>,
}

impl Inspect for Single {
    fn each_chunk(&self, show: &mut dyn FnMut(Memory<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory> {
        let _ = show(Memory::Mapped(&self.mapping));
        Ok(())
    }

    fn note_seen(&self, seen: Coverage) {
        *self.noted.lock() = seen;
    }

    fn bare_parts(&self, _of: &Mapping) -> Result<Bare<'_>, OutOfMemory> {
        Ok(Bare { parts: self.bare.clone(), held: None })
    }
}

#[test]
fn what_the_kernel_took_apart_is_put_together_and_keeps_its_contents() {
    let _quiet = quiet();
    if kernel::transparent_pages_off() {
        eprintln!("skipped: transparent huge pages are switched off here");
        return;
    }
    let source = PageSource { pages: Pages::Transparent, prefault: true, ..PageSource::default() };
    let request = Request { bytes: 8 * HUGE, at_most: u64::MAX, source, account: &ACCOUNT, name: "inspection" };
    let mapping = Mapping::new(&request).expect("memory");
    let address = mapping.address();
    let mut single = Single { mapping, bare: Vec::new(), noted: Mutex::default() };
    let whole = single.coverage().expect("memory");
    if whole.huge_bytes < whole.mapped_bytes {
        eprintln!("skipped: the kernel has no huge pages now");
        return;
    }
    // SAFETY: the test's own memory; giving a page of each huge one back splits it.
    unsafe {
        for at in (0..8 * HUGE).step_by(HUGE as usize) {
            address.add(at as usize + 4096).write(7);
            system::advise(address.add(at as usize), 4096, libc::MADV_DONTNEED).expect("split");
        }
    }
    let split = single.coverage().expect("memory");
    assert_eq!((split.huge_bytes, split.small_bytes), (0, 8 * (HUGE - 4096)));
    assert_eq!((split.wanted_huge_bytes, *single.noted.lock()), (split.small_bytes, split));
    // The page of one was given back on purpose.
    single.bare.push(address as u64 + HUGE..address as u64 + HUGE + 4096);
    let repair = single.repair().expect("memory");
    assert_eq!((repair.before, repair.limit), (split, Limit::None), "errno {}", repair.errno);
    assert_eq!((repair.after.huge_bytes, repair.after.small_bytes), (7 * HUGE, HUGE - 4096));
    assert_eq!(*single.noted.lock(), repair.after);
    // SAFETY: as above.
    unsafe { assert_eq!((address.read(), address.add(4096).read()), (0, 7)) };
    assert_eq!(single.repair().expect("memory").before, repair.after);
}

#[test]
fn a_chunk_that_is_not_there_is_told_with_their_number() {
    let _quiet = quiet();
    let source = PageSource { pages: Pages::Base, ..PageSource::default() };
    let request = Request { bytes: HUGE, at_most: u64::MAX, source, account: &ACCOUNT, name: "inspection" };
    let single = Single { mapping: Mapping::new(&request).expect("memory"), bare: Vec::new(), noted: Mutex::default() };
    assert_eq!(single.receipt(0).expect("a chunk").mapped_bytes, HUGE);
    assert_eq!(single.receipt(3).err(), Some(InspectionError::NoSuchChunk { index: 3, chunks: 1 }));
    assert_eq!(single.receipts().expect("memory").len(), 1);
}
