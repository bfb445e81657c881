use super::super::policy::{NodePolicy, Pages};
use super::super::testing::{alone, quiet};
use super::*;
use crate::base::handles;
use std::time::Duration;

/// An arena behind a handle, destroyed at the end.
struct Made {
    handle: u64,
    arena: Arc<Arena>,
}

impl std::ops::Deref for Made {
    type Target = Arena;
    fn deref(&self) -> &Arena {
        &self.arena
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = handles::destroy::<Arena>(self.handle);
    }
}

fn from(source: PageSource) -> ArenaConfig {
    ArenaConfig { source, name: Name::from("test"), ..ArenaConfig::default() }
}

fn base() -> ArenaConfig {
    from(PageSource { pages: Pages::Base, ..PageSource::default() })
}

fn try_arena(config: ArenaConfig) -> Result<Made, ArenaError> {
    let slot = handles::reserve(Kind::Arena).expect("a handle");
    let arena = Arena::new(slot.owner(), config)?;
    Ok(Made { handle: slot.publish(arena.clone()), arena })
}

fn arena(config: ArenaConfig) -> Made {
    try_arena(config).expect("an arena")
}

fn slot_of(cursor: *mut Cursor) -> Slot {
    Slot::find(cursor).expect("an open cursor").0
}

fn for_cursor<R>(arena: u64, body: impl FnOnce(&handles::Pin<Arena>) -> R) -> R {
    handles::with_child(ThreadRecord::current(), arena, body).expect("its arena")
}

/// Closes a cursor as the boundary does: also when its arena is destroyed.
fn close(cursor: *mut Cursor) {
    let (slot, arena) = Slot::find(cursor).expect("an open cursor");
    assert!(for_cursor(arena, |arena| arena.close_cursor(slot)));
}

#[test]
fn what_threads_get_is_aligned_and_overlaps_nowhere() {
    let _quiet = quiet();
    const THREADS: usize = 6;
    let arena = arena(ArenaConfig { chunk_bytes: 256 << 10, ..base() });
    let blocks: Vec<(usize, usize)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let arena = &arena;
                scope.spawn(move || {
                    let cursor = (thread % 2 == 0).then(|| arena.open_cursor().expect("a cursor") as usize);
                    let mut random = thread as u64 + 1;
                    let mut next = |bound: u64| {
                        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                        (random >> 33) % bound
                    };
                    let mut blocks = Vec::new();
                    for _ in 0..4000 {
                        let bytes = if next(200) == 0 { next(300_000) } else { next(700) };
                        let align = if next(50) == 0 { 1 << next(17) } else { 1 << next(7) };
                        let start = match cursor {
                            Some(cursor) => arena.alloc_through(slot_of(cursor as *mut Cursor), bytes, align),
                            None => arena.alloc(bytes, align),
                        };
                        let start = start.expect("memory") as usize;
                        assert_eq!(start as u64 % align, 0);
                        // SAFETY: just allocated, `bytes` long.
                        unsafe { (start as *mut u8).write_bytes(thread as u8, bytes as usize) };
                        blocks.push((start, start + bytes.max(1) as usize));
                    }
                    // SAFETY: as above; nobody else may have written there.
                    let whole = blocks.iter().all(|(start, _)| unsafe { *(*start as *const u8) } == thread as u8);
                    assert!(whole || blocks.iter().any(|(start, end)| end - start == 1));
                    if let Some(cursor) = cursor {
                        close(cursor as *mut Cursor);
                    }
                    blocks
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    let mut blocks = blocks;
    blocks.sort_unstable();
    assert!(blocks.windows(2).all(|pair| pair[0].1 <= pair[1].0));
    let handed_out: u64 = blocks.iter().map(|(start, end)| (end - start) as u64).sum();
    let stats = arena.stats();
    assert!(stats.used_bytes >= handed_out && stats.used_bytes <= stats.mapped_bytes, "{stats:?}");
    assert_eq!(stats.cursors_open, 0);
}

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
    assert_eq!(arena.state.lock().marks.len(), 1);
    assert_eq!((arena.stats().chunks, arena.stats().used_bytes), (1, 0));
    // A mark in the middle of a region takes back what is left of it.
    arena.alloc(100, 0).unwrap();
    arena.mark().unwrap();
    assert_eq!(arena.stats().used_bytes, 128);
}

#[test]
fn a_reset_keeps_or_returns_the_pages() {
    let _quiet = quiet();
    let arena = arena(ArenaConfig { chunk_bytes: 64 << 10, ..base() });
    let first = arena.alloc(1000, 0).unwrap();
    for _ in 0..9 {
        arena.alloc(60_000, 0).unwrap();
    }
    let full = arena.stats();
    arena.reset(Reset::Keep).unwrap();
    let kept = arena.stats();
    assert_eq!((kept.chunks, kept.mapped_bytes, kept.used_bytes), (full.chunks, full.mapped_bytes, 0));
    assert_eq!(kept.peak_used_bytes, full.peak_used_bytes);
    assert_eq!(arena.alloc(1000, 0).unwrap(), first);
    arena.reset(Reset::Return).unwrap();
    let returned = arena.stats();
    assert_eq!((returned.chunks, returned.mapped_bytes, returned.used_bytes, returned.resets), (0, 0, 0, 2));
    arena.alloc(1000, 0).unwrap();
    assert_eq!(arena.stats().chunks, 1);
}

#[test]
fn mapped_bytes_never_pass_the_limit() {
    let _quiet = quiet();
    for pages in [Pages::Base, Pages::Transparent, Pages::Best, Pages::Huge2M] {
        let limit_bytes = (3 << 20) + 4096;
        let arena = arena(ArenaConfig { limit_bytes, ..from(PageSource { pages, ..PageSource::default() }) });
        let mut taken = 0;
        let error = loop {
            match arena.alloc(3000, 8) {
                Ok(_) => taken += 3000,
                Err(error) => break error,
            }
            assert!(arena.stats().mapped_bytes <= limit_bytes);
        };
        assert!(matches!(error, ArenaError::Limit { .. }), "{error}");
        assert!(error.to_string().contains("limit_bytes 3149824"), "{error}");
        // What a limit leaves is used: all of it but the end of a span or two.
        assert!(taken + (16 << 10) > limit_bytes, "{taken} of {limit_bytes} for {pages:?}");
        assert!(matches!(arena.alloc(u64::MAX, 1), Err(ArenaError::OutOfMemory(_) | ArenaError::Limit { .. })));
        arena.reset(Reset::Keep).unwrap();
        arena.alloc(3000, 8).unwrap();
    }
}

#[test]
fn sizes_and_alignments_that_cannot_be_had_are_named() {
    let _quiet = quiet();
    let arena = arena(base());
    for align in [3, 4 << 20, u64::MAX] {
        let error = arena.alloc(1, align).unwrap_err().to_string();
        assert_eq!(
            error,
            format!("align_bytes is {align}, but must be 0 or a power of two of at most 2097152 (2 MiB)")
        );
    }
    for bytes in [u64::MAX, u64::MAX - 15, i64::MAX as u64, 1 << 50] {
        let error = arena.alloc(bytes, 0).unwrap_err();
        let is_refused = matches!(
            error,
            ArenaError::OutOfMemory(_) | ArenaError::Pages(PagesError::OutOfMemory { .. } | PagesError::Refused(_))
        );
        assert!(is_refused, "{error}");
    }
    let aligned = arena.alloc(10, 2 << 20).unwrap();
    assert_eq!(aligned as u64 % (2 << 20), 0);
    assert_ne!(arena.alloc(0, 0).unwrap(), arena.alloc(0, 0).unwrap());
}

#[test]
fn configurations_that_cannot_be_had_are_named() {
    let _quiet = quiet();
    let refused = |config| try_arena(config).err().expect("an error").to_string();
    assert!(refused(ArenaConfig { chunk_bytes: 1, ..base() }).starts_with("chunk_bytes is 1, but must be"));
    assert!(refused(ArenaConfig { chunk_bytes: u64::MAX, ..base() }).starts_with("chunk_bytes is"));
    assert!(refused(ArenaConfig { limit_bytes: 4096, ..base() }).starts_with("limit_bytes is 4096, but must be"));
    let on = |node, strict| {
        from(PageSource { nodes: NodePolicy::One(node), strict, pages: Pages::Base, ..PageSource::default() })
    };
    assert!(refused(on(777, true)).starts_with("node is 777, but must be one of the nodes"));
    assert_eq!(refused(on(1024, false)), "node is 1024, but must be below 1024");
    let elsewhere = arena(on(777, false)).receipt(0).unwrap();
    assert_eq!((elsewhere.got_nodes, elsewhere.steps.as_slice().len()), (NodePolicy::Any, 1));
}

#[test]
fn a_destroyed_arena_keeps_its_memory_for_open_cursors() {
    let _alone = alone();
    let before = super::super::governor::account::held();
    let made = arena(base());
    let cursor = made.open_cursor().unwrap();
    let memory = made.alloc_through(slot_of(cursor), 100, 0).unwrap();
    let handle = made.handle;
    drop(made);
    assert!(handles::pin::<Arena>(handle).is_err());
    // SAFETY: promised until the last cursor is closed.
    unsafe { memory.write_bytes(7, 100) };
    let (slot, arena) = Slot::find(cursor).unwrap();
    assert_eq!(arena, handle);
    let closed = for_cursor(handle, |arena| arena.alloc_through(slot, 1, 1));
    assert!(matches!(closed, Err(ArenaError::Closed)));
    assert!(super::super::governor::account::held() > before);
    close(cursor);
    assert_eq!(super::super::governor::account::held(), before);
    assert!(Slot::find(cursor).is_err());
}

#[test]
fn close_waits_for_cursors_and_refuses_new_work() {
    let _quiet = quiet();
    let arena = arena(base());
    let cursor = arena.open_cursor().unwrap() as usize;
    arena.alloc(1, 1).unwrap();
    arena.alloc_through(slot_of(cursor as *mut Cursor), 1, 1).unwrap();
    assert!(matches!(arena.close(Deadline::after(0), None), Err(ArenaError::Wait(WaitEnd::TimedOut))));
    let cancel = Cancel::new().unwrap();
    cancel.signal();
    assert!(matches!(arena.close(Deadline::NEVER, Some(&cancel)), Err(ArenaError::Wait(WaitEnd::Cancelled))));
    assert!(matches!(arena.alloc(1, 1), Err(ArenaError::Closed)));
    assert!(matches!(arena.open_cursor(), Err(ArenaError::Closed)));
    // What the cursor has, it may use up.
    assert!(arena.alloc_through(slot_of(cursor as *mut Cursor), 1, 1).is_ok());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| arena.close(Deadline::NEVER, None));
        std::thread::sleep(Duration::from_millis(20));
        assert!(!waiting.is_finished());
        close(cursor as *mut Cursor);
        assert!(waiting.join().unwrap().is_ok());
    });
    assert!(arena.close(Deadline::after(0), None).is_ok());
    assert!(arena.state.lock().waiters.is_empty());
}

#[test]
fn a_destroy_ends_a_close() {
    let _quiet = quiet();
    let made = arena(base());
    let cursor = made.open_cursor().unwrap();
    let handle = made.handle;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let arena = handles::pin::<Arena>(handle).unwrap();
            arena.close(Deadline::NEVER, None)
        });
        std::thread::sleep(Duration::from_millis(20));
        drop(made);
        assert!(matches!(waiting.join().unwrap(), Err(ArenaError::Closed)));
    });
    close(cursor);
}

#[test]
fn many_cursors_open_and_close_in_any_order() {
    let _quiet = quiet();
    let arena = arena(base());
    let mut cursors: Vec<_> = (0..500).map(|_| arena.open_cursor().unwrap()).collect();
    for step in 0..500 {
        let cursor = cursors.swap_remove(step * 7 % cursors.len());
        close(cursor);
        assert!(Slot::find(cursor).is_err());
    }
    assert_eq!((arena.stats().cursors_open, arena.state.lock().cursors.len()), (0, 0));
}

/// Each call that can be refused is, the n-th for n = 1, 2, 3, ... until all passes untouched. Whatever happens, no
/// memory stays behind, and the arena goes on.
#[cfg(feature = "faults")]
#[test]
fn refused_calls_end_in_an_error_or_a_recorded_step_down_and_leak_nothing() {
    use super::super::testing::in_own_process;
    use crate::base::faults::{self, Point};
    let _alone = alone();
    if !in_own_process() {
        return;
    }
    drop(arena(base()));
    let before = super::super::governor::account::held();
    let mut outcomes = [0u64; 2];
    for point in [Point::Mmap, Point::Mbind, Point::Madvise, Point::Allocation] {
        for nth in 1.. {
            assert!(nth < 200, "{point:?} never passes untouched");
            faults::set(point as usize, nth, libc::ENOMEM, false);
            let ended = whole_life();
            let untouched = faults::hits(point as usize) < nth;
            faults::set(point as usize, 0, 0, false);
            assert_eq!(super::super::governor::account::held(), before, "{point:?} {nth} leaks");
            assert_eq!(handles::live_count(), 0, "{point:?} {nth} leaks a handle");
            match ended {
                Ok(_) if untouched => break,
                Ok(_) => outcomes[0] += 1,
                Err(_) => outcomes[1] += 1,
            }
        }
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}

#[cfg(feature = "faults")]
fn whole_life() -> Result<(), ArenaError> {
    let nodes = NodePolicy::Local;
    let arena = try_arena(from(PageSource { pages: Pages::Best, nodes, prefault: true, ..PageSource::default() }))?;
    let cursor = arena.open_cursor()?;
    let used = arena.alloc_through(slot_of(cursor), 100, 0).and_then(|_| {
        arena.alloc(3 << 20, 0)?;
        let mark = arena.mark()?;
        arena.alloc(5 << 20, 0)?;
        arena.rewind(mark)?;
        arena.reset(Reset::Return)?;
        arena.alloc(1, 1)
    });
    close(cursor);
    for receipt in arena.receipts() {
        assert!(receipt.got_pages == Pages::Transparent || !receipt.steps.as_slice().is_empty());
        assert!(receipt.got_nodes == receipt.asked.nodes || !receipt.steps.as_slice().is_empty());
    }
    used.map(drop)
}
