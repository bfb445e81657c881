//! A chunk that the kernel took apart, in an object of one.

use super::super::pages::{Limit, Request};
use super::super::policy::NodePolicy;
use super::super::source::PageSource;
use super::super::testing::{ACCOUNT, quiet};
use super::super::{kernel, system};
use super::*;
use crate::base::handles::{HandleError, Kind};
use crate::base::panics;
use parking_lot::Mutex;

const HUGE: u64 = 2 << 20;

struct Single {
    mapping: Mapping,
    bare: Vec<Range<u64>>,
    noted: Mutex<Seen>,
}

impl Inspect for Single {
    fn each_chunk(&self, show: &mut dyn FnMut(Memory<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory> {
        let _ = show(Memory::Mapped(&self.mapping));
        Ok(())
    }

    fn note_seen(&self, seen: Seen) {
        *self.noted.lock() = seen;
    }

    fn bare_parts(&self, _of: &Mapping) -> Result<Bare<'_>, OutOfMemory> {
        Ok(Bare { parts: self.bare.clone(), held: None })
    }
}

const CHUNK: u64 = 8 * HUGE;
/// Of a chunk that was taken apart.
const SMALL: u64 = 8 * (HUGE - BASE);
const BASE: u64 = 4096;

/// A chunk without the first page of each huge one, and with a 7 in the page behind that. Nobody puts it together but a
/// repair, and it is so whether or not the kernel had huge pages for it. `None` where there are none at all.
fn taken_apart() -> Option<Single> {
    if kernel::transparent_pages_off() {
        eprintln!("skipped: transparent huge pages are switched off here");
        return None;
    }
    let source = PageSource { pages: Pages::Transparent, prefault: true, ..PageSource::default() };
    let request = Request { bytes: CHUNK, at_most: u64::MAX, source, account: &ACCOUNT, name: "inspection" };
    let mapping = Mapping::new(&request).expect("memory");
    let address = mapping.address();
    // SAFETY: the test's own memory; giving a part of a huge page back splits it.
    unsafe {
        system::advise(address, CHUNK, libc::MADV_NOHUGEPAGE).expect("what is told to khugepaged");
        for at in (0..CHUNK).step_by(HUGE as usize) {
            address.add((at + BASE) as usize).write(7);
            system::advise(address.add(at as usize), BASE, libc::MADV_DONTNEED).expect("split");
        }
    }
    Some(Single { mapping, bare: Vec::new(), noted: Mutex::default() })
}

/// Whether there was no memory for huge pages, or others held the small ones all the time.
fn was_short(repair: &Repair) -> bool {
    let is_short = matches!(repair.limit, Limit::NodeMemory | Limit::MemoryCgroup)
        && [0, libc::ENOMEM, libc::EAGAIN, libc::EBUSY].contains(&repair.errno);
    if is_short {
        eprintln!("skipped: the kernel has no huge pages now: {:?} {}", repair.limit, repair.errno);
    }
    is_short
}

#[test]
fn what_the_kernel_took_apart_is_put_together_and_keeps_its_contents() {
    let _quiet = quiet();
    let Some(single) = taken_apart() else { return };
    let split = single.coverage().expect("memory");
    assert_eq!((split.huge_bytes, split.small_bytes), (0, SMALL));
    assert_eq!((split.wanted_huge_bytes, single.noted.lock().coverage), (split.small_bytes, split));
    let repair = single.repair().expect("memory");
    assert_eq!((repair.before, single.noted.lock().coverage), (split, repair.after));
    let address = single.mapping.address();
    // SAFETY: the test's own memory.
    unsafe { assert_eq!((address.read(), address.add(BASE as usize).read()), (0, 7)) };
    if was_short(&repair) {
        return;
    }
    assert_eq!((repair.limit, repair.after.huge_bytes, repair.after.small_bytes), (Limit::None, CHUNK, 0));
    assert_eq!(single.repair().expect("memory").before, repair.after);
}

#[test]
fn what_was_given_back_on_purpose_stays_away() {
    let _quiet = quiet();
    let Some(mut single) = taken_apart() else { return };
    let start = single.mapping.address() as u64;
    single.bare = (start..start + CHUNK).step_by(HUGE as usize).map(|at| at..at + BASE).collect();
    let split = single.coverage().expect("memory");
    assert_eq!(split.small_bytes, SMALL);
    assert_eq!(single.repair().expect("memory"), Repair { before: split, after: split, ..Repair::default() });
}

/// The kernel answers so when a page is busy for a moment.
#[cfg(feature = "faults")]
#[test]
fn a_busy_page_is_tried_again() {
    use super::super::testing::in_own_process;
    use crate::base::faults::{Point, hits, set};
    if !in_own_process() {
        return;
    }
    let Some(single) = taken_apart() else { return };
    // The first advice allows huge pages, and the second puts them together.
    set(Point::Madvise as usize, 2, libc::EAGAIN, false);
    let repair = single.repair().expect("memory");
    let is_short = was_short(&repair);
    // There was none to be admitted, or it was tried.
    assert!((is_short && repair.errno == 0) || hits(Point::Madvise as usize) > 2, "{repair:?}");
    assert!(is_short || (repair.limit, repair.after.huge_bytes) == (Limit::None, CHUNK), "{repair:?}");
}

#[test]
fn a_look_in_bites_sees_what_one_look_sees() {
    let _quiet = quiet();
    for nodes in [NodePolicy::Any, NodePolicy::One(0)] {
        let source = PageSource { pages: Pages::Base, nodes, ..PageSource::default() };
        let bytes = 2 * BITE + HUGE;
        let request = Request { bytes, at_most: u64::MAX, source, account: &ACCOUNT, name: "inspection" };
        let mapping = Mapping::new(&request).expect("memory");
        for at in [0, BITE - BASE, BITE, 2 * BITE + BASE] {
            // SAFETY: the test's own memory.
            unsafe { mapping.address().add(at as usize).write(1) };
        }
        let single = Single { mapping, bare: Vec::new(), noted: Mutex::default() };
        let whole = single.coverage().expect("memory");
        assert_eq!((whole.mapped_bytes, whole.resident_bytes), (bytes, 4 * BASE));
        *single.noted.lock() = Seen::default();
        let (mut progress, mut visits, mut begun_ns) = (Progress::default(), 0, None);
        while !single.look_on(&mut progress, &mut || false).expect("memory") {
            assert_eq!(*single.noted.lock(), Seen::default());
            begun_ns = begun_ns.or(progress.begun_ns);
            visits += 1;
        }
        assert_eq!(visits, if residency::tells_of_pages() { 3 } else { 1 });
        assert_eq!((progress.seen, single.noted.lock().coverage), (whole, whole));
        // As old as what was seen first.
        assert!(begun_ns.is_none_or(|begun_ns| begun_ns == single.noted.lock().begun_ns));
        let mut at_once = Progress::default();
        assert_eq!((single.look_on(&mut at_once, &mut || true), at_once.seen), (Ok(true), whole));
    }
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

/// That cannot list its chunks.
struct Broken;

impl Inspect for Broken {
    fn each_chunk(&self, _show: &mut dyn FnMut(Memory<'_>) -> ControlFlow<()>) -> Result<(), OutOfMemory> {
        panic!("cannot");
    }

    fn note_seen(&self, _seen: Seen) {}
}

impl Handled for Broken {
    const KIND: Kind = Kind::Slab;
    fn begin_destroy(&self) {}
    fn finish_destroy(&self) {}
}

#[test]
fn an_object_that_panics_while_it_is_looked_at_or_repaired_goes_into_quarantine() {
    panics::install_hook();
    let ways: [fn(&Inspector) -> bool; 3] = [
        |inspector| inspector.look().is_some(),
        |inspector| inspector.look_on(&mut Progress::default(), &mut || true).is_some(),
        |inspector| inspector.repair().is_some(),
    ];
    for way in ways {
        let slot = handles::reserve(Kind::Slab).expect("a handle");
        let inspector = inspector::<Broken>(slot.owner());
        let handle = slot.publish(std::sync::Arc::new(Broken));
        assert!(panics::catch(|| way(&inspector)).is_err());
        assert!(matches!(handles::pin::<Broken>(handle).err(), Some(HandleError::Quarantined { .. })));
        assert_eq!(panics::catch(|| way(&inspector)).ok(), Some(false));
        handles::destroy::<Broken>(handle).expect("its destroy");
    }
}
