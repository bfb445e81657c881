//! Marks of an arena, and going back to them.

use super::*;

#[test]
fn a_mark_frees_what_came_after_it_and_nothing_before() {
    let _quiet = quiet();
    let arena = arena(base());
    let cursor = arena.open_cursor().unwrap();
    let through = |bytes| arena.alloc_through(slot_of(cursor), bytes, 0).unwrap();
    let kept = arena.alloc(100, 0).unwrap();
    let kept_too = through(100);
    let mark = arena.mark().unwrap();
    let used = arena.stats().used_bytes;
    let (first, large, second) = (arena.alloc(100, 0).unwrap(), arena.alloc(5 << 20, 0).unwrap(), through(100));
    assert!(arena.stats().used_bytes > used);
    arena.rewind(mark).unwrap();
    assert_eq!(arena.stats().used_bytes, used);
    // The same memory again, whoever asks; and what came before the mark is never handed out.
    let again = [through(100), arena.alloc(100, 0).unwrap(), arena.alloc(5 << 20, 0).unwrap()];
    assert!(again.contains(&first) && again.contains(&large));
    assert!(!again.contains(&kept) && !again.contains(&kept_too) && second != kept);
    assert_eq!(arena.stats().chunks, 2);
    close(cursor);
}

#[test]
fn marks_are_checked() {
    let _quiet = quiet();
    let (arena, other) = (arena(base()), arena(base()));
    let outer = arena.mark().unwrap();
    arena.alloc(1, 0).unwrap();
    let inner = arena.mark().unwrap();
    arena.alloc(1, 0).unwrap();
    assert!(matches!(other.rewind(inner), Err(ArenaError::MarkOfAnother { .. })));
    arena.rewind(inner).unwrap();
    arena.rewind(inner).unwrap();
    arena.rewind(outer).unwrap();
    assert!(matches!(arena.rewind(inner), Err(ArenaError::StaleMark { .. })));
    arena.reset(Reset::Keep).unwrap();
    assert!(matches!(arena.rewind(outer), Err(ArenaError::StaleMark { .. })));
    let unknown = Mark { serial: u64::MAX, ..outer };
    assert!(matches!(arena.rewind(unknown), Err(ArenaError::StaleMark { .. })));
}

#[test]
fn marking_and_rewinding_in_turn_costs_no_memory() {
    let _quiet = quiet();
    let arena = arena(base());
    for _ in 0..1000 {
        let mark = arena.mark().unwrap();
        arena.alloc(1000, 0).unwrap();
        arena.rewind(mark).unwrap();
    }
    assert_eq!(arena.state.lock().marks.count(), 1);
    assert_eq!((arena.stats().chunks, arena.stats().used_bytes), (1, 0));
}

#[test]
fn the_thread_that_marks_keeps_its_region_and_another_begins_anew() {
    let _quiet = quiet();
    let arena = arena(base());
    arena.alloc(100, 0).unwrap();
    let used = arena.stats().used_bytes;
    let mark = arena.mark().unwrap();
    assert_eq!(arena.mark_at_hand(), Some(mark));
    let first = arena.alloc(1000, 0).unwrap();
    // That is another moment.
    assert_eq!((arena.mark_at_hand(), arena.stats().used_bytes), (None, used));
    assert!(arena.rewind_at_hand(mark) && !arena.rewind_at_hand(Mark { serial: 0, ..mark }));
    assert_eq!(arena.mark_at_hand(), Some(mark));
    assert_eq!(arena.alloc(1000, 0).unwrap(), first);
    std::thread::scope(|scope| scope.spawn(|| arena.alloc(1000, 0).unwrap() as usize).join().unwrap());
    assert!(!arena.rewind_at_hand(mark) && arena.stats().used_bytes > used);
    arena.rewind(mark).unwrap();
    assert_eq!((arena.stats().used_bytes, arena.stats().rewinds), (used, 2));
    assert_eq!(arena.alloc(1000, 0).unwrap(), first);
    // What is poisoned is gone back to under the lock.
    let watched = self::arena(ArenaConfig { poison: Poison::Always, ..base() });
    watched.alloc(100, 0).unwrap();
    let mark = watched.mark().unwrap();
    assert!(watched.mark_at_hand().is_none() && !watched.rewind_at_hand(mark));
}

#[test]
fn random_marks_of_several_threads_and_cursors_lose_and_double_nothing() {
    let _quiet = quiet();
    for seed in 1..60u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut next = |bound: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % bound
        };
        let arena = arena(ArenaConfig { chunk_bytes: 64 << 10, ..base() });
        let cursor = arena.open_cursor().unwrap();
        let mut live = Vec::<(usize, u64, u8)>::new();
        let mut marks: Vec<(Mark, usize)> = Vec::new();
        for step in 0..400u64 {
            let bytes = 1 + next(3000);
            let block = match next(10) {
                0..=3 => arena.alloc(bytes, 0).unwrap() as usize,
                4 => {
                    let there = || arena.alloc(bytes, 0).unwrap() as usize;
                    std::thread::scope(|scope| scope.spawn(there).join().unwrap())
                }
                5 => arena.alloc_through(slot_of(cursor), bytes, 0).unwrap() as usize,
                6 | 7 => {
                    let mark = arena.mark_at_hand().map_or_else(|| arena.mark(), Ok).unwrap();
                    marks.retain(|(known, _)| *known != mark);
                    marks.push((mark, live.len()));
                    // Inline code marks what the arena does not see, and that is stale with the arena's next mark.
                    if next(2) == 0 {
                        let stale = arena.mark_cursor(slot_of(cursor)).unwrap();
                        assert!(arena.mark_at_hand().is_none());
                        arena.mark().unwrap();
                        assert!(arena.rewind_cursor(slot_of(cursor), stale).is_err());
                    }
                    continue;
                }
                _ => {
                    if !marks.is_empty() {
                        let place = next(marks.len() as u64) as usize;
                        let (mark, count) = marks[place];
                        if !arena.rewind_at_hand(mark) {
                            arena.rewind(mark).unwrap();
                        }
                        marks.truncate(place + 1);
                        live.truncate(count);
                    }
                    continue;
                }
            };
            let (begin, end) = (block, block + bytes as usize);
            assert!(live.iter().all(|(other, bytes, _)| end <= *other || other + *bytes as usize <= begin));
            // SAFETY: just allocated.
            unsafe { (block as *mut u8).write_bytes(step as u8, bytes as usize) };
            live.push((block, bytes, step as u8));
            // SAFETY: what is live was allocated and not gone back over.
            let is_whole = |(block, bytes, tag): &(usize, u64, u8)| unsafe {
                *(*block as *const u8) == *tag && *((block + *bytes as usize - 1) as *const u8) == *tag
            };
            assert!(live.iter().all(is_whole));
        }
        close(cursor);
    }
}
