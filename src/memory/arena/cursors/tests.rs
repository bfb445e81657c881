//! Cursors that go back, against a list of what must still be there.

use super::super::super::policy::Pages;
use super::super::super::source::PageSource;
use super::super::super::testing::quiet;
use super::super::{ArenaConfig, Poison, Reset};
use super::*;
use crate::base::clock::Deadline;
use crate::base::handles::{self, Handled, Kind};
use std::sync::Arc;

/// An arena with one cursor, destroyed at the end.
struct Desk {
    arena: Arc<Arena>,
    handle: u64,
    slot: Slot,
}

impl Desk {
    fn new(poison: Poison) -> Self {
        let source = PageSource { pages: Pages::Base, ..PageSource::default() };
        let config = ArenaConfig { source, chunk_bytes: 256 << 10, poison, ..ArenaConfig::default() };
        let reserved = handles::reserve(Kind::Arena).expect("a handle");
        let arena = Arena::new(reserved.owner(), config).expect("an arena");
        let handle = reserved.publish(arena.clone());
        let slot = Slot::find(arena.open_cursor().expect("a cursor")).expect("it is open").0;
        Self { arena, handle, slot }
    }

    fn alloc(&self, bytes: u64) -> *mut u8 {
        self.arena.alloc_through(self.slot, bytes, 1).expect("memory")
    }

    /// As the boundary does it: in place where that can be.
    fn mark(&self) -> Mark {
        let cursor = self.slot.cursor();
        let in_place = cursor.mark().filter(|_| cursor.is_inline());
        in_place.map_or_else(
            || self.arena.mark_cursor(self.slot).expect("a mark"),
            |serial| Mark { owner: cursor.address(), serial },
        )
    }

    fn rewind(&self, mark: Mark) -> Result<(), ArenaError> {
        let cursor = self.slot.cursor();
        if cursor.is_inline() && mark.owner == cursor.address() && cursor.rewind_within_stage(mark.serial) {
            return Ok(());
        }
        self.arena.rewind_cursor(self.slot, mark)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.arena.close_cursor(self.slot);
        let _ = handles::destroy::<Arena>(self.handle);
    }
}

/// A block and what was written into it.
#[derive(Clone, Copy)]
struct Written {
    start: *mut u8,
    bytes: usize,
    tag: u8,
}

impl Written {
    fn new(start: *mut u8, bytes: u64, tag: u8) -> Self {
        // SAFETY: the block was just allocated.
        unsafe { start.write_bytes(tag, bytes as usize) };
        Self { start, bytes: bytes as usize, tag }
    }

    fn is_there(&self) -> bool {
        // SAFETY: the block was not given back.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }.iter().all(|byte| *byte == self.tag)
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn what_came_after_a_mark_goes_and_all_else_stays_as_it_was() {
    let _quiet = quiet();
    for (seed, poison) in (1..16).map(|seed| (seed, if seed % 4 == 0 { Poison::Always } else { Poison::Never })) {
        let (desk, mut random) = (Desk::new(poison), Random(seed));
        let (mut live, mut marks, mut stale) = (Vec::new(), Vec::<(Mark, usize)>::new(), Vec::new());
        for step in 0..500u32 {
            match random.below(16) {
                0..8 => {
                    let bytes = match random.below(30) {
                        0 => 20_000 + random.below(100_000),
                        1 | 2 => 4_000 + random.below(12_000),
                        _ => 1 + random.below(400),
                    };
                    live.push(Written::new(desk.alloc(bytes), bytes, step as u8 | 1));
                }
                8..11 => marks.push((desk.mark(), live.len())),
                11..14 if !marks.is_empty() => {
                    let last = marks.len() as u64;
                    let chosen = if random.below(3) == 0 { random.below(last) } else { last - 1 } as usize;
                    assert!(live.iter().all(Written::is_there), "seed {seed}: a block was given out twice");
                    desk.rewind(marks[chosen].0).expect("it is good");
                    live.truncate(marks[chosen].1);
                    stale.extend(marks.drain(chosen..).map(|(mark, _)| mark));
                }
                14 if !stale.is_empty() => {
                    let chosen = random.below(stale.len() as u64) as usize;
                    assert!(matches!(desk.rewind(stale[chosen]), Err(ArenaError::StaleMark { .. })));
                }
                15 => {
                    // Another's memory lies between.
                    let other = desk.arena.alloc(1 + random.below(9000), 1).expect("memory");
                    // SAFETY: it was just allocated.
                    unsafe { other.write(0) };
                }
                _ => {}
            }
        }
        assert!(live.iter().all(Written::is_there), "seed {seed}: a block was given out twice");
        desk.arena.reset(Reset::Keep).expect("it is open");
        assert!(marks.iter().all(|(mark, _)| matches!(desk.rewind(*mark), Err(ArenaError::StaleMark { .. }))));
    }
}

#[test]
fn going_back_again_and_again_takes_no_more_and_more() {
    let _quiet = quiet();
    let desk = Desk::new(Poison::Never);
    // Near the end of a region.
    for _ in 0..10 {
        desk.alloc(6000);
    }
    let turn = |bytes: &[u64]| {
        let mark = desk.mark();
        for bytes in bytes {
            desk.alloc(*bytes);
        }
        desk.rewind(mark).expect("it is good");
    };
    // Across the end of a region, through several, and with blocks that have spans of their own.
    for bytes in [&[7000; 3][..], &[9000; 30], &[100, 30_000, 100, 90_000]] {
        (0..5).for_each(|_| turn(bytes));
        let before = desk.arena.stats();
        (0..1000).for_each(|_| turn(bytes));
        let after = desk.arena.stats();
        assert_eq!((after.used_bytes, after.mapped_bytes), (before.used_bytes, before.mapped_bytes));
    }
    // One that crossed the end of a region goes on where there is room, and needs the library no more.
    let cursor = desk.slot.cursor();
    turn(&[7000; 3]);
    let stage = cursor.stage();
    (0..10).for_each(|_| turn(&[7000; 2]));
    assert_eq!(cursor.stage(), stage);
}

#[test]
fn mark_is_of_one_cursor_and_of_one_time() {
    let _quiet = quiet();
    let (one, two) = (Desk::new(Poison::Never), Desk::new(Poison::Never));
    let mark = one.mark();
    assert!(matches!(two.rewind(mark), Err(ArenaError::MarkOfAnother { .. })));
    let of_arena = one.arena.mark().expect("a mark");
    assert!(matches!(one.rewind(of_arena), Err(ArenaError::MarkOfAnother { .. })));
    assert!(matches!(one.arena.rewind(mark), Err(ArenaError::MarkOfAnother { .. })));
    // The arena took the region away for its own mark.
    assert!(matches!(one.rewind(mark), Err(ArenaError::StaleMark { .. })));
    let mark = one.mark();
    one.arena.close_cursor(one.slot).expect("it is open");
    assert!(one.slot.cursor().find(mark.serial).is_none());
    let reopened = Slot::find(one.arena.open_cursor().expect("a cursor")).expect("it is open").0;
    let forged = Mark { owner: reopened.cursor().address(), serial: mark.serial };
    assert!(one.arena.rewind_cursor(reopened, forged).is_err());
    one.arena.close_cursor(reopened).expect("it is open");
}

/// What is noted of an empty region is where it lay before, and no room.
#[test]
fn mark_of_a_cursor_that_was_emptied_is_gone_back_to() {
    let _quiet = quiet();
    for poison in [Poison::Never, Poison::Always] {
        let desk = Desk::new(poison);
        for _ in 0..3 {
            desk.alloc(1000);
            desk.arena.reset(Reset::Keep).unwrap();
            let mark = desk.mark();
            assert!(Written::new(desk.alloc(1000), 1000, 7).is_there());
            desk.rewind(mark).unwrap();
        }
    }
}

/// A closer hears of it, and what a cursor had at hand is nobody's.
#[test]
fn nobody_goes_on_with_an_arena_in_quarantine() {
    let _quiet = quiet();
    let desk = Desk::new(Poison::Never);
    desk.alloc(1000);
    let in_region = || desk.slot.cursor().region.bump(Block::new(1, 1).unwrap());
    assert!(in_region().is_some());
    desk.arena.quarantined();
    assert!(in_region().is_none());
    assert!(matches!(desk.arena.close(Deadline::NEVER, None), Err(ArenaError::Closed)));
}
