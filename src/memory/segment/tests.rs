use super::super::governor::account::held;
use super::super::policy::Pages;
use super::super::testing::{in_own_process, quiet};
use super::*;
use crate::base::handles;
use std::sync::atomic::AtomicU64;

fn config(bytes: u64) -> SegmentConfig {
    let source = PageSource { pages: Pages::Base, ..PageSource::default() };
    SegmentConfig { source, bytes, name: Name::from("test"), ..SegmentConfig::default() }
}

fn segment(bytes: u64) -> Arc<Segment> {
    Segment::new(config(bytes)).expect("a segment")
}

fn attached(to: &Segment, access: Access) -> Arc<Segment> {
    let fd = to.descriptor(access).expect("a descriptor");
    Segment::attach(fd.as_fd(), access).expect("the same segment")
}

#[test]
fn a_block_is_the_same_at_another_address() {
    let _quiet = quiet();
    let ours = segment(1 << 20);
    let theirs = attached(&ours, Access::ReadOnly);
    for (bytes, align) in [(1, 0), (100, 1), (0, 16), (5000, 4096), (17, 64)] {
        let (place, block) = ours.alloc(bytes, align).unwrap();
        assert!((block.address as u64).is_multiple_of(align.max(16)) && block.bytes == bytes.max(1));
        // SAFETY: just allocated.
        unsafe { block.address.write_bytes(place.0 as u8, block.bytes as usize) };
        let seen = theirs.get(place).unwrap();
        assert_ne!(seen.address, block.address);
        // SAFETY: the same memory, mapped a second time.
        assert_eq!(unsafe { (seen.bytes, *seen.address.add(seen.bytes as usize - 1)) }, (block.bytes, place.0 as u8));
        assert_eq!((ours.find(block.address).unwrap(), theirs.find(seen.address).unwrap()), (place, place));
        assert!(matches!(theirs.find(block.address), Err(SegmentError::ForeignPointer { .. })));
    }
    assert!(matches!(theirs.alloc(1, 1), Err(SegmentError::ReadOnly)));
    assert!(matches!(ours.alloc(1, 8192), Err(SegmentError::Field(_))));
}

#[test]
fn places_that_are_none_are_told() {
    let _quiet = quiet();
    let segment = segment(64 << 10);
    let (place, block) = segment.alloc(100, 0).unwrap();
    for bit in 0..64 {
        let other = Place(place.0 ^ (1 << bit));
        assert!(matches!(segment.get(other), Err(SegmentError::StaleBlock { .. })), "bit {bit}");
    }
    for offset in [1usize, 16, 1 << 20, usize::MAX] {
        let address = block.address.wrapping_add(offset);
        assert!(matches!(segment.find(address), Err(SegmentError::ForeignPointer { .. })));
    }
    segment.set_root(place).unwrap();
    segment.reset().unwrap();
    assert_eq!(segment.root(), Place::NONE);
    assert!(matches!(segment.get(place), Err(SegmentError::StaleBlock { .. })));
    let (again, same) = segment.alloc(100, 0).unwrap();
    assert_eq!((again.offset(), same), (place.offset(), block));
    assert!(matches!(segment.get(place), Err(SegmentError::StaleBlock { .. })));
    assert!(segment.set_root(place).is_err());
}

/// Whatever a process that went mad writes into the segment, the others get a status.
#[test]
fn scribbles_are_never_followed() {
    let _quiet = quiet();
    let ours = segment(64 << 10);
    let theirs = attached(&ours, Access::ReadWrite);
    let places: Vec<Place> = (0..50).map(|bytes| ours.alloc(bytes * 20, 0).unwrap().0).collect();
    let mut random = 1u64;
    for _ in 0..20_000 {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let at = ((random >> 33) as usize % (64 << 10)) & !7;
        // SAFETY: inside the mapping; the library reads it as atomic words.
        unsafe {
            let word = theirs.mapped.address().add(at).cast::<AtomicU64>();
            (*word).store(random.rotate_left(random as u32 & 63), Relaxed);
        }
        for place in &places {
            if let Ok(block) = ours.get(*place) {
                let end = block.address as u64 + block.bytes;
                assert!(end <= ours.mapped.address() as u64 + ours.mapped.bytes);
            }
        }
        if let Ok((_, block)) = ours.alloc(random % 3000, 64) {
            let offset = block.address as u64 - ours.mapped.address() as u64;
            assert!(offset >= HEADER_BYTES && offset + block.bytes <= ours.mapped.bytes);
        }
        let _ = (ours.find(theirs.mapped.address()), ours.root(), ours.stats(), ours.reset());
    }
}

#[test]
fn it_is_full_at_its_end() {
    let _quiet = quiet();
    let segment = segment(8192);
    let mut blocks = 0;
    let error = loop {
        match segment.alloc(100, 0) {
            Ok(_) => blocks += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, SegmentError::Full { .. }));
    assert_eq!(blocks, (8192 - 256) / (16 + 112));
    assert!(matches!(segment.alloc(u64::MAX, 0), Err(SegmentError::Full { .. })));
}

#[test]
fn what_the_owner_made_is_charged_until_it_goes_and_outlives_it_elsewhere() {
    if !in_own_process() {
        return;
    }
    let before = held();
    let slot = handles::reserve(Kind::Segment).unwrap();
    let handle = slot.publish(segment(1 << 20));
    let ours = handles::pin::<Segment>(handle).unwrap().share();
    assert_eq!(held(), before + (1 << 20));
    let (place, block) = ours.alloc(100, 0).unwrap();
    // SAFETY: just allocated.
    unsafe { block.address.write_bytes(3, 100) };
    let theirs = attached(&ours, Access::ReadWrite);
    assert_eq!((held(), theirs.stats().unwrap().owner), (before + (1 << 20), OwnerState::Alive));
    assert!(matches!(theirs.reset(), Err(SegmentError::NotOwner)));
    handles::destroy::<Segment>(handle).unwrap();
    drop(ours);
    assert_eq!((held(), theirs.stats().unwrap().owner), (before, OwnerState::Closed));
    // SAFETY: still mapped here.
    assert_eq!(unsafe { *theirs.get(place).unwrap().address.add(99) }, 3);
    assert!(matches!(theirs.alloc(1, 1), Err(SegmentError::Closed)));
}

#[test]
fn an_owner_that_went_without_a_word_is_found_dead() {
    let _quiet = quiet();
    let ours = segment(8192);
    let theirs = attached(&ours, Access::ReadWrite);
    assert_eq!(theirs.stats().unwrap().owner, OwnerState::Alive);
    // No handle was destroyed: this is what is left of a process that was killed.
    drop(ours);
    assert_eq!(theirs.stats().unwrap().owner, OwnerState::Died);
    theirs.alloc(1, 1).unwrap();
}

#[test]
fn threads_that_allocate_at_once_share_nothing() {
    let _quiet = quiet();
    let ours = segment(4 << 20);
    let theirs = attached(&ours, Access::ReadWrite);
    let mut places: Vec<Place> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let segment = if thread % 2 == 0 { &ours } else { &theirs };
                scope.spawn(move || {
                    (0..3000).map(|i| segment.alloc((i * thread) % 200, 0).unwrap().0).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    places.sort_unstable_by_key(|place| place.0);
    let ends = places.iter().map(|place| place.offset() + ours.get(*place).unwrap().bytes);
    assert!(ends.zip(&places[1..]).all(|(end, next)| end <= next.offset()));
}
