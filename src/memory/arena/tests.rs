mod ending;
mod handing_over;
mod marking;

use super::super::governor::account::held;
use super::super::governor::reclaim::Reclaimer;
use super::super::inspection::Inspect;
use super::super::policy::{NodePolicy, Pages};
use super::super::source::PageSource;
use super::super::testing::{alone, in_own_process, quiet};
use super::cursor::{Cursor, Slot};
use super::*;
use crate::base::{Name, handles};

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
    for_cursor(arena, |arena| arena.close_cursor(slot)).expect("it was open");
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
fn chunks_grow_as_the_policy_says() {
    let _quiet = quiet();
    let sizes = |growth, max_chunk_bytes| {
        let arena = arena(ArenaConfig { chunk_bytes: 64 << 10, growth, max_chunk_bytes, ..base() });
        while arena.stats().chunks < 5 && arena.alloc(16 << 10, 64).is_ok() {}
        arena.receipts().unwrap().iter().map(|receipt| receipt.mapped_bytes >> 10).collect::<Vec<_>>()
    };
    assert_eq!(sizes(Growth::Fixed, 0), [64, 64, 64, 64, 64]);
    assert_eq!(sizes(Growth::Double, 0), [64, 64, 128, 256, 512]);
    assert_eq!(sizes(Growth::Double, 128 << 10), [64, 64, 128, 128, 128]);
    assert_eq!(sizes(Growth::None, 0), [64]);
}

#[test]
fn an_arena_that_does_not_grow_says_so_and_begins_anew_after_a_reset() {
    let _quiet = quiet();
    let arena = arena(ArenaConfig { chunk_bytes: 64 << 10, growth: Growth::None, ..base() });
    for mode in [Reset::Keep, Reset::Return, Reset::Keep] {
        let mut taken = 0;
        let error = loop {
            match arena.alloc(1000, 8) {
                Ok(_) => taken += 1000,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ArenaError::Full { .. }), "{error}");
        assert!((60_000..=65536).contains(&taken), "{taken}");
        assert!(matches!(arena.alloc(1 << 20, 8), Err(ArenaError::Full { .. })));
        arena.reset(mode).unwrap();
    }
}

/// The host's memory, with bytes before and behind it that are not for the arena.
fn lent(buffer: &mut [u8]) -> Adopted {
    let inner = &mut buffer[3..];
    Adopted { address: inner.as_mut_ptr(), bytes: inner.len() as u64 - 3 }
}

#[test]
fn adopted_memory_is_used_first_and_never_given_back() {
    if !in_own_process() {
        return;
    }
    let before = held();
    let mut buffer = vec![7u8; 20_000];
    let range = buffer.as_ptr() as usize..buffer.as_ptr() as usize + buffer.len();
    let inside = |start: *mut u8| range.contains(&(start as usize));
    let arena = arena(ArenaConfig { memory: Some(lent(&mut buffer)), ..base() });
    assert_eq!((arena.stats().mapped_bytes, held()), (0, before));
    assert!(arena.stats().adopted_bytes > 19_800);
    for mode in [Reset::Keep, Reset::Return] {
        let mut taken = 0;
        while let start = arena.alloc(100, 4).unwrap()
            && inside(start)
        {
            // SAFETY: just allocated.
            unsafe { start.write_bytes(1, 100) };
            taken += 100;
        }
        assert!(taken > 19_000, "{taken}");
        assert!(arena.stats().mapped_bytes > 0);
        let receipts = arena.receipts().unwrap();
        assert!(
            receipts
                .iter()
                .any(|receipt| range.contains(&(receipt.address as usize)) && receipt.found.resident_bytes > 0)
        );
        arena.reset(mode).unwrap();
    }
    assert_eq!((arena.stats().mapped_bytes, arena.stats().chunks), (0, 1));
    assert!(buffer[..3].iter().chain(&buffer[buffer.len() - 3..]).all(|byte| *byte == 7));
    let alone = ArenaConfig { growth: Growth::None, memory: Some(lent(&mut buffer)), ..base() };
    assert!(matches!(self::arena(alone).alloc(30_000, 0), Err(ArenaError::Full { .. })));
}

#[test]
fn memory_that_cannot_be_adopted_is_named() {
    let _quiet = quiet();
    let arena = arena(base());
    for (address, bytes) in [(4096, 4095), (4096, 0), (usize::MAX - 5000, 5002), (4096, u64::MAX)] {
        let error = arena.adopt(Adopted { address: address as *mut u8, bytes }).unwrap_err().to_string();
        assert!(error.starts_with(&format!("memory_bytes is {bytes}, but must be at least 4096")), "{error}");
    }
}

#[test]
fn what_is_kept_for_later_can_be_given_back() {
    if !in_own_process() {
        return;
    }
    let before = held();
    let arena = arena(ArenaConfig { chunk_bytes: 64 << 10, ..base() });
    let mark = arena.mark().unwrap();
    for _ in 0..10 {
        arena.alloc(60_000, 0).unwrap();
    }
    assert_eq!((arena.trim(0), arena.reclaimable_bytes()), (0, 0));
    arena.rewind(mark).unwrap();
    assert_eq!(arena.stats().kept_bytes, 640 << 10);
    assert_eq!(arena.trim(200 << 10), 448 << 10);
    assert_eq!((arena.stats().kept_bytes, arena.stats().mapped_bytes), (192 << 10, 192 << 10));
    assert_eq!((arena.reclaim(1), arena.reclaimable_bytes()), (64 << 10, 128 << 10));
    assert_eq!((arena.reclaim(u64::MAX), held()), (128 << 10, before));
    arena.rewind(mark).unwrap();
    arena.alloc(1, 1).unwrap();
    assert!(arena.last_used_ns() > 0);
}

#[test]
fn freed_memory_is_overwritten_where_that_is_asked_for() {
    let _quiet = quiet();
    let arena = arena(ArenaConfig { poison: Poison::Always, ..base() });
    let cursor = arena.open_cursor().unwrap();
    assert!(cursor::open_at(cursor).is_none());
    let kept = arena.alloc(64, 0).unwrap();
    // SAFETY: just allocated; freed memory is still mapped, and only read.
    unsafe {
        kept.write_bytes(1, 64);
        let mark = arena.mark().unwrap();
        let blocks = [arena.alloc(40, 1).unwrap(), arena.alloc_through(slot_of(cursor), 40, 1).unwrap()];
        blocks.iter().for_each(|block| block.write_bytes(2, 40));
        arena.rewind(mark).unwrap();
        assert_eq!(*kept, 1);
        for block in blocks {
            assert!(std::slice::from_raw_parts(block, 40).iter().all(|byte| *byte == poison::FREED));
        }
        arena.reset(Reset::Keep).unwrap();
        assert_eq!(*kept, poison::FREED);
    }
    let next = arena.alloc(5, 1).unwrap() as usize;
    assert!(arena.alloc(5, 1).unwrap() as usize >= next + 5 + 16);
    close(cursor);
}

/// Each call that can be refused is, the n-th for n = 1, 2, 3, ... until all passes untouched. Whatever happens, no
/// memory stays behind, and the arena goes on.
#[cfg(feature = "faults")]
#[test]
fn refused_calls_end_in_an_error_or_a_recorded_step_down_and_leak_nothing() {
    use crate::base::faults::{self, Point};
    if !in_own_process() {
        return;
    }
    drop(arena(base()));
    let before = held();
    let mut outcomes = [0u64; 2];
    for point in [Point::Mmap, Point::Mbind, Point::Madvise, Point::Allocation] {
        for nth in 1.. {
            assert!(nth < 200, "{point:?} never passes untouched");
            faults::set(point as usize, nth, libc::ENOMEM, false);
            let ended = whole_life();
            let untouched = faults::hits(point as usize) < nth;
            faults::set(point as usize, 0, 0, false);
            assert_eq!(held(), before, "{point:?} {nth} leaks");
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
    // The list itself may be refused.
    for receipt in arena.receipts().unwrap_or_default() {
        assert!(receipt.got_pages == Pages::Transparent || !receipt.steps.as_slice().is_empty());
        assert!(receipt.got_nodes == receipt.asked.nodes || !receipt.steps.as_slice().is_empty());
    }
    used.map(drop)
}
