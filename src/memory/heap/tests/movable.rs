//! Movable blocks, and what a compaction makes of them.

use super::*;
use std::time::Duration;

/// A movable block that the model knows.
struct KnownMovable {
    block: MovableBlock,
    contents: Vec<u8>,
    align: u64,
    /// Where it lies, once for each pin.
    pinned_at: Vec<*mut u8>,
}

struct MovableModel {
    heap: Arc<Heap>,
    blocks: Vec<KnownMovable>,
    /// Blocks given out by their address, which must stay where they are.
    fixed: Vec<(*mut u8, usize, u8)>,
    random: fastrand::Rng,
    moved: u64,
}

impl MovableModel {
    fn new(config: HeapConfig, seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { heap: heap(config), blocks: Vec::new(), fixed: Vec::new(), random, moved: 0 }
    }

    fn size(&mut self) -> usize {
        if self.random.u32(..10) > 0 { self.random.usize(..2000) } else { self.random.usize(..60_000) }
    }

    fn fresh_contents(&mut self, bytes: usize) -> Vec<u8> {
        (0..bytes).map(|_| self.random.u8(..)).collect()
    }

    /// Looks at a block, and writes to it anew.
    fn rewrite(&mut self, index: usize) {
        let bytes = self.blocks[index].contents.len();
        let fresh = self.fresh_contents(bytes);
        let known = &mut self.blocks[index];
        let address = self.heap.pin(known.block).unwrap();
        assert_eq!(address as u64 % known.align.max(16), 0);
        if let Some(pinned) = known.pinned_at.last() {
            assert_eq!(address, *pinned, "a pinned block was moved");
        }
        let found = unsafe { std::slice::from_raw_parts_mut(address, bytes) };
        assert!(found == known.contents, "contents of a block of {bytes} bytes");
        found.copy_from_slice(&fresh);
        known.contents = fresh;
        self.heap.unpin(known.block).unwrap();
    }

    fn alloc(&mut self) {
        let bytes = self.size();
        let align = if self.random.u32(..8) > 0 { 0 } else { 1 << self.random.u32(..13) };
        let block = self.heap.alloc_block(bytes as u64, align).unwrap();
        let contents = self.fresh_contents(bytes);
        let address = self.heap.pin(block).unwrap();
        unsafe { address.copy_from_nonoverlapping(contents.as_ptr(), bytes) };
        self.heap.unpin(block).unwrap();
        self.blocks.push(KnownMovable { block, contents, align, pinned_at: Vec::new() });
    }

    fn free(&mut self, index: usize) {
        if !self.blocks[index].pinned_at.is_empty() {
            assert!(matches!(self.heap.free_block(self.blocks[index].block), Err(HeapError::Pinned { .. })));
            return;
        }
        self.rewrite(index);
        let known = self.blocks.swap_remove(index);
        self.heap.free_block(known.block).unwrap();
        assert!(matches!(self.heap.free_block(known.block), Err(HeapError::StaleBlock { .. })));
        assert!(matches!(self.heap.pin(known.block), Err(HeapError::StaleBlock { .. })));
    }

    fn resize(&mut self, index: usize) {
        let bytes = self.size();
        let known = &mut self.blocks[index];
        let resized = self.heap.resize_block(known.block, bytes as u64);
        if !known.pinned_at.is_empty() {
            assert!(matches!(resized, Err(HeapError::Pinned { .. })));
            return;
        }
        resized.unwrap();
        let kept = known.contents.len().min(bytes);
        known.contents.truncate(kept);
        let address = self.heap.pin(known.block).unwrap();
        assert!(unsafe { std::slice::from_raw_parts(address, kept) } == known.contents);
        while known.contents.len() < bytes {
            known.contents.push(0x5c);
        }
        unsafe { address.copy_from_nonoverlapping(known.contents.as_ptr(), bytes) };
        self.heap.unpin(known.block).unwrap();
    }

    fn pin(&mut self, index: usize) {
        let known = &mut self.blocks[index];
        known.pinned_at.push(self.heap.pin(known.block).unwrap());
        assert!(known.pinned_at.iter().all(|address| *address == known.pinned_at[0]));
        assert_eq!(self.heap.block_info(known.block).unwrap().pins, known.pinned_at.len() as u64);
    }

    fn unpin(&mut self, index: usize) {
        let known = &mut self.blocks[index];
        let unpinned = self.heap.unpin(known.block);
        match known.pinned_at.pop() {
            Some(_) => unpinned.unwrap(),
            None => assert!(matches!(unpinned, Err(HeapError::NotPinned))),
        }
    }

    fn replace_fixed(&mut self) {
        let record = ThreadRecord::current();
        if self.fixed.len() > 20 || (self.random.bool() && !self.fixed.is_empty()) {
            let (address, bytes, tag) = self.fixed.swap_remove(self.random.usize(..self.fixed.len()));
            assert!(unsafe { std::slice::from_raw_parts(address, bytes) }.iter().all(|byte| *byte == tag));
            self.heap.free(record, address).unwrap();
        } else {
            let (bytes, tag) = (self.size(), self.random.u8(..));
            let address = self.heap.alloc(record, bytes as u64, 0).unwrap();
            unsafe { address.write_bytes(tag, bytes) };
            self.fixed.push((address, bytes, tag));
        }
    }

    fn compact(&mut self) {
        let most = if self.random.bool() { 0 } else { self.random.u64(1..100_000) };
        let before = self.heap.stats().unwrap();
        let done = self.heap.compact(most).unwrap();
        let after = self.heap.stats().unwrap();
        assert!(most == 0 || done.moved_bytes <= most);
        assert!(done.fragmentation_after <= 1_000_000 && done.fragmentation_before <= 1_000_000);
        assert_eq!((before.blocks, before.requested_bytes), (after.blocks, after.requested_bytes));
        assert!(after.mapped_bytes <= before.mapped_bytes);
        assert_eq!(after.mapped_bytes - after.returned_bytes, self.heap.account.held());
        self.moved += done.moved_blocks;
    }

    fn step(&mut self) {
        let index = self.random.usize(..self.blocks.len().max(1));
        match self.random.u32(..100) {
            0..30 => self.alloc(),
            30..35 => self.replace_fixed(),
            35..37 => self.compact(),
            _ if self.blocks.is_empty() => {}
            37..65 => self.free(index),
            65..75 => self.resize(index),
            75..82 => self.pin(index),
            82..90 => self.unpin(index),
            _ => self.rewrite(index),
        }
    }

    fn end(mut self) {
        for index in 0..self.blocks.len() {
            while !self.blocks[index].pinned_at.is_empty() {
                self.unpin(index);
            }
        }
        let fixed = std::mem::take(&mut self.fixed);
        fixed.iter().for_each(|(address, ..)| self.heap.free(ThreadRecord::current(), *address).unwrap());
        // Now that all can be moved, no gap is left but one in each chunk.
        let done = self.heap.compact(0).unwrap();
        let stats = self.heap.stats().unwrap();
        assert_eq!((stats.movable_blocks, stats.blocks), (self.blocks.len() as u64, self.blocks.len() as u64));
        // Or what alignment leaves.
        let aligned = self.blocks.iter().map(|known| known.align).filter(|align| *align > 16).sum::<u64>();
        let free = stats.free_bytes + stats.returned_bytes;
        let scattered = u64::from(done.fragmentation_after) * free / 1_000_000;
        assert!(scattered <= aligned, "{done:?} of {free}, {aligned} for alignment");
        assert!(self.moved > 0 && stats.repairs == 0);
        while !self.blocks.is_empty() {
            self.free(0);
        }
        self.heap.trim(0).unwrap();
        let stats = self.heap.stats().unwrap();
        assert_eq!((stats.blocks, stats.movable_blocks, stats.chunks, self.heap.account.held()), (0, 0, 0, 0));
    }
}

fn play_movable(config: HeapConfig, seeds: std::ops::Range<u64>) {
    let _quiet = testing::quiet();
    for seed in seeds {
        let mut model = MovableModel::new(config, seed);
        (0..4000).for_each(|_| model.step());
        model.end();
    }
}

#[test]
fn movable_blocks_keep_their_contents_and_pinned_ones_their_place() {
    play_movable(small_chunks(), 0..8);
}

#[test]
fn movable_blocks_of_a_checked_heap_take_their_guards_along() {
    play_movable(HeapConfig { checked: true, ..small_chunks() }, 50..54);
}

#[test]
fn compaction_empties_chunks_that_are_almost_empty() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let blocks: Vec<_> = (0..2000).map(|_| heap.alloc_block(1000, 0).unwrap()).collect();
    for (index, block) in blocks.iter().enumerate() {
        if index % 10 > 0 {
            heap.free_block(*block).unwrap();
        }
    }
    let before = heap.stats().unwrap();
    assert!(before.chunks >= 8);
    let done = heap.compact(0).unwrap();
    let after = heap.stats().unwrap();
    assert_eq!((after.chunks, after.free_blocks), (1, 1));
    assert!(done.fragmentation_before > 500_000 && done.fragmentation_after == 0, "{done:?}");
    assert_eq!(done.returned_chunks, before.chunks - 1);
    assert_eq!(heap.account.held(), after.mapped_bytes - after.returned_bytes);
}

#[test]
fn compaction_gives_whole_pages_back_beside_a_pinned_block() {
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let blocks: Vec<_> = (0..200).map(|_| heap.alloc_block(1000, 0).unwrap()).collect();
    for block in &blocks {
        let address = heap.pin(*block).unwrap();
        unsafe { address.write_bytes(7, 1000) };
        heap.unpin(*block).unwrap();
    }
    let pinned = heap.pin(blocks[199]).unwrap();
    blocks[..199].iter().for_each(|block| heap.free_block(*block).unwrap());
    let before = heap.stats().unwrap().resident_bytes;
    let done = heap.compact(0).unwrap();
    let after = heap.stats().unwrap().resident_bytes;
    assert_eq!((done.moved_blocks, done.returned_chunks), (0, 0));
    assert!(done.returned_bytes > 150_000 && before - after == done.returned_bytes, "{done:?}");
    assert_eq!(unsafe { std::slice::from_raw_parts(pinned, 1000) }, [7; 1000]);
    heap.unpin(blocks[199]).unwrap();
}

/// A heap of one chunk, whose only block lies at its end and is pinned, so that the rest is given back.
fn mostly_returned() -> (Arc<Heap>, MovableBlock) {
    let heap = heap(small_chunks());
    let ahead = heap.alloc_block(200_000, 0).unwrap();
    let last = heap.alloc_block(1000, 0).unwrap();
    heap.pin(last).unwrap();
    heap.free_block(ahead).unwrap();
    assert!(heap.compact(0).unwrap().returned_bytes >= 190_000);
    (heap, last)
}

#[test]
fn what_was_given_back_is_charged_again_before_it_is_used() {
    let _quiet = testing::quiet();
    let (heap, last) = mostly_returned();
    let record = ThreadRecord::current();
    let given_back = heap.stats().unwrap();
    assert_eq!(heap.account.held(), CHUNK - given_back.returned_bytes);
    // No more than is needed, then all of it, and no chunk is mapped for it.
    let some = heap.alloc(record, 60_000, 0).unwrap();
    let between = heap.stats().unwrap();
    assert!(between.returned_bytes < given_back.returned_bytes && between.returned_bytes > 100_000, "{between:?}");
    assert_eq!(heap.account.held(), CHUNK - between.returned_bytes);
    unsafe { some.write_bytes(1, 60_000) };
    let more = heap.alloc(record, 100_000, 4096).unwrap();
    unsafe { more.write_bytes(1, 100_000) };
    assert_eq!(heap.stats().unwrap().mapped_bytes, CHUNK);
    heap.free(record, some).unwrap();
    heap.free(record, more).unwrap();
    heap.unpin(last).unwrap();
    heap.free_block(last).unwrap();
    // With all of it free, the chunk goes, and what is charged for it.
    let charged = CHUNK - heap.stats().unwrap().returned_bytes;
    assert_eq!((heap.account.held(), heap.trim(0).unwrap()), (charged, charged));
    assert_eq!((heap.account.held(), heap.stats().unwrap().chunks), (0, 0));
}

#[test]
fn pages_are_given_back_behind_who_maps_but_not_by_who_maps() {
    let _quiet = testing::quiet();
    let (heap, last) = mostly_returned();
    // Bring all of it back.
    let block = heap.alloc(ThreadRecord::current(), 190_000, 0).unwrap();
    heap.free(ThreadRecord::current(), block).unwrap();
    let chunk = heap.state.lock().space.chunks().next().unwrap().ground.chunk;
    let growing = heap.growth.lock();
    assert!(matches!(heap.return_pages(chunk, Duration::ZERO), Ok(None)));
    std::thread::scope(|scope| {
        let returning = scope.spawn(|| heap.return_pages(chunk, Duration::from_secs(600)));
        while !heap.pages.is_locked() && !returning.is_finished() {
            std::thread::yield_now();
        }
        // Who does not stand behind us has gone by then.
        (0..10_000).for_each(|_| std::thread::yield_now());
        drop(growing);
        let returned = returning.join().unwrap().unwrap();
        assert!(returned.is_some_and(|bytes| bytes >= 100_000), "{returned:?}");
    });
    heap.unpin(last).unwrap();
}

#[test]
fn blocks_slide_to_where_pages_were_given_back() {
    let _quiet = testing::quiet();
    let (heap, last) = mostly_returned();
    let before = heap.pin(last).unwrap() as usize;
    heap.unpin(last).unwrap();
    heap.unpin(last).unwrap();
    let done = heap.compact(0).unwrap();
    let after = heap.stats().unwrap();
    assert_eq!((done.moved_blocks, done.fragmentation_after), (1, 0));
    assert!(before - heap.pin(last).unwrap() as usize > 190_000);
    assert_eq!(heap.account.held(), CHUNK - after.returned_bytes);
    assert!(after.returned_bytes > 190_000);
    heap.unpin(last).unwrap();
}

#[test]
fn a_chunk_of_which_much_was_given_back_goes_whole() {
    let _quiet = testing::quiet();
    let (heap, last) = mostly_returned();
    let address = heap.pin(last).unwrap();
    let inside = address.wrapping_sub(100_000);
    assert!(matches!(heap.free(ThreadRecord::current(), inside), Err(HeapError::InFreeMemory { .. })));
    heap.unpin(last).unwrap();
    heap.unpin(last).unwrap();
    heap.free_block(last).unwrap();
    heap.trim(0).unwrap();
    assert_eq!((heap.account.held(), heap.stats().unwrap().repairs), (0, 0));
}

#[test]
fn a_chunk_that_is_trimmed_while_it_is_repaired_is_charged_for_until_it_goes() {
    use crate::memory::inspection::{Inspect, Memory};
    let _quiet = testing::quiet();
    let heap = heap(small_chunks());
    let shown = heap.each_chunk(&mut |memory| {
        let Memory::Mapped(mapping) = memory else { panic!("the chunk was mapped") };
        let bare = heap.bare_parts(mapping).unwrap();
        assert_eq!((heap.trim(0).unwrap(), bare.parts.len()), (CHUNK, 0));
        drop(bare);
        assert_eq!((heap.account.held(), heap.stats().unwrap().chunks), (CHUNK, 0));
        // Nothing of it is brought in from now on.
        let start = mapping.address() as u64;
        let bare = heap.bare_parts(mapping).unwrap();
        assert!(bare.parts.iter().eq([&(start..start + CHUNK)]));
        std::ops::ControlFlow::Continue(())
    });
    assert_eq!((shown.is_ok(), heap.account.held()), (true, 0));
}

#[test]
fn blocks_are_pinned_while_others_compact() {
    let _quiet = testing::quiet();
    const THREADS: usize = 3;
    let heap = heap(small_chunks());
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let heap = &heap;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(thread as u64);
                    let mut mine: Vec<(MovableBlock, usize, u8)> = Vec::new();
                    for round in 0..6000 {
                        if mine.len() < 50 || random.u32(..3) == 0 {
                            let (bytes, tag) = (random.usize(1..3000), round as u8);
                            let block = heap.alloc_block(bytes as u64, 0).unwrap();
                            unsafe { heap.pin(block).unwrap().write_bytes(tag, bytes) };
                            heap.unpin(block).unwrap();
                            mine.push((block, bytes, tag));
                        }
                        let index = random.usize(..mine.len());
                        let (block, bytes, tag) = mine[index];
                        let address = heap.pin(block).unwrap();
                        let contents = unsafe { std::slice::from_raw_parts(address, bytes) };
                        assert!(contents.iter().all(|byte| *byte == tag));
                        assert_eq!(heap.pin(block).unwrap(), address);
                        heap.unpin(block).unwrap();
                        heap.unpin(block).unwrap();
                        if mine.len() > 100 || random.bool() {
                            mine.swap_remove(index);
                            heap.free_block(block).unwrap();
                        }
                    }
                    mine.iter().for_each(|(block, ..)| heap.free_block(*block).unwrap());
                })
            })
            .collect();
        let (heap, over) = (&heap, &over);
        scope.spawn(move || {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                heap.compact(0).unwrap();
            }
        });
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
    });
    heap.trim(0).unwrap();
    assert_eq!((heap.stats().unwrap().blocks, heap.account.held()), (0, 0));
}
